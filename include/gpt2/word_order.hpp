// The same words in another order: what a model makes of "the dog chases the cat" and of "the cat
// chases the dog", depth by depth. Vectors of tokens know no order; with positions, and with every
// layer of attention, the texts come apart.
//
// Before: experiment.hpp, score.hpp.
#pragma once

#include "detail/token_reader.hpp"
#include "error.hpp"
#include "experiment.hpp"
#include "gpt2.hpp"
#include "observers.hpp"
#include "prompt.hpp"
#include "recording.hpp"
#include "score.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

struct order_options {
    std::size_t alternatives = 5;  ///< how many of the likeliest next tokens to list
    specials text = specials::as_text;
    interruption until = {};
};

/// One of the two texts.
struct ordered_text {
    std::vector<token_id> ids;
    double log_prob = 0;            ///< of its tokens but the first
    std::vector<alternative> next;  ///< the likeliest tokens behind it
};

/// How much alike the texts are at a depth, as cosines.
struct depth_similarity {
    double same_token = 0;  ///< of the vectors of a token in both texts: the mean over tokens
    double whole = 0;       ///< of the means of all vectors
};

struct order_comparison {
    std::array<ordered_text, 2> texts;
    /// The tokens of both texts, as positions in the first and in the second; a token that comes
    /// several times is paired in order.
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    /// [0] the vectors of tokens alone, [1] with those of positions, [2 + l] behind layer l.
    std::vector<depth_similarity> depths;
    /// How far apart the distributions of the next token are: the Jensen-Shannon divergence in
    /// bits, 0 for equal ones, 1 for those that share nothing.
    double divergence = 0;
};

namespace detail {

template <class A, class B>
double cosine(std::span<A> a, std::span<B> b) {
    double product = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        product += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    const double lengths = norm_of(a) * norm_of(b);
    return lengths > 0 ? product / lengths : 0;
}

inline std::vector<double> mean_row(cview<float> x) {
    std::vector<double> mean(x.columns());
    for (std::size_t t = 0; t < x.rows(); ++t)
        for (std::size_t i = 0; i < mean.size(); ++i)
            mean[i] += static_cast<double>(x(t, i)) / static_cast<double>(x.rows());
    return mean;
}

inline std::vector<std::pair<std::size_t, std::size_t>> pairs_of(std::span<const token_id> a,
                                                                 std::span<const token_id> b) {
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::vector<bool> taken(b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < b.size(); ++j)
            if (!taken[j] && a[i] == b[j]) {
                pairs.emplace_back(i, j);
                taken[j] = true;
                break;
            }
    return pairs;
}

/// Of two rows of log-probabilities, in bits.
inline double jensen_shannon(std::span<const double> p, std::span<const double> q) {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const double a = std::exp(p[i]), b = std::exp(q[i]), middle = (a + b) / 2;
        if (a > 0) sum += a * std::log(a / middle);
        if (b > 0) sum += b * std::log(b / middle);
    }
    return sum / 2 / std::numbers::ln2;
}

}  // namespace detail

/// Compares two texts that share tokens. Raises empty_prompt, invalid_argument (no token in common,
/// a text of one token, alternatives), context_full, token_out_of_range, cancelled, not_finite, and
/// not_found for a model without a tokenizer. Threads may share the model.
inline order_comparison compare_order(const language_model& with, const prompt& first,
                                      const prompt& second, const order_options& how = {}) {
    const auto& c = with.config();
    detail::require_alternatives(how.alternatives, c);
    order_comparison found;
    const recording_choice stages{
        .stages = {stage::token_embedding, stage::embedding, stage::block}};
    std::array<recording, 2> seen = {recording(stages), recording(stages)};
    std::array<std::vector<double>, 2> answers;  // log-probabilities of the next token
    experiment lab(with, how.until);
    for (std::size_t i = 0; i < 2; ++i) {
        auto& text = found.texts[i];
        text.ids = detail::require_tokens(with, i == 0 ? first : second, how.text, "compare_order");
        const auto log_probs = lab.log_probs(text.ids, seen[i]);
        text.log_prob = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
        const auto by = lab.next(text.ids);
        text.next = by.best(how.alternatives);
        for (std::size_t v = 0; v < c.vocabulary_size; ++v)
            answers[i].push_back(by.log_prob(static_cast<token_id>(v)));
    }
    found.divergence = detail::jensen_shannon(answers[0], answers[1]);
    found.pairs = detail::pairs_of(found.texts[0].ids, found.texts[1].ids);
    if (found.pairs.empty())
        detail::fail(errc::invalid_argument, "compare_order: texts", "tokens that both have",
                     "none");
    const auto compare = [&](const stage_place& at) {
        const auto a = seen[0].at(at.stage, at.layer), b = seen[1].at(at.stage, at.layer);
        depth_similarity alike;
        for (const auto& [i, j] : found.pairs)
            alike.same_token +=
                detail::cosine(a.row(i), b.row(j)) / static_cast<double>(found.pairs.size());
        const auto mean_a = detail::mean_row(a), mean_b = detail::mean_row(b);
        alike.whole = detail::cosine(std::span(mean_a), std::span(mean_b));
        found.depths.push_back(alike);
    };
    compare({stage::token_embedding, 0});
    compare({stage::embedding, 0});
    for (std::size_t layer = 0; layer < c.layers; ++layer) compare({stage::block, layer});
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
