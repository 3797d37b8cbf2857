// The stages of a forward pass by name, and who may watch them.
//
// An observer is anything that can be called with (stage, layer, view): the view shows the numbers
// of that stage, and writing to it changes what follows. `no_trace`, the default, is no call at
// all: the pass compiles to the same code as if stages did not exist.
//
// Before: tensor.hpp. After: layers.hpp, where the stages happen.
#pragma once

#include "tensor.hpp"

#include <array>
#include <string_view>
#include <type_traits>

namespace gpt2::inline GPT2_ABI {

/// The stages in the order they happen; shapes for T new positions, S positions in all, width C,
/// H heads, inner width F. Stages before `ln_1` and from `ln_f` on belong to no layer (layer = 0).
enum class stage {
    token_embedding,     ///< (T, C) rows of wte
    position_embedding,  ///< (T, C) rows of wpe
    embedding,           ///< (T, C) their sum
    ln_1,                ///< (T, C)
    q,                   ///< (T, C) head h in columns h·C/H …
    k,                   ///< (T, C)
    v,                   ///< (T, C)
    scores,              ///< (H·T, S) scaled; row h·T + t sees S - T + t + 1 keys, the rest is 0
    weights,             ///< (H·T, S) softmax of the row's visible scores, 0 for the rest
    heads,               ///< (T, C) weighted sums of v, heads side by side
    attention,           ///< (T, C) after c_proj
    attention_residual,  ///< (T, C) the residual stream with it
    ln_2,                ///< (T, C)
    c_fc,                ///< (T, F)
    activation,          ///< (T, F)
    mlp,                 ///< (T, C) after c_proj
    block,               ///< (T, C) the residual stream after the layer
    ln_f,                ///< (R, C) for the R last positions, whose logits were asked for
    logits,              ///< (R, V)
};

inline constexpr std::array<std::string_view, 19> stage_names = {"token_embedding",
                                                                 "position_embedding",
                                                                 "embedding",
                                                                 "ln_1",
                                                                 "q",
                                                                 "k",
                                                                 "v",
                                                                 "scores",
                                                                 "weights",
                                                                 "heads",
                                                                 "attention",
                                                                 "attention_residual",
                                                                 "ln_2",
                                                                 "c_fc",
                                                                 "activation",
                                                                 "mlp",
                                                                 "block",
                                                                 "ln_f",
                                                                 "logits"};

constexpr std::string_view name(stage s) { return stage_names[static_cast<std::size_t>(s)]; }

/// The observer that is not there.
struct no_trace {};

template <class Trace>
inline constexpr bool observes = !std::is_same_v<std::remove_cvref_t<Trace>, no_trace>;

/// An observer that says so, by a member type `stream_only`, is not shown what happens within the
/// layers, only the embeddings, `block`, `ln_f` and `logits`: the layers then run as if unobserved.
template <class Trace>
inline constexpr bool observes_stream = requires {
    typename std::remove_cvref_t<Trace>::stream_only;
};

/// Shows a stage to the observer, where there is one.
template <class Trace, class Scalar>
void show(Trace&& trace, stage s, std::size_t layer, view<Scalar> values) {
    if constexpr (observes<Trace>) trace(s, layer, values);
}

}  // namespace gpt2::inline GPT2_ABI
