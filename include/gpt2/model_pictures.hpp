// Pictures of a model at work: what heads look at, how surprising a text is, what may come next.
//
//     const auto model = gpt2::load("path/to/gpt2");
//     std::cout << gpt2::to_terminal(gpt2::attention_map(model, ids, {.layer = 3, .head = 1}));
//
// Before: picture.hpp, gpt2.hpp, score.hpp. Next: picture_terminal.hpp, picture_svg.hpp,
// picture_png.hpp, which draw; examples/picture.cpp.
#pragma once

#include "detail/token_reader.hpp"
#include "edits.hpp"
#include "error.hpp"
#include "gpt2.hpp"
#include "picture.hpp"
#include "score.hpp"
#include "score_report.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// A token as its bytes, or #id where there is no tokenizer that knows it.
inline std::string token_label(const language_model& of, token_id id) {
    const bool known = of.has_tokenizer() && static_cast<std::size_t>(id) < of.tokenizer().size();
    return known ? std::string(of.tokenizer().bytes(id)) : text_of({"#", id});
}

inline std::vector<std::string> token_labels(const language_model& of,
                                             std::span<const token_id> ids) {
    std::vector<std::string> labels;
    for (const auto id : ids) labels.push_back(token_label(of, id));
    return labels;
}

/// Tokens of which the last are shown, and a word about the others.
struct token_window {
    std::size_t first, count;

    /// The last `most` of so many; 0: all.
    token_window(std::size_t all, std::size_t most)
        : first(most > 0 && most < all ? all - most : 0), count(all - first) {}

    std::string said(std::string title) const {
        if (first > 0) title += text_of({" (the last ", count, " of ", first + count, " tokens)"});
        return title;
    }
};

/// An observer that keeps the attention weights among the tokens of a window, of some layers.
class attention_recorder {
public:
    attention_recorder(const config& c, token_window window, std::optional<std::size_t> layer)
        : window_(window), heads_(c.heads), first_layer_(layer.value_or(0)) {
        const auto layers = layer ? 1 : c.layers;
        require_few("cells", layers * heads_ * window.count * window.count);
        maps_.assign(layers * heads_, std::vector<float>(window.count * window.count));
    }

    void operator()(stage s, std::size_t layer, view<float> rows) {
        if (s != stage::weights || layer - first_layer_ >= maps_.size() / heads_) return;
        const auto t = rows.rows() / heads_, before = rows.columns() - t;  // (H·t, before + t)
        for (std::size_t head = 0; head < heads_; ++head)
            for (std::size_t i = 0; i < t; ++i) {
                if (before + i < window_.first) continue;
                const auto seen = rows.row(head * t + i).subspan(window_.first);
                const auto row = before + i - window_.first;
                std::ranges::copy(
                    seen.first(row + 1),
                    map(layer, head).begin() + static_cast<std::ptrdiff_t>(row * window_.count));
            }
    }

    /// (window, window), what comes later 0.
    std::vector<float>& map(std::size_t layer, std::size_t head) {
        return maps_[(layer - first_layer_) * heads_ + head];
    }

private:
    token_window window_;
    std::size_t heads_, first_layer_;
    std::vector<std::vector<float>> maps_;
};

inline void require_text(std::string_view where, std::span<const token_id> ids) {
    if (ids.empty()) fail(errc::empty_prompt, where, "the text has no tokens");
}

/// Runs a text and gives the weights of one layer, or of all.
inline attention_recorder recorded_attention(const language_model& of,
                                             std::span<const token_id> ids, token_window window,
                                             std::optional<std::size_t> layer) {
    require_text("attention", ids);
    const auto& c = of.config();
    if (layer && *layer >= c.layers)
        fail(errc::invalid_argument, "attention: layer", {"below ", c.layers}, *layer);
    attention_recorder seen(c, window, layer);
    auto state = of.state();
    of.model().forward(ids, state, {}, seen);
    return seen;
}

/// The parts of a whole as per cent, with a decimal.
inline std::string per_cent(double share) { return fixed_number(100 * share, 1) + " %"; }

}  // namespace detail

/// What one head looks at: row t, what token t sees of those up to itself. Of a long text only the
/// last `most` tokens are shown (0: all). Raises invalid_argument (no such layer or head),
/// limit_exceeded, and what forward raises.
inline heat_map attention_map(const language_model& of, std::span<const token_id> ids,
                              head_place where, std::size_t most = 0) {
    if (where.head >= of.config().heads)
        detail::fail(errc::invalid_argument, "attention: head", {"below ", of.config().heads},
                     where.head);
    const detail::token_window window(ids.size(), most);
    auto seen = detail::recorded_attention(of, ids, window, where.layer);
    const auto labels = detail::token_labels(of, ids.subspan(window.first));
    const auto title = detail::text_of({"attention: layer ", where.layer, ", head ", where.head});
    return {.title = window.said(title),
            .rows = labels,
            .columns = labels,
            .values = std::move(seen.map(where.layer, where.head)),
            .there = cells::causal};
}

/// The heads of one layer beside each other, or of all layers below each other. Raises what
/// attention_map raises.
inline map_grid attention_maps(const language_model& of, std::span<const token_id> ids,
                               std::optional<std::size_t> layer = std::nullopt,
                               std::size_t most = 0) {
    const detail::token_window window(ids.size(), most);
    auto seen = detail::recorded_attention(of, ids, window, layer);
    const auto labels = detail::token_labels(of, ids.subspan(window.first));
    const auto& c = of.config();
    const auto title = layer ? detail::text_of({"attention: heads of layer ", *layer})
                             : std::string("attention: layer.head");
    map_grid grid{window.said(title), {}, layer ? 0 : c.heads};
    for (auto l = layer.value_or(0); l < (layer ? *layer + 1 : c.layers); ++l)
        for (std::size_t head = 0; head < c.heads; ++head)
            grid.maps.push_back({.title = detail::text_of({l, ".", head}),
                                 .rows = labels,
                                 .columns = labels,
                                 .values = std::move(seen.map(l, head)),
                                 .there = cells::causal});
    return grid;
}

/// What one token looks at with one head. Raises what attention_map raises; also invalid_argument
/// for a position behind the text.
inline bar_chart attention_bars(const language_model& of, std::span<const token_id> ids,
                                head_place where, std::size_t position) {
    if (position >= ids.size())
        detail::fail(errc::invalid_argument, "attention: position", {"below ", ids.size()},
                     position);
    const auto map = attention_map(of, ids.first(position + 1), where);
    bar_chart chart{map.title + detail::text_of({", token ", position}), {}};
    for (std::size_t i = 0; i < map.columns.size(); ++i)
        chart.bars.push_back({map.columns[i], map.value(position, i),
                              detail::per_cent(static_cast<double>(map.value(position, i)))});
    return chart;
}

/// A scored text, each token the more coloured the less it was expected: bits of surprisal.
inline coloured_text surprisal_text(const language_model& of, const text_score& score) {
    coloured_text text{.title = "surprisal", .parts = {}, .scale = {0, 1}, .unit = "bits"};
    for (const auto& one : score.tokens) {
        valued_text part{detail::token_label(of, one.token)};
        if (one.rank > 0) part.value = static_cast<float>(surprisal(one.log_prob));
        if (one.rank > 0) text.scale.high = std::max(text.scale.high, std::ceil(part.value));
        text.parts.push_back(std::move(part));
    }
    return text;
}

/// The `count` tokens that are most likely behind a text, and how likely. Raises empty_prompt,
/// not_finite, no_candidate, and what forward raises.
inline bar_chart next_tokens(const language_model& of, std::span<const token_id> ids,
                             std::size_t count = 10) {
    detail::require_text("next tokens", ids);
    auto state = of.state();
    const auto size = of.config().vocabulary_size;
    buffer<float> logits(size);
    buffer<double> weights(size);
    of.model().forward(ids, state, view<float>(logits.data(), 1, size));
    const detail::distribution behind(logits.span(), weights.span(), ids.size());
    bar_chart chart{"what may come next", {}, 0};
    for (const auto& one : behind.best(count)) {
        const double share = std::exp(one.log_prob);
        chart.bars.push_back({detail::token_label(of, one.token), static_cast<float>(share),
                              detail::per_cent(share)});
        chart.full = std::max(chart.full, static_cast<float>(share));
    }
    return chart;
}

}  // namespace gpt2::inline GPT2_ABI
