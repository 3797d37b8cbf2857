# neon.sh REPOSITORY FOLDER…: the kernels for AArch64, on a machine of another kind: the tests of
# kernels and mathematics, built by the cross compiler and run by qemu. The folders hold the
# headers of Eigen and Catch2. Without the programs the test is skipped (status 77).
set -eu
repository=$1
shift
compiler=aarch64-linux-gnu-g++

skip() {
    echo "skipped: $*"
    exit 77
}
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) ||
    skip "needs qemu-aarch64 (Debian: qemu-user)"
command -v $compiler >/dev/null || skip "needs $compiler (Debian: g++-aarch64-linux-gnu)"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Beside these headers may lie those of this machine's C library, so links lead to these only.
mkdir "$scratch/headers"
for folder in "$@"; do
    for name in Eigen catch2; do
        [ ! -e "$folder/$name" ] || ln -sfn "$folder/$name" "$scratch/headers/$name"
    done
done
[ -e "$scratch/headers/catch2/catch.hpp" ] || skip "needs Catch2 2, which is headers only"

compile() {
    $compiler -std=c++20 -pthread -Wall -Wextra -Wconversion -Wshadow -Werror \
        -I "$repository/include" -I "$repository/tests" -isystem "$scratch/headers" "$@"
}
# With -O2, under which gcc joins products and sums of its own accord.
compile -O0 -c "$repository/tests/main.cpp" -o "$scratch/main.o" &
for name in kernels bits ops; do
    compile -O2 -c "$repository/tests/model/${name}_test.cpp" -o "$scratch/$name.o"
done
wait $!
compile -static "$scratch"/*.o -o "$scratch/tests"
"$emulator" "$scratch/tests"
