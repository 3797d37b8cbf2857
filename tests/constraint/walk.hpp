// Small vocabularies, and walks through what a constraint allows.
#pragma once

#include "../support/catch.hpp"

#include <gpt2/constraint.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

using gpt2::token_id;

/// Tokens without merges; the last one is special and ends a text.
inline gpt2::constraint_tokens tokens_of(std::vector<std::string> texts) {
    const auto end = static_cast<token_id>(texts.size());
    gpt2::vocabulary parts;
    parts.tokens = std::move(texts);
    parts.cuts = gpt2::cuts::none;
    parts.added.push_back({"<end>", end, true});
    return gpt2::constraint_tokens(std::make_shared<gpt2::tokenizer>(std::move(parts)), {end});
}

/// All 256 bytes, and some longer tokens.
inline gpt2::constraint_tokens all_bytes(std::vector<std::string> more = {}) {
    std::vector<std::string> texts;
    for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
    texts.insert(texts.end(), more.begin(), more.end());
    return tokens_of(std::move(texts));
}

inline bool is_set(std::span<const std::uint64_t> mask, token_id id) {
    return (mask[static_cast<std::size_t>(id) / 64] >> (id % 64) & 1) != 0;
}

inline std::vector<token_id> ids_of(std::span<const std::uint64_t> mask) {
    std::vector<token_id> ids;
    for (std::size_t word = 0; word < mask.size(); ++word)
        for (std::uint64_t bits = mask[word]; bits != 0; bits &= bits - 1)
            ids.push_back(static_cast<token_id>(64 * word) + std::countr_zero(bits));
    return ids;
}

/// Whether a text is one of the grammar, byte by byte.
inline bool matches(const gpt2::constraint& of, std::string_view text) {
    auto at = of.start();
    for (const char c : text) {
        const auto id = static_cast<token_id>(static_cast<unsigned char>(c));
        if (!at.allows(id)) return false;
        at.advance(id);
    }
    return at.may_end();
}
inline bool matches(const gpt2::grammar& of, std::string_view text) {
    static const auto bytes = all_bytes();
    return matches(gpt2::constraint(of, bytes), text);
}

/// The code of the error that making a grammar raises; 0: none.
template <class Make>
std::string refusal(Make make) {
    const auto problem = error_of(make);
    return problem ? problem->what() : "none";
}

}  // namespace test
