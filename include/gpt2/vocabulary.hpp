// What tokenizers are made of: tokens, merges, added tokens, and the few rules that go with them.
//
// Plain records, checked by the tokenizer that is made of them; tokenizer::parts gives them back.
//
// Before: detail/added_tokens.hpp. Next: tokenizer.hpp.
#pragma once

#include "core.hpp"
#include "detail/added_tokens.hpp"
#include "detail/text_coder.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Two neighbours that become one token. Its rank is its place in the list of merges.
struct merge {
    token_id left, right, result;
};

/// How a text is cut before merging.
enum class cuts {
    words,  ///< by GPT-2's pattern: words with the space before them, numbers, signs, white space
    none,   ///< not at all
};

/// What is put before each stretch of text between added tokens.
enum class prefix {
    none,
    space,  ///< a space, unless the stretch begins with U+0020 or is empty
};

/// What a tokenizer's files want around a whole text; encode leaves it to you.
struct text_frame {
    std::vector<token_id> before = {}, after = {};
};

/// What a tokenizer is made of.
struct vocabulary {
    std::vector<std::string> tokens;  ///< the bytes of each id; empty: no ordinary token
    std::vector<gpt2::merge> merges;  ///< by rank
    std::vector<added_token> added;   ///< may bring further ids, or name ids of `tokens`
    gpt2::cuts cuts = gpt2::cuts::words;
    gpt2::prefix prefix = gpt2::prefix::none;
    text_frame frame = {};
    /// By id, 1: merging the token's own bytes gives it. Empty: it is tried for each.
    std::vector<char> reached = {};
};

/// A file that a tokenizer was read from.
struct tokenizer_file {
    std::string name, bytes;
};

/// What a tokenizer of another kind is made of. The coder finds the added tokens that are
/// normalized; the others are found before it is asked.
struct coded_vocabulary {
    std::vector<std::string> tokens;  ///< what each id adds in the middle of a text
    std::vector<added_token> added;   ///< of these ids
    std::shared_ptr<const detail::text_coder> coder;
    text_frame frame = {};
    std::vector<tokenizer_file> files = {};
};

/// The contents of tokenizer files; nothing stands for a file that is not there.
struct tokenizer_texts {
    std::optional<std::string_view> tokenizer_json = {};
    std::optional<std::string_view> vocab_json = {}, merges_txt = {};
    std::optional<std::string_view> added_tokens_json = {}, special_tokens_map_json = {};
    std::optional<std::string_view> tokenizer_config_json = {};
    std::optional<std::string_view> sentencepiece_model = {};  ///< bytes of a protobuf
    std::optional<std::string_view> vocab_txt = {};            ///< of a BERT tokenizer
    std::string_view folder = {};                              ///< for messages
};

}  // namespace gpt2::inline GPT2_ABI
