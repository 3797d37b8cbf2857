// One safetensors file, well-formed and hostile. Numbers in brackets are those of the project's
// list of hazards.
#include "../support/process.hpp"
#include "safetensors_builder.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::detail::read_safetensors;
using test::parsed;
using test::safetensors;
using test::with_header;
using namespace std::string_literals;

namespace {

/// The header of one tensor `t` and 16 bytes of values.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
}
std::string file_of(const std::string& dtype, const std::string& shape,
                    const std::string& offsets) {
    return with_header(entry(dtype, shape, offsets), std::string(16, '\0'));
}

/// From memory and from a file on disk, both must say the same.
void check_refused(errc code, std::string_view bytes) {
    CHECK_ERROR(code, parsed(bytes));
    const test::scratch_folder folder;
    test::write_file(folder / "f", bytes);
    CHECK_ERROR(code, read_safetensors(std::make_shared<gpt2::detail::file_source>(folder / "f")));
}

void check_accepted(std::string_view bytes, std::size_t tensors) {
    CHECK(parsed(bytes).tensors.size() == tensors);
}

std::string message_of(std::string_view bytes) {
    return test::message_of([&] { parsed(bytes); });
}

const std::string tiny = safetensors({test::ramp("a", {2, 3}), test::ramp("b", {4})});

}  // namespace

TEST_CASE("files too short for a header [001, 002, 003, 004]", "[files][safetensors]") {
    check_refused(errc::truncated, "");
    check_refused(errc::truncated, std::string(7, '\0'));
    check_refused(errc::bad_weights, std::string(8, '\0'));
    check_accepted(with_header("{}"), 0);
}

TEST_CASE("lengths of the header [005, 006, 007, 047]", "[files][safetensors]") {
    check_refused(errc::truncated, test::length_bytes(3) + "{}");
    for (const std::uint64_t length : {~std::uint64_t{0}, std::uint64_t{1} << 63,
                                       std::uint64_t{1} << 32, std::uint64_t{100'000'001}})
        check_refused(errc::limit_exceeded, test::length_bytes(length) + std::string(92, ' '));
    constexpr auto limit = gpt2::detail::safetensors_limits::header_bytes;
    const std::string longest = "{" + std::string(limit - 2, ' ') + "}";
    check_accepted(with_header(longest), 0);
    CHECK_ERROR(errc::limit_exceeded, parsed(with_header(longest + " ")));
    CHECK_ERROR(errc::truncated, parsed(test::length_bytes(limit) + "{}"));
}

TEST_CASE("a length beyond the limit costs nothing [006, 007]", "[files][safetensors]") {
    const test::scratch_folder folder;
    for (const std::uint64_t length : {std::uint64_t{100'000'001}, std::uint64_t{1} << 32}) {
        test::write_file(folder / "f", test::length_bytes(length));
        std::filesystem::resize_file(folder / "f", 8 + length);  // sparse
        const auto file = std::make_shared<gpt2::detail::file_source>(folder / "f");
        const auto memory =
            test::peak_growth([&] { CHECK_ERROR(errc::limit_exceeded, read_safetensors(file)); });
        CHECK(memory < 1'000'000);
    }
}

TEST_CASE("text that is no header [008, 009, 010, 012, 013]", "[files][safetensors]") {
    check_refused(errc::bad_json, with_header("{\"\xff\":1}"));
    check_refused(errc::bad_weights, with_header("\xff"));
    check_refused(errc::bad_json, with_header("{}\0"s));
    check_refused(errc::bad_json, with_header("{}\0 {"s));
    check_refused(errc::bad_weights, with_header("\xEF\xBB\xBF{}"));
    for (const char* text : {"[1]", "3", "\"x\"", "null", "true", "-1", "1.5"})
        check_refused(errc::bad_weights, with_header(text));
    for (const char* text : {"{", "{}}", "{} {}", "{\"a\"", "{\"a\":}", "{,}", "{}x"})
        check_refused(errc::bad_json, with_header(text));
    CHECK(message_of(with_header("{\x01")) ==
          "test.safetensors: header: expected valid JSON, found an error at byte 2");
}

TEST_CASE("white space around the header [011]", "[files][safetensors]") {
    check_accepted(with_header("\t\n{} \r\n\t"), 0);
    check_accepted(with_header("  " + entry("F32", "[4]", "[0,16]") + "  ", std::string(16, 'x')),
                   1);
}

TEST_CASE("nothing may occur twice [014, 015, 016]", "[files][safetensors]") {
    const std::string one = R"("t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
    const std::string two = R"("t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
    check_refused(errc::duplicate_tensor, with_header("{" + one + "," + two + "}", "abcd"));
    const std::string escaped = R"("\u0074":{"dtype":"F32","shape":[1],"data_offsets":[4,8]})";
    check_refused(errc::duplicate_tensor, with_header("{" + one + "," + escaped + "}", "abcdefgh"));
    for (const char* field : {R"("dtype":"F32")", R"("shape":[4])", R"("data_offsets":[0,16])"}) {
        std::string header = entry("F32", "[4]", "[0,16]");
        header.insert(header.size() - 2, ","s + field);
        check_refused(errc::bad_json, with_header(header, std::string(16, '\0')));
    }
    check_refused(errc::bad_json, with_header(R"({"__metadata__":{},"__metadata__":{}})"));
    check_refused(errc::bad_json, with_header(R"({"__metadata__":{"a":"1","a":"2"}})"));
}

TEST_CASE("metadata is text by name [017, 018, 019]", "[files][safetensors]") {
    for (const char* value :
         {"1", "[]", "\"x\"", "null", "true", R"({"a":1})", R"({"a":null})", R"({"a":{}})",
          R"({"a":["x"]})", R"({"a":-1.5})", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"})
        check_refused(errc::bad_weights, with_header(R"({"__metadata__":)"s + value + "}"));
    const auto file = parsed(with_header(R"({"__metadata__":{"format":"pt","":"é"}})"));
    REQUIRE(file.metadata.size() == 2);
    CHECK(*file.metadata.at("format").text() == "pt");
    CHECK(*file.metadata.at("").text() == "é");
    const auto many = [](std::size_t count) {
        std::string members;
        for (std::size_t i = 0; i < count; ++i)
            members += (i ? ",\"" : "\"") + std::to_string(i) + R"(":"")";
        return with_header(R"({"__metadata__":{)" + members + "}}");
    };
    constexpr auto limit = gpt2::detail::safetensors_limits::metadata;
    CHECK(parsed(many(limit)).metadata.size() == limit);
    CHECK_ERROR(errc::limit_exceeded, parsed(many(limit + 1)));
}

TEST_CASE("the fields of a tensor [020, 021, 022]", "[files][safetensors]") {
    for (const char* fields :
         {R"("shape":[4],"data_offsets":[0,16])", R"("dtype":"F32","data_offsets":[0,16])",
          R"("dtype":"F32","shape":[4])", ""}) {
        const std::string bytes = with_header(R"({"some.name":{)"s + fields + "}}");
        check_refused(errc::bad_weights, bytes);
        CHECK_THAT(message_of(bytes), Catch::Matchers::Contains("some.name"));
    }
    std::string header = entry("F32", "[4]", "[0,16]");
    header.insert(header.size() - 2, R"(,"extra":1)");
    check_refused(errc::bad_weights, with_header(header, std::string(16, '\0')));
    for (const char* offsets : {"[]", "[0]", "[0,8,16]", "16", "null", R"({"0":16})", "\"0,16\""})
        check_refused(errc::bad_weights, file_of("F32", "[4]", offsets));
    for (const char* value : {"1", "null", "[]", "\"x\"", "true", "-1", "0.5"})
        check_refused(errc::bad_weights, with_header(R"({"t":)"s + value + "}"));
}

TEST_CASE("offsets are non-negative integers in order [023, 024, 025, 026]",
          "[files][safetensors]") {
    for (const char* offsets :
         {"[16,0]", "[-1,3]", "[0.0,16]", "[0,16.0]", "[1e2,104]", R"(["0","16"])", "[true,16]",
          "[null,16]", "[[0],16]", "[0,18446744073709551616]", "[100,116]", "[17,33]"})
        check_refused(errc::bad_weights, file_of("F32", "[4]", offsets));
    check_refused(errc::truncated, file_of("F32", "[5]", "[0,20]"));
    check_refused(errc::truncated,
                  file_of("U8", "[1152921504606846976]", "[0,1152921504606846976]"));
}

TEST_CASE("values cover the file without hole or overlap [027, 028, 029, 030, 031]",
          "[files][safetensors]") {
    const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) {
        return with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + a +
                               R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + b + "}}",
                           std::string(bytes, '\0'));
    };
    check_accepted(two("[0,8]", "[8,16]", 16), 2);
    check_accepted(two("[8,16]", "[0,8]", 16), 2);
    check_refused(errc::bad_weights, two("[0,8]", "[12,20]", 20));
    check_refused(errc::bad_weights, two("[4,12]", "[12,20]", 20));
    check_refused(errc::bad_weights, two("[0,8]", "[4,12]", 12));
    check_refused(errc::bad_weights, two("[0,8]", "[0,8]", 8));
    check_refused(errc::bad_weights, two("[0,8]", "[8,16]", 17));
    check_refused(errc::truncated, two("[0,8]", "[8,16]", 14));
    check_refused(errc::bad_weights, tiny + "extra_bogus_data_for_polyglot_file");
    CHECK_THAT(message_of(tiny.substr(0, tiny.size() - 2)),
               Catch::Matchers::Contains("expected " + std::to_string(tiny.size()) +
                                         " bytes, found " + std::to_string(tiny.size() - 2)));
    std::string attack = "{";
    for (int i = 0; i < 10; ++i)
        attack += (i ? ",\"" : "\"") + std::to_string(i) +
                  R"(":{"dtype":"F32","shape":[4],"data_offsets":[0,16]})";
    check_refused(errc::bad_weights, with_header(attack + "}", std::string(16, '\0')));
}

TEST_CASE("sizes that wrap [032, 033, 034, 035, 036]", "[files][safetensors]") {
    check_refused(errc::bad_weights, file_of("F32", "[2,18446744073709551614]", "[0,16]"));
    check_refused(errc::bad_weights, file_of("I32", "[2,9223372036854775807]", "[0,16]"));
    check_refused(errc::bad_weights, file_of("F32", "[4294967296,4294967296]", "[0,0]"));
    check_refused(errc::bad_weights, file_of("F32", "[4294967296,4294967296]", "[0,16]"));
    check_refused(errc::bad_weights, file_of("F32", "[4194305,4194305,211106198978564]", "[0,16]"));
    check_refused(errc::bad_weights,
                  with_header(entry("F32", "[18446744073709551615,2,0]", "[0,0]")));
    check_accepted(with_header(entry("F32", "[0,18446744073709551615,2]", "[0,0]")), 1);
    check_refused(errc::bad_weights, file_of("F32", "[0,18446744073709551615]", "[0,16]"));
}

TEST_CASE("empty and scalar tensors [037, 038, 039]", "[files][safetensors]") {
    check_accepted(with_header(entry("F32", "[2,0]", "[0,0]")), 1);
    for (const bool empty_first : {true, false}) {
        const std::string empty = R"("e":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
        const std::string real = R"("r":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
        const std::string last = R"("z":{"dtype":"F32","shape":[0],"data_offsets":[4,4]})";
        check_accepted(with_header("{" + (empty_first ? empty + "," + real : real + "," + empty) +
                                       "," + last + "}",
                                   "abcd"),
                       3);
    }
    const auto scalar = parsed(with_header(entry("F32", "[]", "[0,4]"), "\0\0\x80\x3f"s));
    CHECK(test::values_of(scalar.tensors.at(0)) == std::vector{1.0f});
    check_accepted(with_header(entry("I32", "[]", "[0,4]"), "abcd"), 1);
    check_refused(errc::bad_weights, with_header(entry("I32", "[]", "[0,0]")));
}

TEST_CASE("shapes [040, 041, 042]", "[files][safetensors]") {
    check_accepted(with_header(entry("F32", "[1,1,1,1,1,1,1,4]", "[0,16]"), std::string(16, 'x')),
                   1);
    check_refused(errc::limit_exceeded, file_of("F32", "[1,1,1,1,1,1,1,1,4]", "[0,16]"));
    for (const char* shape :
         {"[-4]", "[4.0]", "[1.5]", "[\"4\"]", "[null]", "[[4]]", "[{}]", "[true]", "[1e0]",
          "[18446744073709551616]", "4", "{}", "null", "\"4\""})
        check_refused(errc::bad_weights, file_of("F32", shape, "[0,16]"));
    check_refused(errc::bad_weights, file_of("I32", "[2,2]", "[0,4]"));
    check_refused(errc::bad_weights, file_of("F16", "[4]", "[0,16]"));
}

TEST_CASE("kinds of values [043, 051]", "[files][safetensors]") {
    check_refused(errc::bad_weights, with_header(entry("F4", "[1,3]", "[0,1]"), "x"));
    check_accepted(with_header(entry("F4", "[1,4]", "[0,2]"), "xy"), 1);
    for (const char* dtype : {"f32", "FP32", "", "F32\\u0000", "F128", " F32"})
        check_refused(errc::unsupported, file_of(dtype, "[4]", "[0,16]"));
    for (const char* value : {"32", "null", "[\"F32\"]", "{}"})
        check_refused(errc::bad_weights,
                      with_header(R"({"t":{"dtype":)"s + value + "}}", std::string(16, '\0')));
    for (const auto& kind : gpt2::detail::dtype_table) {
        if (kind.values > 1) {  // blocks are GGUF's
            check_refused(errc::unsupported, file_of(std::string(kind.name), "[4]", "[0,16]"));
            continue;
        }
        const std::size_t bytes = 8 * kind.bits / 8;
        const std::string end = std::to_string(bytes);
        const auto file = parsed(with_header(
            entry(std::string(kind.name), "[8]", "[0," + end + "]"), std::string(bytes, '\0')));
        REQUIRE(file.tensors.size() == 1);
        CHECK(file.tensors[0].type() == kind.type);
        CHECK(file.tensors[0].bytes() == bytes);
        if (!is_float(kind.type)) CHECK_ERROR(errc::unsupported, test::values_of(file.tensors[0]));
    }
}

TEST_CASE("one file may hold every kind of float [050]", "[files][safetensors]") {
    const std::vector<float> expected = {0.5f, -2.0f, 1.5f, 0.0f};
    const auto file = parsed(safetensors(
        {{"f16", "F16", {4}, test::bytes_of(std::vector<std::uint16_t>{0x3800, 0xc000, 0x3e00, 0})},
         {"bf16",
          "BF16",
          {4},
          test::bytes_of(std::vector<std::uint16_t>{0x3f00, 0xc000, 0x3fc0, 0})},
         {"f32", "F32", {4}, test::bytes_of(expected)},
         {"f64", "F64", {4}, test::bytes_of(std::vector{0.5, -2.0, 1.5, 0.0})}}));
    REQUIRE(file.tensors.size() == 4);
    for (const auto& tensor : file.tensors) CHECK(test::values_of(tensor) == expected);
}

TEST_CASE("values may begin at any address [044]", "[files][safetensors]") {
    const std::vector<double> expected = {1.5, -2.25};
    const std::string bytes = test::bytes_of(expected);
    for (std::size_t pad = 0; pad < 8; ++pad) {
        const auto file =
            parsed(with_header(entry("F64", "[2]", "[0,16]") + std::string(pad, ' '), bytes));
        CHECK(test::values_of<double>(file.tensors.at(0)) == expected);
        CHECK(test::values_of<float>(file.tensors.at(0)) == std::vector{1.5f, -2.25f});
    }
}

TEST_CASE("names of tensors [045]", "[files][safetensors]") {
    const auto named = [](const std::string& name) {
        return with_header("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                           "x");
    };
    CHECK(parsed(named(std::string(1024, 'n'))).tensors.at(0).name().size() == 1024);
    check_refused(errc::limit_exceeded, named(std::string(1025, 'n')));
    check_refused(errc::bad_weights, named(""));
    const auto odd = parsed(named(R"(a\u0000\n\u00e9)"));
    CHECK(odd.tensors.at(0).name() == "a\0\n\xc3\xa9"s);
    const auto problem = test::error_of([&] { test::values_of(odd.tensors.at(0)); });
    REQUIRE(problem);
    CHECK_THAT(problem->what(), Catch::Matchers::Contains(R"("a\x00\x0a\xc3\xa9")"));
}

TEST_CASE("headers made to exhaust [046, 047, 048, 049]", "[files][safetensors]") {
    const auto check_cheap = [](errc code, const std::string& header) {
        const std::string bytes = with_header(header);
        const auto source = test::in_memory(bytes);
        std::size_t memory = 0;
        const double seconds = test::cpu_seconds([&] {
            memory = test::peak_growth([&] { CHECK_ERROR(code, read_safetensors(source)); });
        });
        CHECK(seconds < 1);
        CHECK(memory < 2 * bytes.size());
    };
    const auto many = [](std::size_t count) {
        std::string header = "{";
        for (std::size_t i = 0; i < count; ++i)
            header += (i ? ",\"" : "\"") + std::to_string(i) +
                      R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
        return header + "}";
    };
    constexpr std::size_t size = 15'000'000;
    check_cheap(errc::bad_weights, std::string(size, ' '));
    check_cheap(errc::bad_weights, std::string(size, '['));
    check_cheap(errc::bad_weights, "{\"a\":" + std::string(size, '['));
    check_cheap(errc::bad_weights, "{\"a\":{\"b\":" + std::string(size, '{'));
    std::string objects = "{\"a\":[{}";
    while (objects.size() < size) objects += ",{}";
    check_cheap(errc::bad_weights, objects + "]}");
    check_refused(errc::bad_weights, with_header(R"({"t":{"shape":[[[)"));

    CHECK(parsed(with_header(many(65536))).tensors.size() == 65536);
    check_cheap(errc::limit_exceeded, many(65537));
}

TEST_CASE("every single bit of the beginning flipped [059]", "[files][safetensors]") {
    const std::size_t header_end = tiny.size() - 40;
    std::size_t refused = 0;
    for (std::size_t bit = 0; bit < 8 * header_end; ++bit) {
        std::string bytes = tiny;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        const auto problem = test::error_of([&] {
            for (const auto& tensor : parsed(bytes).tensors) test::values_of(tensor);
        });
        refused += problem.has_value();
    }
    CHECK(refused > 8 * header_end / 2);  // what is left renames a tensor or changes a number
    CHECK(refused < 8 * header_end);
}

TEST_CASE("every truncation [060]", "[files][safetensors]") {
    for (std::size_t size = 0; size < tiny.size(); ++size)
        check_refused(errc::truncated, tiny.substr(0, size));
    check_accepted(tiny, 2);
}

TEST_CASE("other files that land in model folders are named", "[files][safetensors]") {
    const std::string pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 548105171\n";
    check_refused(errc::truncated, pointer);
    CHECK_THAT(message_of(pointer), Catch::Matchers::Contains("Git LFS pointer") &&
                                        Catch::Matchers::Contains("download is not complete"));
    for (const auto& [bytes, word] : std::vector<std::pair<std::string, std::string>>{
             {"GGUF\3\0\0\0"s, "GGUF"},
             {"PK\x03\x04 archive/data.pkl", "PyTorch"},
             {"\x89HDF\r\n\x1a\n", "HDF5"},
             {"<!DOCTYPE html><p>", "web page"},
             {"<html><body>", "web page"}}) {
        check_refused(errc::bad_weights, bytes);
        CHECK_THAT(message_of(bytes), Catch::Matchers::Contains(word));
    }
}

TEST_CASE("a tensor at 5 GiB [293]", "[files][safetensors]") {
    constexpr std::uint64_t gap = std::uint64_t{5} << 30;
    const std::string header = R"({"gap":{"dtype":"U8","shape":[)" + std::to_string(gap) +
                               R"(],"data_offsets":[0,)" + std::to_string(gap) +
                               R"(]},"t":{"dtype":"F32","shape":[2],"data_offsets":[)" +
                               std::to_string(gap) + "," + std::to_string(gap + 8) + "]}}";
    const test::scratch_folder folder;
    {
        std::ofstream file(folder / "f", std::ios::binary);
        file << test::length_bytes(header.size()) << header;
        file.seekp(static_cast<std::streamoff>(8 + header.size() + gap));
        file << test::bytes_of(std::vector{1.25f, -3.0f});
        REQUIRE(file.good());
    }
    const auto file = read_safetensors(std::make_shared<gpt2::detail::file_source>(folder / "f"));
    CHECK(test::values_of(file.tensors.at(1)) == std::vector{1.25f, -3.0f});
}

TEST_CASE("a file cut after its header was read [290]", "[files][safetensors]") {
    const test::scratch_folder folder;
    test::write_file(folder / "f", tiny);
    const auto file = read_safetensors(std::make_shared<gpt2::detail::file_source>(folder / "f"));
    std::filesystem::resize_file(folder / "f", tiny.size() - 1);
    CHECK_NOTHROW(test::values_of(file.tensors.at(0)));
    CHECK_ERROR(errc::truncated, test::values_of(file.tensors.at(1)));
}
