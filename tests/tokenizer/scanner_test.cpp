// The pre-tokenizer against the pattern itself and against every code point of Unicode 16.0.
#include "oracle.hpp"

#include <cstdio>
#include <initializer_list>
#include <iterator>

namespace {

std::vector<std::string_view> cuts_of(std::string_view text) {
    std::vector<std::string_view> pieces;
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const char* const next = gpt2::detail::piece_end(at, end);
        pieces.emplace_back(at, static_cast<std::size_t>(next - at));
        at = next;
    }
    return pieces;
}

}  // namespace

TEST_CASE("the classes are those of Unicode 16.0") {
    std::size_t count[4] = {};
    for (char32_t c = 0; c <= 0x10FFFF; ++c) ++count[static_cast<int>(gpt2::detail::class_of(c))];
    CHECK(count[static_cast<int>(test::char_class::letter)] == 141028);
    CHECK(count[static_cast<int>(test::char_class::number)] == 1911);
    CHECK(count[static_cast<int>(test::char_class::space)] == 25);
    CHECK(std::size(gpt2::detail::letter_ranges) == 677);
    CHECK(std::size(gpt2::detail::number_ranges) == 144);
    for (const char32_t c : std::initializer_list<char32_t>{0x1C, 0x1D, 0x1E, 0x1F, 0x180E, 0x200B,
                                                            0x200D, 0x2060, 0xFEFF, 0xAD})
        CHECK(gpt2::detail::class_of(c) == test::char_class::other);
    for (const char32_t c : std::initializer_list<char32_t>{0x09, 0x0D, 0x20, 0x85, 0xA0, 0x1680,
                                                            0x2000, 0x200A, 0x2028, 0x3000})
        CHECK(gpt2::detail::class_of(c) == test::char_class::space);
    CHECK(gpt2::detail::class_of(0xFFFFFFFF) == test::char_class::other);
}

TEST_CASE("every code point is cut as Hugging Face tokenizers cut it") {
    const auto reference =
        nlohmann::json::parse(test::read_file(test::reference_folder() / "cases.json"));
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        const std::string s = test::to_utf8(c);
        for (const std::string& text : {s, "a" + s + "b", " " + s, s + " "}) {
            for (const auto piece : cuts_of(text))
                hash = test::fnv(hash, static_cast<unsigned char>(piece.size()));
            hash = test::fnv(hash, 0);
        }
    }
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
    CHECK(reference["cuts"] == digits);
}

TEST_CASE("all short strings over hard characters are cut as the pattern says") {
    const std::string alphabet[] = {"a", "A", "1", " ",        "\t",       "\n",  "'",
                                    "s", "t", "_", "\xC2\xA0", "\xCC\x81", "\xFF"};
    const std::size_t letters = std::size(alphabet);
    std::size_t count = 0, wrong = 0;
    for (std::size_t length = 0, strings = 1; length <= 5; ++length, strings *= letters)
        for (std::size_t number = 0; number < strings; ++number, ++count) {
            std::string text;
            for (std::size_t i = 0, rest = number; i < length; ++i, rest /= letters)
                text += alphabet[rest % letters];
            if (cuts_of(text) == test::oracle_pieces(text)) continue;
            if (++wrong == 1) FAIL_CHECK("first: " << gpt2::detail::printable(text));
        }
    CHECK(count == 402234);
    CHECK(wrong == 0);
}

TEST_CASE("random strings of contractions, spaces and broken UTF-8 are cut as the pattern says") {
    const std::string parts[] = {"'s",
                                 "'re",
                                 "'ll",
                                 "'l",
                                 "'",
                                 " ",
                                 "e",
                                 "v",
                                 "\n",
                                 "\xE3\x80\x80",
                                 "\xE2\x80",
                                 "\xF0\x9F\x98",
                                 "\x80",
                                 "9",
                                 "\xD9\xA3",
                                 "\xE4\xBD\xA0",
                                 "\xED\xA0\x80",
                                 "!"};
    test::dice dice(7);
    for (int round = 0; round < 50000; ++round) {
        std::string text;
        for (std::size_t n = dice.below(12); n > 0; --n)
            text += parts[dice.below(std::size(parts))];
        if (cuts_of(text) == test::oracle_pieces(text)) continue;
        FAIL("wrong: " << gpt2::detail::printable(text));
    }
}

TEST_CASE("what is appended moves no cut that two characters follow") {  // 171
    const std::string parts[] = {"'", "l", "r",   "e", "s", " ", "\n", "\xE3\x80\x80",
                                 "1", "!", "\xFF"};
    test::dice dice(8);
    for (int round = 0; round < 20000; ++round) {
        std::string text, more;
        for (std::size_t n = dice.below(10); n > 0; --n)
            text += parts[dice.below(std::size(parts))];
        for (std::size_t n = dice.below(4); n > 0; --n) more += parts[dice.below(std::size(parts))];
        const std::string all = text + more;
        const auto before = cuts_of(text), after = cuts_of(all);
        std::size_t end = 0;
        for (std::size_t i = 0; i < before.size(); ++i) {
            end += before[i].size();
            if (test::oracle_characters(std::string_view(text).substr(end)).size() < 2) break;
            INFO(gpt2::detail::printable(text) << " and " << gpt2::detail::printable(more));
            REQUIRE(before[i] == after[i]);
        }
    }
}

TEST_CASE("an apostrophe before any two signs is cut as the pattern says") {
    for (char first = '!'; first <= '~'; ++first)
        for (char second = '!'; second <= '~'; ++second) {
            const std::string text{'x', '\'', first, second};
            if (cuts_of(text) != test::oracle_pieces(text))
                FAIL("wrong: " << gpt2::detail::printable(text));
        }
}
