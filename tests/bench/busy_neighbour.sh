# busy_neighbour.sh BENCHMARK [OPTION…]: decoding, and a prompt of 512, beside a process that burns
# one core: two threads against one. Fails when two are slower. BENCHMARK is the example program,
# its options choose the model:
#
#     sh tests/bench/busy_neighbour.sh build/examples/benchmark --weights int8
set -eu
[ $# -gt 0 ] || {
    echo "usage: busy_neighbour.sh BENCHMARK [OPTION…]" >&2
    exit 2
}

while :; do :; done &
neighbour=$!
trap 'kill $neighbour' EXIT

# value KEY JSON
value() {
    printf '%s' "$2" | tr ',{}' '\n\n\n' | sed -n "s/.*\"$1\" *: *//p"
}

one=$("$@" --threads 1 --json 2>/dev/null)
two=$("$@" --threads 2 --json 2>/dev/null)
status=0
for key in decode_tokens_per_s prefill_tokens_per_s; do
    alone=$(value $key "$one")
    both=$(value $key "$two")
    awk -v key=$key -v one="$alone" -v two="$both" 'BEGIN {
        printf "%-22s %8.1f with one thread %8.1f with two: %.2f times\n", key, one, two, two / one
        exit two < 0.95 * one
    }' || status=1
done
exit $status
