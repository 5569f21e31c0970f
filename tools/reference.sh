#!/usr/bin/env bash
# Makes a model by a shipped recipe from nothing; every stage goes on after a kill.
# Usage: tools/reference.sh FOLDER [RECIPE]
#   FOLDER  for datasets and runs, about 10 GB
#   RECIPE  tabletop, the shipped one; or plain: frames and actions alone, plans judged by
#           three predictors
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/reference} recipe=${2:-tabletop} rounds=2
worldmodel=${WORLDMODEL:-.venv/bin/worldmodel}
case $recipe in
  tabletop) options=("recipe=$recipe") ;;
  plain) options=("recipe=$recipe" planning.predictors=3) ;;
  *)
    printf 'RECIPE must be tabletop or plain, got %s\n' "$recipe" >&2
    exit 2
    ;;
esac

say() { printf 'reference: %s\n' "$*" >&2; }

learn() { # FOLDER, then further options
  out=$1 && shift
  "$worldmodel" train "${options[@]}" data="$folder/play" tokens="$folder/tokens" \
    encoder="$folder/pretrain/encoder" out="$out" "$@"
}

say "play"
"$worldmodel" collect out="$folder/play"
say "encoder (stage 1)"
"$worldmodel" pretrain "recipe=$recipe" data="$folder/play" out="$folder/pretrain"
say "a first model (stages 2 to 5)"
learn "$folder/train0"
if [ "$recipe" = tabletop ]; then # the projector of plain learned with the encoder
  options+=("projector_from=$folder/train0/model")
fi
practice=
for round in $(seq "$rounds"); do
  say "round $round of $rounds: the model plans toward pictures of play (stage 6)"
  "$worldmodel" practice model="$folder/train$((round - 1))/model" goals="$folder/play" \
    out="$folder/practice$round" episodes=1000 rules.seed=$((round - 1))
  practice+=${practice:+,}$folder/practice$round
  say "round $round of $rounds: stages 3 to 5 anew, from play and practice"
  learn "$folder/train$round" practice="[$practice]"
done
say "the model is in $folder/train$rounds/model; evaluate it with"
say "  $worldmodel evaluate model=$folder/train$rounds/model"
