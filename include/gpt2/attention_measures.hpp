// What heads of attention look at, in numbers: how far back, how widely, at the token before, at
// what followed the same token earlier (induction).
//
//     const auto found = gpt2::induction(model);
//     found.scores.order().front()   // the head that copies best
//
// Before: experiment.hpp, recording.hpp.
#pragma once

#include "error.hpp"
#include "experiment.hpp"
#include "gpt2.hpp"
#include "prompt.hpp"
#include "random.hpp"
#include "recording.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Of a head's weights (T, T): how many positions back it looks, Σ weight·(t - s), the mean over t.
inline double attention_distance(cview<float> weights) {
    double sum = 0;
    for (std::size_t t = 0; t < weights.rows(); ++t)
        for (std::size_t s = 0; s < t; ++s)
            sum += static_cast<double>(weights(t, s)) * static_cast<double>(t - s);
    return sum / static_cast<double>(weights.rows());
}

/// How widely it looks: -Σ weight·log2 weight in bits, the mean over t; n bits are as wide as 2^n
/// positions of equal weight.
inline double attention_entropy(cview<float> weights) {
    double sum = 0;
    for (std::size_t t = 0; t < weights.rows(); ++t)
        for (std::size_t s = 0; s <= t; ++s)
            if (const double w = static_cast<double>(weights(t, s)); w > 0) sum -= w * std::log2(w);
    return sum / static_cast<double>(weights.rows());
}

/// How much it looks at the position `back` before its own: the mean over the rows from `first` ≥
/// `back` on. Raises invalid_argument where there is no such row.
inline double attention_to(cview<float> weights, std::size_t back, std::size_t first) {
    if (first < back || first >= weights.rows())
        detail::fail(errc::invalid_argument, "attention_to: first row",
                     {"from ", back, " to below ", weights.rows()}, first);
    double sum = 0;
    for (std::size_t t = first; t < weights.rows(); ++t)
        sum += static_cast<double>(weights(t, t - back));
    return sum / static_cast<double>(weights.rows() - first);
}

struct attention_options {
    specials text = specials::as_text;
    interruption until = {};
};

struct attention_profile {
    head_table distance;  ///< attention_distance, in positions
    head_table entropy;   ///< attention_entropy, in bits
    head_table previous;  ///< attention_to the position before, from 0 to 1

    /// The mean of a table over the heads of a layer.
    static double of_layer(const head_table& table, std::size_t layer) {
        double sum = 0;
        for (std::size_t h = 0; h < table.heads; ++h) sum += table.at({layer, h});
        return sum / static_cast<double>(table.heads);
    }
};

namespace detail {

/// Calls use(head, its weights (T, T)) for all heads.
template <class Use>
void each_map(const recording& seen, const config& of, Use use) {
    for (std::size_t layer = 0; layer < of.layers; ++layer)
        for (std::size_t head = 0; head < of.heads; ++head)
            use(head_place{layer, head}, seen.head(stage::weights, layer, head));
}

}  // namespace detail

/// How the heads of a model read a text. Raises empty_prompt, invalid_argument for a text of one
/// token, context_full, token_out_of_range, cancelled, and not_found for a model without a
/// tokenizer. Threads may share the model.
inline attention_profile measure_attention(const language_model& with, const prompt& text,
                                           const attention_options& how = {}) {
    const auto ids = detail::require_tokens(with, text, how.text, "measure_attention");
    const auto& c = with.config();
    auto seen = attention_maps();
    experiment(with, how.until).read(ids, 0, seen);
    attention_profile found{head_table(c), head_table(c), head_table(c)};
    detail::each_map(seen, c, [&](const head_place& at, cview<float> weights) {
        found.distance.at(at) = attention_distance(weights);
        found.entropy.at(at) = attention_entropy(weights);
        found.previous.at(at) = attention_to(weights, 1, 1);
    });
    return found;
}

struct induction_options {
    std::size_t length = 50;  ///< random tokens of the stretch that comes twice
    std::uint64_t seed = 0;   ///< the same seed, the same tokens
    interruption until = {};
};

/// A text without sense that is repeated tells copying from knowing: only what stands further up
/// makes its second half predictable.
struct induction_report {
    /// The begin-of-text token, if the model has one, the stretch, and the stretch again.
    std::vector<token_id> ids;
    /// Weight on the token that followed the same token earlier, length - 1 positions back: the
    /// mean over the second stretch, from 0 to 1 (Olsson et al. 2022, "In-context Learning and
    /// Induction Heads").
    head_table scores;
    double first_loss = 0, second_loss = 0;  ///< of each stretch's tokens but its first
};

/// Looks for heads that continue what is repeated. Raises invalid_argument (length), cancelled,
/// not_finite. Threads may share the model.
inline induction_report induction(const language_model& with, const induction_options& how = {}) {
    const auto& c = with.config();
    const std::size_t before = c.begin_of_text ? 1 : 0;
    const auto longest = (c.context_length - before) / 2;
    if (how.length < 2 || how.length > longest)
        detail::fail(errc::invalid_argument, "induction: length", {"from 2 to ", longest},
                     how.length);
    induction_report found{{}, head_table(c)};
    if (c.begin_of_text) found.ids.push_back(*c.begin_of_text);
    const philox random{how.seed};
    for (std::size_t i = 0; i < how.length; ++i)
        found.ids.push_back(static_cast<token_id>(random.bits(i) % c.vocabulary_size));
    for (std::size_t i = 0; i < how.length; ++i) found.ids.push_back(found.ids[before + i]);
    auto seen = attention_maps();
    const auto log_probs = experiment(with, how.until).log_probs(found.ids, seen);
    const auto loss = [&](std::size_t first) {  // of the tokens behind position `first`
        double sum = 0;
        for (std::size_t i = 0; i + 1 < how.length; ++i) sum -= log_probs[first + i];
        return sum / static_cast<double>(how.length - 1);
    };
    found.first_loss = loss(before);
    found.second_loss = loss(before + how.length);
    detail::each_map(seen, c, [&](const head_place& at, cview<float> weights) {
        found.scores.at(at) = attention_to(weights, how.length - 1, before + how.length);
    });
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
