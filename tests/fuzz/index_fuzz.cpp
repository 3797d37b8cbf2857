// Any bytes as model.safetensors.index.json: a typed error, or shards with plain names; any bytes
// as a tensor's name: a canonical name that is its own.
#include <gpt2/detail/hf_folder.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto name = gpt2::detail::canonical_name(text);
    if (gpt2::detail::canonical_name(name) != name) std::abort();
    try {
        const auto document =
            gpt2::detail::parse_json(text, "fuzz", gpt2::detail::index_limits::json);
        for (const auto& [shard, tensors] : gpt2::detail::read_index(document, "fuzz")) {
            const std::filesystem::path path(shard);
            if (tensors.empty() || path.filename() != path || path.is_absolute()) std::abort();
        }
    } catch (const gpt2::error&) {
    }
    return 0;
}
