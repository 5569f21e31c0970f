#!/usr/bin/env bash
# Makes a virtual environment with the tested versions and checks that GL renders there.
# Usage: tools/setup.sh FOLDER    (PYTHON=python3.12 tools/setup.sh FOLDER)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1

say() { printf 'setup: %s\n' "$*" >&2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed, tried: ${PYTHON:-python3 python3.13 python3.12 python3.11};" \
        "install one, or name it: make setup PYTHON=/path/to/python3"
    return 1
}

make_environment() {
    local python
    python=$(find_python)
    say "virtual environment in $folder with $("$python" --version)"
    if ! "$python" -m venv --clear "$folder"; then
        say "$python cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"
        return 1
    fi
}

install_packages() {
    # no bytecode of what is never imported
    local pip=("$folder/bin/python" -m pip install -qq --no-compile --disable-pip-version-check
        -c constraints.txt)
    # torch first and pinned: resolving an open range downloads several builds of it;
    # hatchling builds this package here instead of in an environment of its own
    say "installing torch, the largest part"
    "${pip[@]}" "$(grep '^torch==' constraints.txt)" hatchling
    say "installing the other packages"
    "${pip[@]}" --no-build-isolation -e '.[dev]'
}

graphics_work() {
    "$folder/bin/python" - <<'PY'
import sys

from envs.graphics import NoGraphicsError, select_backend

try:
    select_backend()
except NoGraphicsError as error:
    sys.exit(f"setup: {error}")
PY
}

install_graphics() {
    say "installing the GL libraries with apt-get"
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y libegl1 libgl1-mesa-dri >/dev/null || true
    # the second choice; newer distributions no longer have it
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y libosmesa6 >/dev/null 2>&1 || true
}

"$folder/bin/python" -m pip --version >/dev/null 2>&1 || make_environment
install_packages
if ! graphics_work 2>"$folder/graphics.log"; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        install_graphics
        graphics_work
    else
        cat "$folder/graphics.log" >&2
        exit 1
    fi
fi
say "ready"
