// Which of several continuations of a context a model finds likeliest:
//
//     const auto found = gpt2::rank(model, {"The sky is", {" blue", " green"}});
//     found.best(), found.choices[0].log_prob
//
// The context is read once for all its choices, and what a question has in common with the one
// before it (examples that stand in front of all, say) is not read again.
//
// Context and choice are cut into tokens together. The choice is the tokens that hold a byte of it:
// where "The sky is " is followed by "blue", the token " blue" is scored whole. This is what
// lm-evaluation-harness does, but for tokens that join both, which it would leave to the context.
//
// Before: score.hpp. After: score_report.hpp.
#pragma once

#include "score.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// By what choices are compared; the higher is the better. Names in brackets: lm-eval's.
enum class ranking_rule {
    log_prob,       ///< log P(choice | context) (acc)
    per_token,      ///< that, divided by the tokens of the choice
    per_byte,       ///< divided by its bytes (acc_bytes)
    per_character,  ///< divided by its characters, code points of UTF-8 (acc_norm)
    pointwise,      ///< log P(choice | context) - log P(choice | domain) (acc_mutual_info)
};

inline std::string_view name(ranking_rule rule) {
    constexpr std::string_view names[] = {"log_prob", "per_token", "per_byte", "per_character",
                                          "pointwise"};
    return names[static_cast<std::size_t>(rule)];
}

/// What is done about a context and choice that are longer than the model's context.
enum class overlong {
    refuse,     ///< context_full
    cut_front,  ///< the oldest tokens are left out, as lm-eval does; never one of the choice
};

/// How to compare choices.
struct ranking_options {
    ranking_rule by = ranking_rule::log_prob;
    /// For ranking_rule::pointwise, what stands in the place of the context; empty: the model's
    /// begin-of-text token, before which nothing stands.
    std::string domain = {};
    opening before = opening::nothing;  ///< what the context follows
    overlong too_long = overlong::refuse;
    std::size_t alternatives = 0;  ///< as in score_options
    specials text = specials::as_text;
    interruption until = {};
};

struct question {
    std::string context;
    std::vector<std::string> choices;
};

struct choice_score {
    /// The tokens of the choice; their bytes count from its first on.
    std::vector<token_score> tokens;
    double log_prob = 0;         ///< the sum of theirs
    std::size_t bytes = 0;       ///< of the choice
    std::size_t characters = 0;  ///< code points; what is no UTF-8 as replaced by U+FFFD
    std::optional<double> given_domain = std::nullopt;  ///< log P(choice | domain) for pointwise
    double value = 0;                                   ///< by the rule that was asked for

    /// Whether greedy decoding would write it (lm-eval's is_greedy).
    bool greedy() const {
        return std::ranges::all_of(tokens, [](const auto& one) { return one.rank == 1; });
    }
};

/// Choices as they were given, and their order.
struct ranking {
    ranking_rule by = ranking_rule::log_prob;
    std::vector<choice_score> choices;
    std::vector<std::size_t> order;  ///< the best first; of equal ones the first given

    std::size_t best() const { return order.front(); }
};

namespace detail {

inline std::size_t count_characters(std::string_view text) {
    std::size_t count = 0;
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end; at += read_utf8(at, end).size) ++count;
    return count;
}

}  // namespace detail

/// Ranks choices with one model, question after question, in the same memory. One thread at a time.
class ranker {
public:
    /// Raises invalid_argument (alternatives), out_of_memory.
    ranker(const language_model& with, const ranking_options& how)
        : model_(with), how_(how), reader_(with, how.until) {
        detail::require_alternatives(how.alternatives, with.config());
        if (pointwise()) domain_reader_.emplace(with, how.until);
    }

    /// As the functions below.
    ranking rank(const question& asked) {
        ranking found{how_.by, {}, {}};
        for (std::size_t i = 0; i < asked.choices.size(); ++i) {
            const std::string_view choice = asked.choices[i];
            if (choice.empty())
                detail::fail(errc::invalid_argument, {"choices[", i, "]"}, "a text",
                             "an empty one");
            found.choices.push_back(
                compare(i, joined(asked.context, choice, how_.before),
                        pointwise() ? joined(how_.domain, choice, before_domain()) : joined_ids{}));
            measure(found.choices.back(), choice);
        }
        return in_order(std::move(found));
    }
    ranking rank(std::span<const token_id> context,
                 std::span<const std::vector<token_id>> choices) {
        ranking found{how_.by, {}, {}};
        std::vector<token_id> domain;
        if (pointwise() && !how_.domain.empty())
            domain = model_.tokenizer().encode(how_.domain, how_.text);
        for (std::size_t i = 0; i < choices.size(); ++i) {
            const auto& choice = choices[i];
            if (choice.empty())
                detail::fail(errc::invalid_argument, {"choices[", i, "]"}, "ids", "none");
            found.choices.push_back(
                compare(i, joined(context, choice, how_.before),
                        pointwise() ? joined(domain, choice, before_domain()) : joined_ids{}));
            if (model_.has_tokenizer())
                measure(found.choices.back(), model_.tokenizer().decode(choice));
        }
        return in_order(std::move(found));
    }

private:
    /// A context with a choice behind it; the tokens of the choice, without scores.
    struct joined_ids {
        std::vector<token_id> ids;
        std::vector<token_score> choice;
    };

    bool pointwise() const { return how_.by == ranking_rule::pointwise; }
    opening before_domain() const {
        return how_.domain.empty() ? opening::begin_of_text : how_.before;
    }
    static void measure(choice_score& one, std::string_view text) {
        one.bytes = text.size();
        one.characters = detail::count_characters(text);
    }

    joined_ids joined(std::string_view context, std::string_view choice, opening before) const {
        const auto& words = model_.tokenizer();
        const auto text = std::string(context) + std::string(choice);
        joined_ids made{words.encode(text, how_.text), {}};
        const auto ranges = detail::token_ranges(words, text, made.ids);
        const auto from_choice = [&](std::size_t at) {
            return std::max(at, context.size()) - context.size();
        };
        for (std::size_t i = 0; i < ranges.size(); ++i)
            if (ranges[i].end > context.size())
                made.choice.push_back(
                    {made.ids[i], {from_choice(ranges[i].begin), from_choice(ranges[i].end)}});
        return opened(std::move(made), before);
    }
    joined_ids joined(std::span<const token_id> context, std::span<const token_id> choice,
                      opening before) const {
        joined_ids made{{context.begin(), context.end()}, detail::unscored(model_, choice).tokens};
        made.ids.insert(made.ids.end(), choice.begin(), choice.end());
        return opened(std::move(made), before);
    }
    joined_ids opened(joined_ids made, opening before) const {
        if (const auto first = detail::opening_token(before, model_.config()))
            made.ids.insert(made.ids.begin(), *first);
        return made;
    }

    /// Choice i behind its context and, where that is asked for, behind the domain.
    choice_score compare(std::size_t i, joined_ids text, joined_ids in_domain) {
        auto found = read(reader_, std::move(text), i);
        if (pointwise())
            found.given_domain = read(*domain_reader_, std::move(in_domain), i).log_prob;
        return found;
    }

    /// The scores of choice i.
    choice_score read(detail::token_reader& reader, joined_ids text, std::size_t i) const {
        if (text.choice.empty())
            detail::fail(errc::invalid_argument, {"choices[", i, "]"}, "a token of its own",
                         "none");
        if (text.choice.size() == text.ids.size())
            detail::fail(errc::empty_prompt, {"choices[", i, "]"},
                         "a token before it (a context, or opening::begin_of_text)", "none");
        const auto most = model_.config().context_length + 1;  // the last one is not fed
        std::span<const token_id> ids = text.ids;
        if (ids.size() > most && how_.too_long == overlong::cut_front && text.choice.size() < most)
            ids = ids.last(most);
        if (ids.size() > most)
            detail::fail(errc::context_full, {"choices[", i, "]"},
                         {"at most ", most, " tokens in all"}, ids.size());
        choice_score found{.tokens = std::move(text.choice)};
        const auto first = ids.size() - found.tokens.size();
        reader.read(ids, first, [&](std::size_t at, const detail::distribution& by) {
            detail::take_score(found.tokens[at - first], by, how_.alternatives);
            found.log_prob += found.tokens[at - first].log_prob;
        });
        return found;
    }

    /// By the rule. Raises not_found for lengths in text without a tokenizer.
    double value_of(const choice_score& one) const {
        const auto per = [&](std::size_t length) {
            return one.log_prob / static_cast<double>(std::max<std::size_t>(length, 1));
        };
        switch (how_.by) {
            case ranking_rule::per_token:
                return per(one.tokens.size());
            case ranking_rule::per_byte:
                (void)model_.tokenizer();
                return per(one.bytes);
            case ranking_rule::per_character:
                (void)model_.tokenizer();
                return per(one.characters);
            case ranking_rule::pointwise:
                return std::isfinite(one.log_prob) ? one.log_prob - *one.given_domain
                                                   : one.log_prob;
            default:
                return one.log_prob;
        }
    }

    ranking in_order(ranking found) const {
        if (found.choices.empty())
            detail::fail(errc::invalid_argument, "choices", "at least one", "none");
        for (auto& one : found.choices) one.value = value_of(one);
        found.order.resize(found.choices.size());
        std::iota(found.order.begin(), found.order.end(), std::size_t{0});
        std::ranges::stable_sort(found.order, [&](std::size_t a, std::size_t b) {
            return found.choices[a].value > found.choices[b].value;
        });
        return found;
    }

    language_model model_;
    ranking_options how_;
    detail::token_reader reader_;
    std::optional<detail::token_reader> domain_reader_;  // apart: the context stays in reader_
};

/// Compares the choices. Raises invalid_argument (no choices, an empty one), empty_prompt (nothing
/// stands before a choice), context_full, cancelled, not_finite, no_candidate, token_out_of_range,
/// and not_found for a model without a tokenizer.
/// O((context + Σ choices) · parameters). Threads may share the model.
inline ranking rank(const language_model& with, const question& asked,
                    const ranking_options& how = {}) {
    return ranker(with, how).rank(asked);
}

/// The same for ids, each choice behind the context as it is.
inline ranking rank(const language_model& with, std::span<const token_id> context,
                    std::span<const std::vector<token_id>> choices,
                    const ranking_options& how = {}) {
    return ranker(with, how).rank(context, choices);
}

/// Several questions: item i is rank(with, questions[i], how), to the bit.
inline std::vector<ranking> rank(const language_model& with, std::span<const question> questions,
                                 const ranking_options& how = {}) {
    ranker all(with, how);
    std::vector<ranking> found;
    for (const auto& asked : questions) found.push_back(all.rank(asked));
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
