// Byte-pair merging over characters: the BPE of tokenizers that do not spell every byte.
//
// A word is its characters, the first as it stands, the others behind a prefix that marks the
// inside of words, the last before a suffix that marks their end, where the vocabulary has such
// marks. A character without a token falls back to one token for each of its bytes, or to the
// unknown token, or is an error: nothing is left out silently.
//
// Before: detail/bpe.hpp. Next: detail/text_pipeline.hpp.
#pragma once

#include "../error.hpp"
#include "bpe.hpp"
#include "utf8.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// `<0x41>` for 'A': how a vocabulary spells the token of a byte.
inline std::string byte_symbol(unsigned char byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

/// Text that can be looked for by a view.
struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>()(text);
    }
};
using symbol_ids = std::unordered_map<std::string, token_id, text_hash, std::equal_to<>>;

/// What a BPE over characters is made of.
struct symbol_rules {
    symbol_ids ids;                                     ///< of the vocabulary
    std::vector<std::pair<token_id, token_id>> merges;  ///< by rank
    std::vector<token_id> results;                      ///< by rank
    std::string prefix = {}, suffix = {};               ///< of what stands inside, at the end
    std::optional<token_id> unknown = {};
    enum class unknowns { each, joined } unknowns = unknowns::each;
    enum class fallback { none, bytes } fallback = fallback::none;
    enum class whole_words { merged, looked_up } whole_words = whole_words::merged;
};

/// BPE over characters. Const calls are thread-safe.
class symbol_bpe {
public:
    /// The merges are known to be of the vocabulary, each pair once.
    explicit symbol_bpe(symbol_rules from) : rules_(std::move(from)) {
        pairs_.ranks = pair_table(rules_.merges.size());
        for (std::uint32_t rank = 0; rank < rules_.merges.size(); ++rank)
            pairs_.ranks.insert(rules_.merges[rank].first, rules_.merges[rank].second, rank);
        pairs_.results = std::move(rules_.results);
        rules_.merges = {};
        bytes_.fill(-1);
        if (rules_.fallback == symbol_rules::fallback::none) return;
        for (std::size_t byte = 0; byte < bytes_.size(); ++byte)
            if (const auto id = find(byte_symbol(static_cast<unsigned char>(byte))))
                bytes_[byte] = *id;
    }

    /// Appends the tokens of a word. Raises errc::invalid_argument at a character that the
    /// vocabulary has no token for. O(n log n).
    void encode(std::string_view word, std::vector<token_id>& out) const {
        if (rules_.whole_words == symbol_rules::whole_words::looked_up)
            if (const auto id = find(word)) return out.push_back(*id);
        std::vector<token_id> ids;
        ids.reserve(word.size());
        begin(word, ids);
        if (ids.size() < 2) {
            out.insert(out.end(), ids.begin(), ids.end());
        } else {
            long_merger merger;
            merger.merge(pairs_, ids, out);
        }
    }

private:
    std::optional<token_id> find(std::string_view symbol) const {
        const auto known = rules_.ids.find(symbol);
        return known == rules_.ids.end() ? std::nullopt : std::optional(known->second);
    }

    /// The token of each character, before anything is merged.
    void begin(std::string_view word, std::vector<token_id>& ids) const {
        bool unknown = false;  // one waits, to be joined with the next or to be taken
        const auto take_unknown = [&] {
            if (std::exchange(unknown, false)) ids.push_back(*rules_.unknown);
        };
        std::string marked;
        for (std::size_t at = 0, size = 0; at < word.size(); at += size) {
            size = read_utf8(word.data() + at, word.data() + word.size()).size;
            const std::string_view character = word.substr(at, size);
            marked.clear();
            if (at > 0) marked += rules_.prefix;
            marked += character;
            if (at + size == word.size()) marked += rules_.suffix;
            if (const auto id = find(marked)) {
                take_unknown();
                ids.push_back(*id);
            } else if (!take_bytes(marked, ids)) {
                if (!rules_.unknown)
                    fail(errc::invalid_argument, "encode",
                         {"the vocabulary has no token for ", printable(character)});
                if (rules_.unknowns == symbol_rules::unknowns::each) take_unknown();
                unknown = true;
            }
        }
        take_unknown();
    }

    /// Takes a character as its bytes, if there is a token for each of them.
    bool take_bytes(std::string_view character, std::vector<token_id>& ids) const {
        if (rules_.fallback == symbol_rules::fallback::none) return false;
        const std::size_t before = ids.size();
        for (const char byte : character) {
            const token_id id = bytes_[static_cast<unsigned char>(byte)];
            if (id < 0) {
                ids.resize(before);
                return false;
            }
            ids.push_back(id);
        }
        return true;
    }

    symbol_rules rules_;
    pair_rules pairs_;
    std::array<token_id, 256> bytes_;  // by byte; -1: no token
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
