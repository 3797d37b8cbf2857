#!/bin/sh
# Installs what is missing, builds everything, runs every test, and ends with ctest's summary and
# status. Works from a clean clone and from any folder:  sh tests/run.sh [ctest arguments]
#
# BUILD_DIR (default: build, in the repository) is the build folder, JOBS the number of jobs.
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/cmake/dependencies.sh"

build=${BUILD_DIR:-$repository/build}
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}

install_missing g++ make cmake libeigen3-dev nlohmann-json3-dev libcli11-dev catch2
# For the kernels of another kind of machine; without them that test is skipped.
[ "$(uname -m)" = aarch64 ] || install_missing g++-aarch64-linux-gnu qemu-user

cmake -S "$repository" -B "$build" -DCMAKE_BUILD_TYPE=Release -DGPT2_BUILD_EXAMPLES=ON \
    -DGPT2_BUILD_TESTS=ON -DGPT2_SANITIZE=address,undefined -DGPT2_WARNINGS_AS_ERRORS=ON \
    -DGPT2_FETCH_DEPENDENCIES=ON
cmake --build "$build" --parallel "$jobs"
exec ctest --test-dir "$build" --output-on-failure --parallel "$jobs" "$@"
