// Any bytes as a saved text, also with both checksums made right, since no mutation meets them by
// chance: a typed error, or a text that is written as the same bytes again.
#include <gpt2/snapshot.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace {

constexpr gpt2::detail::identity ours{1, 2};

gpt2::config tiny_config() {
    gpt2::config c;
    c.vocabulary_size = 5, c.context_length = 6, c.width = 4, c.layers = 2, c.heads = 2;
    c.inner_width = 5;
    return c;
}

void read(std::string_view bytes, gpt2::detail::kernels::format stored) {
    const gpt2::detail::memory_source source("fuzz",
                                             std::as_bytes(std::span(bytes.data(), bytes.size())));
    try {
        const auto text = gpt2::detail::read_snapshot(source, tiny_config(), ours, stored);
        std::string again;
        gpt2::detail::write_snapshot(text, ours, [&](std::string_view part) { again += part; });
        if (again != bytes) std::abort();
    } catch (const gpt2::error&) {
    }
}

/// Puts the checksum of `of` at `at`.
void put_sum(std::string& bytes, std::size_t at, std::string_view of) {
    const auto sum = gpt2::detail::checksum().add(of).value();
    std::memcpy(bytes.data() + at, &sum, sizeof sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using gpt2::detail::kernels::format, gpt2::detail::snapshot_front_bytes;
    std::string bytes(reinterpret_cast<const char*>(data), size);
    for (const auto stored : {format::f32, format::bf16}) read(bytes, stored);
    if (size < snapshot_front_bytes + 8) return 0;
    const std::string all = bytes;
    put_sum(bytes, snapshot_front_bytes - 8,
            std::string_view(all).substr(0, snapshot_front_bytes - 8));
    put_sum(bytes, size - 8,
            std::string_view(all).substr(snapshot_front_bytes, size - 8 - snapshot_front_bytes));
    for (const auto stored : {format::f32, format::bf16}) read(bytes, stored);
    return 0;
}
