#!/usr/bin/env bash
# Remakes the shipped reference model from nothing; every stage resumes after a kill.
# Usage: tools/reference.sh FOLDER    (a folder for dataset and runs, about 4 GB)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/reference}
worldmodel=${WORLDMODEL:-.venv/bin/worldmodel}

say() { printf 'reference: %s\n' "$*" >&2; }

learn() { # FOLDER, then further options
  out=$1 && shift
  "$worldmodel" train data="$folder/play" encoder="$folder/pretrain/encoder" \
    compressor="$folder/pretrain/compressor" tokens="$folder/tokens" out="$out" "$@"
}

say "stage 1 of 5: play"
"$worldmodel" collect out="$folder/play"
say "stage 2 of 5: encoder"
"$worldmodel" pretrain data="$folder/play" out="$folder/pretrain"
say "stage 3 of 5: a first model, in fewer steps: compressor, predictor, goal distance, habit"
learn "$folder/first" dynamics.schedule.steps=2000 predictor.schedule.steps=1500 \
  distance.schedule.steps=3000 habit.schedule.steps=2000
say "stage 4 of 5: practice of that model"
"$worldmodel" practice model="$folder/first/model" goals="$folder/play" \
  out="$folder/practice"
say "stage 5 of 5: what plans, from play and practice"
learn "$folder/train" practice="[$folder/practice]"
say "the model is in $folder/train/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train/model"
