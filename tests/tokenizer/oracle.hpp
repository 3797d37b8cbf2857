// The tokenizer once more, as plainly as it can be said: the pattern tried alternative by
// alternative with backtracking, merges by looking at every pair again and again. Slow, and sharing
// nothing with the library but the class of a code point, which is checked against outside tables.
#pragma once

#include "../support/files.hpp"

#include <gpt2/detail/unicode.hpp>
#include <gpt2/tokenizer.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

using gpt2::token_id;
using ids = std::vector<token_id>;
using gpt2::detail::char_class;

inline std::filesystem::path reference_folder() {
    return source_folder() / "tests" / "reference" / "tokenizer";
}

inline std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

inline std::string to_utf8(char32_t c) {
    const auto tail = [&](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
    if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
    return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

/// A generator that is the same everywhere.
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    std::size_t below(std::size_t count) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>(state_ >> 33) % count;
    }

private:
    std::uint64_t state_;
};

inline std::uint64_t fnv(std::uint64_t value, unsigned char byte) {
    return (value ^ byte) * 0x100000001B3u;
}

struct oracle_character {
    std::size_t begin, size;
    char_class kind;
};

/// Well-formed is what encoding the decoded code point gives back.
inline std::vector<oracle_character> oracle_characters(std::string_view text) {
    std::vector<oracle_character> list;
    for (std::size_t at = 0; at < text.size(); at += list.back().size) {
        list.push_back({at, 1, char_class::other});
        for (std::size_t size = 1; size <= 4 && at + size <= text.size(); ++size) {
            const auto byte = [&](std::size_t i) {
                return static_cast<unsigned char>(text[at + i]);
            };
            char32_t c = size == 1 ? byte(0) : byte(0) & (0xFFu >> (size + 1));
            for (std::size_t i = 1; i < size; ++i) c = c << 6 | (byte(i) & 0x3Fu);
            const bool scalar = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
            if (!scalar || to_utf8(c) != text.substr(at, size)) continue;
            list.back() = {at, size, gpt2::detail::class_of(c)};
            break;
        }
    }
    return list;
}

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
inline std::vector<std::string_view> oracle_pieces(std::string_view text) {
    const auto all = oracle_characters(text);
    const auto is = [&](std::size_t i, char_class kind) {
        return i < all.size() && all[i].kind == kind;
    };
    const auto match = [&](std::size_t at) -> std::size_t {  // in characters
        const std::string_view rest = text.substr(all[at].begin);
        for (const std::string_view word : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
            if (rest.starts_with(word)) return word.size();
        for (const auto kind : {char_class::letter, char_class::number, char_class::other})
            for (const std::size_t lead : {std::size_t{1}, std::size_t{0}}) {
                if (lead == 1 && rest.front() != ' ') continue;
                std::size_t size = lead;
                while (is(at + size, kind)) ++size;
                if (size > lead) return size;
            }
        std::size_t size = 0;
        while (is(at + size, char_class::space)) ++size;
        for (std::size_t fewer = size; fewer > 0; --fewer)
            if (at + fewer == all.size() || is(at + fewer, char_class::space)) return fewer;
        return size;
    };
    std::vector<std::string_view> pieces;
    for (std::size_t at = 0; at < all.size();) {
        const std::size_t size = match(at);
        REQUIRE(size > 0);
        const std::size_t last = at + size - 1;
        pieces.push_back(
            text.substr(all[at].begin, all[last].begin + all[last].size - all[at].begin));
        at += size;
    }
    return pieces;
}

/// Merging by the rule: the pair of lowest rank, the leftmost of equals, until none is left.
inline void oracle_merge(const gpt2::vocabulary& from, std::string_view piece, ids& out) {
    std::map<std::pair<token_id, token_id>, std::size_t> ranks;
    for (std::size_t i = 0; i < from.merges.size(); ++i)
        ranks.emplace(std::pair(from.merges[i].left, from.merges[i].right), i);
    ids list;
    for (const char c : piece) {
        const auto byte = std::find(from.tokens.begin(), from.tokens.end(), std::string(1, c));
        list.push_back(static_cast<token_id>(byte - from.tokens.begin()));
    }
    for (;;) {
        std::size_t best = from.merges.size(), where = 0;
        for (std::size_t i = 0; i + 1 < list.size(); ++i) {
            const auto found = ranks.find({list[i], list[i + 1]});
            if (found != ranks.end() && found->second < best) best = found->second, where = i;
        }
        if (best == from.merges.size()) break;
        list[where] = from.merges[best].result;
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(where) + 1);
    }
    out.insert(out.end(), list.begin(), list.end());
}

/// The 256 bytes as tokens 0 to 255, and nothing else yet.
inline gpt2::vocabulary bytes_only() {
    gpt2::vocabulary made;
    for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
    return made;
}

/// Adds a merge of two known tokens, and the token that it makes when there is none yet.
inline void add_merge(gpt2::vocabulary& to, const std::string& left, const std::string& right) {
    const auto id = [&](const std::string& bytes) {
        const auto found = std::find(to.tokens.begin(), to.tokens.end(), bytes);
        return static_cast<token_id>(found - to.tokens.begin());
    };
    const token_id joined = id(left + right);
    if (joined == static_cast<token_id>(to.tokens.size())) to.tokens.push_back(left + right);
    to.merges.push_back({id(left), id(right), joined});
}

}  // namespace test
