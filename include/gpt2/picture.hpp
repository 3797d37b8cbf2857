// Pictures as values: what is to be seen, and nothing of how it is drawn.
//
//     gpt2::heat_map map{.title = "attention", .rows = words, .columns = words, .values = weights};
//     std::cout << gpt2::to_terminal(map);
//
// Labels may be any bytes, such as the tokens of half a character: whoever draws shows what is no
// plain text as escapes. A number that is none (NaN) is drawn as such.
//
// Before: error.hpp. Next: picture_terminal.hpp, picture_svg.hpp, picture_png.hpp, which draw;
// model_pictures.hpp, which makes pictures of a model at work.
#pragma once

#include "core.hpp"
#include "error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Which number has which colour: from `low` to `high`, what lies outside like the nearer end.
struct value_scale {
    enum class kind {
        sequential,  ///< from dark to bright
        diverging,   ///< one colour for each sign, grey in the middle
    };

    float low = 0, high = 1;
    kind colours = kind::sequential;

    /// 0 for low, 1 for high; NaN for NaN.
    double place(float x) const {
        if (std::isnan(x)) return std::numeric_limits<double>::quiet_NaN();
        if (!(high > low)) return x > low ? 1 : 0;
        const double span = static_cast<double>(high) - static_cast<double>(low);
        return std::clamp((static_cast<double>(x) - static_cast<double>(low)) / span, 0.0, 1.0);
    }

    /// From the least to the largest of what is finite; diverging, equally far to both sides of 0.
    static value_scale of(std::span<const float> values, kind colours = kind::sequential) {
        value_scale found{0, 0, colours};
        bool any = false;
        for (const float x : values) {
            if (!std::isfinite(x)) continue;
            found.low = any ? std::min(found.low, x) : x;
            found.high = any ? std::max(found.high, x) : x;
            any = true;
        }
        if (colours == kind::diverging) {
            found.high = std::max(std::abs(found.low), std::abs(found.high));
            found.low = -found.high;
        }
        return found;
    }
};

/// Which cells of a map there are.
enum class cells {
    all,
    causal,  ///< of R rows and C columns, row r has the first C - R + r + 1
};

/// A matrix as colours.
struct heat_map {
    std::string title;
    std::vector<std::string> rows, columns;  ///< labels; they say how many there are
    std::vector<float> values;               ///< (rows, columns)
    std::vector<std::string> texts = {};     ///< what is written into each cell, or nothing at all
    value_scale scale = {};
    cells there = cells::all;

    bool has(std::size_t row, std::size_t column) const {
        return there == cells::all || column + rows.size() <= columns.size() + row;
    }
    float value(std::size_t row, std::size_t column) const {
        return values[row * columns.size() + column];
    }
    std::string_view text(std::size_t row, std::size_t column) const {
        return texts.empty() ? std::string_view() : texts[row * columns.size() + column];
    }
};

/// Many small maps beside each other, such as the heads of a layer; their labels are not drawn.
struct map_grid {
    std::string title;
    std::vector<heat_map> maps;
    std::size_t beside = 0;  ///< how many in a row; 0: as many as there is room for
};

/// A stretch of a text with a number; NaN where it has none.
struct valued_text {
    std::string text;
    float value = std::numeric_limits<float>::quiet_NaN();
};

/// A running text whose stretches are the more coloured the larger their numbers.
struct coloured_text {
    std::string title;
    std::vector<valued_text> parts;
    value_scale scale = {};
    std::string unit = {};
};

struct bar {
    std::string label;
    float value = 0;
    std::string note = {};  ///< written behind the bar; empty: the value
};

/// Bars beside each other, from 0 to `full`.
struct bar_chart {
    std::string title;
    std::vector<bar> bars;
    float full = 1;
};

struct plot_point {
    double x, y;
};
struct plot_line {
    std::string label;
    std::vector<plot_point> points;
};
struct plot_mark {
    std::string label;
    plot_point at;
};

/// Lines and marks over two logarithmic axes.
struct log_plot {
    std::string title, x_axis, y_axis;
    std::vector<plot_line> lines;
    std::vector<plot_mark> marks;
};

using picture = std::variant<heat_map, map_grid, coloured_text, bar_chart, log_plot>;

namespace detail {

/// Three digits and no more: 0.042, 1.5, 12, 1.2e+06.
inline std::string short_number(double x) {
    if (std::isnan(x)) return "NaN";
    if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
    std::array<char, 32> digits;
    const auto end =
        std::to_chars(digits.begin(), digits.end(), x, std::chars_format::general, 3).ptr;
    return {digits.data(), end};
}

/// The same with a fixed number of decimals.
inline std::string fixed_number(double x, int decimals) {
    if (!std::isfinite(x)) return short_number(x);
    std::array<char, 400> digits;
    const auto end =
        std::to_chars(digits.begin(), digits.end(), x, std::chars_format::fixed, decimals).ptr;
    return {digits.data(), end};
}

/// More cells, parts or points than these are no picture any more.
inline constexpr std::size_t most_cells = std::size_t{1} << 20;

inline void require_count(std::string_view what, std::size_t expected, std::size_t found) {
    if (expected != found) fail(errc::wrong_shape, {"picture: ", what}, expected, found);
}

inline void require_few(std::string_view what, std::size_t found) {
    if (found > most_cells)
        fail(errc::limit_exceeded, {"picture: ", what}, {"at most ", most_cells}, found);
}

inline void require_range(std::string_view what, bool good) {
    if (!good)
        fail(errc::invalid_argument, {"picture: ", what}, "finite numbers in order", "others");
}

inline void check(const value_scale& s) {
    require_range("scale", std::isfinite(s.low) && std::isfinite(s.high) && s.low <= s.high);
}

inline void check(const heat_map& p) {
    require_few("rows", p.rows.size());
    require_few("columns", p.columns.size());
    require_few("cells", p.rows.size() * p.columns.size());
    require_count("values", p.rows.size() * p.columns.size(), p.values.size());
    if (!p.texts.empty()) require_count("texts", p.values.size(), p.texts.size());
    if (p.there == cells::causal && p.columns.size() < p.rows.size())
        fail(errc::wrong_shape, "picture: causal map", "at least as many columns as rows",
             {p.rows.size(), " rows, ", p.columns.size(), " columns"});
    check(p.scale);
}

inline void check(const map_grid& p) {
    std::size_t sum = 0;
    for (const auto& map : p.maps) {
        check(map);
        sum += map.values.size();
    }
    require_few("cells", sum);
}

inline void check(const coloured_text& p) {
    std::size_t sum = 0;
    for (const auto& part : p.parts) sum += part.text.size() + 1;
    require_few("bytes", sum);
    check(p.scale);
}

inline void check(const bar_chart& p) {
    require_few("bars", p.bars.size());
    require_range("full", std::isfinite(p.full) && p.full > 0);
}

inline void check(const log_plot& p) {
    const auto check_point = [](const plot_point& at) {
        require_range("points", at.x > 0 && at.y > 0 && std::isfinite(at.x) && std::isfinite(at.y));
    };
    for (const auto& line : p.lines) {
        require_few("points", line.points.size());
        for (const auto& at : line.points) check_point(at);
    }
    for (const auto& mark : p.marks) check_point(mark.at);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
