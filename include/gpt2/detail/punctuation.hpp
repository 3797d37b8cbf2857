// White space and punctuation put right: no space before a comma or behind «¿», one between words,
// none at the ends of lines, at most one empty line, no comma twice.
//
// A text is read as words, marks and the white space between them; what becomes of a stretch of
// white space depends on its two neighbours alone. Lines keep their indentation, and what looks
// like a name of the machine's world (a/b, x_1, :-) and the like) is a word. O(n); bytes that are
// no UTF-8 are letters of words.
//
// Before: detail/sentences.hpp, text_edit.hpp. Next: post_process.hpp.
#pragma once

#include "../text_edit.hpp"
#include "sentences.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline bool is_blank(char32_t point) { return point == U' ' || point == U'\t'; }

struct text_part {
    enum class kind { word, comma, stop, opening, closing, quote };
    kind what;
    std::size_t begin, end;
    bool opens = false, closes = false;  // a quote, when what it belongs to is known
};

/// The words and marks of a text. Stops in a row are one part with the blanks between them, and so
/// are commas.
class part_reader {
public:
    explicit part_reader(std::string_view text) : text_(text) {}

    std::vector<text_part> read() {
        for (std::size_t at = behind_gap(0); at < text_.size(); at = behind_gap(run_end_)) {
            run_ = run_end_ = at;
            while (run_end_ < text_.size() && behind_gap(run_end_) == run_end_)
                run_end_ += character_at(text_, run_end_).size;
            read_run();
        }
        return std::move(parts_);
    }

    /// The place behind the white space at `at` that may be changed.
    std::size_t behind_gap(std::size_t at) const {
        for (;; ++at) {
            at = skip(text_, at, is_blank);
            if (text_.substr(at).starts_with("\r\n")) ++at;
            if (at == text_.size() || text_[at] != '\n') return at;
        }
    }

private:
    using kind = text_part::kind;

    static bool is_stop(char32_t point) { return is_one_of(point, U".!?…"); }
    static bool opens(char32_t point) { return is_one_of(point, U"¿¡([«“"); }
    static bool closes(char32_t point) { return is_one_of(point, U")]»”"); }
    static bool is_mark(char32_t point) {
        return is_one_of(point, U"\",;:") || is_stop(point) || opens(point) || closes(point);
    }
    static bool is_wordly(char32_t point) { return is_letter(point) || is_digit(point); }

    char32_t point_at(std::size_t at) const {
        return at < text_.size() ? character_at(text_, at).point : U' ';
    }
    char32_t point_before(std::size_t at) const {
        return at == run_ ? U' ' : character_before(text_, at).point;
    }

    /// A run of no white space: marks, a core, marks.
    void read_run() {
        const std::size_t begin = skip(text_.substr(0, run_end_), run_, [](char32_t point) {
            return opens(point) || point == U'"';
        });
        std::size_t end = run_end_;
        while (end > begin && is_mark(character_before(text_, end).point))
            end -= character_before(text_, end).size;
        const std::string_view core = text_.substr(begin, end - begin);
        const bool smiles = is_one_of(point_at(run_), U":;") && run_end_ - run_ > 1;
        if (smiles) return push({kind::word, run_, run_end_});
        read_marks(run_, begin);
        if (core.find_first_of("/\\@_=<>#$&|~^+*{}`") != core.npos)
            push({kind::word, begin, end});
        else
            read_marks(begin, end);
        read_marks(end, run_end_);
    }

    void read_marks(std::size_t at, std::size_t end) {
        std::size_t word = at;  // where the one under way begins
        while (at < end) {
            std::size_t size = 0;
            const kind what = kind_at(at, size);
            if (what != kind::word) {
                if (word != at) push({kind::word, word, at});
                push({what, at, at + size});
                word = at + size;
            }
            at += size;
        }
        if (word != end) push({kind::word, word, end});
    }

    kind kind_at(std::size_t at, std::size_t& size) const {
        const text_character here = character_at(text_, at);
        size = here.size;
        if (here.point == U'"') return kind::quote;
        if (opens(here.point)) return kind::opening;
        if (closes(here.point)) return kind::closing;
        if (is_stop(here.point)) return stop_at(at, size);
        const char32_t before = point_before(at), behind = point_at(at + size);
        if (here.point == U':')
            return is_mark(behind) || is_space(behind) ? kind::comma : kind::word;
        if (here.point != U',' && here.point != U';') return kind::word;
        const bool number = is_digit(behind) && (is_digit(before) || before == U' ');
        return number ? kind::word : kind::comma;
    }

    /// What a row of stops is: 3.14, e.g, .net and an ellipsis that stands alone are words.
    kind stop_at(std::size_t at, std::size_t& size) const {
        const std::size_t end = skip(text_, at, is_stop);
        size = end - at;
        const char32_t before = point_before(at), first = point_at(at), behind = point_at(end);
        const bool ellipsis = first == U'…' || text_.substr(at, 2) == "..";
        bool stops = true;
        if (ellipsis)
            stops = before != U' ';
        else if (is_wordly(behind) && first == U'.')
            stops = size == 1 && is_lower(before) && is_upper(behind) &&
                    is_lower(point_at(end + character_at(text_, end).size));
        else if (is_wordly(behind))
            stops = is_letter(behind) && (is_wordly(before) || closes(before));
        return stops ? kind::stop : kind::word;
    }

    void push(text_part part) {
        if (part.begin == part.end) return;
        if (!parts_.empty() && parts_.back().what == part.what &&
            (part.what == kind::stop || part.what == kind::comma)) {
            text_part& last = parts_.back();
            const bool same = part.what == kind::stop || (text_[last.begin] == text_[part.begin]);
            if (same && skip(text_, last.end, is_blank) == part.begin) {
                last.end = part.end;
                return;
            }
        }
        parts_.push_back(part);
    }

    std::string_view text_;
    std::size_t run_ = 0, run_end_ = 0;  // what stands between two stretches of white space
    std::vector<text_part> parts_;
};

class punctuation_repair {
public:
    explicit punctuation_repair(std::string_view text)
        : text_(text), parts_(part_reader(text).read()), editor_(text) {}

    edited_text run() {
        pair_quotes();
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            if (i > 0 && !repair_gap(i)) continue;
            repair_mark(i);
        }
        if (!parts_.empty()) repair_lines(parts_.back().end, text_.size());
        return editor_.take();
    }

private:
    using kind = text_part::kind;

    std::string_view text_of(const text_part& part) const {
        return text_.substr(part.begin, part.end - part.begin);
    }
    char32_t first_of(const text_part& part) const { return character_at(text_, part.begin).point; }
    char32_t last_of(const text_part& part) const {
        return character_before(text_, part.end).point;
    }
    /// The lines that end between part i and the one before it.
    auto lines_before(std::size_t i) const {
        const auto gap = text_.substr(parts_[i - 1].end, parts_[i].begin - parts_[i - 1].end);
        return std::count(gap.begin(), gap.end(), '\n');
    }
    bool is_gap(std::size_t i) const {  // between part i and the one before it
        return i == 0 || i == parts_.size() || parts_[i - 1].end != parts_[i].begin;
    }

    /// The stops without blanks, and a full stop once.
    std::string stops_of(const text_part& part) const {
        std::string stops(text_of(part));
        std::erase_if(stops, [](char c) { return c == ' ' || c == '\t'; });
        const bool twice = stops == ".." && (part.end == text_.size() ||
                                             !is_word(character_at(text_, part.end).point));
        return twice ? "." : stops;
    }
    bool is_ellipsis(const text_part& part) const {
        const std::string stops = stops_of(part);
        return stops.starts_with("..") || stops.starts_with("…");
    }

    /// In each paragraph with an even number of straight quotes, which open and which close.
    void pair_quotes() {
        std::vector<std::size_t> quotes;  // of this paragraph
        for (std::size_t i = 0; i <= parts_.size(); ++i) {
            if (i == parts_.size() || (i > 0 && lines_before(i) > 1)) {
                for (std::size_t q = 0; quotes.size() % 2 == 0 && q < quotes.size(); ++q)
                    set_side(quotes[q], q % 2 == 0);
                quotes.clear();
            }
            if (i < parts_.size() && parts_[i].what == kind::quote) quotes.push_back(i);
        }
    }
    void set_side(std::size_t i, bool first) {
        const auto is_any = [&](std::size_t other, auto... kinds) {
            return ((parts_[other].what == kinds) || ...);
        };
        if (first)
            parts_[i].opens = is_gap(i) || is_any(i - 1, kind::opening);
        else
            parts_[i].closes =
                is_gap(i + 1) || is_any(i + 1, kind::comma, kind::stop, kind::closing);
    }

    /// The white space before part i; false when the part is dropped with it.
    bool repair_gap(std::size_t i) {
        const text_part &left = parts_[i - 1], &right = parts_[i];
        if (lines_before(i) > 0) {
            repair_lines(left.end, right.begin);
            return true;
        }
        if (i + 1 < parts_.size() && text_of(right).starts_with(",") && left.what != kind::stop &&
            parts_[i + 1].what == kind::stop && lines_before(i + 1) == 0 &&
            !is_ellipsis(parts_[i + 1])) {
            editor_.remove(left.end, right.end);
            parts_[i].begin = left.end;  // for what follows, the comma was never there
            parts_[i].what = kind::word;
            return false;
        }
        const bool had = left.end != right.begin;
        editor_.replace(left.end, right.begin, is_spaced(left, right, had) ? " " : "");
        return true;
    }

    /// Whether a space belongs between two parts; `had`: there was white space.
    bool is_spaced(const text_part& left, const text_part& right, bool had) const {
        if (right.what == kind::comma) return false;
        if (right.what == kind::stop) return had && is_ellipsis(right);
        if (right.what == kind::closing) return had && left.what == kind::opening;
        if (left.what == kind::opening) return had && is_one_of(first_of(right), U":;");
        if (left.opens || right.closes) return false;
        if (had) return !is_contraction(left, right);
        const bool asks = is_one_of(first_of(right), U"¿¡");
        if (left.what == kind::quote || right.what == kind::quote) return false;
        const bool word = right.what == kind::word && is_letter(first_of(right));
        if (left.what == kind::comma) return word || right.what == kind::opening;
        if (left.what == kind::stop)
            return asks || (word && (text_of(left) == "." || is_one_of(last_of(left), U"!?")));
        return asks && (left.what == kind::closing || is_letter(last_of(left)));
    }

    /// Do n't, he 's, I 'll.
    bool is_contraction(const text_part& left, const text_part& right) const {
        constexpr std::string_view ends[] = {"n't", "'t", "'s", "'re", "'ve", "'ll", "'m", "'d",
                                             "n’t", "’t", "’s", "’re", "’ve", "’ll", "’m", "’d"};
        return left.what == kind::word && right.what == kind::word && is_letter(last_of(left)) &&
               std::find(std::begin(ends), std::end(ends), text_of(right)) != std::end(ends);
    }

    void repair_mark(std::size_t i) {
        const text_part& part = parts_[i];
        if (part.what == kind::stop)
            editor_.replace(part.begin, part.end, stops_of(part));
        else if (part.what == kind::comma)
            editor_.replace(part.begin, part.end, text_of(part).substr(0, 1));
    }

    /// White space with ends of lines in it, or at the end of the text.
    void repair_lines(std::size_t begin, std::size_t end) {
        const std::string_view gap = text_.substr(begin, end - begin);
        const std::size_t first = gap.find('\n'), last = gap.rfind('\n');
        std::string repaired;
        if (first != gap.npos) {
            const bool dos = first > 0 && gap[first - 1] == '\r';
            for (std::size_t i = first == last ? 1 : 2; i > 0; --i) repaired += dos ? "\r\n" : "\n";
            if (end != text_.size()) repaired += gap.substr(last + 1);
        }
        editor_.replace(begin, end, repaired);
    }

    std::string_view text_;
    std::vector<text_part> parts_;
    text_editor editor_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
