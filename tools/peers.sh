#!/usr/bin/env bash
# Makes .venv-peers: this package and the peers that benchmarks are run beside.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=.venv-peers
"${PYTHON:-python3}" -m venv "$folder"
pip=("$folder/bin/python" -m pip install -qq --disable-pip-version-check)
"${pip[@]}" -c constraints.txt "$(grep '^torch==' constraints.txt)"
"${pip[@]}" -c constraints.txt -e .
# Without its dependencies: what is measured of it needs einops and loguru only.
"${pip[@]}" --no-deps stable-worldmodel==0.1.1
"${pip[@]}" einops==0.8.2 loguru==0.7.3
