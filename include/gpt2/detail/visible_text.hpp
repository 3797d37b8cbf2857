// Text from anywhere as it may be shown: what would do something to a screen instead of showing on
// it (controls, marks of direction, bytes that are no UTF-8) stands there as an escape.
//
// Before: detail/normalization.hpp. Next: picture_terminal.hpp, detail/drawing.hpp.
#pragma once

#include "normalization.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Letters that are written from right to left, and so turn what stands beside them around.
enum class right_to_left { keep, escape };

inline constexpr code_range right_to_left_ranges[] = {
    {0x590, 0x8ff}, {0xfb1d, 0xfdff}, {0xfe70, 0xfeff}, {0x10800, 0x10fff}, {0x1e800, 0x1efff}};

/// Characters that take two columns in a terminal (Unicode 16, East_Asian_Width W and F, in whole
/// blocks).
inline constexpr code_range wide_ranges[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x26bd, 0x26be},   {0x2705, 0x2705},   {0x270a, 0x270b},
    {0x2728, 0x2728},   {0x274c, 0x274c},   {0x2753, 0x2755},   {0x2795, 0x2797},
    {0x2b50, 0x2b50},   {0x2e80, 0x303e},   {0x3041, 0x4dbf},   {0x4e00, 0xa4cf},
    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},
    {0xfe30, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18cff},
    {0x1aff0, 0x1b2ff}, {0x1f18e, 0x1f19a}, {0x1f200, 0x1f64f}, {0x1f680, 0x1f6ff},
    {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1faff}, {0x20000, 0x3fffd}};

inline void append_hex(std::string& to, std::uint32_t number, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        to += "0123456789abcdef"[number >> shift & 15];
}

/// Appends \n, \t, \x1b, \u200f or \u{1f600}.
inline void append_escape(std::string& to, char32_t point) {
    const auto number = static_cast<std::uint32_t>(point);
    to += '\\';
    if (point == '\n' || point == '\t' || point == '\r') {
        to += point == '\n' ? 'n' : point == '\t' ? 't' : 'r';
    } else if (point < 0x80) {
        to += 'x';
        append_hex(to, number, 2);
    } else if (point < 0x10000) {
        to += 'u';
        append_hex(to, number, 4);
    } else {
        to += "u{";
        append_hex(to, number, point < 0x100000 ? 5 : 6);
        to += '}';
    }
}

/// Whether a character shows as itself: no control, mark of direction or other format character, no
/// white space but the blank, and none that is never assigned.
inline bool is_visible(char32_t point, right_to_left letters) {
    if (point < 0x7f) return point >= 0x20;
    if (is_control(point) || holds(space_ranges, point)) return false;
    if ((point & 0xfffe) == 0xfffe || (point >= 0xfdd0 && point <= 0xfdef)) return false;
    return letters == right_to_left::keep || !holds(right_to_left_ranges, point);
}

/// The bytes as UTF-8 that can be shown; everything else as escapes. Marks at the beginning, which
/// would land on what stands before, are escapes too. Backslashes stay single. O(n).
inline std::string visible(std::string_view bytes, right_to_left letters = right_to_left::escape) {
    std::string text;
    const char* const end = bytes.data() + bytes.size();
    for (const char* at = bytes.data(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        if (step.what != utf8_step::kind::whole) {
            for (int i = 0; i < step.size; ++i) {
                text += "\\x";
                append_hex(text, static_cast<unsigned char>(at[i]), 2);
            }
        } else if (!is_visible(step.point, letters) || (text.empty() && is_mark(step.point))) {
            append_escape(text, step.point);
        } else {
            text.append(at, step.size);
        }
        at += step.size;
    }
    return text;
}

/// A label's bytes with raised dots for blanks at either end, which would not be seen.
inline std::string dotted(std::string_view bytes) {
    const auto first = std::min(bytes.find_first_not_of(' '), bytes.size());
    const auto last = std::max(bytes.find_last_not_of(' ') + 1, first);  // npos + 1 is 0
    std::string text;
    for (std::size_t i = 0; i < first; ++i) text += "·";
    text += bytes.substr(first, last - first);
    for (std::size_t i = last; i < bytes.size(); ++i) text += "·";
    return text;
}

inline std::string visible_label(std::string_view bytes,
                                 right_to_left letters = right_to_left::escape) {
    return visible(dotted(bytes), letters);
}

inline std::size_t columns_of(char32_t point) {
    if (point >= 0x300 && (is_nonspacing_mark(point) || point == 0x20dd)) return 0;
    return point >= 0x1100 && holds(wide_ranges, point) ? 2 : 1;
}

/// The columns that a visible text takes in a terminal.
inline std::size_t columns_of(std::string_view text) {
    std::size_t sum = 0;
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        sum += columns_of(step.point);
        at += step.size;
    }
    return sum;
}

/// As much of a visible text as so many columns hold.
inline std::string_view beginning(std::string_view text, std::size_t columns) {
    std::size_t taken = 0;
    const char* const end = text.data() + text.size();
    const char* at = text.data();
    while (at != end) {
        const utf8_step step = read_utf8(at, end);
        taken += columns_of(step.point);
        if (taken > columns) break;
        at += step.size;
    }
    return {text.data(), at};
}

/// The same, with an ellipsis that says that there is more; `columns` is 1 at least.
inline std::string fitted(std::string_view text, std::size_t columns) {
    if (columns_of(text) <= columns) return std::string(text);
    return std::string(beginning(text, columns - 1)) + "…";
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
