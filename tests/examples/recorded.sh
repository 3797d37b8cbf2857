# recorded.sh PROGRAMS EXAMPLES [--record]: every rung of the ladder and the lesson, in both of its
# languages, print what the .txt beside the source shows, and a rung is 60 lines long at most.
# --record writes what they print instead; look at it before it is committed.
set -u
programs=$1
examples=$2
record=${3:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
count=0
failed=0

complain() {
    echo "$1"
    failed=$((failed + 1))
}

# check TEXT COMMAND…: the command prints what the file says.
check() {
    text=$1
    shift
    count=$((count + 1))
    "$@" >"$scratch/output" 2>"$scratch/errors" || {
        cat "$scratch/errors"
        complain "fails: $*"
        return
    }
    [ "$record" != --record ] || cp "$scratch/output" "$text"
    diff -u "$text" "$scratch/output" || complain "prints something else: $*"
}

for source in "$examples"/ladder/*.cpp; do
    name=$(basename "$source" .cpp)
    [ "$(wc -l <"$source")" -le 60 ] || complain "more than 60 lines: $source"
    check "$examples/ladder/$name.txt" "$programs/ladder/$name"
done
for language in en es; do
    check "$examples/walk/$language.txt" "$programs/walk" --language $language
done
echo "$count outputs compared, $failed failed"
[ "$count" -gt 2 ] && [ "$failed" -eq 0 ]
