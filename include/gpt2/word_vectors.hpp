// The vectors of tokens before any layer, the rows of wte: which lie close together, and what their
// differences mean (Mikolov et al. 2013): king - man + woman.
//
//     for (const auto& one : gpt2::neighbours(model, " king", 5)) … one.token, one.cosine
//     gpt2::analogy(model, {{"king", "woman"}, {"man"}}, 5);
//
// Before: gpt2.hpp, observers.hpp (norm_of).
#pragma once

#include "error.hpp"
#include "gpt2.hpp"
#include "observers.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A token and how its vector lies to what was asked for.
struct neighbour {
    token_id token = 0;
    double cosine = 0;  ///< from -1 to 1; 0 where a vector is all zeros
};

/// The token of a word: with a space before it, as words stand in texts, or else as it is. Raises
/// invalid_argument for what is not one token, not_found for a model without a tokenizer.
inline token_id token_of(const language_model& with, std::string_view word) {
    const auto& words = with.tokenizer();
    const auto spaced = words.encode(" " + std::string(word)), plain = words.encode(word);
    if (!word.empty() && spaced.size() == 1) return spaced[0];
    if (plain.size() != 1)
        detail::fail(errc::invalid_argument, {"word ", detail::printable(word)},
                     "one token of the vocabulary", {plain.size(), " tokens"});
    return plain[0];
}

/// The tokens whose vectors have the highest cosine with `direction` (C), in order, of equal ones
/// the lower id first; none of `without`. Raises wrong_shape. O(V·C).
inline std::vector<neighbour> nearest(const language_model& with, std::span<const double> direction,
                                      std::size_t count, std::span<const token_id> without = {}) {
    const auto& c = with.config();
    if (direction.size() != c.width)
        detail::fail(errc::wrong_shape, "nearest: direction", {c.width, " numbers"},
                     direction.size());
    constexpr std::size_t rows_at_once = 256;
    std::vector<float> memory(rows_at_once * c.width);
    std::vector<neighbour> all;
    const double length = norm_of(direction);
    for (std::size_t first = 0; first < c.vocabulary_size; first += rows_at_once) {
        std::vector<token_id> ids(std::min(rows_at_once, c.vocabulary_size - first));
        std::iota(ids.begin(), ids.end(), static_cast<token_id>(first));
        const view<float> vectors(memory.data(), ids.size(), c.width);
        with.model().vectors(ids, vectors);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (std::ranges::find(without, ids[i]) != without.end()) continue;
            const auto row = vectors.row(i);
            const double product =
                std::inner_product(row.begin(), row.end(), direction.begin(), 0.0);
            const double scale = norm_of(row) * length;
            all.push_back({ids[i], scale > 0 ? product / scale : 0});
        }
    }
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(count, all.size()));
    std::ranges::partial_sort(all, end, [](const neighbour& a, const neighbour& b) {
        return a.cosine != b.cosine ? a.cosine > b.cosine : a.token < b.token;
    });
    all.erase(end, all.end());
    return all;
}

/// Words that are added up, and words that are taken off.
struct word_sum {
    std::vector<std::string> plus, minus;
};

/// The tokens closest to a sum of words, each a vector of length 1; the words themselves are left
/// out (3CosAdd; Levy and Goldberg 2014). Raises invalid_argument for a word that is not one token
/// or a sum of none, not_found for a model without a tokenizer. O(V·C).
inline std::vector<neighbour> analogy(const language_model& with, const word_sum& words,
                                      std::size_t count = 10) {
    if (words.plus.empty() && words.minus.empty())
        detail::fail(errc::invalid_argument, "analogy", "a word or more", "none");
    std::vector<token_id> ids;
    for (const auto* list : {&words.plus, &words.minus})
        for (const auto& word : *list) ids.push_back(token_of(with, word));
    const auto width = with.config().width;
    std::vector<float> vectors(ids.size() * width);
    with.model().vectors(ids, {vectors.data(), ids.size(), width});
    std::vector<double> sum(width);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto row = std::span<const float>(vectors).subspan(i * width, width);
        const double length = norm_of(row), sign = i < words.plus.size() ? 1 : -1;
        if (length == 0) continue;
        for (std::size_t c = 0; c < width; ++c)
            sum[c] += sign * static_cast<double>(row[c]) / length;
    }
    return nearest(with, sum, count, ids);
}

/// The tokens closest to a word. Raises as `analogy`.
inline std::vector<neighbour> neighbours(const language_model& with, std::string_view word,
                                         std::size_t count = 10) {
    return analogy(with, {{std::string(word)}, {}}, count);
}

}  // namespace gpt2::inline GPT2_ABI
