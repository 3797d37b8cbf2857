// A small random model with a tokenizer of single bytes, for sessions and what is built on them.
#pragma once

#include "random_model.hpp"

#include <gpt2/session.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace test {

/// A token for every byte, so that characters of several bytes come apart.
inline gpt2::tokenizer bytes_tokenizer() {
    gpt2::vocabulary words;
    for (int byte = 0; byte < 256; ++byte)
        words.tokens.push_back(std::string(1, static_cast<char>(byte)));
    return gpt2::tokenizer(std::move(words));
}

inline gpt2::config small_config() {
    auto c = odd_config();
    c.vocabulary_size = 256;
    c.context_length = 60;
    c.layers = 2;
    c.begin_of_text = 10;
    c.end_of_text = {};
    return c;
}

inline std::shared_ptr<const gpt2::language_parts> small_parts(
    const gpt2::config& c = small_config(), unsigned seed = 1) {
    return std::make_shared<const gpt2::language_parts>(random_weights(c, seed).model(c),
                                                        bytes_tokenizer(), gpt2::audit{},
                                                        std::make_shared<gpt2::thread_pool>(2));
}

inline gpt2::options drawing(std::size_t tokens, std::uint64_t seed = 3) {
    gpt2::options how;
    how.max_new_tokens = tokens;
    how.sampling = gpt2::temperature(2.0f);
    how.seed = seed;
    return how;
}

}  // namespace test
