// A small random model of letters, and what tests of searches ask of it.
#pragma once

#include "../support/random_model.hpp"

#include <gpt2/search.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace small_search {

using ids = std::vector<gpt2::token_id>;
const ids start = {3, 1, 4};

inline gpt2::config small_config() {
    auto c = test::odd_config();
    c.vocabulary_size = 40;
    c.context_length = 24;
    c.layers = 2;
    c.end_of_text = {1};
    return c;
}

/// A token for every letter, so that texts can be read.
inline gpt2::tokenizer letters(std::size_t count) {
    gpt2::vocabulary words;
    for (std::size_t i = 0; i < count; ++i)
        words.tokens.push_back(std::string(1, static_cast<char>('0' + i)));
    return gpt2::tokenizer(std::move(words));
}

inline gpt2::language_model random_model(const gpt2::config& c = small_config(),
                                         unsigned threads = 2, unsigned seed = 1) {
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        test::random_weights(c, seed).model(c), letters(c.vocabulary_size), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(threads)));
}

inline gpt2::options length(std::size_t tokens) {
    gpt2::options how;
    how.max_new_tokens = tokens;
    return how;
}

inline gpt2::options drawing(std::size_t tokens, std::uint64_t seed) {
    auto how = length(tokens);
    how.sampling = gpt2::temperature(1.5f);
    how.seed = seed;
    return how;
}

inline bool same(const std::vector<gpt2::hypothesis>& a, const std::vector<gpt2::hypothesis>& b) {
    const auto equal = [](const gpt2::hypothesis& x, const gpt2::hypothesis& y) {
        return x.tokens == y.tokens && x.log_probs == y.log_probs && x.log_prob == y.log_prob &&
               x.score == y.score && x.text == y.text && x.why == y.why;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
}

/// The log-probability of `tokens` behind `prompt`, one pass per token.
inline double log_prob_of(const gpt2::language_model& model, const ids& prompt, const ids& tokens) {
    auto text = model.start();
    text.feed(prompt);
    double sum = 0;
    for (const auto id : tokens) {
        const auto logits = text.logits();
        const float best = *std::max_element(logits.begin(), logits.end());
        double total = 0;
        for (const float x : logits) total += std::exp(static_cast<double>(x - best));
        sum += static_cast<double>(logits[static_cast<std::size_t>(id)] - best) - std::log(total);
        text.feed(std::span(&id, 1));
    }
    return sum;
}

inline std::string text_of(const ids& tokens) {
    std::string text;
    for (const auto id : tokens) text += static_cast<char>('0' + id);
    return text;
}

/// Lets tokens of one parity follow those of the other, and no more than so many.
class alternating : public gpt2::guide {
public:
    explicit alternating(std::size_t most) : most_(most) {}

    std::span<const std::uint64_t> allowed(std::size_t) override {
        mask_ = written_ % 2 == 0 ? 0xAAAAAAAAAAAAAAA8 : 0x5555555555555555;  // end: token 1
        return {&mask_, 1};
    }
    std::vector<gpt2::token_id> forced(std::size_t) override { return {}; }
    void advance(gpt2::token_id token) override {
        CHECK(token % 2 == (written_ % 2 == 0 ? 1 : 0));
        ++written_;
    }
    bool is_complete() const override { return written_ == most_; }

private:
    std::size_t most_, written_ = 0;
    std::uint64_t mask_ = 0;
};

}  // namespace small_search
