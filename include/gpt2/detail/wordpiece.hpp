// WordPiece tokens: of a word the longest piece that it begins with, then of the rest the longest
// that goes on (marked by a prefix, "##"), and so on; a word that cannot be cut so is unknown.
//
// As Hugging Face tokenizers' model "WordPiece" and BertTokenizer do it. A word has a longest
// length in characters, so its time is bounded.
//
// Before: detail/piece_trie.hpp, detail/utf8.hpp.
#pragma once

#include "../error.hpp"
#include "piece_trie.hpp"
#include "utf8.hpp"

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a word that cannot be cut becomes, how pieces within a word are marked, and how many
/// characters a word has at most before it is unknown.
struct wordpiece_rules {
    token_id unknown = -1;
    std::string_view prefix = "##";
    std::size_t longest_word = 100;
};

/// Threads may share it.
class wordpiece {
public:
    /// Throws errc::bad_tokenizer when there is no unknown token.
    wordpiece(std::vector<piece_entry> pieces, const wordpiece_rules& rules)
        : pieces_(std::move(pieces)),
          inside_(pieces_.descend(rules.prefix)),
          unknown_(rules.unknown),
          longest_word_(rules.longest_word) {
        if (unknown_ < 0)
            fail(errc::bad_tokenizer, "unk_token", "a token of the vocabulary", "none");
    }

    /// Appends the ids of one word. O(word · longest piece).
    void encode(std::string_view word, std::vector<token_id>& ids) const {
        const std::size_t before = ids.size();
        if (longer(word)) return ids.push_back(unknown_);
        piece_trie::node from = piece_trie::root;
        while (!word.empty()) {
            const piece_trie::match found = pieces_.longest(word, from);
            if (found.size == 0) {
                ids.resize(before);
                return ids.push_back(unknown_);
            }
            ids.push_back(found.id);
            word.remove_prefix(found.size);
            from = inside_;
        }
    }

private:
    /// Whether the word has more characters than are allowed; a byte that is no UTF-8 counts as
    /// one.
    bool longer(std::string_view word) const {
        if (word.size() <= longest_word_) return false;
        std::size_t count = 0;
        for (const char *at = word.data(), *end = at + word.size(); at != end; ++count) {
            if (count == longest_word_) return true;
            const utf8_step step = read_utf8(at, end);
            at += step.what == utf8_step::kind::whole ? step.size : 1;
        }
        return false;
    }

    piece_trie pieces_;
    piece_trie::node inside_;  // where pieces that go on begin
    token_id unknown_;
    std::size_t longest_word_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
