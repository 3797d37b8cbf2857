// Any bytes as JSON: a typed error, or a document that nlohmann's parser builds equal; and where it
// is no JSON, the byte at which nlohmann stops too.
#include "../support/json.hpp"

#include <gpt2/detail/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        gpt2::detail::parse_json(text, "fuzz");
    } catch (const gpt2::error& problem) {
        if (problem.code() != gpt2::errc::bad_json && problem.code() != gpt2::errc::limit_exceeded)
            std::abort();
    }
    if (!test::json_difference(text).empty()) std::abort();
    return 0;
}
