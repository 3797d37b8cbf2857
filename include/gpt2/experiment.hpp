// What experiments share: texts read from their beginning while an observer watches the passes or
// changes them, and a number for every head of a model.
//
//     gpt2::experiment lab(model);
//     const auto ids = model.tokenizer().encode("The wolf came to the door.");
//     gpt2::head_ablation<float> silent(model.config(), {.layer = 2, .head = 0});
//     lab.loss(ids, silent) - lab.loss(ids)
//
// Before: gpt2.hpp, prompt.hpp, detail/token_reader.hpp. After: ablation.hpp, patching.hpp (passes
// that are changed), attention_measures.hpp, attribution.hpp, word_order.hpp (passes that are
// watched).
#pragma once

#include "detail/token_reader.hpp"
#include "edits.hpp"
#include "error.hpp"
#include "gpt2.hpp"
#include "prompt.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A number for every head.
struct head_table {
    std::size_t layers = 0, heads = 0;
    std::vector<double> values;  ///< (L, H), layer by layer

    head_table() = default;
    explicit head_table(const config& of)
        : layers(of.layers), heads(of.heads), values(of.layers * of.heads) {}

    double& at(const head_place& head) { return values[head.layer * heads + head.head]; }
    double at(const head_place& head) const { return values[head.layer * heads + head.head]; }

    /// All heads, the highest number first; of equal ones the lower layer, then the lower head.
    std::vector<head_place> order() const {
        std::vector<std::size_t> places(values.size());
        std::iota(places.begin(), places.end(), std::size_t{0});
        std::ranges::stable_sort(places, std::ranges::greater(),
                                 [&](std::size_t i) { return values[i]; });
        std::vector<head_place> list;
        for (const auto i : places) list.push_back({i / heads, i % heads});
        return list;
    }
};

/// Reads texts with one model and an observer each, one after another, in the same memory. One
/// thread at a time.
class experiment {
public:
    /// Raises out_of_memory.
    explicit experiment(const language_model& with, const interruption& until = {})
        : model_(with), state_(with.state()), weights_(vocabulary()) {
        state_.stop = until;
    }

    const language_model& model() const { return model_; }

    /// The logits (R, V) behind the last R tokens of a text, valid until the next call. The
    /// observer sees the text in one pass, or in chunks of workspace::chunk. Raises empty_prompt,
    /// context_full, token_out_of_range, cancelled, invalid_argument (R), out_of_memory, and what
    /// the observer raises.
    template <class Observer = no_trace>
    cview<float> read(std::span<const token_id> ids, std::size_t rows, Observer&& watch = {}) {
        if (ids.empty()) throw error(errc::empty_prompt, "experiment: the text has no tokens");
        if (rows > ids.size())
            detail::fail(errc::invalid_argument, "experiment: rows of logits",
                         {"at most ", ids.size()}, rows);
        if (logits_.size() < rows * vocabulary()) logits_ = buffer<float>(rows * vocabulary());
        const view<float> found(logits_.data(), rows, vocabulary());
        state_.kv.resize(0);
        model_.model().forward(ids, state_, found, watch);
        return found;
    }

    /// What the model answers behind a text, valid until the next call. Raises what `read` raises,
    /// not_finite, no_candidate.
    template <class Observer = no_trace>
    detail::distribution next(std::span<const token_id> ids, Observer&& watch = {}) {
        return {read(ids, 1, watch).row(0), weights_.span(), ids.size()};
    }

    /// The log-probability of every token but the first, each behind those before it. Raises what
    /// `read` raises, invalid_argument for less than two tokens, not_finite, no_candidate.
    template <class Observer = no_trace>
    std::vector<double> log_probs(std::span<const token_id> ids, Observer&& watch = {}) {
        if (ids.size() == 1)
            detail::fail(errc::invalid_argument, "experiment", "a text of two tokens or more", "1");
        const auto logits = read(ids, ids.size(), watch);  // (T, V)
        std::vector<double> found;
        for (std::size_t t = 0; t + 1 < ids.size(); ++t)
            found.push_back(
                detail::distribution(logits.row(t), weights_.span(), t + 1).log_prob(ids[t + 1]));
        return found;
    }

    /// The mean of -log P over those tokens: what training makes small.
    template <class Observer = no_trace>
    double loss(std::span<const token_id> ids, Observer&& watch = {}) {
        const auto found = log_probs(ids, watch);
        return -std::accumulate(found.begin(), found.end(), 0.0) /
               static_cast<double>(found.size());
    }

private:
    std::size_t vocabulary() const { return model_.config().vocabulary_size; }

    language_model model_;
    gpt2::state<float> state_;
    buffer<float> logits_;    // as many rows as were asked for so far
    buffer<double> weights_;  // (V)
};

namespace detail {

/// The ids of a text or of ids. Raises not_found for a text without a tokenizer, empty_prompt.
inline std::vector<token_id> require_tokens(const language_model& model, const prompt& given,
                                            specials how, std::string_view where) {
    options reading;
    reading.prompt = how;
    auto ids = ids_of(model, given, reading);
    if (ids.empty()) fail(errc::empty_prompt, where, "a text with tokens", "none");
    model.model().check_ids(ids);
    return ids;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
