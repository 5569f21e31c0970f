#!/usr/bin/env bash
# Makes a model by the shipped recipe from nothing; every stage resumes after a kill.
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

say "1 of 5: play"
"$worldmodel" collect out="$folder/play"
say "2 of 5: encoder (stage 1)"
"$worldmodel" pretrain data="$folder/play" out="$folder/pretrain"
say "3 of 5: a first model (stage 2, and stages 3 to 5 in half the steps)"
learn "$folder/first" planning.schedule.steps=4000
say "4 of 5: on-policy collection with that model (stage 6)"
"$worldmodel" practice model="$folder/first/model" goals="$folder/play" \
  out="$folder/practice" episodes=1000
say "5 of 5: stages 3 to 5 again, from play and practice"
learn "$folder/train" projector_from="$folder/first/model" \
  practice="[$folder/practice]"
say "the model is in $folder/train/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train/model"
