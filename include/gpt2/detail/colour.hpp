// Colours: the ramps that stand for numbers, and the 256 colours of terminals.
//
// Ramps are points at equal steps of lightness in OKLab (Ottosson 2020), with hues that stay apart
// for colour-blind readers, and straight lines between them: integers alone, the same everywhere.
//
// Before: core.hpp. Next: picture.hpp, detail/drawing.hpp.
#pragma once

#include "../core.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace detail {

struct rgb {
    std::uint8_t red = 0, green = 0, blue = 0;

    bool operator==(const rgb&) const = default;
};

constexpr rgb rgb_of(std::uint32_t hex) {
    return {static_cast<std::uint8_t>(hex >> 16), static_cast<std::uint8_t>(hex >> 8),
            static_cast<std::uint8_t>(hex)};
}

/// `share` of 256 parts of b, the rest of a.
constexpr rgb mixed(rgb a, rgb b, unsigned share) {
    const auto mix = [&](unsigned x, unsigned y) {
        return static_cast<std::uint8_t>((x * (256 - share) + y * share + 128) / 256);
    };
    return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

/// Violet over blue and green to yellow: OKLab lightness 0.24 to 0.94.
inline constexpr std::array<std::uint32_t, 9> sequential_ramp = {
    0x2d0549, 0x2e2770, 0x154a8f, 0x026d94, 0x068e9a, 0x06b09a, 0x56ce84, 0xb3e167, 0xffed85};
/// Blue over grey to brown: lightness 0.48 at both ends, 0.95 in the middle.
inline constexpr std::array<std::uint32_t, 9> diverging_ramp = {
    0x005bb3, 0x4b81c5, 0x81a6d5, 0xb7cae2, 0xeeeeee, 0xdfc1b1, 0xcc9576, 0xb76837, 0x934302};

/// What no number has: the colour of NaN.
inline constexpr rgb nan_colour = rgb_of(0xd6006c);
/// Marks, bars and lines that stand for no number of a ramp; lightness 0.65, on any paper.
inline constexpr rgb accent = rgb_of(0xe07020), second_accent = rgb_of(0x2f8fd0);

/// The colour at `place` from 0 to 1; what lies outside takes the nearest end.
constexpr rgb ramp_colour(std::span<const std::uint32_t> ramp, double place) {
    const double last = static_cast<double>(ramp.size() - 1);
    const auto at = static_cast<std::size_t>(std::clamp(place, 0.0, 1.0) * last * 256 + 0.5);
    const std::size_t i = at / 256;
    if (i + 1 >= ramp.size()) return rgb_of(ramp.back());
    return mixed(rgb_of(ramp[i]), rgb_of(ramp[i + 1]), static_cast<unsigned>(at % 256));
}

/// Whether black is read better on it than white: luminance with a gamma of 2, whose border is
/// where WCAG 2 finds equal contrast.
constexpr bool is_light(rgb c) {
    return 2126 * c.red * c.red + 7152 * c.green * c.green + 722 * c.blue * c.blue > 138'000'000;
}

inline constexpr std::array<std::uint8_t, 6> cube_steps = {0, 95, 135, 175, 215, 255};

/// What colour `index` from 16 to 255 of a terminal is: a cube of 6·6·6, then 24 greys.
constexpr rgb terminal_rgb(unsigned index) {
    if (index >= 232) {
        const auto grey = static_cast<std::uint8_t>(8 + 10 * (index - 232));
        return {grey, grey, grey};
    }
    index -= 16;
    return {cube_steps[index / 36], cube_steps[index / 6 % 6], cube_steps[index % 6]};
}

/// The same ramps in those colours, chosen for even steps of lightness: 0.22 to 0.97, and 0.48 or
/// 0.51 over 0.95. The colours nearest to the ramps above would have greys among them.
inline constexpr std::array<std::uint8_t, 8> terminal_sequential = {17, 54, 25,  31,
                                                                    37, 78, 185, 227};
inline constexpr std::array<std::uint8_t, 9> terminal_diverging = {25,  67,  110, 153, 255,
                                                                   223, 180, 137, 94};

/// The nearest of them to any colour.
constexpr unsigned terminal_colour(rgb c) {
    const auto distance = [&](unsigned index) {
        const rgb other = terminal_rgb(index);
        const auto square = [](int a, int b) { return (a - b) * (a - b); };
        return square(c.red, other.red) + square(c.green, other.green) + square(c.blue, other.blue);
    };
    unsigned best = 16;
    for (unsigned index = 17; index < 256; ++index)
        if (distance(index) < distance(best)) best = index;
    return best;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
