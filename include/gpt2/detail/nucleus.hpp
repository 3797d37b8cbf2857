// Top-p: which tokens make up a share of the probability, without sorting a vocabulary.
//
// A sample tells about where the running sum of the probabilities crosses p; only scores near it
// are looked at one by one. The result is that of a full sort, to the last tie.
//
// Before: shortlist.hpp. Next: truncation.hpp.
#pragma once

#include "shortlist.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A running sum of probabilities that may not pass a bound: they, and the compared sum, are
/// float32, the sum runs in double, as in torch on a CPU. For top-p it is what has been removed.
struct running_mass {
    double sum = 0;
    float most;  // top-p: 1 - p

    bool may_take(double part) const { return static_cast<float>(sum + part) <= most; }
    bool takes(double part) {
        const bool taken = may_take(part);
        if (taken) sum += part;
        return taken;
    }
};

/// Scores from `low` up to below `high`.
struct score_range {
    float low = -std::numeric_limits<float>::infinity();
    float high = std::numeric_limits<float>::infinity();
};

/// Where the sum of the least probable tokens crosses `most`, guessed from every 32nd score: the
/// sums by score of this sample, three standard deviations either way.
inline score_range guess_crossing(const shortlist& list, float total, float most) {
    constexpr std::size_t parts = 256, step = loop_step;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const std::span<const float> scores(list.scores);
    score_range guess;
    float lowest = list.best;
    for (std::size_t i = 0; i < scores.size(); i += step)
        if (scores[i] < lowest && scores[i] > -infinity) lowest = scores[i];
    const float scale = parts / (list.best - lowest);
    if (!(scale < infinity)) return guess;
    std::array<double, parts> sums{}, squares{};
    std::array<float, parts> first;  // the lowest score of each part
    first.fill(infinity);
    for (std::size_t i = 0; i < scores.size(); i += step) {
        const float distance = (list.best - scores[i]) * scale;
        const std::size_t part = distance < parts ? static_cast<std::size_t>(distance) : parts - 1;
        const double p = probability_of(list.weights[i], total);
        sums[part] += p;
        squares[part] += p * p;
        first[part] = std::min(first[part], scores[i]);
    }
    double sum = 0, square = 0;
    bool above = false;  // surely past the crossing
    for (std::size_t part = parts; part-- > 0;) {
        if (first[part] == infinity) continue;
        if (above) {
            guess.high = first[part];
            break;
        }
        sum += step * sums[part];
        square += step * step * squares[part];
        const double left = most - sum;
        const bool near = left * left < 9 * square;
        if (left > 0 && !near) guess.low = first[part];
        above = left < 0 && !near;
    }
    return guess;
}

/// Makes `near` the entries of the scores in a range.
inline void collect(shortlist& list, float total, const score_range& range) {
    const std::span<const float> scores(list.scores);
    list.near.clear();
    widest<mask_lanes>(scores, range.low, range.high, list.masks.data());
    for (std::size_t begin = 0; begin < scores.size(); begin += loop_step)
        for (std::uint32_t mask = list.masks[begin / loop_step]; mask != 0; mask &= mask - 1) {
            const std::size_t i = begin + static_cast<std::size_t>(std::countr_zero(mask));
            list.near.push_back({order_key(scores[i]), probability_of(list.weights[i], total),
                                 static_cast<std::uint32_t>(i)});
        }
}

/// Of the entries leaves those whose score is the one at which the sum crosses what may go, and
/// takes all below. Again and again their range is cut into at most 256 parts, of which the one
/// with the crossing stays: four rounds at most.
inline void narrow(std::vector<shortlist::entry>& entries, running_mass& tail) {
    for (;;) {
        std::uint32_t low = entries.front().key, high = low;
        for (const auto& entry : entries)
            low = std::min(low, entry.key), high = std::max(high, entry.key);
        if (low == high) return;
        const int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - 8);
        std::array<double, 256> sums{};
        for (const auto& entry : entries) sums[(high - entry.key) >> shift] += entry.probability;
        std::uint32_t part = (high - low) >> shift;
        while (part > 0 && tail.takes(sums[part])) --part;
        std::erase_if(entries,
                      [&](const auto& entry) { return (high - entry.key) >> shift != part; });
    }
}

/// Removes tokens from the least probable on while their probabilities add up to at most 1 - p;
/// of tokens with equal scores the highest ids go first, and the best token always stays. What is
/// removed keeps its place, without a weight.
///
/// Instead of sorting, a sample tells about where the sum crosses 1 - p; only scores near it are
/// looked at one by one. Where the sample misleads, all on the side that it left out.
inline void keep_top_p(shortlist& list, double p) {
    const auto total = static_cast<float>(list.weigh());
    const std::span<const float> scores(list.scores);
    const auto weights = std::span(list.weights).first(scores.size());
    running_mass tail{.most = static_cast<float>(1 - p)};

    score_range range = guess_crossing(list, total, tail.most);
    if (!tail.takes(widest<sum_below_lanes>(scores, weights.data(), total, range.low)))
        range = {.high = range.low};
    collect(list, total, range);
    double sum = 0;
    for (const auto& entry : list.near) sum += static_cast<double>(entry.probability);
    if (list.best >= range.high && tail.takes(sum)) collect(list, total, {.low = range.high});
    narrow(list.near, tail);

    // Of the equal scores left, as many of the last as may go.
    const double each = list.near.front().probability;
    std::size_t stay = 1, most = list.near.size();
    while (stay < most) {
        const std::size_t middle = (stay + most) / 2;
        if (tail.may_take(static_cast<double>(list.near.size() - middle) * each))
            most = middle;
        else
            stay = middle + 1;
    }
    const float least = scores[list.near.front().place];
    for (const auto& entry : std::span(list.near).subspan(stay)) weights[entry.place] = 0;
    list.total = widest<ban_lanes>(scores, least, weights);
    list.sparse = true;
}

/// As OpenAI's sample.py of 2019 has it: from the best token on, while the probabilities add up to
/// at most p; the best so many always stay, and whatever ties with the last that stays.
inline void keep_top_p_2019(shortlist& list, double p, std::size_t least) {
    const auto total = static_cast<float>(list.weigh());
    collect(list, total, {});
    for (auto& entry : list.near) entry.key = ~entry.key;  // the best first
    running_mass kept{.most = static_cast<float>(p)};
    narrow(list.near, kept);
    const auto& crossing = list.near.front();
    const float score = list.scores[crossing.place];
    const bool stays = score == list.best || kept.may_take(crossing.probability);
    keep_or_best(list, least, [&](std::size_t i) {
        return stays ? list.scores[i] >= score : list.scores[i] > score;
    });
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
