// Text as tokenizers normalise it: normal forms, lower case, marks taken away, and the classes of
// characters that they cut at.
//
// The tables are those of Hugging Face tokenizers (see unicode_forms.hpp): a text comes out as the
// one that a model was trained on. Bytes that are no UTF-8 stay as they are, each alone, and
// nothing composes or is ordered across them. Time is O(n log n) whatever the text, even of marks
// alone.
//
// Before: detail/unicode_forms.hpp, detail/unicode_marks.hpp, detail/utf8.hpp.
#pragma once

#include "unicode_forms.hpp"
#include "unicode_marks.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

enum class normal_form { nfc, nfd, nfkc, nfkd };

/// The range that holds the point, of ranges in ascending order, or their end. O(log n).
template <class Range>
const Range* range_of(std::span<const Range> ranges, char32_t point) {
    const auto after =
        std::upper_bound(ranges.begin(), ranges.end(), point,
                         [](char32_t value, const Range& range) { return value < range.first; });
    const bool inside = after != ranges.begin() && point <= std::prev(after)->last;
    return ranges.data() + (inside ? after - ranges.begin() - 1 : std::ssize(ranges));
}

inline bool holds(std::span<const code_range> ranges, char32_t point) {
    return range_of(ranges, point) != ranges.data() + ranges.size();
}

/// General category M, and of these Mn.
inline bool is_mark(char32_t point) { return point >= 0x300 && holds(mark_ranges, point); }
inline bool is_nonspacing_mark(char32_t point) {
    return point >= 0x300 && holds(nonspacing_mark_ranges, point);
}
/// General category P, and the symbols of ASCII: what BERT cuts at.
inline bool is_punctuation(char32_t point) { return holds(punctuation_ranges, point); }
/// Cc, Cf and Co, white space such as \n among them; what is unassigned counts as none of these.
inline bool is_control(char32_t point) { return holds(control_ranges, point); }
/// The blocks of ideographs that BERT sets apart.
inline bool is_chinese(char32_t point) { return point >= 0x3400 && holds(chinese_ranges, point); }

/// The place of a point in the canonical order of marks; 0 for what is not reordered.
inline std::uint8_t combining_class(char32_t point) {
    const std::span<const combining_range> ranges = combining_ranges;
    if (point < ranges.front().first) return 0;
    const combining_range* const found = range_of(ranges, point);
    return found == ranges.data() + ranges.size() ? std::uint8_t{0} : found->rank;
}

/// The packed decompositions laid out for look-up, and the compositions that follow from them.
class decomposition_table {
public:
    /// The one table: made when first asked for, in less than a millisecond.
    static const decomposition_table& instance() {
        static const decomposition_table table;
        return table;
    }

    enum class kind : std::uint8_t { composes, canonical, compatible };

    /// What a point falls into in full; nothing when it stays, or is Hangul.
    std::u32string_view find(char32_t point, bool compatible) const {
        if (point < 0xA0 || point >= 256 * (pages_.size() - 1)) return {};
        std::size_t at = pages_[point / 256];
        const std::size_t end = pages_[point / 256 + 1];
        const auto found =
            std::lower_bound(entries_.begin() + static_cast<std::ptrdiff_t>(at),
                             entries_.begin() + static_cast<std::ptrdiff_t>(end), point,
                             [](const entry& left, char32_t right) { return left.from < right; });
        at = static_cast<std::size_t>(found - entries_.begin());
        if (at == end || entries_[at].from != point) return {};
        const bool both = at + 1 < end && entries_[at + 1].from == point;
        if (compatible && both) ++at;  // the canonical one stands first
        if (!compatible && entries_[at].what == kind::compatible) return {};
        return std::u32string_view(points_).substr(entries_[at].at, entries_[at].size);
    }

    /// The one character that two are canonically, or 0. Hangul is left out.
    char32_t compose(char32_t first, char32_t second) const {
        const auto found = std::lower_bound(
            pairs_.begin(), pairs_.end(), std::pair(first, second),
            [](const pair& left, const auto& right) { return left.parts < right; });
        return found != pairs_.end() && found->parts == std::pair(first, second) ? found->whole : 0;
    }

private:
    struct entry {
        char32_t from;
        std::uint32_t at;
        std::uint8_t size;
        kind what;
    };
    struct pair {
        std::pair<char32_t, char32_t> parts;
        char32_t whole;
    };

    decomposition_table() {
        unpack();
        for (std::size_t i = 0, page = 0; page < pages_.size(); ++page) {
            while (i < entries_.size() && entries_[i].from < 256 * page) ++i;
            pages_[page] = static_cast<std::uint16_t>(i);
        }
        pairs_.reserve(composite_count);
        for (std::size_t length = 2; pairs_.size() < composite_count; ++length) add_pairs(length);
    }

    static std::uint32_t digit(char c) {
        const auto byte = static_cast<std::uint32_t>(c);
        if (c <= '-') return c == '+' ? 62 : 63;
        return byte - (c <= '9' ? '0' : c <= 'Z' ? 'A' - 10 : 'a' - 36);
    }

    void unpack() {
        const char* next = packed_decompositions;
        const auto number = [&next] {
            std::uint32_t value = 0, five;
            do value = value << 5 | ((five = digit(*next++)) & 31);
            while (five >= 32);
            return value;
        };
        std::array<std::uint32_t, 32> before{};
        entries_.reserve(decomposition_count);
        for (char32_t from = 0; entries_.size() < decomposition_count;) {
            const std::uint32_t head = number(), size = number();
            from += head / 3;
            entries_.push_back({from, static_cast<std::uint32_t>(points_.size()),
                                static_cast<std::uint8_t>(size), static_cast<kind>(head % 3)});
            for (std::uint32_t i = 0; i < size; ++i) {
                const std::uint32_t zigzag = number();
                before[i] += zigzag / 2 ^ (0u - (zigzag & 1));
                points_ += static_cast<char32_t>(before[i]);
            }
        }
    }

    /// Those of `length` points: all but the last compose, by shorter ones, into the first of two.
    void add_pairs(std::size_t length) {
        const std::size_t known = pairs_.size();
        for (const entry& from : entries_) {
            if (from.what != kind::composes || from.size != length) continue;
            char32_t first = points_[from.at];
            for (std::size_t i = 1; i + 1 < length; ++i)
                first = compose(first, points_[from.at + i]);
            added_.push_back({{first, points_[from.at + length - 1]}, from.from});
        }
        pairs_.insert(pairs_.end(), added_.begin(), added_.end());
        added_.clear();
        const auto by_parts = [](const pair& a, const pair& b) { return a.parts < b.parts; };
        std::sort(pairs_.begin() + static_cast<std::ptrdiff_t>(known), pairs_.end(), by_parts);
        std::inplace_merge(pairs_.begin(), pairs_.begin() + static_cast<std::ptrdiff_t>(known),
                           pairs_.end(), by_parts);
    }

    std::vector<entry> entries_;
    std::u32string points_;
    std::array<std::uint16_t, 0x2FC> pages_{};  // the first entry of each 256 points
    std::vector<pair> pairs_, added_;
};

/// Characters in, their normal form out: a starter and the marks behind it are kept back until
/// nothing that follows can change them.
class form_writer {
public:
    form_writer(normal_form form, std::string& out)
        : composes_(form == normal_form::nfc || form == normal_form::nfkc),
          compatible_(form == normal_form::nfkc || form == normal_form::nfkd),
          out_(out) {}

    void push(char32_t point) {
        if (point - hangul < hangul_count) {
            const char32_t place = point - hangul;
            if (composes_) return push_whole(point);
            push_whole(hangul_first + place / (hangul_middles * hangul_lasts));
            push_whole(hangul_middle + place / hangul_lasts % hangul_middles);
            if (place % hangul_lasts != 0) push_whole(hangul_last + place % hangul_lasts);
            return;
        }
        const std::u32string_view parts = table_.find(point, compatible_);
        if (parts.empty()) push_whole(point);
        for (const char32_t part : parts) push_whole(part);
    }

    /// Writes what was kept back.
    void finish() {
        settle();
        for (const std::uint32_t unit : kept_) append_utf8(out_, unit & 0x1FFFFF);
        kept_.clear();
    }

private:
    static constexpr char32_t hangul = 0xAC00, hangul_first = 0x1100, hangul_middle = 0x1161,
                              hangul_last = 0x11A7, hangul_firsts = 19, hangul_middles = 21,
                              hangul_lasts = 28,
                              hangul_count = hangul_firsts * hangul_middles * hangul_lasts;

    void push_whole(char32_t point) {
        const std::uint32_t rank = combining_class(point);
        if (rank == 0) {
            settle();
            if (composes_ && kept_.size() == 1 && kept_[0] >> 24 == 0) {
                if (const char32_t whole = compose(kept_[0], point)) {
                    kept_[0] = whole;
                    return;
                }
            }
            finish();
        }
        settled_ = false;
        kept_.push_back(rank << 24 | point);
    }

    char32_t compose(char32_t first, char32_t second) const {
        if (first - hangul_first < hangul_firsts && second - hangul_middle < hangul_middles)
            return hangul + ((first - hangul_first) * hangul_middles + (second - hangul_middle)) *
                                hangul_lasts;
        if (first - hangul < hangul_count && (first - hangul) % hangul_lasts == 0 &&
            second - (hangul_last + 1) < hangul_lasts - 1)
            return first + (second - hangul_last);
        return second < 0x300 ? 0 : table_.compose(first, second);
    }

    /// Brings the marks into canonical order and composes what is not blocked.
    void settle() {
        if (settled_) return;
        settled_ = true;
        if (kept_.size() < 2) return;
        const auto by_rank = [](std::uint32_t a, std::uint32_t b) { return a >> 24 < b >> 24; };
        const auto marks = kept_.begin() + (kept_[0] >> 24 == 0 ? 1 : 0);
        std::stable_sort(marks, kept_.end(), by_rank);
        if (!composes_ || kept_[0] >> 24 != 0) return;
        std::size_t count = 1;
        std::uint32_t last = 0;
        for (std::size_t i = 1; i < kept_.size(); ++i) {
            const std::uint32_t rank = kept_[i] >> 24;
            const char32_t whole = rank > last ? compose(kept_[0], kept_[i] & 0x1FFFFF) : 0;
            if (whole != 0) {
                kept_[0] = whole;
            } else {
                last = rank;
                kept_[count++] = kept_[i];
            }
        }
        kept_.resize(count);
    }

    const decomposition_table& table_ = decomposition_table::instance();
    bool composes_, compatible_, settled_ = true;
    std::string& out_;
    std::vector<std::uint32_t> kept_;  // class << 24 | point: a starter, if any, and its marks
};

inline bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Calls `character(point)` for each character and `broken(byte)` for each byte that is none.
template <class Character, class Broken>
void for_each_character(std::string_view text, Character&& character, Broken&& broken) {
    for (const char *at = text.data(), *end = at + text.size(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        if (step.what == utf8_step::kind::whole) {
            character(step.point);
            at += step.size;
        } else {
            broken(*at++);
        }
    }
}

/// The text in a normal form. O(n log n); threads may share.
inline std::string normalized(std::string_view text, normal_form form) {
    std::string out;
    if (is_ascii(text)) return out = text;
    out.reserve(text.size() + text.size() / 4);
    form_writer writer(form, out);
    for_each_character(
        text, [&](char32_t point) { writer.push(point); },
        [&](char byte) {
            writer.finish();
            out += byte;
        });
    writer.finish();
    return out;
}

/// The lower case of one point, which for U+0130 alone is not all of it. O(log n).
inline char32_t lower_case(char32_t point) {
    if (point < 0x80) return point - U'A' < 26 ? point + 32 : point;
    if (point == 0x130) return U'i';
    const std::span<const lower_range> ranges = lower_ranges;
    const lower_range* const found = range_of(ranges, point);
    const bool falls =
        found != ranges.data() + ranges.size() && (point - found->first) % found->step == 0;
    return falls ? point + static_cast<char32_t>(found->difference) : point;
}

/// Whether the point has a lower case of its own.
inline bool is_upper(char32_t point) { return lower_case(point) != point; }

/// Whether the point is the lower case of another. O(n) beyond ASCII.
inline bool is_lower(char32_t point) {
    if (point < 0x80) return point - U'a' < 26;
    return std::any_of(std::begin(lower_ranges), std::end(lower_ranges), [&](const auto& range) {
        const char32_t upper = point - static_cast<char32_t>(range.difference);
        return upper >= range.first && upper <= range.last &&
               (upper - range.first) % range.step == 0;
    });
}

/// Lower case, character by character: what stands beside one does not matter. O(n).
inline std::string lowercased(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for_each_character(
        text,
        [&](char32_t point) {
            if (point == 0x130)
                out += "i\u0307";
            else
                append_utf8(out, lower_case(point));
        },
        [&](char byte) { out += byte; });
    return out;
}

/// The text without the characters that `drop(point)` names.
template <class Drop>
std::string without(std::string_view text, Drop&& drop) {
    std::string out;
    out.reserve(text.size());
    for_each_character(
        text,
        [&](char32_t point) {
            if (!drop(point)) append_utf8(out, point);
        },
        [&](char byte) { out += byte; });
    return out;
}

/// Without marks (category M), as StripAccents has it; decompose first. O(n).
inline std::string without_marks(std::string_view text) { return without(text, is_mark); }

/// Without nonspacing marks (Mn), as BertNormalizer has it; decompose first. O(n).
inline std::string without_nonspacing_marks(std::string_view text) {
    return without(text, is_nonspacing_mark);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
