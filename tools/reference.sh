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
  "$worldmodel" train recipe=tabletop data="$folder/play" encoder="$folder/pretrain/encoder" \
    tokens="$folder/tokens" out="$out" "$@"
}

collect_with() { # MODEL FOLDER SEED: the model plans toward pictures of play
  "$worldmodel" practice model="$1" goals="$folder/play" out="$2" episodes=1000 \
    rules.seed="$3"
}

say "1 of 7: play"
"$worldmodel" collect out="$folder/play"
say "2 of 7: encoder (stage 1)"
"$worldmodel" pretrain recipe=tabletop data="$folder/play" out="$folder/pretrain"
say "3 of 7: a first model (stages 2 to 5)"
learn "$folder/first"
given="projector_from=$folder/first/model"
say "4 of 7: on-policy collection with that model (stage 6)"
collect_with "$folder/first/model" "$folder/practice" 0
say "5 of 7: a second model (stages 3 to 5, from play and practice)"
learn "$folder/second" "$given" practice="[$folder/practice]"
say "6 of 7: on-policy collection with that model"
collect_with "$folder/second/model" "$folder/practice2" 1
say "7 of 7: stages 3 to 5, from play and both rounds of practice"
learn "$folder/train" "$given" practice="[$folder/practice,$folder/practice2]"
say "the model is in $folder/train/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train/model"
