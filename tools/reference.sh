#!/usr/bin/env bash
# Remakes the shipped reference model from nothing; every stage resumes after a kill.
# Usage: tools/reference.sh FOLDER    (a folder for dataset and runs, about 4 GB)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/reference}
worldmodel=${WORLDMODEL:-.venv/bin/worldmodel}

say() { printf 'reference: %s\n' "$*" >&2; }

say "stage 1 of 3: play"
"$worldmodel" collect out="$folder/play"
say "stage 2 of 3: encoder"
"$worldmodel" pretrain data="$folder/play" out="$folder/pretrain"
say "stage 3 of 3: compressor, predictor, goal distance"
"$worldmodel" train data="$folder/play" encoder="$folder/pretrain/encoder" \
  compressor="$folder/pretrain/compressor" out="$folder/train"
say "the model is in $folder/train/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train/model"
