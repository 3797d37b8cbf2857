// Grammars as sets of texts: against Python's re, against plain functions, and what is refused.
#include "../support/files.hpp"
#include "../support/process.hpp"
#include "walk.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using gpt2::errc;
using test::matches;
using test::mentions;

TEST_CASE("regular expressions match what Python's re matches", "[constraint]") {
    const auto path = test::source_folder() / "tests/reference/constraint/regex.json";
    const auto rows = nlohmann::json::parse(test::read_file(path));
    REQUIRE(rows.size() == 300);
    const auto bytes = test::all_bytes();
    for (const auto& row : rows) {
        const auto pattern = row["pattern"].get<std::string>();
        const gpt2::constraint made(gpt2::matching(pattern), bytes);
        for (const auto& text : row["match"]) {
            INFO(pattern << " and " << text.dump());
            CHECK(matches(made, text.get<std::string>()));
        }
        for (const auto& text : row["other"]) {
            INFO(pattern << " and not " << text.dump());
            CHECK_FALSE(matches(made, text.get<std::string>()));
        }
    }
}

TEST_CASE("classes hold each character of theirs and no byte that is none", "[constraint]") {
    const auto bytes = test::all_bytes();
    const gpt2::constraint any(gpt2::matching("[\\s\\S]"), bytes);
    const gpt2::constraint some(gpt2::matching("[\u00e9-\u6f22\\u{1F600}-\\u{1F64F}]"), bytes);
    for (char32_t point = 0; point <= 0x10FFFF; point += point < 0x900 ? 1 : 41) {
        if (point >= 0xD800 && point <= 0xDFFF) continue;
        std::string text;
        gpt2::detail::append_utf8(text, point);
        const bool wanted =
            (point >= 0xE9 && point <= 0x6F22) || (point >= 0x1F600 && point <= 0x1F64F);
        if (!matches(any, text) || matches(some, text) != wanted) {
            CAPTURE(static_cast<std::uint32_t>(point));
            FAIL();
        }
    }
    for (const char* const text : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xC3"})
        CHECK_FALSE(matches(any, text));
}

TEST_CASE("what a regular expression may not have is named with its place", "[constraint]") {
    using test::refusal;
    const auto of = [](const char* pattern) {
        return refusal([&] { (void)gpt2::matching(pattern); });
    };
    CHECK(of("a(?=b)") == "regex: byte 2: looking ahead is not supported");
    CHECK(of("a(?<!b)") == "regex: byte 2: looking behind is not supported");
    CHECK(of("(a)\\1") == "regex: byte 4: a reference to a group is not supported");
    CHECK(of("a\\b") == "regex: byte 1: a word boundary is not supported");
    CHECK(of("a^b") == "regex: byte 1: ^ behind the beginning is not supported");
    CHECK(of("a$b") == "regex: byte 2: $ before the end is not supported");
    CHECK(of("a*+") == "regex: byte 2: a possessive quantifier is not supported");
    CHECK(of("\\p{L}") == "regex: byte 0: a Unicode property is not supported");
    CHECK(of("(?P<n>a)") == "regex: byte 1: a named group is not supported");
    CHECK(of("*a") == "regex: byte 0: expected something to repeat, found \"*a\"");
    CHECK(of("(a") == "regex: byte 2: expected \")\", found the end");
    CHECK(of("a)") == "regex: byte 1: expected the end, or an opened group, found \")\"");
    CHECK_THAT(of("[b-a]"), mentions("a range from a lower to a higher character"));
    CHECK_THAT(of("a{3,2}"), mentions("m at most n"));
    CHECK_THAT(of("\xFF"), mentions("expected UTF-8"));
    CHECK(of("[^\\s\\S]") == "regex: nothing can match");
    CHECK_ERROR(errc::invalid_argument, gpt2::matching("a[^\\s\\S]"));
    CHECK_ERROR(errc::unsupported, gpt2::matching("a(?!b)"));
}

TEST_CASE("grammar bombs meet a limit in little time", "[constraint]") {
    const auto nested = [](std::size_t depth, const std::string& inner) {
        std::string all(depth, '(');
        all += inner;
        for (std::size_t i = 0; i < depth; ++i) all += ")*";
        return all;
    };
    std::string twice = "a";
    for (int i = 0; i < 40; ++i) twice = "(" + twice + "){2}";
    const std::vector<std::string> bombs = {
        "a{65536}", "(a{1000}){1000}", "((a{0,300}){0,300}){0,300}", "(a|b)*a(a|b){20}",
        "a{40000}", nested(65, "a"),   std::string(65537, 'a'),      "([\\s\\S]{1,60000}){9}",
        twice,
    };
    for (const std::string& bomb : bombs) {
        CAPTURE(bomb.substr(0, 60));
        CHECK(test::cpu_seconds([&] { CHECK_ERROR(errc::limit_exceeded, gpt2::matching(bomb)); }) <
              4);
    }
    CHECK(matches(gpt2::matching(nested(64, "a*")), "aaaa"));
    CHECK(matches(gpt2::matching("a{30000}"), std::string(30000, 'a')));
    CHECK_FALSE(matches(gpt2::matching("(a|b)*a(a|b){9}"), "ab"));
    CHECK_ERROR(errc::limit_exceeded, gpt2::one_of({std::string(4097, 'a')}));
    CHECK_ERROR(errc::limit_exceeded, gpt2::one_of(std::vector<std::string>(4097, "a")));
    CHECK_ERROR(errc::invalid_argument, gpt2::without({}));
    CHECK_ERROR(errc::invalid_argument, gpt2::containing({"a", ""}));
}

TEST_CASE("EBNF: rules, groups, repetition, comments, recursion", "[constraint]") {
    const auto sums = gpt2::ebnf(R"=(
        # sums of numbers
        sum    ::= term (("+" | '-') term)*
        term   ::= number | "(" sum ")"
        number ::= [1-9] [0-9]{0,2} | "\x30"
    )=");
    CHECK(sums.recursive());
    for (const char* const good : {"1", "0", "10+2", "(1)", "((1+2)-(3))", "(((((7)))))"})
        CHECK(matches(sums, good));
    for (const char* const bad : {"", "01", "1+", "(1", "1)", "()", "1000", "1 + 2"})
        CHECK_FALSE(matches(sums, bad));
    const auto flat = gpt2::ebnf("a = b 'x'? ; b = c{2} | \"z\"; c = [ab]");
    CHECK_FALSE(flat.recursive());
    CHECK(matches(flat, "abx"));
    CHECK(matches(flat, "z"));
    CHECK_FALSE(matches(flat, "a"));
    const auto pairs = gpt2::ebnf("s ::= 'a' s 'b' | 'ab'\nroot ::= s | '(' root ')'");
    CHECK(matches(pairs, "((aabb))"));
    CHECK_FALSE(matches(pairs, "((aab))"));
    const auto mirror = gpt2::ebnf("m ::= 'a' m 'a' | 'b' m 'b' | 'c'");
    CHECK(matches(mirror, "abbcbba"));
    CHECK_FALSE(matches(mirror, "abbcbab"));
    const auto even = gpt2::ebnf("m ::= 'a' m 'a' | ''");
    CHECK(matches(even, ""));
    CHECK(matches(even, "aaaa"));
    CHECK_FALSE(matches(even, "aaa"));
    const auto list = gpt2::ebnf("list ::= 'a' list | 'b'");  // deeper than any stack
    CHECK(matches(list, std::string(5000, 'a') + "b"));
}

TEST_CASE("EBNF that is none is refused by name", "[constraint]") {
    using test::refusal;
    const auto of = [](const char* rules) { return refusal([&] { (void)gpt2::ebnf(rules); }); };
    CHECK(of("a ::= a 'x' | 'y'") == "ebnf: the rule \"a\" begins with itself");
    CHECK_THAT(of("a ::= 'x' | b 'y'  b ::= c  c ::= 'z'? b 'w' | 'v'"),
               mentions("begins with itself"));
    CHECK(of("a ::= b") == "ebnf: expected a rule \"b\", found none");
    CHECK(of("a ::= 'x' a ::= 'y'") == "ebnf: a second rule a");
    CHECK(of("a ::= 'x' a") == "ebnf: nothing can match");
    CHECK(of("") == "ebnf: byte 0: expected a rule, found the end");
    CHECK_THAT(of("a ::= 'x"), mentions("the end of the string"));
    CHECK_THAT(of("a ::= )"), mentions("expected a rule, or more of this one"));
    CHECK_THAT(of("a 'x'"), mentions("expected \"::=\""));
    std::string deep = "a0 ::= 'x'\n";
    for (int i = 1; i < 30; ++i)
        deep += "a" + std::to_string(i) + " ::= a" + std::to_string(i - 1) + " a" +
                std::to_string(i - 1) + "\n";
    deep += "root ::= a29";  // 2^29 bytes, but only so many rules
    CHECK(test::cpu_seconds([&] { CHECK(gpt2::ebnf(deep).recursive()); }) < 2);
    CHECK_ERROR(errc::limit_exceeded, [] {
        std::string rules;
        for (int i = 0; i < 300; ++i)
            rules += "a" + std::to_string(i) + " ::= '(' a" + std::to_string(i + 1) +
                     " ')' [01]{2000}\n";
        return gpt2::ebnf(rules + "a300 ::= '1'");
    }());
}

TEST_CASE("bans, requirements and what two grammars share", "[constraint]") {
    const auto clean = gpt2::without({"foo", "oba", "x"});
    const auto both = gpt2::containing({"ab", "bc"});
    for (const std::string text : {"", "fo", "fofobba", "foo", "afoob", "ob", "oba", "x", "ooba"}) {
        const bool banned = text.find("foo") != text.npos || text.find("oba") != text.npos ||
                            text.find("x") != text.npos;
        CAPTURE(text);
        CHECK(matches(clean, text) == !banned);
    }
    CHECK(matches(gpt2::containing({"aab"}), "aaab"));
    CHECK_FALSE(matches(gpt2::without({"abba", "bb"}), "abb"));
    CHECK(matches(both, "abc"));
    CHECK(matches(both, "bcab"));
    CHECK_FALSE(matches(both, "acbab"));
    const auto mixed = gpt2::matching("[a-d]{2,5}") & both & gpt2::without({"cc"});
    CHECK(matches(mixed, "abcab"));
    CHECK_FALSE(matches(mixed, "abccc"));
    CHECK_FALSE(matches(mixed, "abcabc"));
    const auto nest = gpt2::ebnf("v ::= '[' (v (',' v)*)? ']' | [0-9]") & gpt2::containing({"[7"}) &
                      gpt2::without({"[["});
    CHECK(nest.recursive());
    CHECK(matches(nest, "[1,[7,[]]]"));
    CHECK_FALSE(matches(nest, "[1,[8,[]]]"));
    CHECK_FALSE(matches(nest, "[[7]]"));
    CHECK_ERROR(errc::invalid_argument, gpt2::matching("a+") & gpt2::matching("b+"));
    CHECK_ERROR(errc::unsupported, nest & nest);
}
