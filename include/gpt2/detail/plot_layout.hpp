// A plot on paper: decades as thin lines, marks with letters that are explained below.
//
// Before: detail/log_axis.hpp, detail/drawing.hpp. Next: detail/picture_layout.hpp.
#pragma once

#include "../picture.hpp"
#include "colour.hpp"
#include "drawing.hpp"
#include "log_axis.hpp"
#include "visible_text.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {
namespace detail {

class plot_layout {
public:
    using text_rule = std::string (*)(std::string_view bytes);

    plot_layout(const log_plot& p, point corner, text_rule shown)
        : plot_(p),
          axes_(log_axis::of(p)),
          shown_(shown),
          left_(corner.x + 56),
          top_(corner.y + 20) {}

    drawing draw() {
        draw_axes();
        draw_lines();
        draw_marks();
        return std::move(made_);
    }

private:
    static constexpr double width = 600, height = 340, letters = 12;

    point at(const plot_point& p) const {
        return {left_ + axes_.first.place(p.x) * width,
                top_ + (1 - axes_.second.place(p.y)) * height};
    }
    void write(caption one) {
        const double end = static_cast<double>(columns_of(one.text)) * letter_width * one.size;
        const double middle = one.from == caption::anchor::middle ? 0.5 : 1;
        if (one.from != caption::anchor::end)
            made_.width = std::max(made_.width, one.at.x + end * middle);
        made_.height = std::max(made_.height, one.at.y + one.size / 3);
        made_.add(std::move(one));
    }

    void draw_axes() {
        const paint grid{paint::tone::faint, {}, 0.25};
        for (const double x : axes_.first.decades()) {
            const double place = left_ + axes_.first.place(x) * width;
            made_.add(stroke{{{place, top_}, {place, top_ + height}}, 1, grid});
            write({{place, top_ + height + 18},
                   si_number(x),
                   letters,
                   caption::anchor::middle,
                   {},
                   faint_ink});
        }
        for (const double y : axes_.second.decades()) {
            const double place = top_ + (1 - axes_.second.place(y)) * height;
            made_.add(stroke{{{left_, place}, {left_ + width, place}}, 1, grid});
            write({{left_ - 8, place + 4},
                   si_number(y),
                   letters,
                   caption::anchor::end,
                   {},
                   faint_ink});
        }
        const point foot{left_, top_ + height};
        made_.add(stroke{{{left_, top_}, foot, {left_ + width, foot.y}}, 1, faint_ink});
        write({{left_ - 48, top_ - 8}, shown_(plot_.y_axis), letters, {}, {}, faint_ink});
        write({{left_ + width / 2, foot.y + 38},
               shown_(plot_.x_axis),
               letters,
               caption::anchor::middle,
               {},
               faint_ink});
        made_.width = std::max(made_.width, left_ + width);
        below_ = foot.y + 64;
    }

    void draw_lines() {
        constexpr rgb colours[] = {second_accent, rgb_of(0x8f6fd0), rgb_of(0x2a9d76)};
        for (std::size_t i = 0; i < plot_.lines.size(); ++i) {
            const auto colour = painted(colours[i % std::size(colours)]);
            stroke line{{}, 2.5, colour};
            for (const auto& one : plot_.lines[i].points) line.points.push_back(at(one));
            if (!line.points.empty()) made_.add(std::move(line));
            made_.add(stroke{{{left_, below_ - 4}, {left_ + 18, below_ - 4}}, 2.5, colour});
            explain(plot_.lines[i].label);
        }
    }

    void draw_marks() {
        const auto disc = [&](point where) {
            made_.add(stroke{{where, where}, 9, painted(accent)});
        };
        for (std::size_t i = 0; i < plot_.marks.size(); ++i) {
            const auto place = at(plot_.marks[i].at);
            const std::string name(1, mark_name(i));
            disc(place);
            write({{place.x + 8, place.y + 12}, name, letters, {}, {}, ink, 1.5});
            disc({left_ + 4, below_ - 4});
            write({{left_ + 12, below_}, name, letters, {}, {}, ink, 1.5});
            explain(plot_.marks[i].label);
        }
    }

    void explain(std::string_view label) {
        write({{left_ + 26, below_}, shown_(label), letters});
        below_ += 20;
    }

    const log_plot& plot_;
    std::pair<log_axis, log_axis> axes_;
    text_rule shown_;
    double left_, top_, below_ = 0;
    drawing made_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
