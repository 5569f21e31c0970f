#!/usr/bin/env bash
# Packs what a bare GPU machine without a network lacks beside torch: Python packages and
# the loaders of OpenGL. One archive of about 34 MB, unpacked there by tools/gpu_setup.sh.
# Usage: tools/gpu_archive.sh [ARCHIVE]    (GPU_PYTHON=3.12: the machine's Python)
set -euo pipefail
cd "$(dirname "$0")/.."
archive=$(realpath -m "${1:-.gpu/packages.tar.xz}")
version=${GPU_PYTHON:-3.12}
names=(mujoco mujoco-core gymnasium hydra-core omegaconf antlr4-python3-runtime
    Farama-Notifications cloudpickle glfw PyOpenGL mink daqp qpsolvers cma av imageio
    threadpoolctl)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pinned() { grep -i "^$1==" constraints.txt || echo "$1"; }

platforms=()
for glibc in 39 36 35 34 31 28 27 24 17; do
    platforms+=(--platform "manylinux_2_${glibc}_x86_64")
done
wanted=()
for name in "${names[@]}"; do wanted+=("$(pinned "$name")"); done
pip wheel -qq --no-deps -w "$work/wheels" "$(pinned antlr4-python3-runtime)"
for name in "${wanted[@]}"; do
    [[ ${name,,} == antlr4* ]] && continue
    pip download -qq --no-deps --only-binary=:all: --python-version "$version" \
        --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 \
        --platform any -d "$work/wheels" "$name"
done
mkdir -p "$work/packages/site" "$work/packages/gl" "$(dirname "$archive")"
for wheel in "$work"/wheels/*.whl; do unzip -qo "$wheel" -d "$work/packages/site"; done
find "$work/packages/site" -name tests -type d -prune -exec rm -rf {} +
(cd "$work/packages/gl" && apt-get -qq download libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2)
tar -C "$work/packages" -cf - . | xz -T0 -9e >"$archive"
du -h "$archive"
