// Which heads of attention a model needs for a text: each is silenced in turn, and the loss says
// what that costs (Michel et al. 2019, "Are Sixteen Heads Really Better than One?").
//
//     const auto found = gpt2::importance(model, "The wolf came to the door.");
//     found.changes.order().front()   // the head whose loss would hurt most
//
// Before: experiment.hpp, edits.hpp.
#pragma once

#include "edits.hpp"
#include "experiment.hpp"
#include "gpt2.hpp"
#include "prompt.hpp"
#include "recording.hpp"

#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What stands in the place of what a head found.
enum class ablation {
    zero,
    mean,  ///< the mean of what it finds over the positions of this text: what it has no choice of
};

struct importance_options {
    ablation by = ablation::zero;
    specials text = specials::as_text;
    interruption until = {};
};

struct head_importance {
    double loss = 0;     ///< of the text, with all heads
    head_table changes;  ///< the loss without a head, less `loss`; below 0: it is in the way
};

/// What every head contributes to the prediction of a text. Raises empty_prompt, invalid_argument
/// for a text of one token, context_full, token_out_of_range, cancelled, not_finite, and not_found
/// for a model without a tokenizer. O(L·H) passes over the text. Threads may share the model.
inline head_importance importance(const language_model& with, const prompt& text,
                                  const importance_options& how = {}) {
    const auto ids = detail::require_tokens(with, text, how.text, "importance");
    const auto& c = with.config();
    experiment lab(with, how.until);
    recording seen({.stages = {stage::heads}});
    head_importance found{lab.loss(ids, seen), head_table(c)};
    for (std::size_t layer = 0; layer < c.layers; ++layer)
        for (std::size_t head = 0; head < c.heads; ++head) {
            const head_place at{layer, head};
            const head_ablation<float> silent(
                c, at, how.by == ablation::mean ? mean_output(seen, at) : std::vector<float>());
            found.changes.at(at) = lab.loss(ids, silent) - found.loss;
        }
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
