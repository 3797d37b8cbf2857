// The logit lens: what each layer would answer if it were the last (nostalgebraist 2020).
//
//     const auto seen = gpt2::logit_lens(model, "Once upon a time");
//     seen.at(3, 2).best[0].token   // after three layers, behind the third token
//
// The residual stream after the embedding and after every layer goes through ln_f and the
// projection onto the vocabulary. After the last layer that is the model's own answer, to the bit.
//
// Before: gpt2.hpp, recording.hpp, detail/token_reader.hpp.
#pragma once

#include "detail/token_reader.hpp"
#include "detail/widen.hpp"
#include "error.hpp"
#include "gpt2.hpp"
#include "recording.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What a layer would answer behind a token.
struct lens_answer {
    std::vector<alternative> best;  ///< the most likely tokens, in order; none: NaN came out
    std::size_t rank = 0;  ///< of the token that comes next; 1: it is the likeliest; 0: none
};

/// Answers by depth, 0 for the embedding up to L for the last layer, and by position.
struct lens_table {
    std::size_t depths = 0, positions = 0;
    std::vector<lens_answer> answers;  ///< (L + 1, T)

    const lens_answer& at(std::size_t depth, std::size_t position) const {
        return answers[depth * positions + position];
    }
};

struct lens_options {
    std::size_t alternatives = 5;  ///< how many tokens of each answer, at most the vocabulary
    specials text = specials::as_text;
    interruption until = {};
};

/// What the lens looks at: the stages embedding and block.
inline recording lens_recording() {
    return recording({.stages = {stage::embedding, stage::block}});
}

/// The answers for positions that were recorded. next[t] is the token that comes behind position t
/// of the recording; where there is none the rank is 0. Uses the state's scratch memory, not its
/// text. Raises not_found where the stages were not recorded, invalid_argument (alternatives).
inline lens_table read_lens(const model& with, const recording& seen, state<float>& scratch,
                            std::span<const token_id> next, const lens_options& how = {}) {
    const auto& c = with.config();
    if (how.alternatives > c.vocabulary_size)
        detail::fail(errc::invalid_argument, "alternatives",
                     {"at most the vocabulary, ", c.vocabulary_size}, how.alternatives);
    with.check_ids(next);
    constexpr std::size_t rows_at_once = 64;  // as detail::token_reader
    const auto positions = seen.at(stage::embedding).rows();
    lens_table table{c.layers + 1, positions, {}};
    buffer<float> memory(std::min(rows_at_once, positions) * c.vocabulary_size);
    buffer<double> weights(c.vocabulary_size);
    for (std::size_t depth = 0; depth < table.depths; ++depth) {
        const auto x = depth == 0 ? seen.at(stage::embedding) : seen.at(stage::block, depth - 1);
        for (std::size_t t = 0; t < positions; ++t) {
            const auto row = t % rows_at_once, count = std::min(rows_at_once, positions - t);
            const view<float> logits(memory.data(), count, c.vocabulary_size);
            if (row == 0) with.unembed(x.row_block(t, count), scratch, logits);
            const std::span<const float> found(memory.data() + row * c.vocabulary_size,
                                               c.vocabulary_size);
            auto& answer = table.answers.emplace_back();
            if (!detail::all_finite(found)) continue;
            const detail::distribution answers(found, weights.span(), t);
            answer.best = answers.best(how.alternatives);
            if (t < next.size()) answer.rank = answers.rank(next[t]);
        }
    }
    return table;
}

/// The answers for a text. Raises empty_prompt, context_full, token_out_of_range, cancelled,
/// invalid_argument (alternatives). O(T·(parameters + L·C·V)). Threads may share the model.
inline lens_table logit_lens(const language_model& with, std::span<const token_id> ids,
                             const lens_options& how = {}) {
    if (ids.empty()) throw error(errc::empty_prompt, "logit_lens: the text has no tokens");
    auto state = with.state();
    state.stop = how.until;
    auto seen = lens_recording();
    with.model().forward(ids, state, {}, seen);
    return read_lens(with.model(), seen, state, ids.subspan(1), how);
}

/// The same for a text; also raises not_found for a model without a tokenizer.
inline lens_table logit_lens(const language_model& with, std::string_view text,
                             const lens_options& how = {}) {
    const auto ids = with.tokenizer().encode(text, how.text);
    return logit_lens(with, ids, how);
}

}  // namespace gpt2::inline GPT2_ABI
