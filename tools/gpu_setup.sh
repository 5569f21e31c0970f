# Sourced on a bare GPU machine without a network: unpacks the archive of
# tools/gpu_archive.sh and sets what MuJoCo needs to render on the GPU.
# Usage: . tools/gpu_setup.sh [ARCHIVE]
archive=${1:-.gpu/packages.tar.xz}
packages=${TMPDIR:-/tmp}/worldmodel-packages
mkdir -p "$packages"
tar -C "$packages" -xJf "$archive"
for deb in "$packages"/gl/*.deb; do dpkg -x "$deb" /; done
ldconfig
export PYTHONUNBUFFERED=1 PYTHONPATH=$packages/site:$PWD MUJOCO_GL=egl
vendor=/usr/local/nvidia/share/glvnd/egl_vendor.d/10_nvidia.json
if [ -f "$vendor" ]; then export __EGL_VENDOR_LIBRARY_FILENAMES=$vendor; fi
