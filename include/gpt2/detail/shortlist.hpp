// The tokens that can still be drawn: what the filters that remove tokens work on, and the draw.
//
// A shortlist begins as the whole vocabulary and shrinks, always in ascending order of id. It owns
// the scratch memory of its filters, so that nothing is allocated once a vocabulary was seen.
//
// Before: vocabulary_loops.hpp. Next: nucleus.hpp, truncation.hpp.
#pragma once

#include "../core.hpp"
#include "vocabulary_loops.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The tokens that can still be drawn, in ascending order of id, and scratch for the filters.
struct shortlist {
    /// A score that top-p looks at closely.
    struct entry {
        std::uint32_t key;  // ordered as the scores are, equal where they are
        float probability;
        std::uint32_t place;
    };

    std::vector<float> scores;  // (n); -infinity: banned
    std::size_t vocabulary = 0;
    bool whole = true;    // n is the vocabulary; else `ids` says which tokens these are
    bool sparse = false;  // entries whose weight is 0 are removed, but still in their place
    float best = 0;       // the highest score, finite
    double total = 0;     // the sum of the weights; 0: they are not those of the scores

    std::vector<double> weights;       // (V) e^(score - best)
    std::vector<token_id> ids;         // (V)
    std::vector<float> largest;        // of kth_largest
    std::vector<std::uint32_t> masks;  // of keep_top_p: a bit for each score near the border
    std::vector<entry> near;           // of keep_top_p and the like
    std::vector<float> values;         // of keep_typical

    /// Everything a vocabulary of `size` can need, so that no later draw allocates.
    void reserve(std::size_t size) {
        scores.reserve(size);
        if (weights.size() >= size) return;
        weights.resize(size);
        ids.resize(size);
        largest.reserve(size);
        masks.resize(size / loop_step + 1);
        near.reserve(size);
    }

    /// All tokens, `logits[best_id]` being the highest. `sum`: of the weights, where those of the
    /// logits are there.
    void start(std::span<const float> logits, token_id best_id, double sum = 0) {
        reserve(logits.size());
        total = sum;
        vocabulary = logits.size();
        whole = true;
        sparse = false;
        scores.assign(logits.begin(), logits.end());
        best = logits[static_cast<std::size_t>(best_id)];
    }

    /// The token whose score stands at `place`.
    token_id id(std::size_t place) const {
        return whole ? static_cast<token_id>(place) : ids[place];
    }

    /// Drops the scores below `least`, 32 neighbours without a closer look where all are.
    void keep_from(float least) {
        std::size_t kept = 0;
        for (std::size_t begin = 0; begin < scores.size(); begin += loop_step) {
            const std::size_t end = std::min(begin + loop_step, scores.size());
            if (end == begin + loop_step && !any_reaches(&scores[begin], least)) continue;
            for (std::size_t i = begin; i < end; ++i) {
                const bool stay = scores[i] >= least;  // as good as random: no branch on it
                scores[kept] = scores[i];
                ids[kept] = id(i);
                kept += stay;
            }
        }
        cut_to(kept);
    }

    /// Drops the entries that do not stay by their place, of which one does at least. May look at
    /// weights, which are nobody's afterwards.
    template <class Stays>
    void keep_if(const Stays& stays) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const bool stay = stays(i);
            scores[kept] = scores[i];
            ids[kept] = id(i);
            kept += stay;
        }
        cut_to(kept);
    }

    /// Drops all but the first entries, whose ids are in place.
    void cut_to(std::size_t kept) {
        if (kept == scores.size()) return;
        total = 0;
        whole = false;
        scores.resize(kept);
    }

    /// Exactly the k best, of equal scores those with the lowest ids; all where there are fewer.
    void keep_best(std::size_t k) { keep_highest(scores, k); }

    /// The same by other values, one for each score.
    void keep_highest(std::span<const float> by, std::size_t k);

    /// Drops what top-p has removed.
    void tidy() {
        if (!sparse) return;
        sparse = false;
        keep_if([&](std::size_t i) { return weights[i] != 0; });
    }

    /// After filters that may remove the best token.
    void find_best() {
        best = widest<highest_lanes>(std::span<const float>(scores)).best;
        total = 0;
    }

    /// How many can be drawn.
    std::size_t count() const {
        const auto all = static_cast<std::ptrdiff_t>(scores.size());
        return static_cast<std::size_t>(all - std::count(scores.begin(), scores.end(), banned));
    }

    /// The sum of the weights of the scores, which it computes unless they are there.
    double weigh() {
        if (total == 0)
            total = widest<weigh_lanes>(std::span<const float>(scores), best, std::span(weights));
        return total;
    }

    /// The probability of the entry at `place` in float32, as HF's; `weigh` was called.
    float probability(std::size_t place) const {
        return probability_of(weights[place], static_cast<float>(total));
    }

    /// The entropy of the distribution, in nats.
    double entropy() {
        const double sum = weigh();
        const auto all = std::span<const double>(weights).first(scores.size());
        return log_of(sum) -
               widest<distance_lanes>(std::span<const float>(scores), best, all) / sum;
    }
};

/// The k-th largest value, counting ties (1 ≤ k ≤ size). Only values above the k-th largest so far
/// are looked at twice, so a small k costs one pass; linear in any case.
inline float kth_largest(std::span<const float> values, std::size_t k, std::vector<float>& pool) {
    const std::size_t limit = std::min(values.size(), 2 * k + 64);
    const auto kth = [&] { return pool.begin() + static_cast<std::ptrdiff_t>(k - 1); };
    float least = -std::numeric_limits<float>::infinity();
    pool.clear();
    constexpr std::size_t step = loop_step;
    for (std::size_t begin = 0; begin < values.size(); begin += step) {
        const auto block = values.subspan(begin, std::min(step, values.size() - begin));
        if (pool.size() >= k && block.size() == step && !any_reaches(block.data(), least)) continue;
        for (const float value : block) {
            if (pool.size() >= k && !(value > least)) continue;
            pool.push_back(value);
            if (pool.size() < limit) continue;
            std::nth_element(pool.begin(), kth(), pool.end(), std::greater<>{});
            pool.resize(k);
            least = pool.back();
        }
    }
    std::nth_element(pool.begin(), kth(), pool.end(), std::greater<>{});
    return *kth();
}

inline void shortlist::keep_highest(std::span<const float> by, std::size_t k) {
    if (k >= scores.size()) return;
    const float least = kth_largest(by, k, largest);
    const auto above = std::count_if(by.begin(), by.end(), [&](float x) { return x > least; });
    std::size_t room = k - static_cast<std::size_t>(above);
    keep_if([&](std::size_t i) {
        if (by[i] != least) return by[i] > least;
        return room != 0 && room-- != 0;
    });
}

/// Keeps the entries that `stays` says by their place, or the best so many where those are fewer;
/// it must like every token better than a less probable one.
template <class Stays>
void keep_or_best(shortlist& list, std::size_t least, const Stays& stays) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < list.scores.size() && count < least; ++i) count += stays(i);
    if (count < least) return list.keep_best(least);
    list.keep_if(stays);
}

/// A number that is ordered as the floats are, equal for both zeros.
inline std::uint32_t order_key(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x + 0.0f);
    return bits >> 31 != 0 ? ~bits : bits | 0x8000'0000u;
}

/// The place of an entry chosen with probability proportional to its weight: the first at which the
/// running sum of the weights, in the order of ids, passes u times their total. Should rounding
/// carry u past the end, the last entry that has a weight. 0 ≤ u < 1.
inline std::size_t pick(shortlist& list, double u) {
    const double target = u * list.weigh();
    const auto weights = std::span<const double>(list.weights).first(list.scores.size());
    constexpr std::size_t step = 32 * loop_step;  // summed at once until the target comes near
    double sum = 0;
    for (std::size_t begin = 0; begin < weights.size(); begin += step) {
        const auto block = weights.subspan(begin, std::min(step, weights.size() - begin));
        const double after = sum + widest<sum_lanes>(block);
        if (after <= target) {
            sum = after;
            continue;
        }
        for (std::size_t i = begin; i < begin + block.size(); ++i)
            if ((sum += weights[i]) > target) return i;
    }
    std::size_t last = weights.size() - 1;
    while (weights[last] == 0) --last;
    return last;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
