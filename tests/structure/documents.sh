# documents.sh BUILD_FOLDER COMPILER FLAGS…: what README.md and examples/README.md show is true.
#
# - A ```sh block is run, in a folder that looks like the repository after a build, when each of
#   its commands uses a program of build/examples/ (or is cmp) and no path/to/; others
#   (installing, cloning) are listed only.
# - A ```text block right behind such a block is its output, exactly; "..." on a line of its own
#   stands for any lines from there on.
# - A ```cpp block with a main() compiles.
set -u
build=$1
shift
repository=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/repository"
cd "$scratch/repository" || exit 1
ln -s "$repository"/* .
rm -rf build
ln -s "$build" build
ran=0
failed=0

# Cuts a document into NNN.sh, NNN.text (the output of NNN.sh) and NNN.cpp.
cut_blocks() {
    awk -v out="$2" '
        /^```/ && !inside {
            inside = 1; language = substr($0, 4); close_to = NR - last_end <= 2
            if (language == "text" && last == "sh" && close_to) name = sprintf("%03d.text", n)
            else name = sprintf("%03d.%s", ++n, language == "" ? "none" : language)
            printf "" > (out "/" name)
            next
        }
        /^```/ { inside = 0; last = language; last_end = NR; close(out "/" name); next }
        inside { print > (out "/" name) }
    ' "$1"
}

# Whether every command of a block is one of ours.
is_runnable() {
    ! grep -q 'path/to/' "$1" && grep -q 'build/examples/' "$1" &&
        ! sed -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' "$1" |
            grep -v -e '^#' -e '^$' -e '^cmp ' | grep -v -q 'build/examples/'
}

# same_output EXPECTED ACTUAL
same_output() {
    stop=$(grep -n -x '\.\.\.' "$1" | head -n 1 | cut -d: -f1)
    if [ -n "$stop" ]; then
        head -n $((stop - 1)) "$1" >"$scratch/expected"
        head -n $((stop - 1)) "$2" >"$scratch/actual"
    else
        cat "$1" >"$scratch/expected"
        cat "$2" >"$scratch/actual"
    fi
    # A last line without a newline is no difference.
    diff -u "$scratch/expected" "$scratch/actual" >"$scratch/diff" ||
        { echo >>"$scratch/actual"; diff -u "$scratch/expected" "$scratch/actual" >/dev/null; } ||
        { cat "$scratch/diff"; return 1; }
}

check_block() {
    case $1 in
        *.sh)
            is_runnable "$1" || { echo "not run:"; sed 's/^/    /' "$1"; return 0; }
            ran=$((ran + 1))
            sh -e "$1" >"$scratch/output" 2>"$scratch/errors" </dev/null || {
                echo "fails:"; cat "$1" "$scratch/errors"; return 1; }
            [ ! -e "${1%.sh}.text" ] || same_output "${1%.sh}.text" "$scratch/output" || {
                echo "prints something else:"; cat "$1"; return 1; } ;;
        *.cpp)
            grep -q 'int main' "$1" || return 0
            ran=$((ran + 1))
            block=$1
            shift
            "$@" -fsyntax-only "$block" || { echo "does not compile:"; cat "$block"; return 1; } ;;
    esac
}

for document in README.md examples/README.md; do
    [ -e "$document" ] || continue
    blocks=$(mktemp -d "$scratch/XXXXXX")
    cut_blocks "$document" "$blocks"
    for block in "$blocks"/*; do
        [ -e "$block" ] || continue
        check_block "$block" "$@" || { echo "^ in $document"; failed=$((failed + 1)); }
    done
done
echo "$ran blocks checked, $failed failed"
[ "$failed" -eq 0 ]
