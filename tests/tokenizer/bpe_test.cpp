// Merging against the rule said plainly, for merges in any order and for pieces short and long.
#include "oracle.hpp"

#include <gpt2/detail/byte_alphabet.hpp>
#include <gpt2/detail/tokenizer_builder.hpp>
#include <gpt2/tokenizer_files.hpp>

using gpt2::vocabulary;

namespace {

void compare(const vocabulary& from, const std::string& text) {
    const gpt2::tokenizer t(from);
    test::ids expected;
    for (const auto piece : test::oracle_pieces(text)) test::oracle_merge(from, piece, expected);
    INFO(gpt2::detail::printable(text, 200));
    REQUIRE(t.encode(text) == expected);
}

/// Merges of random tokens over few letters, in no order that training would give.
vocabulary random_merges(test::dice& dice, std::size_t count) {
    vocabulary made = test::bytes_only();
    std::vector<std::string> known{"a", "b", "c", " "};
    std::map<std::pair<std::string, std::string>, bool> seen;
    while (made.merges.size() < count) {
        const auto left = known[dice.below(known.size())], right = known[dice.below(known.size())];
        if (left.size() + right.size() > 40 || !seen.emplace(std::pair(left, right), true).second)
            continue;
        test::add_merge(made, left, right);
        known.push_back(left + right);
    }
    for (std::size_t i = made.merges.size() - 1; i > 0; --i)
        std::swap(made.merges[i], made.merges[dice.below(i + 1)]);
    return made;
}

}  // namespace

TEST_CASE("merges in any order follow the rule") {
    test::dice dice(1);
    for (int round = 0; round < 60; ++round) {
        const vocabulary made = random_merges(dice, 5 + dice.below(40));
        for (int i = 0; i < 30; ++i) {
            std::string text;
            for (std::size_t n = dice.below(i % 3 == 0 ? 150 : 30); n > 0; --n)
                text += "abcabcabcabc "[dice.below(13)];
            compare(made, text);
        }
    }
}

TEST_CASE("a token that merging does not reach is never given") {
    vocabulary made = test::bytes_only();
    test::add_merge(made, "b", "c");  // first: takes the b of abc
    test::add_merge(made, "a", "b");
    test::add_merge(made, "ab", "c");  // abc can never come of this
    CHECK(gpt2::tokenizer(made).encode("abc") == test::ids{'a', 256});
    made.tokens.push_back("lonely");
    CHECK(gpt2::tokenizer(made).encode("lonely").size() == 6);
}

TEST_CASE("one token by two merges") {
    vocabulary made = test::bytes_only();
    test::add_merge(made, "a", "b");
    test::add_merge(made, "b", "c");
    test::add_merge(made, "a", "bc");
    test::add_merge(made, "ab", "c");
    for (const std::string text : {"abc", "aabcc", "abcabc", "bcabab"}) compare(made, text);
}

TEST_CASE("pieces around the length where the heap takes over") {
    vocabulary made = test::bytes_only();
    for (const char* part : {"a", "aa", "aaaa"}) test::add_merge(made, part, part);
    test::add_merge(made, "aaaaaaaa", "a");
    for (std::size_t size = gpt2::detail::short_part - 3; size < gpt2::detail::short_part + 20;
         ++size) {
        compare(made, std::string(size, 'a'));
        compare(made, " " + std::string(size, 'a') + "b");
    }
}

TEST_CASE("short pieces at every place and length, near the end of the text and far from it") {
    const auto t = gpt2::load_tokenizer(test::reference_folder());
    vocabulary made;  // the same, to feed the oracle
    for (gpt2::token_id id = 0; id < 599; ++id) made.tokens.emplace_back(t.bytes(id));
    const auto lines = test::read_file(test::reference_folder() / "merges.txt");
    for (const auto& [left, right, line] : gpt2::detail::read_merge_lines(lines, "merges"))
        test::add_merge(made, *gpt2::detail::symbol_bytes(left),
                        *gpt2::detail::symbol_bytes(right));
    REQUIRE(made.tokens.size() == 599);
    REQUIRE(made.merges.size() == 599 - 256);
    const std::string words[] = {
        "the",      " and", "ferry",  "\n",   " nobody",          "365", "\xE6\xB8\xA1\xE8\xBD\xAE",
        " morning", "'ll",  "values", "    ", "\xD0\xBF\xD0\xB0", "==",  "x"};
    test::dice dice(9);
    for (int round = 0; round < 300; ++round) {
        std::string text;
        for (std::size_t n = dice.below(6); n > 0; --n) text += words[dice.below(std::size(words))];
        compare(made, text);
    }
}

TEST_CASE("only merges say where a piece falls apart") {
    vocabulary made = test::bytes_only();
    test::add_merge(made, "a", "b");
    test::add_merge(made, "c", "d");
    test::add_merge(made, "ab", "cd");  // joins b and c, though bc is no token
    const gpt2::tokenizer t(made);
    CHECK(t.encode("abcd") == test::ids{258});
    CHECK(t.encode("bc") == test::ids{'b', 'c'});
    for (const std::size_t lead : {0u, 1u, 62u, 63u, 64u, 65u, 500u}) {
        compare(made, std::string(lead, 'x') + "abcdabxabbccdab");
        compare(made, std::string(lead, 'a') + "bcd" + std::string(lead, 'b') + "abcd");
    }
    made.tokens.push_back("xy");  // a token alone joins nothing
    CHECK(gpt2::tokenizer(made).encode("xy") == test::ids{'x', 'y'});
}

TEST_CASE("the key of a short piece does not depend on what follows it") {
    const std::string text = "abcdefghijklmno\xFF and more than sixteen bytes behind";
    for (std::size_t size = 0; size <= gpt2::detail::longest_word; ++size) {
        const auto inside = gpt2::detail::read_word(text.data(), size, text.data() + text.size());
        const auto alone = gpt2::detail::read_word(text.data(), size, text.data() + size);
        CHECK(inside == alone);
        const std::string padded = text.substr(0, size) + std::string(1, '\0');
        if (size < gpt2::detail::longest_word)
            CHECK_FALSE(gpt2::detail::read_word(padded.data(), size + 1,
                                                padded.data() + padded.size()) == alone);
    }
}

TEST_CASE("pairs chosen to collide are still found, and quickly") {
    // All of these want one of the same 64th part of the slots, which is far too few.
    gpt2::detail::pair_table table(4096);
    std::vector<std::pair<gpt2::token_id, gpt2::token_id>> pairs;
    for (gpt2::token_id left = 0; left < 1 << 20 && pairs.size() < 4096; left += 1) {
        const auto key = static_cast<std::uint64_t>(left) << 20 | 5u;
        if (gpt2::detail::spread(key) >> 58 == 7) pairs.emplace_back(left, 5);
    }
    REQUIRE(pairs.size() == 4096);
    for (std::uint32_t i = 0; i < pairs.size(); ++i) table.insert(pairs[i].first, 5, i);
    for (std::uint32_t i = 0; i < pairs.size(); ++i) REQUIRE(table.find(pairs[i].first, 5) == i);
    CHECK(table.find(pairs[0].first, 6) == gpt2::detail::no_rank);
    CHECK(table.find((1 << 20) - 1, (1 << 20) - 1) == gpt2::detail::no_rank);
}
