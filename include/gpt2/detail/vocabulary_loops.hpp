// The sampler's loops over a whole vocabulary: weights of scores, and their sums by score. Cut into
// steps of a fixed number they vectorise, and run with the widest registers of this machine.
//
// Every operation is exact or rounded the same way in every register (exp_log.hpp says how), and
// sums run in an order written down here, so all give the same bits.
//
// Before: exp_log.hpp. After: sampler.hpp.
#pragma once

#include "exp_log.hpp"
#include "kernels/panel.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// How many scores the loops take at once.
inline constexpr std::size_t loop_step = 32;

/// Whether one of the 32 numbers from `values` on is at least `least`.
inline bool any_reaches(const float* values, float least) {
    std::int32_t found = 0;
    for (std::size_t i = 0; i < loop_step; ++i) found |= values[i] >= least;
    return found != 0;
}

/// The same for at most `most`, and for equal to `wanted`.
inline bool any_at_most(const std::int16_t* values, std::int16_t most) {
    std::int16_t least = values[0];
    for (std::size_t i = 0; i < loop_step; ++i) least = values[i] < least ? values[i] : least;
    return least <= most;
}
inline bool any_equals(const std::int16_t* values, std::int16_t wanted) {
    std::int16_t others = -1;  // d | -d is negative unless d = 0
    for (std::size_t i = 0; i < loop_step; ++i) {
        const auto d = static_cast<std::int16_t>(values[i] - wanted);
        others = static_cast<std::int16_t>(others & (d | -d));
    }
    return others >= 0;
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
    double sum = 0;
    for (const double part : sums) sum += part;
    return sum;
}

/// How keep_top_p sorts scores without sorting: into buckets 1/64 wide, downwards from the best;
/// the last takes all that is further away. Neighbouring scores go to different sets of sums in
/// turn, so that one addition need not wait for the last.
struct score_buckets {
    static constexpr std::size_t count = 4096, sets = 2, tallies = sets * count;
    static constexpr float width = 1.0f / 64;

    float best, total;  // of the list: the highest score, the sum of the weights

    GPT2_FORCE_INLINE std::int32_t of(float score) const {
        const float distance = (best - score) * (1 / width);
        return static_cast<std::int32_t>(distance < count - 1.0f ? distance : count - 1.0f);
    }
    GPT2_FORCE_INLINE float probability(double weight) const {
        return static_cast<float>(weight) / total;
    }
};

/// Puts every score into its bucket: writes `places` and adds its probability to the bucket's sum.
GPT2_FORCE_INLINE void tally_lanes(const score_buckets& buckets, std::span<const float> scores,
                                   const double* weights, std::int16_t* places, double* sums) {
    constexpr std::size_t lanes = loop_step;
    std::array<std::int32_t, lanes> place;
    std::array<double, lanes> probability;
    std::size_t begin = 0;
    double *const even = sums, *const odd = sums + score_buckets::count;
    for (; begin + lanes <= scores.size(); begin += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane)
            place[lane] = buckets.of(scores[begin + lane]);
        for (std::size_t lane = 0; lane < lanes; ++lane)
            places[begin + lane] = static_cast<std::int16_t>(place[lane]);
        for (std::size_t lane = 0; lane < lanes; ++lane)
            probability[lane] = buckets.probability(weights[begin + lane]);
        for (std::size_t lane = 0; lane < lanes; lane += 2) {
            even[place[lane]] += probability[lane];
            odd[place[lane + 1]] += probability[lane + 1];
        }
    }
    for (std::size_t i = begin; i < scores.size(); ++i) {
        places[i] = static_cast<std::int16_t>(buckets.of(scores[i]));
        even[places[i]] += static_cast<double>(buckets.probability(weights[i]));
    }
}

// The same two loops for wider registers; every operation is exact or rounded alike, see
// exp_log.hpp, so all give the same bits.
#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx512f"))) inline double weigh_avx512(std::span<const float> scores,
                                                              float best,
                                                              std::span<double> weights) {
    return weigh_lanes(scores, best, weights);
}
__attribute__((target("avx2"))) inline double weigh_avx2(std::span<const float> scores, float best,
                                                         std::span<double> weights) {
    return weigh_lanes(scores, best, weights);
}
__attribute__((target("avx512f"))) inline void tally_avx512(const score_buckets& buckets,
                                                            std::span<const float> scores,
                                                            const double* weights,
                                                            std::int16_t* places, double* sums) {
    tally_lanes(buckets, scores, weights, places, sums);
}
__attribute__((target("avx2"))) inline void tally_avx2(const score_buckets& buckets,
                                                       std::span<const float> scores,
                                                       const double* weights, std::int16_t* places,
                                                       double* sums) {
    tally_lanes(buckets, scores, weights, places, sums);
}
#endif

inline double weigh(std::span<const float> scores, float best, std::span<double> weights) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) return weigh_avx512(scores, best, weights);
    if (__builtin_cpu_supports("avx2")) return weigh_avx2(scores, best, weights);
#endif
    return weigh_lanes(scores, best, weights);
}

inline void tally(const score_buckets& buckets, std::span<const float> scores,
                  const double* weights, std::int16_t* places, double* sums) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f"))
        return tally_avx512(buckets, scores, weights, places, sums);
    if (__builtin_cpu_supports("avx2")) return tally_avx2(buckets, scores, weights, places, sums);
#endif
    tally_lanes(buckets, scores, weights, places, sums);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
