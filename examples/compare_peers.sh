#!/bin/sh
# Runs the benchmark and, in turns with it, other engines from PyPI on a model of the same shape,
# and prints one Markdown table.
#
#     sh examples/compare_peers.sh WORK_FOLDER [PEERS_SCRIPT]
#
# WORK_FOLDER takes the results and the peers' model files. PEERS_SCRIPT runs the peers
# (--work --only --threads --json, as peers.py does); without it the table has our columns alone.
# Environment: BENCHMARK, the program (default: build/examples/benchmark in this repository);
# PYTHON, the interpreter of a virtual environment with the peers (default: python3);
# PEERS_OPTIONS, more options for the script; WEIGHTS and THREADS, what to measure.
set -eu

[ $# -eq 1 ] || [ $# -eq 2 ] || {
    echo "usage: compare_peers.sh WORK_FOLDER [PEERS_SCRIPT]" >&2
    exit 2
}
repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
benchmark=${BENCHMARK:-$repository/build/examples/benchmark}
work=$1
peers=${2:-}
mkdir -p "$work"

# The cases of the script that keep weights in as many bits.
cases() {
    case $1 in
        f32) echo '^(llama.cpp|openvino|torch-sdpa|onnxruntime|ctranslate2)/(f32|float32)$' ;;
        int4) echo '^(llama.cpp|openvino)/(q4_0|int4)$' ;;
        int8) echo '^(llama.cpp|openvino|onnxruntime|ctranslate2)/(q8_0|int8)$' ;;
        *) echo '^(llama.cpp|openvino|torch-sdpa)/(f16|bf16)$' ;;
    esac
}

# One table row for each measurement, from the results of ours (two runs, one before and one after
# the peers: their mean) and of the peers, which may be an empty file.
rows() {
    awk -v weights="$1" -v threads="$2" '
        function value(line) {
            sub(/^[^:]*: */, "", line); gsub(/[",}]/, "", line)
            return line + 0
        }
        function text(line) { sub(/^[^:]*: *"/, "", line); sub(/".*/, "", line); return line }
        function offer(what, speed) {
            if (speed > best[what]) { best[what] = speed; who[what] = engine " " dtype }
        }
        function row(name, key, peer,    ours) {
            ours = sum[key "_tokens_per_s"] / runs
            printf "| %s | %s | %s | %.1f ", weights, threads, name, ours
            printf "| %.0f %% |", 100 * sum[key "_share_of_limit"] / runs
            if (best[peer] > 0)
                printf " %.1f | %s | %.2f |\n", best[peer], who[peer], ours / best[peer]
            else print " – | – | – |"
        }
        FILENAME ~ /ours/ && /"(decode|prefill|batch)_(tokens_per_s|share_of_limit)"/ {
            key = $0; sub(/^[^"]*"/, "", key); sub(/".*/, "", key)
            sum[key] += value($0)
            if (key ~ /decode_tokens/) runs++
        }
        FILENAME ~ /peers/ && /"engine":/ { engine = text($0) }
        FILENAME ~ /peers/ && /"dtype":/ { dtype = text($0) }
        FILENAME ~ /peers/ && /"decode":/ { offer("decode", value($0)) }
        FILENAME ~ /peers/ && /"prefill":/ { offer("prefill", value($0)) }
        FILENAME ~ /peers/ && /"batch8":/ { offer("batch8", value($0)) }
        END {
            row("decode", "decode", "decode")
            row("prefill 512", "prefill", "prefill")
            row("batch 8", "batch", "batch8")
        }' "$3" "$4"
}

# Our speed with one kind of weights and arithmetic.
run() {
    "$benchmark" --shape gpt2 --weights "$1" --arithmetic "$2" --threads "$threads" --json \
        >"$work/run.json"
    tr ',' '\n' <"$work/run.json" >>"$work/ours-$1-$2-$threads.txt"
}

table=$work/table.md
{
    echo "| weights | threads | | tokens/s | of the limit | best peer, tokens/s | which | ratio |"
    echo "|---|---|---|---|---|---|---|---|"
} >"$table"
for threads in ${THREADS:-1 2}; do
    for weights in ${WEIGHTS:-f32 bf16 int8 int4}; do
        theirs=$work/peers-$weights-$threads.json
        rules=reproducible
        [ "$weights" = f32 ] || rules="reproducible fast"  # the same with f32 weights
        echo "$weights, threads: $threads" >&2
        for rule in $rules; do
            : >"$work/ours-$weights-$rule-$threads.txt"
            run "$weights" "$rule"
        done
        : >"$theirs"
        if [ -n "$peers" ]; then
            # shellcheck disable=SC2086 # a list of words
            "${PYTHON:-python3}" "$peers" --work "$work" --only "$(cases "$weights")" \
                --threads "$threads" --json "$theirs" ${PEERS_OPTIONS:-} >/dev/null
            for rule in $rules; do run "$weights" "$rule"; done
        fi
        for rule in $rules; do
            name=$weights
            [ "$rule" = reproducible ] || name="$weights, fast"
            rows "$name" "$threads" "$work/ours-$weights-$rule-$threads.txt" "$theirs" >>"$table"
        done
    done
done
cat "$table"
