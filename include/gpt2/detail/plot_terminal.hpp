// A plot as a field of characters: lines of * + o, marks by letters that are explained below it.
//
// Before: detail/log_axis.hpp, detail/terminal_lines.hpp. Next: picture_terminal.hpp.
#pragma once

#include "../picture.hpp"
#include "colour.hpp"
#include "log_axis.hpp"
#include "terminal_lines.hpp"
#include "visible_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a plot is drawn into, the top line first.
struct plot_field {
    std::size_t width, height;
    std::vector<std::string> lines;

    plot_field(std::size_t columns, std::size_t rows)
        : width(columns), height(rows), lines(rows, std::string(columns, ' ')) {}

    /// The character at a place from (0, 0), left below, to (1, 1); none outside.
    char* at(double x, double y) {
        if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) return nullptr;
        const auto column = std::lround(x * static_cast<double>(width - 1));
        const auto row = std::lround((1 - y) * static_cast<double>(height - 1));
        return &lines[static_cast<std::size_t>(row)][static_cast<std::size_t>(column)];
    }
};

inline constexpr std::string_view line_signs = "*+o%#";

inline plot_field field_of(const log_plot& p, const log_axis& x, const log_axis& y,
                           std::size_t columns) {
    plot_field field(columns, std::clamp<std::size_t>(columns / 3, 8, 22));
    for (std::size_t line = 0; line < p.lines.size(); ++line)
        for (std::size_t column = 0; column < columns; ++column) {
            const double place = static_cast<double>(column) / static_cast<double>(columns - 1);
            const auto height = height_of(p.lines[line], x.at(place));
            if (!height) continue;
            if (char* const sign = field.at(place, y.place(*height)))
                *sign = line_signs[line % line_signs.size()];
        }
    for (std::size_t i = 0; i < p.marks.size(); ++i)
        if (char* const sign = field.at(x.place(p.marks[i].at.x), y.place(p.marks[i].at.y)))
            *sign = mark_name(i);
    return field;
}

/// The numbers below the field, where they do not run into each other.
inline std::string axis_line(const log_axis& x, std::size_t columns) {
    std::string line(columns, ' ');
    std::size_t free = 0;
    for (const double decade : x.decades()) {
        const auto label = si_number(decade);
        const auto at = static_cast<std::size_t>(
            std::lround(x.place(decade) * static_cast<double>(columns - 1)));
        if (at < free || at + label.size() > columns) continue;
        line.replace(at, label.size(), label);
        free = at + label.size() + 1;
    }
    return line;
}

/// A line of the field: letters and signs in their colours.
inline void draw_field_line(terminal_lines& to, std::string_view line) {
    for (const char c : line) {
        const std::string_view one(&c, 1);
        if (c == ' ')
            to.add(one);
        else
            to.add_coloured(
                one,
                terminal_colour(line_signs.find(c) < line_signs.size() ? second_accent : accent));
    }
    to.end_line();
}

inline void draw_plot(terminal_lines& to, const log_plot& p, std::size_t width) {
    const auto line = [&](const std::string& text) {
        to.add(fitted(text, width));
        to.end_line();
    };
    if (!p.title.empty()) line(visible(p.title));
    const auto [x, y] = log_axis::of(p);
    constexpr std::size_t margin = 7;
    const auto field = field_of(p, x, y, std::min<std::size_t>(width - margin, 72));
    std::vector<std::string> labels(field.height);
    for (const double decade : y.decades()) {
        const auto row = std::lround((1 - y.place(decade)) * static_cast<double>(field.height - 1));
        labels[static_cast<std::size_t>(row)] = si_number(decade);
    }
    line(visible(p.y_axis));
    for (std::size_t row = 0; row < field.height; ++row) {
        to.add(std::string(margin - 2 - std::min(labels[row].size(), margin - 2), ' ') +
               fitted(labels[row], margin - 2) + (labels[row].empty() ? " |" : " +"));
        draw_field_line(to, field.lines[row]);
    }
    line(std::string(margin - 1, ' ') + '+' + std::string(field.width - 1, '-'));
    line(std::string(margin, ' ') + axis_line(x, field.width));
    line(std::string(margin, ' ') + visible(p.x_axis));
    for (std::size_t i = 0; i < p.lines.size(); ++i)
        line(std::string(1, line_signs[i % line_signs.size()]) + " " + visible(p.lines[i].label));
    for (std::size_t i = 0; i < p.marks.size(); ++i)
        line(std::string(1, mark_name(i)) + " " + visible(p.marks[i].label));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
