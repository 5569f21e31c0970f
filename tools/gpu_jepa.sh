#!/usr/bin/env bash
# The video JEPA on one GPU in MINUTES, from a bare machine with the archive of
# tools/gpu_archive.sh: records play on all cores, pretrains, probes.
# Usage: tools/gpu_jepa.sh FOLDER [MINUTES]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 minutes=${2:-8}
# shellcheck source=tools/gpu_setup.sh
. tools/gpu_setup.sh
python3 -m benchmarks.jepa --out "$folder" --minutes "$minutes" --device cuda --compile
