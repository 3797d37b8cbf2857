// Character maps: the one that SentencePiece compiled for rules.model, as it and as Hugging Face
// tokenizers apply it; and maps that break their own rules.
#include "reference_cases.hpp"

#include <gpt2/detail/charsmap.hpp>
#include <gpt2/detail/sentencepiece_model.hpp>

using namespace gpt2::detail;

namespace {

const std::string& reference_map() {
    static const std::string map =
        read_sentencepiece_model(test::reference_model("rules"), "rules.model").charsmap;
    return map;
}

std::string map_of(const std::vector<std::uint32_t>& units, std::string_view texts) {
    std::string map = test::little_endian(4 * units.size(), 4);
    for (const std::uint32_t unit : units) map += test::little_endian(unit, 4);
    return map += texts;
}

constexpr std::uint32_t value = 0x80000000u;

/// A trie that knows one byte: its unit stands at 256 ^ byte, its value at `at`.
std::vector<std::uint32_t> one_byte(unsigned char byte, std::uint32_t at, std::uint32_t text) {
    std::vector<std::uint32_t> units(512);
    units[0] = 256u << 10;
    const std::uint32_t place = 256u ^ byte;
    units[place] = (place ^ at) << 10 | 1u << 8 | byte;
    if (at < units.size()) units[at] = value | text;
    return units;
}

}  // namespace

TEST_CASE("\"Precompiled\" is that of Hugging Face tokenizers") {
    const charsmap map(reference_map());
    test::check_hashes(test::reference_texts(), test::reference_cases().at("charsmap"),
                       [&](const std::string& text) { return map.apply_by_grapheme(text); });
}

TEST_CASE("the longest and the shortest text that is replaced") {
    const charsmap map(reference_map());
    CHECK((map.longest("A\u030A!").text == "å" && map.longest("A\u030A!").size == 3));
    CHECK((map.shortest("A\u030A!").text == "a" && map.shortest("A\u030A!").size == 1));
    CHECK((map.longest("\u200B").size == 3 && map.longest("\u200B").text.empty()));
    CHECK(map.longest("b").size == 0);
    CHECK(map.longest("").size == 0);
    CHECK(map.apply_by_grapheme("A\u030A A\u030A\u0301\u0301 \xFF") ==
          "a a\u030A\u0301\u0301 \xFF");
    CHECK(charsmap().apply_by_grapheme("A") == "A");
    CHECK(charsmap(map_of(one_byte('a', 5, 0), "xy")).apply_by_grapheme("aa") == "xyxy");
}

TEST_CASE("maps that do not fit together are refused") {
    const auto refused = [](const std::string& map) {
        CHECK_ERROR(gpt2::errc::bad_tokenizer, charsmap(map));
    };
    refused("abc");
    refused(map_of({}, "a"));
    refused(test::little_endian(8, 4) + std::string(8, '\0'));  // no replacements
    refused(test::little_endian(6, 4) + std::string(8, '\0'));
    refused(test::little_endian(0xFFFFFFFC, 4) + std::string(8, '\0'));
    refused(map_of(one_byte('a', 512, 0), "x"));   // a value behind the trie
    refused(map_of(one_byte('a', 5, 1), "x"));     // a text behind the map
    refused(map_of(one_byte('a', 5, 1), "é"));     // or within a character
    refused(map_of(one_byte('a', 5, 0), "\xFF"));  // or no UTF-8
    refused(map_of(one_byte('a', 5, 0), std::string(1025, 'x')));
    CHECK(charsmap(map_of(one_byte('a', 5, 0), std::string(1024, 'x'))).longest("a").text.size() ==
          1024);
}

TEST_CASE("a trie that runs in circles or out of its units ends the search") {
    std::vector<std::uint32_t> circle(512);
    circle[0] = 256u << 10;
    const std::uint32_t place = 256u ^ 'a';
    circle[place] = (place ^ 256u) << 10 | 'a';  // its children are its parent's
    CHECK(charsmap(map_of(circle, "x")).longest(std::string(100000, 'a')).size == 0);
    circle[0] = 0xFFFFFu << 10;
    CHECK(charsmap(map_of(circle, "x")).longest("aaaa").size == 0);
    circle[0] = 0xFFFFFu << 10 | 1u << 9;
    CHECK(charsmap(map_of(circle, "x")).longest("aaaa").size == 0);
}

TEST_CASE("every truncation and flipped bit of a map is refused or harmless") {
    const std::string& map = reference_map();
    std::string texts;
    for (std::size_t i = 0; i < 40; ++i) texts += test::reference_texts()[i];
    for (std::size_t size = 0; size < map.size(); size += 1 + size / 64) {
        const auto problem = test::error_of([&] {
            (void)charsmap(std::string_view(map).substr(0, size)).apply_by_grapheme(texts);
        });
        if (problem) CHECK(problem->code() == gpt2::errc::bad_tokenizer);
    }
    for (std::size_t bit = 0; bit < 8 * map.size(); bit += bit < 64 ? 1 : 7) {
        std::string flipped = map;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        const auto problem = test::error_of(
            [&] { (void)charsmap(flipped).apply_by_grapheme(texts.substr(0, 200)); });
        if (problem) CHECK(problem->code() == gpt2::errc::bad_tokenizer);
    }
}
