// GPT-2's byte alphabet: how files write tokens that are bytes as characters that can be seen.
//
// Before: detail/utf8.hpp. Used by: detail/tokenizer_builder.hpp, detail/normalizer.hpp,
// detail/token_texts.hpp.
#pragma once

#include "utf8.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// GPT-2's byte alphabet: printable Latin-1 stands for itself, each other byte, in order, for the
/// next character from U+0100 on. This is the way back: the byte of a character, or -1.
inline constexpr auto byte_of_symbol = [] {
    std::array<int, 0x144> bytes{};
    bytes.fill(-1);
    std::size_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        bytes[printable ? static_cast<std::size_t>(byte) : next++] = byte;
    }
    return bytes;
}();

/// The bytes that a string of the vocabulary stands for, or nothing when a character of it is not
/// in the byte alphabet.
inline std::optional<std::string> symbol_bytes(std::string_view symbol) {
    std::string bytes;
    const char* const end = symbol.data() + symbol.size();
    for (const char* at = symbol.data(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        const bool known = step.what == utf8_step::kind::whole &&
                           step.point < byte_of_symbol.size() && byte_of_symbol[step.point] >= 0;
        if (!known) return std::nullopt;
        bytes += static_cast<char>(byte_of_symbol[step.point]);
        at += step.size;
    }
    return bytes;
}

/// Bytes as a string of the byte alphabet: the way there.
inline std::string byte_symbols(std::string_view bytes) {
    static constexpr auto symbols = [] {
        std::array<char32_t, 256> points{};
        for (char32_t point = 0; point < byte_of_symbol.size(); ++point)
            if (byte_of_symbol[point] >= 0)
                points[static_cast<std::size_t>(byte_of_symbol[point])] = point;
        return points;
    }();
    std::string text;
    text.reserve(2 * bytes.size());
    for (const char byte : bytes) append_utf8(text, symbols[static_cast<unsigned char>(byte)]);
    return text;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
