#!/usr/bin/env bash
# Makes every GPU figure of the planning table and runs the tests that need a GPU; about
# ten minutes. A part that fails does not keep the others from running.
# tools/gpu_benchmarks.sh [folder for the results]
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/planning_gpu}
python=${PYTHON:-.venv/bin/python}
failed=0
measure() { "$python" -m benchmarks.planning "$1" --device cuda "${@:2}" || failed=1; }
# V-JEPA 2-AC's shape, 800 x 10 x H1 (bar 3.5 s and 45% of peak), and the others
measure table --out "$out/shapes" --batch 1 --batch 16
# the reference model, one plan and 256 side by side (bars 10 ms, 1000 plans/s)
measure table --out "$out/reference" --shape reference-together --batch 1 --batch 256
# the same, each plan recorded as a CUDA graph and replayed
measure table --out "$out/graphs" --shape reference-together --batch 1 --batch 256 \
    --cuda-graphs
measure scaling --out "$out" --shape reference-together
# the same plan on CPU and GPU; recorded and replayed
"$python" -m benchmarks.planning_devices || failed=1
"$python" -m pytest -q tests/planners/test_graphs.py tests/test_planning_on_a_device.py \
    || failed=1
echo "gpu_benchmarks: results are in $out"
exit "$failed"
