# symbols.sh COMPILER OBJECT…: an object file that includes the whole library refers to nothing
# that ends the process, writes on the console or reads the environment. The assembler's view of
# it, so what templates and inline functions bring in is seen as well.
set -u
compiler=$1
shift
words='abort|exit|_exit|_Exit|quick_exit|getenv|secure_getenv|system|printf|fprintf|vprintf'
words="$words|vfprintf|puts|putchar|perror|__printf_chk|__fprintf_chk|stdout|stderr|stdin"
words="$words|std::cout|std::cerr|std::clog|std::cin|std::ios_base::Init::Init\\(\\)"

# The offending names among the undefined symbols of an object.
offending() { nm -u -C "$1" | sed 's/^ *[Uwv] //; s/@.*//' | grep -E -x "($words)"; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include <iostream>\n#include <cstdlib>\nint main() { std::cout << 1; std::abort(); }\n' \
    >"$scratch/bad.cpp"
"$compiler" -c "$scratch/bad.cpp" -o "$scratch/bad.o" || exit 1
if [ "$(offending "$scratch/bad.o" | grep -c -E 'abort|cout|Init')" -lt 2 ]; then
    echo "the scan does not see what it must"
    exit 1
fi

status=0
for object in "$@"; do
    if offending "$object"; then
        echo "above: what $object refers to"
        status=1
    fi
done
exit $status
