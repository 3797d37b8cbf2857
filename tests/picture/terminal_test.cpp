// Pictures in a terminal: recorded lines, and what holds of any picture: nothing wider than the
// width, nothing that steers the terminal but our own colours.
#include "../support/catch.hpp"
#include "pictures.hpp"

#include <gpt2/detail/utf8.hpp>
#include <gpt2/detail/visible_text.hpp>
#include <gpt2/picture_terminal.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>

namespace {

using gpt2::terminal_colours;

std::string plain(const gpt2::picture& what, std::size_t width = 80) {
    return gpt2::to_terminal(what, {width, terminal_colours::none});
}

/// The text without our own colour codes; an error where a code is anything else.
std::string without_colours(const std::string& text) {
    std::string rest;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '\x1b') {
            rest += text[at++];
            continue;
        }
        const auto end = text.find('m', at);
        REQUIRE(end != text.npos);
        const auto code = text.substr(at, end - at);
        const bool ours =
            code == "\x1b[0" || code.starts_with("\x1b[38;5;") || code.starts_with("\x1b[48;5;");
        REQUIRE(ours);
        REQUIRE(code.size() <= 10);
        REQUIRE(code.find_first_not_of("0123456789;", 2) == code.npos);
        at = end + 1;
    }
    return rest;
}

/// Whether a line is UTF-8 without controls (C0, DEL, C1) and marks of direction.
bool is_harmless(std::string_view line) {
    for (const char *at = line.data(), *end = at + line.size(); at != end;) {
        const auto step = gpt2::detail::read_utf8(at, end);
        const auto c = step.point;
        if (step.what != gpt2::detail::utf8_step::kind::whole || c < 0x20) return false;
        if ((c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f)) return false;
        if ((c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f)) return false;
        if (c >= 0x590 && c <= 0x8ff) return false;  // letters from right to left
        at += step.size;
    }
    return true;
}

}  // namespace

TEST_CASE("a map in a terminal without colours has its numbers", "[picture]") {
    CHECK(plain(test::small_map(), 40) ==
          "weights\n"
          "              ·\n"
          "              w    ·\n"
          "         T    o    r\n"
          "         h    l    a\n"
          "         e    f    n\n"
          "The    1.00\n"
          "·wolf  0.25 0.75\n"
          "·ran   0.50 NaN  0.12\n"
          "0 .:-=+*#%@ 1\n"
          "");
}

TEST_CASE("a map too wide for its numbers is drawn in shades, then in bands", "[picture]") {
    gpt2::heat_map map{
        .title = "", .rows = {"r"}, .columns = std::vector<std::string>(30, "c"), .values = {}};
    for (int i = 0; i < 30; ++i) map.values.push_back(static_cast<float>(i) / 29);
    CHECK(plain(map, 32) ==
          "  cccccccccccccccccccccccccccccc\n"
          "r ....:::---===++++***###%%%@@@@\n"
          "0 .:-=+*#%@ 1\n");
    CHECK(plain(map, 22) ==
          "  c c c c c c c c c c\n"
          "r . . . . : : : - - -\n"
          "  c c c c c c c c c c\n"
          "r = = = + + + + * * *\n"
          "  c c c c c c c c c c\n"
          "r # # # % % % @ @ @ @\n"
          "0 .:-=+*#%@ 1\n");
}

TEST_CASE("signed numbers have their sign without colours", "[picture]") {
    gpt2::heat_map map{.title = "",
                       .rows = {"r"},
                       .columns = {"a", "b", "c", "d", "e", "f", "g"},
                       .values = {-1, -0.5f, 0, 0.25f, 1, 7, test::not_a_number},
                       .scale = {-1, 1, gpt2::value_scale::kind::diverging}};
    CHECK(plain(map, 20) ==
          "  a b c d e f g\n"
          "r -9-5+0+2+9+9?\n"
          "-1 -8 -3 +0 +3 +7  1\n");
}

TEST_CASE("texts in cells, a coloured text and bars without colours", "[picture]") {
    gpt2::heat_map table{.title = "lens",
                         .rows = {"0", "1"},
                         .columns = {"The", " wolf"},
                         .values = {1, 0.5f, 0, 1},
                         .texts = {" end", " of a long story", "b", "\n"}};
    CHECK(plain(table, 40) ==
          "lens\n"
          "   The          ·wolf\n"
          "0  ·end         ·of a long …\n"
          "1  b            \\n\n"
          "0 .:-=+*#%@ 1\n");
    const gpt2::coloured_text text{
        "",
        {{"The"}, {" wolf", 9.75f}, {" ran", 12.5f}, {".", 3.2f}, {"\n", 0.1f}, {"Next line", 25}},
        {0, 25},
        "bits"};
    CHECK(plain(text, 24) ==
          "The wolf ran.\\n\n"
          "   9.8  12  30\n"
          "Next line\n"
          "25.0\n"
          "0 .:-=+*#%@ 25 bits\n");
    const gpt2::bar_chart bars{
        "next", {{" a", 0.5f, "50 %"}, {" b", 0.25f}, {" none", test::not_a_number}}, 0.5f};
    CHECK(plain(bars, 36) ==
          "next\n"
          "·a    ##################### 50 %\n"
          "·b    ########### 0.25\n"
          "·none  NaN\n");
}

TEST_CASE("small maps stand beside each other, and shrink to fit", "[picture]") {
    auto map = test::small_map();
    map.values[7] = 0.375f;
    const gpt2::map_grid grid{"heads", {map, map, map}};
    CHECK(plain(grid, 20) ==
          "heads\n"
          "weights   weights\n"
          "@         @\n"
          "-#        -#\n"
          "+=:       +=:\n"
          "weights\n"
          "@\n"
          "-#\n"
          "+=:\n"
          "0 .:-=+*#%@ 1\n");
    gpt2::heat_map large{.title = "large",
                         .rows = std::vector<std::string>(40),
                         .columns = std::vector<std::string>(40),
                         .values = std::vector<float>(1600)};
    large.values[3 * 40 + 39] = 1;
    const auto drawn = plain(gpt2::map_grid{"", {large}, 2}, 22);
    CHECK_THAT(drawn, test::mentions("largest of 4 x 4 cells"));
    CHECK_THAT(drawn, test::mentions("large\n.........@\n..........\n"));
}

TEST_CASE("colours: codes where they change, and none left at the end of a line", "[picture]") {
    const auto map = test::small_map();
    CHECK(
        gpt2::to_terminal(map, {20, terminal_colours::xterm_256}) ==
        "weights\n"
        "        ·\n"
        "        w ·\n"
        "      T o r\n"
        "      h l a\n"
        "      e f n\n"
        "The   \x1b[38;5;16m\x1b[48;5;227m  \x1b[0m\n"
        "·wolf \x1b[38;5;231m\x1b[48;5;25m  \x1b[38;5;16m\x1b[48;5;185m  \x1b[0m\n"
        "·ran  \x1b[38;5;16m\x1b[48;5;37m  \x1b[38;5;231m\x1b[48;5;161m? "
        "\x1b[38;5;231m\x1b[48;5;54m  \x1b[0m\n"
        "0 \x1b[38;5;231m\x1b[48;5;17m  \x1b[38;5;231m\x1b[48;5;54m  \x1b[38;5;231m\x1b[48;5;25m  "
        "\x1b[38;5;16m\x1b[48;5;31m  \x1b[38;5;16m\x1b[48;5;37m  \x1b[38;5;16m\x1b[48;5;78m  "
        "\x1b[38;5;16m\x1b[48;5;185m  \x1b[38;5;16m\x1b[48;5;227m  \x1b[0m 1\n");
}

TEST_CASE("a plot in a terminal", "[picture]") {
    const gpt2::log_plot plot{"roof",
                              "x",
                              "y",
                              {{"line", {{0.1, 1e9}, {10, 1e11}, {1000, 1e11}}}},
                              {{"mark", {0.5, 4e9}}}};
    const auto drawn = plain(plot, 40);
    INFO(drawn);
    CHECK(std::ranges::count(drawn, '\n') == 2 + 11 + 3 + 2);
    CHECK_THAT(drawn, test::mentions("\n 100G +"));
    CHECK_THAT(drawn, test::mentions("\n       x\n* line\nA mark\n"));
    CHECK(std::ranges::count(drawn, 'A') == 2);
}

TEST_CASE("no picture is wider than the width or steers the terminal", "[picture]") {
    const auto pictures = test::pictures_with(test::hostile_labels());
    for (std::size_t width = 20; width <= 130; width += 11)
        for (const auto colours : {terminal_colours::none, terminal_colours::xterm_256})
            for (std::size_t i = 0; i < pictures.size(); ++i) {
                const auto text = without_colours(gpt2::to_terminal(pictures[i], {width, colours}));
                std::istringstream lines(text);
                for (std::string line; std::getline(lines, line);) {
                    if (is_harmless(line) && gpt2::detail::columns_of(line) <= width) continue;
                    CAPTURE(width, i, line);
                    FAIL();
                }
            }
}

TEST_CASE("pictures that are none are refused", "[picture]") {
    auto map = test::small_map();
    CHECK_ERROR(gpt2::errc::invalid_argument, gpt2::to_terminal(map, {.width = 19}));
    map.values.pop_back();
    CHECK_ERROR(gpt2::errc::wrong_shape, gpt2::to_terminal(map));
    map = test::small_map();
    map.texts = {"one"};
    CHECK_ERROR(gpt2::errc::wrong_shape, gpt2::to_terminal(map));
    map = test::small_map();
    map.columns.pop_back();
    map.values.resize(6);
    CHECK_ERROR(gpt2::errc::wrong_shape, gpt2::to_terminal(map));
    map = test::small_map();
    map.scale.low = test::not_a_number;
    CHECK_ERROR(gpt2::errc::invalid_argument, gpt2::to_terminal(gpt2::map_grid{"", {map}}));
    CHECK_ERROR(gpt2::errc::invalid_argument,
                gpt2::to_terminal(gpt2::log_plot{"", "", "", {}, {{"zero", {0, 1}}}}));
    CHECK_ERROR(gpt2::errc::invalid_argument, gpt2::to_terminal(gpt2::bar_chart{"", {}, 0}));
    gpt2::heat_map large{.title = "", .rows = {}, .columns = {}, .values = {}};
    large.rows.resize(2000);
    large.columns.resize(2000);
    CHECK_ERROR(gpt2::errc::limit_exceeded, gpt2::to_terminal(large));
    CHECK(gpt2::to_terminal(gpt2::coloured_text{}, {20, terminal_colours::none}) ==
          "0 .:-=+*#%@ 1\n");
    CHECK(plain(gpt2::heat_map{}) == "0 .:-=+*#%@ 1\n");
    CHECK(plain(gpt2::map_grid{}) == "");
    CHECK(!plain(gpt2::log_plot{}).empty());
}
