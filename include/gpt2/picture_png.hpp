// Pictures as PNG, for what shows no SVG.
//
// Letters are those of the library's own font: ASCII and western European letters; others stand
// there as escapes like \u4e2d.
//
// Before: picture.hpp, detail/picture_layout.hpp, detail/raster.hpp, detail/deflate.hpp.
#pragma once

#include "detail/crc32.hpp"
#include "detail/deflate.hpp"
#include "detail/picture_layout.hpp"
#include "detail/raster.hpp"
#include "detail/stroke_font.hpp"
#include "error.hpp"
#include "picture.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace gpt2::inline GPT2_ABI {

enum class png_theme { light, dark };

struct png_options {
    double scale = 2;  ///< pixels of a unit, which is a pixel of an SVG; from 0.5 to 8
    png_theme theme = png_theme::light;
};

namespace detail {

inline std::string png_chunk(std::string_view type, std::string_view data) {
    const std::string body = std::string(type).append(data);
    return big_endian(static_cast<std::uint32_t>(data.size())) + body + big_endian(crc32(body));
}

/// Rows of red, green and blue bytes, each row behind the byte 0: not filtered.
inline std::string png_of(const raster& from) {
    const std::size_t row_bytes = 1 + 3 * from.width();
    std::string rows;
    rows.reserve(row_bytes * from.height());
    for (std::size_t i = 0; i < from.pixels().size(); ++i) {
        if (i % from.width() == 0) rows += '\0';
        for (const auto byte :
             {from.pixels()[i].red, from.pixels()[i].green, from.pixels()[i].blue})
            rows += static_cast<char>(byte);
    }
    constexpr std::size_t window = 32768;
    const std::array<std::size_t, 2> distances = {3, row_bytes};
    const auto known = std::span(distances).first(row_bytes <= window ? 2 : 1);
    constexpr std::string_view eight_bit_rgb("\x08\x02\x00\x00\x00", 5);
    const auto header = big_endian(static_cast<std::uint32_t>(from.width())) +
                        big_endian(static_cast<std::uint32_t>(from.height()));
    return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header + std::string(eight_bit_rgb)) +
           png_chunk("IDAT", deflater(known).compress(rows)) + png_chunk("IEND", "");
}

}  // namespace detail

/// The picture as the bytes of a PNG file. Raises invalid_argument (a scale that is none),
/// wrong_shape, limit_exceeded (also above 64 million pixels). O(pixels).
inline std::string to_png(const picture& what, const png_options& how = {}) {
    if (!(how.scale >= 0.5 && how.scale <= 8))
        detail::fail(errc::invalid_argument, "to_png: scale", "from 0.5 to 8",
                     detail::short_number(how.scale));
    detail::picture_layout layout(detail::drawable);
    const auto drawing = std::visit(
        [&](const auto& one) {
            detail::check(one);
            return layout(one);
        },
        what);
    constexpr double most = 64e6;
    if (drawing.width * drawing.height * how.scale * how.scale > most)
        detail::fail(errc::limit_exceeded, "to_png", "at most 64 million pixels",
                     {static_cast<std::uint64_t>(drawing.width * how.scale), " x ",
                      static_cast<std::uint64_t>(drawing.height * how.scale)});
    const auto& paper = how.theme == png_theme::dark ? detail::black_paper : detail::white_paper;
    return detail::png_of(detail::raster(drawing, paper, how.scale));
}

}  // namespace gpt2::inline GPT2_ABI
