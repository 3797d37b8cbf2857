// Patterns of tokenizer files: matches as Oniguruma finds them (worked out with Hugging Face
// tokenizers' Split, 0.23.3), and linear time.
#include "../support/catch.hpp"
#include "../support/process.hpp"

#include <gpt2/detail/pattern.hpp>

#include <string>
#include <vector>

using gpt2::errc;
using gpt2::detail::pattern;
using strings = std::vector<std::string>;

namespace {

strings matches(const std::string& source, const std::string& text) {
    const pattern compiled(source, "test");
    strings found;
    std::size_t at = 0;
    while (const auto next = compiled.find(text, at)) {
        REQUIRE(next->begin < next->end);
        REQUIRE(next->begin >= at);
        found.push_back(text.substr(next->begin, next->end - next->begin));
        at = next->end;
    }
    return found;
}

}  // namespace

TEST_CASE("the first alternative that matches wins, not the longest") {
    CHECK(matches("a|ab", "abab") == strings{"a", "a"});
    CHECK(matches("ab|a", "aba") == strings{"ab", "a"});
    CHECK(matches("(?:a|ab)(?:c|bcd)", "abcd") == strings{"abcd"});
    CHECK(matches("a|b|c|d|e|f|g|h|i|j|k|l", "lka") == strings{"l", "k", "a"});
    CHECK(matches("b+|[^b]", "abba") == strings{"a", "bb", "a"});
}

TEST_CASE("repetition takes all it can and gives back what the rest needs") {
    CHECK(matches("a+", "aabaaa") == strings{"aa", "aaa"});
    CHECK(matches("a*b", "aab b ac") == strings{"aab", "b"});
    CHECK(matches("a?b", "aabb") == strings{"ab", "b"});
    CHECK(matches("a{2}", "aaaaa") == strings{"aa", "aa"});
    CHECK(matches("a{2,}", "aaaaa a") == strings{"aaaaa"});
    CHECK(matches("\\d{1,3}", "12345") == strings{"123", "45"});
    CHECK(matches("a+ab", "aaab") == strings{"aaab"});
    CHECK(matches("(?:ab?)+c", "aababc") == strings{"aababc"});
    CHECK(matches("a{0,2}b", "aaab") == strings{"aab"});
}

TEST_CASE("sets, classes and what stands ahead") {
    CHECK(matches("[a-c\\-x]+", "abd-xc]") == strings{"ab", "-xc"});
    CHECK(matches("[^\\s\\d]+", "ab 1c\u3000\u0663\u4f60") == strings{"ab", "c", "\u4f60"});
    CHECK(matches("\\s+(?!\\S)", "a   b  ") == strings{"  ", "  "});
    CHECK(matches("a(?=b)", "abaa") == strings{"a"});
    CHECK(matches(".+", "a\nb") == strings{"a", "b"});
    CHECK(matches("(?i:'s|k)", "'S'\u017f K\u212a") == strings{"'S", "'\u017f", "K", "\u212a"});
    CHECK(matches("\\w+", "a_\u00bd\u200d\u0301") == strings{"a_\u00bd", "\u0301"});
    CHECK(matches("[\\w]+", "a_\u00bd") == strings{"a_"});
    CHECK(matches("\\p{N}", "\u00bd\u2167a") == strings{"\u00bd", "\u2167"});
    CHECK(matches("[^a]", "a\xFF\xC3") == strings{"\xFF", "\xC3"});
}

TEST_CASE("patterns that are too large, or none, are refused") {
    CHECK_ERROR(errc::limit_exceeded, pattern("(?:(?:a{9}){9}){9}", "test"));
    CHECK_ERROR(errc::limit_exceeded, pattern(std::string(1001, 'a'), "test"));
    CHECK_ERROR(errc::limit_exceeded, pattern("a{999}", "test"));
    CHECK_ERROR(errc::unsupported, pattern("a{1000}", "test"));
    CHECK_ERROR(errc::unsupported, pattern("(((((((((a)))))))))", "test"));
    CHECK_ERROR(errc::unsupported, pattern("(?:a?)+", "test"));
    CHECK_ERROR(errc::unsupported, pattern("[z-a]", "test"));
    CHECK_ERROR(errc::unsupported, pattern("\xFF", "test"));
}

TEST_CASE("what makes other engines run for ever takes linear time") {
    const std::string many(20000, 'a');
    CHECK(test::cpu_seconds([&] {
              CHECK(matches("(?:a+)+b", many).empty());
              CHECK(matches("(?:a|aa)+b|(?:a{1,9}){9}b", many).empty());
          }) < 2);
}
