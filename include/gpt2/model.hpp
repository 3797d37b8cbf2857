// The whole network: token ids in, logits out.
//
// A model is its weights and nothing else; it never changes after it is made, and any number of
// threads may run it at once, each with a state of its own. It computes in the rounding mode it
// finds and never changes the floating-point environment; the promise of equal bits is for
// round-to-nearest without flushing of subnormals, which is what every program starts with.
//
// Before: layers.hpp, where the parts are. After: session.hpp, which runs it on a text.
#pragma once

#include "config.hpp"
#include "layers.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// The stored head where it is not the token embedding: a head that differs wins even when the
/// config says tied, as in Hugging Face transformers 5.
template <class Scalar>
const stored_tensor* own_head(const weight_scope& w, const config& c) {
    if (!c.tied_head) return &w.fetch("lm_head.weight", {c.vocabulary_size, c.width});
    if (!w.has("lm_head.weight")) return nullptr;
    const auto& head = w.fetch("lm_head.weight", {c.vocabulary_size, c.width});
    const auto& wte = w.fetch("wte.weight");
    return same_numbers<Scalar>(head, wte) ? nullptr : &head;
}

}  // namespace detail

/// A GPT-2 computing in `Scalar`, which is float or double, with positions.hpp's `Positions`.
template <class Scalar, class Positions = learned_positions<Scalar>>
class basic_model {
public:
    /// Takes the tensors of the config's shapes from `w`. Raises missing_tensor, wrong_shape,
    /// unsupported (a tensor of integers), not_finite, truncated, bad_config, out_of_memory.
    basic_model(const gpt2::config& c, const weight_scope& w)
        : config_((c.validate(), c)),
          wte_(w.fetch("wte.weight", {c.vocabulary_size, c.width}), w),
          wpe_(w, c),
          ln_f_(w / "ln_f", c) {
        for (std::size_t layer = 0; layer < c.layers; ++layer)
            h_.push_back(layers::block<Scalar>(w / "h" / layer, c, layer));
        if (const auto* head = detail::own_head<Scalar>(w, c)) lm_head_.emplace(*head, w);
    }

    const gpt2::config& config() const { return config_; }

    /// True when the projection onto the vocabulary is the token embedding itself.
    bool tied_head() const { return !lm_head_; }

    /// Continues the state's text by `ids` (T ≥ 1) and writes the logits of its last R positions,
    /// R = logits.rows() ≤ T, logits (R, V); where they are (R, 0), ln_f is shown to the observer
    /// and nothing is projected. Raises token_out_of_range, context_full and out_of_memory before
    /// any work, and cancelled; the state is then as before. The result is the same to the bit
    /// however a text is cut into calls, and for any number of threads. O(T·parameters + T·S·C).
    template <class Trace = no_trace>
    void forward(std::span<const token_id> ids, state<Scalar>& s, view<Scalar> logits,
                 Trace&& trace = {}) const {
        check_ids(ids);
        run(
            ids.size(), [&](auto first, auto x) { vectors(ids.subspan(first, x.rows()), x); }, s,
            logits, trace);
    }

    /// The same for given vectors (T, C) in the place of those of tokens: for rows of wte the same
    /// to the bit. Raises wrong_shape for vectors of another width, context_full, cancelled.
    template <class Trace = no_trace>
    void forward(cview<Scalar> inputs, state<Scalar>& s, view<Scalar> logits,
                 Trace&& trace = {}) const {
        if (inputs.columns() != config_.width)
            detail::fail(errc::wrong_shape, "forward: vectors", {"(T, ", config_.width, ")"},
                         {"(", inputs.rows(), ", ", inputs.columns(), ")"});
        const auto copy = [&](auto first, auto x) {
            for (std::size_t t = 0; t < x.rows(); ++t)
                std::ranges::copy(inputs.row(first + t), x.row(t).begin());
        };
        run(inputs.rows(), copy, s, logits, trace);
    }

    /// Raises token_out_of_range for an id that is no row of the vocabulary.
    void check_ids(std::span<const token_id> ids) const;

    /// The vectors of tokens, rows of wte: ids (T) -> x (T, C). Raises token_out_of_range,
    /// wrong_shape.
    void vectors(std::span<const token_id> ids, view<Scalar> x) const {
        check_ids(ids);
        if (x.rows() != ids.size() || x.columns() != config_.width)
            detail::fail(errc::wrong_shape, "vectors", {"(", ids.size(), ", ", config_.width, ")"},
                         {"(", x.rows(), ", ", x.columns(), ")"});
        wte_.embed(ids, x);
    }

    /// Several texts at once, for which the weights are read once: text i goes on by its ids, one
    /// or more, and row i of logits (B, V) is the last one's, to the bit what forward gives. All
    /// ids together are at most the first text's work.rows(), whose scratch memory, threads and
    /// interruption serve. The observer sees ln_f (B, C) and logits (B, V) alone. Raises what
    /// forward raises; no text is changed then.
    template <class Trace = no_trace>
    void forward_ragged(std::span<const continuation<Scalar>> texts, view<Scalar> logits,
                        Trace&& trace = {}) const;

    /// The same for one id each: text i goes on by ids[i].
    template <class Trace = no_trace>
    void forward_batch(std::span<const token_id> ids, std::span<state<Scalar>* const> texts,
                       view<Scalar> logits, Trace&& trace = {}) const;

    /// What the model would answer if x (R, C), rows of the residual stream, left its last layer:
    /// ln_f and the projection, logits (R, V). Of the state only scratch memory and threads are
    /// used, its text stays. Raises wrong_shape. O(R·C·V).
    void unembed(cview<Scalar> x, state<Scalar>& s, view<Scalar> logits) const;

    /// Bytes of the weights that decoding one token reads: all but the vectors of other tokens and
    /// positions.
    std::size_t weight_bytes() const;

    /// Calls sum.add(weights) for every matrix and vector, in the order of the network.
    template <class Sum>
    void add_to(Sum& sum) const;

    /// The memory that all weights take, and the least exact way in which a matrix is kept.
    layers::footprint footprint() const;

private:
    void check(std::size_t t, const state<Scalar>& s, view<Scalar> logits) const;
    void check(std::span<const continuation<Scalar>> texts, view<Scalar> logits) const;

    /// A text goes on by t positions; fill(first, x) writes their vectors from `first` on into x.
    template <class Fill, class Trace>
    void run(std::size_t t, const Fill& fill, state<Scalar>& s, view<Scalar> logits,
             Trace&& trace) const {
        check(t, s, logits);
        const auto start = s.kv.size();
        s.kv.reserve(start + t);
        try {
            for (std::size_t done = 0; done < t;) {
                const auto rows = std::min(t - done, s.work.rows());
                const segment<Scalar> text{&s.kv, 0, rows};
                pass<Scalar> p{{&text, 1}, s.work, s.on};
                const auto x = s.work.residual(rows);  // (T, C)
                fill(done, x);
                place(x, text, p, trace);
                run_blocks(x, p, s.stop, trace);
                s.kv.resize(s.kv.size() + rows);
                done += rows;
                project(x, t - done, p, logits, trace);
            }
        } catch (...) {
            s.kv.resize(start);
            throw;
        }
    }

    /// Adds the vectors of the positions to those of the tokens: x (T, C)
    template <class Trace>
    void place(view<Scalar> x, const segment<Scalar>& text, pass<Scalar>& p, Trace&& trace) const {
        show(trace, stage::token_embedding, 0, x);
        if constexpr (Positions::adds) {
            const auto positions = wpe_.rows(text.kv->size(), x.rows());  // (T, C)
            if constexpr (observes<Trace>) {
                const auto shown = p.work.branch(x.rows());
                eigen(shown) = eigen(positions);
                show(trace, stage::position_embedding, 0, shown);
                ops::add<Scalar>(x, shown, p.on);
            } else {
                ops::add<Scalar>(x, positions, p.on);
            }
        }
        show(trace, stage::embedding, 0, x);
    }

    template <class Trace>
    void run_blocks(view<Scalar> x, pass<Scalar>& p, const interruption& stop,
                    Trace&& trace) const {
        for (std::size_t layer = 0; layer < h_.size(); ++layer) {
            if (stop.requested()) throw error(errc::cancelled, "forward: stopped early");
            if constexpr (observes_stream<Trace>) {
                h_[layer].forward(x, wpe_, p, no_trace{});  // (T, C)
                show(trace, stage::block, layer, x);
            } else {
                h_[layer].forward(x, wpe_, p, trace);  // (T, C)
            }
        }
    }

    /// The logits of those rows of x (T, C), a chunk with `later` positions after it, that are
    /// asked for.
    template <class Trace>
    void project(view<Scalar> x, std::size_t later, pass<Scalar>& p, view<Scalar> logits,
                 Trace&& trace) const {
        if (later >= logits.rows()) return;
        const auto r = std::min(logits.rows() - later, x.rows());
        const auto normed = p.work.normed(r);                             // (R, C)
        const auto out = logits.row_block(logits.rows() - later - r, r);  // (R, V)
        ln_f_.forward(x.row_block(x.rows() - r, r), normed, p.on);
        show(trace, stage::ln_f, 0, normed);
        if (logits.columns() == 0) return;
        (lm_head_ ? *lm_head_ : wte_).project(normed, out, p);
        show(trace, stage::logits, 0, out);
    }

    gpt2::config config_;
    layers::vocabulary<Scalar> wte_;
    Positions wpe_;
    std::vector<layers::block<Scalar>> h_;
    layers::layer_norm<Scalar> ln_f_;
    std::optional<layers::vocabulary<Scalar>> lm_head_;
};

using model = basic_model<float>;

template <class Scalar, class Positions>
void basic_model<Scalar, Positions>::unembed(cview<Scalar> x, state<Scalar>& s,
                                             view<Scalar> logits) const {
    if (x.columns() != config_.width || logits.rows() != x.rows() ||
        logits.columns() != config_.vocabulary_size)
        detail::fail(errc::wrong_shape, "unembed",
                     {"(R, ", config_.width, ") and (R, ", config_.vocabulary_size, ")"},
                     {"(", x.rows(), ", ", x.columns(), ") and (", logits.rows(), ", ",
                      logits.columns(), ")"});
    pass<Scalar> p{{}, s.work, s.on};
    for (std::size_t first = 0; first < x.rows(); first += s.work.rows()) {
        const auto r = std::min(s.work.rows(), x.rows() - first);
        const auto normed = s.work.normed(r);  // (R, C)
        ln_f_.forward(x.row_block(first, r), normed, s.on);
        (lm_head_ ? *lm_head_ : wte_).project(normed, logits.row_block(first, r), p);
    }
}

template <class Scalar, class Positions>
template <class Trace>
void basic_model<Scalar, Positions>::forward_ragged(std::span<const continuation<Scalar>> texts,
                                                    view<Scalar> logits, Trace&& trace) const {
    check(texts, logits);
    for (const auto& one : texts) one.text->kv.reserve(one.text->kv.size() + one.ids.size());
    state<Scalar>& first = *texts[0].text;
    std::vector<segment<Scalar>> segments;
    std::size_t rows = 0;
    for (const auto& one : texts) {
        segments.push_back({&one.text->kv, rows, one.ids.size()});
        rows += one.ids.size();
    }
    pass<Scalar> p{segments, first.work, first.on};
    const auto x = first.work.residual(rows);  // (T, C), T of all texts
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto part = x.row_block(segments[i].first, segments[i].rows);
        vectors(texts[i].ids, part);
        place(part, segments[i], p, no_trace{});
    }
    run_blocks(x, p, first.stop, no_trace{});
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (const auto last = segments[i].first + segments[i].rows - 1; last != i)
            std::ranges::copy(x.row(last), x.row(i).begin());
    project(x.row_block(0, texts.size()), 0, p, logits, trace);
    for (const auto& one : texts) one.text->kv.resize(one.text->kv.size() + one.ids.size());
}

template <class Scalar, class Positions>
template <class Trace>
void basic_model<Scalar, Positions>::forward_batch(std::span<const token_id> ids,
                                                   std::span<state<Scalar>* const> texts,
                                                   view<Scalar> logits, Trace&& trace) const {
    if (ids.size() != texts.size())
        detail::fail(errc::invalid_argument, "forward_batch", "a text for each id",
                     {ids.size(), " ids, ", texts.size(), " texts"});
    std::vector<continuation<Scalar>> steps;
    for (std::size_t i = 0; i < ids.size(); ++i) steps.push_back({texts[i], ids.subspan(i, 1)});
    forward_ragged(steps, logits, trace);
}

template <class Scalar, class Positions>
std::size_t basic_model<Scalar, Positions>::weight_bytes() const {
    layers::footprint sum;
    (lm_head_ ? *lm_head_ : wte_).add_to(sum);
    for (const auto& block : h_) block.add_to(sum);
    ln_f_.add_to(sum);
    return sum.bytes;
}

template <class Scalar, class Positions>
template <class Sum>
void basic_model<Scalar, Positions>::add_to(Sum& sum) const {
    wte_.add_to(sum);
    wpe_.add_to(sum);
    for (const auto& block : h_) block.add_to(sum);
    ln_f_.add_to(sum);
    if (lm_head_) lm_head_->add_to(sum);
}

template <class Scalar, class Positions>
layers::footprint basic_model<Scalar, Positions>::footprint() const {
    layers::footprint sum;
    add_to(sum);
    return sum;
}

template <class Scalar, class Positions>
void basic_model<Scalar, Positions>::check_ids(std::span<const token_id> ids) const {
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= config_.vocabulary_size)
            detail::fail(errc::token_out_of_range, {"token ", i},
                         {"an id below ", config_.vocabulary_size}, {ids[i]});
}

/// Whether a text can go on by t positions, and whether logits of so many can be asked for.
template <class Scalar, class Positions>
void basic_model<Scalar, Positions>::check(std::size_t t, const state<Scalar>& s,
                                           view<Scalar> logits) const {
    if (t == 0) throw error(errc::invalid_argument, "forward: expected at least one token");
    if (t > s.kv.capacity() - s.kv.size())
        detail::fail(errc::context_full, "forward", {"at most ", s.kv.capacity(), " positions"},
                     {s.kv.size(), " and ", t, " more"});
    const auto columns = logits.columns();
    if (logits.rows() > t ||
        (logits.rows() > 0 && columns != 0 && columns != config_.vocabulary_size))
        detail::fail(errc::invalid_argument, "forward: logits",
                     {"(R ≤ ", t, ", ", config_.vocabulary_size, ")"},
                     {"(", logits.rows(), ", ", columns, ")"});
}

/// Whether these texts can go on together.
template <class Scalar, class Positions>
void basic_model<Scalar, Positions>::check(std::span<const continuation<Scalar>> texts,
                                           view<Scalar> logits) const {
    std::size_t rows = 0;
    for (const auto& one : texts) rows += one.ids.size();
    if (texts.empty() || logits.rows() != texts.size() || rows > texts[0].text->work.rows())
        detail::fail(errc::invalid_argument, "forward_batch",
                     "one text or more, a row of logits for each, and as many ids as a pass takes",
                     {texts.size(), " texts, ", logits.rows(), " rows, ", rows, " ids"});
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto is_this = [&](const auto& one) { return one.text == texts[i].text; };
        if (std::ranges::any_of(texts.first(i), is_this))
            throw error(errc::invalid_argument, "forward_batch: a text is there twice");
        check_ids(texts[i].ids);
        check(texts[i].ids.size(), *texts[i].text, logits.row_block(i, 1));
    }
}

}  // namespace gpt2::inline GPT2_ABI
