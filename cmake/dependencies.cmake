# The dependencies: found by find_package, else (GPT2_FETCH_DEPENDENCIES) downloaded at a fixed
# release and hash. All of them are header-only, so a download is unpacked and never configured:
# their own build systems, tests and install rules stay out of ours.

include(FetchContent)

# Downloads a release and names its include folder `target`.
function(gpt2_fetch target include_folder url hash)
    string(REGEX REPLACE "::.*" "" name "${target}")
    message(STATUS "${name}: not found, downloading ${url}")
    FetchContent_Declare(${name} URL "${url}" URL_HASH "SHA256=${hash}"
                         SOURCE_SUBDIR not-configured)  # no such folder: unpack and stop
    FetchContent_MakeAvailable(${name})
    string(TOLOWER "${name}" lower_name)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                          "${${lower_name}_SOURCE_DIR}/${include_folder}")
endfunction()

function(gpt2_fetch_Eigen3)
    gpt2_fetch(Eigen3::Eigen .
        https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
        8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72)
endfunction()

function(gpt2_fetch_nlohmann_json)
    gpt2_fetch(nlohmann_json::nlohmann_json include
        https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
        d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
endfunction()

function(gpt2_fetch_CLI11)
    gpt2_fetch(CLI11::CLI11 include
        https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.1.tar.gz
        73b7ec52261ce8fe980a29df6b4ceb66243bb0b779451dbd3d014cfec9fdbb58)
endfunction()

function(gpt2_fetch_Catch2)
    gpt2_fetch(Catch2::Catch2 single_include
        https://github.com/catchorg/Catch2/archive/refs/tags/v2.13.10.tar.gz
        d54a712b7b1d7708bc7a819a8e6e47b2fde9536f487b89ccbca295072a7d9943)
endfunction()

# The one that is a library, and that nothing else needs: the microbenchmarks in tests/bench are
# left out without it. It is downloaded and built only when asked for, so that a missing network
# never costs anyone the tests.
option(GPT2_FETCH_BENCHMARK "Download Google Benchmark when find_package does not find it" OFF)

# Afterwards there is a target benchmark::benchmark, or a message that says what is left out.
function(gpt2_want_benchmark)
    find_package(benchmark QUIET CONFIG)
    if(NOT TARGET benchmark::benchmark AND GPT2_FETCH_BENCHMARK)
        set(BENCHMARK_ENABLE_TESTING OFF CACHE BOOL "" FORCE)
        set(BENCHMARK_ENABLE_INSTALL OFF CACHE BOOL "" FORCE)
        FetchContent_Declare(benchmark
            URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
            URL_HASH SHA256=6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)
        FetchContent_MakeAvailable(benchmark)
    endif()
    if(NOT TARGET benchmark::benchmark)
        message(STATUS "Google Benchmark was not found: no microbenchmarks (Debian: "
                       "libbenchmark-dev, or -DGPT2_FETCH_BENCHMARK=ON)")
    endif()
endfunction()

set(gpt2_target_Eigen3 Eigen3::Eigen)
set(gpt2_target_nlohmann_json nlohmann_json::nlohmann_json)
set(gpt2_target_Threads Threads::Threads)
set(gpt2_target_CLI11 CLI11::CLI11)
set(gpt2_target_Catch2 Catch2::Catch2)

set(gpt2_wanted_Eigen3 3.4 CONFIG)
set(gpt2_wanted_nlohmann_json 3.11 CONFIG)
set(gpt2_wanted_Threads REQUIRED)
set(gpt2_wanted_CLI11 2.1 CONFIG)
set(gpt2_wanted_Catch2 CONFIG)

# gpt2_require(Eigen3 …): every named package is a target afterwards, or the configuration stops
# and says what to do. A target that the including project has already made is taken as it is; one
# found here is made global, because a project that adds this one as a subfolder must see it too.
macro(gpt2_require)
    foreach(package IN ITEMS ${ARGV})
        if(NOT TARGET ${gpt2_target_${package}})
            find_package(${package} ${gpt2_wanted_${package}} QUIET)
            if(TARGET ${gpt2_target_${package}})
                set_target_properties(${gpt2_target_${package}} PROPERTIES IMPORTED_GLOBAL TRUE)
            elseif(GPT2_FETCH_DEPENDENCIES)
                cmake_language(CALL gpt2_fetch_${package})
            else()
                message(FATAL_ERROR "${package} was not found. gpt2 needs Eigen 3.4, its "
                    "executables CLI11 2.1 and nlohmann_json 3.11, its tests nlohmann_json and "
                    "Catch2 2.13 or 3, or later ones (Debian: libeigen3-dev libcli11-dev "
                    "nlohmann-json3-dev catch2). "
                    "Install it, or configure with -DGPT2_FETCH_DEPENDENCIES=ON to download it.")
            endif()
        endif()
    endforeach()
endmacro()
