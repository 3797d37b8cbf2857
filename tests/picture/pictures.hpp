// What the tests of pictures draw: one picture of each kind, and labels that want to do harm.
#pragma once

#include <gpt2/picture.hpp>

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace test {

inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// Escape sequences, markup, marks of direction, half characters, zeros, wide and combined letters.
inline std::vector<std::string> hostile_labels() {
    return {"\x1b[2J\x1b]0;title\x07",
            "<script>alert(1)</script>",
            "]]>&amp;\"'--><!--",
            "\xe2\x80\xae"
            "abc",  // U+202E
            "\xe9",
            "\xf0\x9f\x98",
            std::string("a\0b", 3),
            "\r\n\t\b\x7f",
            "\xc2\x9b"
            "31m",                       // U+009B
            "\xef\xbf\xbe\xef\xb7\x90",  // U+FFFE, U+FDD0
            "\xcc\x81\xcc\x81",          // marks alone
            "日本語😀",
            "שלום",
            "   ",
            "",
            std::string(300, 'w')};
}

inline gpt2::heat_map small_map() {
    const std::vector<std::string> words = {"The", " wolf", " ran"};
    return {.title = "weights",
            .rows = words,
            .columns = words,
            .values = {1, 0, 0, 0.25f, 0.75f, 0, 0.5f, not_a_number, 0.125f},
            .there = gpt2::cells::causal};
}

/// Every kind of picture, with these labels everywhere.
inline std::vector<gpt2::picture> pictures_with(const std::vector<std::string>& labels) {
    const auto n = labels.size();
    gpt2::heat_map map{.title = labels.front(), .rows = labels, .columns = labels, .values = {}};
    for (std::size_t i = 0; i < n * n; ++i)
        map.values.push_back(i % 7 == 3 ? not_a_number : static_cast<float>(i) / 40 - 2);
    map.scale = {-2, 2, gpt2::value_scale::kind::diverging};
    auto table = map;
    for (std::size_t i = 0; i < n * n; ++i) table.texts.push_back(labels[i % n]);
    auto causal = map;
    causal.there = gpt2::cells::causal;
    causal.scale = {};
    gpt2::coloured_text text{labels.front(), {}, {-1, 9}, labels.back()};
    gpt2::bar_chart bars{labels.front(), {}};
    gpt2::log_plot plot{labels.front(), labels.back(), labels.front(), {}, {}};
    for (std::size_t i = 0; i < n; ++i) {
        const float x = i == 2 ? not_a_number : static_cast<float>(i);
        text.parts.push_back({labels[i], x});
        bars.bars.push_back({labels[i], x / 5, i % 2 ? labels[i] : ""});
        plot.lines.push_back({labels[i], {{1e-3, 1.0 + static_cast<double>(i)}, {1e6, 1e9}}});
        plot.marks.push_back({labels[i], {1.0 + static_cast<double>(i), 1e4}});
    }
    return {map,  table, causal, gpt2::map_grid{labels.front(), {map, causal, map}},
            text, bars,  plot};
}

}  // namespace test
