// The logit lens as a picture: in each cell the token that a layer would answer behind a token of
// the text, the brighter the surer it is.
//
// Before: logit_lens.hpp, model_pictures.hpp.
#pragma once

#include "gpt2.hpp"
#include "logit_lens.hpp"
#include "model_pictures.hpp"
#include "picture.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

namespace gpt2::inline GPT2_ABI {

/// The answers of a lens that read `ids`: a row for the embedding and one for each layer, a column
/// for each of the last `most` tokens (0: all). Where NaN came out the cell says so. Raises
/// wrong_shape for other ids.
inline heat_map lens_map(const language_model& of, const lens_table& answers,
                         std::span<const token_id> ids, std::size_t most = 0) {
    detail::require_count("ids", answers.positions, ids.size());
    const detail::token_window window(ids.size(), most);
    heat_map map{.title = window.said("logit lens: what each layer would answer"),
                 .rows = {"embedding"},
                 .columns = detail::token_labels(of, ids.subspan(window.first)),
                 .values = {}};
    for (std::size_t depth = 0; depth < answers.depths; ++depth) {
        if (depth > 0) map.rows.push_back(detail::text_of({"layer ", depth - 1}));
        for (auto t = window.first; t < ids.size(); ++t) {
            const auto& best = answers.at(depth, t).best;
            const bool none = best.empty();
            map.texts.push_back(none ? "NaN" : detail::token_label(of, best.front().token));
            map.values.push_back(none ? std::numeric_limits<float>::quiet_NaN()
                                      : static_cast<float>(std::exp(best.front().log_prob)));
        }
    }
    return map;
}

/// The same for a text that is run for it. Raises what logit_lens raises.
inline heat_map lens_map(const language_model& of, std::span<const token_id> ids,
                         std::size_t most = 0) {
    return lens_map(of, logit_lens(of, ids, {.alternatives = 1}), ids, most);
}

}  // namespace gpt2::inline GPT2_ABI
