// Any bytes as the index of a TensorFlow checkpoint, and as a block of one whose checksum is right,
// which is what gets past the first check: a typed error, or tensors that lie in their data file.
#include <gpt2/detail/tensor_bundle.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace {

std::shared_ptr<const gpt2::detail::byte_source> source_of(std::string_view bytes) {
    return std::make_shared<gpt2::detail::memory_source>(
        "fuzz", std::as_bytes(std::span(bytes.data(), bytes.size())));
}

void read(std::string_view index) {
    static const std::string data(64, '\0');
    try {
        const auto tensors = gpt2::detail::read_tensor_bundle(
            *source_of(index), [](std::uint64_t, std::uint64_t) { return source_of(data); });
        for (const auto& tensor : tensors)
            if (tensor.bytes() > data.size()) std::abort();
    } catch (const gpt2::error&) {
    }
}

template <class Number>
void append(std::string& bytes, Number number) {
    char raw[sizeof number];
    std::memcpy(raw, &number, sizeof number);
    bytes.append(raw, sizeof number);
}

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}

/// Appends a block, not compressed, with its checksum; where it lies.
std::string place(std::string& file, std::string_view contents) {
    std::string where = varint(file.size()) + varint(contents.size());
    const std::string sealed = std::string(contents) + '\0';
    file += sealed;
    append(file, gpt2::detail::masked(gpt2::detail::crc32c(sealed)));
    return where;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string input(reinterpret_cast<const char*>(data), size);
    read(input);
    const std::string no_whole_keys(4, '\0');
    std::string file;
    const std::string at = place(file, input);
    std::string footer = place(file, no_whole_keys);
    footer +=
        place(file, std::string("\0\0", 2) + static_cast<char>(at.size()) + at + no_whole_keys);
    footer.resize(40);
    file += footer;
    append(file, gpt2::detail::table_magic);
    read(file);
    return 0;
}
