// The stages of a forward pass by name, and who may watch them.
//
// An observer is anything that can be called with (stage, layer, view): the view shows the numbers
// of that stage, and writing to it changes what follows. `no_trace`, the default, is no call at
// all: the pass compiles to the same code as if stages did not exist
// (tests/bench/observer_cost.sh compares them).
//
// Before: tensor.hpp. After: layers.hpp, where the stages happen; recording.hpp, observers.hpp and
// edits.hpp, which have observers ready-made.
#pragma once

#include "error.hpp"
#include "tensor.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
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

/// A stage of a layer; stages outside the layers have layer 0.
struct stage_place {
    gpt2::stage stage = gpt2::stage::token_embedding;
    std::size_t layer = 0;

    friend auto operator<=>(const stage_place&, const stage_place&) = default;
};

/// Whether a stage happens once in every layer.
constexpr bool is_in_layer(stage s) { return s >= stage::ln_1 && s <= stage::block; }

/// "embedding", "h.3.c_fc".
inline std::string name(const stage_place& at) {
    if (!is_in_layer(at.stage)) return std::string(name(at.stage));
    return detail::text_of({"h.", at.layer, ".", name(at.stage)});
}

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
[[gnu::always_inline]] inline void show(Trace&& trace, stage s, std::size_t layer,
                                        const view<Scalar>& values) {
    if constexpr (observes<Trace>) trace(s, layer, values);
}

namespace detail {

struct sees_stream {
    using stream_only = void;
};
struct sees_all {};

}  // namespace detail

/// Several observers as one. Each is shown a stage in the order in which they are given: what one
/// of them changes, those behind it see changed. They must outlive it.
template <class... Observers>
class together : public std::conditional_t<(observes_stream<Observers> && ...), detail::sees_stream,
                                           detail::sees_all> {
public:
    explicit together(Observers&... each) : each_(each...) {}

    template <class Scalar>
    void operator()(stage s, std::size_t layer, view<Scalar> values) const {
        const auto pass_on = [&](auto& one) {
            if (!observes_stream<decltype(one)> || s == stage::block || !is_in_layer(s))
                show(one, s, layer, values);
        };
        std::apply([&](auto&... one) { (pass_on(one), ...); }, each_);
    }

private:
    std::tuple<Observers&...> each_;
};

namespace detail {

/// Which positions of its text the rows of a stage are. An observer that wants to know has one of
/// these hear every stage first; it counts the rows that enter the network.
class row_counter {
public:
    /// `first`: positions that the text had before it was watched.
    explicit row_counter(std::size_t first = 0) : end_(first) {}

    template <class Scalar>
    void hear(stage s, view<Scalar> values) {
        if (s != stage::token_embedding) return;
        rows_ = values.rows();
        end_ += rows_;
    }

    /// New positions of this run, T.
    std::size_t rows() const { return rows_; }
    /// The position of row 0 of a stage that has `shown` rows, one for each of the last positions.
    std::size_t first_of(std::size_t shown) const { return end_ - shown; }

private:
    std::size_t end_, rows_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
