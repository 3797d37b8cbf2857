// The sampler's loops over a whole vocabulary: the highest score, weights of scores, their sums, in
// all and by score. Cut into steps of a fixed number they vectorise, and `widest` runs them with
// the widest registers of this machine.
//
// Every operation is exact or rounded the same way in every register (exp_log.hpp says how), and
// sums run in an order written down here, so all give the same bits.
//
// Before: exp_log.hpp. After: shortlist.hpp.
#pragma once

#include "exp_log.hpp"
#include "kernels/panel.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The score of a token that cannot be drawn.
inline constexpr float banned = -std::numeric_limits<float>::infinity();

/// How many scores the loops take at once.
inline constexpr std::size_t loop_step = 32;

/// Whether one of the 32 numbers from `values` on is at least `least`.
GPT2_FORCE_INLINE bool any_reaches(const float* values, float least) {
    std::int32_t found = 0;
    for (std::size_t i = 0; i < loop_step; ++i) found |= values[i] >= least;
    return found != 0;
}

/// For every 32 scores a mask of those in [low, high), the first in the lowest bit.
GPT2_FORCE_INLINE void mask_lanes(std::span<const float> scores, float low, float high,
                                  std::uint32_t* masks) {
    std::array<std::uint32_t, loop_step> bits;
    for (std::size_t lane = 0; lane < loop_step; ++lane) bits[lane] = std::uint32_t{1} << lane;
    std::size_t begin = 0;
    for (; begin + loop_step <= scores.size(); begin += loop_step) {
        std::uint32_t mask = 0;
        for (std::size_t lane = 0; lane < loop_step; ++lane) {
            const float score = scores[begin + lane];
            mask |= (score >= low ? bits[lane] : 0u) & (score < high ? bits[lane] : 0u);
        }
        *masks++ = mask;
    }
    std::uint32_t mask = 0;
    for (std::size_t i = begin; i < scores.size(); ++i)
        if (scores[i] >= low && scores[i] < high) mask |= bits[i - begin];
    if (begin < scores.size()) *masks = mask;
}

/// The highest of the scores, and whether one is NaN or +infinity.
struct highest_score {
    float best;
    bool bad;
};
GPT2_FORCE_INLINE highest_score highest_lanes(std::span<const float> scores) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::array<float, loop_step> highest;
    std::array<std::int32_t, loop_step> bad{};
    highest.fill(-infinity);
    std::size_t begin = 0;
    for (; begin + loop_step <= scores.size(); begin += loop_step)
        for (std::size_t lane = 0; lane < loop_step; ++lane) {
            const float x = scores[begin + lane];
            highest[lane] = x > highest[lane] ? x : highest[lane];
            bad[lane] |= !(x < infinity);
        }
    for (std::size_t i = begin; i < scores.size(); ++i) {
        highest[0] = scores[i] > highest[0] ? scores[i] : highest[0];
        bad[0] |= !(scores[i] < infinity);
    }
    highest_score result{-infinity, false};
    for (const float x : highest) result.best = x > result.best ? x : result.best;
    for (const std::int32_t x : bad) result.bad |= x != 0;
    return result;
}

/// The place of the first score that is at least `least`; there is one.
GPT2_FORCE_INLINE std::size_t first_lanes(std::span<const float> scores, float least) {
    std::size_t at = 0;
    while (at + loop_step <= scores.size() && !any_reaches(&scores[at], least)) at += loop_step;
    while (!(scores[at] >= least)) ++at;
    return at;
}

/// (score - origin) / divisor for every score, in its place.
GPT2_FORCE_INLINE void divide_lanes(std::span<float> scores, float origin, float divisor) {
    std::size_t begin = 0;
    for (; begin + loop_step <= scores.size(); begin += loop_step)
        for (std::size_t lane = 0; lane < loop_step; ++lane)
            scores[begin + lane] = (scores[begin + lane] - origin) / divisor;
    for (float& score : scores.subspan(begin)) score = (score - origin) / divisor;
}

/// The sum of the chains that a loop adds up side by side.
GPT2_FORCE_INLINE double total_of(const std::array<double, loop_step>& sums) {
    double sum = 0;
    for (const double part : sums) sum += part;
    return sum;
}

/// Writes e^(score - best) for every score and returns their sum, added up in 32 interleaved
/// chains: a fixed order, and one that vectorises. The difference is rounded to float first, as in
/// HF's softmax.
GPT2_FORCE_INLINE double weigh_lanes(std::span<const float> scores, float best,
                                     std::span<double> weights) {
    constexpr std::size_t lanes = loop_step;
    std::array<double, lanes> sums{};
    std::size_t begin = 0;
    for (; begin + lanes <= scores.size(); begin += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane)
            weights[begin + lane] = exp_of_negative(scores[begin + lane] - best);
        for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += weights[begin + lane];
    }
    for (std::size_t i = begin; i < scores.size(); ++i) {
        weights[i] = exp_of_negative(scores[i] - best);
        sums[i - begin] += weights[i];
    }
    return total_of(sums);
}

/// The sum of the weights, in the same 32 chains.
GPT2_FORCE_INLINE double sum_lanes(std::span<const double> weights) {
    std::array<double, loop_step> sums{};
    std::size_t begin = 0;
    for (; begin + loop_step <= weights.size(); begin += loop_step)
        for (std::size_t lane = 0; lane < loop_step; ++lane) sums[lane] += weights[begin + lane];
    for (std::size_t i = begin; i < weights.size(); ++i) sums[i - begin] += weights[i];
    return total_of(sums);
}

/// The sum of weight · (score - best) over the scores above -infinity, in the same 32 chains. Half
/// of a weight's bits make the product exact, so that fusing it with the sum changes nothing.
GPT2_FORCE_INLINE double distance_lanes(std::span<const float> scores, float best,
                                        std::span<const double> weights) {
    std::array<double, loop_step> sums{};
    const auto part = [&](std::size_t i) {
        const float distance = scores[i] - best;
        return weights[i] > 0 ? upper_bits(weights[i]) * static_cast<double>(distance) : 0.0;
    };
    std::size_t begin = 0;
    for (; begin + loop_step <= scores.size(); begin += loop_step)
        for (std::size_t lane = 0; lane < loop_step; ++lane) sums[lane] += part(begin + lane);
    for (std::size_t i = begin; i < scores.size(); ++i) sums[i - begin] += part(i);
    return total_of(sums);
}

/// Takes the weight from every score below `least`; the sum of the others, in the same 32 chains.
GPT2_FORCE_INLINE double ban_lanes(std::span<const float> scores, float least,
                                   std::span<double> weights) {
    std::array<double, loop_step> sums{};
    std::size_t begin = 0;
    for (; begin + loop_step <= scores.size(); begin += loop_step) {
        for (std::size_t lane = 0; lane < loop_step; ++lane)
            weights[begin + lane] = scores[begin + lane] >= least ? weights[begin + lane] : 0.0;
        for (std::size_t lane = 0; lane < loop_step; ++lane) sums[lane] += weights[begin + lane];
    }
    for (std::size_t i = begin; i < scores.size(); ++i) {
        weights[i] = scores[i] >= least ? weights[i] : 0.0;
        sums[i - begin] += weights[i];
    }
    return total_of(sums);
}

/// The probability of a weight, in float32.
GPT2_FORCE_INLINE float probability_of(double weight, float total) {
    return static_cast<float>(weight) / total;
}

/// The sum of the probabilities of the scores below `low`, in the same 32 chains.
GPT2_FORCE_INLINE double sum_below_lanes(std::span<const float> scores, const double* weights,
                                         float total, float low) {
    std::array<double, loop_step> sums{}, probability;
    std::size_t begin = 0;
    for (; begin + loop_step <= scores.size(); begin += loop_step) {
        for (std::size_t lane = 0; lane < loop_step; ++lane)
            probability[lane] = static_cast<double>(probability_of(weights[begin + lane], total));
        for (std::size_t lane = 0; lane < loop_step; ++lane)
            sums[lane] += scores[begin + lane] < low ? probability[lane] : 0.0;
    }
    for (std::size_t i = begin; i < scores.size(); ++i)
        if (scores[i] < low)
            sums[i - begin] += static_cast<double>(probability_of(weights[i], total));
    return total_of(sums);
}

// The same loops for wider registers; every operation is exact or rounded alike, see exp_log.hpp,
// so all give the same bits.
#if defined(__x86_64__) && defined(__GNUC__)
template <auto Loop, class... Arguments>
__attribute__((target("avx512f"))) inline auto on_avx512(const Arguments&... arguments) {
    return Loop(arguments...);
}
template <auto Loop, class... Arguments>
__attribute__((target("avx2"))) inline auto on_avx2(const Arguments&... arguments) {
    return Loop(arguments...);
}
#endif

/// Calls one of the loops above.
template <auto Loop, class... Arguments>
inline auto widest(const Arguments&... arguments) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) return on_avx512<Loop>(arguments...);
    if (__builtin_cpu_supports("avx2")) return on_avx2<Loop>(arguments...);
#endif
    return Loop(arguments...);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
