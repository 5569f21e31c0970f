#!/usr/bin/env bash
# Makes every GPU figure of the planning table. Needs one GPU and about ten minutes.
# tools/gpu_benchmarks.sh [folder for the results]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/planning_gpu}
python=${PYTHON:-.venv/bin/python}
# V-JEPA 2-AC's shape, 800 x 10 x H1 (bar 3.5 s and 45% of peak), and the others
"$python" -m benchmarks.planning table --device cuda --out "$out/shapes" \
    --batch 1 --batch 16
# the reference model, one plan and 256 side by side (bars 10 ms, 1000 plans/s)
"$python" -m benchmarks.planning table --device cuda --out "$out/reference" \
    --shape reference-together --batch 1 --batch 256
# the same, each plan recorded and replayed
"$python" -m benchmarks.planning table --device cuda --out "$out/graphs" --cuda-graphs \
    --shape reference-together --batch 1 --batch 256
"$python" -m benchmarks.planning scaling --device cuda --out "$out" --shape reference-together
# the same plan on CPU and GPU, and replayed
"$python" -m benchmarks.planning_devices
echo "gpu_benchmarks: results are in $out"
