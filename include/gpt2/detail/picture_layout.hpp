// Where everything of a picture stands on paper.
//
// Before: picture.hpp, detail/drawing.hpp, detail/visible_text.hpp. Next: picture_svg.hpp,
// picture_png.hpp.
#pragma once

#include "../picture.hpp"
#include "colour.hpp"
#include "drawing.hpp"
#include "plot_layout.hpp"
#include "value_colour.hpp"
#include "visible_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

class picture_layout {
public:
    /// How bytes become a text that can be drawn.
    using text_rule = std::string (*)(std::string_view bytes);

    explicit picture_layout(text_rule shown) : shown_(shown) {}

    drawing operator()(const heat_map& p);
    drawing operator()(const map_grid& p);
    drawing operator()(const coloured_text& p);
    drawing operator()(const bar_chart& p);
    drawing operator()(const log_plot& p);

private:
    static constexpr double margin = 16, letters = 12, widest_map = 880;
    static constexpr std::size_t longest_label = 20, longest_text = 16;
    /// Above this many cells a file with a box and a hint for each would be large.
    static constexpr std::size_t many_cells = 8192;

    static double width_of(std::string_view text, double size) {
        return static_cast<double>(columns_of(text)) * letter_width * size;
    }
    std::string label(std::string_view bytes, std::size_t longest = longest_label) const {
        return fitted(shown_(dotted(bytes)), longest);
    }
    std::vector<std::string> labels(const std::vector<std::string>& all) const {
        std::vector<std::string> list;
        for (const auto& one : all) list.push_back(label(one));
        return list;
    }
    static double widest(const std::vector<std::string>& labels, double size) {
        double most = 0;
        for (const auto& one : labels) most = std::max(most, width_of(one, size));
        return most;
    }
    void reach(double x, double y) {
        made_.width = std::max(made_.width, x + margin);
        made_.height = std::max(made_.height, y + margin);
    }
    void write(caption one) {
        const double width = width_of(one.text, one.size);
        if (one.turned == caption::turn::none)
            reach(one.at.x + (one.from == caption::anchor::start    ? width
                              : one.from == caption::anchor::middle ? width / 2
                                                                    : 0),
                  one.at.y + one.size / 3);
        made_.add(std::move(one));
    }
    void fill(box one) {
        reach(one.corner.x + one.width, one.corner.y + one.height);
        made_.add(std::move(one));
    }
    /// The title; gives the y below it.
    double begin(std::string_view title) {
        made_ = {};
        made_.title = shown_(title);
        if (title.empty()) return margin;
        write({{margin, margin + 12}, made_.title, 14, {}, {}, ink, 1.5});
        return margin + 30;
    }
    drawing take() { return std::move(made_); }

    void draw_legend(const value_scale& scale, point at, bool not_numbers, std::string_view unit);
    void draw_text_legend(const coloured_text& p, point at);
    void draw_cells(const heat_map& p, point at, double width, double height);
    void draw_many_cells(const heat_map& p, point at, double size);

    text_rule shown_;
    drawing made_;
};

inline bool any_nan(const std::vector<float>& values) {
    return std::ranges::any_of(values, [](float x) { return std::isnan(x); });
}

inline void picture_layout::draw_legend(const value_scale& scale, point at, bool not_numbers,
                                        std::string_view unit) {
    constexpr int steps = 32;
    constexpr double step = 4, height = 10;
    const auto low = short_number(static_cast<double>(scale.low));
    write({{at.x, at.y + height}, low, letters, {}, {}, faint_ink});
    double x = at.x + width_of(low, letters) + 6;
    for (int i = 0; i < steps; ++i, x += step) {
        const auto colour = colour_of(scale, step_value(scale, i, steps));
        fill({{x, at.y}, step, height, painted(colour)});
    }
    auto high = short_number(static_cast<double>(scale.high));
    if (!unit.empty()) high += " " + shown_(unit);
    write({{x + 6, at.y + height}, high, letters, {}, {}, faint_ink});
    if (!not_numbers) return;
    x += 24 + width_of(high, letters);
    fill({{x, at.y}, height, height, painted(nan_colour)});
    write({{x + 16, at.y + height}, "NaN", letters, {}, {}, faint_ink});
}

inline void picture_layout::draw_cells(const heat_map& p, point at, double width, double height) {
    const double gap = std::min(width, height) >= 10 ? 1 : 0;
    const auto rows = labels(p.rows), columns = labels(p.columns);
    for (std::size_t row = 0; row < p.rows.size(); ++row)
        for (std::size_t column = 0; column < p.columns.size(); ++column) {
            if (!p.has(row, column)) continue;
            const float value = p.value(row, column);
            const auto colour = colour_of(p.scale, value);
            const point corner{at.x + static_cast<double>(column) * width,
                               at.y + static_cast<double>(row) * height};
            fill({corner, width - gap, height - gap, painted(colour),
                  rows[row] + ", " + columns[column] + ": " +
                      short_number(static_cast<double>(value))});
            const bool no_number = std::isnan(value) && p.texts.empty() && width >= 10;
            const auto text = no_number ? "?" : label(p.text(row, column), longest_text);
            if (text.empty()) continue;
            write({{corner.x + (width - gap) / 2, corner.y + height / 2 + 4},
                   text,
                   std::min(letters, height - 4),
                   caption::anchor::middle,
                   {},
                   ink_on(colour)});
        }
}

/// Neighbours of one colour as one box, and nothing that the pointer brings up.
inline void picture_layout::draw_many_cells(const heat_map& p, point at, double size) {
    for (std::size_t row = 0; row < p.rows.size(); ++row)
        for (std::size_t first = 0, last = 0; first < p.columns.size(); first = last) {
            last = first + 1;
            if (!p.has(row, first)) continue;
            const auto colour = coarse_colour_of(p.scale, p.value(row, first));
            while (last < p.columns.size() && p.has(row, last) &&
                   coarse_colour_of(p.scale, p.value(row, last)) == colour)
                ++last;
            fill(
                {{at.x + static_cast<double>(first) * size, at.y + static_cast<double>(row) * size},
                 static_cast<double>(last - first) * size,
                 size,
                 painted(colour)});
        }
}

inline drawing picture_layout::operator()(const heat_map& p) {
    const double top = begin(p.title);
    const auto rows = labels(p.rows), columns = labels(p.columns);
    double width = std::clamp(
        widest_map / static_cast<double>(std::max(columns.size(), rows.size())), 2.0, 24.0);
    double height = width;
    if (!p.texts.empty()) {
        std::size_t most = 2;
        for (const auto& text : p.texts)
            most = std::max(most, columns_of(label(text, longest_text)));
        width = static_cast<double>(most) * letter_width * letters + 12;
        height = 24;
    }
    const double size = std::clamp(height * 0.8, 7.0, letters);
    const auto every = static_cast<std::size_t>(std::ceil((size + 1) / height));
    const bool upright = !p.texts.empty();
    const double left = margin + widest(rows, size) + 6;
    const double first = top + (upright ? size + 8 : widest(columns, size) + 6);
    for (std::size_t i = 0; i < columns.size(); i += every) {
        const double x = left + (static_cast<double>(i) + 0.5) * width;
        if (upright)
            write(
                {{x, first - 7}, fitted(columns[i], longest_text), size, caption::anchor::middle});
        else
            write({{x + size / 3, first - 5}, columns[i], size, {}, caption::turn::upwards});
    }
    for (std::size_t i = 0; i < rows.size(); i += every)
        write({{left - 6, first + (static_cast<double>(i) + 0.5) * height + size / 3},
               rows[i],
               size,
               caption::anchor::end});
    if (p.values.size() > many_cells && p.texts.empty())
        draw_many_cells(p, {left, first}, width);
    else
        draw_cells(p, {left, first}, width, height);
    const double below = first + static_cast<double>(rows.size()) * height;
    reach(left + static_cast<double>(columns.size()) * width, below);
    draw_legend(p.scale, {left, below + 14}, any_nan(p.values), "");
    return take();
}

inline drawing picture_layout::operator()(const map_grid& p) {
    double x = margin, y = begin(p.title), lowest = y;
    constexpr double each = 132, gap = 20, most = 960;
    std::size_t in_row = 0;
    bool not_numbers = false;
    std::size_t cells = 0;
    for (const auto& map : p.maps) cells += map.values.size();
    for (const auto& map : p.maps) {
        const bool full = p.beside ? in_row == p.beside : x + each > most;
        if (in_row > 0 && full) {
            x = margin;
            y = lowest + gap;
            in_row = 0;
        }
        const auto size = std::max<std::size_t>({map.rows.size(), map.columns.size(), 1});
        const double cell = std::min(each / static_cast<double>(size), 24.0);
        write({{x, y + 10}, fitted(shown_(map.title), 18), letters, {}, {}, faint_ink});
        if (cells > many_cells)
            draw_many_cells(map, {x, y + 16}, cell);
        else
            draw_cells(map, {x, y + 16}, cell, cell);
        lowest = std::max(lowest, y + 16 + static_cast<double>(map.rows.size()) * cell);
        not_numbers = not_numbers || any_nan(map.values);
        x += each + gap;
        ++in_row;
    }
    if (!p.maps.empty()) draw_legend(p.maps.front().scale, {margin, lowest + 14}, not_numbers, "");
    return take();
}

/// What stands behind a stretch of text: the stronger the larger its number.
inline paint highlight(const value_scale& scale, float x) {
    constexpr double strongest = 0.6;  // what is written on it can still be read
    const double place = scale.place(x);
    if (std::isnan(place)) return painted(accent, 0);
    if (scale.colours == value_scale::kind::sequential) return painted(accent, strongest * place);
    return painted(place < 0.5 ? second_accent : accent, strongest * std::abs(2 * place - 1));
}

inline void picture_layout::draw_text_legend(const coloured_text& p, point at) {
    constexpr int steps = 24;
    constexpr double step = 6, height = 12;
    const auto low = short_number(static_cast<double>(p.scale.low));
    auto high = short_number(static_cast<double>(p.scale.high));
    if (!p.unit.empty()) high += " " + shown_(p.unit);
    write({{at.x, at.y + height - 2}, low, letters, {}, {}, faint_ink});
    double x = at.x + width_of(low, letters) + 6;
    for (int i = 0; i < steps; ++i, x += step)
        fill({{x, at.y}, step, height, highlight(p.scale, step_value(p.scale, i, steps))});
    write({{x + 6, at.y + height - 2}, high, letters, {}, {}, faint_ink});
}

inline drawing picture_layout::operator()(const coloured_text& p) {
    constexpr double size = 15, line = 26, letter = letter_width * size;
    constexpr std::size_t most = 88;
    const auto unit = p.unit.empty() ? "" : " " + shown_(p.unit);
    double y = begin(p.title);
    std::size_t column = 0;
    const auto end_line = [&] {
        y += line;
        column = 0;
    };
    for (const auto& part : p.parts) {
        const auto text = shown_(part.text);
        if (column > 0 && column + columns_of(text) > most) end_line();
        std::string hint;
        if (!std::isnan(part.value))
            hint = text + ": " + short_number(static_cast<double>(part.value)) + unit;
        for (std::string_view rest = text; !rest.empty();) {  // a part may be longer than a line
            const auto taken = beginning(rest, most - column);
            const auto width = columns_of(taken);
            const double x = margin + static_cast<double>(column) * letter;
            fill({{x, y},
                  static_cast<double>(width) * letter - 1,
                  line - 4,
                  highlight(p.scale, part.value),
                  hint});
            write({{x, y + 16}, std::string(taken), size});
            column += width;
            rest.remove_prefix(taken.size());
            if (!rest.empty()) end_line();
        }
        if (part.text.ends_with('\n')) end_line();
    }
    draw_text_legend(p, {margin, y + (column > 0 ? line : 0) + 10});
    return take();
}

inline drawing picture_layout::operator()(const bar_chart& p) {
    constexpr double longest = 420, line = 24, thick = 16;
    double y = begin(p.title);
    std::vector<std::string> names;
    for (const auto& one : p.bars) names.push_back(label(one.label));
    const double left = margin + widest(names, letters) + 8;
    for (std::size_t i = 0; i < names.size(); ++i, y += line) {
        const auto& one = p.bars[i];
        const double share = value_scale{0, p.full}.place(one.value);
        const double length = std::isnan(share) ? thick : share * longest;
        write({{left - 8, y + 12}, names[i], letters, caption::anchor::end});
        fill({{left, y}, length, thick, painted(std::isnan(share) ? nan_colour : accent)});
        const auto number = short_number(static_cast<double>(one.value));
        write({{left + length + 6, y + 12},
               one.note.empty() ? number : shown_(one.note),
               letters,
               {},
               {},
               faint_ink});
    }
    return take();
}

inline drawing picture_layout::operator()(const log_plot& p) {
    const double top = begin(p.title);
    const auto plot = plot_layout(p, {margin, top}, shown_).draw();
    for (const auto& shape : plot.shapes) made_.add(shape);
    reach(plot.width, plot.height);
    return take();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
