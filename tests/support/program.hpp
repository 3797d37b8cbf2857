// The example programs from outside: what they print, and how they end.
#pragma once

#include "catch.hpp"

#include <array>
#include <cstdio>
#include <string>

#include <sys/wait.h>

namespace test {

struct outcome {
    int status;
    std::string output;
};

/// Runs an example program with arguments as a shell reads them; `errors` says where standard error
/// goes.
inline outcome run_program(const std::string& name, const std::string& arguments,
                           const std::string& errors = "2>/dev/null") {
    const std::string command = GPT2_EXAMPLES_DIR "/" + name + " " + arguments + " " + errors;
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    std::array<char, 4096> part;
    while (const auto got = std::fread(part.data(), 1, part.size(), pipe))
        text.append(part.data(), got);
    return {WEXITSTATUS(::pclose(pipe)), text};
}

}  // namespace test
