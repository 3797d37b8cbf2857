// Which bytes of a text its tokens stand for.
//
// Byte-level tokens are the bytes of the text one after another, and that is what is found. Where a
// tokenizer changes a text before it cuts it, a token stands where its own text does, in either
// case of ASCII letters; tokens that are not found share the bytes between those that are.
//
// Before: tokenizer.hpp. After: score.hpp.
#pragma once

#include "../tokenizer.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Bytes begin … end-1 of a text.
struct byte_range {
    std::size_t begin = 0, end = 0;

    std::size_t size() const { return end - begin; }
    /// Whether both hold a byte that is the same.
    bool overlaps(const byte_range& other) const {
        return std::max(begin, other.begin) < std::min(end, other.end);
    }
    friend bool operator==(const byte_range&, const byte_range&) = default;
};

namespace detail {

/// Where `word` begins in `text`, from `at` on and at most `reach` bytes later; npos: nowhere near.
inline std::size_t find_near(std::string_view text, std::string_view word, std::size_t at) {
    constexpr std::size_t reach = 64;  // what a tokenizer may leave out between two tokens
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    const auto near = text.substr(at, word.size() + reach);
    const auto found = std::search(near.begin(), near.end(), word.begin(), word.end(),
                                   [&](char a, char b) { return lower(a) == lower(b); });
    if (word.empty() || found == near.end()) return text.npos;
    return at + static_cast<std::size_t>(found - near.begin());
}

/// The bytes of each of `ids`, which `words` made of `text`. O(bytes).
inline std::vector<byte_range> token_ranges(const tokenizer& words, std::string_view text,
                                            std::span<const token_id> ids) {
    constexpr std::string_view spaces = " \t\r\n";
    std::vector<byte_range> ranges(ids.size());
    std::size_t end = 0, unknown = 0;  // of the last one found; the first after it
    const auto share = [&](std::size_t before, std::size_t until) {
        for (; unknown < before; ++unknown) ranges[unknown] = {end, until};
    };
    for (std::size_t i = 0; i < ids.size(); ++i) {
        auto word = words.bytes(ids[i]);
        auto begin = end;
        if (word.empty() || !text.substr(end).starts_with(word)) {
            word.remove_prefix(std::min(word.find_first_not_of(spaces), word.size()));
            word = word.substr(0, word.find_last_not_of(spaces) + 1);
            begin = find_near(text, word, end);
            if (begin == text.npos) continue;
        }
        share(i, begin);
        end = begin + word.size();
        ranges[i] = {begin, end};
        unknown = i + 1;
    }
    share(ids.size(), text.size());
    return ranges;
}

/// The same for ids that came without a text: where they stand in what they decode to.
inline std::vector<byte_range> token_ranges(const tokenizer& words, std::span<const token_id> ids) {
    std::vector<byte_range> ranges;
    std::size_t end = 0;
    for (const token_id id : ids) {
        const auto begin = end;
        end += words.bytes(id).size();
        ranges.push_back({begin, end});
    }
    return ranges;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
