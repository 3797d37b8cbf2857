// A drawing: boxes, captions and strokes on paper, in units of about a pixel, y downwards. What
// pictures are laid out into, and what SVG and PNG are written from.
//
// Before: detail/colour.hpp. Next: detail/picture_layout.hpp, picture_svg.hpp, picture_png.hpp.
#pragma once

#include "colour.hpp"

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A colour of its own, or one that follows the paper: black on white or white on black.
struct paint {
    enum class tone { fixed, ink, faint } tone = tone::ink;
    rgb colour = {};
    double opacity = 1;
};

constexpr paint painted(rgb colour, double opacity = 1) {
    return {paint::tone::fixed, colour, opacity};
}
inline constexpr paint ink{}, faint_ink{paint::tone::faint};

/// What is written on that colour.
constexpr paint ink_on(rgb background) {
    return painted(is_light(background) ? rgb{0, 0, 0} : rgb{255, 255, 255});
}

struct point {
    double x = 0, y = 0;
};

struct box {
    point corner;  ///< left above
    double width = 0, height = 0;
    paint fill = {};
    std::string hint = {};  ///< what the pointer brings up, where that is possible
};

struct caption {
    enum class anchor { start, middle, end };
    enum class turn { none, upwards };

    point at;  ///< on the baseline
    std::string text;
    double size = 12;
    anchor from = anchor::start;
    turn turned = turn::none;
    paint fill = {};
    double weight = 1;
};

/// A line through points with round ends; a single point twice is a disc.
struct stroke {
    std::vector<point> points;
    double width = 1;
    paint colour = {};
};

struct drawing {
    std::string title;
    double width = 0, height = 0;
    std::vector<std::variant<box, caption, stroke>> shapes = {};

    template <class Shape>
    void add(Shape one) {
        shapes.emplace_back(std::move(one));
    }
};

/// Letters are as wide as this part of their size, all of them.
inline constexpr double letter_width = 0.6;

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
