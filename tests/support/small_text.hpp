// A small random model and running texts on it, below the session: a state, its tokens, the logits
// behind the last of them.
#pragma once

#include "random_model.hpp"

#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace test {

/// A context of two pages and a part of a third.
inline gpt2::config long_config() {
    auto c = odd_config();
    c.context_length = 300;
    return c;
}

/// A model with two pages and a part of a third in its context.
template <class Scalar>
struct small_model {
    gpt2::config shape = long_config();
    gpt2::basic_model<Scalar> model = random_weights(shape).model<Scalar>(shape);
    gpt2::thread_pool pool{1};
    gpt2::execution how = {};
};

/// A text as a state, with the logits behind its last token.
template <class Scalar>
struct text {
    explicit text(small_model<Scalar>& of)
        : home(&of),
          state(std::make_unique<gpt2::state<Scalar>>(of.shape, of.pool, of.how)),
          logits(of.shape.vocabulary_size) {}

    void feed(std::span<const gpt2::token_id> more) {
        home->model.forward(more, *state, {logits.data(), 1, logits.size()});
        tokens.insert(tokens.end(), more.begin(), more.end());
    }
    void rewind(std::size_t length) {
        tokens.resize(length);
        state->kv.resize(length);
    }
    text fork() const {
        text other(*home);
        other.state->kv.copy_from(state->kv);
        other.tokens = tokens, other.logits = logits;
        return other;
    }
    /// Whether the next token gives what it gives behind the same tokens in a new text.
    bool is_fresh() {
        if (tokens.size() == home->shape.context_length) rewind(tokens.size() - 1);
        feed(std::vector<gpt2::token_id>{3});
        text other(*home);
        other.feed(tokens);
        return std::memcmp(logits.data(), other.logits.data(), logits.size() * sizeof(Scalar)) == 0;
    }

    small_model<Scalar>* home;
    std::unique_ptr<gpt2::state<Scalar>> state;
    std::vector<gpt2::token_id> tokens;
    std::vector<Scalar> logits;
};

}  // namespace test
