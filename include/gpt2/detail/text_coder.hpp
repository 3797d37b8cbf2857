// How a tokenizer that is more than byte-level BPE is asked: text to ids between the added tokens
// that are found first, and ids to text one after another.
//
// Before: detail/added_tokens.hpp. Next: tokenizer.hpp; detail/text_pipeline.hpp is one.
#pragma once

#include "added_tokens.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A stretch of a text, whole or between added tokens.
struct text_stretch {
    std::string_view text;
    std::size_t offset;  ///< of its first byte in the whole text
    specials mode;       ///< what added tokens are that are looked for in the normalised text
};

/// How far a text is decoded: what the next token's text depends on.
struct decoding {
    bool begun = false;        ///< whether a token came
    bool waits = false;        ///< a space comes before the next token, if there is one
    std::size_t stripped = 0;  ///< characters taken from the beginning so far
};

class text_coder {
public:
    virtual ~text_coder() = default;

    /// Appends the ids of a stretch. Raises errc::invalid_argument for a character that the
    /// vocabulary has no token for, errc::limit_exceeded when normalising makes the text too long.
    virtual void encode(const text_stretch& from, std::vector<token_id>& ids) const = 0;

    /// Appends what the token adds to a text; `middle` is what it adds in the middle of one.
    virtual void decode(token_id id, std::string_view middle, decoding& so_far,
                        std::string& text) const = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
