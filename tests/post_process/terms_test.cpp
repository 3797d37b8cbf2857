// Banned terms, wherever they stand and however they are written.
#include "steps.hpp"

#include <algorithm>

using gpt2::ban_rule;
using gpt2::ban_terms;
using gpt2::letter_case;
using gpt2::term_place;

namespace {

std::string ban(const std::vector<std::string>& terms, std::string_view text, ban_rule rule = {}) {
    return test::run(ban_terms(terms, std::move(rule)), text);
}

}  // namespace

TEST_CASE("terms go as whole words in any case", "[post_process]") {
    CHECK(ban({"wolf"}, "The Wolf, a WOLF and wolves", {.replacement = "dog"}) ==
          "The dog, a dog and wolves");
    CHECK(ban({"wolf"}, "werewolf wolf_1 wolf2 wolf's") == "werewolf wolf_1 wolf2 's");
    CHECK(ban({"ÁRBOL"}, "un árbol, ÁRBOLES", {.replacement = "*"}) == "un *, ÁRBOLES");
    CHECK(ban({"new york", "new york city"}, "in New York City", {.replacement = "X"}) == "in X");
    CHECK(ban({"c++"}, "C++, c++x", {.replacement = "C"}) == "C, Cx");
    CHECK(ban({"."}, "a.b") == "ab");
    CHECK(ban({"a"}, "") == "");
    CHECK(ban({}, "a") == "a");
    CHECK_ERROR(gpt2::errc::invalid_argument, ban_terms(std::vector<std::string>{"a", ""}));
}

TEST_CASE("terms anywhere, in the very case", "[post_process]") {
    const ban_rule anywhere{.replacement = "-", .where = term_place::anywhere};
    CHECK(ban({"wolf"}, "werewolf wolves", anywhere) == "were- wolves");
    CHECK(ban({"abc", "bcd"}, "abcd abc", anywhere) == "- -");
    CHECK(ban({"a", "aa", "aaa"}, "aaaa b", anywhere) == "- b");
    CHECK(ban({"a"}, "aa", anywhere) == "--");
    CHECK(ban({"he", "she", "hers"}, "ushers", anywhere) == "u-");
    CHECK(ban({"狼"}, "大狼来", anywhere) == "大-来");
    const ban_rule exact{.replacement = "-", .letters = letter_case::exact};
    CHECK(ban({"Wolf"}, "Wolf wolf WOLF", exact) == "- wolf WOLF");
}

TEST_CASE("é is é however it is written, and e is not", "[post_process]") {
    const std::string composed = "caf\u00E9", apart = "cafe\u0301";
    for (const auto& term : {composed, apart})
        CHECK(ban({term}, composed + " " + apart + " CAF\u00C9 cafe", {.replacement = "x"}) ==
              "x x x cafe");
    CHECK(ban({"cafe"}, apart + " cafe", {.replacement = "x"}) == apart + " x");
    CHECK(ban({"cafe"}, apart, {.where = term_place::anywhere}) == apart);
    CHECK(ban({"\u0301"}, composed, {.where = term_place::anywhere}) == composed);
}

TEST_CASE("any bytes are looked for and looked through", "[post_process]") {
    CHECK(ban({"\xFF"},
              "a\xFF"
              "b \xFE",
              {.replacement = "?", .where = term_place::anywhere}) == "a?b \xFE");
    CHECK(ban({"wolf"}, "\xC3 wolf \xE2\x82", {.replacement = "x"}) == "\xC3 x \xE2\x82");
    CHECK(ban({std::string("\0a", 2)}, std::string_view("\0a b", 4)) == " b");
    // A broken beginning is no part of the character it would begin.
    CHECK(ban({"\xC3"}, "é", {.where = term_place::anywhere}) == "é");
}

TEST_CASE("many terms are found as one by one", "[post_process]") {
    std::vector<std::string> terms;
    std::string text;
    for (int i = 0; i < 300; ++i) terms.push_back("t" + std::to_string(i * i));
    for (int i = 0; i < 3000; ++i) text += "t" + std::to_string(i) + (i % 7 == 0 ? ".\n" : " ");
    std::string expected = text;
    for (int i = 0; i < 3000; ++i) {
        const std::string word = "t" + std::to_string(i);
        if (std::find(terms.begin(), terms.end(), word) == terms.end()) continue;
        for (const char behind : {' ', '.'}) {
            const auto at = expected.find(word + behind);
            if (at != expected.npos) expected.replace(at, word.size(), "#");
        }
    }
    CHECK(ban(terms, text, {.replacement = "#"}) == expected);
}
