// A drawing as pixels: boxes, lines with soft edges, letters of the stroke font.
//
// Before: detail/drawing.hpp, detail/stroke_font.hpp. Next: picture_png.hpp.
#pragma once

#include "colour.hpp"
#include "drawing.hpp"
#include "stroke_font.hpp"
#include "utf8.hpp"
#include "visible_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a drawing is drawn on.
struct paper {
    rgb ground, ink, faint;

    rgb colour(const paint& p) const {
        if (p.tone == paint::tone::fixed) return p.colour;
        return p.tone == paint::tone::ink ? ink : faint;
    }
};

inline constexpr paper white_paper = {rgb_of(0xffffff), rgb_of(0x1a1a1a), rgb_of(0x595959)};
inline constexpr paper black_paper = {rgb_of(0x16181d), rgb_of(0xececec), rgb_of(0xa6a6a6)};

class raster {
public:
    /// `scale`: pixels of a unit of the drawing.
    raster(const drawing& d, const paper& on, double scale)
        : on_(on),
          scale_(scale),
          width_(static_cast<std::size_t>(std::ceil(d.width * scale))),
          height_(static_cast<std::size_t>(std::ceil(d.height * scale))),
          pixels_(width_ * height_, on.ground) {
        for (const auto& shape : d.shapes) std::visit([&](const auto& one) { draw(one); }, shape);
    }

    std::size_t width() const { return width_; }
    std::size_t height() const { return height_; }
    /// Row by row from the top.
    const std::vector<rgb>& pixels() const { return pixels_; }

private:
    struct range {
        std::size_t first, last;
    };
    /// Of the pixels from 0 to `size`, those whose middles lie between two places.
    static range covered(double from, double to, std::size_t size) {
        const auto at = [&](double x) {
            return static_cast<std::size_t>(
                std::clamp(std::round(x), 0.0, static_cast<double>(size)));
        };
        return {at(from), at(to)};
    }

    void blend(std::size_t x, std::size_t y, rgb colour, double share) {
        rgb& pixel = pixels_[y * width_ + x];
        pixel = mixed(pixel, colour, static_cast<unsigned>(std::clamp(share, 0.0, 1.0) * 256));
    }

    void draw(const box& b) {
        const auto columns = covered(b.corner.x * scale_, (b.corner.x + b.width) * scale_, width_);
        const auto rows = covered(b.corner.y * scale_, (b.corner.y + b.height) * scale_, height_);
        for (auto y = rows.first; y < rows.last; ++y)
            for (auto x = columns.first; x < columns.last; ++x)
                blend(x, y, on_.colour(b.fill), b.fill.opacity);
    }

    void draw(const stroke& s) {
        for (std::size_t i = 1; i < s.points.size(); ++i)
            segment(scaled(s.points[i - 1]), scaled(s.points[i]), s.width * scale_, s.colour);
    }

    void draw(const caption& c) {
        double along = 0;  // in units of the drawing, from where the text begins
        const double width = static_cast<double>(columns_of(c.text)) * letter_width * c.size;
        if (c.from != caption::anchor::start)
            along = c.from == caption::anchor::end ? -width : -width / 2;
        const char* const end = c.text.data() + c.text.size();
        for (const char* at = c.text.data(); at != end;) {
            const utf8_step step = read_utf8(at, end);
            if (const auto letter = glyph_of(step.point)) draw(*letter, c, along);
            along += letter_width * c.size;
            at += step.size;
        }
    }

    /// A letter that begins so far along its text.
    void draw(const glyph& letter, const caption& c, double along) {
        const double across = 0.1 * c.size, down = 0.118 * c.size;  // a unit of the font's grid
        const auto place = [&](point p) {
            const double x = along + p.x * across + 0.1 * c.size, y = p.y * down;
            const bool up = c.turned == caption::turn::upwards;
            return scaled(up ? point{c.at.x + y, c.at.y - x} : point{c.at.x + x, c.at.y + y});
        };
        const double thick = 0.1 * c.size * c.weight * scale_;
        each_line(letter, [&](const glyph_line& line) {
            for (std::size_t i = 1; i < line.size(); ++i) {
                const bool dot = line[i].x == line[i - 1].x && line[i].y == line[i - 1].y;
                segment(place(line[i - 1]), place(line[i]), dot ? 1.6 * thick : thick, c.fill);
            }
        });
    }

    point scaled(point p) const { return {p.x * scale_, p.y * scale_}; }

    /// A line with round ends: each pixel as far as it lies within.
    void segment(point a, point b, double thick, const paint& with) {
        const double radius = thick / 2, reach = radius + 1;
        const auto columns =
            covered(std::min(a.x, b.x) - reach, std::max(a.x, b.x) + reach, width_);
        const auto rows = covered(std::min(a.y, b.y) - reach, std::max(a.y, b.y) + reach, height_);
        const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
        for (auto y = rows.first; y < rows.last; ++y)
            for (auto x = columns.first; x < columns.last; ++x) {
                const double px = static_cast<double>(x) + 0.5 - a.x;
                const double py = static_cast<double>(y) + 0.5 - a.y;
                const double t =
                    length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0, 1.0) : 0;
                const double distance = std::hypot(px - t * dx, py - t * dy);
                const double share = std::clamp(radius + 0.5 - distance, 0.0, 1.0);
                if (share > 0) blend(x, y, on_.colour(with), share * with.opacity);
            }
    }

    paper on_;
    double scale_;
    std::size_t width_, height_;
    std::vector<rgb> pixels_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
