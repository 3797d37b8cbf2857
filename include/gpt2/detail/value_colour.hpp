// The colour of a number on a scale.
//
// Before: picture.hpp, detail/colour.hpp. Next: picture_terminal.hpp, detail/picture_layout.hpp.
#pragma once

#include "../picture.hpp"
#include "colour.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Of the number that stands at that place of the scale.
inline rgb colour_at(const value_scale& scale, double place) {
    if (std::isnan(place)) return nan_colour;
    const bool signs = scale.colours == value_scale::kind::diverging;
    return ramp_colour(signs ? diverging_ramp : sequential_ramp, place);
}

inline rgb colour_of(const value_scale& scale, float x) { return colour_at(scale, scale.place(x)); }

/// In 64 steps, so that neighbours often have one colour.
inline rgb coarse_colour_of(const value_scale& scale, float x) {
    return colour_at(scale, std::round(scale.place(x) * 64) / 64);
}

/// The same among the 256 colours of a terminal.
inline unsigned terminal_colour_of(const value_scale& scale, float x) {
    const double place = scale.place(x);
    if (std::isnan(place)) return terminal_colour(nan_colour);
    const auto step = [&](std::size_t count) {
        return std::min(static_cast<std::size_t>(place * static_cast<double>(count)), count - 1);
    };
    if (scale.colours == value_scale::kind::diverging)
        return terminal_diverging[step(terminal_diverging.size())];
    return terminal_sequential[step(terminal_sequential.size())];
}

/// The number in the middle of step i of so many from low to high.
inline float step_value(const value_scale& scale, int i, int steps) {
    const float share = (static_cast<float>(i) + 0.5f) / static_cast<float>(steps);
    return scale.low + (scale.high - scale.low) * share;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
