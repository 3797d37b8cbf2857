// Steering: a direction that is added to the residual stream while a model writes (Turner et al.
// 2023, activation addition; Rimsky et al. 2023). A direction is the difference of what the model
// makes of two texts.
//
//     const gpt2::steering_direction sad =
//         gpt2::direction_between(model, "weeping bitterly", "laughing merrily", {.layer = 3});
//     gpt2::generate_steered(model, "The king", sad, {.scale = 4}).text
//
// Before: edits.hpp (the observer that adds), embed.hpp, contrast.hpp.
#pragma once

#include "contrast.hpp"
#include "detail/log_softmax.hpp"
#include "edits.hpp"
#include "embed.hpp"
#include "error.hpp"
#include "gpt2.hpp"
#include "observers.hpp"
#include "prompt.hpp"
#include "sampler.hpp"
#include "trace.hpp"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Continues a prompt while an observer watches every pass or changes it; all else as
/// language_model::generate without speculation, whose errors it raises.
template <class Observer>
completion generate_observed(const language_model& with, const prompt& begin, Observer&& watch,
                             const options& writing = {}, const on_piece& callback = {}) {
    const auto ids = detail::first_ids(with, begin, writing);
    detail::writer text(with, ids, detail::room_behind(with, ids.size()), writing);
    sampler choice = detail::sampler_for(with, writing);
    class detail::log_softmax own;
    auto state = with.state();
    state.stop = writing.until;
    std::vector<float> logits(with.config().vocabulary_size);
    const auto feed = [&](std::span<const token_id> more) {
        with.model().forward(more, state, {logits.data(), 1, logits.size()}, watch);
    };
    return text.run([&] { feed(ids); },
                    [&] {
                        const auto log_probs = own(logits);
                        const auto token =
                            choice.next(logits, text.past(), text.allowed(logits.size())).token;
                        return draw{token, log_probs[static_cast<std::size_t>(token)]};
                    },
                    [&](token_id token) {
                        feed({&token, 1});
                    },
                    callback);
}

/// Where directions are taken and added: the residual stream after so many layers.
struct steering_place {
    std::size_t layer = 0;  ///< 0 … L - 1; 0: what enters the first layer
    /// What stands for a text: its last vector, or the mean of all.
    gpt2::pooling pooling = gpt2::pooling::last;
};

struct steering_direction {
    stage_place at;
    std::vector<float> values;  ///< (C)

    double length() const { return norm_of(std::span(values)); }
};

/// From what the model makes of one text to what it makes of the other. Raises empty_prompt,
/// context_full, invalid_argument (layer, pooling::none), and not_found for a model without a
/// tokenizer.
inline steering_direction direction_between(const language_model& with, std::string_view toward,
                                            std::string_view away,
                                            const steering_place& where = {}) {
    const auto layers = with.config().layers;
    if (where.layer >= layers)
        detail::fail(errc::invalid_argument, "steering: layer", {"below ", layers}, where.layer);
    if (where.pooling == pooling::none)
        detail::fail(errc::invalid_argument, "steering: pooling", "mean or last", "none");
    const embedding_options how{.layer = where.layer, .pooling = where.pooling};
    const auto to = embed(with, toward, how), from = embed(with, away, how);
    steering_direction made{where.layer == 0 ? stage_place{stage::embedding, 0}
                                             : stage_place{stage::block, where.layer - 1},
                            to.values};
    for (std::size_t i = 0; i < made.values.size(); ++i) made.values[i] -= from.values[i];
    return made;
}

/// Continues a prompt with `along`, times how.scale, added at every position of how.first …
/// how.last - 1. Raises what generate raises, and wrong_shape for a direction of another width.
inline completion generate_steered(const language_model& with, const prompt& begin,
                                   const steering_direction& along, const steering_options& how,
                                   const options& writing = {}) {
    steering<float> push(along.at, along.values, how);
    return generate_observed(with, begin, push, writing);
}

}  // namespace gpt2::inline GPT2_ABI
