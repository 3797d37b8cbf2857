// The options of one line of the sampler program, by the names that HF transformers has for them
// (and llama.cpp for what HF has not), as the library's `sampling`.
#pragma once

#include <gpt2/error.hpp>
#include <gpt2/sampling.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sampler_options {

using json = nlohmann::json;

[[noreturn]] inline void refuse(std::string_view name, std::string_view expected,
                                const json& found) {
    const auto text = found.is_string() ? found.get<std::string>()
                                        : found.dump(-1, ' ', true, json::error_handler_t::replace);
    gpt2::detail::fail(gpt2::errc::invalid_argument, name, expected,
                       gpt2::detail::printable(text, 40));
}

/// A number; JSON has none for these, so "nan", "inf" and "-inf" are numbers too.
inline double number(std::string_view name, const json& value) {
    if (value.is_number()) return value.get<double>();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (value == "inf") return infinity;
    if (value == "-inf") return -infinity;
    if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
    refuse(name, "a number", value);
}

inline float narrow(std::string_view name, const json& value) {
    return static_cast<float>(number(name, value));
}

inline std::size_t count(std::string_view name, const json& value) {
    if (!value.is_number_integer() ||
        (!value.is_number_unsigned() && value.get<std::int64_t>() < 0))
        refuse(name, "a whole number, 0 or more", value);
    return value.get<std::size_t>();
}

inline gpt2::token_id id(std::string_view name, const json& value) {
    const bool whole = value.is_number_integer();
    const auto wide = whole ? value.get<std::int64_t>() : -1;
    if (!whole || wide < 0 || wide > std::numeric_limits<gpt2::token_id>::max())
        refuse(name, "a token id", value);
    return static_cast<gpt2::token_id>(wide);
}

inline const json& list(std::string_view name, const json& value) {
    if (!value.is_array()) refuse(name, "a list", value);
    return value;
}

inline std::vector<gpt2::token_id> ids(std::string_view name, const json& value) {
    std::vector<gpt2::token_id> found;
    for (const json& one : list(name, value)) found.push_back(id(name, one));
    return found;
}

/// An id, or a list of them.
inline std::vector<gpt2::token_id> id_or_ids(std::string_view name, const json& value) {
    if (value.is_array()) return ids(name, value);
    return {id(name, value)};
}

inline std::vector<std::vector<gpt2::token_id>> sequences(std::string_view name,
                                                          const json& value) {
    std::vector<std::vector<gpt2::token_id>> found;
    for (const json& one : list(name, value)) found.push_back(ids(name, one));
    return found;
}

/// [a, b], both still JSON.
inline const json& pair(std::string_view name, const json& value) {
    if (!value.is_array() || value.size() != 2) refuse(name, "a pair [a, b]", value);
    return value;
}

inline bool flag(std::string_view name, const json& value) {
    if (!value.is_boolean()) refuse(name, "true or false", value);
    return value.get<bool>();
}

using reader = std::function<void(gpt2::sampling&, std::string_view name, const json&)>;

/// What reads a number into a setting of its type.
template <class Owner, class Value>
reader into(Value Owner::*setting) {
    return [setting](gpt2::sampling& how, std::string_view name, const json& value) {
        static_assert(std::is_same_v<Owner, gpt2::sampling>);
        if constexpr (std::is_floating_point_v<Value>)
            how.*setting = static_cast<Value>(number(name, value));
        else if constexpr (std::is_same_v<Value, std::size_t>)
            how.*setting = count(name, value);
        else
            how.*setting = id_or_ids(name, value);
    };
}

/// What reads a number into a setting that is part of another.
template <class Part, class Value>
reader into(Part gpt2::sampling::*part, Value Part::*setting) {
    return [part, setting](gpt2::sampling& how, std::string_view name, const json& value) {
        if constexpr (std::is_floating_point_v<Value>)
            how.*part.*setting = static_cast<Value>(number(name, value));
        else
            how.*part.*setting = count(name, value);
    };
}

/// The ids in the key of an object: "1, 2", "(1, 2)" or "[1, 2]".
inline std::vector<gpt2::token_id> ids_of_key(std::string_view name, std::string key) {
    std::replace(key.begin(), key.end(), '(', '[');
    std::replace(key.begin(), key.end(), ')', ']');
    if (key.ends_with(",]")) key.erase(key.size() - 2, 1);  // Python's tuple of one
    if (!key.starts_with('[')) key = "[" + key + "]";
    return ids(name, json::parse(key, nullptr, false));
}

/// [[ids, bias], …], or an object of biases by ids.
inline void read_biases(gpt2::sampling& how, std::string_view name, const json& value) {
    if (value.is_object()) {
        for (const auto& [key, bias] : value.items())
            how.sequence_bias.push_back({ids_of_key(name, key), narrow(name, bias)});
        return;
    }
    for (const json& one : list(name, value)) {
        const json& both = pair(name, one);
        how.sequence_bias.push_back({ids(name, both[0]), narrow(name, both[1])});
    }
}

inline void read_logit_bias(gpt2::sampling& how, std::string_view name, const json& value) {
    for (const json& one : list(name, value)) {
        const json& both = pair(name, one);
        how.logit_bias.push_back({id(name, both[0]), narrow(name, both[1])});
    }
}

inline void read_decay(gpt2::sampling& how, std::string_view name, const json& value) {
    const json& both = pair(name, value);
    how.decay = {count(name, both[0]), number(name, both[1])};
}

inline void read_mirostat(gpt2::sampling& how, std::string_view name, const json& value) {
    using kind = gpt2::mirostat_control::kind;
    const std::size_t version = count(name, value);
    if (version > 2) refuse(name, "0, 1 or 2", value);
    how.mirostat.version = std::array{kind::off, kind::version_1, kind::version_2}[version];
}

inline const std::map<std::string, reader, std::less<>>& readers() {
    using gpt2::sampling;
    using xtc = gpt2::exclude_top_choices;
    using gpt2::dry_penalty, gpt2::dynamic_temperature, gpt2::mirostat_control;
    static const std::map<std::string, reader, std::less<>> known = {
        {"temperature", into(&sampling::temperature)},
        {"top_k", into(&sampling::top_k)},
        {"top_p", into(&sampling::top_p)},
        {"min_p", into(&sampling::min_p)},
        {"typical_p", into(&sampling::typical_p)},
        {"epsilon_cutoff", into(&sampling::epsilon_cutoff)},
        {"eta_cutoff", into(&sampling::eta_cutoff)},
        {"top_h", into(&sampling::top_h)},
        {"top_n_sigma", into(&sampling::top_n_sigma)},
        {"min_tokens_to_keep", into(&sampling::min_tokens_to_keep)},
        {"repetition_penalty", into(&sampling::repetition_penalty)},
        {"presence_penalty", into(&sampling::presence_penalty)},
        {"frequency_penalty", into(&sampling::frequency_penalty)},
        {"penalty_last_n", into(&sampling::penalty_last_n)},
        {"no_repeat_ngram_size", into(&sampling::no_repeat_ngram)},
        {"suppress_tokens", into(&sampling::suppress)},
        {"begin_suppress_tokens", into(&sampling::begin_suppress)},
        {"eos_token_id", into(&sampling::end_of_text)},
        {"min_length", into(&sampling::min_length)},
        {"min_new_tokens", into(&sampling::min_new_tokens)},
        {"max_length", into(&sampling::max_length)},
        {"forced_eos_token_id", into(&sampling::forced_end)},
        {"forced_bos_token_id",
         [](auto& how, auto name, auto& v) { how.forced_begin = id(name, v); }},
        {"bad_words_ids",
         [](auto& how, auto name, auto& v) { how.bad_words = sequences(name, v); }},
        {"sequence_bias", read_biases},
        {"logit_bias", read_logit_bias},
        {"exponential_decay_length_penalty", read_decay},
        // These change no probability.
        {"bos_token_id", [](auto&, auto name, auto& v) { id(name, v); }},
        {"pad_token_id", [](auto&, auto name, auto& v) { id(name, v); }},
        {"renormalize_logits", [](auto&, auto name, auto& v) { flag(name, v); }},
        {"dynatemp_range", into(&sampling::dynamic, &dynamic_temperature::range)},
        {"dynatemp_exponent", into(&sampling::dynamic, &dynamic_temperature::exponent)},
        {"xtc_probability", into(&sampling::xtc, &xtc::probability)},
        {"xtc_threshold", into(&sampling::xtc, &xtc::threshold)},
        {"mirostat", read_mirostat},
        {"mirostat_tau", into(&sampling::mirostat, &mirostat_control::target)},
        {"mirostat_eta", into(&sampling::mirostat, &mirostat_control::rate)},
        {"dry_multiplier", into(&sampling::dry, &dry_penalty::multiplier)},
        {"dry_base", into(&sampling::dry, &dry_penalty::base)},
        {"dry_allowed_length", into(&sampling::dry, &dry_penalty::allowed_length)},
        {"dry_penalty_last_n", into(&sampling::dry, &dry_penalty::window)},
        {"dry_sequence_breakers",
         [](auto& how, auto name, auto& v) { how.dry.breakers = sequences(name, v); }},
    };
    return known;
}

inline gpt2::dialect read_dialect(const json& value) {
    if (value == "hf") return gpt2::dialect::hf;
    if (value == "openai2019") return gpt2::dialect::openai2019;
    if (value == "llama_cpp") return gpt2::dialect::llama_cpp;
    refuse("dialect", "hf, openai2019 or llama_cpp", value);
}

/// What HF takes of a description when it does not sample: all but temperature and truncation.
inline void keep_processors(gpt2::sampling& how) {
    const gpt2::sampling neutral;
    const auto reset = [&](auto... setting) { ((how.*setting = neutral.*setting), ...); };
    using gpt2::sampling;
    reset(&sampling::temperature, &sampling::top_k, &sampling::top_p, &sampling::min_p,
          &sampling::typical_p, &sampling::epsilon_cutoff, &sampling::eta_cutoff, &sampling::top_h,
          &sampling::top_n_sigma, &sampling::dynamic, &sampling::xtc, &sampling::mirostat);
}

/// All options of an object; one that is null says nothing. Raises errc::invalid_argument for a
/// name that is none and for values of another type; ranges are the library's to check.
inline gpt2::sampling read(const json& options, gpt2::dialect dialect, std::size_t prompt_length) {
    if (!options.is_object()) refuse("options", "an object", options);
    gpt2::sampling how{.dialect = dialect};
    bool samples = true;
    for (const auto& [name, value] : options.items()) {
        if (value.is_null()) continue;
        if (name == "do_sample") {
            samples = flag(name, value);
            continue;
        }
        if (name == "max_new_tokens") {
            how.max_length = prompt_length + count(name, value);
            continue;
        }
        const auto found = readers().find(name);
        if (found == readers().end()) refuse("options", "a name that is known", name);
        found->second(how, name, value);
    }
    if (!samples) keep_processors(how);
    return how;
}

}  // namespace sampler_options
