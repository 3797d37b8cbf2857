// What must hold for every grammar that is accepted: no walk over allowed tokens meets a dead end.
#pragma once

#include <gpt2/constraint.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace test {

inline void require(bool condition) {
    if (!condition) std::abort();
}

/// Vocabularies with all bytes, and with a few only.
inline const std::vector<gpt2::constraint_tokens>& fuzz_vocabularies() {
    static const auto made = [] {
        std::vector<gpt2::constraint_tokens> all;
        for (const bool whole : {true, false}) {
            gpt2::vocabulary parts;
            for (int byte = 0; byte < 256; ++byte)
                if (whole || (byte >= 'b' && byte <= 'z') || byte == '"' || byte == '1')
                    parts.tokens.emplace_back(1, static_cast<char>(byte));
            for (const char* const text : {"ab", "a", "bc", "aab", "{\"", "\": ", "[[", "]]", "}",
                                           "{}", "\u00e9", "\u6f22b", "1]", "[1", ", \"", "null"})
                if (std::string(text).size() > 1 || !whole) parts.tokens.emplace_back(text);
            parts.cuts = gpt2::cuts::none;
            all.emplace_back(std::make_shared<gpt2::tokenizer>(std::move(parts)));
        }
        return all;
    }();
    return made;
}

/// 50 tokens by chance, with and without a number of tokens to keep to.
inline void walk_constraint(const gpt2::grammar& grammar, std::uint32_t seed) {
    for (const auto& tokens : fuzz_vocabularies()) try {
            const gpt2::constraint made(grammar, tokens);
            std::mt19937 dice(seed);
            auto at = made.start();
            const std::uint64_t needed = at.tokens_needed();
            std::size_t left = gpt2::constraint_cursor::unlimited;
            if (seed % 2 == 0 && needed < 40) left = static_cast<std::size_t>(needed) + seed % 10;
            for (int step = 0; step < 50 && !at.is_complete() && left > 0; ++step) {
                std::vector<gpt2::token_id> ids;
                const auto mask = at.allowed(left);
                for (std::size_t word = 0; word < mask.size(); ++word)
                    for (std::uint64_t bits = mask[word]; bits != 0; bits &= bits - 1)
                        ids.push_back(static_cast<gpt2::token_id>(64 * word) +
                                      std::countr_zero(bits));
                require(!ids.empty() || at.may_end());
                if (ids.empty()) break;
                at.advance(ids[dice() % ids.size()]);
                if (left != gpt2::constraint_cursor::unlimited) --left;
                require(at.tokens_needed() <= left);
            }
            for (const gpt2::token_id id : at.forced(left)) at.advance(id);
        } catch (const gpt2::error& problem) {
            // what such a vocabulary cannot write, or not without great effort
            require(problem.code() == gpt2::errc::limit_exceeded ||
                    std::string(problem.what()) == "constraint: nothing can match");
        }
}

}  // namespace test
