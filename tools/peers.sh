#!/usr/bin/env bash
# Makes .venv-peers: this package and the peers that benchmarks are run beside.
#
#   tools/peers.sh        their solver and their model, for benchmarks.planning_peer
#   tools/peers.sh full   .venv-peers-full, 8 GB with torch's CUDA build: also their
#                         envs, data collection, training and evaluation, for
#                         benchmarks.peers. The last part imports all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
"") folder=.venv-peers ;;
full) folder=.venv-peers-full ;;
*) echo "peers.sh: the only option is full, got '$1'" >&2 && exit 2 ;;
esac
"${PYTHON:-python3}" -m venv "$folder"
pip=("$folder/bin/python" -m pip install -qq --disable-pip-version-check)
if [ "$folder" = .venv-peers ]; then
    "${pip[@]}" -c constraints.txt "$(grep '^torch==' constraints.txt)"
    "${pip[@]}" -c constraints.txt -e .
    # Without its dependencies: what is measured of it needs einops and loguru only.
    "${pip[@]}" --no-deps stable-worldmodel==0.1.1
    "${pip[@]}" einops==0.8.2 loguru==0.7.3
else
    # A torch that a torchvision fits; the other versions are those of the figures.
    versions=$(mktemp)
    trap 'rm -f "$versions"' EXIT
    grep -v '^torch==' constraints.txt >"$versions"
    pip+=(-c "$versions")
    "${pip[@]}" torch==2.14.1 torchvision==0.29.1
    "${pip[@]}" stable-worldmodel==0.1.1 pygame==2.6.1 pymunk==7.3.1 shapely==2.2.0 \
        opencv-python-headless==5.0.0.93 h5py==3.16.0 hdf5plugin==7.1.0 \
        ogbench==1.2.2 dm_control==1.0.50 stable-pretraining==0.1.8 \
        transformers==5.24.0 lightning==2.6.6 scikit-learn==1.9.1 datasets==5.2.0 -e .
    MUJOCO_GL=${MUJOCO_GL:-egl} SDL_VIDEODRIVER=dummy "$folder/bin/python" -W ignore - <<'PY'
import datasets, h5py, hdf5plugin, lightning, sklearn, transformers
import stable_pretraining
import stable_worldmodel.envs

from worldmodel.evaluation.adapters.finding import find_adapter, make_adapter

for env in ("swm/PushT-v1", "swm/OGBCube-v0", "cube-single-v0"):
    make_adapter(env, find_adapter(env)).env.close()
PY
fi
