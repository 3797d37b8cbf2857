// What a model makes of a text: the vectors between its layers, of each token or of all together.
//
//     const auto a = gpt2::embed(model, "a wolf"), b = gpt2::embed(model, "a dog");
//     const float likeness = std::inner_product(a.values.begin(), … b.values.begin(), 0.0f);
//
// Layers are counted as Hugging Face counts hidden_states: 0 is what enters the first layer, i what
// leaves the i-th, and the last, L, has passed ln_f too.
//
// Before: gpt2.hpp, trace.hpp.
#pragma once

#include "gpt2.hpp"
#include "trace.hpp"

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What becomes of the vectors of a text's tokens.
enum class pooling {
    mean,  ///< their mean
    last,  ///< the last one, which alone has seen the whole text
    none,  ///< all are kept
};

/// How long a vector is in the end.
enum class vector_length {
    as_it_is,
    one,  ///< divided by its Euclidean norm, so that inner products are cosines; zeros stay zeros
};

struct embedding_options {
    std::optional<std::size_t> layer = std::nullopt;  ///< 0 … L; none: L
    gpt2::pooling pooling = gpt2::pooling::mean;
    vector_length length = vector_length::as_it_is;
    specials text = specials::as_text;
    interruption until = {};
};

/// Vectors: (1, C), or (T, C) where nothing was pooled.
struct embedding {
    std::size_t rows = 0, width = 0;
    std::vector<float> values;  ///< row after row

    std::span<const float> row(std::size_t i) const {
        return std::span(values).subspan(i * width, width);
    }
};

namespace detail {

/// Gathers the rows of one layer as they come.
class layer_collector {
public:
    /// The pass need not know what goes on within the layers (trace.hpp).
    using stream_only = void;

    layer_collector(std::size_t layer, std::size_t layers)
        : stage_(layer == 0        ? stage::embedding
                 : layer == layers ? stage::ln_f
                                   : stage::block),
          layer_(stage_ == stage::block ? layer - 1 : 0) {}

    void operator()(stage s, std::size_t layer, view<float> x) {
        if (s != stage_ || layer != layer_) return;
        for (std::size_t t = 0; t < x.rows(); ++t)
            values.insert(values.end(), x.row(t).begin(), x.row(t).end());
    }

    std::vector<float> values;

private:
    stage stage_;
    std::size_t layer_;
};

/// The mean over rows, each column added up in double from the first row on.
inline void keep_mean(embedding& of) {
    std::vector<double> sums(of.width);
    for (std::size_t t = 0; t < of.rows; ++t)
        for (std::size_t c = 0; c < of.width; ++c)
            sums[c] += static_cast<double>(of.values[t * of.width + c]);
    of.values.resize(of.width);
    for (std::size_t c = 0; c < of.width; ++c)
        of.values[c] = static_cast<float>(sums[c] / static_cast<double>(of.rows));
    of.rows = 1;
}

inline void keep_last(embedding& of) {
    of.values.erase(of.values.begin(), of.values.end() - static_cast<std::ptrdiff_t>(of.width));
    of.rows = 1;
}

inline void scale_to_one(embedding& of) {
    for (std::size_t t = 0; t < of.rows; ++t) {
        const auto row = std::span(of.values).subspan(t * of.width, of.width);
        double square = 0;
        for (const float x : row) square = std::fma(static_cast<double>(x), x, square);
        if (square == 0) continue;
        const double norm = std::sqrt(square);
        for (float& x : row) x = static_cast<float>(static_cast<double>(x) / norm);
    }
}

}  // namespace detail

/// Embeds texts with one model, one after another, in the same memory. One thread at a time.
class embedder {
public:
    /// Raises invalid_argument (layer), out_of_memory.
    embedder(const language_model& with, const embedding_options& how)
        : model_(with), how_(how), state_(with.state()) {
        const auto layers = with.config().layers;
        if (how.layer.value_or(0) > layers)
            detail::fail(errc::invalid_argument, "layer", {"from 0 to ", layers}, *how.layer);
        state_.stop = how.until;
    }

    /// As the functions below.
    embedding embed(std::string_view text) {
        return embed(std::span<const token_id>(model_.tokenizer().encode(text, how_.text)));
    }
    embedding embed(std::span<const token_id> ids) { return embed(ids, ids.size()); }
    embedding embed(cview<float> inputs) { return embed(inputs, inputs.rows()); }

private:
    template <class Inputs>
    embedding embed(const Inputs& inputs, std::size_t rows) {
        if (rows == 0) throw error(errc::empty_prompt, "embed: the text has no tokens");
        const auto& c = model_.config();
        const auto layer = how_.layer.value_or(c.layers);
        detail::layer_collector collected(layer, c.layers);
        state_.kv.resize(0);
        // ln_f runs for the rows whose logits are asked for; none are made in (R, 0).
        const auto wanted = layer == c.layers ? rows : 0;
        model_.model().forward(inputs, state_, {nullptr, wanted, 0}, collected);
        embedding made{rows, c.width, std::move(collected.values)};
        if (how_.pooling == pooling::mean) detail::keep_mean(made);
        if (how_.pooling == pooling::last) detail::keep_last(made);
        if (how_.length == vector_length::one) detail::scale_to_one(made);
        return made;
    }

    language_model model_;
    embedding_options how_;
    gpt2::state<float> state_;
};

/// The vectors of a text. Raises empty_prompt, context_full for a text beyond the model's
/// positions, invalid_argument (layer), token_out_of_range, cancelled, and not_found for a model
/// without a tokenizer. O(T·parameters). Threads may share the model.
inline embedding embed(const language_model& with, std::string_view text,
                       const embedding_options& how = {}) {
    return embedder(with, how).embed(text);
}

/// The same for ids.
inline embedding embed(const language_model& with, std::span<const token_id> ids,
                       const embedding_options& how = {}) {
    return embedder(with, how).embed(ids);
}

/// The same for vectors (T, C) in the place of those of tokens (basic_model::vectors gives these).
/// Raises wrong_shape for vectors of another width.
inline embedding embed(const language_model& with, cview<float> inputs,
                       const embedding_options& how = {}) {
    return embedder(with, how).embed(inputs);
}

/// Several texts: item i is embed(with, texts[i], how), to the bit.
inline std::vector<embedding> embed(const language_model& with, std::span<const std::string> texts,
                                    const embedding_options& how = {}) {
    embedder all(with, how);
    std::vector<embedding> made;
    for (const auto& text : texts) made.push_back(all.embed(text));
    return made;
}

}  // namespace gpt2::inline GPT2_ABI
