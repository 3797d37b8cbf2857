// Streams of bytes become whole characters, in any portions.
#include "oracle.hpp"

namespace {

const std::string fffd = "\xEF\xBF\xBD";

/// All of `bytes` in one portion, to its end.
std::string whole(std::string_view bytes) {
    gpt2::utf8_stream stream;
    std::string text = stream.push(bytes);
    return text + stream.finish();
}

bool is_utf8(std::string_view text) {
    for (const auto& c : test::oracle_characters(text))
        if (c.size == 1 && static_cast<unsigned char>(text[c.begin]) >= 0x80) return false;
    return true;
}

}  // namespace

TEST_CASE("a character that arrives in parts is shown once it is whole") {
    gpt2::utf8_stream stream;
    CHECK(stream.push("\xF0\x9F\x98").empty());
    CHECK(stream.pending() == "\xF0\x9F\x98");
    CHECK(stream.push("\x80!") == "\xF0\x9F\x98\x80!");
    CHECK(stream.pending().empty());
    CHECK(stream.finish().empty());
}

TEST_CASE("a stream that ends inside a character gives one replacement and begins anew") {
    for (const std::string cut : {"\xF0\x9F\x98", "\xF0\x9F", "\xF0", "\xE2\x82", "\xC3"}) {
        gpt2::utf8_stream stream;
        CHECK(stream.push("a" + cut) == "a");
        CHECK(stream.finish() == fffd);
        CHECK(stream.finish().empty());
        CHECK(stream.push("b") == "b");
    }
}

TEST_CASE("bytes that can never become a character are replaced at once") {
    gpt2::utf8_stream stream;
    CHECK(stream.push("\xFF") == fffd);
    CHECK(stream.push("\xFF\xC0\x80") == fffd + fffd + fffd);
    CHECK(stream.push("\xE2").empty());
    CHECK(stream.push("(") == fffd + "(");
    CHECK(stream.push("\xED\xA0") == fffd + fffd);  // a surrogate has no valid beginning but ED
    CHECK(stream.push("\xF4\x90") == fffd + fffd);  // above U+10FFFF, as is all that begins F5
    CHECK(stream.push("\xF5\x80") == fffd + fffd);
    CHECK(stream.pending().empty());
}

TEST_CASE("replacements follow Unicode's maximal subparts") {
    // The Unicode Standard 16.0, tables 3-8 to 3-11.
    CHECK(whole("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") ==
          fffd + fffd + fffd + fffd + fffd + fffd + fffd + fffd + "A");
    CHECK(whole("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") ==
          fffd + fffd + fffd + fffd + fffd + fffd + fffd + fffd + "A");
    CHECK(whole("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") ==
          fffd + fffd + fffd + fffd + fffd + "A" + fffd + fffd + "B");
    CHECK(whole("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == fffd + fffd + fffd + fffd + "A");
}

TEST_CASE("any portions concatenate to what one push gives, and each is UTF-8") {
    const std::string parts[] = {"a",
                                 "\xC3\xA9",
                                 "\xE4\xBD\xA0",
                                 "\xF0\x9F\x98\x80",
                                 "\xE2\x80\x8D",
                                 "\r\n",
                                 "\xCC\x81",
                                 "\xFF",
                                 "\xF0\x9F",
                                 "\xE2",
                                 "\xED\xA0",
                                 "\x80",
                                 std::string(1, '\0')};
    test::dice dice(3);
    for (int round = 0; round < 20000; ++round) {
        std::string bytes;
        for (std::size_t n = dice.below(10); n > 0; --n)
            bytes += parts[dice.below(std::size(parts))];
        gpt2::utf8_stream stream;
        std::string text;
        for (std::string_view rest = bytes; !rest.empty();) {
            const std::size_t size = 1 + dice.below(std::min<std::size_t>(rest.size(), 4));
            const std::string portion = stream.push(rest.substr(0, size));
            REQUIRE(is_utf8(portion));
            REQUIRE(stream.pending().size() <= 3);
            text += portion;
            rest.remove_prefix(size);
        }
        text += stream.finish();
        REQUIRE(text == whole(bytes));
    }
}
