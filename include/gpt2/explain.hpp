// From a text to its walk: the model writes, and one pass over all of it is watched.
//
//     const gpt2::walk seen = gpt2::explain(model, "Once upon a time", {.new_tokens = 5});
//     seen.layers[2].weights, seen.lens[2][0].best, seen.steps[0].filters …
//
// What is no finite number stops nothing: the walk says where it first arose.
//
// Before: walk.hpp, recording.hpp, sampler.hpp. Beside it: walk_json.hpp.
#pragma once

#include "detail/chain.hpp"
#include "detail/merge_steps.hpp"
#include "detail/token_offsets.hpp"
#include "detail/token_reader.hpp"
#include "detail/utf8_stream.hpp"
#include "detail/widen.hpp"
#include "error.hpp"
#include "gpt2.hpp"
#include "logit_lens.hpp"
#include "observers.hpp"
#include "positions.hpp"
#include "post_process.hpp"
#include "random.hpp"
#include "recording.hpp"
#include "sampler.hpp"
#include "trace.hpp"
#include "walk.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

struct walk_options {
    std::size_t new_tokens = 5;
    gpt2::sampling sampling = greedy();
    std::uint64_t seed = 0;
    std::size_t window = 32;            ///< how many of the last positions are shown, 1 or more
    specials text = specials::as_text;  ///< whether "<|endoftext|>" in a prompt is a token
    std::vector<text_step> post = {};   ///< what is done to prompt and new text in the end
    interruption until = {};
};

namespace detail {

inline constexpr std::size_t walk_candidates = 1024, walk_bars = 64, walk_examples = 10,
                             walk_units = 8, walk_answers = 5;

/// "top-k 40" for the filter that traces call "top-k".
inline std::string filter_in_words(std::string_view name, const sampling& how) {
    for (const auto& one : chain_of(how.dialect))
        if (one.name == name && one.is_on != nullptr && one.is_on(how)) {
            const auto value = one.value(how);
            return std::string(name) + (value.empty() ? "" : " ") + value;
        }
    return std::string(name);
}

/// The logits that are no candidates, by stretches.
inline std::vector<walk_step::bar> bars_of(std::span<const float> logits) {
    std::vector<walk_step::bar> bars;
    if (logits.empty()) return bars;
    const auto [low, high] = std::ranges::minmax(logits);
    const double width = std::max<double>(high - low, 1e-9);
    std::vector<double> weight(walk_bars);  // relative to the highest
    std::vector<std::size_t> count(walk_bars);
    for (const float x : logits) {
        const auto place =
            std::min(static_cast<std::size_t>((x - low) / width * static_cast<double>(walk_bars)),
                     walk_bars - 1);
        weight[place] += std::exp(static_cast<double>(x) - high);
        ++count[place];
    }
    for (std::size_t i = walk_bars; i-- > 0;)
        if (count[i] > 0)
            bars.push_back({high + std::log(weight[i] / static_cast<double>(count[i])), count[i]});
    return bars;
}

/// What the logits (V) say before any filter.
inline void take_candidates(walk_step& to, std::span<const float> logits) {
    std::vector<token_id> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto at = [&](token_id id) { return logits[static_cast<std::size_t>(id)]; };
    const auto kept = static_cast<std::ptrdiff_t>(std::min(walk_candidates, logits.size()));
    std::partial_sort(order.begin(), order.begin() + kept, order.end(),
                      [&](auto a, auto b) { return at(a) > at(b) || (at(a) == at(b) && a < b); });
    double total = 0;
    for (const float x : logits) total += std::exp(static_cast<double>(x) - at(order[0]));
    for (const auto id : std::span(order).first(static_cast<std::size_t>(kept)))
        to.candidates.push_back(
            {id, at(id), std::exp(static_cast<double>(at(id)) - at(order[0])) / total});
    std::vector<float> others;
    for (const auto id : std::span(order).subspan(static_cast<std::size_t>(kept)))
        others.push_back(at(id));
    to.rest = bars_of(others);
}

/// Makes a walk, stage by stage. One thread, one walk.
class walker {
public:
    walker(const language_model& with, const walk_options& how, std::vector<token_id> ids)
        : model_(with), how_(how), ids_(std::move(ids)), state_(with.state()) {
        const auto& c = with.config();
        if (how.window == 0)
            fail(errc::invalid_argument, "explain: window", "1 position or more", "0");
        if (ids_.empty() && c.begin_of_text) ids_.push_back(*c.begin_of_text);
        if (ids_.empty()) throw error(errc::empty_prompt, "explain: the text has no tokens");
        with.model().check_ids(ids_);
        if (ids_.size() > c.context_length)
            fail(errc::context_full, "explain", {"at most ", c.context_length, " tokens"},
                 ids_.size());
        state_.stop = how.until;
        made_.prompt_tokens = ids_.size();
    }

    walk run(std::optional<std::string> text) {
        made_.text = std::move(text);
        describe_model();
        write();
        observe();
        describe_tokens();
        if (made_.has_tokenizer && !how_.post.empty())
            made_.post_processing =
                post_process(model_.tokenizer().decode(ids_, specials::skip), how_.post).steps;
        return std::move(made_);
    }

private:
    std::size_t shown() const { return ids_.size() - made_.first; }

    void stop(walk_end why) { made_.why = why; }

    void describe_model() {
        made_.config = model_.config();
        made_.tied_head = model_.model().tied_head();
        made_.has_tokenizer = model_.has_tokenizer();
        auto path = model_.source();
        if (!path.has_filename()) path = path.parent_path();
        utf8_stream whole;
        made_.model_name = whole.push(path.filename().string()) + whole.finish();
        if (made_.model_name.empty()) made_.model_name = "model";
        made_.sampling = how_.sampling;
        made_.seed = how_.seed;
    }

    /// The model goes on by some tokens, each choice taken apart.
    void write() {
        auto chain = how_.sampling;
        if (chain.end_of_text.empty()) chain.end_of_text = made_.config.end_of_text;
        sampler chooser(chain, how_.seed);
        buffer<float> logits(made_.config.vocabulary_size);
        model_.model().forward(ids_, state_, {logits.data(), 1, logits.size()});
        for (std::size_t i = 0; i < how_.new_tokens; ++i) {
            if (!all_finite(std::as_const(logits).span())) return stop(walk_end::not_finite);
            if (ids_.size() == made_.config.context_length) return stop(walk_end::context_full);
            made_.steps.push_back(step(chooser, logits.span()));
            const auto token = made_.steps.back().chosen;
            ids_.push_back(token);
            model_.model().forward(std::span(&token, 1), state_, {logits.data(), 1, logits.size()});
            if (std::ranges::count(made_.config.end_of_text, token) > 0)
                return stop(walk_end::end_of_text);
        }
    }

    walk_step step(sampler& chooser, std::span<const float> logits) const {
        const history past{ids_, made_.prompt_tokens};
        const auto seen = chooser.explain(logits, past);
        walk_step made;
        made.position = ids_.size() - 1;
        take_candidates(made, logits);
        for (const auto& one : seen.removed) {
            auto& filter = made.filters.emplace_back();
            filter.filter = filter_in_words(one.filter, how_.sampling);
            filter.removed = one.ids.size();
            filter.examples.assign(one.ids.begin(),
                                   one.ids.begin() + static_cast<std::ptrdiff_t>(
                                                         std::min(walk_examples, one.ids.size())));
        }
        made.survivors = seen.survivors.size();
        made.chosen = chooser.next(logits, past).token;
        const auto place = std::ranges::find(seen.survivors, made.chosen);
        if (place != seen.survivors.end())
            made.chosen_probability =
                seen.probabilities[static_cast<std::size_t>(place - seen.survivors.begin())];
        if (!is_greedy(how_.sampling)) made.draw = philox{how_.seed, 0}.uniform(ids_.size());
        return made;
    }

    /// The pass that is watched: over the positions that are shown, behind the others.
    void observe() {
        made_.total = ids_.size();
        made_.first = ids_.size() - std::min(how_.window, ids_.size());
        const auto& c = made_.config;
        recording seen;
        stage_norms norms;
        norm_moments lens_input(c.layers);
        non_finite_finder finder(made_.first);
        state_.kv.resize(made_.first);
        model_.model().forward(std::span(ids_).subspan(made_.first), state_, {},
                               together(seen, norms, lens_input, finder));
        made_.first_non_finite = finder.found();
        if (finder.found() && made_.first > 0) find_first_non_finite();
        take_embedding(seen);
        for (std::size_t layer = 0; layer < c.layers; ++layer)
            take_layer(layer, seen, norms, lens_input);
        made_.ln_f = list(lens_input.at(stage::ln_f));
        take_lens(seen);
    }

    /// It may have arisen before the positions that are shown.
    void find_first_non_finite() {
        non_finite_finder finder;
        state_.kv.resize(0);
        model_.model().forward(ids_, state_, {}, finder);
        made_.first_non_finite = finder.found();
    }

    template <class Number>
    static std::vector<Number> list(std::span<const Number> of) {
        return {of.begin(), of.end()};
    }

    walk_array array(cview<float> of, std::vector<std::size_t> shape = {}) const {
        walk_array made{shape.empty() ? std::vector{of.rows(), of.columns()} : std::move(shape),
                        {}};
        for (std::size_t t = 0; t < of.rows(); ++t)
            made.values.insert(made.values.end(), of.row(t).begin(), of.row(t).end());
        return made;
    }

    void take_embedding(const recording& seen) {
        made_.token_embedding = array(seen.at(stage::token_embedding));
        made_.position_embedding = array(seen.at(stage::position_embedding));
        made_.sum = array(seen.at(stage::embedding));
        const sinusoidal_positions<float> formula(made_.config);
        made_.sinusoidal = array(formula.rows(made_.first, shown()));
    }

    void take_layer(std::size_t layer, const recording& seen, const stage_norms& norms,
                    const norm_moments& inputs) {
        const std::vector<std::size_t> by_head{shown(), made_.config.heads,
                                               made_.config.head_size()};
        auto& to = made_.layers.emplace_back();
        to.ln_1 = list(inputs.at(stage::ln_1, layer));
        to.ln_2 = list(inputs.at(stage::ln_2, layer));
        to.q = array(seen.at(stage::q, layer), by_head);
        to.k = array(seen.at(stage::k, layer), by_head);
        to.v = array(seen.at(stage::v, layer), by_head);
        to.attention_norm = list(norms.at(stage::attention, layer));
        to.mlp_norm = list(norms.at(stage::mlp, layer));
        to.middle_norm = list(norms.at(stage::attention_residual, layer));
        to.residual_norm = list(norms.at(stage::block, layer));
        take_heads(to, layer, seen, norms);
        take_units(to, seen.at(stage::activation, layer));
    }

    void take_heads(walk_layer& to, std::size_t layer, const recording& seen,
                    const stage_norms& norms) const {
        const auto heads = made_.config.heads, w = shown(), first = made_.first;
        to.scores.shape = to.weights.shape = {heads, w * (w + 1) / 2};
        to.earlier.shape = to.head_norms.shape = to.entropy.shape = {heads, w};
        for (std::size_t h = 0; h < heads; ++h) {
            const auto scores = seen.head(stage::scores, layer, h);    // (W, T)
            const auto weights = seen.head(stage::weights, layer, h);  // (W, T)
            for (std::size_t t = 0; t < w; ++t) {
                const auto add = [&](walk_array& array, cview<float> from) {
                    const auto row = from.row(t).subspan(first, t + 1);
                    array.values.insert(array.values.end(), row.begin(), row.end());
                };
                add(to.scores, scores);
                add(to.weights, weights);
                const auto row = weights.row(t);
                double before = 0, bits = 0;
                for (const float x : row.first(first)) before += static_cast<double>(x);
                for (const float x : row)
                    if (x != 0) bits -= static_cast<double>(x) * std::log2(static_cast<double>(x));
                to.earlier.values.push_back(static_cast<float>(before));
                to.entropy.values.push_back(static_cast<float>(bits));
                to.head_norms.values.push_back(
                    static_cast<float>(norms.of_heads(layer)[t * heads + h]));
            }
        }
    }

    static void take_units(walk_layer& to, cview<float> active) {  // (W, F)
        const auto count = std::min(walk_units, active.columns());
        std::vector<std::size_t> order(active.columns());
        for (std::size_t t = 0; t < active.rows(); ++t) {
            const auto row = active.row(t);
            const auto above = std::ranges::count_if(row, [](float x) { return x > 0; });
            to.active_share.push_back(static_cast<double>(above) / static_cast<double>(row.size()));
            // by size, what is no number first; of equal ones the lower unit
            const auto size = [&](std::size_t i) {
                return std::isnan(row[i]) ? INFINITY : std::abs(row[i]);
            };
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::ranges::partial_sort(
                order, order.begin() + static_cast<std::ptrdiff_t>(count),
                [&](auto a, auto b) { return size(a) > size(b) || (size(a) == size(b) && a < b); });
            auto& largest = to.top_units.emplace_back();
            for (std::size_t i = 0; i < count; ++i) largest.push_back({order[i], row[order[i]]});
        }
    }

    void take_lens(const recording& seen) {
        lens_options how;
        how.alternatives = std::min(walk_answers, made_.config.vocabulary_size);
        auto table =
            read_lens(model_.model(), seen, state_, std::span(ids_).subspan(made_.first + 1), how);
        for (std::size_t depth = 0; depth < table.depths; ++depth) {
            const auto begin =
                table.answers.begin() + static_cast<std::ptrdiff_t>(depth * table.positions);
            made_.lens.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(table.positions));
        }
    }

    /// What has to do with text: bytes, places, merges, and the tokens that are named anywhere.
    void describe_tokens() {
        const auto prompt = std::span(ids_).first(made_.prompt_tokens);
        std::vector<byte_range> places(ids_.size());
        std::optional<merge_steps> merges;
        if (made_.has_tokenizer) {
            const auto& words = model_.tokenizer();
            merges.emplace(words);
            made_.normalised = words.decode(prompt);
            made_.continuation =
                words.decode(std::span(ids_).subspan(prompt.size()), specials::skip);
            places = places_of(prompt);
        }
        for (std::size_t t = made_.first; t < ids_.size(); ++t) {
            auto& token = made_.tokens.emplace_back();
            token.id = ids_[t];
            token.place = places[t];
            token.written = t >= made_.prompt_tokens;
            if (!merges) continue;
            token.bytes = model_.tokenizer().bytes(token.id);
            token.merges = merges->of(token.id);
        }
        if (made_.has_tokenizer) name_tokens();
    }

    std::vector<byte_range> places_of(std::span<const token_id> prompt) const {
        const auto& words = model_.tokenizer();
        auto places =
            made_.text ? token_ranges(words, *made_.text, prompt) : token_ranges(words, prompt);
        auto end = made_.text ? made_.text->size() : places.empty() ? 0 : places.back().end;
        for (auto id : std::span(ids_).subspan(prompt.size())) {
            const auto begin = end;
            end += words.bytes(id).size();
            places.push_back({begin, end});
        }
        return places;
    }

    void name_tokens() {
        std::set<token_id> named(ids_.begin(), ids_.end());
        for (const auto& row : made_.lens)
            for (const auto& answer : row)
                for (const auto& one : answer.best) named.insert(one.token);
        for (const auto& step : made_.steps) {
            for (const auto& one : step.candidates) named.insert(one.id);
            for (const auto& filter : step.filters)
                named.insert(filter.examples.begin(), filter.examples.end());
        }
        const auto known = static_cast<token_id>(model_.tokenizer().size());
        for (const auto id : named)  // a model may have more ids than its tokenizer has tokens
            if (id < known) made_.vocabulary[id] = model_.tokenizer().bytes(id);
    }

    language_model model_;
    walk_options how_;
    std::vector<token_id> ids_;
    state<float> state_;
    walk made_;
};

}  // namespace detail

/// The walk of a text and of what the model writes behind it. Raises context_full for a prompt
/// beyond the model's positions, empty_prompt, invalid_argument (options), no_candidate, cancelled,
/// not_found for a model without a tokenizer. O(T·parameters + W·L·C·V). Threads may share the
/// model.
inline walk explain(const language_model& with, std::string_view text,
                    const walk_options& how = {}) {
    detail::walker one(with, how, with.tokenizer().encode(text, how.text));
    return one.run(std::string(text));
}

/// The same for ids, which need no tokenizer. Also raises token_out_of_range.
inline walk explain(const language_model& with, std::span<const token_id> ids,
                    const walk_options& how = {}) {
    detail::walker one(with, how, {ids.begin(), ids.end()});
    return one.run(std::nullopt);
}

}  // namespace gpt2::inline GPT2_ABI
