// Sets of characters as regular expressions name them, and steps from one character to the next.
//
// The classes are those of Unicode 16.0, as Oniguruma within Hugging Face tokenizers has them. A
// byte that is no UTF-8 is a character by itself: beyond all code points, in no class.
//
// Before: detail/scanner.hpp, detail/normalization.hpp. Next: detail/pattern.hpp.
#pragma once

#include "normalization.hpp"
#include "scanner.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Where something stands in a text, in bytes.
struct text_span {
    std::size_t begin, end;
    std::size_t beyond = 0;  ///< bytes behind the end that were looked at to find it
};

/// The character that stands at `at`; an ill-formed byte is one by itself, beyond all code points.
struct text_character {
    static constexpr char32_t ill_formed = 0x110000;
    char32_t point;
    std::size_t size;
};
inline text_character character_at(std::string_view text, std::size_t at) {
    const utf8_step step = read_utf8(text.data() + at, text.data() + text.size());
    if (step.what != utf8_step::kind::whole) return {text_character::ill_formed, 1};
    return {step.point, step.size};
}

/// The zeros of all decimal digits (Nd) of Unicode 16.0: nine more follow each.
inline constexpr char32_t digit_zeros[] = {
    0x30,    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,
    0xc66,   0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,
    0x1810,  0x1946,  0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,
    0xa8d0,  0xa900,  0xa9d0,  0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x10d40,
    0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0,
    0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130,
    0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
};

inline bool is_decimal_digit(char32_t point) {
    const auto after = std::upper_bound(std::begin(digit_zeros), std::end(digit_zeros), point);
    return after != std::begin(digit_zeros) && point < *std::prev(after) + 10;
}

/// \w as Oniguruma has it in a set: without the joiners.
inline bool is_pattern_word(char32_t point) {
    return is_word(point) && point != 0x200C && point != 0x200D;
}

/// The characters that one place of a pattern accepts.
class character_set {
public:
    enum class kind : unsigned char { space, digit, word, letter, number };

    void add(char32_t first, char32_t last) { ranges_.push_back({first, last}); }
    void add(kind of, bool opposite) { kinds_.emplace_back(of, opposite); }
    void invert() { inverted_ = !inverted_; }

    bool holds(char32_t point) const { return inverted_ != listed(point); }

private:
    bool listed(char32_t point) const {
        for (const code_range& range : ranges_)
            if (point >= range.first && point <= range.last) return true;
        for (const auto& [of, opposite] : kinds_)
            if (opposite != is(of, point)) return true;
        return false;
    }
    static bool is(kind of, char32_t point) {
        switch (of) {
            case kind::space:
                return class_of(point) == char_class::space;
            case kind::letter:
                return class_of(point) == char_class::letter;
            case kind::number:
                return class_of(point) == char_class::number;
            case kind::digit:
                return is_decimal_digit(point);
            case kind::word:
                return is_pattern_word(point);
        }
        return false;
    }

    std::vector<code_range> ranges_;
    std::vector<std::pair<kind, bool>> kinds_;
    bool inverted_ = false;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
