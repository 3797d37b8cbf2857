// The filters that leave only some tokens, and temperature: what turns scores into the distribution
// that is drawn from. Each stands alone; detail/chain.hpp says in which order they run.
//
// Probabilities and thresholds are float32, as in HF transformers on a CPU; ties at a border stay
// unless a dialect says otherwise.
//
// Before: sampling.hpp, nucleus.hpp. Next: chain.hpp.
#pragma once

#include "../sampling.hpp"
#include "exp_log.hpp"
#include "nucleus.hpp"
#include "shortlist.hpp"
#include "vocabulary_loops.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Divides by the temperature in float32. Where that overflows, the highest score is taken off
/// first, which changes no probability: a temperature near 0 is greedy, not infinite.
inline void divide_by(shortlist& list, float t) {
    if (t == 0) return list.keep_best(1);
    const float origin = std::isfinite(list.best / t) ? 0.0f : list.best;
    widest<divide_lanes>(std::span(list.scores), origin, t);
    list.best = (list.best - origin) / t;
    list.total = 0;
}

/// Temperature; with a range, from base - range (0 at least) where one token has all the
/// probability, to base + range where all have the same.
inline void apply_temperature(const sampling& how, shortlist& list) {
    const float range = how.dynamic.range;
    if (range == 0) return divide_by(list, how.temperature);
    const std::size_t tokens = list.count();
    if (tokens <= 1) return;
    double share = list.entropy() / log_of(static_cast<double>(tokens));
    share = std::clamp(share, 0.0, 1.0);
    if (how.dynamic.exponent != 1) share = std::pow(share, how.dynamic.exponent);
    const float low = std::max(0.0f, how.temperature - range), high = how.temperature + range;
    divide_by(list, std::fma(high - low, static_cast<float>(share), low));
}

/// Keeps the scores that are not below the k-th highest; llama.cpp's keeps k.
inline void keep_top_k(const sampling& how, shortlist& list) {
    const std::size_t k = std::max(how.top_k, how.min_tokens_to_keep);
    if (k >= list.scores.size()) return;
    if (how.dialect == dialect::llama_cpp) return list.keep_best(k);
    list.keep_from(kth_largest(list.scores, k, list.largest));
}

/// Keeps the nucleus by the rule of the dialect.
inline void keep_nucleus(const sampling& how, shortlist& list) {
    const std::size_t least = how.min_tokens_to_keep;
    if (how.dialect == dialect::openai2019) return keep_top_p_2019(list, how.top_p, least);
    keep_top_p(list, how.top_p);
    if (least == 1) return;
    const auto weights = std::span<const double>(list.weights).first(list.scores.size());
    const auto removed = static_cast<std::size_t>(std::count(weights.begin(), weights.end(), 0.0));
    if (weights.size() - removed >= least) return;
    list.sparse = false;
    list.total = 0;
    list.keep_best(least);
}

/// Keeps tokens with a share of the best one's probability.
inline void keep_min_p(const sampling& how, shortlist& list) {
    const auto share = static_cast<float>(how.min_p);
    if (how.dialect == dialect::llama_cpp) {
        const float least = list.best + static_cast<float>(log_of(std::max(how.min_p, 1e-300)));
        return keep_or_best(list, how.min_tokens_to_keep,
                            [&](std::size_t i) { return list.scores[i] >= least; });
    }
    list.weigh();
    const float least = share * probability_of(1, static_cast<float>(list.total));
    keep_or_best(list, how.min_tokens_to_keep,
                 [&](std::size_t i) { return list.probability(i) >= least; });
}

/// Keeps tokens of a probability, and whatever is not below the `min_tokens_to_keep`-th best.
inline void keep_probable(const sampling& how, shortlist& list, float least) {
    list.weigh();
    const std::size_t k = std::min(how.min_tokens_to_keep, list.scores.size());
    const float floor = k == 1 ? list.best : kth_largest(list.scores, k, list.largest);
    list.keep_if(
        [&](std::size_t i) { return list.probability(i) >= least || list.scores[i] >= floor; });
}

inline void keep_epsilon(const sampling& how, shortlist& list) {
    keep_probable(how, list, static_cast<float>(how.epsilon_cutoff));
}

/// The threshold is min(eps, sqrt(eps) e^-H), H the entropy.
inline void keep_eta(const sampling& how, shortlist& list) {
    const auto epsilon = static_cast<float>(how.eta_cutoff);
    const auto entropy = std::max(0.0f, static_cast<float>(list.entropy()));
    const auto scale = static_cast<float>(exp_of_negative(-entropy));
    keep_probable(how, list, std::min(epsilon, std::sqrt(epsilon) * scale));
}

/// Sorts tokens by how far their surprise is from the entropy, and keeps the nearest until their
/// probabilities reach a mass; with all at the distance of the last, but not for llama.cpp.
inline void keep_typical(const sampling& how, shortlist& list) {
    const auto entropy = static_cast<float>(list.entropy());
    const auto log_total = static_cast<float>(log_of(list.total));
    list.values.reserve(list.weights.size());
    list.values.clear();
    list.near.clear();
    for (std::size_t i = 0; i < list.scores.size(); ++i) {
        const float surprise = -((list.scores[i] - list.best) - log_total);
        const float distance = std::abs(surprise - entropy);
        list.values.push_back(-distance);
        list.near.push_back(
            {order_key(distance), list.probability(i), static_cast<std::uint32_t>(i)});
    }
    // HF stops at the token that reaches the mass, llama.cpp at the one that passes it.
    const auto mass = static_cast<float>(how.typical_p);
    running_mass near{.most =
                          how.dialect == dialect::llama_cpp ? mass : std::nextafter(mass, 0.0f)};
    narrow(list.near, near);
    const float border = list.values[list.near.front().place];
    if (how.dialect == dialect::llama_cpp) {
        std::size_t stay = 1;
        while (stay < list.near.size() && near.takes(list.near[stay].probability)) ++stay;
        for (const auto& entry : std::span(list.near).subspan(stay))
            list.values[entry.place] = banned;
    }
    const auto within =
        std::count_if(list.values.begin(), list.values.end(), [&](float x) { return x >= border; });
    if (static_cast<std::size_t>(within) < how.min_tokens_to_keep)
        list.keep_highest(list.values, how.min_tokens_to_keep);
    else
        list.keep_if([&](std::size_t i) { return list.values[i] >= border; });
    list.find_best();
}

/// Of the 100 best tokens keeps the first ones whose terms -p ln p add up to at most a share of the
/// entropy of these 100 (Potraghloo et al. 2025).
inline void keep_top_h(const sampling& how, shortlist& list) {
    list.keep_best(100);
    const double most = how.top_h * std::max(0.0, list.entropy()), log_total = log_of(list.total);
    collect(list, static_cast<float>(list.total), {});
    std::sort(list.near.begin(), list.near.end(), [](const auto& a, const auto& b) {
        return a.key != b.key ? a.key > b.key : a.place < b.place;
    });
    double sum = 0;
    std::size_t stay = 0;
    for (const auto& entry : list.near) {
        const double log_p = static_cast<double>(list.scores[entry.place] - list.best) - log_total;
        const double p = list.weights[entry.place] / list.total;
        if (p == 0 || static_cast<float>(sum = std::fma(-p, log_p, sum)) > static_cast<float>(most))
            break;
        ++stay;
    }
    list.keep_best(std::max<std::size_t>(stay, 1));
}

/// Keeps the scores within so many standard deviations of the best.
inline void keep_top_n_sigma(const sampling& how, shortlist& list) {
    const auto tokens = static_cast<double>(list.count());
    double sum = 0, squares = 0;
    for (const float x : list.scores) sum += x > banned ? static_cast<double>(x) : 0.0;
    const auto mean = static_cast<float>(sum / tokens);
    for (const float x : list.scores) {
        const auto off = x > banned ? static_cast<double>(x - mean) : 0.0;
        squares += off * off;
    }
    const double deviation = std::sqrt(squares / tokens);
    const double n = how.top_n_sigma;
    list.keep_from(static_cast<float>(std::fma(-n, deviation, static_cast<double>(list.best))));
}

/// Removes what is at or above the threshold, but the least probable of that.
inline void exclude_top(const sampling& how, shortlist& list) {
    const float threshold = how.xtc.threshold;
    if (threshold > 0.5f) return;
    list.weigh();
    std::size_t above = 0, last = 0;
    for (std::size_t i = 0; i < list.scores.size(); ++i) {
        if (!(list.probability(i) >= threshold) || list.scores[i] == banned) continue;
        if (above++ == 0 || list.scores[i] <= list.scores[last]) last = i;
    }
    if (above < 2 || list.count() - (above - 1) < how.min_tokens_to_keep) return;
    list.keep_if([&](std::size_t i) { return i == last || list.probability(i) < threshold; });
    list.find_best();
}

/// Keeps tokens of at most `surprise` bits, at least the best.
inline void keep_unsurprising(shortlist& list, float surprise) {
    constexpr float ln2 = 0x1.62e43p-1f;
    list.weigh();
    const float least = surprise > 0 ? static_cast<float>(exp_of_negative(-surprise * ln2)) : 2.0f;
    keep_or_best(list, 1, [&](std::size_t i) { return list.probability(i) >= least; });
}

/// Mirostat 1: from the ratios of the best probabilities estimates the exponent s of Zipf's law,
/// and from that how many tokens have this surprise.
inline void keep_zipf(shortlist& list, std::size_t estimate, double bits) {
    list.weigh();
    collect(list, static_cast<float>(list.total), {});
    const std::size_t used = std::min(estimate, list.near.size());
    const auto end = list.near.begin() + static_cast<std::ptrdiff_t>(used);
    std::partial_sort(list.near.begin(), end, list.near.end(),
                      [](const auto& a, const auto& b) { return a.key > b.key; });
    double products = 0, squares = 0;
    for (std::size_t i = 0; i + 1 < used; ++i) {
        const double p = list.weights[list.near[i].place],
                     next = list.weights[list.near[i + 1].place];
        if (next == 0) break;
        const double t = log_of(static_cast<double>(i + 2) / static_cast<double>(i + 1));
        products = std::fma(t, log_of(p / next), products);
        squares = std::fma(t, t, squares);
    }
    const double s = squares > 0 ? products / squares : 1, excess = s - 1;
    const double norm = 1 - std::pow(static_cast<double>(list.vocabulary), -excess);
    const double k = std::pow(excess * std::exp2(bits) / norm, 1 / s);
    const auto most = static_cast<double>(list.scores.size());
    list.keep_best(k >= 1 ? static_cast<std::size_t>(std::min(k, most)) : 1);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
