// Logits to log-probabilities, for whoever compares texts instead of drawing tokens.
//
// Before: detail/vocabulary_loops.hpp. After: search.hpp.
#pragma once

#include "../error.hpp"
#include "exp_log.hpp"
#include "vocabulary_loops.hpp"

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// log(e^x / sum e^x) for every logit divided by a temperature > 0, the sum in double, the result
/// rounded to float; -infinity stays. O(V), one thread each.
class log_softmax {
public:
    /// (V), valid until the next call. Raises not_finite for NaN or +infinity, no_candidate when
    /// all are -infinity.
    std::span<const float> operator()(std::span<const float> logits, float temperature = 1) {
        result_.assign(logits.begin(), logits.end());
        if (temperature != 1) widest<divide_lanes>(std::span(result_), 0.0f, temperature);
        const std::span<const float> scores(result_);
        const auto [best, bad] = widest<highest_lanes>(scores);
        if (bad) throw error(errc::not_finite, "log_softmax: a logit is NaN or +infinity");
        if (best == -std::numeric_limits<float>::infinity())
            throw error(errc::no_candidate, "log_softmax: every token is banned (-infinity)");
        weights_.resize(result_.size());
        const double origin = best + log_of(widest<weigh_lanes>(scores, best, std::span(weights_)));
        for (float& x : result_) x = static_cast<float>(static_cast<double>(x) - origin);
        return result_;
    }

private:
    std::vector<float> result_;
    std::vector<double> weights_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
