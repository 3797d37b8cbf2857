# equal_bits.sh REPOSITORY FLAG…: the same bits from g++ and clang++, whatever the optimisation and
# the instruction set they compile for. The flags say where the headers lie. A compiler that is not
# installed is left out; with none the test is skipped (status 77).
set -eu
repository=$1
shift

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# build NAME COMPILER FLAG…: what the program prints goes to a file of that name.
build() {
    name=$1
    shift
    "$@" -o "$scratch/$name.program" && "$scratch/$name.program" >"$scratch/$name.lines" ||
        rm -f "$scratch/$name.lines"
}

# Each level with one compiler at least, and those with both that differ most.
levels_of() {
    case $1 in
    g++) echo "-O0 -O2 -O3,-march=native" ;;
    *) echo "-O0 -O3 -O3,-march=native" ;;
    esac
}

# all COMPILER FLAG…: its levels, one after another.
all() {
    compiler=$1
    shift
    for level in $(levels_of "$compiler"); do
        # shellcheck disable=SC2046  # a level may be two flags
        build "$compiler$level" "$compiler" -std=c++20 -pthread $(echo "$level" | tr , ' ') "$@"
    done
}

found=
for compiler in g++ clang++; do
    if command -v $compiler >/dev/null; then
        found="$found $compiler"
        all $compiler "$@" -I "$repository/include" "$repository/tests/cross/equal_bits.cpp" &
    else
        echo "left out: $compiler is not installed"
    fi
done
[ -n "$found" ] || {
    echo "skipped: needs g++ or clang++"
    exit 77
}
wait

status=0
reference=
for compiler in $found; do
    for level in $(levels_of "$compiler"); do
        lines=$scratch/$compiler$level.lines
        if [ ! -s "$lines" ]; then
            echo "$compiler $level: no result"
            status=1
        elif [ -z "$reference" ]; then
            reference=$lines
            cat "$reference"
        elif cmp -s "$reference" "$lines"; then
            echo "$compiler $level: the same"
        else
            echo "$compiler $level: other bits"
            diff "$reference" "$lines" || status=1
        fi
    done
done
exit $status
