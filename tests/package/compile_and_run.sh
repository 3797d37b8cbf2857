# compile_and_run.sh SOURCE ARGUMENT COMPILER FLAGS…
set -eu
source=$1
argument=$2
shift 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$@" "$source" -o "$scratch/program"
"$scratch/program" "$argument"
