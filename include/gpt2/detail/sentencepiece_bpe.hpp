// Byte pairs as SentencePiece merges them: characters first, then always the two neighbours whose
// joint text is the piece of the highest score, of equals the leftmost.
//
// A piece that is marked unused is merged into like any other, and in the end taken apart into the
// two it was last seen to be made of. User-defined pieces stand whole from the start and never
// merge. O(n log n + n · longest piece), without recursion; threads may share it.
//
// Before: detail/piece_trie.hpp. Next: detail/sentencepiece.hpp.
#pragma once

#include "piece_trie.hpp"
#include "sentencepiece_model.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline constexpr std::string_view space_symbol = "\u2581";

/// Bytes of the character that begins with this one, as its first byte says.
inline std::size_t size_by_lead(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

class sentencepiece_bpe {
public:
    /// `pieces` holds those that a text may have, `whole` the user-defined ones; both outlive this,
    /// as does the model, which says what the ids are.
    sentencepiece_bpe(const sentencepiece_model& model, const piece_trie& pieces,
                      const piece_trie& whole)
        : model_(&model), pieces_(&pieces), whole_(&whole) {
        for (const sentencepiece_model::piece& piece : model.pieces) {
            has_unused_ |= piece.kind == piece_kind::unused;
            for (std::size_t at = 1; at < piece.text.size(); ++at)
                if (begins_word(piece.text, at)) cuts_words_ = false;
        }
        cuts_words_ = cuts_words_ && !has_unused_;
    }

    /// Calls `take(piece, id)` for the pieces of a normalised text in order; id is -1 for a
    /// character that is none.
    template <class Take>
    void cut(std::string_view text, Take&& take) const {
        work state;
        while (!text.empty()) {
            const std::size_t size = split(text, state);
            merge(text, state);
            for (std::uint32_t i = 0; i != last; i = state.symbols[i].next)
                take_apart(text.substr(state.symbols[i].begin, state.symbols[i].size), state, take);
            text.remove_prefix(size);
        }
    }

private:
    static constexpr std::uint32_t last = ~std::uint32_t{0};
    struct symbol {
        std::size_t begin;
        std::uint32_t size;  // bytes; 0 when merged into the one before
        std::uint32_t before, next;
        bool frozen;
    };
    struct candidate {
        float score;
        std::uint32_t left, right, size;
        bool operator<(const candidate& other) const {
            return score < other.score || (score == other.score && left > other.left);
        }
    };
    struct work {
        std::vector<symbol> symbols;
        std::vector<candidate> heap;
        std::unordered_map<token_id, std::uint32_t> halves;  // of unused pieces: bytes of the left
        std::vector<std::string_view> parts;
    };

    /// Whether a space stands here, with something else than a space before it.
    static bool begins_word(std::string_view text, std::size_t at) {
        return text.substr(at, 3) == space_symbol &&
               (at < 3 || text.substr(at - 3, 3) != space_symbol);
    }

    /// Fills `symbols` with what the text begins with, up to a place that no piece crosses, and
    /// gives the bytes up to there.
    std::size_t split(std::string_view text, work& state) const {
        state.symbols.clear();
        std::size_t at = 0;
        while (at < text.size()) {
            if (at > 0 && cuts_words_ && begins_word(text, at)) break;
            const piece_trie::match found = whole_->longest(text.substr(at));
            const std::size_t size =
                found.size != 0 ? found.size : std::min(size_by_lead(text[at]), text.size() - at);
            const auto index = static_cast<std::uint32_t>(state.symbols.size());
            state.symbols.push_back(
                {at, static_cast<std::uint32_t>(size), index - 1, index + 1, found.size != 0});
            at += size;
        }
        state.symbols.front().before = last;
        state.symbols.back().next = last;
        return at;
    }

    void merge(std::string_view text, work& state) const {
        for (std::uint32_t i = 1; i < state.symbols.size(); ++i) offer(text, i - 1, i, state);
        while (!state.heap.empty()) {
            const candidate best = state.heap.front();
            std::pop_heap(state.heap.begin(), state.heap.end());
            state.heap.pop_back();
            symbol &left = state.symbols[best.left], &right = state.symbols[best.right];
            if (left.size == 0 || right.size == 0 || left.size + right.size != best.size) continue;
            left.size = best.size;
            right.size = 0;
            left.next = right.next;
            if (left.next != last) state.symbols[left.next].before = best.left;
            if (left.before != last) offer(text, left.before, best.left, state);
            if (left.next != last) offer(text, best.left, left.next, state);
        }
    }

    void offer(std::string_view text, std::uint32_t left, std::uint32_t right, work& state) const {
        const symbol &first = state.symbols[left], &second = state.symbols[right];
        if (first.frozen || second.frozen) return;
        const std::uint32_t size = first.size + second.size;
        const token_id id = pieces_->find(text.substr(first.begin, size));
        if (id < 0) return;
        const sentencepiece_model::piece& piece = model_->pieces[static_cast<std::size_t>(id)];
        state.heap.push_back({piece.score, left, right, size});
        std::push_heap(state.heap.begin(), state.heap.end());
        if (piece.kind == piece_kind::unused) state.halves[id] = first.size;
    }

    /// Gives a symbol, or, while it is unused, what it was made of.
    template <class Take>
    void take_apart(std::string_view whole, work& state, Take&& take) const {
        for (state.parts.assign(1, whole); !state.parts.empty();) {
            const std::string_view part = state.parts.back();
            state.parts.pop_back();
            const token_id id = pieces_->find(part);
            const bool unused =
                id >= 0 && model_->pieces[static_cast<std::size_t>(id)].kind == piece_kind::unused;
            const auto half = unused ? state.halves.find(id) : state.halves.end();
            if (half == state.halves.end()) {
                take(part, unused ? -1 : id);
            } else {
                state.parts.push_back(part.substr(half->second));
                state.parts.push_back(part.substr(0, half->second));
            }
        }
    }

    const sentencepiece_model* model_;
    const piece_trie *pieces_, *whole_;
    bool has_unused_ = false;
    bool cuts_words_ = true;  // no piece goes on over the beginning of a word
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
