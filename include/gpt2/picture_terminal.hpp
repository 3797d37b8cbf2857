// Pictures in a terminal: 256 colours, or none at all for a file, a log or a printer.
//
//     std::cout << gpt2::to_terminal(picture, {.width = 100});
//
// No line is longer than the width, as long as that is 20 at least: what does not fit beside each
// other stands below. Without colours a number is a digit or a sign, the stronger the larger.
// Nothing of a label reaches the terminal that would steer it (detail/visible_text.hpp).
//
// Before: picture.hpp, detail/terminal_lines.hpp, detail/plot_terminal.hpp.
#pragma once

#include "detail/colour.hpp"
#include "detail/plot_terminal.hpp"
#include "detail/terminal_lines.hpp"
#include "detail/value_colour.hpp"
#include "detail/visible_text.hpp"
#include "picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gpt2::inline GPT2_ABI {

struct terminal_options {
    std::size_t width = 80;  ///< columns, 20 at least
    terminal_colours colours = terminal_colours::xterm_256;
};

namespace detail {

/// The longest of some labels, in columns.
inline std::size_t longest(const std::vector<std::string>& labels) {
    std::size_t most = 0;
    for (const auto& label : labels) most = std::max(most, columns_of(label));
    return most;
}

inline std::vector<std::string> visible_labels(const std::vector<std::string>& labels) {
    std::vector<std::string> list;
    for (const auto& label : labels) list.push_back(visible_label(label));
    return list;
}

/// A label's characters one by one, marks with what they stand on.
inline std::vector<std::string> characters_of(std::string_view label) {
    std::vector<std::string> list;
    const char* const end = label.data() + label.size();
    for (const char* at = label.data(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        if (columns_of(step.point) > 0 || list.empty()) list.emplace_back();
        list.back().append(at, step.size);
        at += step.size;
    }
    return list;
}

/// A number on a scale as one or two characters: . : - = + * # % @, or with its sign, +0 … -9.
inline std::string shade(const value_scale& scale, float x) {
    const double place = scale.place(x);
    if (std::isnan(place)) return "?";
    if (scale.colours == value_scale::kind::sequential)
        return {".:-=+*#%@"[std::min(static_cast<int>(place * 9), 8)]};
    const int tenths = std::min(static_cast<int>(std::abs(place - 0.5) * 20), 9);
    return {place < 0.5 ? '-' : '+', static_cast<char>('0' + tenths)};
}

/// A number as it stands in a cell: two decimals where that says enough.
inline std::string cell_number(const value_scale& scale, float x) {
    const bool small = std::max(std::abs(scale.low), std::abs(scale.high)) < 10;
    return small ? fixed_number(static_cast<double>(x), 2) : short_number(static_cast<double>(x));
}

/// Draws with the width and the colours that are wanted.
class terminal_painter {
public:
    explicit terminal_painter(const terminal_options& how)
        : width_(how.width), to_(how.colours), coloured_(how.colours != terminal_colours::none) {}

    void operator()(const heat_map& p);
    void operator()(const map_grid& p);
    void operator()(const coloured_text& p);
    void operator()(const bar_chart& p);
    void operator()(const log_plot& p) { draw_plot(to_, p, width_); }

    std::string take() { return to_.take(); }

private:
    /// What the cells of a map have in common.
    struct cell_form {
        std::size_t width = 2;
        enum class kind { shades, numbers, texts } shows = kind::shades;
    };

    void title(std::string_view text) {
        if (!text.empty()) wrapped(visible(text));
    }
    void wrapped(std::string_view text);
    void legend(const value_scale& scale, std::string_view unit);
    cell_form form_of(const heat_map& p, std::size_t room) const;
    void header(const std::vector<std::string>& labels, const cell_form& form, std::size_t margin);
    void cell(const heat_map& p, std::size_t row, std::size_t column, const cell_form& form);
    void thumbnail_line(const heat_map& p, std::size_t line, std::size_t pooled);

    std::size_t width_;
    terminal_lines to_;
    bool coloured_;
};

/// Text in lines that fit.
inline void terminal_painter::wrapped(std::string_view text) {
    std::size_t at = 0;
    for (const auto& character : characters_of(text)) {
        if (at + columns_of(character) > width_) {
            to_.end_line();
            at = 0;
        }
        to_.add(character);
        at += columns_of(character);
    }
    to_.end_line();
}

/// From the lowest to the highest colour, as far as there is room.
inline void terminal_painter::legend(const value_scale& scale, std::string_view unit) {
    const bool signs = scale.colours == value_scale::kind::diverging;
    const auto low = short_number(static_cast<double>(scale.low)) + " ";
    const auto high = " " + short_number(static_cast<double>(scale.high));
    const std::size_t each = coloured_ ? 2 : signs ? 3 : 1, wanted = coloured_ && !signs ? 8 : 9;
    const auto room = width_ - std::min(low.size() + high.size(), width_);
    const auto steps = static_cast<int>(std::min(wanted, room / each));
    to_.add(low);
    for (int i = 0; i < steps; ++i) {
        const float x = step_value(scale, i, steps);
        if (coloured_)
            to_.add_on(terminal_colour_of(scale, x), "  ");
        else
            to_.add(padded(shade(scale, x), each));
    }
    to_.add(high);
    const auto left = room - static_cast<std::size_t>(steps) * each;
    if (!unit.empty() && left > 1) to_.add(" " + fitted(visible(unit), left - 1));
    to_.end_line();
}

inline terminal_painter::cell_form terminal_painter::form_of(const heat_map& p,
                                                             std::size_t room) const {
    using kind = cell_form::kind;
    if (!p.texts.empty()) {
        const auto most = std::min<std::size_t>(room - 1, 12);
        return {std::clamp<std::size_t>(longest(visible_labels(p.texts)), 2, most) + 1,
                kind::texts};
    }
    std::size_t number = 0;
    for (const float x : p.values) number = std::max(number, cell_number(p.scale, x).size());
    if ((number + 1) * p.columns.size() <= room) return {number + 1, kind::numbers};
    const bool narrow = coloured_ || p.scale.colours == value_scale::kind::sequential;
    const bool one = narrow && 2 * p.columns.size() > room && p.columns.size() <= room;
    return {one ? 1u : 2u, kind::shades};
}

/// The columns' labels: side by side where they have room, else from top to bottom.
inline void terminal_painter::header(const std::vector<std::string>& labels, const cell_form& form,
                                     std::size_t margin) {
    if (form.width >= 6) {
        to_.add_padded("", margin);
        for (const auto& label : labels)
            to_.add_padded(" " + fitted(label, form.width - 1), form.width);
        to_.end_line();
        return;
    }
    constexpr std::size_t deepest = 10;
    std::vector<std::vector<std::string>> all;
    std::size_t depth = 0;
    for (const auto& label : labels) {
        all.push_back(characters_of(fitted(label, deepest)));
        depth = std::max(depth, all.back().size());
    }
    for (std::size_t line = 0; line < depth; ++line) {
        to_.add_padded("", margin);
        for (const auto& characters : all) {
            const auto skipped = depth - characters.size();
            const std::string& character = line < skipped ? " " : characters[line - skipped];
            const auto before = form.width > 2 ? form.width - 2 : 0;  // over the last digit but one
            to_.add_padded("", before);
            to_.add_padded(columns_of(character) <= form.width ? character : "?",
                           form.width - before);
        }
        to_.end_line();
    }
}

inline void terminal_painter::cell(const heat_map& p, std::size_t row, std::size_t column,
                                   const cell_form& form) {
    if (!p.has(row, column)) return to_.add_padded("", form.width);
    const float x = p.value(row, column);
    std::string text;
    if (form.shows == cell_form::kind::texts)
        text = " " + fitted(visible_label(p.text(row, column)), form.width - 1);
    else if (form.shows == cell_form::kind::numbers)
        text = " " + cell_number(p.scale, x);
    else if (!coloured_ || std::isnan(x))
        text = shade(p.scale, x);
    text = padded(text, form.width);
    if (coloured_)
        to_.add_on(terminal_colour_of(p.scale, x), text);
    else
        to_.add(text);
}

inline void terminal_painter::operator()(const heat_map& p) {
    title(p.title);
    const auto rows = visible_labels(p.rows), columns = visible_labels(p.columns);
    const auto margin = std::min(longest(rows), width_ / 3) + 1, room = width_ - margin;
    const auto form = form_of(p, room);
    const auto beside = std::max<std::size_t>(room / form.width, 1);
    for (std::size_t first = 0; first < columns.size(); first += beside) {
        const auto last = std::min(first + beside, columns.size());
        const auto at = [&](std::size_t i) {
            return columns.begin() + static_cast<std::ptrdiff_t>(i);
        };
        header({at(first), at(last)}, form, margin);
        for (std::size_t row = 0; row < rows.size(); ++row) {
            if (!p.has(row, first)) continue;
            to_.add_padded(fitted(rows[row], margin - 1), margin);
            for (auto column = first; column < last; ++column) cell(p, row, column, form);
            to_.end_line();
        }
    }
    legend(p.scale, "");
}

/// The largest of a square of cells; NaN where one is, nothing where there are none.
inline const float* pooled_value(const heat_map& p, std::size_t row, std::size_t column,
                                 std::size_t pooled) {
    const float* best = nullptr;
    for (auto r = row * pooled; r < std::min((row + 1) * pooled, p.rows.size()); ++r)
        for (auto c = column * pooled; c < std::min((column + 1) * pooled, p.columns.size()); ++c) {
            if (!p.has(r, c)) continue;
            const float& x = p.values[r * p.columns.size() + c];
            if (!best || std::isnan(x) || x > *best) best = &x;
            if (std::isnan(x)) return best;
        }
    return best;
}

/// Two rows of a small map in one line of half blocks, or one row of shades.
inline void terminal_painter::thumbnail_line(const heat_map& p, std::size_t line,
                                             std::size_t pooled) {
    const auto count = (p.columns.size() + pooled - 1) / pooled;
    for (std::size_t column = 0; column < count; ++column) {
        if (!coloured_) {
            const float* const x = pooled_value(p, line, column, pooled);
            to_.add(x ? shade({p.scale.low, p.scale.high}, *x) : " ");
            continue;
        }
        const float* const top = pooled_value(p, 2 * line, column, pooled);
        const float* const bottom = pooled_value(p, 2 * line + 1, column, pooled);
        if (top && bottom)
            to_.add_halves(terminal_colour_of(p.scale, *top), terminal_colour_of(p.scale, *bottom));
        else if (top || bottom)
            to_.add_coloured(top ? "▀" : "▄", terminal_colour_of(p.scale, top ? *top : *bottom));
        else
            to_.add(" ");
    }
}

inline void terminal_painter::operator()(const map_grid& p) {
    title(p.title);
    constexpr std::size_t gap = 2, narrowest = 8;
    std::size_t widest_map = 1;
    for (const auto& map : p.maps) widest_map = std::max(widest_map, map.columns.size());
    const auto wanted = std::min(p.beside ? (width_ + gap) / p.beside : width_ / 2 + 1, width_);
    const auto most = std::max(wanted > gap ? wanted - gap : 1, narrowest);
    const auto pooled = (widest_map + most - 1) / most;
    const auto each = std::max((widest_map + pooled - 1) / pooled, narrowest);
    const auto fits = std::max<std::size_t>((width_ + gap) / (each + gap), 1);
    const auto beside = p.beside ? std::min(p.beside, fits) : fits;
    if (pooled > 1) wrapped(text_of({"largest of ", pooled, " x ", pooled, " cells"}));
    for (std::size_t first = 0; first < p.maps.size(); first += beside) {
        const auto last = std::min(first + beside, p.maps.size());
        std::size_t lines = 0;
        for (auto i = first; i < last; ++i) {
            const auto rows = (p.maps[i].rows.size() + pooled - 1) / pooled;
            lines = std::max(lines, coloured_ ? (rows + 1) / 2 : rows);
            to_.add_padded(fitted(visible(p.maps[i].title), each), each + gap);
        }
        to_.end_line();
        for (std::size_t line = 0; line < lines; ++line) {
            for (auto i = first; i < last; ++i) {
                thumbnail_line(p.maps[i], line, pooled);
                const auto drawn = (p.maps[i].columns.size() + pooled - 1) / pooled;
                to_.add_padded("", each + gap - drawn);
            }
            to_.end_line();
        }
    }
    if (!p.maps.empty()) legend(p.maps.front().scale, "");
}

/// A number in so many columns: with a decimal where that leaves a blank, else without.
inline std::string number_within(float x, std::size_t columns) {
    if (std::isnan(x)) return {};
    std::string number = fixed_number(static_cast<double>(x), 1);
    if (number.size() >= columns) number = fixed_number(static_cast<double>(x), 0);
    return number.size() <= columns ? number : std::string(columns, '+');
}

/// Without colours the numbers stand in lines of their own, each below the beginning of its part.
inline void terminal_painter::operator()(const coloured_text& p) {
    title(p.title);
    std::size_t at = 0;
    std::string numbers;
    const auto end_line = [&] {
        to_.end_line();
        if (!coloured_ && !numbers.empty()) {
            to_.add(numbers);
            to_.end_line();
        }
        at = 0;
        numbers.clear();
    };
    for (const auto& part : p.parts) {
        const auto text = visible(part.text);
        const auto columns = columns_of(text);
        if (at > 0 && at + columns > width_) end_line();
        numbers.resize(at, ' ');
        numbers += number_within(part.value, std::min(columns, width_));
        for (const auto& character : characters_of(text)) {
            if (at + columns_of(character) > width_) end_line();  // a part longer than a line
            if (coloured_ && !std::isnan(part.value))
                to_.add_on(terminal_colour_of(p.scale, part.value), character);
            else
                to_.add(character);
            at += columns_of(character);
        }
        if (part.text.ends_with('\n')) end_line();
    }
    if (at > 0) end_line();
    legend(p.scale, p.unit);
}

inline void terminal_painter::operator()(const bar_chart& p) {
    title(p.title);
    std::vector<std::string> labels;
    std::size_t notes = 0;
    for (const auto& one : p.bars) {
        labels.push_back(visible_label(one.label));
        notes = std::max(notes, columns_of(visible(one.note)));
    }
    const auto margin = std::min(longest(labels), width_ / 3) + 1;
    const auto behind = std::min(std::max<std::size_t>(notes, 8) + 1, width_ / 3);
    const auto room = width_ - margin - behind;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const auto& one = p.bars[i];
        to_.add_padded(fitted(labels[i], margin - 1), margin);
        const double share = value_scale{0, p.full}.place(one.value);
        const auto eighths =
            std::isnan(share)
                ? 0
                : static_cast<std::size_t>(share * 8 * static_cast<double>(room) + 0.5);
        if (coloured_)
            to_.add_bar(eighths, terminal_colour(accent));
        else
            to_.add(std::string((eighths + 4) / 8, '#'));
        const auto note =
            one.note.empty() ? short_number(static_cast<double>(one.value)) : one.note;
        to_.add(" " + fitted(visible(note), behind - 1));
        to_.end_line();
    }
}

}  // namespace detail

/// The picture as lines, each ended by \n. Raises invalid_argument (a width below 20, a scale that
/// is none), wrong_shape, limit_exceeded. O(cells and bytes).
inline std::string to_terminal(const picture& what, const terminal_options& how = {}) {
    if (how.width < 20)
        detail::fail(errc::invalid_argument, "to_terminal: width", "20 columns at least",
                     how.width);
    detail::terminal_painter painter(how);
    std::visit(
        [&](const auto& one) {
            detail::check(one);
            painter(one);
        },
        what);
    return painter.take();
}

}  // namespace gpt2::inline GPT2_ABI
