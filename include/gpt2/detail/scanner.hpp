// GPT-2's pre-tokenizer: where a text is cut into pieces before byte pairs are merged.
//
// A hand-written scanner for the pattern of OpenAI's encoder.py,
//     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// over bytes: no regular expression engine, no recursion, linear time, nothing allocated. Every
// byte that is not part of well-formed UTF-8 is a character of the class "other" by itself, so any
// bytes can be cut and the pieces always concatenate to the text.
//
// Before: detail/unicode.hpp, detail/utf8.hpp. Next: detail/bpe.hpp.
#pragma once

#include "unicode.hpp"
#include "utf8.hpp"

#include <array>
#include <cstddef>

namespace gpt2::inline GPT2_ABI {
namespace detail {

struct character {
    char_class kind;
    unsigned char size;  ///< bytes
};

/// The class of each ASCII character; of the other bytes nothing is known alone.
inline constexpr auto ascii_class = [] {
    std::array<char_class, 128> kinds{};
    for (char32_t point = 0; point < kinds.size(); ++point) kinds[point] = class_of(point);
    return kinds;
}();

inline bool is_ascii(char byte) { return static_cast<unsigned char>(byte) < 0x80; }

inline character read_character(const char* at, const char* end) {
    if (is_ascii(*at)) return {ascii_class[static_cast<unsigned char>(*at)], 1};
    const utf8_step step = read_utf8(at, end);
    if (step.what != utf8_step::kind::whole) return {char_class::other, 1};
    return {class_of(step.point), step.size};
}

/// The end of the run of characters of one class that begins at `at`.
inline const char* skip_run(const char* at, const char* end, char_class kind) {
    while (at != end) {
        const character next = read_character(at, end);
        if (next.kind != kind) break;
        at += next.size;
    }
    return at;
}

/// The bytes of 's 't 'm 'd 're 've 'll at the apostrophe `at`, or 0.
inline std::size_t contraction(const char* at, const char* end) {
    if (end - at < 2) return 0;
    const char first = at[1];
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    if (end - at < 3) return 0;
    const char second = at[2];
    const bool found =
        (second == 'e' && (first == 'r' || first == 'v')) || (second == 'l' && first == 'l');
    return found ? 3 : 0;
}

/// The end of a piece of white space: all of a run that ends the text; else all but its last
/// character, which may belong to the next word, unless there is no other.
inline const char* space_end(const char* at, const char* end) {
    const char* last = at;
    for (const char* next = at; next != end;) {
        const character c = read_character(next, end);
        if (c.kind != char_class::space) return last == at ? next : last;
        last = next;
        next += c.size;
    }
    return end;
}

/// The end of the piece that begins at `at`; at < end, and the result lies in (at, end]. Where it
/// cuts depends on at most two characters after the piece: once they stand, nothing that is
/// appended to the text moves the cut.
inline const char* piece_end(const char* at, const char* end) {
    if (*at == '\'')
        if (const std::size_t size = contraction(at, end)) return at + size;
    const char* body = *at == ' ' && end - at > 1 ? at + 1 : at;  // only U+0020 leads a word
    const character first = read_character(body, end);
    if (first.kind == char_class::space) return space_end(at, end);
    return skip_run(body + first.size, end, first.kind);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
