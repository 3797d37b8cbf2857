// What a user may ask of the choice of the next token, as one flat description: `sampling`.
//
// Every setting has a neutral value, at which it changes nothing, so a description is written as
// `top_k(40) | sampling{.min_p = 0.05}`; which order the settings take effect in is not the user's
// to say but the dialect's (detail/chain.hpp), and `describe` prints it.
//
// Before: core.hpp, error.hpp. Next: sampler.hpp, which draws by it.
#pragma once

#include "core.hpp"
#include "error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Whose rules hold where engines differ.
///
/// | | hf | openai2019 | llama_cpp |
/// |---|---|---|---|
/// | temperature | first | first | last |
/// | top-k | ties with the k-th stay | as hf | exactly k, of ties the lowest ids |
/// | top-p | the token that crosses p stays | it goes; ties with the last stay | as hf |
/// | min-p | compares probabilities | as hf | compares logits with best + ln p |
/// | typical | all at the distance of the last stay | as hf | of these the lowest ids |
/// | presence, frequency | count the tokens generated | as hf | count the prompt too |
enum class dialect { hf, openai2019, llama_cpp };

/// A temperature that follows the entropy: between base - range and base + range, by
/// (entropy / its maximum) ^ exponent, as llama.cpp's.
struct dynamic_temperature {
    float range = 0;  ///< 0: off
    float exponent = 1;

    friend bool operator==(const dynamic_temperature&, const dynamic_temperature&) = default;
};

/// Exclude top choices: with this probability all tokens at or above the threshold go, except the
/// least probable of them.
struct exclude_top_choices {
    float probability = 0;   ///< 0: off
    float threshold = 0.1f;  ///< above 1/2 nothing can happen

    friend bool operator==(const exclude_top_choices&, const exclude_top_choices&) = default;
};

/// Mirostat (Basu et al. 2020): keeps the surprise of the text near a target, by feedback.
struct mirostat_control {
    enum class kind { off, version_1, version_2 };
    kind version = kind::off;
    float target = 5;            ///< tau: bits of surprise per token
    float rate = 0.1f;           ///< eta: how fast it learns
    std::size_t estimate = 100;  ///< m: how many tokens version 1 estimates the tail from

    friend bool operator==(const mirostat_control&, const mirostat_control&) = default;
};

/// "Don't repeat yourself": a token that would continue a repetition of n tokens loses
/// multiplier · base ^ (n - allowed_length), n ≥ allowed_length.
struct dry_penalty {
    static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
    float multiplier = 0;  ///< 0: off
    float base = 1.75f;
    std::size_t allowed_length = 2;
    std::size_t window = all;  ///< how many of the last tokens are looked at
    /// Token sequences that no repetition reaches across; one of a single token is never penalised.
    std::vector<std::vector<token_id>> breakers = {};

    friend bool operator==(const dry_penalty&, const dry_penalty&) = default;
};

/// A number to add to the last token of a sequence wherever the tokens before it are there.
struct sequence_bias {
    std::vector<token_id> tokens;
    float bias;  ///< finite, or -infinity: a ban

    friend bool operator==(const sequence_bias&, const sequence_bias&) = default;
};

/// A number to add to the logit of one token.
struct token_bias {
    token_id token;
    float bias;  ///< finite, or -infinity: a ban

    friend bool operator==(const token_bias&, const token_bias&) = default;
};

/// After `start` new tokens the ends of text gain |logit| · (factor ^ n - 1), n the tokens since.
struct length_decay {
    std::size_t start = 0;
    double factor = 1;  ///< 1: off; above 1 presses for an end

    friend bool operator==(const length_decay&, const length_decay&) = default;
};

/// Whether beam search sees normalised scores; a draw never depends on it.
enum class normalisation { none, log_softmax };

/// The tokens before the one to choose.
struct history {
    std::span<const token_id> tokens;  ///< the prompt and what was chosen after it
    std::size_t prompt_length = 0;     ///< how many of them are the prompt
    std::size_t dropped = 0;           ///< how many came before them and are forgotten
};

/// A user's own filter: changes the logits (V), knowing the tokens so far (the prompt and what
/// follows it). It may keep state: each sampler owns a copy and calls it once per token. A logit
/// that becomes NaN or +infinity is an error. Two filters are equal when their names are.
struct custom_filter {
    std::string name;
    std::function<void(std::span<float> logits, std::span<const token_id> tokens)> apply;

    friend bool operator==(const custom_filter& a, const custom_filter& b) {
        return a.name == b.name;
    }
};

/// How to choose the next token. As it stands: a draw from the model's own distribution.
/// Every setting has a neutral value, at which it changes nothing.
struct sampling {
    static constexpr std::size_t all_tokens = std::numeric_limits<std::size_t>::max();

    float temperature = 1;  ///< logits are divided by it; 0: greedy, 1: neutral
    std::size_t top_k = 0;  ///< only the k best; 0: off
    /// Only the best tokens, until their probabilities reach it; 1: off. A double, because the
    /// filter compares with 1 - p rounded to float32, as HF does from Python's double.
    double top_p = 1;
    gpt2::dialect dialect = gpt2::dialect::hf;

    // Which tokens may be drawn.
    double min_p = 0;           ///< only tokens with this share of the best one's probability
    double typical_p = 1;       ///< the most typical tokens of this mass (Meister et al. 2022)
    double epsilon_cutoff = 0;  ///< only tokens of this probability (Hewitt et al. 2022)
    double eta_cutoff = 0;      ///< the same, lower where the entropy is high
    double top_h = 0;           ///< of the 100 best, those with this share of the entropy
    float top_n_sigma = 0;      ///< only logits within n standard deviations of the best
    dynamic_temperature dynamic = {};
    exclude_top_choices xtc = {};
    mirostat_control mirostat = {};
    /// Top-k, top-p, min-p, typical, epsilon, eta and xtc leave no fewer.
    std::size_t min_tokens_to_keep = 1;

    // Which tokens become less likely, or likelier.
    float repetition_penalty = 1;  ///< on tokens of prompt and text: divides logits, above 1
    float presence_penalty = 0;    ///< taken off once from a token that is there (OpenAI)
    float frequency_penalty = 0;   ///< taken off as often as the token is there (OpenAI)
    std::size_t penalty_last_n = all_tokens;  ///< of how many last tokens these three know
    dry_penalty dry = {};
    std::size_t no_repeat_ngram = 0;  ///< no n tokens in a row come twice; 0: off
    std::vector<token_bias> logit_bias = {};
    std::vector<gpt2::sequence_bias> sequence_bias = {};

    // Which tokens are banned or forced.
    std::vector<std::vector<token_id>> bad_words = {};
    std::vector<token_id> suppress = {};
    std::vector<token_id> begin_suppress = {};  ///< only as the first new token
    std::vector<token_id> end_of_text = {};     ///< what the next four speak of
    std::size_t min_length = 0;      ///< no end before this many tokens, the prompt counted
    std::size_t min_new_tokens = 0;  ///< no end before this many new ones
    length_decay decay = {};
    std::vector<token_id> forced_end = {};      ///< the only ones as the last of max_length
    std::optional<token_id> forced_begin = {};  ///< the second token of a text of one
    std::size_t max_length = 0;                 ///< the prompt counted; 0: unknown

    normalisation scores = normalisation::none;
    std::vector<custom_filter> custom = {};

    friend bool operator==(const sampling&, const sampling&) = default;
};

/// The most probable token, the lowest id on a tie; uses no random number.
inline sampling greedy() { return {.temperature = 0}; }

/// A draw at temperature t ≥ 0 (0 is greedy).
inline sampling temperature(float t) { return {.temperature = t}; }

/// A draw among the k best tokens.
inline sampling top_k(std::size_t k, float t = 1) { return {.temperature = t, .top_k = k}; }

/// A draw from the nucleus: the best tokens, until their probabilities reach p.
inline sampling top_p(double p, float t = 1) { return {.temperature = t, .top_p = p}; }

/// A user's own filter, called `name` in words, traces and errors.
inline sampling custom(std::string name,
                       std::function<void(std::span<float>, std::span<const token_id>)> filter) {
    sampling how;
    how.custom.push_back({std::move(name), std::move(filter)});
    return how;
}

namespace detail {

/// Every setting that `operator|` carries over whole.
inline constexpr std::tuple settings{&sampling::temperature,
                                     &sampling::top_k,
                                     &sampling::top_p,
                                     &sampling::dialect,
                                     &sampling::min_p,
                                     &sampling::typical_p,
                                     &sampling::epsilon_cutoff,
                                     &sampling::eta_cutoff,
                                     &sampling::top_h,
                                     &sampling::top_n_sigma,
                                     &sampling::dynamic,
                                     &sampling::xtc,
                                     &sampling::mirostat,
                                     &sampling::min_tokens_to_keep,
                                     &sampling::repetition_penalty,
                                     &sampling::presence_penalty,
                                     &sampling::frequency_penalty,
                                     &sampling::penalty_last_n,
                                     &sampling::dry,
                                     &sampling::no_repeat_ngram,
                                     &sampling::logit_bias,
                                     &sampling::sequence_bias,
                                     &sampling::bad_words,
                                     &sampling::suppress,
                                     &sampling::begin_suppress,
                                     &sampling::end_of_text,
                                     &sampling::min_length,
                                     &sampling::min_new_tokens,
                                     &sampling::decay,
                                     &sampling::forced_end,
                                     &sampling::forced_begin,
                                     &sampling::max_length,
                                     &sampling::scores};

/// The shortest text that reads back as this number in the precision it was written in.
inline std::string number(double value) {
    std::array<char, 32> text;
    const auto narrow = static_cast<float>(value);
    const bool is_float = static_cast<double>(narrow) == value;
    const auto end = is_float ? std::to_chars(text.begin(), text.end(), narrow)
                              : std::to_chars(text.begin(), text.end(), value);
    return {text.begin(), end.ptr};
}

/// Whether no random number is needed: the best token is taken.
inline bool is_greedy(const sampling& how) {
    return how.temperature == 0 && how.dynamic.range == 0;
}

}  // namespace detail

/// Both settings: `temperature(0.8f) | top_k(40) | top_p(0.95)`. The order they are written in
/// means nothing, filters run in the order that `describe` prints. Where both sides say the same
/// setting the right one wins; a neutral value says nothing. A user's own filters add up, and run
/// in the order they are written.
inline sampling operator|(sampling left, const sampling& right) {
    const sampling neutral;
    const auto take = [&](auto setting) {
        if (right.*setting != neutral.*setting) left.*setting = right.*setting;
    };
    std::apply([&](auto... setting) { (take(setting), ...); }, detail::settings);
    left.custom.insert(left.custom.end(), right.custom.begin(), right.custom.end());
    return left;
}

namespace detail {

/// Raises invalid_argument for a number that is not `good`.
inline void check_number(bool good, std::string_view name, std::string_view range, double value) {
    if (!good) fail(errc::invalid_argument, {"sampling.", name}, range, number(value));
}

/// Raises invalid_argument for a count that was a negative number.
inline void check_count(std::string_view name, std::string_view range, std::size_t value) {
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    if (value > most && value != sampling::all_tokens)
        fail(errc::invalid_argument, {"sampling.", name}, range,
             static_cast<std::ptrdiff_t>(value));
}

/// Raises token_out_of_range for an id below 0, or from `size` on.
inline void check_ids(std::string_view name, std::span<const token_id> ids, std::size_t size) {
    for (const token_id id : ids)
        if (id < 0 || static_cast<std::size_t>(id) >= size)
            fail(errc::token_out_of_range, {"sampling.", name}, {"ids from 0 to ", size - 1}, id);
}

/// All ids that the settings name, against a vocabulary of `size`.
inline void check_ids(const sampling& how, std::size_t size) {
    for (const auto& [token, bias] : how.logit_bias)
        check_ids("logit_bias", std::span(&token, 1), size);
    for (const auto& [tokens, bias] : how.sequence_bias) check_ids("sequence_bias", tokens, size);
    for (const auto& word : how.bad_words) check_ids("bad_words", word, size);
    for (const auto& tokens : how.dry.breakers) check_ids("dry.breakers", tokens, size);
    check_ids("suppress", how.suppress, size);
    check_ids("begin_suppress", how.begin_suppress, size);
    check_ids("forced_end", how.forced_end, size);
    if (how.forced_begin) check_ids("forced_begin", std::span(&*how.forced_begin, 1), size);
}

/// Ranges of what decides which tokens may be drawn.
inline void validate_truncation(const sampling& how) {
    const auto share = [](double p) { return p >= 0 && p <= 1; };
    const auto cutoff = [](double p) { return p >= 0 && p < 1; };
    check_number(std::isfinite(how.temperature) && how.temperature >= 0, "temperature",
                 "a finite number, 0 (greedy) or more", how.temperature);
    check_number(std::isfinite(how.dynamic.range) && how.dynamic.range >= 0, "dynamic.range",
                 "a finite number, 0 (off) or more", how.dynamic.range);
    check_number(std::isfinite(how.dynamic.exponent) && how.dynamic.exponent >= 0,
                 "dynamic.exponent", "a finite number, 0 or more", how.dynamic.exponent);
    check_number(how.top_k != sampling::all_tokens, "top_k", "a count, 0 (off) or more", -1);
    check_count("top_k", "a count, 0 (off) or more", how.top_k);
    check_number(share(how.top_p), "top_p", "a number from 0 to 1 (off)", how.top_p);
    check_number(share(how.min_p), "min_p", "a number from 0 (off) to 1", how.min_p);
    check_number(how.typical_p > 0 && how.typical_p <= 1, "typical_p",
                 "a number above 0, up to 1 (off)", how.typical_p);
    check_number(cutoff(how.epsilon_cutoff), "epsilon_cutoff", "a number from 0 (off) to below 1",
                 how.epsilon_cutoff);
    check_number(cutoff(how.eta_cutoff), "eta_cutoff", "a number from 0 (off) to below 1",
                 how.eta_cutoff);
    check_number(share(how.top_h), "top_h", "a number from 0 (off) to 1", how.top_h);
    check_number(std::isfinite(how.top_n_sigma) && how.top_n_sigma >= 0, "top_n_sigma",
                 "a finite number, 0 (off) or more", how.top_n_sigma);
    check_number(share(how.xtc.probability), "xtc.probability", "a number from 0 (off) to 1",
                 how.xtc.probability);
    check_number(share(how.xtc.threshold), "xtc.threshold", "a number from 0 to 1",
                 how.xtc.threshold);
    check_number(std::isfinite(how.mirostat.target) && how.mirostat.target >= 0, "mirostat.target",
                 "a finite number, 0 or more", how.mirostat.target);
    check_number(std::isfinite(how.mirostat.rate) && how.mirostat.rate >= 0, "mirostat.rate",
                 "a finite number, 0 or more", how.mirostat.rate);
    check_number(how.mirostat.estimate >= 2, "mirostat.estimate", "a count of 2 or more",
                 static_cast<double>(how.mirostat.estimate));
    check_count("mirostat.estimate", "a count of 2 or more", how.mirostat.estimate);
    check_number(how.min_tokens_to_keep >= 1, "min_tokens_to_keep", "a count of 1 or more", 0);
    check_count("min_tokens_to_keep", "a count of 1 or more", how.min_tokens_to_keep);
}

/// Ranges of what makes tokens more or less likely.
inline void validate_penalties(const sampling& how) {
    constexpr std::string_view count = "a count";
    check_number(std::isfinite(how.repetition_penalty) && how.repetition_penalty > 0,
                 "repetition_penalty", "a finite number above 0, 1 being off",
                 how.repetition_penalty);
    check_number(std::isfinite(how.presence_penalty), "presence_penalty", "a finite number",
                 how.presence_penalty);
    check_number(std::isfinite(how.frequency_penalty), "frequency_penalty", "a finite number",
                 how.frequency_penalty);
    check_count("penalty_last_n", count, how.penalty_last_n);
    check_number(std::isfinite(how.dry.multiplier) && how.dry.multiplier >= 0, "dry.multiplier",
                 "a finite number, 0 (off) or more", how.dry.multiplier);
    check_number(std::isfinite(how.dry.base) && how.dry.base >= 1, "dry.base",
                 "a finite number, 1 or more", how.dry.base);
    check_count("dry.allowed_length", count, how.dry.allowed_length);
    check_count("dry.window", count, how.dry.window);
    check_count("no_repeat_ngram", "a count, 0 (off) or more", how.no_repeat_ngram);
    check_number(std::isfinite(how.decay.factor) && how.decay.factor > 0, "decay.factor",
                 "a finite number above 0, 1 being off", how.decay.factor);
    check_count("decay.start", count, how.decay.start);
    const auto bias = [](double x) {
        return std::isfinite(x) || x == -std::numeric_limits<double>::infinity();
    };
    constexpr std::string_view range = "a finite number or -infinity";
    for (const auto& [token, value] : how.logit_bias)
        check_number(bias(value), "logit_bias", range, value);
    for (const auto& [tokens, value] : how.sequence_bias)
        check_number(bias(value), "sequence_bias", range, value);
}

/// Lists that cannot mean anything, and lengths that contradict each other.
inline void validate_bans(const sampling& how) {
    const auto no_empty = [](std::string_view name, std::size_t size) {
        if (size == 0)
            fail(errc::invalid_argument, {"sampling.", name}, "one token or more", "none");
    };
    for (const auto& [tokens, bias] : how.sequence_bias) no_empty("sequence_bias", tokens.size());
    for (const auto& word : how.bad_words) no_empty("bad_words", word.size());
    for (const auto& tokens : how.dry.breakers) no_empty("dry.breakers", tokens.size());
    for (const auto& filter : how.custom)
        if (!filter.apply) fail(errc::invalid_argument, "sampling.custom", "a callable", "none");
    std::vector<token_id> biased;
    for (const auto& [token, bias] : how.logit_bias) biased.push_back(token);
    std::sort(biased.begin(), biased.end());
    const auto twice = std::adjacent_find(biased.begin(), biased.end());
    if (twice != biased.end())
        fail(errc::invalid_argument, "sampling.logit_bias", "each token once",
             {"token ", *twice, " twice"});
    check_count("min_length", "a count", how.min_length);
    check_count("min_new_tokens", "a count", how.min_new_tokens);
    check_count("max_length", "a count", how.max_length);
    if (!how.forced_end.empty() && how.max_length == 0)
        fail(errc::invalid_argument, "sampling.forced_end", "max_length to be set too", "0");
    if (how.max_length != 0 && how.min_length > how.max_length)
        fail(errc::invalid_argument, "sampling.min_length",
             {"at most max_length = ", how.max_length}, how.min_length);
    if (how.max_length != 0 && how.min_new_tokens > how.max_length)
        fail(errc::invalid_argument, "sampling.min_new_tokens",
             {"at most max_length = ", how.max_length}, how.min_new_tokens);
    check_ids(how, static_cast<std::size_t>(std::numeric_limits<token_id>::max()) + 1);
}

}  // namespace detail

/// Raises invalid_argument, naming the setting, its range and its value, for a number out of its
/// range, a count that was a negative number, an empty sequence, or lengths that contradict each
/// other; token_out_of_range for a negative id.
inline void validate(const sampling& how) {
    detail::validate_truncation(how);
    detail::validate_penalties(how);
    detail::validate_bans(how);
}

}  // namespace gpt2::inline GPT2_ABI
