// Who made a logit: the shares of the embeddings, of every head and of every feed-forward layer, on
// the way that leads straight to the answer (direct logit attribution; Elhage et al. 2021, "A
// Mathematical Framework for Transformer Circuits").
//
//     const auto found = gpt2::attribute(model, "The king lost his");
//     found.parts[i].logits[0]   // the share of part i in the logit of found.tokens[0]
//
// The residual stream is a sum, and ln_f is linear but for the scale that it divides by. With that
// scale kept as it was in the whole sum, the shares add up to the logit. The model itself computes
// them: heads pass through c_proj one at a time, parts through ln_f and the projection alone.
//
// Before: experiment.hpp, recording.hpp, observers.hpp (moments_of).
#pragma once

#include "error.hpp"
#include "experiment.hpp"
#include "gpt2.hpp"
#include "observers.hpp"
#include "prompt.hpp"
#include "recording.hpp"
#include "sampler.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What adds to the residual stream, in its order, and what is added to the logits behind it.
enum class part_kind {
    token,           ///< the row of wte
    position,        ///< the row of wpe
    head,            ///< what a head found, through its rows of c_proj
    attention_bias,  ///< the bias of attention's c_proj
    mlp,             ///< a feed-forward layer with its bias
    final_bias,      ///< the bias of ln_f
};

struct contribution {
    part_kind part = part_kind::token;
    head_place at;               ///< of heads; `layer` of attention_bias and mlp too
    std::vector<double> logits;  ///< for each of attribution::tokens
};

/// "token", "h.2.head.3", "h.2.attn.bias", "h.2.mlp".
inline std::string name(const contribution& of) {
    switch (of.part) {
        case part_kind::token:
            return "token";
        case part_kind::position:
            return "position";
        case part_kind::head:
            return detail::text_of({"h.", of.at.layer, ".head.", of.at.head});
        case part_kind::attention_bias:
            return detail::text_of({"h.", of.at.layer, ".attn.bias"});
        case part_kind::mlp:
            return detail::text_of({"h.", of.at.layer, ".mlp"});
        case part_kind::final_bias:
            break;
    }
    return "ln_f.bias";
}

/// What a logit is measured from.
enum class logit_origin {
    zero,
    mean,  ///< the mean over the vocabulary: what all tokens share changes no probability
};

struct attribution_options {
    std::vector<token_id> tokens = {};  ///< whose logits; none: the likeliest token's
    std::optional<std::size_t> position = std::nullopt;  ///< behind which token; none: the last
    logit_origin from = logit_origin::zero;
    specials text = specials::as_text;
    interruption until = {};
};

struct attribution {
    std::vector<token_id> tokens;
    std::vector<contribution> parts;  ///< in the order of the pass
    std::vector<double> logits;       ///< the model's own, from the same origin

    /// The sum of all shares in logit i: logits[i] up to rounding, 1e-5 of the largest share.
    double total(std::size_t i) const {
        double sum = 0;
        for (const auto& one : parts) sum += one.logits[i];
        return sum;
    }
};

namespace detail {

/// In a pass over one position: leaves one head alone, or none, notes what attention makes of it,
/// and puts back what it made of all, so that nothing else changes.
class lone_head {
public:
    lone_head(const recording& whole, std::optional<std::size_t> head)
        : whole_(whole), head_(head) {}

    void operator()(stage s, std::size_t layer, view<float> x) {
        const auto row = x.row(x.rows() - 1);
        if (s == stage::heads) {
            const auto size = row.size() / whole_.heads();
            for (std::size_t i = 0; i < row.size(); ++i)
                if (!head_ || i / size != *head_) row[i] = 0;
        } else if (s == stage::attention) {
            found.emplace_back(row.begin(), row.end());
            std::ranges::copy(whole_.at(stage::attention, layer).row(0), row.begin());
        }
    }

    std::vector<std::vector<float>> found;  ///< (C) of every layer

private:
    const recording& whole_;
    std::optional<std::size_t> head_;
};

/// One call of attribute: the position behind which the logits stand, with all before it computed.
class attributor {
public:
    attributor(const language_model& with, std::span<const token_id> ids,
               const attribution_options& how)
        : model_(with.model()),
          how_(how),
          state_(with.state()),
          last_(ids.last(1)),
          before_(ids.size() - 1),
          logits_(rows_at_once * vocabulary()) {
        state_.stop = how.until;
        if (before_ > 0) model_.forward(ids.first(before_), state_, {});
    }

    attribution run() {
        recording seen({.stages = {stage::token_embedding, stage::position_embedding,
                                   stage::attention, stage::mlp, stage::block}});
        attribution found;
        const view<float> own(logits_.data(), 1, vocabulary());
        pass(own, seen);
        found.tokens = how_.tokens;
        const auto best = best_token(own.row(0), 0);
        if (found.tokens.empty()) found.tokens.push_back(best);
        found.logits = chosen(own.row(0), found.tokens);
        split(seen, found);
        const auto& c = model_.config();
        const std::span<const float> stream = seen.at(stage::block, c.layers - 1).row(0);
        share_out(found, scale_of(stream));
        return found;
    }

private:
    static constexpr std::size_t rows_at_once = 64;  // as detail::token_reader

    std::size_t vocabulary() const { return model_.config().vocabulary_size; }

    template <class Observer>
    void pass(view<float> logits, Observer& watch) {
        state_.kv.resize(before_);
        model_.forward(last_, state_, logits, watch);
    }

    /// The parts of the residual stream, as rows_, in the order of the pass.
    void split(const recording& seen, attribution& to) {
        const auto& c = model_.config();
        lone_head none(seen, std::nullopt);
        pass({}, none);
        std::vector<lone_head> heads;
        for (std::size_t h = 0; h < c.heads; ++h) pass({}, heads.emplace_back(seen, h));
        add(to, {part_kind::token, {}, {}}, seen.at(stage::token_embedding).row(0));
        add(to, {part_kind::position, {}, {}}, seen.at(stage::position_embedding).row(0));
        for (std::size_t layer = 0; layer < c.layers; ++layer) {
            const std::vector<float>& bias = none.found[layer];
            for (std::size_t h = 0; h < c.heads; ++h) {
                auto& own = heads[h].found[layer];
                for (std::size_t i = 0; i < own.size(); ++i) own[i] -= bias[i];
                add(to, {part_kind::head, {layer, h}, {}}, own);
            }
            add(to, {part_kind::attention_bias, {layer, 0}, {}}, bias);
            add(to, {part_kind::mlp, {layer, 0}, {}}, seen.at(stage::mlp, layer).row(0));
        }
    }
    void add(attribution& to, contribution&& part, std::span<const float> vector) {
        to.parts.push_back(std::move(part));
        rows_.insert(rows_.end(), vector.begin(), vector.end());
    }

    /// What ln_f divides by.
    double scale_of(std::span<const float> x) const {
        return std::sqrt(moments_of(x).variance + model_.config().layer_norm_epsilon);
    }

    /// The logits of each part. Of a vector x alone ln_f and the projection make
    /// (x - mean)·gain·W / scale(x) + bias·W; of zeros, bias·W.
    void share_out(attribution& to, double scale) {
        const auto width = model_.config().width;
        const std::vector<float> zeros(width);
        const auto bias = read_out(zeros, to.tokens)[0];
        for (std::size_t first = 0; first < to.parts.size(); first += rows_at_once) {
            const auto count = std::min(rows_at_once, to.parts.size() - first);
            const auto rows = std::span<const float>(rows_).subspan(first * width, count * width);
            auto found = read_out(rows, to.tokens);
            for (std::size_t i = 0; i < count; ++i) {
                const double share = scale_of(rows.subspan(i * width, width)) / scale;
                for (std::size_t k = 0; k < bias.size(); ++k)
                    found[i][k] = (found[i][k] - bias[k]) * share;
                to.parts[first + i].logits = std::move(found[i]);
            }
        }
        to.parts.push_back({part_kind::final_bias, {}, bias});
    }

    /// Rows (R, C) of a residual stream, R up to rows_at_once, to the chosen logits of each.
    std::vector<std::vector<double>> read_out(std::span<const float> rows,
                                              std::span<const token_id> tokens) {
        const auto width = model_.config().width, count = rows.size() / width;
        const view<float> logits(logits_.data(), count, vocabulary());
        model_.unembed({rows.data(), count, width}, state_, logits);
        std::vector<std::vector<double>> found;
        for (std::size_t i = 0; i < count; ++i) found.push_back(chosen(logits.row(i), tokens));
        return found;
    }

    /// The logits of some tokens, from the origin that is asked for.
    std::vector<double> chosen(std::span<const float> logits,
                               std::span<const token_id> tokens) const {
        double origin = 0;
        if (how_.from == logit_origin::mean) origin = moments_of(logits).mean;
        std::vector<double> found;
        for (const auto id : tokens)
            found.push_back(static_cast<double>(logits[static_cast<std::size_t>(id)]) - origin);
        return found;
    }

    const model& model_;
    const attribution_options& how_;
    gpt2::state<float> state_;
    std::span<const token_id> last_;
    std::size_t before_;
    buffer<float> logits_;     // (rows_at_once, V)
    std::vector<float> rows_;  // of all parts, (parts, C)
};

}  // namespace detail

/// Takes logits apart. Weights of int8 and int4 round what they are multiplied with, parts apart
/// from their sum, which leaves a rest of some hundredths of the largest share. Raises
/// empty_prompt, invalid_argument (position), context_full, token_out_of_range, cancelled,
/// not_finite, and not_found for a model without a tokenizer. O(T·parameters + L·H·C·V). Threads
/// may share the model.
inline attribution attribute(const language_model& with, const prompt& text,
                             const attribution_options& how = {}) {
    const auto ids = detail::require_tokens(with, text, how.text, "attribute");
    const auto at = how.position.value_or(ids.size() - 1);
    if (at >= ids.size())
        detail::fail(errc::invalid_argument, "attribute: position", {"below ", ids.size()}, at);
    with.model().check_ids(how.tokens);
    return detail::attributor(with, std::span(ids).first(at + 1), how).run();
}

}  // namespace gpt2::inline GPT2_ABI
