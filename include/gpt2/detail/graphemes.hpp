// Characters as a reader counts them: where one extended grapheme cluster ends.
//
// The rules are those of Unicode Standard Annex 29, written as one pass over code points; the
// classes are what Hugging Face tokenizers carries. A byte that is no UTF-8 stands alone.
//
// Before: detail/unicode_graphemes.hpp, detail/normalization.hpp. Next: detail/charsmap.hpp.
#pragma once

#include "normalization.hpp"
#include "unicode_graphemes.hpp"
#include "utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline grapheme_kind grapheme_kind_of(char32_t point) {
    const std::span<const grapheme_range> ranges = grapheme_ranges;
    const grapheme_range* const found = range_of(ranges, point);
    return found == ranges.data() + ranges.size() ? grapheme_kind::other : found->kind;
}

/// What a cluster holds so far, and whether the next character belongs to it.
class grapheme_state {
public:
    explicit grapheme_state(char32_t first) { take(first, grapheme_kind_of(first)); }

    /// Takes the character in, or says that it begins the next cluster.
    bool joins(char32_t next) {
        using enum grapheme_kind;
        const grapheme_kind kind = grapheme_kind_of(next);
        if (before_ == U'\r' && next == U'\n') return take(next, kind);
        if (kind_ == control || kind == control) return false;
        const bool linked = linked_ && kind == consonant;
        const bool joined = joined_ && kind == pictographic;
        const bool flag = regional_ == 1 && kind_ == regional && kind == regional;
        if (linked || joined || flag || kind_ == prepend || follows(kind) || hangul(next))
            return take(next, kind);
        return false;
    }

private:
    static constexpr char32_t zero_width_joiner = 0x200D;
    enum class syllable : std::uint8_t { none, first, middle, last, open, closed };

    static bool follows(grapheme_kind kind) {
        return kind >= grapheme_kind::spacing && kind <= grapheme_kind::linker;
    }

    static syllable syllable_of(char32_t point) {
        const auto within = [point](char32_t low, char32_t high) {
            return point >= low && point <= high;
        };
        using enum syllable;
        if (within(0x1100, 0x115F) || within(0xA960, 0xA97C)) return first;
        if (within(0x1160, 0x11A7) || within(0xD7B0, 0xD7C6) || point == 0x16D63 ||
            within(0x16D67, 0x16D6A))
            return middle;
        if (within(0x11A8, 0x11FF) || within(0xD7CB, 0xD7FB)) return last;
        if (within(0xAC00, 0xD7A3)) return (point - 0xAC00) % 28 == 0 ? open : closed;
        return none;
    }

    bool hangul(char32_t next) const {
        using enum syllable;
        const syllable left = syllable_of(before_), right = syllable_of(next);
        if (left == first) return right != none && right != last;
        if (left == middle || left == open) return right == middle || right == last;
        return (left == last || left == closed) && right == last;
    }

    bool take(char32_t point, grapheme_kind kind) {
        using enum grapheme_kind;
        joined_ = pictograph_ && point == zero_width_joiner;
        pictograph_ = kind == pictographic ||
                      (pictograph_ && (kind == extend || kind == conjunct || kind == linker));
        linked_ = consonant_ && (kind == linker || (linked_ && kind == conjunct));
        consonant_ = kind == consonant || (consonant_ && (kind == conjunct || kind == linker));
        regional_ = kind == regional ? regional_ + 1 : 0;
        before_ = point;
        kind_ = kind;
        return true;
    }

    char32_t before_ = 0;
    grapheme_kind kind_ = grapheme_kind::other;
    bool pictograph_ = false;  // a pictograph and what may stand behind it; joined_: and a joiner
    bool joined_ = false;
    bool consonant_ = false;  // a consonant and what may stand behind it; linked_: a linker too
    bool linked_ = false;
    unsigned regional_ = 0;
};

/// Bytes of the first cluster of a text that is not empty.
inline std::size_t grapheme_size(std::string_view text) {
    const char *at = text.data(), *const end = at + text.size();
    utf8_step step = read_utf8(at, end);
    if (step.what != utf8_step::kind::whole) return 1;
    grapheme_state state(step.point);
    for (at += step.size; at != end; at += step.size) {
        step = read_utf8(at, end);
        if (step.what != utf8_step::kind::whole || !state.joins(step.point)) break;
    }
    return static_cast<std::size_t>(at - text.data());
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
