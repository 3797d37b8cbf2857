// The limits of grammars, each from both sides: what is just within is taken, one more is refused.
#include "../support/process.hpp"
#include "walk.hpp"

#include <gpt2/json_schema.hpp>

#include <string>
#include <vector>

using gpt2::errc;

namespace {

/// `most` is taken and one more is refused with limit_exceeded, or another code, in little time.
template <class Make>
void check_limit(std::size_t most, Make make, errc code = errc::limit_exceeded) {
    CAPTURE(most);
    CHECK(test::cpu_seconds([&] {
              CHECK_NOTHROW(make(most - 1));
              CHECK_NOTHROW(make(most));
              CHECK_ERROR(code, make(most + 1));
          }) < 4);
}

std::string times(std::size_t count, const std::string& text) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

std::string rule(std::size_t i) { return "r" + std::to_string(i); }

}  // namespace

TEST_CASE("limits of regular expressions", "[constraint][limits]") {
    check_limit(65536, [](std::size_t bytes) {  // 64 KiB, of a class with one character
        return gpt2::matching("[" + std::string(bytes - 2, 'a') + "]");
    });
    check_limit(64, [](std::size_t depth) {
        return gpt2::matching(std::string(depth, '(') + "a" + std::string(depth, ')'));
    });
    check_limit(32767, [](std::size_t count) {  // as many steps, 2¹⁵ states
        return gpt2::matching("a{" + std::to_string(count) + "}");
    });
}

TEST_CASE("limits of EBNF", "[constraint][limits]") {
    check_limit(65536, [](std::size_t bytes) {
        return gpt2::ebnf("a ::= 'x' #" + std::string(bytes - 11, '-'));
    });
    check_limit(64, [](std::size_t depth) {
        return gpt2::ebnf("a ::= " + std::string(depth, '(') + "'x'" + std::string(depth, ')'));
    });
    check_limit(65535, [](std::size_t count) {
        return gpt2::ebnf("a ::= 'x' ''{" + std::to_string(count) + "}");
    });
    check_limit(4095, [](std::size_t count) {  // with the whole 4096 rules
        std::string rules = "r1 ::= 'x'\n";
        for (std::size_t i = 2; i <= count; ++i) rules += rule(i) + " ::= 'y'\n";
        return gpt2::ebnf(rules);
    });
    check_limit(256, [](std::size_t count) {  // each within the last, and none is written out
        std::string rules;
        for (std::size_t i = 0; i < count; ++i)
            rules += rule(i) + " ::= '[' " + rule(i) + " ']' | " +
                     (i + 1 < count ? "'(' " + rule(i + 1) + " ')'\n" : "'x'\n");
        return gpt2::ebnf(rules);
    });
}

TEST_CASE("limits of texts that come, or must not", "[constraint][limits]") {
    const auto several = [](std::size_t count) {
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < count; ++i) texts.push_back(std::to_string(i));
        return texts;
    };
    const auto one = [](std::size_t bytes) { return std::vector{std::string(bytes, 'a')}; };
    check_limit(4096, [&](std::size_t count) { return gpt2::one_of(several(count)); });
    check_limit(4096, [&](std::size_t count) { return gpt2::without(several(count)); });
    check_limit(4096, [&](std::size_t bytes) { return gpt2::one_of(one(bytes)); });
    check_limit(4096, [&](std::size_t bytes) { return gpt2::without(one(bytes)); });
    check_limit(4096, [&](std::size_t bytes) { return gpt2::containing(one(bytes)); });
}

TEST_CASE("limits of schemas", "[constraint][limits]") {
    check_limit(std::size_t{1} << 18, [](std::size_t bytes) {
        return gpt2::json_schema("{}" + std::string(bytes - 2, ' '));
    });
    check_limit(
        60,
        [](std::size_t levels) {
            return gpt2::json_schema(times(levels - 1, R"({"items": )") + "{}" +
                                     times(levels - 1, "}"));
        },
        errc::bad_json);
    // An array of so many booleans, 5 bytes each at most: within 2¹⁵ states, and beyond.
    const auto booleans = [](std::size_t count) {
        return gpt2::json_schema(R"({"items": {"type": "boolean"}, "type": "array", "minItems": )" +
                                 std::to_string(count) +
                                 ", \"maxItems\": " + std::to_string(count) + "}");
    };
    CHECK(test::matches(booleans(3), "[true, false, true]"));
    CHECK_NOTHROW(booleans(1000));
    CHECK_ERROR(errc::limit_exceeded, booleans(32768));
}
