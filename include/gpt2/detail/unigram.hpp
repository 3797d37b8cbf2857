// Unigram tokens: of all ways to cut a text into pieces, the one whose scores add up to the most.
//
// `piece_lattice` finds that cut as SentencePiece and Hugging Face tokenizers do: from left to
// right, the first of equals kept, what no piece covers as unknown characters 10 below the worst
// score. Its time is at most bytes · longest piece; its memory follows the longest stretch that
// pieces cross everywhere, not the text. `unigram` gives the ids of a tokenizer.json.
//
// Before: detail/piece_trie.hpp, detail/utf8.hpp. Next: detail/sentencepiece.hpp.
#pragma once

#include "../error.hpp"
#include "piece_trie.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What is done with a text that no piece covers: one unknown token, or the tokens of its bytes.
enum class byte_fallback { off, on };

/// In which numbers scores are added up: which of two near-equal cuts is the better hangs on it.
enum class path_sums { f64, f32 };

/// How far below the worst score an unknown character lies.
inline constexpr double unknown_penalty = 10;

/// Bytes of the character at the front of a text that is not empty; 1 for what is no UTF-8.
inline std::size_t front_size(std::string_view text) {
    const utf8_step step = read_utf8(text.data(), text.data() + text.size());
    return step.what == utf8_step::kind::whole ? step.size : std::size_t{1};
}

/// The token of each byte, `<0x00>` to `<0xFF>`, as `find(text)` knows them; -1 where it does not.
template <class Find>
std::array<token_id, 256> byte_pieces(Find&& find) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::array<token_id, 256> ids{};
    for (std::size_t byte = 0; byte < 256; ++byte) {
        const char text[] = {'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'};
        ids[byte] = find(std::string_view(text, sizeof text));
    }
    return ids;
}

/// Pieces with scores, and the search for the best cut. Scores are finite.
class piece_lattice {
public:
    /// `scores` by id, for every id that the trie holds.
    piece_lattice(piece_trie pieces, std::vector<double> scores, double unknown_score,
                  path_sums sums)
        : pieces_(std::move(pieces)),
          scores_(std::move(scores)),
          unknown_score_(unknown_score),
          sums_(sums) {}

    const piece_trie& pieces() const noexcept { return pieces_; }

    /// Calls `take(piece, id)` for the pieces of the text in order; id is -1 for a single character
    /// that is unknown.
    template <class Take>
    void cut(std::string_view text, Take&& take) const {
        std::vector<step> steps;  // steps[i]: the best way to `i` bytes behind the stretch's begin
        std::vector<std::size_t> ends;
        double score = 0;
        while (!text.empty()) {
            const std::size_t size = search(text, score, steps);
            score = steps[size].score;
            ends.clear();
            for (std::size_t end = size; end > 0; end = steps[end].begin) ends.push_back(end);
            for (; !ends.empty(); ends.pop_back()) {
                const step& last = steps[ends.back()];
                take(text.substr(last.begin, ends.back() - last.begin), last.id);
            }
            text.remove_prefix(size);
        }
    }

private:
    static constexpr std::size_t unset = ~std::size_t{0};
    struct step {
        double score = 0;
        std::size_t begin = unset;
        token_id id = -1;
    };

    double rounded(double sum) const {
        return sums_ == path_sums::f32 ? static_cast<double>(static_cast<float>(sum)) : sum;
    }

    /// Fills `steps` up to the first place that no piece crosses, and gives that place.
    std::size_t search(std::string_view text, double score, std::vector<step>& steps) const {
        steps.assign(1, step{});
        steps[0].score = score;
        const auto offer = [&](std::size_t begin, std::size_t end, double score_of_last,
                               token_id id) {
            if (steps.size() <= end) steps.resize(end + 1);
            const double sum = rounded(steps[begin].score + score_of_last);
            if (steps[end].begin == unset || sum > steps[end].score) steps[end] = {sum, begin, id};
        };
        std::size_t at = 0;
        do {
            const std::size_t single = front_size(text.substr(at));
            bool known = false;
            piece_trie::node node = piece_trie::root;
            for (std::size_t end = at; end < text.size();) {
                node = pieces_.child(node, text[end++]);
                if (node == piece_trie::none) break;
                const token_id id = pieces_.id(node);
                if (id < 0) continue;
                offer(at, end, scores_[static_cast<std::size_t>(id)], id);
                known |= end - at == single;
            }
            if (!known) offer(at, at + single, unknown_score_, -1);
            at += single;
        } while (at + 1 < steps.size());
        return at;
    }

    piece_trie pieces_;
    std::vector<double> scores_;
    double unknown_score_;
    path_sums sums_;
};

struct scored_piece {
    std::string text;
    double score = 0;
};

/// The model of a tokenizer.json with "type": "Unigram". Threads may share it.
class unigram {
public:
    /// Pieces by id; `unknown` is -1 where the file has none. Throws errc::bad_tokenizer when it is
    /// no id, or a score is no number.
    unigram(const std::vector<scored_piece>& pieces, token_id unknown, byte_fallback fallback)
        : lattice_(lattice_of(pieces)), unknown_(unknown) {
        if (unknown < -1 || unknown >= static_cast<token_id>(pieces.size()))
            fail(errc::bad_tokenizer, "unk_id", {"an id below ", pieces.size()}, unknown);
        bytes_.fill(-1);
        if (fallback == byte_fallback::on)
            bytes_ =
                byte_pieces([&](std::string_view text) { return lattice_.pieces().find(text); });
    }

    /// Appends the ids of a text: neighbours that are unknown become one, then the piece they
    /// spell, else the tokens of their bytes, else the unknown token. Throws errc::bad_tokenizer
    /// when one is needed and the file has none.
    void encode(std::string_view text, std::vector<token_id>& ids) const {
        std::size_t at = 0, unknown_from = 0;
        bool unknown = false;
        const auto settle = [&] {
            if (unknown) append_unknown(text.substr(unknown_from, at - unknown_from), ids);
            unknown = false;
        };
        lattice_.cut(text, [&](std::string_view piece, token_id id) {
            if (id == -1 || id == unknown_) {
                if (!unknown) unknown_from = at;
                unknown = true;
            } else {
                settle();
                ids.push_back(id);
            }
            at += piece.size();
        });
        settle();
    }

private:
    static piece_lattice lattice_of(const std::vector<scored_piece>& pieces) {
        std::vector<piece_entry> entries;
        std::vector<double> scores;
        double worst = std::numeric_limits<double>::infinity();
        for (const scored_piece& piece : pieces) {
            if (!std::isfinite(piece.score))
                fail(errc::bad_tokenizer, {"vocab: ", printable(piece.text)}, "a score",
                     "something that is no number");
            worst = std::min(worst, piece.score);
            entries.push_back({piece.text, static_cast<token_id>(scores.size())});
            scores.push_back(piece.score);
        }
        if (pieces.empty()) worst = 0;
        return {piece_trie(std::move(entries)), std::move(scores), worst - unknown_penalty,
                path_sums::f64};
    }

    void append_unknown(std::string_view text, std::vector<token_id>& ids) const {
        if (const token_id id = lattice_.pieces().find(text); id >= 0) return ids.push_back(id);
        const auto token_of = [&](char byte) { return bytes_[static_cast<unsigned char>(byte)]; };
        if (std::all_of(text.begin(), text.end(), [&](char byte) { return token_of(byte) >= 0; })) {
            for (const char byte : text) ids.push_back(token_of(byte));
            return;
        }
        if (unknown_ < 0)
            fail(errc::bad_tokenizer, "unk_id", "a token for text that no piece covers", "none");
        ids.push_back(unknown_);
    }

    piece_lattice lattice_;
    token_id unknown_;
    std::array<token_id, 256> bytes_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
