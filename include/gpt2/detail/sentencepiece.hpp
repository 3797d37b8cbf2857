// A SentencePiece encoder: text in, the ids that Python's `sentencepiece` gives for it out.
//
// Text is normalised (the model's map of characters, spaces at the ends and several in a row taken
// away, a space put in front, every space as U+2581), then cut by Unigram scores or by merging.
// Bytes that are no UTF-8 become U+FFFD each, as there. User-defined pieces are found first and
// kept as they are.
//
// Before: detail/sentencepiece_bpe.hpp, detail/unigram.hpp, detail/charsmap.hpp.
#pragma once

#include "charsmap.hpp"
#include "piece_trie.hpp"
#include "sentencepiece_bpe.hpp"
#include "sentencepiece_model.hpp"
#include "unigram.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Threads may share it.
class sentencepiece {
public:
    /// Throws errc::bad_tokenizer for a map of characters that is broken.
    explicit sentencepiece(sentencepiece_model model)
        : model_(std::move(model)),
          map_(model_.charsmap),
          whole_(trie_of({piece_kind::user_defined})),
          merged_(merges()
                      ? trie_of({piece_kind::normal, piece_kind::user_defined, piece_kind::unused})
                      : piece_trie()),
          merger_(model_, merged_, whole_),
          lattice_(lattice()) {
        for (std::size_t id = 0; id < model_.pieces.size(); ++id)
            if (model_.pieces[id].kind == piece_kind::byte)
                byte_ids_[static_cast<std::size_t>(byte_of_piece(model_.pieces[id].text))] =
                    static_cast<token_id>(id);
    }
    sentencepiece(const sentencepiece&) = delete;  // its parts point at each other
    sentencepiece& operator=(const sentencepiece&) = delete;

    const sentencepiece_model& model() const noexcept { return model_; }

    /// The text that is cut into pieces.
    std::string normalized(std::string_view text) const {
        const bool squeeze = model_.remove_extra_spaces;
        while (squeeze && !text.empty()) {
            const charsmap::match front = replaced(text);
            if (front.text != " ") break;
            text.remove_prefix(front.size);
        }
        std::string out;
        if (text.empty()) return out;
        out.reserve(text.size() + text.size() / 2);
        const std::string_view space = model_.escape_spaces ? space_symbol : " ";
        const bool ends = model_.add_dummy_prefix;
        if (ends && !model_.space_behind) out += space;
        for (bool after_space = squeeze; !text.empty();) {
            charsmap::match front = replaced(text);
            text.remove_prefix(front.size);
            while (after_space && front.text.starts_with(' ')) front.text.remove_prefix(1);
            if (!front.text.empty()) after_space = front.text.ends_with(' ');
            after_space = after_space && squeeze;
            for (const char byte : front.text) {
                if (byte == ' ')
                    out += space;
                else
                    out += byte;
            }
        }
        while (squeeze && out.ends_with(space)) out.resize(out.size() - space.size());
        if (ends && model_.space_behind) out += space;
        return out;
    }

    /// Appends the ids of a text. O(n · longest piece); memory in proportion to the text.
    void encode(std::string_view text, std::vector<token_id>& ids) const {
        const std::string cut = normalized(text);
        bool after_unknown = false;
        const auto take = [&](std::string_view piece, token_id id) {
            if (id >= 0) {
                ids.push_back(id);
            } else if (model_.byte_fallback) {
                for (const char byte : piece)
                    ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
            } else if (!after_unknown) {
                ids.push_back(model_.unknown);
            }
            after_unknown = id < 0;
        };
        if (merges())
            merger_.cut(cut, take);
        else
            lattice_.cut(cut, take);
    }

    /// What a token contributes to a text: its piece with U+2581 as spaces; a byte; for the unknown
    /// piece its surface; nothing for control pieces. A space that was put in front is still there.
    std::string bytes(token_id id) const {
        if (id < 0 || static_cast<std::size_t>(id) >= model_.pieces.size())
            fail(errc::token_out_of_range, "sentencepiece", {"an id below ", model_.pieces.size()},
                 id);
        const sentencepiece_model::piece& piece = model_.pieces[static_cast<std::size_t>(id)];
        if (piece.kind == piece_kind::control) return {};
        if (piece.kind == piece_kind::unknown) return model_.unknown_surface;
        if (piece.kind == piece_kind::byte)
            return std::string(1, static_cast<char>(byte_of_piece(piece.text)));
        std::string out;
        for (std::string_view rest = piece.text; !rest.empty();) {
            const bool space = rest.starts_with(space_symbol);
            out += space ? ' ' : rest.front();
            rest.remove_prefix(space ? space_symbol.size() : 1);
        }
        return out;
    }

private:
    bool merges() const { return model_.kind == sentencepiece_model::algorithm::bpe; }

    piece_trie trie_of(std::initializer_list<piece_kind> kinds) const {
        std::vector<piece_entry> entries;
        for (std::size_t id = 0; id < model_.pieces.size(); ++id)
            if (std::find(kinds.begin(), kinds.end(), model_.pieces[id].kind) != kinds.end())
                entries.push_back({model_.pieces[id].text, static_cast<token_id>(id)});
        return piece_trie(std::move(entries));
    }

    /// Scores in SentencePiece's own precision. Those that a trainer gives are negative, so that a
    /// user-defined piece beats every other cut of its bytes.
    piece_lattice lattice() const {
        if (merges()) return {piece_trie(), {}, 0, path_sums::f32};
        float worst = std::numeric_limits<float>::max();
        std::vector<double> scores;
        scores.reserve(model_.pieces.size());
        for (const sentencepiece_model::piece& piece : model_.pieces) {
            if (piece.kind == piece_kind::normal) worst = std::min(worst, piece.score);
            const auto size = static_cast<float>(piece.text.size());
            scores.push_back(piece.kind == piece_kind::user_defined ? 0.1F * (size - 1)
                                                                    : piece.score);
        }
        const float unknown = worst - static_cast<float>(unknown_penalty);
        return {trie_of({piece_kind::normal, piece_kind::user_defined}), std::move(scores), unknown,
                path_sums::f32};
    }

    /// What the front of a text is replaced by, a character at least.
    charsmap::match replaced(std::string_view text) const {
        if (const auto found = whole_.longest(text); found.size != 0)
            return {found.size, text.substr(0, found.size)};
        if (const charsmap::match found = map_.longest(text); found.size != 0) return found;
        const utf8_step step = read_utf8(text.data(), text.data() + text.size());
        if (step.what != utf8_step::kind::whole) return {1, "\uFFFD"};
        return {step.size, text.substr(0, step.size)};
    }

    sentencepiece_model model_;
    charsmap map_;
    piece_trie whole_;   // user-defined pieces
    piece_trie merged_;  // what byte pairs merge into
    sentencepiece_bpe merger_;
    piece_lattice lattice_;
    std::array<token_id, 256> byte_ids_{};
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
