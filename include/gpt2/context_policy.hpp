// What becomes of a text that is longer than the model's context.
//
// Positions are learned, so keys and values cannot be moved to others: to make room, tokens are
// dropped and all that stood behind them is computed again where it then stands. The result is
// that of a new text of the tokens that stay.
//
// Before: error.hpp. After: session.hpp.
#pragma once

#include "core.hpp"
#include "error.hpp"

#include <algorithm>
#include <cstddef>

namespace gpt2::inline GPT2_ABI {

/// When more tokens are wanted than there are positions.
enum class when_full {
    stop,      ///< no more tokens: errc::context_full for a prompt, finish::context_full behind it
    truncate,  ///< the oldest go, no more of them than needed: every token then costs a whole text
    slide,     ///< the oldest go, many at once, so that there is room for as many more
};

/// How a text goes on past its context.
struct context_policy {
    when_full rule = when_full::stop;
    std::size_t keep = 0;  ///< tokens at the beginning that stay in any case
    std::size_t step = 0;  ///< tokens that slide drops at once; 0: half of those it may drop

    /// Raises invalid_argument for a model of so many positions.
    void validate(std::size_t positions) const {
        if (rule == when_full::stop) return;
        if (keep >= positions - 1)
            detail::fail(errc::invalid_argument, "context.keep",
                         {"fewer than ", positions - 1, " tokens"}, keep);
        if (step >= positions - keep)
            detail::fail(errc::invalid_argument, "context.step",
                         {"fewer than ", positions - keep, " tokens"}, step);
    }
};

/// Neighbouring tokens of a text, those that go; those behind them are computed again.
struct dropped_tokens {
    std::size_t first = 0, count = 0;

    /// What dropping them from a text of `length` tokens costs: tokens to compute again.
    std::size_t cost(std::size_t length) const { return count == 0 ? 0 : length - first - count; }

    bool operator==(const dropped_tokens&) const = default;
};

/// Which tokens of a text of `length` go, so that `more` behind it have room in `positions`: none
/// when they have. Raises context_full where the rule is to stop, or when too little could go, and
/// what validate raises.
inline dropped_tokens make_room(const context_policy& policy, std::size_t length, std::size_t more,
                                std::size_t positions) {
    policy.validate(positions);
    if (more <= positions && length <= positions - more) return {};
    // One of the text's tokens stays besides those kept: something to go on from.
    const auto most = length > policy.keep ? length - policy.keep - 1 : 0;
    if (policy.rule == when_full::stop || more > positions || most < length - (positions - more))
        detail::fail(errc::context_full, "context", {"at most ", positions, " positions"},
                     {length, " and ", more, " more"});
    const auto needed = length - (positions - more);
    if (policy.rule == when_full::truncate) return {policy.keep, needed};
    const auto step = policy.step > 0 ? policy.step : (positions - policy.keep) / 2;
    return {policy.keep, std::min(std::max(needed, step), most)};
}

}  // namespace gpt2::inline GPT2_ABI
