# observer_cost.sh REPOSITORY COMPILER FLAG…: an observer that is not there costs nothing.
#
# Compiles one forward pass three times: as it is; from a copy of the headers in which no stage is
# shown (every such call is cut out, and every question whether somebody watches); and with an
# observer, so that a difference is known to be seen. The first two must be the same instructions,
# one by one, operands included. Exit status 0: they are; 77: a tool is missing.
#
#     sh tests/bench/observer_cost.sh . g++ -isystem /usr/include/eigen3
#
# With TIME=MODEL in the environment it also runs bench/observer.cpp with both, in turns.
set -eu
repository=$1
compiler=$2
shift 2
command -v objdump >/dev/null || {
    echo "skipped: needs objdump"
    exit 77
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bare"
cp -r "$repository/include" "$scratch/bare/include"

for header in layers model; do
    sed -E -z -e 's/\n *show\(trace, [^;]*;//g' -e 's/observes(_stream)?<Trace>/false/g' \
        "$repository/include/gpt2/$header.hpp" >"$scratch/bare/include/gpt2/$header.hpp"
    if grep -n 'show(\|observes' "$scratch/bare/include/gpt2/$header.hpp"; then
        echo "above: what still looks for an observer in $header.hpp"
        exit 1
    fi
done

cat >"$scratch/pass.cpp" <<'END'
#include <gpt2/model.hpp>

void watch(gpt2::stage, std::size_t, gpt2::view<float>);

void pass(const gpt2::model& model, std::span<const gpt2::token_id> ids, gpt2::state<float>& state,
          gpt2::view<float> logits) {
    model.forward(ids, state, logits OBSERVER);
}
END

# compile NAME HEADERS OBSERVER FLAG…: its instructions, without addresses, go to NAME.code.
compile() {
    name=$1
    headers=$2
    observer=$3
    shift 3
    "$compiler" -std=c++20 -O2 -DGPT2_SEPARATE "-DOBSERVER=$observer" -I"$headers" "$@" \
        -c "$scratch/pass.cpp" -o "$scratch/$name.o"
    objdump -d --no-show-raw-insn --no-addresses "$scratch/$name.o" | sed -n 's/^\t//p' \
        >"$scratch/$name.code"
    echo "$name: $(wc -l <"$scratch/$name.code") instructions"
}

compile observable "$repository/include" '' "$@"
compile bare "$scratch/bare/include" '' "$@"
compile observed "$repository/include" ',watch' "$@"

if cmp -s "$scratch/observable.code" "$scratch/observed.code"; then
    echo "an observer changed nothing: this check is blind"
    exit 1
fi
if ! cmp -s "$scratch/observable.code" "$scratch/bare.code"; then
    echo "an observer that is not there changes the code:"
    diff "$scratch/observable.code" "$scratch/bare.code" | head -40
    exit 1
fi
echo "an observer that is not there costs nothing: the code is the same"
[ -n "${TIME:-}" ] || exit 0

for name in observable bare; do
    headers=$repository/include
    [ $name = bare ] && headers=$scratch/bare/include
    "$compiler" -std=c++20 -O2 -pthread -I"$headers" "$@" '-DGPT2_BUNDLED_MODEL=""' \
        "$repository/tests/bench/observer.cpp" -o "$scratch/$name"
done
for turn in 1 2 3; do
    for name in observable bare; do
        echo "$name: $("$scratch/$name" "$TIME" | sed -n 's/^nobody *//p') ms"
    done
done
