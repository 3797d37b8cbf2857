// Where a model keeps what it knows of a text: activations of one prompt are put into the pass over
// another, place by place, and the answer says what they carried (Meng et al. 2022, causal
// tracing).
//
//     const auto found = gpt2::patch(model, "The king lost his", "The queen lost her");
//     found.recovered(3, 1)   // 0: the answer stays the second prompt's; 1: it is the first's
//
// The prompts differ in few tokens and have equally many. An answer is a difference of two logits
// behind the last token: of the token that the first prompt favours most over the second, and the
// other way round.
//
// Before: experiment.hpp, edits.hpp.
#pragma once

#include "detail/token_reader.hpp"
#include "edits.hpp"
#include "error.hpp"
#include "experiment.hpp"
#include "gpt2.hpp"
#include "prompt.hpp"
#include "recording.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What is patched at once.
enum class patch_unit {
    positions,  ///< one position of a layer
    heads,      ///< one head of a layer, at all positions
};

/// The tokens whose logits are compared.
struct answer_pair {
    token_id clean = 0, corrupted = 0;
};

struct patching_options {
    gpt2::stage stage = gpt2::stage::block;  ///< of positions; of heads it is stage::heads
    patch_unit unit = patch_unit::positions;
    std::optional<answer_pair> answers = std::nullopt;  ///< none: what each prompt favours most
    specials text = specials::as_text;
    interruption until = {};
};

struct patching {
    answer_pair answers;
    /// logit(answers.clean) - logit(answers.corrupted) behind the prompts as they are.
    double clean = 0, corrupted = 0;
    std::size_t layers = 0, columns = 0;  ///< columns: positions or heads
    std::vector<double> differences;      ///< (L, columns), of the corrupted prompt, patched there

    /// How much of the way from the corrupted answer to the clean one a patch goes.
    double recovered(std::size_t layer, std::size_t column) const {
        return (differences[layer * columns + column] - corrupted) / (clean - corrupted);
    }
};

namespace detail {

/// The tokens whose probability rises and falls most from the corrupted prompt to the clean one.
inline answer_pair telling_answers(experiment& lab, std::span<const token_id> clean,
                                   std::span<const token_id> corrupted) {
    std::vector<double> gain(lab.model().config().vocabulary_size);
    const auto add = [&](std::span<const token_id> ids, double sign) {
        const auto by = lab.next(ids);
        for (std::size_t i = 0; i < gain.size(); ++i)
            gain[i] += sign * std::exp(by.log_prob(static_cast<token_id>(i)));
    };
    add(clean, 1);
    add(corrupted, -1);
    const auto [least, most] = std::ranges::minmax_element(gain);
    return {static_cast<token_id>(most - gain.begin()),
            static_cast<token_id>(least - gain.begin())};
}

}  // namespace detail

/// Patches the corrupted prompt with what the clean one has, in every place of the unit. Raises
/// empty_prompt, invalid_argument (prompts of different length or with equal answers, a stage
/// outside the layers, scores and weights), context_full, token_out_of_range, cancelled,
/// not_finite, and not_found for a model without a tokenizer. O(L·columns) passes over the prompt.
/// Threads may share the model.
inline patching patch(const language_model& with, const prompt& clean, const prompt& corrupted,
                      const patching_options& how = {}) {
    const auto source = detail::require_tokens(with, clean, how.text, "patch");
    const auto ids = detail::require_tokens(with, corrupted, how.text, "patch");
    if (source.size() != ids.size())
        detail::fail(errc::invalid_argument, "patch: corrupted prompt",
                     {"as many tokens as the clean one, ", source.size()}, ids.size());
    const bool by_head = how.unit == patch_unit::heads;
    const auto stage = by_head ? gpt2::stage::heads : how.stage;
    if (!is_in_layer(stage))
        detail::fail(errc::invalid_argument, "patch: stage", "one within the layers", name(stage));
    const auto& c = with.config();
    experiment lab(with, how.until);
    recording seen({.stages = {stage}});
    patching found;
    found.answers = how.answers ? *how.answers : detail::telling_answers(lab, source, ids);
    const token_id pair[] = {found.answers.clean, found.answers.corrupted};
    with.model().check_ids(pair);
    const auto answer = [&](const detail::distribution& by) {
        return by.log_prob(pair[0]) - by.log_prob(pair[1]);
    };
    found.clean = answer(lab.next(source, seen));
    found.corrupted = answer(lab.next(ids));
    if (found.clean == found.corrupted)
        detail::fail(errc::invalid_argument, "patch: prompts", "answers that differ", "equal ones");
    found.layers = c.layers;
    found.columns = by_head ? c.heads : ids.size();
    for (std::size_t layer = 0; layer < found.layers; ++layer)
        for (std::size_t i = 0; i < found.columns; ++i) {
            patch_options part;
            if (by_head)
                part.head = i;
            else
                part.rows = {{i, i}};
            activation_patch<float> swap({stage, layer}, seen, part);
            found.differences.push_back(answer(lab.next(ids, swap)));
        }
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
