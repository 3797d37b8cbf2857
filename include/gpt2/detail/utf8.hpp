// One step through bytes that should be UTF-8: a whole character, one that is cut off, or bytes
// that can never become one.
//
// Ill-formed bytes are never an error here. What counts as one mistake follows Unicode's "maximal
// subpart" (The Unicode Standard 16.0, section 3.9, U+FFFD substitution of maximal subparts).
//
// Before: core.hpp. Next: detail/scanner.hpp and utf8_stream in tokenizer.hpp.
#pragma once

#include "../core.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

struct utf8_step {
    enum class kind : unsigned char { whole, cut, broken };
    kind what;
    unsigned char size;  ///< bytes: of the character, of its beginning, of the maximal subpart
    char32_t point;      ///< the code point of a whole character, else 0
};

/// What stands at `at`; there must be at least one byte. `cut` only when the bytes end inside a
/// character that is well-formed so far.
constexpr utf8_step read_utf8(const char* at, const char* end) {
    using enum utf8_step::kind;
    const auto lead = static_cast<unsigned char>(*at);
    if (lead < 0x80) return {whole, 1, lead};
    if (lead < 0xC2 || lead > 0xF4) return {broken, 1, 0};
    const unsigned char size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;   // no overlong forms,
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;  // surrogates, > U+10FFFF
    char32_t point = lead & (0xFFu >> (size + 1));
    for (unsigned char i = 1; i < size; ++i) {
        if (at + i == end) return {cut, i, 0};
        const auto byte = static_cast<unsigned char>(at[i]);
        if (byte < low || byte > high) return {broken, i, 0};
        point = point << 6 | (byte & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    return {whole, size, point};
}

/// The character that ends just before `at`, which lies behind `begin`; one broken byte when none
/// does.
constexpr utf8_step read_utf8_before(const char* begin, const char* at) {
    for (std::ptrdiff_t size = 1; size <= 4 && size <= at - begin; ++size) {
        const utf8_step step = read_utf8(at - size, at);
        if (step.what == utf8_step::kind::whole && step.size == size) return step;
    }
    return {utf8_step::kind::broken, 1, 0};
}

/// Whether a text is whole characters from its first byte to its last.
inline bool is_utf8(std::string_view text) {
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        if (step.what != utf8_step::kind::whole) return false;
        at += step.size;
    }
    return true;
}

/// Appends the character; `point` is no surrogate and at most U+10FFFF.
inline void append_utf8(std::string& text, char32_t point) {
    const auto tail = [&](int shift) {
        text += static_cast<char>(0x80 | ((point >> shift) & 0x3F));
    };
    if (point < 0x80) {
        text += static_cast<char>(point);
    } else if (point < 0x800) {
        text += static_cast<char>(0xC0 | point >> 6);
        tail(0);
    } else if (point < 0x10000) {
        text += static_cast<char>(0xE0 | point >> 12);
        tail(6);
        tail(0);
    } else {
        text += static_cast<char>(0xF0 | point >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
