// The CRC-32 of zip archives and PNG files (ISO 3309: the polynomial 0x04C11DB7, reflected).
//
// Before: core.hpp. Used by: npz.hpp.
#pragma once

#include "../core.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline constexpr auto crc32_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
        table[i] = crc;
    }
    return table;
}();

/// Of bytes that go on behind those whose checksum is `before`. O(n).
constexpr std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0) noexcept {
    std::uint32_t crc = ~before;
    for (const char byte : bytes)
        crc = crc >> 8 ^ crc32_table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
    return ~crc;
}

static_assert(crc32("123456789") == 0xCBF43926u);
static_assert(crc32("6789", crc32("12345")) == 0xCBF43926u);

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
