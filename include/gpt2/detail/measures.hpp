// Numbers and units as one language writes them, read from either: 5.4cm, 5,4 cm and 5,4
// centímetros are one measure.
//
// Numbers are digits, never values: nothing is rounded, and no locale of the process is asked. What
// is no number of one of both languages (1.2.3, 10:30, 3/4, v2.5) stays as it is. O(n).
//
// Before: detail/units.hpp, detail/sentences.hpp, text_edit.hpp. Next: post_process.hpp.
#pragma once

#include "../text_edit.hpp"
#include "sentences.hpp"
#include "units.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

enum class unit_form { names, symbols };  ///< centímetros or cm

/// What divides the thousands.
enum class digit_groups {
    as_read,  ///< the language's mark, where there was one
    marks,    ///< the language's mark, in numbers of five digits and more
    none,
};

/// How numbers and units are written.
struct measure_style {
    language to = language::spanish;
    /// What 1.234 means: a thousand and more in Spanish, one and a bit in English.
    language from = language::spanish;
    unit_form units = unit_form::names;
    digit_groups groups = digit_groups::as_read;
    std::string gap = " ";  ///< between a number and its unit
};

namespace detail {

/// The digits of a number that may have had marks in it.
struct written_number {
    std::string whole, fraction;
    bool grouped = false;
};

inline std::string number_in(language to, const written_number& number, digit_groups groups) {
    const bool english = to == language::english;
    const bool grouped = groups == digit_groups::as_read
                             ? number.grouped
                             : groups == digit_groups::marks && number.whole.size() > 4;
    std::string text;
    for (std::size_t left = number.whole.size(); left > 0; --left) {
        text += number.whole[number.whole.size() - left];
        if (grouped && left > 1 && left % 3 == 1) text += english ? ',' : '.';
    }
    if (!number.fraction.empty()) text += (english ? '.' : ',') + number.fraction;
    return text;
}

/// Every spelling of every unit.
class unit_spellings {
public:
    static const unit_spellings& instance() {
        static const unit_spellings table;
        return table;
    }

    struct spelling {
        const unit* of = nullptr;
        bool is_symbol = false;
        std::size_t size = 0;  // bytes
    };

    /// The longest unit at the beginning of `text`; `attached`: nothing divides it from its number.
    std::optional<spelling> find(std::string_view text, bool attached) const {
        std::optional<spelling> found;
        std::string lower;
        for (std::size_t size = 0; size < text.size();) {
            const std::size_t last = character_at(text, size).size;
            lower += lowercased(text.substr(size, last));
            size += last;
            const std::string_view word = text.substr(0, size);
            const auto symbol = symbols_.lower_bound(word);
            const auto name = names_.lower_bound(lower);
            const bool symbols_left = symbol != symbols_.end() && symbol->first.starts_with(word);
            const bool names_left = name != names_.end() && name->first.starts_with(lower);
            if (!symbols_left && !names_left) break;
            if (goes_on(text, size)) continue;
            if (symbols_left && symbol->first == word) {
                if (attached || symbol->second->where != unit::place::only_attached)
                    found = {symbol->second, true, size};
            } else if (names_left && name->first == lower) {
                found = {name->second, false, size};
            }
        }
        return found;
    }

private:
    unit_spellings() {
        for (const unit& one : units) {
            for_each_word(one.symbols, [&](std::string_view word) { symbols_[word] = &one; });
            for_each_word(one.other_names, [&](std::string_view word) { add(word, one); });
            for (const language of : {language::english, language::spanish}) {
                add(one.name(of).one, one);
                add(one.name(of).many, one);
            }
        }
    }
    void add(std::string_view name, const unit& of) { names_[lowercased(name)] = &of; }

    template <class Word>
    static void for_each_word(std::string_view list, Word&& word) {
        for (std::size_t at = 0; at < list.size();) {
            const std::size_t end = std::min(list.find(' ', at), list.size());
            word(list.substr(at, end - at));
            at = end + 1;
        }
    }

    /// Whether a word or symbol does not end at `at`.
    static bool goes_on(std::string_view text, std::size_t at) {
        if (at == text.size()) return false;
        const text_character next = character_at(text, at);
        if (is_word(next.point) || class_of(next.point) == char_class::number) return true;
        if (!is_one_of(next.point, U"/-^·'’")) return false;
        const std::size_t behind = at + next.size;
        return behind < text.size() && is_word(character_at(text, behind).point);
    }

    std::map<std::string_view, const unit*> symbols_;
    std::map<std::string, const unit*> names_;
};

/// Reads numbers with their units, and writes them in one style.
class measure_writer {
public:
    measure_writer(std::string_view text, const measure_style& style)
        : text_(text), style_(style), editor_(text) {}

    edited_text run() {
        for (std::size_t at = 0; at < text_.size();) {
            const std::size_t begin = at;
            if (is_digit_at(at) || (text_[at] == '.' && is_digit_at(at + 1))) at = take(at);
            at = std::max(at, begin + 1);
        }
        return editor_.take();
    }

private:
    bool is_digit_at(std::size_t at) const {
        return at < text_.size() && text_[at] >= '0' && text_[at] <= '9';
    }
    std::size_t behind_digits(std::size_t at) const {
        while (is_digit_at(at)) ++at;
        return at;
    }
    char32_t point_before(std::size_t at) const {
        return at == 0 ? U' ' : character_before(text_, at).point;
    }

    /// The mark between two groups of digits, and its size: a point, a comma, or a narrow space
    /// before three digits; 0 when there is none.
    std::pair<char32_t, std::size_t> mark_at(std::size_t at) const {
        if (at == text_.size()) return {0, 0};
        const text_character mark = character_at(text_, at);
        const std::size_t behind = at + mark.size;
        const bool plain = mark.point == U'.' || mark.point == U',';
        const bool narrow = is_one_of(mark.point, U"\u00A0\u2009\u202F");
        if (!is_digit_at(behind) || !(plain || (narrow && behind_digits(behind) == behind + 3)))
            return {0, 0};
        return {narrow ? U' ' : mark.point, mark.size};
    }

    /// Writes the measure at `at` anew; gives the place behind all its digits and marks.
    std::size_t take(std::size_t at) {
        const std::size_t begin = at;
        std::vector<std::string_view> groups;
        std::u32string marks;
        if (text_[at] == '.') marks += U'.', groups.emplace_back(), ++at;
        for (;;) {
            const std::size_t end = behind_digits(at);
            groups.push_back(text_.substr(at, end - at));
            at = end;
            const auto [mark, size] = mark_at(at);
            if (mark == 0) break;
            marks += mark;
            at += size;
        }
        const auto number = read(groups, marks);
        if (number && !is_part(begin, at)) return write(begin, at, *number);
        return at;
    }

    /// Whether what stands around the digits makes them something else: a name, a date, a time.
    bool is_part(std::size_t begin, std::size_t end) const {
        const char32_t before = point_before(begin);
        if (is_word(before) || is_one_of(before, U"/.,#@")) return true;
        const bool divides = end < text_.size() && (text_[end] == '/' || text_[end] == ':');
        if (divides && is_digit_at(end + 1)) return true;
        return before == U':' && begin > 1 && is_digit_at(begin - 2);
    }

    /// Which marks divide thousands and which the fraction, if this is a number at all.
    std::optional<written_number> read(const std::vector<std::string_view>& groups,
                                       const std::u32string& marks) const {
        written_number number{std::string(groups[0]), {}, false};
        if (marks.empty()) return number;
        const char32_t last = marks.back();
        const bool once = std::count(marks.begin(), marks.end(), last) == 1;
        const auto is_group = [](std::string_view digits) { return digits.size() == 3; };
        const char32_t thousands = style_.from == language::english ? U',' : U'.';
        const bool may_group = std::all_of(groups.begin() + 1, groups.end(), is_group) &&
                               groups[0].size() <= 3 && !groups[0].empty() && groups[0] != "0";
        const bool fraction =
            last != U' ' && once && (marks.size() > 1 || !may_group || last != thousands);
        const auto others = marks.substr(0, marks.size() - (fraction ? 1 : 0));
        for (std::size_t i = 0; i < others.size(); ++i) {
            if (others[i] != others[0] || !is_group(groups[i + 1])) return std::nullopt;
            number.whole += groups[i + 1];
        }
        number.grouped = !others.empty();
        if (number.grouped && (groups[0].empty() || groups[0].size() > 3)) return std::nullopt;
        if (fraction) number.fraction = groups.back();
        if (number.whole.empty()) number.whole = "0";
        return number;
    }

    std::size_t write(std::size_t begin, std::size_t end, const written_number& number) {
        std::size_t gap = skip(
            text_, end, [](char32_t point) { return is_one_of(point, U" \u00A0\u2009\u202F"); });
        const bool money = is_one_of(point_before(begin), U"$£€¥");
        const auto found = unit_spellings::instance().find(text_.substr(gap), gap == end);
        if (!found || money) {
            const bool bare = number.fraction.empty() && !number.grouped;
            const bool free = end == text_.size() || !is_word(character_at(text_, end).point);
            if (free && !bare)
                editor_.replace(begin, end, number_in(style_.to, number, style_.groups));
            return end;
        }
        const std::string digits = number_in(style_.to, number, style_.groups);
        const unit& of = *found->of;
        std::size_t behind = gap + found->size;
        const bool one = number.fraction.empty() && number.whole == "1";
        if (style_.units == unit_form::symbols) {
            const bool attached = of.where == unit::place::attached;
            editor_.replace(begin, behind,
                            digits + (attached ? "" : style_.gap) + std::string(of.symbol()));
        } else if (!found->is_symbol && is_name_in(of, text_.substr(gap, found->size))) {
            editor_.replace(begin, end, digits);
        } else {
            const unit_name& name = of.name(style_.to);
            if (found->is_symbol && is_abbreviation(behind)) ++behind;
            editor_.replace(begin, behind, digits + " " + std::string(one ? name.one : name.many));
        }
        return behind;
    }

    bool is_name_in(const unit& of, std::string_view spelled) const {
        const std::string lower = lowercased(spelled);
        const unit_name& name = of.name(style_.to);
        return lower == lowercased(name.one) || lower == lowercased(name.many);
    }

    /// Whether the full stop at `at` belongs to a symbol, as in "8 gr. de sal".
    bool is_abbreviation(std::size_t at) const {
        if (at == text_.size() || text_[at] != '.') return false;
        if (at + 1 < text_.size() && text_[at + 1] == ',') return true;
        const std::size_t next = skip(text_, at + 1, is_space);
        return next > at + 1 && next < text_.size() && is_lower(character_at(text_, next).point);
    }

    std::string_view text_;
    const measure_style& style_;
    text_editor editor_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
