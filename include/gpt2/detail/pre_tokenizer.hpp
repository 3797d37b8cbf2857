// Where tokenizers cut a text before their model sees it.
//
// A pre-tokenizer is a list of steps; each takes one piece and passes smaller ones on, so nothing
// but the pieces under way is kept. They do what the pre-tokenizers of Hugging Face tokenizers with
// the same names do.
//
// Before: detail/text_search.hpp. Next: detail/text_pipeline.hpp.
#pragma once

#include "byte_alphabet.hpp"
#include "text_search.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A piece of a text; it is never empty where it is passed on.
struct text_piece {
    std::string_view text;
    bool at_start;  ///< whether it begins the whole text
};

/// Whoever takes pieces.
class piece_sink {
public:
    virtual void take(const text_piece& piece) = 0;

protected:
    ~piece_sink() = default;
};

/// Steps that cut what the step before them passes on. Const calls are thread-safe.
class pre_tokenizer {
public:
    using step = std::function<void(const text_piece&, piece_sink&)>;

    void add(step next) { steps_.push_back(std::move(next)); }

    void cut(const text_piece& text, piece_sink& to) const { cut_from(0, text, to); }

private:
    struct rest final : piece_sink {
        rest(const pre_tokenizer& all_, std::size_t next_, piece_sink& to_)
            : all(all_), next(next_), to(to_) {}
        void take(const text_piece& piece) override { all.cut_from(next, piece, to); }
        const pre_tokenizer& all;
        std::size_t next;
        piece_sink& to;
    };

    void cut_from(std::size_t next, const text_piece& piece, piece_sink& to) const {
        if (piece.text.empty()) return;
        if (next == steps_.size()) return to.take(piece);
        rest behind(*this, next + 1, to);
        steps_[next](piece, behind);
    }

    std::vector<step> steps_;
};

/// What becomes of what a search finds, and of what lies between.
enum class split_behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// What a Split cuts at: what its search finds, or all the rest.
enum class split_side { matches, others };

/// Joins the matches and the gaps between them to pieces, in the order they come.
class piece_joiner {
public:
    piece_joiner(split_behavior behavior, const text_piece& whole, piece_sink& to)
        : behavior_(behavior), whole_(whole), to_(to) {}

    void add(text_span next, bool matches) {
        if (next.begin == next.end) return;
        using enum split_behavior;
        const bool joins = (behavior_ == contiguous && matches == matched_) ||
                           (behavior_ == merged_with_previous && matches && !matched_) ||
                           (behavior_ == merged_with_next && !matches);
        if (waiting_ && joins) {
            waiting_->end = next.end;
        } else {
            finish();
            waiting_ = next;
        }
        matched_ = matches;
        if (behavior_ == removed && matches) waiting_.reset();
    }

    void finish() {
        if (!waiting_) return;
        const text_span done = *std::exchange(waiting_, std::nullopt);
        to_.take({whole_.text.substr(done.begin, done.end - done.begin),
                  whole_.at_start && done.begin == 0});
    }

private:
    split_behavior behavior_;
    text_piece whole_;
    piece_sink& to_;
    std::optional<text_span> waiting_;
    bool matched_ = false;  // whether the last one was a match
};

inline void split(const text_piece& piece, const text_search& search, split_behavior behavior,
                  split_side side, piece_sink& to) {
    piece_joiner joined(behavior, piece, to);
    const bool match = side == split_side::matches;
    std::size_t done = 0;
    matches_in matches(search, piece.text);
    while (const auto found = matches.next()) {
        joined.add({done, found->begin}, !match);
        joined.add(*found, match);
        done = found->end;
    }
    joined.add({done, piece.text.size()}, !match);
    joined.finish();
}

inline pre_tokenizer::step split_step(text_search search, split_behavior behavior,
                                      split_side side = split_side::matches) {
    return [search = std::move(search), behavior, side](const text_piece& piece, piece_sink& to) {
        split(piece, search, behavior, side, to);
    };
}

/// What ByteLevel is told to do.
struct byte_level_rules {
    bool prefix_space, words;
};

/// Bytes as the characters of their alphabet, cut as GPT-2 does.
inline pre_tokenizer::step byte_level_cuts(byte_level_rules rules) {
    struct as_symbols final : piece_sink {
        explicit as_symbols(piece_sink& to_) : to(to_) {}
        void take(const text_piece& piece) override {
            const std::string symbols = byte_symbols(piece.text);
            to.take({symbols, piece.at_start});
        }
        piece_sink& to;
    };
    return [rules, words = word_search()](const text_piece& piece, piece_sink& to) {
        std::string spaced;
        text_piece whole = piece;
        if (rules.prefix_space && !piece.text.starts_with(' ')) {
            spaced = " ";
            whole.text = spaced += piece.text;
        }
        as_symbols symbols(to);
        if (rules.words)
            split(whole, words, split_behavior::isolated, split_side::matches, symbols);
        else
            symbols.take(whole);
    };
}

/// Where Metaspace puts its mark before a text that does not begin with one.
enum class prepend_scheme { always, first, never };

/// What Metaspace is told to do.
struct metaspace_rules {
    std::string mark;
    prepend_scheme prepend;
    bool cuts;  ///< whether each mark begins a piece
};

/// Spaces as marks, cut before each.
inline pre_tokenizer::step metaspace_step(metaspace_rules rules) {
    text_search search = literal_search(rules.mark);
    return [rules = std::move(rules), search = std::move(search)](const text_piece& piece,
                                                                  piece_sink& to) {
        std::string marked;
        marked.reserve(piece.text.size() + rules.mark.size());
        for (const char byte : piece.text)
            if (byte == ' ')
                marked += rules.mark;
            else
                marked += byte;
        const bool wanted = rules.prepend == prepend_scheme::always ||
                            (rules.prepend == prepend_scheme::first && piece.at_start);
        if (wanted && !marked.starts_with(rules.mark)) marked.insert(0, rules.mark);
        const text_piece whole{marked, piece.at_start};
        if (rules.cuts)
            split(whole, search, split_behavior::merged_with_next, split_side::matches, to);
        else
            to.take(whole);
    };
}

/// Pieces of that many characters, the last one shorter.
inline pre_tokenizer::step fixed_length_step(std::size_t length) {
    return [length](const text_piece& piece, piece_sink& to) {
        std::size_t begin = 0, at = 0, count = 0;
        const auto pass_on = [&] {
            to.take({piece.text.substr(begin, at - begin), piece.at_start && begin == 0});
            begin = at, count = 0;
        };
        while (at < piece.text.size()) {
            at += character_at(piece.text, at).size;
            if (++count == length) pass_on();
        }
        if (begin < at) pass_on();
    };
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
