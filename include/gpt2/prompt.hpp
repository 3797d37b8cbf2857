// What a search begins with: a prompt, and what the options say of the texts that follow it.
//
// Before: gpt2.hpp. After: search.hpp, contrast.hpp.
#pragma once

#include "detail/branches.hpp"
#include "detail/passage.hpp"
#include "gpt2.hpp"
#include "options.hpp"
#include "sampler.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What to continue: a text or ids, neither of them copied.
using prompt = std::variant<std::string_view, std::span<const token_id>>;

namespace detail {

/// Raises invalid_argument: `name: expected range, found value`.
inline void require(bool good, std::string_view name, const phrase& range, const phrase& value) {
    if (!good) fail(errc::invalid_argument, name, range, value);
}

/// The ids of a prompt. Raises not_found for a text without a tokenizer.
inline std::vector<token_id> ids_of(const language_model& model, const prompt& given,
                                    const options& how) {
    if (const auto* ids = std::get_if<std::span<const token_id>>(&given))
        return {ids->begin(), ids->end()};
    return model.tokenizer().encode(std::get<std::string_view>(given), how.prompt);
}

/// The same; an empty one is the model's begin-of-text token. Raises empty_prompt.
inline std::vector<token_id> first_ids(const language_model& model, const prompt& given,
                                       const options& how) {
    auto ids = ids_of(model, given, how);
    const auto& first = model.config().begin_of_text;
    if (ids.empty() && !first)
        throw error(errc::empty_prompt,
                    "search: an empty prompt, and the model names no begin-of-text token");
    if (ids.empty()) ids.push_back(*first);
    return ids;
}

/// What holds for texts that may take up to `room` tokens behind a prompt.
inline passage_rules rules_for(const language_model& model, std::size_t prompt_length,
                               std::size_t room, const options& how) {
    passage_rules rules;
    rules.words = model.has_tokenizer() ? &model.tokenizer() : nullptr;
    if (how.at_end_of_text == end_rule::stop) rules.end_of_text = model.config().end_of_text;
    rules.most = std::min(how.max_new_tokens, room);
    rules.at_most = how.max_new_tokens <= room ? finish::length : finish::context_full;
    rules.prompt_length = prompt_length;
    rules.constraint = how.constraint;
    return rules;
}

/// Tokens that a prompt of this length leaves room for: one more than there are positions, since
/// nothing has to follow the last. Raises context_full.
inline std::size_t room_behind(const language_model& model, std::size_t prompt_length) {
    const auto positions = model.config().context_length;
    if (prompt_length > positions)
        fail(errc::context_full, "prompt", {"at most ", positions, " tokens"}, prompt_length);
    return positions - prompt_length + 1;
}

/// What chooses tokens as the options say; the ends of text are the model's where they name none.
inline sampler sampler_for(const language_model& model, const options& how) {
    sampling rules = how.sampling;
    if (rules.end_of_text.empty()) rules.end_of_text = model.config().end_of_text;
    return sampler(std::move(rules), how.seed, how.sequence);
}

inline branches branches_of(const language_model& model, const interruption& until) {
    return {model.model(), [&model] { return model.state(); }, until};
}

/// Calls `work`; true when it was cancelled, which is no error.
template <class Work>
bool is_cancelled(Work&& work) {
    try {
        work();
        return false;
    } catch (const error& problem) {
        if (problem.code() != errc::cancelled) throw;
        return true;
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
