// A text on its way through a model to the next words, every stage as numbers: a plain value.
//
// The model has written some tokens, and one pass over prompt and new tokens was watched. Row t of
// a stage is what a pass over the first t + 1 tokens saw, to the bit: one pass holds every step.
// Long texts are shown by their last positions, a window.
//
// Before: logit_lens.hpp, observers.hpp. After: explain.hpp, which makes one; walk_json.hpp.
#pragma once

#include "config.hpp"
#include "core.hpp"
#include "detail/merge_steps.hpp"
#include "detail/token_offsets.hpp"
#include "logit_lens.hpp"
#include "observers.hpp"
#include "post_process.hpp"
#include "sampling.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Numbers of any shape, row by row. Below, W: positions shown, L layers, H heads, C width, D head
/// size.
struct walk_array {
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

/// A token of the text.
struct walk_token {
    token_id id = 0;
    std::string bytes = {};                       ///< empty for a model without a tokenizer
    byte_range place = {};                        ///< in the prompt and what was written behind it
    bool written = false;                         ///< by the model
    std::vector<detail::merge_step> merges = {};  ///< that made it of its bytes, in order
};

/// A unit of the feed-forward layer.
struct walk_unit {
    std::size_t unit = 0;
    float value = 0;  ///< after the activation
};

struct walk_layer {
    std::vector<moments> ln_1, ln_2;  ///< (W) of what they are given
    walk_array q, k, v;               ///< (W, H, D)
    walk_array scores, weights;       ///< (H, W·(W+1)/2): the lower triangle, row by row
    walk_array earlier;               ///< (H, W) weight on positions before the window
    walk_array head_norms;            ///< (H, W) lengths of what heads found
    walk_array entropy;               ///< (H, W) of all a position's weights, in bits
    /// (W) lengths of: what attention and feed-forward add, the residual stream between them and
    /// behind them.
    std::vector<double> attention_norm, mlp_norm, middle_norm, residual_norm;
    std::vector<double> active_share;               ///< (W) of the units, those above 0
    std::vector<std::vector<walk_unit>> top_units;  ///< (W, up to 8) by size
};

/// What a filter took away.
struct walk_filter {
    std::string filter;              ///< with its setting: "top-k 40"
    std::size_t removed = 0;         ///< how many tokens
    std::vector<token_id> examples;  ///< the first ten of them, ascending
};

/// The choice of one token.
struct walk_step {
    std::size_t position = 0;  ///< whose logits chose the token at position + 1
    struct candidate {
        token_id id = 0;
        float logit = 0;
        double probability = 0;  ///< before any filter
    };
    std::vector<candidate> candidates;  ///< the most likely ones, in order; at most 1024
    struct bar {
        double logit = 0;  ///< of the mean of e^logit
        std::size_t count = 0;
    };
    std::vector<bar> rest;  ///< all others, by 64 equal stretches of logits, the highest first
    std::vector<walk_filter> filters;  ///< in the order in which they ran
    std::size_t survivors = 0;
    token_id chosen = 0;
    double chosen_probability = 0;  ///< among the survivors
    std::optional<double> draw;     ///< the random number; none where none was needed
};

/// Why nothing more was written.
enum class walk_end {
    length,        ///< as many tokens were written as were asked for
    end_of_text,   ///< the model ended the text
    context_full,  ///< the model has no more positions
    not_finite,    ///< its logits are no finite numbers
};

struct walk {
    std::string model_name;  ///< of its folder or file; UTF-8
    gpt2::config config;
    bool tied_head = true, has_tokenizer = false;

    std::optional<std::string> text;  ///< the prompt; none where ids were given
    std::string normalised;           ///< what its tokens stand for
    std::string continuation;         ///< what was written
    walk_end why = walk_end::length;  ///< nothing more was written
    std::optional<non_finite> first_non_finite;
    std::size_t first = 0, total = 0;  ///< the first position shown; T, all there are
    std::size_t prompt_tokens = 0;

    std::vector<walk_token> tokens;                                   ///< (W)
    walk_array token_embedding, position_embedding, sum, sinusoidal;  ///< (W, C)
    std::vector<walk_layer> layers;                                   ///< (L)
    std::vector<std::vector<lens_answer>> lens;                       ///< (L + 1, W)
    std::vector<moments> ln_f;                                        ///< (W)
    std::vector<walk_step> steps;
    gpt2::sampling sampling;
    std::uint64_t seed = 0;
    std::map<token_id, std::string> vocabulary;  ///< bytes of every token that is named above
    std::vector<step_report> post_processing;    ///< of the whole text, where it was asked for

    std::size_t shown() const { return tokens.size(); }  ///< W
};

}  // namespace gpt2::inline GPT2_ABI
