// Where the sentences of a text begin and end, in English, Spanish and what is written like them.
//
// A sentence ends at . ! ? … and their like with the quotes and brackets that close behind them,
// where white space follows and no small letter after it: not in 3.14, e.g. this, Dr. Who, «¿Qué?»
// dijo. An empty line ends one too, which is then not finished. O(n); bytes that are no UTF-8 are
// characters without a meaning.
//
// Before: detail/character_set.hpp, text_edit.hpp. Next: detail/repetition.hpp, post_process.hpp.
#pragma once

#include "../text_edit.hpp"
#include "character_set.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline bool is_one_of(char32_t point, std::u32string_view list) {
    return list.find(point) != list.npos;
}
inline bool is_space(char32_t point) { return class_of(point) == char_class::space; }
inline bool is_letter(char32_t point) { return class_of(point) == char_class::letter; }
inline bool is_digit(char32_t point) { return point - U'0' < 10; }

/// The place behind the characters of a kind that stand at `at`.
template <class Kind>
std::size_t skip(std::string_view text, std::size_t at, Kind&& kind) {
    while (at < text.size()) {
        const text_character next = character_at(text, at);
        if (!kind(next.point)) break;
        at += next.size;
    }
    return at;
}

/// The character that stands before `at`, which is not 0.
inline text_character character_before(std::string_view text, std::size_t at) {
    const utf8_step step = read_utf8_before(text.data(), text.data() + at);
    if (step.what != utf8_step::kind::whole) return {text_character::ill_formed, 1};
    return {step.point, step.size};
}

struct sentence_span {
    std::size_t begin, end;  ///< without the white space around it
    bool finished;           ///< with a full stop or its like
};

class sentence_reader {
public:
    explicit sentence_reader(std::string_view text) : text_(text) {}

    std::vector<sentence_span> read() {
        std::size_t at = begin_ = skip(text_, 0, is_space);
        while (at < text_.size()) {
            const text_character next = character_at(text_, at);
            if (is_space(next.point)) {
                const std::size_t behind = skip(text_, at, is_space);
                if (has_empty_line(at, behind)) end_at(at, false);
                at = behind;
            } else if (is_one_of(next.point, U"。！？｡")) {
                end_at(at = behind_closing(at), true);
            } else if (is_stop(next.point)) {
                const std::size_t stop = at;
                at = behind_closing(at);
                if (ends(stop, at)) end_at(at, true);
            } else {
                at += next.size;
            }
        }
        end_at(text_.size(), false);
        return std::move(found_);
    }

private:
    static bool is_stop(char32_t point) { return is_one_of(point, U".!?…‼⁇⁈⁉؟۔।。！？｡"); }
    static bool closes(char32_t point) { return is_one_of(point, U"\"'”’»)]}」』*_"); }
    static bool opens(char32_t point) { return is_one_of(point, U"\"'“‘«([{—–-*_"); }

    void end_at(std::size_t end, bool finished) {
        while (end > begin_ && is_space(character_before(text_, end).point))
            end -= character_before(text_, end).size;
        if (end > begin_) found_.push_back({begin_, end, finished});
        begin_ = skip(text_, end, is_space);
    }

    bool has_empty_line(std::size_t begin, std::size_t end) const {
        const auto space = text_.substr(begin, end - begin);
        return std::count(space.begin(), space.end(), '\n') >= 2;
    }

    std::size_t behind_closing(std::size_t at) const {
        return skip(text_, skip(text_, at, is_stop), closes);
    }

    /// Whether a sentence ends with the stop and what closes behind it, up to `behind`.
    bool ends(std::size_t stop, std::size_t behind) const {
        const std::size_t next = skip(text_, behind, is_space);
        if (next == behind && next != text_.size()) return false;
        const bool last = next == text_.size() || has_empty_line(behind, next);
        const std::size_t word = skip(text_, next, opens);
        const char32_t begins = word == text_.size() ? U' ' : character_at(text_, word).point;
        if (is_lower(begins)) return false;
        const bool single = text_[stop] == '.' && skip(text_, stop, is_stop) == stop + 1;
        return !single || !abbreviates(stop, last, is_digit(begins));
    }

    /// Whether the full stop belongs to the word before it.
    bool abbreviates(std::size_t stop, bool last, bool before_number) const {
        constexpr std::size_t most = 16;  // bytes; no abbreviation is longer
        std::size_t begin = stop;
        while (begin > begin_ && stop - begin <= most) {
            const text_character before = character_before(text_, begin);
            if (is_space(before.point) || opens(before.point) || is_one_of(before.point, U"¿¡"))
                break;
            begin -= before.size;
        }
        if (begin == stop || stop - begin > most) return false;
        const std::string_view word = text_.substr(begin, stop - begin);
        if (begin == begin_ && std::all_of(word.begin(), word.end(), [](char c) {
                return is_digit(static_cast<unsigned char>(c));
            }))
            return !last;  // 1. of a list
        if (is_initial(word)) return word.size() == 1 || !last;
        const std::string lower = lowercased(word);
        const auto is_listed = [&](const auto& list) {
            return std::find(std::begin(list), std::end(list), lower) != std::end(list);
        };
        return is_listed(never_last) || (before_number && is_listed(before_numbers));
    }

    /// J as in J. Tolkien, or J.R.R; I is a word.
    static bool is_initial(std::string_view word) {
        const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
        if (word == "I" || word.size() % 2 == 0) return false;
        for (std::size_t i = 0; i < word.size(); ++i)
            if (i % 2 == 0 ? !upper(word[i]) : word[i] != '.') return false;
        return true;
    }

    /// Abbreviations that something always follows.
    static constexpr std::string_view never_last[] = {
        "sr",    "sra",    "srta", "sres", "srs",  "dr",    "dra",  "dres", "dña", "mr",   "mrs",
        "ms",    "messrs", "mme",  "mlle", "prof", "profa", "gen",  "gral", "col", "cnel", "capt",
        "lt",    "sgt",    "st",   "sto",  "sta",  "fr",    "rev",  "hon",  "lic", "ing",  "arq",
        "excmo", "excma",  "ilmo", "ilma", "mons", "p",     "p.ej", "e.g",  "i.e", "vs",   "cf",
        "cfr",   "viz",    "av",   "avda", "ee",   "ff",    "rr"};
    /// Those that are abbreviations before a number, and may end a sentence elsewhere.
    static constexpr std::string_view before_numbers[] = {
        "no",  "nos",  "núm", "núms", "nro", "pág",    "págs", "pp",
        "art", "arts", "fig", "figs", "cap", "caps",   "vol",  "vols",
        "ch",  "chap", "sec", "secc", "tel", "approx", "aprox"};

    std::string_view text_;
    std::size_t begin_ = 0;  // of the sentence under way
    std::vector<sentence_span> found_;
};

/// The sentences of a text, in order.
inline std::vector<sentence_span> sentences_in(std::string_view text) {
    return sentence_reader(text).read();
}

/// The text without the sentences that `drop(sentence)` names, asked in order. Of the white space
/// around those that go the stretch with the most lines stays, so that paragraphs stay apart.
template <class Drop>
edited_text without_sentences(std::string_view text, Drop&& drop) {
    const auto sentences = sentences_in(text);
    const auto dropped = [&](std::size_t i) {
        return drop(text.substr(sentences[i].begin, sentences[i].end - sentences[i].begin));
    };
    const auto gap_before = [&](std::size_t i) {
        return text_span{i == 0 ? 0 : sentences[i - 1].end,
                         i == sentences.size() ? text.size() : sentences[i].begin};
    };
    const auto lines_in = [&](const text_span& gap) {
        const auto space = text.substr(gap.begin, gap.end - gap.begin);
        return std::count(space.begin(), space.end(), '\n');
    };
    text_editor editor(text);
    for (std::size_t i = 0; i < sentences.size(); ++i) {
        if (!dropped(i)) continue;
        const text_span first = gap_before(i);
        text_span widest = first, last = first;
        auto most = lines_in(first);
        const bool leads = i == 0;
        do {
            last = gap_before(++i);
            const auto lines = lines_in(last);
            // What the text begins and ends with stays.
            if (!leads && (lines > most || i == sentences.size())) most = lines, widest = last;
        } while (i < sentences.size() && dropped(i));
        editor.remove(first.begin, widest.begin);
        editor.remove(widest.end, last.end);
    }
    return editor.take();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
