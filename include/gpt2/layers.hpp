// The layers of a GPT-2, named as in its checkpoints, each with its weights and one `forward`.
// This is the file to read: the block at the end is the figure of the paper.
//
// Shapes: T new positions, S positions in all, C width, H heads, D = C/H head size, F inner width,
// V vocabulary. A layer's weights are const and shared by threads; all that changes is passed in.
//
// Before: ops.hpp, state.hpp. After: model.hpp, which stacks the blocks.
#pragma once

#include "detail/packing.hpp"
#include "ops.hpp"
#include "state.hpp"
#include "trace.hpp"
#include "weights.hpp"

#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace layers {

/// y = x·W + b; the checkpoint calls it Conv1D and stores W as (in, out).
template <class Scalar>
class linear {
public:
    linear(const weight_scope& w, std::size_t in, std::size_t out)
        : weight_(detail::pack<Scalar>(w.fetch("weight", {in, out}), detail::orientation::in_out)),
          bias_(detail::read_vector<Scalar>(w.find("bias", {out}), out, Scalar{0})) {}

    void forward(cview<Scalar> x, view<Scalar> y, thread_pool& pool) const {
        ops::linear<Scalar>(x, weight_, bias_.data(), y, pool);  // (T, in) -> (T, out)
    }

private:
    panels<Scalar> weight_;  // (in, out)
    buffer<Scalar> bias_;    // (out)
};

template <class Scalar>
class layer_norm {
public:
    layer_norm(const weight_scope& w, const config& c)
        : gain_(detail::read_vector<Scalar>(&w.fetch("weight", {c.width}), c.width, Scalar{1})),
          bias_(detail::read_vector<Scalar>(w.find("bias", {c.width}), c.width, Scalar{0})),
          width_(c.width),
          epsilon_(c.layer_norm_epsilon) {}

    void forward(cview<Scalar> x, view<Scalar> y) const {
        ops::layer_norm<Scalar>(x, gain_.span().first(width_), bias_.span().first(width_), epsilon_,
                                y);  // (T, C) -> (T, C)
    }

private:
    buffer<Scalar> gain_, bias_;  // (C)
    std::size_t width_;
    double epsilon_;
};

/// Every head looks back from each position at those before it, and mixes their values.
template <class Scalar>
class causal_self_attention {
public:
    causal_self_attention(const weight_scope& w, const config& c, std::size_t layer)
        : c_attn_(w / "c_attn", c.width, 3 * c.width),
          c_proj_(w / "c_proj", c.width, c.width),
          layer_(layer),
          heads_(c.heads),
          scale_(static_cast<Scalar>(c.attention_scale(layer))) {}

    /// normed (T, C) -> work.branch (T, C)
    template <class Trace>
    void forward(cview<Scalar> normed, state<Scalar>& s, Trace&& trace) const {
        const auto t = normed.rows(), width = normed.columns();
        auto qkv = s.work.qkv(t), heads = s.work.heads(t), branch = s.work.branch(t);
        const auto q = qkv.column_block(0, width);          // (T, C)
        const auto k = qkv.column_block(width, width);      // (T, C)
        const auto v = qkv.column_block(2 * width, width);  // (T, C)

        c_attn_.forward(normed, qkv, *s.pool);  // (T, 3C)
        show(trace, stage::q, layer_, q);
        show(trace, stage::k, layer_, k);
        show(trace, stage::v, layer_, v);
        s.kv.write(layer_, k, v);
        attend(q, s, trace);  // work.heads: (T, C)
        show(trace, stage::heads, layer_, heads);
        c_proj_.forward(heads, branch, *s.pool);  // (T, C)
        show(trace, stage::attention, layer_, branch);
    }

private:
    /// softmax(q·Kᵀ·scale)·V per head (Vaswani et al. 2017, eq. 1), each row over the positions up
    /// to its own: what comes later is not masked but never touched.
    template <class Trace>
    void attend(cview<Scalar> q, state<Scalar>& s, Trace&& trace) const {
        const auto t = q.rows(), past = s.kv.size(), size = q.columns() / heads_;
        const auto scores = s.work.scores(t, past + t);  // (H·T, S)
        const auto out = s.work.heads(t);                // (T, C)
        const auto score = [&](std::size_t head, std::size_t i) {
            const auto row = scores.row_block(head * t + i, 1).column_block(0, past + i + 1);
            ops::product<Scalar>(q.row_block(i, 1).column_block(head * size, size),
                                 s.kv.keys(layer_, head, past + i + 1), row);
            for (Scalar& x : row.row(0)) x *= scale_;
        };
        const auto normalise = [&](std::size_t head, std::size_t i) {
            ops::softmax(scores.row(head * t + i).first(past + i + 1));
        };
        const auto mix = [&](std::size_t head, std::size_t i) {
            const auto row = scores.row_block(head * t + i, 1).column_block(0, past + i + 1);
            ops::product<Scalar>(row, s.kv.values(layer_, head, past + i + 1),
                                 out.row_block(i, 1).column_block(head * size, size));
        };
        if constexpr (observes<Trace>) {
            std::fill_n(scores.data(), scores.rows() * scores.stride(), Scalar{0});
            each(heads_, t, score);
            show(trace, stage::scores, layer_, scores);
            each(heads_, t, normalise);
            show(trace, stage::weights, layer_, scores);
            each(heads_, t, mix);
        } else {
            s.pool->run(heads_ * t, [&](std::size_t first, std::size_t last) {
                for (auto i = first; i < last; ++i)
                    score(i / t, i % t), normalise(i / t, i % t), mix(i / t, i % t);
            });
        }
    }

    template <class Step>
    static void each(std::size_t heads, std::size_t rows, Step step) {
        for (std::size_t head = 0; head < heads; ++head)
            for (std::size_t i = 0; i < rows; ++i) step(head, i);
    }

    linear<Scalar> c_attn_, c_proj_;
    std::size_t layer_, heads_;
    Scalar scale_;
};

/// Each position on its own: out to F units, the activation, and back.
template <class Scalar>
class mlp {
public:
    mlp(const weight_scope& w, const config& c, std::size_t layer)
        : c_fc_(w / "c_fc", c.width, c.inner_width),
          c_proj_(w / "c_proj", c.inner_width, c.width),
          layer_(layer),
          activation_(c.activation) {}

    /// normed (T, C) -> work.branch (T, C)
    template <class Trace>
    void forward(cview<Scalar> normed, state<Scalar>& s, Trace&& trace) const {
        const auto inner = s.work.inner(normed.rows()), branch = s.work.branch(normed.rows());
        c_fc_.forward(normed, inner, *s.pool);  // (T, F)
        show(trace, stage::c_fc, layer_, inner);
        ops::activate(inner, activation_, *s.pool);  // (T, F)
        show(trace, stage::activation, layer_, inner);
        c_proj_.forward(inner, branch, *s.pool);  // (T, C)
        show(trace, stage::mlp, layer_, branch);
    }

private:
    linear<Scalar> c_fc_, c_proj_;
    std::size_t layer_;
    activation activation_;
};

/// Attention, then feed-forward, each after a LayerNorm and added to the residual stream.
template <class Scalar>
class block {
public:
    block(const weight_scope& w, const config& c, std::size_t layer)
        : ln_1_(w / "ln_1", c),
          attn_(w / "attn", c, layer),
          ln_2_(w / "ln_2", c),
          mlp_(w / "mlp", c, layer),
          layer_(layer) {}

    /// x: (T, C), the residual stream, updated in place
    template <class Trace>
    void forward(view<Scalar> x, state<Scalar>& s, Trace&& trace) const {
        const auto normed = s.work.normed(x.rows()), branch = s.work.branch(x.rows());
        ln_1_.forward(x, normed);  // (T, C)
        show(trace, stage::ln_1, layer_, normed);
        attn_.forward(normed, s, trace);  // work.branch: (T, C)
        ops::add<Scalar>(x, branch);
        show(trace, stage::attention_residual, layer_, x);
        ln_2_.forward(x, normed);  // (T, C)
        show(trace, stage::ln_2, layer_, normed);
        mlp_.forward(normed, s, trace);  // work.branch: (T, C)
        ops::add<Scalar>(x, branch);
        show(trace, stage::block, layer_, x);
    }

private:
    layer_norm<Scalar> ln_1_;
    causal_self_attention<Scalar> attn_;
    layer_norm<Scalar> ln_2_;
    mlp<Scalar> mlp_;
    std::size_t layer_;
};

/// The vocabulary: row v of `wte` is the vector of token v. Stored once as the panels of the
/// projection onto the vocabulary, which GPT-2 shares with it (tied head).
template <class Scalar>
class vocabulary {
public:
    vocabulary(const stored_tensor& w)
        : rows_(detail::pack<Scalar>(w, detail::orientation::out_in)) {}

    /// The vectors of the tokens: ids (T) -> x (T, C).
    void embed(std::span<const token_id> ids, view<Scalar> x) const {
        const panel_view<const Scalar> rows = rows_;  // (C, V)
        for (std::size_t t = 0; t < ids.size(); ++t)
            for (std::size_t c = 0; c < x.columns(); ++c)
                x(t, c) = rows(c, static_cast<std::size_t>(ids[t]));
    }

    /// How well each token would follow: x (R, C) -> logits (R, V).
    void project(cview<Scalar> x, view<Scalar> logits, thread_pool& pool) const {
        ops::linear<Scalar>(x, rows_, nullptr, logits, pool);
    }

private:
    panels<Scalar> rows_;  // (C, V)
};

}  // namespace layers
}  // namespace gpt2::inline GPT2_ABI
