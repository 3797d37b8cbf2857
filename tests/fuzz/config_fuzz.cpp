// Any bytes as config.json and generation_config.json: a typed error, or a config that is valid.
#include <gpt2/detail/hf_config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    gpt2::config sizes;
    try {
        const auto document = gpt2::detail::parse_json(text, "fuzz");
        sizes = gpt2::detail::read_hf_config(document, "fuzz");
        gpt2::detail::read_hf_generation_config(document, "fuzz", sizes);
    } catch (const gpt2::error&) {
        return 0;
    }
    try {
        sizes.validate();
        if (sizes.parameter_count() < sizes.vocabulary_size) std::abort();
    } catch (const gpt2::error&) {
        std::abort();
    }
    return 0;
}
