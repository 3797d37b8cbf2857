// What tokens add to a text, as the decoders of tokenizer files say it.
//
// A decoder is a list of steps from the string of a token to its text; what a token adds may depend
// on whether it is the first. All of it is worked out once, when a tokenizer is made: what stands
// in the middle becomes tokenizer::bytes, and only what differs at the beginning is kept here.
//
// Before: detail/text_coder.hpp. Next: detail/text_pipeline.hpp.
#pragma once

#include "byte_alphabet.hpp"
#include "text_coder.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A token on its way to text.
struct token_text {
    std::string text;
    bool first;    ///< whether it is the first of the text
    bool literal;  ///< whether its characters mean themselves
};

/// What a decoder does.
struct decoder_rules {
    using step = std::function<void(token_text&)>;
    std::vector<step> steps = {};          ///< for each token
    std::string strip = {};                ///< a character taken from the beginning of the text
    std::size_t most_stripped = 0;         ///< at most so often
    std::optional<std::string> space_for;  ///< a suffix that is a space, unless the token is last
};

/// The texts of all tokens. Const calls are thread-safe.
class token_texts {
public:
    explicit token_texts(decoder_rules rules = {}) : rules_(std::move(rules)) {}

    /// What the next token adds in the middle of a text. To be called for each in the order of ids.
    std::string add(const std::string& token, bool literal) {
        const auto id = static_cast<token_id>(spaces_.size());
        token_text middle{token, false, literal}, first{token, true, literal};
        const bool spaced =
            rules_.space_for && !rules_.space_for->empty() && token.ends_with(*rules_.space_for);
        spaces_.push_back(spaced);
        for (auto* text : {&middle, &first}) {
            if (spaced) text->text.resize(token.size() - rules_.space_for->size());
            for (const auto& step : rules_.steps) step(*text);
        }
        if (first.text != middle.text) openings_.emplace(id, std::move(first.text));
        if (spaced) middle.text += ' ';
        return std::move(middle.text);
    }

    /// Appends what the token adds behind those before it.
    void decode(token_id id, std::string_view middle, decoding& so_far, std::string& text) const {
        if (so_far.waits) text += ' ';
        so_far.waits = spaces_[static_cast<std::size_t>(id)];
        if (so_far.waits) middle.remove_suffix(1);
        if (!std::exchange(so_far.begun, true))
            if (const auto opening = openings_.find(id); opening != openings_.end())
                middle = opening->second;
        while (so_far.stripped < rules_.most_stripped && !middle.empty()) {
            if (middle.starts_with(rules_.strip)) {
                middle.remove_prefix(rules_.strip.size());
                ++so_far.stripped;
            } else {
                so_far.stripped = rules_.most_stripped;
            }
        }
        text += middle;
    }

private:
    decoder_rules rules_;
    std::vector<bool> spaces_;                  // by id: a space waits behind it
    std::map<token_id, std::string> openings_;  // of tokens that are not the same at the beginning
};

/// Replaces every `wanted`, which is not empty.
inline void replace_all(std::string& text, std::string_view wanted, std::string_view content) {
    std::size_t at = text.find(wanted), done = 0;
    if (at == text.npos) return;
    std::string out;
    for (; at != text.npos; at = text.find(wanted, done)) {
        out.append(text, done, at - done).append(content);
        done = at + wanted.size();
    }
    out.append(text, done);
    text = std::move(out);
}

/// Symbols of the byte alphabet as bytes, but for added tokens, which are their characters.
inline decoder_rules::step byte_level_texts() {
    return [](token_text& token) {
        if (token.literal) return;
        if (auto bytes = symbol_bytes(token.text)) token.text = std::move(*bytes);
    };
}

/// Marks as spaces; none at the beginning, when the mark was put there.
inline decoder_rules::step metaspace_texts(std::string mark, bool prepended) {
    return [mark = std::move(mark), prepended](token_text& token) {
        replace_all(token.text, mark, token.first && prepended ? "" : " ");
    };
}

/// What English does not put a space before, as BERT's decoder has it.
inline void clean_up(std::string& text) {
    constexpr std::pair<std::string_view, std::string_view> rules[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (const auto& [wanted, content] : rules) replace_all(text, wanted, content);
}

/// Words apart, and their pieces, which begin with the prefix, together.
inline decoder_rules::step wordpiece_texts(std::string prefix, bool cleans_up) {
    return [prefix = std::move(prefix), cleans_up](token_text& token) {
        if (!token.first && token.text.starts_with(prefix))
            token.text.erase(0, prefix.size());
        else if (!token.first)
            token.text.insert(0, " ");
        if (cleans_up) clean_up(token.text);
    };
}

inline decoder_rules::step replaced_texts(std::string wanted, std::string content) {
    return [wanted = std::move(wanted), content = std::move(content)](token_text& token) {
        replace_all(token.text, wanted, content);
    };
}

/// How many characters are taken from the ends of a token.
struct strip_counts {
    std::size_t left, right;
};

inline decoder_rules::step stripped_texts(std::string character, strip_counts counts) {
    return [character = std::move(character), counts](token_text& token) {
        std::string_view rest = token.text;
        for (std::size_t i = 0; i < counts.left && rest.starts_with(character); ++i)
            rest.remove_prefix(character.size());
        for (std::size_t i = 0; i < counts.right && rest.ends_with(character); ++i)
            rest.remove_suffix(character.size());
        token.text = std::string(rest);
    };
}

/// `<0x41>` as the byte.
inline decoder_rules::step byte_fallback_texts() {
    return [](token_text& token) {
        const auto value = [&](std::size_t at) {
            const char c = at < token.text.size() ? token.text[at] : ' ';
            return c >= '0' && c <= '9'   ? c - '0'
                   : c >= 'A' && c <= 'F' ? c - 'A' + 10
                   : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                          : -1;
        };
        const bool byte = token.text.size() == 6 && token.text.starts_with("<0x") &&
                          token.text.ends_with('>') && value(3) >= 0 && value(4) >= 0;
        if (byte) token.text = std::string(1, static_cast<char>(16 * value(3) + value(4)));
    };
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
