// The chain: every filter with its name, when it is on, what it says of itself and what it does,
// and below them, for each dialect, the order in which they run. This is the only place that says
// so.
//
// Before: processors.hpp, truncation.hpp. Next: sampler.hpp, which runs the chain and draws.
#pragma once

#include "../error.hpp"
#include "../sampling.hpp"
#include "processors.hpp"
#include "shortlist.hpp"
#include "truncation.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What the filters of one draw work on.
struct turn {
    const sampling& how;
    std::span<const sequence_bias> biases;     // in_order
    std::span<const sequence_bias> bad_words;  // in_order
    shortlist& list;
    processor_memory& memory;
    history past;
    std::span<const std::uint64_t> allowed;
    double chance;    // [0, 1), of XTC
    double surprise;  // mirostat's limit, in bits

    scored_text text() const { return {list.scores, past, memory}; }
};

/// Processors see the whole vocabulary; some need the text. Truncations come after them all.
enum class filter_kind { processor, processor_of_text, users, truncation, normalisation };

/// One step of the chain.
struct filter {
    std::string_view name;
    filter_kind kind;
    bool (*is_on)(const sampling&);  // null: when a mask is given
    std::string (*value)(const sampling&);
    void (*apply)(turn&);
};

namespace filters {

using how = const sampling&;

inline constexpr filter sequence_bias{"sequence bias", filter_kind::processor_of_text,
                                      [](how s) { return !s.sequence_bias.empty(); },
                                      [](how s) { return std::to_string(s.sequence_bias.size()); },
                                      [](turn& now) { add_biases(now.biases, now.text()); }};
inline constexpr filter logit_bias{"logit bias", filter_kind::processor,
                                   [](how s) { return !s.logit_bias.empty(); },
                                   [](how s) { return std::to_string(s.logit_bias.size()); },
                                   [](turn& now) {
                                       for (const auto& [token, bias] : now.how.logit_bias)
                                           now.text().score(token) += bias;
                                   }};
inline constexpr filter repetition_penalty{
    "repetition penalty", filter_kind::processor_of_text,
    [](how s) { return s.repetition_penalty != 1; },
    [](how s) { return number(s.repetition_penalty); },
    [](turn& now) { penalise_repetition(now.how, now.text()); }};
inline constexpr filter presence_penalty{
    "presence and frequency penalty", filter_kind::processor_of_text,
    [](how s) { return s.presence_penalty != 0 || s.frequency_penalty != 0; },
    [](how s) { return number(s.presence_penalty) + " and " + number(s.frequency_penalty); },
    [](turn& now) { penalise_presence(now.how, now.text()); }};
inline constexpr filter dry{
    "dry", filter_kind::processor_of_text, [](how s) { return s.dry.multiplier != 0; },
    [](how s) {
        return number(s.dry.multiplier) + " from " + std::to_string(s.dry.allowed_length);
    },
    [](turn& now) { penalise_dry(now.how.dry, now.text()); }};
inline constexpr filter no_repeat_ngram{
    "no-repeat n-gram", filter_kind::processor_of_text,
    [](how s) { return s.no_repeat_ngram != 0; },
    [](how s) { return std::to_string(s.no_repeat_ngram); },
    [](turn& now) { ban_repeated_ngrams(now.how.no_repeat_ngram, now.text()); }};
inline constexpr filter bad_words{"bad words", filter_kind::processor_of_text,
                                  [](how s) { return !s.bad_words.empty(); },
                                  [](how s) { return std::to_string(s.bad_words.size()); },
                                  [](turn& now) { add_biases(now.bad_words, now.text()); }};
inline constexpr filter min_length{"min length", filter_kind::processor_of_text,
                                   [](how s) { return s.min_length != 0; },
                                   [](how s) { return std::to_string(s.min_length); },
                                   [](turn& now) {
                                       if (now.past.tokens.size() < now.how.min_length)
                                           ban(now.text(), now.how.end_of_text);
                                   }};
inline constexpr filter min_new_tokens{
    "min new tokens", filter_kind::processor_of_text, [](how s) { return s.min_new_tokens != 0; },
    [](how s) { return std::to_string(s.min_new_tokens); },
    [](turn& now) {
        if (now.past.tokens.size() - now.past.prompt_length < now.how.min_new_tokens)
            ban(now.text(), now.how.end_of_text);
    }};
inline constexpr filter allowed{"allowed tokens", filter_kind::processor, nullptr, nullptr,
                                [](turn& now) { ban_disallowed(now.allowed, now.text()); }};
inline constexpr filter forced_begin{"forced begin", filter_kind::processor_of_text,
                                     [](how s) { return s.forced_begin.has_value(); },
                                     [](how s) { return std::to_string(*s.forced_begin); },
                                     [](turn& now) {
                                         if (now.past.tokens.size() == 1)
                                             force(now.text(),
                                                   std::span(&*now.how.forced_begin, 1));
                                     }};
inline constexpr filter forced_end{"forced end", filter_kind::processor_of_text,
                                   [](how s) { return !s.forced_end.empty(); },
                                   [](how s) { return "at " + std::to_string(s.max_length); },
                                   [](turn& now) {
                                       if (now.past.tokens.size() + 1 == now.how.max_length)
                                           force(now.text(), now.how.forced_end);
                                   }};
inline constexpr filter decay{
    "exponential length penalty", filter_kind::processor_of_text,
    [](how s) { return s.decay.factor != 1; },
    [](how s) { return number(s.decay.factor) + " from " + std::to_string(s.decay.start); },
    [](turn& now) { press_for_end(now.how, now.text()); }};
inline constexpr filter suppress{"suppress", filter_kind::processor,
                                 [](how s) { return !s.suppress.empty(); },
                                 [](how s) { return std::to_string(s.suppress.size()); },
                                 [](turn& now) { ban(now.text(), now.how.suppress); }};
inline constexpr filter begin_suppress{
    "suppress at begin", filter_kind::processor_of_text,
    [](how s) { return !s.begin_suppress.empty(); },
    [](how s) { return std::to_string(s.begin_suppress.size()); },
    [](turn& now) {
        if (at_begin(now.how, now.past)) ban(now.text(), now.how.begin_suppress);
    }};
inline constexpr filter users{"custom", filter_kind::users, [](how s) { return !s.custom.empty(); },
                              [](how s) {
                                  std::string names;
                                  for (const auto& own : s.custom)
                                      names += (names.empty() ? "" : ", custom ") + own.name;
                                  return names;
                              },
                              nullptr};

inline constexpr filter temperature{
    "temperature", filter_kind::truncation,
    [](how s) { return s.temperature != 1 || s.dynamic.range != 0; },
    [](how s) {
        const std::string range = s.dynamic.range == 0 ? "" : " ± " + number(s.dynamic.range);
        return number(s.temperature) + range;
    },
    [](turn& now) { apply_temperature(now.how, now.list); }};
inline constexpr filter top_n_sigma{"top-n-sigma", filter_kind::truncation,
                                    [](how s) { return s.top_n_sigma != 0; },
                                    [](how s) { return number(s.top_n_sigma); },
                                    [](turn& now) { keep_top_n_sigma(now.how, now.list); }};
inline constexpr filter top_h{"top-h", filter_kind::truncation, [](how s) { return s.top_h != 0; },
                              [](how s) { return number(s.top_h); },
                              [](turn& now) { keep_top_h(now.how, now.list); }};
inline constexpr filter top_k{"top-k", filter_kind::truncation, [](how s) { return s.top_k != 0; },
                              [](how s) { return std::to_string(s.top_k); },
                              [](turn& now) { keep_top_k(now.how, now.list); }};
inline constexpr filter top_p{"top-p", filter_kind::truncation, [](how s) { return s.top_p < 1; },
                              [](how s) { return number(s.top_p); },
                              [](turn& now) { keep_nucleus(now.how, now.list); }};
inline constexpr filter min_p{"min-p", filter_kind::truncation, [](how s) { return s.min_p != 0; },
                              [](how s) { return number(s.min_p); },
                              [](turn& now) { keep_min_p(now.how, now.list); }};
inline constexpr filter typical{
    "typical", filter_kind::truncation, [](how s) { return s.typical_p < 1; },
    [](how s) { return number(s.typical_p); }, [](turn& now) { keep_typical(now.how, now.list); }};
inline constexpr filter epsilon{"epsilon", filter_kind::truncation,
                                [](how s) { return s.epsilon_cutoff != 0; },
                                [](how s) { return number(s.epsilon_cutoff); },
                                [](turn& now) { keep_epsilon(now.how, now.list); }};
inline constexpr filter eta{"eta", filter_kind::truncation, [](how s) { return s.eta_cutoff != 0; },
                            [](how s) { return number(s.eta_cutoff); },
                            [](turn& now) { keep_eta(now.how, now.list); }};
inline constexpr filter xtc{
    "xtc", filter_kind::truncation, [](how s) { return s.xtc.probability != 0; },
    [](how s) { return number(s.xtc.probability) + " at " + number(s.xtc.threshold); },
    [](turn& now) {
        if (now.chance <= static_cast<double>(now.how.xtc.probability))
            exclude_top(now.how, now.list);
    }};
inline constexpr filter mirostat{
    "mirostat", filter_kind::truncation,
    [](how s) { return s.mirostat.version != mirostat_control::kind::off; },
    [](how s) {
        const bool first = s.mirostat.version == mirostat_control::kind::version_1;
        return (first ? "1 at " : "2 at ") + number(s.mirostat.target);
    },
    [](turn& now) {
        if (now.how.mirostat.version == mirostat_control::kind::version_2)
            keep_unsurprising(now.list, static_cast<float>(now.surprise));
        else
            keep_zipf(now.list, now.how.mirostat.estimate, now.surprise);
    }};
inline constexpr filter log_softmax{"log-softmax", filter_kind::normalisation,
                                    [](how s) { return s.scores != normalisation::none; },
                                    [](how) { return std::string(); }, nullptr};

}  // namespace filters

/// The filters that know the text, in HF transformers' order; those that it has not are where what
/// they act on is at hand.
inline constexpr std::array processors{filters::sequence_bias,
                                       filters::logit_bias,
                                       filters::repetition_penalty,
                                       filters::presence_penalty,
                                       filters::dry,
                                       filters::no_repeat_ngram,
                                       filters::bad_words,
                                       filters::min_length,
                                       filters::min_new_tokens,
                                       filters::allowed,
                                       filters::forced_begin,
                                       filters::forced_end,
                                       filters::decay,
                                       filters::suppress,
                                       filters::begin_suppress,
                                       filters::users};

/// What follows the processors: as HF transformers, and as llama.cpp's command line, which takes
/// the temperature last.
inline constexpr std::array hf_truncation{
    filters::temperature, filters::top_n_sigma, filters::top_h,    filters::top_k,
    filters::top_p,       filters::min_p,       filters::typical,  filters::epsilon,
    filters::eta,         filters::xtc,         filters::mirostat, filters::log_softmax};
inline constexpr std::array llama_cpp_truncation{
    filters::top_n_sigma, filters::top_k,       filters::typical,  filters::top_p,
    filters::min_p,       filters::top_h,       filters::epsilon,  filters::eta,
    filters::xtc,         filters::temperature, filters::mirostat, filters::log_softmax};

template <std::size_t N>
constexpr auto behind_processors(const std::array<filter, N>& last) {
    std::array<filter, processors.size() + N> chain{};
    std::ranges::copy(last, std::ranges::copy(processors, chain.begin()).out);
    return chain;
}
inline constexpr auto hf_chain = behind_processors(hf_truncation),
                      llama_cpp_chain = behind_processors(llama_cpp_truncation);

/// OpenAI's sample.py has temperature, top-k and top-p, in HF's order.
constexpr std::span<const filter> chain_of(dialect whose) {
    if (whose == dialect::llama_cpp) return llama_cpp_chain;
    return hf_chain;
}

inline bool is_processor(const filter& one) {
    return one.kind != filter_kind::truncation && one.kind != filter_kind::normalisation;
}

/// Whether a filter has something to do.
inline bool is_on(const filter& one, const sampling& how, std::span<const std::uint64_t> allowed) {
    return one.is_on != nullptr ? one.is_on(how) : !allowed.empty();
}

}  // namespace detail

/// The settings in words, in the order they take effect: "temperature 0.8, top-k 40, top-p 0.95".
inline std::string describe(const sampling& how) {
    std::string words;
    const auto add = [&](std::string_view text) {
        if (!words.empty()) words += ", ";
        words += text;
    };
    for (const detail::filter& filter : detail::chain_of(how.dialect)) {
        if (!detail::is_on(filter, how, {})) continue;
        if (filter.kind == detail::filter_kind::truncation && detail::is_greedy(how)) continue;
        const std::string value = filter.value(how);
        add(std::string(filter.name) + (value.empty() ? "" : " ") + value);
    }
    if (detail::is_greedy(how)) add("greedy");
    if (how.min_tokens_to_keep > 1)
        add("at least " + std::to_string(how.min_tokens_to_keep) + " tokens");
    if (words.empty()) words = "the model's own distribution";
    if (how.dialect == dialect::openai2019) return "openai2019: " + words;
    if (how.dialect == dialect::llama_cpp) return "llama_cpp: " + words;
    return words;
}

}  // namespace gpt2::inline GPT2_ABI
