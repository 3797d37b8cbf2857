// Any text as a regular expression: a typed error, or a constraint without dead ends. The first
// byte chooses the walk.
#include "walk_constraint.hpp"

#include <gpt2/grammar.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::optional<gpt2::grammar> made;
    try {
        made = gpt2::matching({reinterpret_cast<const char*>(data) + 1, size - 1});
    } catch (const gpt2::error&) {
        return 0;  // refused: the only other outcome
    }
    test::walk_constraint(*made, data[0]);
    return 0;
}
