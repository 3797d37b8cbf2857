// Bytes as text: two digits each, or base64 (RFC 4648, section 4).
//
// Before: core.hpp. Used by: score_report.hpp, walk_json.hpp.
#pragma once

#include "../core.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The bytes as two digits each.
inline std::string hex_of(std::string_view bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

/// Four characters for three bytes, the last ones filled up with '='.
inline std::string base64_of(std::string_view bytes) {
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto part = bytes.substr(i, 3);
        std::uint32_t bits = 0;
        for (std::size_t b = 0; b < 3; ++b)
            bits = bits << 8 | (b < part.size() ? static_cast<unsigned char>(part[b]) : 0u);
        for (std::size_t d = 0; d < 4; ++d)
            text += d <= part.size() ? digits[bits >> (18 - 6 * d) & 63] : '=';
    }
    return text;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
