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

practise() { # MODEL, FOLDER, then further options
  model=$1 out=$2 && shift 2
  "$worldmodel" practice model="$folder/$model/model" goals="$folder/play" out="$out" "$@"
}

say "stage 1 of 7: play"
"$worldmodel" collect out="$folder/play"
say "stage 2 of 7: encoder"
"$worldmodel" pretrain data="$folder/play" out="$folder/pretrain"
say "stage 3 of 7: a first model, in fewer steps: compressor, predictor, goal distance, habit"
learn "$folder/first" dynamics.schedule.steps=2000 predictor.schedule.steps=1500 \
  distance.schedule.steps=3000 habit.schedule.steps=2000
say "stage 4 of 7: practice of that model"
practise first "$folder/practice"
say "stage 5 of 7: a second model, from play and that practice"
learn "$folder/second" practice="[$folder/practice]"
say "stage 6 of 7: practice of that model"
practise second "$folder/practice2" episodes=600 rules.seed=1
say "stage 7 of 7: the model, from play and both practices"
learn "$folder/train" practice="[$folder/practice,$folder/practice2]"
say "the model is in $folder/train/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train/model"
