// How a token came to be: the merges that make it of its bytes, one by one.
//
// The rule is that of detail/bpe.hpp, lowest rank first and of equal ones the leftmost. Nothing
// that stands beside a token ever takes part in merges within it, so its own bytes tell the whole
// story.
//
// Before: tokenizer.hpp. Used by: walk.hpp.
#pragma once

#include "../error.hpp"
#include "../tokenizer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Both sides of a merge, as bytes.
using merge_step = std::array<std::string, 2>;

class merge_steps {
public:
    /// The tokenizer must outlive it. Of kinds that merge no bytes it tells nothing. O(vocabulary).
    explicit merge_steps(const tokenizer& of) : words_(&of) {
        try {
            const auto parts = of.parts();
            for (std::size_t rank = 0; rank < parts.merges.size(); ++rank)
                rules_.try_emplace(key(parts.merges[rank].left, parts.merges[rank].right),
                                   rule{rank, parts.merges[rank].result});
            for (std::size_t id = 0; id < parts.tokens.size(); ++id)
                if (parts.tokens[id].size() == 1)
                    bytes_.try_emplace(parts.tokens[id].front(), static_cast<token_id>(id));
        } catch (const error& problem) {
            if (problem.code() != errc::unsupported) throw;
        }
    }

    /// What was merged, in order; nothing for a byte, and for a token that merging does not reach.
    /// O(bytes²).
    std::vector<merge_step> of(token_id token) const {
        std::vector<token_id> ids;
        for (const char byte : words_->bytes(token)) {
            const auto known = bytes_.find(byte);
            if (known == bytes_.end()) return {};
            ids.push_back(known->second);
        }
        std::vector<merge_step> steps;
        while (const auto best = next(ids)) {
            const auto at = best.place;
            steps.push_back(
                {std::string(words_->bytes(ids[at])), std::string(words_->bytes(ids[at + 1]))});
            ids[at] = best.what->result;
            ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at + 1));
        }
        if (ids.size() != 1 || ids[0] != token) return {};
        return steps;
    }

private:
    struct rule {
        std::size_t rank;
        token_id result;
    };
    struct candidate {
        const rule* what = nullptr;
        std::size_t place = 0;
        explicit operator bool() const { return what != nullptr; }
    };

    static std::uint64_t key(token_id left, token_id right) {
        return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
    }

    candidate next(const std::vector<token_id>& ids) const {
        candidate best;
        for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
            const auto found = rules_.find(key(ids[i], ids[i + 1]));
            if (found == rules_.end()) continue;
            if (!best || found->second.rank < best.what->rank) best = {&found->second, i};
        }
        return best;
    }

    const tokenizer* words_;
    std::unordered_map<std::uint64_t, rule> rules_;
    std::unordered_map<char, token_id> bytes_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
