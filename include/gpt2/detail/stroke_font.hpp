// Letters as lines, drawn for this library: ASCII, the accents and signs of western European
// languages. For pictures of pixels, which have no font to ask for.
//
// A glyph is a list of lines; a line is a row of points, two characters each: the column 0 to 4 and
// the height 0 to A, where 2 is the top of a capital, 4 of a small letter, 8 the baseline and A the
// foot of a p. What has no glyph is written as an escape.
//
// Before: detail/drawing.hpp, detail/visible_text.hpp. Next: detail/raster.hpp.
#pragma once

#include "drawing.hpp"
#include "normalization.hpp"
#include "utf8.hpp"
#include "visible_text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

// clang-format off
/// From ' ' to '~'.
inline constexpr std::array<std::string_view, 95> ascii_glyphs = {
    "", "2226 2828", "1214 3234", "1218 3238 0444 0646", "433212030415354647381807 2129",
    "0842 0212130302 3747483837", "4814132232330607182846", "2224", "32242638", "12242618",
    "2327 0446 0644", "2327 0545", "281A", "1535", "2828", "0842",
    "123243473818070312 1634", "132228 1838", "03123243440848", "03123243443525 35464738 1807",
    "38320646", "420204344547381807", "4332120307183847463505", "02424318",
    "123243443515040312 1506071838474635", "0718384743321203041545", "2525 2828", "2525 281A",
    "430547", "0444 0646", "034507", "031232434426 2828",
    "3634241526364643321203071848", "0804224448 0646", "08023243443505 3546473808",
    "4332120307183847", "08023243473808", "42020848 0535", "420208 0535", "43321203071838474525",
    "0208 4248 0545", "1232 2228 1838", "4247381807", "0208 420548", "020848", "0802254248",
    "08024842", "123243473818070312", "08023243443505", "123243473818070312 2648",
    "08023243443505 2548", "433212030415354647381807", "0242 2228", "020718384742", "022842",
    "0218243842", "0248 0842", "022542 2528", "02420848", "32222838", "0248", "12222818",
    "042244", "0949", "1223",
    "14344548 461607183847", "0208 0514344547381807", "4534140507183847", "4248 4534140507183847",
    "064645341405071848", "42322328 1444", "44493A1A09 4534140507183847", "0208 0514344548",
    "142428 1838 2222", "2434392A1A 3232", "0208 440648", "122228 1838",
    "0804 05142528 25344548", "0804 0514344548", "143445473818070514", "040A 0514344547381807",
    "444A 4534140507183847", "0804 06243445", "45341405163647381807", "22273848 1444",
    "0407183847 4448", "042844", "0418253844", "0448 0844", "0428 441A", "04440848",
    "32232415262738", "2129", "12232435262718", "06153645",
};

struct extra_glyph {
    char32_t point;
    std::string_view lines;
};

/// Signs, and letters that are no letter with an accent.
inline constexpr extra_glyph extra_glyphs[] = {
    {U'¡', "2424 262A"}, {U'«', "240628 442648"}, {U'°', "1232341412"}, {U'·', "2626"},
    {U'»', "042608 244628"}, {U'¿', "2424 260809 091A3A49"}, {U'Ø', "123243473818070312 0842"},
    {U'×', "1438 1834"}, {U'ß', "0803123243343546473828"}, {U'ø', "143445473818070514 0844"},
    {U'ı', "142428 1838"}, {U'ȷ', "2434392A1A"}, {U'–', "0545"}, {U'—', "0545"},
    {U'‘', "2224"}, {U'’', "2224"}, {U'“', "1214 3234"}, {U'”', "1214 3234"},
    {U'…', "0808 2828 4848"}, {U'€', "4332120307183847 0434 0636"}, {U'→', "0646 254647"},
};

/// Accents above a capital; a small letter has them two lower.
inline constexpr extra_glyph accent_glyphs[] = {
    {U'\u0300', "1021"}, {U'\u0301', "2130"}, {U'\u0302', "112031"}, {U'\u0303', "01103140"},
    {U'\u0304', "1131"}, {U'\u0308', "1111 3131"}, {U'\u030a', "11203111"}, {U'\u030c', "102130"},
};
inline constexpr extra_glyph cedilla_glyph = {U'\u0327', "282A1A"};
// clang-format on

/// A glyph's lines as above, and what stands over or under them.
struct glyph {
    std::string_view lines;
    std::string_view accent = {};
    double accent_height = 0;  ///< how much lower than drawn
};

inline const extra_glyph* find_glyph(std::span<const extra_glyph> list, char32_t point) {
    const auto found = std::ranges::find(list, point, &extra_glyph::point);
    return found == list.end() ? nullptr : &*found;
}

/// The glyph of a character without accents.
inline std::optional<glyph> simple_glyph(char32_t point) {
    if (point >= U' ' && point <= U'~') return glyph{ascii_glyphs[point - U' ']};
    if (const auto* const found = find_glyph(extra_glyphs, point)) return glyph{found->lines};
    return std::nullopt;
}

/// The glyph of a character; none where it is not in the font.
inline std::optional<glyph> glyph_of(char32_t point) {
    if (const auto found = simple_glyph(point)) return found;
    std::string letter;
    append_utf8(letter, point);
    const std::string parts = normalized(letter, normal_form::nfd);
    const char *at = parts.data(), *const end = at + parts.size();
    auto base = read_utf8(at, end);
    at += base.size;
    if (at == end) return std::nullopt;
    const auto mark = read_utf8(at, end);
    if (at + mark.size != end) return std::nullopt;
    const bool below = mark.point == cedilla_glyph.point;
    const auto* const over = below ? &cedilla_glyph : find_glyph(accent_glyphs, mark.point);
    if (!over) return std::nullopt;
    if (!below && base.point == U'i') base.point = U'ı';
    if (!below && base.point == U'j') base.point = U'ȷ';
    const auto letters = simple_glyph(base.point);
    if (!letters) return std::nullopt;
    const bool small = !(base.point >= U'A' && base.point <= U'Z');
    return glyph{letters->lines, over->lines, below || !small ? 0.0 : 2.0};
}

/// The bytes as text that the font can draw: everything else as escapes. O(n).
inline std::string drawable(std::string_view bytes) {
    const std::string seen = normalized(visible(bytes), normal_form::nfc);
    std::string text;
    const char* const end = seen.data() + seen.size();
    for (const char* at = seen.data(); at != end;) {
        const utf8_step step = read_utf8(at, end);
        if (glyph_of(step.point))
            text.append(at, step.size);
        else
            append_escape(text, step.point);
        at += step.size;
    }
    return text;
}

/// A line of a glyph: columns and heights in units of the grid, the baseline at 0, y downwards.
using glyph_line = std::vector<point>;

/// Calls use(line) for each line of the glyph.
template <class Use>
void each_line(const glyph& from, Use use) {
    const auto digit = [](char c) {
        return static_cast<double>(c <= '9' ? c - '0' : c - 'A' + 10);
    };
    const auto draw = [&](std::string_view lines, double lower) {
        glyph_line line;
        for (std::size_t i = 0; i < lines.size(); i += lines[i] == ' ' ? 1 : 2) {
            if (lines[i] == ' ')
                use(std::exchange(line, {}));
            else
                line.push_back({digit(lines[i]), digit(lines[i + 1]) - 8 + lower});
        }
        if (!line.empty()) use(line);
    };
    draw(from.lines, 0);
    draw(from.accent, from.accent_height);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
