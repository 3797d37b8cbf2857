# Sourced by tests/run.sh and examples/quickstart.sh: puts a compiler, CMake and the libraries in
# place. Debian's packages where apt-get and the right to use it are there; elsewhere CMake
# downloads the libraries itself (GPT2_FETCH_DEPENDENCIES), and only a missing compiler or CMake
# is an error.

say() { printf '%s\n' "$*" >&2; }

# Runs a command as root: directly, through sudo, or not at all (status 1).
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        return 1
    fi
}

# Whether what a Debian package brings is here, from Debian or from elsewhere.
is_here() {
    case $1 in
        g++) command -v c++ >/dev/null 2>&1 || command -v "${CXX:-g++}" >/dev/null 2>&1 ;;
        make) command -v make >/dev/null 2>&1 || command -v ninja >/dev/null 2>&1 ;;
        cmake) command -v cmake >/dev/null 2>&1 ;;
        libeigen3-dev) has_header eigen3/Eigen/Core ;;
        nlohmann-json3-dev) has_header nlohmann/json.hpp ;;
        libcli11-dev) has_header CLI/CLI.hpp ;;
        libbenchmark-dev) has_header benchmark/benchmark.h ;;
        catch2) has_header catch2/catch.hpp || has_header catch2/catch_all.hpp ;;
        g++-aarch64-linux-gnu) command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 ;;
        qemu-user) command -v qemu-aarch64 >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

has_header() { [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ]; }

# install_missing PACKAGE…: installs those that are not here. Ends the script, with the command to
# type, when the compiler or CMake is still missing afterwards.
install_missing() {
    missing=
    for package in "$@"; do
        is_here "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if command -v apt-get >/dev/null 2>&1; then
        say "installing$missing"
        log=$(mktemp)
        # shellcheck disable=SC2086 # a list of words
        if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
               apt-get install -qq -y --no-install-recommends $missing; } >"$log" 2>&1; then
            tail -n 5 "$log" >&2
            say "could not install them; to do it yourself: apt-get install$missing"
        fi
        rm -f "$log"
    fi
    for package in g++ make cmake; do
        is_here "$package" || {
            say "$package is missing: install it with the system's package manager and run again"
            exit 1
        }
    done
}
