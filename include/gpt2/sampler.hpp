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
    struct entry {
        float score;
        float probability;
        token_id id;
    };

    std::vector<float> scores;  // (n); -infinity: banned
    std::vector<token_id> ids;  // (n)
    float best = 0;             // the highest score, finite; no filter removes it
    double total = 0;           // the sum of the weights; 0: they are not those of the scores

    std::vector<double> weights;       // (V) e^(score - best)
    std::vector<token_id> every_id;    // (V) 0, 1, 2, …
    std::vector<float> largest;        // of kth_largest
    std::vector<std::int16_t> places;  // (V) of keep_top_p: bucket of each score
    std::vector<double> tallies;       // of keep_top_p: sums of the buckets
    std::vector<entry> crossing;       // of keep_top_p

    /// Everything a vocabulary of `size` can need, so that no later draw allocates.
    void reserve(std::size_t size) {
        scores.reserve(size);
        ids.reserve(size);
        if (weights.size() >= size) return;
        weights.resize(size);
        every_id.resize(size);
        std::iota(every_id.begin(), every_id.end(), token_id{0});
        largest.reserve(size);
        places.resize(size);
        tallies.resize(score_buckets::tallies);
        crossing.reserve(size);
    }

    /// All tokens, `logits[best_id]` being the highest. `sum`: of the weights, where those of the
    /// logits are there.
    void start(std::span<const float> logits, token_id best_id, double sum = 0) {
        reserve(logits.size());
        total = sum;
        scores.assign(logits.begin(), logits.end());
        ids.assign(every_id.begin(), every_id.begin() + static_cast<std::ptrdiff_t>(logits.size()));
        best = logits[static_cast<std::size_t>(best_id)];
    }

    /// Drops the tokens i for which `stays(i)` is false, and without a closer look all of the
    /// neighbours from i on, loop_step in number, for which `some_stay(i)` is false.
    template <class SomeStay, class Stays>
    void keep_if(SomeStay some_stay, Stays stays) {
        std::size_t kept = 0;
        for (std::size_t begin = 0; begin < scores.size(); begin += loop_step) {
            const std::size_t end = std::min(begin + loop_step, scores.size());
            if (end == begin + loop_step && !some_stay(begin)) continue;
            for (std::size_t i = begin; i < end; ++i) {
                const bool stay = stays(i);  // what stays is as good as random: no branch on it
                scores[kept] = scores[i];
                ids[kept] = ids[i];
                kept += stay;
            }
        }
        if (kept != scores.size()) total = 0;
        scores.resize(kept);
        ids.resize(kept);
    }

    /// The sum of the weights of the scores, which it computes unless they are there.
    double weigh() {
        if (total == 0) total = detail::weigh(scores, best, weights);
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
    float* const scores = list.scores.data();
    const std::size_t even = list.scores.size() / loop_step * loop_step;
    for (std::size_t i = 0; i < even; i += loop_step)  // so cut, it vectorises everywhere
        for (std::size_t lane = 0; lane < loop_step; ++lane)
            scores[i + lane] = (scores[i + lane] - origin) / t;
    for (float& score : std::span(list.scores).subspan(even)) score = (score - origin) / t;
    list.best = (list.best - origin) / t;
    list.total = 0;
}

/// Keeps the scores that are not below the k-th highest.
inline void keep_top_k(const sampling& how, shortlist& list) {
    if (how.top_k >= list.scores.size()) return;
    const float least = kth_largest(list.scores, how.top_k, list.largest);
    list.keep_if([&](std::size_t i) { return any_reaches(&list.scores[i], least); },
                 [&](std::size_t i) { return list.scores[i] >= least; });
}

/// Removes tokens from the least probable on while their probabilities add up to at most 1 - p;
/// of tokens with equal scores the highest ids go first, and the best token always stays.
///
/// Probabilities and the compared sum are float32, the sum runs in double, as in torch on a CPU.
/// Instead of sorting, probabilities are summed by score in buckets; whole buckets go, and only the
/// one where the sum crosses 1 - p is searched. (Within a bucket probabilities differ by at most
/// 2 %, so a double adds them without rounding and their order means nothing.)
inline void keep_top_p(const sampling& how, shortlist& list) {
    using entry = shortlist::entry;
    const score_buckets buckets{list.best, static_cast<float>(list.weigh())};
    std::fill(list.tallies.begin(), list.tallies.end(), 0.0);
    tally(buckets, list.scores, list.weights.data(), list.places.data(), list.tallies.data());

    const auto removable = static_cast<float>(1 - how.top_p);
    const auto goes = [removable](double sum) { return static_cast<float>(sum) <= removable; };
    const auto sum_of = [&](std::size_t bucket) {
        return list.tallies[bucket] + list.tallies[score_buckets::count + bucket];
    };
    double tail = 0;
    std::size_t bucket = score_buckets::count - 1;
    for (; bucket > 0 && goes(tail + sum_of(bucket)); --bucket) tail += sum_of(bucket);
    const auto crossing = static_cast<std::int16_t>(bucket);

    list.crossing.clear();
    const std::size_t n = list.scores.size();
    for (std::size_t begin = 0; begin < n; begin += loop_step) {
        if (begin + loop_step <= n && !any_equals(&list.places[begin], crossing)) continue;
        for (std::size_t i = begin; i < std::min(begin + loop_step, n); ++i)
            if (list.places[i] == crossing)
                list.crossing.push_back(
                    {list.scores[i], buckets.probability(list.weights[i]), list.ids[i]});
    }
    const auto before = [](const entry& a, const entry& b) {
        return a.score > b.score || (a.score == b.score && a.id < b.id);
    };
    // The last entry that stays, by bisection: what is past `last` goes, what is before `first`
    // stays.
    auto first = list.crossing.begin(), last = list.crossing.end();
    entry border = *std::min_element(first, last, before);
    while (first != last) {
        const auto middle = first + (last - first) / 2;
        std::nth_element(first, middle, last, before);
        double sum = tail;
        for (auto i = middle; i != last; ++i) sum += i->probability;
        if (goes(sum)) {
            tail = sum;
            last = middle;
        } else {
            border = *middle;
            first = middle + 1;
        }
    }
    list.keep_if([&](std::size_t from) { return any_at_most(&list.places[from], crossing); },
                 [&](std::size_t i) {
                     if (list.places[i] == crossing)
                         return !before(border, {list.scores[i], 0, list.ids[i]});
                     return list.places[i] < crossing;
                 });
}

/// The id of an entry chosen with probability proportional to its weight: the first at which the
/// running sum of the weights, in the order of ids, passes u times their total. Should rounding
/// carry u past the end, the last entry that has a weight. 0 ≤ u < 1.
inline token_id pick(shortlist& list, double u) {
    const double target = u * list.weigh();
    double sum = 0;
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < list.scores.size(); ++i) {
        if (list.weights[i] == 0) continue;
        chosen = i;
        sum += list.weights[i];
        if (sum > target) break;
    }
    return list.ids[chosen];
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
    const auto is_bad = [](float x) { return !(x < infinity); };
    std::array<float, loop_step> highest;
    std::array<std::int32_t, loop_step> bad{};
    highest.fill(-infinity);
    const std::size_t even = logits.size() / loop_step * loop_step;
    for (std::size_t i = 0; i < even; i += loop_step) {
        for (std::size_t lane = 0; lane < loop_step; ++lane)
            highest[lane] = logits[i + lane] > highest[lane] ? logits[i + lane] : highest[lane];
        for (std::size_t lane = 0; lane < loop_step; ++lane) bad[lane] |= is_bad(logits[i + lane]);
    }
    for (const float x : logits.subspan(even)) {
        highest[0] = x > highest[0] ? x : highest[0];
        bad[0] |= is_bad(x);
    }
    if (std::ranges::count(bad, 0) != static_cast<std::ptrdiff_t>(bad.size())) {
        const auto found = std::find_if(logits.begin(), logits.end(), is_bad);
        fail(errc::not_finite, where(),
             {"the logit of token ", found - logits.begin(), " is ",
              std::isnan(*found) ? "NaN" : "+infinity"});
    }
    const float best = *std::max_element(highest.begin(), highest.end());
    if (best == -infinity) fail(errc::no_candidate, where(), "every token is banned (-infinity)");
    std::size_t at = 0;
    while (at < even && !any_reaches(&logits[at], best)) at += loop_step;
    while (logits[at] != best) ++at;
    return static_cast<token_id>(at);
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
        const double total = detail::weigh(logits, best, list_.weights);
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
