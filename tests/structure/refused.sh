# refused.sh FILE COMPILER FLAGS…: FILE compiles as it stands, and no longer once REFUSED is
# defined; the first shows that the second fails for its one line and for nothing else.
set -u
file=$1
shift
"$@" -fsyntax-only "$file" || {
    echo "must compile without REFUSED: $file"
    exit 1
}
if "$@" -fsyntax-only -DREFUSED "$file" 2>/dev/null; then
    echo "must not compile with REFUSED: $file"
    exit 1
fi
