// What one asks of a generation, and what comes of it: `options`, pieces as they are written, the
// `completion` at the end.
//
// Before: sampler.hpp, tokenizer.hpp. Next: speculation.hpp, session.hpp.
#pragma once

#include "context_policy.hpp"
#include "guide.hpp"
#include "parallel.hpp"
#include "sampler.hpp"
#include "tokenizer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What an end-of-text token does when it is drawn.
enum class end_rule {
    stop,   ///< it ends the generation and is not part of it
    go_on,  ///< it is a token like any other
};

/// Guesses how a text goes on: given its tokens, up to `most` that may follow. Each generation has
/// a copy of its own.
using drafter =
    std::function<std::vector<token_id>(std::span<const token_id> tokens, std::size_t most)>;

/// How to write.
struct options {
    std::size_t max_new_tokens = 64;
    gpt2::sampling sampling = greedy();
    std::uint64_t seed = 0;      ///< the same seed draws the same tokens, everywhere
    std::uint64_t sequence = 0;  ///< tells apart the texts that share a seed
    /// Text that ends the generation, never emitted; at most 64.
    std::vector<std::string> stop = {};
    end_rule at_end_of_text = end_rule::stop;
    specials prompt = specials::as_text;  ///< whether "<|endoftext|>" in a prompt is a token
    /// What becomes of the text past the model's context.
    context_policy context = {};
    /// What the text must be like, a `constraint` for example; none: anything.
    guides constraint = {};
    /// Guesses of what follows, which save passes and change nothing (speculation.hpp).
    drafter draft = {};
    interruption until = {};  ///< stop token and deadline, heeded within a layer's work
};

/// The choice of tokens in words, in the order in which it is made.
inline std::string describe(const options& how) {
    return (how.constraint ? "of what the constraint allows: " : "") + describe(how.sampling);
}

/// A step of a generation, as the callback sees it. `text` is whole UTF-8 characters, and empty
/// while a character or a possible stop text is incomplete; it is valid during the call only.
struct piece {
    std::string_view text;
    token_id token = 0;
    /// Natural logarithm, of the model's own distribution before any filter; 0 for a token that a
    /// constraint left no choice about, since the model was not asked.
    float log_prob = 0;
};

enum class flow { go_on, stop };

/// Called once per token, and once more, with the end-of-text token, when text was held back as it
/// came. May raise: the exception reaches the caller, the session stays usable.
using on_piece = std::function<flow(const piece&)>;

enum class finish {
    length,        ///< max_new_tokens were written
    end_of_text,   ///< the model ended the text
    stop_text,     ///< one of options::stop came up
    callback,      ///< the callback asked to stop
    cancelled,     ///< the stop token or the deadline
    context_full,  ///< the model has no more positions
    complete,      ///< options::constraint allows nothing more
};

inline std::string_view name(finish why) {
    constexpr std::string_view names[] = {"length",    "end_of_text",  "stop_text", "callback",
                                          "cancelled", "context_full", "complete"};
    return names[static_cast<std::size_t>(why)];
}

/// Counts, and seconds by the steady clock.
struct statistics {
    std::size_t prompt_tokens = 0, new_tokens = 0;
    std::size_t computed_again = 0;  ///< tokens, after others were dropped (options::context)
    std::size_t passes = 0;          ///< through the model, after the prompt's
    std::size_t guessed = 0, guessed_right = 0;  ///< tokens, of options::draft
    double prompt_seconds = 0;                   ///< up to the logits behind the prompt
    double decode_seconds = 0;                   ///< from there to the end
};

struct completion {
    /// What the callback was given, concatenated. What was held back when the callback stopped the
    /// generation, or something cancelled it, is in `tokens` only.
    std::string text;
    std::vector<token_id> tokens;
    std::vector<float> log_probs;
    finish why = finish::length;
    statistics stats;
};

}  // namespace gpt2::inline GPT2_ABI
