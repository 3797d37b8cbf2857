// JSON from strangers. Numbers in brackets are those of the project's list of hazards.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/json.hpp"
#include "../support/process.hpp"

#include <gpt2/detail/json.hpp>

#include <clocale>
#include <cstdint>
#include <string>
#include <vector>

#include <pthread.h>

using gpt2::errc;
using namespace gpt2::detail;
using namespace std::string_literals;

namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

bool is_printable(const std::string& text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
            return false;
    return true;
}

json_fields fields_of(const json_value& document) {
    return {document, "config.json", errc::bad_config};
}

}  // namespace

TEST_CASE("what is not exactly one JSON value is refused [130, 131]", "[files][json]") {
    const std::string text = GENERATE(values<std::string>({"",
                                                           " ",
                                                           "{",
                                                           "[1,]",
                                                           R"({"a":1,})",
                                                           "{'a':1}",
                                                           "{a:1}",
                                                           "// c\n1",
                                                           "/* c */ 1",
                                                           "NaN",
                                                           "Infinity",
                                                           "-Infinity",
                                                           "1e999",
                                                           "-1e999",
                                                           R"([1e999])",
                                                           "1 2",
                                                           "{}{}",
                                                           "{} x",
                                                           "nul",
                                                           "01",
                                                           "+1",
                                                           ".5",
                                                           "1.",
                                                           "0x10",
                                                           "\"",
                                                           "\"\\q\"",
                                                           "\"\\ud800\"",
                                                           "\"\\udc00\\ud800\"",
                                                           "\"\n\"",
                                                           "\"\x01\"",
                                                           "\"\xff\"",
                                                           "\"\xc0\x80\"",
                                                           "\"\xed\xa0\x80\"",
                                                           "\"\xf4\x90\x80\x80\"",
                                                           "\"\xe2\x82\"",
                                                           "\xff",
                                                           "\xEF\xBB\xBF{}",
                                                           "\xEF\xBB\xBF",
                                                           "{}\0"s,
                                                           "{\"a\":1}\0garbage"s,
                                                           "\0"s,
                                                           "\"a\0b\""s}));
    CAPTURE(gpt2::detail::printable(text));
    CHECK_ERROR(errc::bad_json, parse_json(text, "f.json"));
    const auto problem = test::error_of([&] { parse_json(text, "f.json"); });
    REQUIRE(problem);
    CHECK(is_printable(problem->what()));
    CHECK_THAT(problem->what(), Catch::Matchers::StartsWith("f.json: "));
}

TEST_CASE("JSON proper is read", "[files][json]") {
    const auto document = parse_json(
        R"( {"a":[1,-2,3.5,1e3,true,false,null,"é\u00e9\ud83d\ude00\u0000"],
             "b":{"a":{}},"":[[]]} )",
        "f.json");
    CHECK(test::as_nlohmann(document) ==
          nlohmann::json::parse(R"({"a":[1,-2,3.5,1e3,true,false,null,
        "é\u00e9\ud83d\ude00\u0000"],"b":{"a":{}},"":[[]]})"));
    CHECK(parse_json("18446744073709551615", "f").whole_number());
    CHECK(test::as_nlohmann(parse_json("[[1],[2,[3]],4]", "f")).dump() == "[[1],[2,[3]],4]");
}

TEST_CASE("the position of a mistake is named [013]", "[files][json]") {
    const auto problem = test::error_of([] { parse_json("{\"a\": \x01}", "f.json"); });
    REQUIRE(problem);
    CHECK(problem->what() == "f.json: expected valid JSON, found an error at byte 7"s);
}

TEST_CASE("nlohmann reads the same, and stops at the same byte", "[files][json]") {
    const char* const texts[] = {
        R"({"a" : [1, -2, 3.5, 1e3, true, false, null], "b": {"a": {}}, "": [[]], "c":"\u00e9"})",
        R"(["\"\\\/\b\f\n\r\t", "\u0000\u007f\u0080\u07ff\u0800\uFFFF\uD834\uDD1E", "\ud800x"])",
        R"(["\uDBFF\uDFFF", "\ud83d\ude00", "\udc00", "\ud800\udbff", "\u12G4", "\uD8"])",
        R"([0, -0, 0.0, -0.0, 10, 9223372036854775807, 9223372036854775808, -9223372036854775808])",
        R"([18446744073709551615, 18446744073709551616, -9223372036854775809, 1E+2, 1e-2, 1.5E0])",
        R"([1.7976931348623157e308, 2.2250738585072014e-308, 4.9e-324, 2.4e-324, 2.5e-324])",
        R"([1e-999, -1e-999, 0.1, 0.30000000000000004, 9007199254740993.0, 1234567890123456789.5])",
        R"([0.000000000000000000000000000000000000000000000000000000000000000000000001e72])",
        R"([0e99999999999999999999, 0.0e-99999999999999999999, 1e-99999999999999999999])",
        R"([10000000000000000000000000000000000000000000000000000000000000000e-64])",
        "[\"\x7f\", "
        "\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"]",
        " \t\r\n[ \t\r\n1 \t\r\n, \"a\" \t\r\n] \t\r\n"};
    const std::string pieces = "0-+.eE\\\"u,]}: \x01\x80\xC1\xED\xF4";
    for (const std::string text : texts) {
        CAPTURE(text);
        CHECK(test::json_difference(text) == "");
        for (std::size_t i = 0; i <= text.size(); ++i) {
            std::vector<std::string> others{text.substr(0, i), text.substr(i)};
            if (i < text.size()) {
                others.push_back(std::string(text).erase(i, 1));
                for (const char piece : pieces) {
                    others.push_back(text);
                    others.back()[i] = piece;
                }
            }
            for (const std::string& other : others) {
                const auto difference = test::json_difference(other);
                if (difference.empty()) continue;
                CAPTURE(printable(other, 400));
                FAIL(difference);
            }
        }
    }
}

TEST_CASE("numbers beyond the range of doubles are as nlohmann takes them", "[files][json]") {
    for (const std::size_t zeros : {0, 1, 300, 330, 400})
        for (const char* exponent : {"", "e-330", "e330", "e-300", "e300", "E+400", "E-400",
                                     "e99999999999999999999", "e-99999999999999999999"})
            for (const char* sign : {"", "-"})
                for (const std::string& digits : {"1" + std::string(zeros, '0'),
                                                  "0." + std::string(zeros, '0') + "1", "0.0"s}) {
                    const std::string text = sign + digits + exponent;
                    CAPTURE(text);
                    CHECK(test::json_difference(text) == "");
                    if (test::error_of([&] { parse_json(text, "f"); })) continue;
                    CHECK(described(parse_json(text, "f")) == nlohmann::json::parse(text).dump());
                }
}

TEST_CASE("duplicate keys at any level [132]", "[files][json]") {
    CHECK_ERROR(errc::bad_json, parse_json(R"({"n_layer":1,"n_layer":1})", "f"));
    CHECK_ERROR(errc::bad_json, parse_json(R"([{"x":{"a":1,"b":2,"a":3}}])", "f"));
    CHECK_ERROR(errc::bad_json, parse_json(R"({"a":1,"\u0061":2})", "f"));
    CHECK_ERROR(errc::bad_json, parse_json(R"({"a":null,"a":null})", "f"));
    CHECK_NOTHROW(parse_json(R"({"a":{"a":1},"b":{"a":1}})", "f"));
}

TEST_CASE("depth is limited [127]", "[files][json]") {
    CHECK_NOTHROW(parse_json(nested(64), "f"));
    CHECK_ERROR(errc::bad_json, parse_json(nested(65), "f"));
    std::string objects;
    for (int i = 0; i < 65; ++i) objects += R"({"a":)";
    CHECK_ERROR(errc::bad_json, parse_json(objects, "f"));
    const std::string deep(10'000'000, '[');
    const double seconds = test::cpu_seconds([&] {
        CHECK_ERROR(errc::bad_json, parse_json(deep, "f", {deep.size(), 64, 1u << 22}));
    });
    CHECK(seconds < 0.5);
}

TEST_CASE("the deepest allowed document needs little stack [128]", "[files][json]") {
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, 200 * 1024) == 0);
    pthread_t thread{};
    bool done = false;
    const auto body = [](void* flag) -> void* {
        *static_cast<bool*>(flag) = parse_json(nested(64), "f").items() != nullptr;
        return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, body, &done) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    CHECK(done);
}

TEST_CASE("bytes and values are limited [049, 129]", "[files][json]") {
    json_limits limits;
    limits.bytes = 8;
    CHECK_NOTHROW(parse_json("[1,2,34]", "f", limits));
    CHECK_ERROR(errc::limit_exceeded, parse_json("[1,2,345]", "f", limits));
    limits = {};
    limits.values = 4;
    CHECK_NOTHROW(parse_json("[1,{\"a\":2}]", "f", limits));
    CHECK_ERROR(errc::limit_exceeded, parse_json("[1,{\"a\":2},3]", "f", limits));

    const test::scratch_folder folder;
    test::write_file(folder / "large.json", std::string((1u << 20) + 1, ' '));
    CHECK_ERROR(errc::limit_exceeded, read_json(gpt2::detail::file_source(folder / "large.json")));
    test::write_file(folder / "small.json", "{}");
    CHECK(read_json(gpt2::detail::file_source(folder / "small.json")).members());
    CHECK_ERROR(errc::not_found, read_json(gpt2::detail::file_source(folder / "absent.json")));
}

TEST_CASE("memory that runs out is a typed error [145]", "[files][json]") {
    struct exhausted : json_builder {
        using json_builder::json_builder;
        void null() override { throw std::bad_alloc(); }
        void boolean(bool) override { throw std::length_error("too long"); }
    };
    const auto parse = [](std::string_view text) {
        exhausted handler("f", {});
        read_json_events(text, "f", handler);
    };
    CHECK_ERROR(errc::out_of_memory, parse("null"));
    CHECK_ERROR(errc::out_of_memory, parse("true"));
}

TEST_CASE("fields are read with type and range [133, 138]", "[files][json]") {
    const auto document = parse_json(
        R"({"one":1,"minus":-1,"zero":0,"half":1.5,"text":"12","e":1e3,"big":4294967296,
            "huge":18446744073709551616,"null":null,"yes":true,"tiny":1e-400,"list":[1],"obj":{}})",
        "f");
    const auto fields = fields_of(document);
    CHECK(fields.integer("one", {1, 9}) == 1u);
    CHECK_FALSE(fields.integer("absent", {1, 9}));
    for (const char* key : {"minus", "zero", "half", "text", "e", "big", "huge", "null", "yes",
                            "tiny", "list", "obj"})
        CHECK_ERROR(errc::bad_config, fields.integer(key, {1, 9}));
    CHECK(fields.positive_real("half") == 1.5);
    CHECK(fields.positive_real("one") == 1.0);
    CHECK(fields.positive_real("e") == 1000.0);
    for (const char* key : {"minus", "zero", "text", "null", "yes", "tiny", "list", "obj"})
        CHECK_ERROR(errc::bad_config, fields.positive_real(key));
    CHECK(fields.boolean("yes") == true);
    CHECK_ERROR(errc::bad_config, fields.boolean("one"));
    CHECK_ERROR(errc::bad_config, fields.boolean("null"));
    CHECK(fields.text("text") == "12");
    CHECK_ERROR(errc::bad_config, fields.text("one"));
    CHECK(fields.given("one"));
    CHECK_FALSE(fields.given("null"));
    CHECK_FALSE(fields.given("absent"));
    CHECK_ERROR(errc::bad_config, fields_of(*fields.find("list")));
    const auto problem = test::error_of([&] { fields.integer("minus", {1, 9}); });
    REQUIRE(problem);
    CHECK(problem->what() == "config.json: minus: expected an integer from 1 to 9, found -1"s);
}

TEST_CASE("messages show a value as nlohmann writes it", "[files][json]") {
    for (const char* text : {"null",
                             "true",
                             "false",
                             "0",
                             "-1",
                             "18446744073709551615",
                             "1.0",
                             "1.5",
                             "-0.0",
                             "1e3",
                             "0.1",
                             "1e-4",
                             "1e-5",
                             "1.25e-7",
                             "123456789012345.0",
                             "1e15",
                             "1e16",
                             "1.5e22",
                             "-2.5e300",
                             "5e-324",
                             "1e-400",
                             "123456.789",
                             "0.00012345",
                             "1e14",
                             "999999999999999.9"}) {
        CAPTURE(text);
        CHECK(described(parse_json(text, "f")) == nlohmann::json::parse(text).dump());
    }
    CHECK(described(parse_json("[]", "f")) == "an array");
    CHECK(described(parse_json("{}", "f")) == "an object");
    CHECK(described(parse_json("\"a\\u0000b\"", "f")) == "\"a\\x00b\"");
}

TEST_CASE("numbers do not depend on the locale [144]", "[files][json]") {
    const std::string saved = std::setlocale(LC_ALL, nullptr);
    const bool german = std::setlocale(LC_ALL, "de_DE.UTF-8") || std::setlocale(LC_ALL, "de_DE");
    if (!german) WARN("skipped: no German locale is installed");
    const auto document = parse_json(R"({"epsilon":1.5e-5})", "f");
    std::setlocale(LC_ALL, saved.c_str());
    CHECK(fields_of(document).positive_real("epsilon") == 1.5e-5);
}
