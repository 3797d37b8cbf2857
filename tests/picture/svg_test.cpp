// Pictures as SVG: well-formed whatever the labels are, nothing in it that runs or is fetched, and
// every text inside the picture.
#include "../support/catch.hpp"
#include "pictures.hpp"

#include <gpt2/detail/utf8.hpp>
#include <gpt2/picture_svg.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// What an SVG says, read by the rules of XML as far as ours needs them.
struct document {
    std::set<std::string> elements, attributes;
    std::vector<std::string> texts;  // of all elements, with entities resolved
};

std::string resolved(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '&') {
            out += text[at];
            continue;
        }
        const auto end = text.find(';', at);
        REQUIRE(end != text.npos);
        const auto name = text.substr(at + 1, end - at - 1);
        const bool known = name == "amp" || name == "lt" || name == "gt" || name == "quot";
        REQUIRE(known);
        out += name == "amp" ? '&' : name == "lt" ? '<' : name == "gt" ? '>' : '"';
        at = end;
    }
    return out;
}

/// Fails the test where the text is not well-formed, or has a character that XML 1.0 forbids.
document parsed(std::string_view svg) {
    for (const char *at = svg.data(), *end = at + svg.size(); at != end;) {
        const auto step = gpt2::detail::read_utf8(at, end);
        const bool whole = step.what == gpt2::detail::utf8_step::kind::whole;
        const bool control = step.point < 0x20 && step.point != '\n';
        if (!whole || control || step.point == 0xfffe || step.point == 0xffff)
            FAIL("a character that XML does not allow");
        at += step.size;
    }
    document found;
    std::vector<std::string> open;
    for (std::size_t at = 0; at < svg.size();) {
        if (svg[at] != '<') {
            const auto end = std::min(svg.find('<', at), svg.size());
            const auto text = svg.substr(at, end - at);
            if (text.find("]]>") != text.npos) FAIL(text);
            if (text != "\n") found.texts.push_back(resolved(text));
            at = end;
            continue;
        }
        const auto end = svg.find('>', at);
        if (end == svg.npos) FAIL("a tag without an end");
        auto tag = svg.substr(at + 1, end - at - 1);
        at = end + 1;
        if (tag.starts_with('/')) {
            if (open.empty() || open.back() != tag.substr(1)) FAIL(tag);
            open.pop_back();
            continue;
        }
        const bool closed = tag.ends_with('/');
        if (closed) tag.remove_suffix(1);
        const auto name = tag.substr(0, tag.find(' '));
        found.elements.emplace(name);
        if (!closed) open.emplace_back(name);
        for (auto rest = tag.substr(name.size()); !rest.empty();) {
            const auto equals = rest.find("=\""), quote = rest.find('"', equals + 2);
            if (rest.front() != ' ' || equals == rest.npos || quote == rest.npos) FAIL(rest);
            found.attributes.emplace(rest.substr(1, equals - 1));
            resolved(rest.substr(equals + 2, quote - equals - 2));
            rest.remove_prefix(quote + 1);
        }
    }
    REQUIRE(open.empty());
    return found;
}

bool has(const document& in, const std::string& text) {
    return std::ranges::find(in.texts, text) != in.texts.end();
}

}  // namespace

TEST_CASE("a map as SVG has its labels, cells and numbers", "[picture]") {
    const auto svg = gpt2::to_svg(test::small_map());
    const auto found = parsed(svg);
    for (const char* const text : {"weights", "The", "·wolf", "·ran", "0", "1", "NaN"})
        CHECK(has(found, text));
    CHECK(has(found, "·wolf, The: 0.25"));
    CHECK(has(found, "·ran, ·wolf: NaN"));
    CHECK(!has(found, "The, ·wolf: 0"));  // a token does not see what comes later
    CHECK_THAT(svg, test::mentions("fill=\"#ffed85\""));
    const auto nan = svg.find("fill=\"#d6006c\"");
    REQUIRE(nan != svg.npos);
    CHECK(svg.find("fill=\"#d6006c\"", nan + 1) != svg.npos);  // the cell and the legend
    CHECK_THAT(svg, test::mentions("prefers-color-scheme:dark"));
}

TEST_CASE("hostile labels stay texts of an SVG", "[picture]") {
    const std::set<std::string> elements = {"svg", "title", "style", "rect", "text", "path"};
    const std::set<std::string> attributes = {
        "xmlns",       "width",      "height",       "viewBox",   "role",      "class",
        "x",           "y",          "fill",         "transform", "font-size", "font-weight",
        "text-anchor", "textLength", "lengthAdjust", "xml:space", "d",         "stroke-width",
        "stroke",      "opacity"};
    for (const auto& picture : test::pictures_with(test::hostile_labels())) {
        const auto found = parsed(gpt2::to_svg(picture));
        CHECK(std::ranges::includes(elements, found.elements));
        CHECK(std::ranges::includes(attributes, found.attributes));
    }
    const auto shown = parsed(gpt2::to_svg(gpt2::bar_chart{"",
                                                           {{"<b>&"},
                                                            {"\xe2\x80\xae"
                                                             "ab"},
                                                            {"\xe9"},
                                                            {" a\x1b[m "},
                                                            {"שלום"},
                                                            {"日本"}}}));
    for (const char* const text : {"<b>&", "\\u202eab", "\\xe9", "·a\\x1b[m·", "שלום", "日本"})
        CHECK(has(shown, text));
}

TEST_CASE("an SVG of many cells is small, one of few can be pointed at", "[picture]") {
    gpt2::heat_map map{.title = "large",
                       .rows = std::vector<std::string>(256, "row"),
                       .columns = std::vector<std::string>(256, "column"),
                       .values = std::vector<float>(256 * 256, 0.5f),
                       .there = gpt2::cells::causal};
    const auto svg = gpt2::to_svg(map);
    parsed(svg);
    CHECK(svg.size() < 100'000);  // a box for each row
    CHECK(svg.find("row, column") == svg.npos);
    for (std::size_t i = 0; i < map.values.size(); ++i) map.values[i] = static_cast<float>(i % 2);
    CHECK(gpt2::to_svg(map).size() > 2'000'000);  // as many colours as cells
    CHECK_ERROR(gpt2::errc::wrong_shape, gpt2::to_svg((map.rows.pop_back(), map)));
}
