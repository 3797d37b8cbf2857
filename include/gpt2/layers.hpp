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
#include "positions.hpp"
#include "state.hpp"
#include "trace.hpp"
#include "weights.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace layers {

/// What some layers take in memory, and the least exact way in which one of their matrices is kept.
struct footprint {
    std::size_t bytes = 0;
    storage kept = storage::f32;

    template <class T>
    void add(const buffer<T>& memory) {
        bytes += memory.size() * sizeof(T);
    }
    template <class Scalar>
    void add(const packed_matrix<Scalar>& matrix) {
        bytes += matrix.bytes();
        kept = std::max(kept, detail::storage_of(matrix.stored()));
    }
};

/// y = x·W + b; the checkpoint calls it Conv1D and stores W as (in, out).
template <class Scalar>
class linear {
public:
    linear(const weight_scope& w, std::size_t in, std::size_t out)
        : linear(w, in, out, w.wanted()) {}
    linear(const weight_scope& w, std::size_t in, std::size_t out, storage kept)
        : weight_(detail::pack<Scalar>(w.fetch("weight", {in, out}), detail::orientation::in_out,
                                       kept, w.pool())),
          bias_(detail::read_vector<Scalar>(w.find("bias", {out}), out, Scalar{0})) {}

    /// (T, in) -> (T, out); `after` is called with each finished part of y
    template <class After = detail::nothing>
    void forward(cview<Scalar> x, view<Scalar> y, pass<Scalar>& p, After after = {}) const {
        ops::linear<Scalar>({x, p.work.rounded().rows(weight_.stored(), weight_.depth()),
                             weight_.view(), y, bias_.data()},
                            p.on, after);
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        sum.add(weight_);
        sum.add(bias_);
    }

private:
    packed_matrix<Scalar> weight_;  // (in, out)
    buffer<Scalar> bias_;           // (out)
};

template <class Scalar>
class layer_norm {
public:
    layer_norm(const weight_scope& w, const config& c)
        : gain_(detail::read_vector<Scalar>(&w.fetch("weight", {c.width}), c.width, Scalar{1})),
          bias_(detail::read_vector<Scalar>(w.find("bias", {c.width}), c.width, Scalar{0})),
          width_(c.width),
          epsilon_(c.layer_norm_epsilon) {}

    void forward(cview<Scalar> x, view<Scalar> y, const ops::machine& on) const {
        ops::layer_norm<Scalar>(x, gain_.span().first(width_), bias_.span().first(width_), epsilon_,
                                y, on);  // (T, C) -> (T, C)
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        sum.add(gain_);
        sum.add(bias_);
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
        : c_attn_(w / "c_attn", c.width, 3 * c.width, kept(w.wanted())),
          c_proj_(w / "c_proj", c.width, c.width),
          layer_(layer),
          heads_(c.heads),
          scale_(static_cast<Scalar>(c.attention_scale(layer))) {}

    /// normed (T, C) -> work.branch (T, C)
    template <class Positions, class Trace>
    void forward(cview<Scalar> normed, const Positions& positions, pass<Scalar>& p,
                 Trace&& trace) const {
        const auto t = normed.rows(), width = normed.columns();
        auto qkv = p.work.qkv(t), heads = p.work.heads(t), branch = p.work.branch(t);
        const auto q = qkv.column_block(0, width);          // (T, C)
        const auto k = qkv.column_block(width, width);      // (T, C)
        const auto v = qkv.column_block(2 * width, width);  // (T, C)

        c_attn_.forward(normed, qkv, p);  // (T, 3C)
        if constexpr (Positions::rotates)
            for (const auto& text : p.segments)
                for (const auto& x : {q, k})
                    positions.rotate(x.row_block(text.first, text.rows), text.kv->size());
        show(trace, stage::q, layer_, q);
        show(trace, stage::k, layer_, k);
        show(trace, stage::v, layer_, v);
        remember(k, v, p);
        attend(q, heads, p, trace);  // (T, C)
        show(trace, stage::heads, layer_, heads);
        c_proj_.forward(heads, branch, p);  // (T, C)
        show(trace, stage::attention, layer_, branch);
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        c_attn_.add_to(sum);
        c_proj_.add_to(sum);
    }

    /// How c_attn is kept: queries, keys and values lose most by 4 bits, half of what int4 costs in
    /// perplexity.
    static storage kept(storage wanted) { return wanted == storage::int4 ? storage::int8 : wanted; }

private:
    /// Neighbouring queries of one head, which one thread takes to the keys together.
    struct query_block {
        std::size_t head, first, count, worker;
    };

    /// Keys and values of the new positions into the caches.
    void remember(cview<Scalar> k, cview<Scalar> v, const pass<Scalar>& p) const {
        const auto size = k.columns() / heads_;
        const auto unit = std::max<std::size_t>(4 * ops::rows_per_part / p.segments[0].rows, 1);
        p.on.pool->run(p.segments.size() * heads_, unit, [&](auto first, auto last, auto) {
            for (auto i = first; i < last; ++i) {
                const auto& text = p.segments[i / heads_];
                const auto head = i % heads_;
                const auto part = [&](cview<Scalar> x) {
                    return x.row_block(text.first, text.rows).column_block(head * size, size);
                };
                text.kv->write(layer_, head, part(k), part(v));
            }
        });
    }

    /// softmax(q·Kᵀ·scale)·V per head (Vaswani et al. 2017, eq. 1), each row over the positions up
    /// to its own: what comes later is not masked but never used. q, out (T, C) of all texts.
    template <class Trace>
    void attend(cview<Scalar> q, view<Scalar> out, pass<Scalar>& p, Trace&& trace) const {
        std::size_t t = 0;  // of the text with most rows
        for (const auto& text : p.segments) t = std::max(t, text.rows);
        const auto blocks = (t + block_size - 1) / block_size;
        // Where a text has fewer blocks, the others are empty.
        const auto block = [&](std::size_t i, std::size_t worker) {
            const auto rows = p.segments[i / (heads_ * blocks)].rows;
            const auto first = std::min(i % blocks * block_size, rows);
            return query_block{i / blocks % heads_, first, std::min(block_size, rows - first),
                               worker};
        };
        if constexpr (observes<Trace>) {
            const auto& text = p.segments[0];
            const auto keys = text.kv->size() + t, stride = panel_count(keys) * panel_width;
            buffer<Scalar> memory(heads_ * t * stride);  // rows aligned as those of workspace
            const view<Scalar> scores(memory.data(), heads_ * t, keys, stride);  // (H·T, S)
            const auto each = [&](auto step) {
                for (std::size_t i = 0; i < heads_ * blocks; ++i) {
                    const auto b = block(i, 0);
                    step(b, scores.row_block(b.head * t + b.first, b.count));
                }
            };
            each([&](auto b, auto rows) {
                score(text, b, q, rows, p);
                for (std::size_t i = 0; i < b.count; ++i) {
                    const auto row = rows.row(i);
                    for (auto& x : row.first(seen(text, b) + i)) x *= scale_;
                    std::ranges::fill(row.subspan(seen(text, b) + i), Scalar{0});
                }
            });
            show(trace, stage::scores, layer_, scores);
            each([&](auto b, auto rows) { weigh(text, b, rows, Scalar{1}, p); });
            show(trace, stage::weights, layer_, scores);
            each([&](auto b, auto rows) { mix(text, b, rows, out, p); });
        } else {
            const auto tasks = p.segments.size() * heads_ * blocks;
            p.on.pool->run(tasks, 1, [&](auto first, auto last, auto worker) {
                for (auto i = first; i < last; ++i) {
                    const auto& text = p.segments[i / (heads_ * blocks)];
                    const auto b = block(i, worker);
                    if (b.count == 0) continue;
                    const auto rows = p.work.scores(worker, b.count, seen(text, b) + b.count - 1);
                    score(text, b, q, rows, p);
                    weigh(text, b, rows, scale_, p);
                    mix(text, b, rows, out, p);
                }
            });
        }
    }

    /// How many positions the first query of a block looks at; each next one looks at one more.
    static std::size_t seen(const segment<Scalar>& text, const query_block& b) {
        return text.kv->size() + b.first + 1;
    }

    /// q·Kᵀ: rows (count, S)
    void score(const segment<Scalar>& text, const query_block& b, cview<Scalar> q,
               view<Scalar> rows, const pass<Scalar>& p) const {
        const auto size = q.columns() / heads_;
        const auto queries =
            q.row_block(text.first + b.first, b.count).column_block(b.head * size, size);
        text.kv->by_page(0, seen(text, b) + b.count - 1, [&](auto first, auto count) {
            multiply(queries, text.kv->keys(layer_, b.head, first, count),
                     rows.column_block(first, count), b, p);
        });
    }

    void weigh(const segment<Scalar>& text, const query_block& b, view<Scalar> rows, Scalar scale,
               const pass<Scalar>& p) const {
        for (std::size_t i = 0; i < b.count; ++i)
            ops::softmax(rows.row(i).first(seen(text, b) + i), scale, p.on);
    }

    /// weights·V: rows (count, S) -> out; the keys that all see at once, then the rest row by row,
    /// from an even position, as values in bf16 lie in pairs.
    void mix(const segment<Scalar>& text, const query_block& b, cview<Scalar> rows,
             view<Scalar> out, const pass<Scalar>& p) const {
        const auto size = out.columns() / heads_, first = seen(text, b);
        const auto common = b.count == 1 ? first : first / 2 * 2;
        const auto target =
            out.row_block(text.first + b.first, b.count).column_block(b.head * size, size);
        const auto add = [&](std::size_t begin, std::size_t end, cview<Scalar> weights,
                             view<Scalar> y) {
            text.kv->by_page(begin, end, [&](auto at, auto count) {
                multiply(weights.column_block(at, count),
                         text.kv->values(layer_, b.head, at, count), y, b, p, at > 0);
            });
        };
        add(0, common, rows, target);
        for (std::size_t i = 0; i < b.count; ++i)
            add(common, first + i, rows.row_block(i, 1), target.row_block(i, 1));
    }

    /// y = x·W, or y += x·W
    static void multiply(cview<Scalar> x, panel_view<Scalar> w, view<Scalar> y,
                         const query_block& b, const pass<Scalar>& p, bool accumulate = false) {
        ops::product<Scalar>({x, p.work.rounded_scores(b.worker).rows(w.stored(), w.depth()), w, y,
                              nullptr, accumulate},
                             p.on);
    }

    static constexpr std::size_t block_size = workspace<Scalar>::query_block;

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
    void forward(cview<Scalar> normed, pass<Scalar>& p, Trace&& trace) const {
        const auto inner = p.work.inner(normed.rows()), branch = p.work.branch(normed.rows());
        const auto activate = [&](view<Scalar> part) { ops::activate(part, activation_, p.on); };
        if constexpr (observes<Trace>) {
            c_fc_.forward(normed, inner, p);  // (T, F)
            show(trace, stage::c_fc, layer_, inner);
            activate(inner);  // (T, F)
        } else {
            c_fc_.forward(normed, inner, p, activate);  // (T, F)
        }
        show(trace, stage::activation, layer_, inner);
        c_proj_.forward(inner, branch, p);  // (T, C)
        show(trace, stage::mlp, layer_, branch);
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        c_fc_.add_to(sum);
        c_proj_.add_to(sum);
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
    template <class Positions, class Trace>
    void forward(view<Scalar> x, const Positions& positions, pass<Scalar>& p, Trace&& trace) const {
        const auto normed = p.work.normed(x.rows()), branch = p.work.branch(x.rows());
        ln_1_.forward(x, normed, p.on);  // (T, C)
        show(trace, stage::ln_1, layer_, normed);
        attn_.forward(normed, positions, p, trace);  // work.branch: (T, C)
        ops::add<Scalar>(x, branch, p.on);
        show(trace, stage::attention_residual, layer_, x);
        ln_2_.forward(x, normed, p.on);  // (T, C)
        show(trace, stage::ln_2, layer_, normed);
        mlp_.forward(normed, p, trace);  // work.branch: (T, C)
        ops::add<Scalar>(x, branch, p.on);
        show(trace, stage::block, layer_, x);
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        ln_1_.add_to(sum);
        attn_.add_to(sum);
        ln_2_.add_to(sum);
        mlp_.add_to(sum);
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
    vocabulary(const stored_tensor& stored, const weight_scope& w)
        : rows_(detail::pack<Scalar>(stored, detail::orientation::out_in, w.wanted(), w.pool())) {}

    /// The vectors of the tokens: ids (T) -> x (T, C).
    void embed(std::span<const token_id> ids, view<Scalar> x) const {
        for (std::size_t t = 0; t < ids.size(); ++t)
            detail::unpack_column(rows_, static_cast<std::size_t>(ids[t]), x.row(t).data());
    }

    /// How well each token would follow: x (R, C) -> logits (R, V).
    void project(cview<Scalar> x, view<Scalar> logits, pass<Scalar>& p) const {
        ops::linear<Scalar>(
            {x, p.work.rounded().rows(rows_.stored(), rows_.depth()), rows_.view(), logits}, p.on,
            detail::nothing{});
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        sum.add(rows_);
    }

private:
    packed_matrix<Scalar> rows_;  // (C, V)
};

}  // namespace layers
}  // namespace gpt2::inline GPT2_ABI
