// Pictures as SVG: one file that needs nothing else, light or dark as its reader prefers.
//
// Texts are escaped and cannot become anything else; a label with letters from right to left stays
// in its own element. Letters are of the reader's monospace font, stretched to the place they have,
// so that nothing overlaps whatever font that is. The pointer brings up the numbers of cells.
//
// Before: picture.hpp, detail/picture_layout.hpp.
#pragma once

#include "detail/colour.hpp"
#include "detail/drawing.hpp"
#include "detail/picture_layout.hpp"
#include "detail/visible_text.hpp"
#include "picture.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Writes a drawing's shapes as elements.
class svg_writer {
public:
    explicit svg_writer(const drawing& d) {
        const auto width = number(std::ceil(d.width)), height = number(std::ceil(d.height));
        text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" +
                height + "\" viewBox=\"0 0 " + width + " " + height + "\" role=\"img\">\n<title>";
        append_escaped(d.title);
        text_ += "</title>\n<style>";
        text_ += style;
        text_ += "</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n";
        for (const auto& shape : d.shapes) std::visit([&](const auto& one) { write(one); }, shape);
        text_ += "</svg>\n";
    }

    std::string take() { return std::move(text_); }

private:
    static constexpr std::string_view style =
        "text{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        "white-space:pre}.paper{fill:#fff}.ink{fill:#1a1a1a}.faint{fill:#595959}"
        ".line{fill:none;stroke-linecap:round;stroke-linejoin:round}.line.ink{stroke:#1a1a1a}"
        ".line.faint{stroke:#595959}@media(prefers-color-scheme:dark){.paper{fill:#16181d}"
        ".ink{fill:#ececec}.faint{fill:#a6a6a6}.line.ink{stroke:#ececec}"
        ".line.faint{stroke:#a6a6a6}.line{fill:none}}";

    /// Two decimals at most.
    static std::string number(double x) {
        auto digits = fixed_number(x, 2);
        while (digits.ends_with('0')) digits.pop_back();
        if (digits.ends_with('.')) digits.pop_back();
        return digits;
    }

    void append_escaped(std::string_view text) {
        for (const char c : text) {
            switch (c) {
                case '&':
                    text_ += "&amp;";
                    break;
                case '<':
                    text_ += "&lt;";
                    break;
                case '>':
                    text_ += "&gt;";
                    break;
                case '"':
                    text_ += "&quot;";
                    break;
                default:
                    text_ += c;
            }
        }
    }
    void attribute(std::string_view name, const std::string& value) {
        text_ += ' ';
        text_ += name;
        text_ += "=\"" + value + "\"";
    }
    /// `what` is fill or stroke; the class says it where the colour follows the paper.
    void colour(std::string_view what, const paint& p, std::string classes = {}) {
        if (p.tone == paint::tone::fixed) {
            const auto value = static_cast<std::uint32_t>(p.colour.red) << 16 |
                               static_cast<std::uint32_t>(p.colour.green) << 8 | p.colour.blue;
            std::string hex = "#";
            append_hex(hex, value, 6);
            attribute(what, hex);
        } else {
            if (!classes.empty()) classes += ' ';
            classes += p.tone == paint::tone::ink ? "ink" : "faint";
        }
        if (!classes.empty()) attribute("class", classes);
        if (p.opacity != 1) attribute("opacity", number(p.opacity));
    }

    void write(const box& b) {
        text_ += "<rect";
        attribute("x", number(b.corner.x));
        attribute("y", number(b.corner.y));
        attribute("width", number(b.width));
        attribute("height", number(b.height));
        colour("fill", b.fill);
        if (b.hint.empty()) {
            text_ += "/>\n";
            return;
        }
        text_ += "><title>";
        append_escaped(b.hint);
        text_ += "</title></rect>\n";
    }

    void write(const caption& c) {
        if (c.text.empty()) return;
        text_ += "<text";
        if (c.turned == caption::turn::none) {
            attribute("x", number(c.at.x));
            attribute("y", number(c.at.y));
        } else {
            attribute("transform",
                      "translate(" + number(c.at.x) + " " + number(c.at.y) + ") rotate(-90)");
        }
        attribute("font-size", number(c.size));
        if (c.weight > 1) attribute("font-weight", "bold");
        if (c.from != caption::anchor::start)
            attribute("text-anchor", c.from == caption::anchor::middle ? "middle" : "end");
        const double width = static_cast<double>(columns_of(c.text)) * letter_width * c.size;
        attribute("textLength", number(width));
        attribute("lengthAdjust", "spacingAndGlyphs");
        attribute("xml:space", "preserve");
        colour("fill", c.fill);
        text_ += '>';
        append_escaped(c.text);
        text_ += "</text>\n";
    }

    void write(const stroke& s) {
        text_ += "<path";
        std::string path;
        for (const auto& p : s.points) {
            path += path.empty() ? 'M' : 'L';
            path += number(p.x) + ' ' + number(p.y);
        }
        attribute("d", path);
        attribute("stroke-width", number(s.width));
        colour("stroke", s.colour, "line");
        text_ += "/>\n";
    }

    std::string text_;
};

inline std::string svg_text(std::string_view bytes) { return visible(bytes, right_to_left::keep); }

}  // namespace detail

/// The picture as one SVG element, UTF-8. Raises invalid_argument (a scale that is none),
/// wrong_shape, limit_exceeded. O(cells and bytes).
inline std::string to_svg(const picture& what) {
    detail::picture_layout layout(detail::svg_text);
    const auto drawing = std::visit(
        [&](const auto& one) {
            detail::check(one);
            return layout(one);
        },
        what);
    return detail::svg_writer(drawing).take();
}

}  // namespace gpt2::inline GPT2_ABI
