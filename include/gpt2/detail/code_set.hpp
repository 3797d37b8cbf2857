// Sets of Unicode characters as ranges, and the bytes that UTF-8 writes them with.
//
// Surrogates are no characters: no set holds them, and the opposite of a set does not either. A
// set's bytes are given as sequences of byte ranges, each of which stands for all its products.
//
// Before: detail/utf8.hpp. Next: detail/automaton_draft.hpp, detail/regex_reader.hpp.
#pragma once

#include "utf8.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline constexpr char32_t last_code_point = 0x10FFFF;

/// The characters that one place of a text may have.
class code_set {
public:
    struct range {
        char32_t first, last;
    };

    code_set() = default;
    explicit code_set(char32_t only) : code_set(only, only) {}
    code_set(char32_t first, char32_t last) { add(first, last); }

    void add(char32_t first, char32_t last) { ranges_.push_back({first, last}); }
    void add(const code_set& more) {
        ranges_.insert(ranges_.end(), more.ranges_.begin(), more.ranges_.end());
    }

    /// All characters that are not in this set. O(n log n), as ranges().
    code_set opposite() const {
        code_set made;
        char32_t next = 0;
        for (const range& taken : ranges()) {
            if (taken.first > next) made.add(next, taken.first - 1);
            next = taken.last + 1;
        }
        if (next <= last_code_point) made.add(next, last_code_point);
        return made;
    }
    code_set without(const code_set& less) const {
        code_set kept = opposite();
        kept.add(less);
        return kept.opposite();
    }

    /// In order, apart from each other, and without surrogates.
    std::vector<range> ranges() const {
        std::vector<range> sorted;
        for (const range& given : ranges_) {
            if (given.first < 0xD800)
                sorted.push_back({given.first, std::min(given.last, char32_t{0xD7FF})});
            if (given.last > 0xDFFF)
                sorted.push_back({std::max(given.first, char32_t{0xE000}), given.last});
        }
        std::sort(sorted.begin(), sorted.end(),
                  [](const range& a, const range& b) { return a.first < b.first; });
        std::vector<range> joined;
        for (const range& next : sorted) {
            if (!joined.empty() && next.first <= joined.back().last + 1)
                joined.back().last = std::max(joined.back().last, next.last);
            else
                joined.push_back(next);
        }
        return joined;
    }
    bool empty() const { return ranges().empty(); }

private:
    std::vector<range> ranges_;
};

/// The bytes that one place of a text may have.
struct byte_interval {
    unsigned char low, high;
};
using byte_sequence = std::vector<byte_interval>;

/// Appends what UTF-8 writes for the characters first … last, none of them a surrogate. A range is
/// halved until all its characters differ in whole trailing bytes only.
inline void append_utf8_sequences(code_set::range of, std::vector<byte_sequence>& to) {
    std::vector<code_set::range> waiting{of};
    while (!waiting.empty()) {
        const auto [first, last] = waiting.back();
        waiting.pop_back();
        char32_t cut = last;  // where the first part ends
        for (const char32_t end : {0x7Fu, 0x7FFu, 0xFFFFu})
            if (first <= end && end < last) cut = std::min(cut, static_cast<char32_t>(end));
        for (int tail = 1; tail < 4 && cut == last && last > 0x7F; ++tail) {
            const char32_t low = (char32_t{1} << 6 * tail) - 1;
            if ((first & ~low) == (last & ~low)) break;
            if ((first & low) != 0)
                cut = first | low;
            else if ((last & low) != low)
                cut = (last & ~low) - 1;
        }
        if (cut != last) {
            waiting.push_back({cut + 1, last});
            waiting.push_back({first, cut});
            continue;
        }
        std::string low, high;
        append_utf8(low, first);
        append_utf8(high, last);
        byte_sequence bytes;
        for (std::size_t i = 0; i < low.size(); ++i)
            bytes.push_back(
                {static_cast<unsigned char>(low[i]), static_cast<unsigned char>(high[i])});
        to.push_back(std::move(bytes));
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
