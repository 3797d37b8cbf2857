# headers_alone.sh INCLUDE_FOLDER COMPILER FLAGS…: every header below the folder compiles with
# nothing included before it, and all of them compile together.
set -u
folder=$1
shift
failed=0
count=0
# The umbrella is read once for all that begin with it.
umbrella=$(mktemp -d)
trap 'rm -rf "$umbrella"' EXIT
echo '#include <gpt2/gpt2.hpp>' >"$umbrella/gpt2.hpp"
"$@" -DGPT2_ALONE -x c++-header "$umbrella/gpt2.hpp" -o "$umbrella/gpt2.hpp.gch" || exit 1
for header in $(cd "$folder" && find gpt2 -name '*.hpp' | sort); do
    count=$((count + 1))
    [ "$header" = gpt2/separate.hpp ] && define=-DGPT2_SEPARATE || define=-DGPT2_ALONE
    before=
    if grep -q '^#include "\(\.\./\)*gpt2\.hpp"' "$folder/$header"; then
        before="-include $umbrella/gpt2.hpp"
    fi
    # shellcheck disable=SC2086
    errors=$("$@" "$define" -fsyntax-only $before -include "$header" -x c++ /dev/null 2>&1) || {
        echo "does not compile alone: $header"
        printf '%s\n' "$errors" | head -n 12
        failed=$((failed + 1))
    }
done
all=$(cd "$folder" && find gpt2 -name '*.hpp' ! -name separate.hpp | sort |
    sed 's/.*/#include <&>/')
printf '%s\n' "$all" | "$@" -fsyntax-only -x c++ - || {
    echo "above: what all headers together do not compile for"
    failed=$((failed + 1))
}
echo "$count headers, $failed failed"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
