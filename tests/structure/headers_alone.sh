# headers_alone.sh INCLUDE_FOLDER COMPILER FLAGS…: every header below the folder compiles with
# nothing included before it.
set -u
folder=$1
shift
failed=0
count=0
for header in $(cd "$folder" && find gpt2 -name '*.hpp' | sort); do
    count=$((count + 1))
    errors=$("$@" -fsyntax-only -include "$header" -x c++ /dev/null 2>&1) || {
        echo "does not compile alone: $header"
        printf '%s\n' "$errors" | head -n 12
        failed=$((failed + 1))
    }
done
echo "$count headers, $failed failed"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
