// The ramps: even steps of lightness, for eyes of every kind, in a file and in a terminal; and what
// of a text is shown as it is.
#include "../support/catch.hpp"

#include <gpt2/detail/value_colour.hpp>
#include <gpt2/detail/visible_text.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace {

using gpt2::detail::rgb;

double linear(std::uint8_t channel) {
    const double x = channel / 255.0;
    return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4);
}

/// Lightness, green to red, blue to yellow (Ottosson 2020).
std::array<double, 3> oklab(rgb c) {
    const double r = linear(c.red), g = linear(c.green), b = linear(c.blue);
    const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

/// Contrast as WCAG 2 measures it.
double contrast(rgb a, rgb b) {
    const auto luminance = [](rgb c) {
        return 0.2126 * linear(c.red) + 0.7152 * linear(c.green) + 0.0722 * linear(c.blue) + 0.05;
    };
    return std::max(luminance(a), luminance(b)) / std::min(luminance(a), luminance(b));
}

}  // namespace

TEST_CASE("the sequential ramp grows lighter in even steps", "[picture]") {
    std::vector<double> lightness;
    for (int i = 0; i <= 64; ++i)
        lightness.push_back(
            oklab(gpt2::detail::ramp_colour(gpt2::detail::sequential_ramp, i / 64.0))[0]);
    const double step = (lightness.back() - lightness.front()) / 64;
    CHECK(lightness.front() < 0.3);
    CHECK(lightness.back() > 0.9);
    for (std::size_t i = 1; i < lightness.size(); ++i) {
        CAPTURE(i);
        CHECK(lightness[i] - lightness[i - 1] > 0.5 * step);
        CHECK(lightness[i] - lightness[i - 1] < 1.7 * step);
    }
}

TEST_CASE("the diverging ramp is as dark on both sides, blue against brown", "[picture]") {
    const auto at = [](double place) {
        return oklab(gpt2::detail::ramp_colour(gpt2::detail::diverging_ramp, place));
    };
    CHECK(at(0.5)[0] > 0.94);
    for (const double place : {0.0, 0.1, 0.2, 0.3, 0.4}) {
        CHECK(std::abs(at(place)[0] - at(1 - place)[0]) < 0.02);
        CHECK(at(place)[2] < -0.01);
        CHECK(at(1 - place)[2] > 0.01);  // yellow against blue is what all eyes tell apart
    }
}

TEST_CASE("a terminal's ramps are in order too", "[picture]") {
    using gpt2::value_scale;
    double before = 0;
    for (const auto index : gpt2::detail::terminal_sequential) {
        const double lightness = oklab(gpt2::detail::terminal_rgb(index))[0];
        CHECK(lightness > before + 0.06);
        before = lightness;
    }
    const auto& signs = gpt2::detail::terminal_diverging;
    for (std::size_t i = 0; i < 4; ++i) {
        const auto low = oklab(gpt2::detail::terminal_rgb(signs[i]));
        const auto high = oklab(gpt2::detail::terminal_rgb(signs[8 - i]));
        CHECK(std::abs(low[0] - high[0]) < 0.06);
        CHECK((low[2] < 0 && high[2] > 0));
    }
    CHECK(gpt2::detail::terminal_colour({0, 95, 255}) == 27);
    CHECK(gpt2::detail::terminal_colour({100, 101, 99}) == 241);
    CHECK(gpt2::detail::terminal_colour_of({0, 1}, 2) == 227);
    CHECK(gpt2::detail::terminal_colour_of({0, 1}, -1) == 17);
    CHECK(gpt2::detail::terminal_colour_of({-1, 1, value_scale::kind::diverging}, 0) == 255);
}

TEST_CASE("what is written on a colour can be read", "[picture]") {
    const auto check = [](rgb c) {
        CHECK(contrast(c, gpt2::detail::is_light(c) ? rgb{0, 0, 0} : rgb{255, 255, 255}) > 4.2);
    };
    for (int i = 0; i <= 64; ++i) {
        check(gpt2::detail::ramp_colour(gpt2::detail::sequential_ramp, i / 64.0));
        check(gpt2::detail::ramp_colour(gpt2::detail::diverging_ramp, i / 64.0));
    }
    for (unsigned i = 16; i < 256; ++i) check(gpt2::detail::terminal_rgb(i));
}

TEST_CASE("a scale places numbers from 0 to 1", "[picture]") {
    using gpt2::value_scale;
    constexpr float inf = std::numeric_limits<float>::infinity();
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const value_scale scale{-2, 2};
    CHECK(scale.place(-2) == 0);
    CHECK(scale.place(1) == 0.75);
    CHECK(scale.place(inf) == 1);
    CHECK(scale.place(-inf) == 0);
    CHECK(std::isnan(scale.place(nan)));
    const value_scale point{1, 1};
    CHECK(point.place(1) == 0);
    CHECK(point.place(2) == 1);
    const float largest = std::numeric_limits<float>::max();
    CHECK(value_scale{-largest, largest}.place(0) == 0.5);
    const auto found = value_scale::of(std::vector<float>{nan, 3, -1, inf});
    CHECK(found.low == -1);
    CHECK(found.high == 3);
    const auto signs =
        value_scale::of(std::vector<float>{2, -3, -inf}, value_scale::kind::diverging);
    CHECK(signs.low == -3);
    CHECK(signs.high == 3);
    CHECK(value_scale::of({}).low == 0);
}

TEST_CASE("texts are shown without what would steer a screen", "[picture]") {
    using gpt2::detail::right_to_left;
    using gpt2::detail::visible;
    CHECK(visible("plain é 日 😀") == "plain é 日 😀");
    CHECK(visible("\x1b[31m\n\t\r\x7f") == "\\x1b[31m\\n\\t\\r\\x7f");
    CHECK(visible("\xc2\x85\xc2\x9b\xc2\xa0\xe3\x80\x80") == "\\u0085\\u009b\\u00a0\\u3000");
    CHECK(visible("\xe2\x80\x8b\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf") ==
          "\\u200b\\u202e\\u2066\\ufeff");
    CHECK(visible("\xe9\xf0\x9f\x98") == "\\xe9\\xf0\\x9f\\x98");
    CHECK(visible("\xcc\x81"
                  "e\xcc\x81") == "\\u0301e\xcc\x81");
    CHECK(visible("שלום") == "\\u05e9\\u05dc\\u05d5\\u05dd");
    CHECK(visible("שלום", right_to_left::keep) == "שלום");
    CHECK(visible("\xf3\xa0\x80\x81\xf4\x80\x80\x80") == "\\u{e0001}\\u{100000}");
    CHECK(visible("\xef\xbf\xbe\xef\xb7\x90") == "\\ufffe\\ufdd0");
    using gpt2::detail::visible_label;
    CHECK(visible_label(" a b  ") == "·a b··");
    CHECK(visible_label("   ") == "···");
    CHECK(visible_label("") == "");
    using gpt2::detail::columns_of;
    CHECK(columns_of("e\xcc\x81") == 1);
    CHECK(columns_of("日本") == 4);
    CHECK(columns_of("😀a") == 3);
    using gpt2::detail::fitted;
    CHECK(fitted("abcdef", 6) == "abcdef");
    CHECK(fitted("abcdef", 5) == "abcd…");
    CHECK(fitted("日本語", 5) == "日本…");
    CHECK(fitted("日本語", 4) == "日…");
    CHECK(fitted("abc", 1) == "…");
}
