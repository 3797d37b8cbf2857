// Added tokens in a text: where they stand, and the stretches between them.
//
// The leftmost match wins, among those the longest; a match takes the white space beside it when
// its token says so, and a token that must stand as a word is passed over inside one. As Hugging
// Face tokenizers do it, the whole match is then behind us: nothing inside it is tried again.
//
// Before: detail/scanner.hpp. Next: tokenizer.hpp.
#pragma once

#include "scanner.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A token that is found in a text as it stands, before any piece is cut or merged.
struct added_token {
    std::string content = {};  ///< UTF-8, 1 to 1024 bytes
    token_id id = -1;
    bool special = false;      ///< controls the model: no words of the text
    bool lstrip = false;       ///< takes all white space before it
    bool rstrip = false;       ///< takes all white space behind it
    bool single_word = false;  ///< only where no letter, mark, digit or connector is beside it
    bool normalized = false;   ///< looked for only after all those that are not
};

/// What added tokens are in a text.
enum class specials {
    as_text,    ///< encode: characters like any other, so no text can write a control token;
                ///< decode: their literal text
    as_tokens,  ///< encode: found and turned into their ids; decode: their literal text
    skip,       ///< encode: found, and the special ones among them left out; decode: left out
};

namespace detail {

/// The added tokens of one round (those not normalized, or the others).
class added_tokens {
public:
    added_tokens() = default;
    /// `tokens` in ascending order of their contents, which are not empty.
    explicit added_tokens(std::vector<added_token> tokens) : tokens_(std::move(tokens)) {
        for (const added_token& token : tokens_)
            first_[static_cast<unsigned char>(token.content.front())] = true;
    }

    /// The tokens, in ascending order of their contents.
    const std::vector<added_token>& all() const { return tokens_; }

    /// A token in a text, with the white space it takes.
    struct match {
        const added_token* token;  ///< nullptr: none is left
        std::size_t begin, end;
        std::size_t next;  ///< where to look for the one after it
    };

    /// The first token at or behind `at`. O(bytes · longest content).
    match find(std::string_view text, std::size_t at) const {
        while (!tokens_.empty() && at < text.size()) {
            const added_token* token = longest_at(text, at);
            if (token == nullptr) {
                ++at;
                continue;
            }
            const std::size_t begin = at, end = at + token->content.size();
            at = end;
            if (token->single_word && !stands_alone(text, begin, end)) continue;
            return {token, token->lstrip ? spaces_begin(text, begin) : begin,
                    token->rstrip ? spaces_end(text, end) : end, at};
        }
        return {nullptr, text.size(), text.size(), text.size()};
    }

private:
    /// The longest token whose content stands at `at`: the sorted contents are narrowed byte by
    /// byte to those that agree so far, of which the shortest comes first.
    const added_token* longest_at(std::string_view text, std::size_t at) const {
        if (!first_[static_cast<unsigned char>(text[at])]) return nullptr;
        const added_token* found = nullptr;
        auto low = tokens_.begin(), high = tokens_.end();
        for (std::size_t depth = 0; low != high; ++depth) {
            if (low->content.size() == depth) found = &*low++;
            if (at + depth == text.size()) break;
            const auto first_from = [&, low, high](int byte) {
                return std::partition_point(low, high, [&](const added_token& token) {
                    return static_cast<unsigned char>(token.content[depth]) < byte;
                });
            };
            const int byte = static_cast<unsigned char>(text[at + depth]);
            low = first_from(byte);
            high = first_from(byte + 1);
        }
        return found;
    }

    static bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
        const char* const first = text.data();
        const char* const last = first + text.size();
        if (begin > 0 && is_word(read_utf8_before(first, first + begin).point)) return false;
        return end == text.size() || !is_word(read_utf8(first + end, last).point);
    }

    static std::size_t spaces_begin(std::string_view text, std::size_t at) {
        while (at > 0) {
            const utf8_step step = read_utf8_before(text.data(), text.data() + at);
            if (class_of(step.point) != char_class::space) break;
            at -= step.size;
        }
        return at;
    }

    static std::size_t spaces_end(std::string_view text, std::size_t at) {
        const char* const end = text.data() + text.size();
        return static_cast<std::size_t>(skip_run(text.data() + at, end, char_class::space) -
                                        text.data());
    }

    std::vector<added_token> tokens_;  // by content
    std::array<bool, 256> first_{};    // bytes that begin one
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
