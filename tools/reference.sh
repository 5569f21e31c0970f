#!/usr/bin/env bash
# Remakes the shipped reference model from nothing; every stage resumes after a kill.
# Usage: tools/reference.sh FOLDER    (a folder for datasets and runs, about 10 GB)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/reference}
worldmodel=${WORLDMODEL:-.venv/bin/worldmodel}

say() { printf 'reference: %s\n' "$*" >&2; }

learn() { # FOLDER, then further options
  out=$1 && shift
  "$worldmodel" train data="$folder/play" encoder="$folder/pretrain/encoder" \
    tokens="$folder/tokens" out="$out" "$@"
}

learn_again() { # FOLDER, then further options: what plans, on the first model's latents
  out=$1 && shift
  learn "$out" projector_from="$folder/first/projector" refine=false "$@"
}

say "stage 1 of 7: play"
"$worldmodel" collect out="$folder/play"
say "stage 2 of 7: encoder"
"$worldmodel" pretrain data="$folder/play" out="$folder/pretrain"
say "stage 3 of 7: a first model: projector, and in fewer steps what plans"
learn "$folder/first" projector_from="$folder/pretrain/projector" \
  proprio_estimator.schedule.steps=2000 predictor.schedule.steps=3000 \
  distance.schedule.steps=4000 policy_prior.schedule.steps=3000
say "stage 4 of 7: practice of that model"
"$worldmodel" practice model="$folder/first/model" goals="$folder/play" \
  out="$folder/practice" episodes=600
say "stage 5 of 7: a second model, from play and practice"
learn_again "$folder/second" practice="[$folder/practice]" \
  proprio_estimator.schedule.steps=2000 predictor.schedule.steps=4000 \
  distance.schedule.steps=4000 policy_prior.schedule.steps=3000
say "stage 6 of 7: practice of that model"
"$worldmodel" practice model="$folder/second/model" goals="$folder/play" \
  out="$folder/practice2" episodes=1000 rules.seed=1
say "stage 7 of 7: what plans, from play and both rounds of practice"
learn_again "$folder/train" practice="[$folder/practice,$folder/practice2]"
say "the model is in $folder/train/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train/model"
