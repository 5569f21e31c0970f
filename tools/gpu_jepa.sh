#!/usr/bin/env bash
# A world model on one GPU in MINUTES, from a bare machine with the archive of
# tools/gpu_archive.sh: records play on all cores, trains a video JEPA, probes it, and
# trains what plans on it. Leaves logs, and encoder and model in pieces of 15 MiB
# (cat encoder.tar.* | tar -x).
# Usage: tools/gpu_jepa.sh FOLDER [MINUTES] [further options of benchmarks.jepa]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 minutes=${2:-9}
shift $(($# < 2 ? $# : 2))
extra=("$@")
set --
# shellcheck source=tools/gpu_setup.sh
. tools/gpu_setup.sh
work=$(mktemp -d)
mkdir -p "$folder"
timeout "$(awk "BEGIN { print 60 * $minutes + 30 }")" python3 -m benchmarks.jepa \
    --out "$work" --minutes "$minutes" --device cuda --plan 6000 "${extra[@]}" \
    | tee "$folder/log.txt" || echo "gpu_jepa: stopped; what was written stays" >&2
cp "$work"/*.json* "$folder"
for part in encoder model; do
    [ ! -d "$work/$part" ] || tar -C "$work" -cf - "$part" | split -b 15M - "$folder/$part.tar."
done
