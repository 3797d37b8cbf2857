// From logits to the next token: what a user may ask for (`sampling`), the filters in the order
// they run, and the draw.
//
// The same logits, seed, sequence and step give the same token from every compiler, standard
// library and instruction set. Filters follow HF transformers (float32, ties at a top-k border
// stay, the token that crosses top-p stays); nothing is allocated once a vocabulary was seen.
//
// Before: random.hpp, detail/vocabulary_loops.hpp. Next: session.hpp, which calls `sampler::next`.
#pragma once

#include "core.hpp"
#include "detail/exp_log.hpp"
#include "detail/vocabulary_loops.hpp"
#include "error.hpp"
#include "random.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// How to choose the next token. As it stands: a draw from the model's own distribution.
/// Every setting has a neutral value, at which it changes nothing.
struct sampling {
    float temperature = 1;  ///< logits are divided by it; 0: greedy, 1: neutral
    std::size_t top_k = 0;  ///< only the k best, and all that tie with the k-th; 0: off
    /// Only the best tokens, until their probabilities reach it; 1: off. A double, because the
    /// filter compares with 1 - p rounded to float32, as HF does from Python's double.
    double top_p = 1;

    friend bool operator==(const sampling&, const sampling&) = default;
};

/// The most probable token, the lowest id on a tie; uses no random number.
constexpr sampling greedy() { return {.temperature = 0}; }

/// A draw at temperature t ≥ 0 (0 is greedy).
constexpr sampling temperature(float t) { return {.temperature = t}; }

/// A draw among the k best tokens.
constexpr sampling top_k(std::size_t k, float t = 1) { return {.temperature = t, .top_k = k}; }

/// A draw from the nucleus: the best tokens, until their probabilities reach p.
constexpr sampling top_p(double p, float t = 1) { return {.temperature = t, .top_p = p}; }

/// Both settings: `temperature(0.8f) | top_k(40) | top_p(0.95)`. The order they are written in
/// means nothing, filters run in the order that `describe` prints. Where both sides say the same
/// setting the right one wins; a neutral value says nothing.
constexpr sampling operator|(sampling left, const sampling& right) {
    constexpr sampling neutral;
    if (right.temperature != neutral.temperature) left.temperature = right.temperature;
    if (right.top_k != neutral.top_k) left.top_k = right.top_k;
    if (right.top_p != neutral.top_p) left.top_p = right.top_p;
    return left;
}

/// A token, and its log-probability under the model itself: the log-softmax of the logits as they
/// came, at temperature 1 and before any filter.
struct draw {
    token_id token;
    float log_prob;
};

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
    bool whole = true;          // n is the vocabulary; else `ids` says which tokens these are
    float best = 0;             // the highest score, finite; no filter removes it
    double total = 0;           // the sum of the weights; 0: they are not those of the scores

    std::vector<double> weights;       // (V) e^(score - best)
    std::vector<token_id> ids;         // (V)
    std::vector<float> largest;        // of kth_largest
    std::vector<std::uint32_t> masks;  // of keep_top_p: a bit for each score near the border
    std::vector<entry> near;           // of keep_top_p

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
        whole = true;
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
        if (kept == scores.size()) return;
        total = 0;
        whole = false;
        scores.resize(kept);
    }

    /// The sum of the weights of the scores, which it computes unless they are there.
    double weigh() {
        if (total == 0)
            total = widest<weigh_lanes>(std::span<const float>(scores), best, std::span(weights));
        return total;
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

/// Divides by the temperature in float32. Where that overflows, the highest score is taken off
/// first, which changes no probability: a temperature near 0 is greedy, not infinite.
inline void apply_temperature(const sampling& how, shortlist& list) {
    const float t = how.temperature;
    const float origin = std::isfinite(list.best / t) ? 0.0f : list.best;
    widest<divide_lanes>(std::span(list.scores), origin, t);
    list.best = (list.best - origin) / t;
    list.total = 0;
}

/// Keeps the scores that are not below the k-th highest.
inline void keep_top_k(const sampling& how, shortlist& list) {
    if (how.top_k >= list.scores.size()) return;
    const float least = kth_largest(list.scores, how.top_k, list.largest);
    list.keep_from(least);
}

/// What top-p has removed so far: probabilities, and the compared sum, are float32, the sum runs in
/// double, as in torch on a CPU.
struct removed_tail {
    double sum = 0;
    float most;  // what may go: 1 - p

    bool may_take(double part) const { return static_cast<float>(sum + part) <= most; }
    bool takes(double part) {
        const bool taken = may_take(part);
        if (taken) sum += part;
        return taken;
    }
};

/// A number that is ordered as the floats are, equal for both zeros.
inline std::uint32_t order_key(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x + 0.0f);
    return bits >> 31 != 0 ? ~bits : bits | 0x8000'0000u;
}

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
inline void narrow(std::vector<shortlist::entry>& entries, removed_tail& tail) {
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
inline void keep_top_p(const sampling& how, shortlist& list) {
    const auto total = static_cast<float>(list.weigh());
    const std::span<const float> scores(list.scores);
    const auto weights = std::span(list.weights).first(scores.size());
    removed_tail tail{.most = static_cast<float>(1 - how.top_p)};

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
}

/// The id of an entry chosen with probability proportional to its weight: the first at which the
/// running sum of the weights, in the order of ids, passes u times their total. Should rounding
/// carry u past the end, the last entry that has a weight. 0 ≤ u < 1.
inline token_id pick(shortlist& list, double u) {
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
            if ((sum += weights[i]) > target) return list.id(i);
    }
    std::size_t last = weights.size() - 1;
    while (weights[last] == 0) --last;
    return list.id(last);
}

/// The shortest text that reads back as this number in the precision it was written in.
inline std::string number(double value) {
    std::array<char, 32> text;
    const auto narrow = static_cast<float>(value);
    const bool is_float = static_cast<double>(narrow) == value;
    const auto end = is_float ? std::to_chars(text.begin(), text.end(), narrow)
                              : std::to_chars(text.begin(), text.end(), value);
    return {text.begin(), end.ptr};
}

/// One step of the chain: when it is on, what it is called, what it does.
struct filter {
    bool (*is_on)(const sampling&);
    std::string (*describe)(const sampling&);
    void (*apply)(const sampling&, shortlist&);
};

/// The filters in the order they run, which is HF's. This is the only place that says so.
inline constexpr std::array filters{
    filter{[](const sampling& how) { return how.temperature != 1; },
           [](const sampling& how) {
               return text_of({"temperature ", number(how.temperature)});
           },
           apply_temperature},
    filter{[](const sampling& how) { return how.top_k != 0; },
           [](const sampling& how) {
               return text_of({"top-k ", how.top_k});
           },
           keep_top_k},
    filter{[](const sampling& how) { return how.top_p < 1; },
           [](const sampling& how) {
               return text_of({"top-p ", number(how.top_p)});
           },
           keep_top_p},
};

/// The id of the highest logit, the lowest id on a tie. Raises invalid_argument for no logits,
/// not_finite for NaN or +infinity anywhere, no_candidate when all are -infinity.
inline token_id best_token(std::span<const float> logits, std::size_t step) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const auto where = [step] { return text_of({"step ", step}); };
    if (logits.empty()) fail(errc::invalid_argument, where(), "there are no logits to choose from");
    const auto [best, bad] = widest<highest_lanes>(logits);
    if (bad) {
        const auto found =
            std::find_if(logits.begin(), logits.end(), [](float x) { return !(x < infinity); });
        fail(errc::not_finite, where(),
             {"the logit of token ", found - logits.begin(), " is ",
              std::isnan(*found) ? "NaN" : "+infinity"});
    }
    if (best == -infinity) fail(errc::no_candidate, where(), "every token is banned (-infinity)");
    return static_cast<token_id>(widest<first_lanes>(logits, best));
}

}  // namespace detail

/// Raises invalid_argument, naming the setting, its range and its value, for a temperature that is
/// negative or not finite, a top_p outside [0, 1], or a top_k that was a negative number.
inline void validate(const sampling& how) {
    const auto check = [](bool good, std::string_view name, std::string_view range, double value) {
        if (!good) detail::fail(errc::invalid_argument, name, range, detail::number(value));
    };
    constexpr auto most = std::numeric_limits<std::ptrdiff_t>::max();
    check(std::isfinite(how.temperature) && how.temperature >= 0, "sampling.temperature",
          "a finite number, 0 (greedy) or more", how.temperature);
    check(how.top_k <= static_cast<std::size_t>(most), "sampling.top_k", "a count, 0 (off) or more",
          static_cast<double>(static_cast<std::ptrdiff_t>(how.top_k)));
    check(how.top_p >= 0 && how.top_p <= 1, "sampling.top_p", "a number from 0 to 1 (off)",
          how.top_p);
}

/// The settings in words, in the order they take effect: "temperature 0.8, top-k 40, top-p 0.95".
inline std::string describe(const sampling& how) {
    if (how.temperature == 0) return "greedy";
    std::string words;
    for (const detail::filter& filter : detail::filters) {
        if (!filter.is_on(how)) continue;
        if (!words.empty()) words += ", ";
        words += filter.describe(how);
    }
    return words.empty() ? "the model's own distribution" : words;
}

/// Chooses tokens. A draw depends on the logits, the seed, the sequence and the step alone, never
/// on the draws before it; the object holds scratch memory, so each thread needs its own.
class sampler {
public:
    /// Raises what `validate` raises.
    explicit sampler(const sampling& how, std::uint64_t seed = 0, std::uint64_t sequence = 0)
        : how_(how), random_{seed, sequence} {
        validate(how);
    }

    /// The token after `logits` (V), where -infinity bans a token. Step is the index of the token
    /// in its text and picks the random number. O(V).
    /// Raises invalid_argument (V = 0), not_finite (NaN or +infinity anywhere), no_candidate (all
    /// banned), each naming the step.
    draw next(std::span<const float> logits, std::size_t step) {
        const token_id best_id = detail::best_token(logits, step);
        list_.reserve(logits.size());
        const float best = logits[static_cast<std::size_t>(best_id)];
        const double total =
            detail::widest<detail::weigh_lanes>(logits, best, std::span(list_.weights));
        const token_id token =
            how_.temperature == 0 ? best_id : choose(logits, best_id, total, step);
        const double above = static_cast<double>(logits[static_cast<std::size_t>(token)]) - best;
        return {token, static_cast<float>(above - detail::log_of(total))};
    }

    const sampling& settings() const noexcept { return how_; }

private:
    token_id choose(std::span<const float> logits, token_id best_id, double total,
                    std::size_t step) {
        list_.start(logits, best_id, total);
        for (const detail::filter& filter : detail::filters)
            if (filter.is_on(how_)) filter.apply(how_, list_);
        return detail::pick(list_, random_.uniform(step));
    }

    sampling how_;
    philox random_;
    detail::shortlist list_;
};

}  // namespace gpt2::inline GPT2_ABI
