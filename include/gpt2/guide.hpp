// What a text may be made of, token by token: the face that constrained output shows to a
// generation. constraint.hpp makes guides from grammars; a user may write one.
//
// Before: core.hpp. Next: constraint.hpp; options.hpp, whose options take one.
#pragma once

#include "core.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Guides one text. Used by one thread at a time.
class guide {
public:
    virtual ~guide() = default;

    /// The tokens that may come next, token i as bit i % 64 of word i / 64, when at most `left`
    /// more can be written (an end of text takes none); valid until the next call. Raises
    /// invalid_argument when `left` is not enough.
    virtual std::span<const std::uint64_t> allowed(std::size_t left) = 0;

    /// The next tokens where there is no choice, at most `left` of them; else none. They are
    /// written without asking the model.
    virtual std::vector<token_id> forced(std::size_t left) = 0;

    /// The text goes on by this token.
    virtual void advance(token_id token) = 0;

    /// Whether nothing but an end of text can follow.
    virtual bool is_complete() const = 0;
};

/// Gives each text a guide of its own.
using guides = std::function<std::unique_ptr<guide>()>;

namespace detail {

/// What a guide allows when `left` tokens can be written, copied into `mask` for a vocabulary that
/// may be padded beyond the tokens there are.
inline std::span<const std::uint64_t> allowed_by(guide& from, std::size_t left,
                                                 std::size_t vocabulary,
                                                 std::vector<std::uint64_t>& mask) {
    const auto given = from.allowed(left);
    mask.assign((vocabulary + 63) / 64, 0);
    std::copy_n(given.begin(), std::min(given.size(), mask.size()), mask.begin());
    return mask;
}

}  // namespace detail

}  // namespace gpt2::inline GPT2_ABI
