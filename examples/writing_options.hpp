// How a program is told to write: every setting of a generation under one name, with underscores in
// JSON and in a chat, with dashes on a command line. The names are HF transformers', and
// llama.cpp's for what HF has not.
//
// One table says what there is (`groups`): options are declared from it, and requests read by it.
#pragma once

#include "cli.hpp"
#include "setting.hpp"

#include <gpt2/constraint.hpp>
#include <gpt2/gpt2.hpp>
#include <gpt2/json_schema.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cli {
namespace detail {

inline setting_group text_settings() {
    const auto how = [](auto member) {
        return [member](auto& given) -> auto& { return given.how.*member; };
    };
    using gpt2::options;
    return {
        "The text",
        {simple("max_new_tokens", form::word, "N", "How many tokens to write",
                how(&options::max_new_tokens)),
         simple("max_length", form::word, "N", "How many tokens in all, the prompt counted; 0: any",
                at(&gpt2::sampling::max_length)),
         simple(
             "seed", form::word, "N", "Same seed, same text; default: a random one, reported",
             [](auto& given) -> auto& { return given.seed; }),
         simple("sequence", form::word, "N", "Tells apart the texts that share a seed",
                how(&options::sequence)),
         simple(
             "samples", form::word, "N", "How many texts; number i is that of --sequence i alone",
             [](auto& given) -> auto& { return given.samples; }),
         simple("stop", form::texts, "TEXT", "Text that ends the generation; may be repeated",
                how(&options::stop)),
         flag("ignore_end", "End of text is a token like any other",
              [](writing& given, bool on) {
                  given.how.at_end_of_text = on ? gpt2::end_rule::go_on : gpt2::end_rule::stop;
              }),
         flag("specials", "Special tokens written in the prompt, such as <|endoftext|>, are tokens",
              [](writing& given, bool on) {
                  given.how.prompt = on ? gpt2::specials::as_tokens : gpt2::specials::as_text;
              }),
         simple(
             "lookup", form::word, "N",
             "Guess that the text repeats itself where its last N tokens stood before, or "
             "fewer: saves time, changes nothing; 0: off",
             [](auto& given) -> auto& { return given.lookup; })}};
}

inline setting dialect_setting() {
    const auto show = [](const writing& given) {
        constexpr const char* names[] = {"hf", "openai2019", "llama_cpp"};
        return std::string(names[static_cast<std::size_t>(given.how.sampling.dialect)]);
    };
    return {"dialect",
            form::word,
            "hf|openai2019|llama_cpp",
            "Whose rules hold where engines differ",
            [](writing& given, const json& value) {
                given.how.sampling.dialect = read::read_dialect(value);
            },
            show};
}

inline setting mirostat_setting() {
    return {"mirostat",
            form::word,
            "0|1|2",
            "Mirostat: keep the surprise near a target; 0: off",
            [](writing& given, const json& value) {
                read::read_mirostat(given.how.sampling, "mirostat", value);
            },
            [](const writing& given) {
                return std::to_string(static_cast<int>(given.how.sampling.mirostat.version));
            }};
}

inline setting_group truncation_settings() {
    using gpt2::sampling, gpt2::dynamic_temperature, gpt2::mirostat_control;
    using xtc = gpt2::exclude_top_choices;
    const auto number = [](const char* name, const char* meaning, auto... members) {
        return simple(name, form::word, "", meaning, at(members...));
    };
    return {
        "Which tokens may be drawn",
        {number("temperature",
                "Below 1 sharper, above 1 wilder; 0 takes the likeliest token (greedy)",
                &sampling::temperature),
         number("top_k", "Only the K likeliest tokens; 0: all", &sampling::top_k),
         number("top_p", "Only the likeliest tokens that make up P; 1: all", &sampling::top_p),
         number("min_p", "None below P times the best; 0: off", &sampling::min_p),
         number("typical_p", "Only those nearest to the expected surprise that make up P; 1: off",
                &sampling::typical_p),
         number("epsilon_cutoff", "None below this probability; 0: off", &sampling::epsilon_cutoff),
         number("eta_cutoff", "The same, less where much is likely; 0: off", &sampling::eta_cutoff),
         number("top_h", "Only the best up to this share of the entropy; 0: off", &sampling::top_h),
         number("top_n_sigma", "Only logits within N deviations of the best; 0: off",
                &sampling::top_n_sigma),
         number("min_tokens_to_keep", "No filter leaves fewer", &sampling::min_tokens_to_keep),
         number("dynatemp_range", "The temperature follows the entropy, this much up and down",
                &sampling::dynamic, &dynamic_temperature::range),
         number("dynatemp_exponent", "How", &sampling::dynamic, &dynamic_temperature::exponent),
         number("xtc_probability", "How often the top choices are excluded; 0: never",
                &sampling::xtc, &xtc::probability),
         number("xtc_threshold", "What a top choice is", &sampling::xtc, &xtc::threshold),
         mirostat_setting(),
         number("mirostat_tau", "The target, in bits", &sampling::mirostat,
                &mirostat_control::target),
         number("mirostat_eta", "How fast it learns", &sampling::mirostat, &mirostat_control::rate),
         number("mirostat_m", "How many tokens version 1 estimates from", &sampling::mirostat,
                &mirostat_control::estimate),
         dialect_setting()}};
}

inline setting_group penalty_settings() {
    using gpt2::sampling, gpt2::dry_penalty, gpt2::length_decay;
    const auto number = [](const char* name, const char* meaning, auto... members) {
        return simple(name, form::word, "", meaning, at(members...));
    };
    const auto bias = [](const std::string& name, const json& one) {
        const json& both = read::pair(name, one);
        return gpt2::sequence_bias{read::id_or_ids(name, both[0]), read::narrow(name, both[1])};
    };
    const auto token = [bias](const std::string& name, const json& one) {
        const auto found = bias(name, one);
        if (found.tokens.size() != 1) read::refuse(name, "one token", one);
        return gpt2::token_bias{found.tokens[0], found.bias};
    };
    return {
        "What becomes less likely, or likelier",
        {number("repetition_penalty", "Divides what is there already; 1: off",
                &sampling::repetition_penalty),
         number("presence_penalty", "Taken off once; 0: off", &sampling::presence_penalty),
         number("frequency_penalty", "Taken off each time; 0: off", &sampling::frequency_penalty),
         number("penalty_last_n", "Of how many last tokens these three know",
                &sampling::penalty_last_n),
         number("no_repeat_ngram_size", "No N tokens in a row come twice; 0: off",
                &sampling::no_repeat_ngram),
         number("dry_multiplier", "Against longer repetitions; 0: off", &sampling::dry,
                &dry_penalty::multiplier),
         number("dry_base", "Grows with their length", &sampling::dry, &dry_penalty::base),
         number("dry_allowed_length", "From which length", &sampling::dry,
                &dry_penalty::allowed_length),
         number("dry_penalty_last_n", "Of how many last tokens it knows", &sampling::dry,
                &dry_penalty::window),
         simple(
             "dry_sequence_breakers", form::texts, "TEXT",
             "No repetition reaches across it; may be repeated",
             [](auto& given) -> auto& { return given.breakers; }),
         list({"logit_bias", form::pairs, "ID=X", "Added to the logit; may be repeated", {}, {}},
              at(&sampling::logit_bias), token),
         list({"sequence_bias",
               form::pairs,
               "IDS=X",
               "Added to the last of these behind the others; may be repeated",
               {},
               {}},
              at(&sampling::sequence_bias), bias),
         number("length_decay_start", "After how many new tokens an end becomes likelier",
                &sampling::decay, &length_decay::start),
         number("length_decay_factor", "How fast; 1: never", &sampling::decay,
                &length_decay::factor)}};
}

inline setting_group ban_settings() {
    using gpt2::sampling;
    const auto ids = [](const char* name, const char* meaning, auto member) {
        return simple(name, form::ids, "IDS", meaning, at(member));
    };
    const auto number = [](const char* name, const char* meaning, auto member) {
        return simple(name, form::word, "N", meaning, at(member));
    };
    const auto sequence = [](const std::string& name, const json& one) {
        return read::ids(name, one);
    };
    return {"What is banned or forced",
            {ids("suppress_tokens", "Never", &sampling::suppress),
             ids("begin_suppress_tokens", "Not as the first", &sampling::begin_suppress),
             simple(
                 "bad_words", form::texts, "TEXT",
                 "Never, as it is cut into tokens at the start and after a space; may be "
                 "repeated",
                 [](auto& given) -> auto& { return given.bad_words; }),
             list({"bad_words_ids", form::lists, "IDS", "The same in ids; may be repeated", {}, {}},
                  at(&sampling::bad_words), sequence),
             number("min_new_tokens", "No end before", &sampling::min_new_tokens),
             number("min_length", "No end before, the prompt counted", &sampling::min_length),
             ids("eos_token_id", "What ends are to these; default: the model's",
                 &sampling::end_of_text),
             ids("forced_eos_token_id", "The last token there is room for", &sampling::forced_end),
             number("forced_bos_token_id", "The second token of a text of one",
                    &sampling::forced_begin)}};
}

inline setting past_context_setting() {
    constexpr static const char* names[] = {"stop", "truncate", "slide"};
    return {"past_context",
            form::word,
            "stop|truncate|slide",
            "When the context is full: stop, drop the oldest token each time, or half of them",
            [](writing& given, const json& value) {
                const auto found = std::find(std::begin(names), std::end(names), value);
                if (found == std::end(names))
                    read::refuse("past_context", "stop, truncate or slide", value);
                given.how.context.rule = static_cast<gpt2::when_full>(found - names);
            },
            [](const writing& given) {
                return std::string(names[static_cast<std::size_t>(given.how.context.rule)]);
            }};
}

inline setting_group form_settings() {
    const auto text = [](const char* name, form written, const char* meaning, auto member) {
        return simple(
            name, written, "TEXT",
            meaning, [member](auto& given) -> auto& { return given.*member; });
    };
    const auto count = [](const char* name, const char* meaning, auto member) {
        return simple(
            name, form::word, "N",
            meaning, [member](auto& given) -> auto& { return given.how.context.*member; });
    };
    return {"The form of the text",
            {text("regex", form::text, "It matches this regular expression as a whole",
                  &writing::regex),
             text("choices", form::texts, "It is one of these; may be repeated", &writing::choices),
             text("json_schema", form::text, "It is JSON that this schema allows",
                  &writing::json_schema),
             text("grammar", form::text, "It is a text of this EBNF", &writing::grammar),
             text("without", form::texts,
                  "This stands nowhere in it, however it is cut into tokens; may be repeated",
                  &writing::without),
             past_context_setting(),
             count("context_keep", "Tokens at the beginning that are never dropped",
                   &gpt2::context_policy::keep),
             count("context_step", "Tokens that slide drops at once; 0: half",
                   &gpt2::context_policy::step)}};
}

}  // namespace detail

/// All that can be set.
inline const std::vector<setting_group>& groups() {
    static const std::vector<setting_group> all = {
        detail::text_settings(), detail::truncation_settings(), detail::penalty_settings(),
        detail::ban_settings(), detail::form_settings()};
    return all;
}

/// The setting of that name, with underscores or dashes; null: there is none.
inline const setting* find_setting(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    for (const auto& group : groups())
        for (const auto& one : group.settings)
            if (one.name == name) return &one;
    return nullptr;
}

/// Declares an option for each setting; `without` are names that the program has no use for.
inline void declare(CLI::App& app, writing& given, const std::vector<std::string>& without = {}) {
    for (const auto& group : groups())
        for (const auto& one : group.settings) {
            if (std::find(without.begin(), without.end(), one.name) != without.end()) continue;
            std::string name = "--" + one.name;
            std::replace(name.begin(), name.end(), '_', '-');
            const auto choose = [&given, &one, name](const std::vector<std::string>& texts) {
                try {
                    set(given, one, texts);
                } catch (const gpt2::error& problem) {
                    throw CLI::ValidationError(name, problem.what());
                }
            };
            const bool repeats = one.written == form::texts || one.written == form::lists ||
                                 one.written == form::pairs;
            CLI::Option* option = nullptr;
            if (one.written == form::flag)
                option = app.add_flag_callback(
                    name, [choose] { choose({"true"}); }, one.meaning);
            else
                option =
                    app.add_option_function<std::vector<std::string>>(name, choose, one.meaning)
                        ->type_name(one.type)
                        ->expected(1, repeats ? CLI::detail::expected_max_vector_size : 1)
                        ->allow_extra_args(false)
                        ->default_str(one.show(given));
            option->group(group.name);
        }
}

namespace detail {

/// A text as it is cut alone, and after a space.
inline std::vector<std::vector<gpt2::token_id>> cuts(const gpt2::tokenizer& words,
                                                     const std::string& text) {
    std::vector<std::vector<gpt2::token_id>> found = {words.encode(text)};
    if (!text.empty() && text.front() != ' ') found.push_back(words.encode(" " + text));
    return found;
}

/// What the text must be like, all of it together; nothing where anything goes.
inline std::optional<gpt2::grammar> form_of(const writing& given) {
    std::optional<gpt2::grammar> all;
    const auto also = [&](const gpt2::grammar& one) { all = all ? *all & one : one; };
    if (!given.regex.empty()) also(gpt2::matching(given.regex));
    if (!given.choices.empty()) also(gpt2::one_of(given.choices));
    if (!given.json_schema.empty()) also(gpt2::json_schema(given.json_schema));
    if (!given.grammar.empty()) also(gpt2::ebnf(given.grammar));
    if (!given.without.empty()) also(gpt2::without(given.without));
    return all;
}

inline gpt2::constraint constraint_of(const gpt2::grammar& form, const writing& given,
                                      const gpt2::language_model& model) {
    if (!*given.tokens)
        given.tokens->emplace(std::make_shared<const gpt2::tokenizer>(model.tokenizer()),
                              model.config().end_of_text);
    return {form, **given.tokens};
}

}  // namespace detail

/// Raises what a generation would, before there is a model.
inline void validate(const writing& given) {
    auto choice = given.how.sampling;
    if (choice.max_length == 0) choice.max_length = 1 + given.how.max_new_tokens;
    gpt2::validate(choice.forced_end.empty() ? given.how.sampling : choice);
}

/// What was asked for, for this model and a prompt of that many tokens: texts are ids, and the
/// lengths are known. A draft model guesses for it where there is one.
inline gpt2::options settled(const writing& given, const gpt2::language_model& model,
                             std::size_t prompt_tokens,
                             const std::optional<gpt2::language_model>& draft = {}) {
    gpt2::options how = given.how;
    constexpr std::size_t most_samples = 4096;
    if (given.samples == 0 || given.samples > most_samples)
        gpt2::detail::fail(gpt2::errc::invalid_argument, "samples", {"1 to ", most_samples},
                           given.samples);
    auto& choice = how.sampling;
    for (const auto& text : given.bad_words)
        for (auto& cut : detail::cuts(model.tokenizer(), text))
            choice.bad_words.push_back(std::move(cut));
    for (const auto& text : given.breakers)
        choice.dry.breakers.push_back(model.tokenizer().encode(text));
    prompt_tokens = std::max<std::size_t>(prompt_tokens, 1);
    if (choice.max_length != 0)
        how.max_new_tokens = std::min(
            how.max_new_tokens, choice.max_length - std::min(choice.max_length, prompt_tokens));
    else if (!choice.forced_end.empty())
        choice.max_length = prompt_tokens + how.max_new_tokens;
    if (given.seed) how.seed = *given.seed;
    if (const auto form = detail::form_of(given))
        how.constraint = detail::constraint_of(*form, given, model);
    if (given.lookup != 0)
        how.draft = gpt2::prompt_lookup(given.lookup, std::min<std::size_t>(given.lookup, 2));
    if (draft) how.draft = gpt2::draft_model(draft->parts(), choice, how.seed, how.sequence);
    return how;
}

}  // namespace cli
