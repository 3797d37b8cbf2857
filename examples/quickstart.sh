#!/bin/sh
# From a clean clone to text:  sh examples/quickstart.sh "Once upon a time"
#
# Installs what is missing, builds `generate`, and continues the prompt with the bundled model.
# The text streams on standard output; all else goes to standard error. Further arguments go to
# `generate`. BUILD_DIR (default: build, in the repository) is the build folder.
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/cmake/dependencies.sh"

build=${BUILD_DIR:-$repository/build}
prompt=${1:-Once upon a time}
[ $# -eq 0 ] || shift

install_missing g++ make cmake libeigen3-dev nlohmann-json3-dev libcli11-dev

say "building generate (about a minute the first time)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S "$repository" -B "$build" -DGPT2_BUILD_EXAMPLES=ON -DGPT2_FETCH_DEPENDENCIES=ON &&
       cmake --build "$build" --target generate; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi

"$build/examples/generate" --prompt "$prompt" "$@"
