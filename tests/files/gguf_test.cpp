// One GGUF file, well-formed and hostile. Numbers in brackets are those of the project's list of
// hazards.
#include "../support/process.hpp"
#include "gguf_builder.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

using gpt2::dtype;
using gpt2::errc;
using test::entry;
using test::gguf_parts;
using test::gguf_type;
using test::pair;
using test::parsed_gguf;
using test::raw;
using test::sized;
using namespace std::string_literals;

namespace {

const auto most = std::numeric_limits<std::uint64_t>::max();

std::filesystem::path fixture(const std::string& name) {
    return test::source_folder() / "tests" / "reference" / "gguf" / name;
}

gpt2::detail::gguf_file opened(const std::string& name) {
    return gpt2::detail::read_gguf(std::make_shared<gpt2::detail::file_source>(fixture(name)));
}

/// From memory and from a file on disk, both must say the same, and take next to no memory.
void check_bytes_refused(errc code, const std::string& bytes) {
    CHECK_ERROR(code, parsed_gguf(bytes));
    const test::scratch_folder folder;
    test::write_file(folder / "f", bytes);
    const auto file = std::make_shared<gpt2::detail::file_source>(folder / "f");
    const auto memory =
        test::peak_growth([&] { CHECK_ERROR(code, gpt2::detail::read_gguf(file)); });
    CHECK(memory < 1'000'000);
}
void check_refused(errc code, const gguf_parts& parts) { check_bytes_refused(code, parts.bytes()); }

/// One pair and nothing else.
gguf_parts one(std::string bytes) { return {.pairs = {std::move(bytes)}}; }

/// One tensor `t` of these extents and type with 64 bytes of values.
gguf_parts tensor(const std::vector<std::uint64_t>& extents, std::uint32_t type = 0) {
    gguf_parts parts;
    parts.add("t", extents, std::string(64, '\0'), type);
    return parts;
}

gguf_parts small() {
    gguf_parts parts;
    parts.pairs = {pair("general.architecture", "gpt2"), pair("a.number", 7u),
                   test::array("a.list", {"x", "", "yz"}),
                   pair("a.truth", gguf_type::boolean, "\1")};
    parts.add("a", {3, 2}, test::ramp_bytes(6));
    parts.add("b", {4}, test::ramp_bytes(4));
    return parts;
}

}  // namespace

TEST_CASE("a well-formed file is read, dimensions last first [075, 097]", "[files][gguf]") {
    for (const std::uint32_t version : {2u, 3u}) {
        auto parts = small();
        parts.version = version;
        const auto file = parsed_gguf(parts.bytes());
        REQUIRE(file.tensors.size() == 2);
        CHECK(file.tensors[0].name() == "a");
        CHECK(file.tensors[0].type() == dtype::f32);
        CHECK(std::vector(file.tensors[0].shape().begin(), file.tensors[0].shape().end()) ==
              std::vector<std::size_t>{2, 3});
        CHECK(test::values_of(file.tensors[1]) == std::vector<float>{0, 0.125, 0.25, 0.375});
        CHECK(file.metadata.text("general.architecture") == "gpt2");
        CHECK(file.metadata.integer("a.number", 0, 7) == 7u);
        CHECK(file.metadata.texts("a.list") == std::vector<std::string_view>{"x", "", "yz"});
        CHECK(file.metadata.boolean("a.truth") == true);
        CHECK_FALSE(file.metadata.given("nothing"));
    }
    auto padded = small();
    padded.values += std::string(16, '\0');
    CHECK(parsed_gguf(padded.bytes()).tensors.size() == 2);
    padded.values += 'x';
    check_refused(errc::bad_weights, padded);
    CHECK(parsed_gguf(gguf_parts{}.bytes()).tensors.empty());
}

TEST_CASE("every kind of metadata, as the gguf package writes it", "[files][gguf]") {
    const auto file = opened("blocks.gguf");
    const auto& m = file.metadata;
    const auto whole = [&](const char* key) { return m.integer(key, 0, most); };
    CHECK(whole("test.u8") == 200u);
    CHECK_ERROR(errc::bad_config, whole("test.i8"));
    CHECK(whole("test.u16") == 60000u);
    CHECK(whole("test.i16") == 30000u);
    CHECK(whole("test.u32") == 4000000000u);
    CHECK(whole("test.i32") == 2000000000u);
    CHECK(whole("test.u64") == std::uint64_t{1} << 63);
    CHECK(whole("test.i64") == std::uint64_t{1} << 62);
    CHECK(m.positive_real("test.f32") == 0.5);
    CHECK(m.positive_real("test.f64") == 0.1);
    CHECK(m.boolean("test.bool") == true);
    CHECK(m.text("test.string") == "žluťoučký");
    CHECK(m.integers("test.integers") == std::vector<std::int32_t>{3, -1, 2});
    CHECK(m.texts("test.strings") == std::vector<std::string_view>{"a", "", "bcd"});
    for (const char* key : {"test.f32", "test.bool", "test.string", "test.strings"})
        CHECK_ERROR(errc::bad_config, whole(key));
    for (const char* key : {"test.u32", "test.string"}) {
        CHECK_ERROR(errc::bad_config, m.positive_real(key));
        CHECK_ERROR(errc::bad_config, m.boolean(key));
        CHECK_ERROR(errc::bad_config, m.texts(key));
        CHECK_ERROR(errc::bad_config, m.integers(key));
    }
    CHECK_ERROR(errc::bad_config, m.text("test.u32"));
    CHECK_ERROR(errc::bad_config, m.integers("test.strings"));
    CHECK_ERROR(errc::bad_config, m.integer("test.u8", 0, 199));
    CHECK_ERROR(errc::bad_config, m.integer("test.u8", 201, 255));
}

TEST_CASE("blocks as the gguf package widens them, to the bit", "[files][gguf]") {
    const auto file = opened("blocks.gguf");
    std::size_t compared = 0;
    for (std::size_t i = 0; i + 1 < file.tensors.size(); i += 2) {
        INFO(file.tensors[i].name());
        const auto found = test::values_of(file.tensors[i]);
        const auto expected = test::values_of(file.tensors[i + 1]);
        REQUIRE(found.size() == 512);
        CHECK(test::bytes_of(found) == test::bytes_of(expected));
        std::vector<float> second(256);
        file.tensors[i].read_rows<float>(1, 1, second);
        CHECK(std::equal(second.begin(), second.end(), found.begin() + 256));
        const auto doubles = test::values_of<double>(file.tensors[i]);
        CHECK(std::equal(doubles.begin(), doubles.end(), found.begin()));
        ++compared;
    }
    CHECK(compared == 8);
}

TEST_CASE("files too short for anything [073, 074]", "[files][gguf]") {
    const std::string whole = gguf_parts{}.bytes();
    REQUIRE(whole.size() == 24);
    for (std::size_t size = 0; size < whole.size(); ++size)
        check_bytes_refused(errc::truncated, whole.substr(0, size));
    for (const char* magic : {"GGML", "ggjt", "lmgg", "FUGG", "GGUE", "gGUF", "\x01\x02\x03\x04"})
        check_refused(errc::bad_weights, {.magic = magic});
    CHECK(test::message_of([] { parsed_gguf(gguf_parts{.magic = "\x01GUF"}.bytes()); }) ==
          R"(test.safetensors: expected GGUF's signature, found "\x01GUF")");
    CHECK(gpt2::detail::looks_like_gguf("GGUF\3"));
    CHECK_FALSE(gpt2::detail::looks_like_gguf("GGU"));
}

TEST_CASE("versions [075]", "[files][gguf]") {
    for (const std::uint32_t version : {0u, 1u, 4u, 0xffffffffu})
        check_refused(errc::unsupported, {.version = version});
    const auto message =
        test::message_of([] { parsed_gguf(gguf_parts{.version = 0x03000000}.bytes()); });
    CHECK_THAT(message, test::mentions("big-endian"));
}

TEST_CASE("counts beyond the file or any model [076, 077, 078]", "[files][gguf]") {
    for (const std::uint64_t count : {std::uint64_t{1} << 63, most, std::uint64_t{1} << 32}) {
        check_refused(errc::limit_exceeded, {.entry_count = count});
        check_refused(errc::limit_exceeded, {.pair_count = count});
    }
    check_refused(errc::truncated, {.entry_count = 16384});
    check_refused(errc::truncated, {.pair_count = 4096});
    auto parts = small();
    parts.pair_count = 5;
    CHECK(test::error_of([&] { parsed_gguf(parts.bytes()); }).has_value());
    parts.pair_count = 3;
    CHECK(test::error_of([&] { parsed_gguf(parts.bytes()); }).has_value());
    parts = gguf_parts{.pairs = {pair("k", 1u)}, .pair_count = 2};
    check_refused(errc::truncated, parts);
}

TEST_CASE("keys [079, 080, 087]", "[files][gguf]") {
    check_refused(errc::bad_weights, one(pair("", 1u)));
    check_refused(errc::limit_exceeded, one(pair(std::string(65536, 'k'), 1u)));
    for (const std::uint64_t size : {most, std::uint64_t{1} << 63})
        check_refused(errc::limit_exceeded, one(raw(size) + "key and more"));
    for (const auto& key : {"a\0b"s, "é"s, "a b"s, "a\n"s})
        check_refused(errc::bad_weights, one(pair(key, 1u)));
    CHECK(parsed_gguf(one(pair("Upper.Case", 1u)).bytes()).metadata.given("Upper.Case"));
    check_refused(errc::bad_weights, {.pairs = {pair("k", 1u), pair("k", 1u)}});
    check_refused(errc::bad_weights, {.pairs = {pair("general.alignment", 32u), pair("k", 1u),
                                                pair("general.alignment", 32u)}});
}

TEST_CASE("types of metadata [081, 085]", "[files][gguf]") {
    for (const std::uint32_t type : {13u, 255u, 0xffffffffu}) {
        check_refused(errc::bad_weights, one(sized("k") + raw(type) + "12345678"));
        check_refused(errc::bad_weights, one(sized("k") + raw(gguf_type::array) + raw(type) +
                                             raw(std::uint64_t{1}) + "12345678"));
    }
    check_refused(errc::unsupported,
                  one(test::array("k", gguf_type::array, 1, std::string(64, '\0'))));
    check_refused(errc::bad_weights, one(pair("k", gguf_type::boolean, "\2")));
    check_refused(errc::bad_weights, one(test::array("k", gguf_type::boolean, 2, "\1\2")));
}

TEST_CASE("lengths of strings and arrays cost nothing [082, 083, 084]", "[files][gguf]") {
    for (const std::uint64_t size :
         {std::uint64_t{5}, std::uint64_t{1} << 63, std::uint64_t{1} << 30, most, most - 7})
        check_refused(errc::truncated, one(pair("k", gguf_type::text, raw(size) + "abcd")));
    for (const gguf_type type : {gguf_type::u8, gguf_type::u64, gguf_type::text, gguf_type::i32})
        for (const std::uint64_t count : {std::uint64_t{1} << 62, (std::uint64_t{1} << 61) + 1,
                                          std::uint64_t{100'000'000}, most})
            check_refused(errc::truncated,
                          one(test::array("k", type, count, std::string(900, '\0'))));
}

TEST_CASE("a header beyond the limit is refused before it is read", "[files][gguf]") {
    const test::scratch_folder folder;
    const std::uint64_t size = std::uint64_t{1} << 32;
    test::write_file(folder / "f", one(test::array("k", gguf_type::u8, size, "")).bytes());
    std::filesystem::resize_file(folder / "f", size + 4096);  // sparse
    const auto file = std::make_shared<gpt2::detail::file_source>(folder / "f");
    const auto memory = test::peak_growth(
        [&] { CHECK_ERROR(errc::limit_exceeded, gpt2::detail::read_gguf(file)); });
    CHECK(memory < 1'000'000);
}

TEST_CASE("alignment [086]", "[files][gguf]") {
    for (const std::uint32_t step : {0u, 3u, 24u, 1u << 31})
        check_refused(errc::bad_weights, one(pair("general.alignment", step)));
    check_refused(errc::bad_weights, one(pair("general.alignment", "32")));
    check_refused(errc::bad_weights,
                  one(pair("general.alignment", gguf_type::i32, raw(std::int32_t{32}))));
    check_refused(errc::bad_weights,
                  one(test::array("general.alignment", gguf_type::u32, 1, raw(32u))));
    for (const std::uint32_t step : {1u, 8u, 32u, 64u, 4096u}) {
        gguf_parts parts{.pairs = {pair("general.alignment", step)}, .alignment = step};
        parts.add("a", {3}, test::ramp_bytes(3));
        parts.add("b", {2}, test::ramp_bytes(2));
        const auto file = parsed_gguf(parts.bytes());
        REQUIRE(file.tensors.size() == 2);
        CHECK(test::values_of(file.tensors[1]) == std::vector<float>{0, 0.125});
    }
}

TEST_CASE("names of tensors [088]", "[files][gguf]") {
    const auto named = [](const std::string& name) {
        gguf_parts parts;
        parts.add(name, {16}, std::string(64, '\0'));
        return parts;
    };
    CHECK(parsed_gguf(named(std::string(64, 'n')).bytes()).tensors.size() == 1);
    CHECK(parsed_gguf(named("a/b").bytes()).tensors.size() == 1);  // it names no file
    check_refused(errc::limit_exceeded, named(std::string(65, 'n')));
    check_refused(errc::bad_weights, named(""));
    check_refused(errc::bad_weights, named("a\0b"s));
    auto twice = named("t");
    twice.add("t", {16}, std::string(64, '\0'));
    check_refused(errc::duplicate_tensor, twice);
}

TEST_CASE("dimensions [089, 090, 091]", "[files][gguf]") {
    for (const std::uint32_t rank : {0u, 5u, 8u, 9u, 0xffffffffu})
        check_refused(errc::bad_weights,
                      {.entries = {sized("t") + raw(rank) + std::string(100, '\1')}});
    check_refused(errc::bad_weights, tensor({0}));
    for (std::size_t place = 0; place < 4; ++place) {
        std::vector<std::uint64_t> extents(4, 2);
        extents[place] = 0;
        check_refused(errc::bad_weights, tensor(extents));
    }
    const std::uint64_t half = most / 2;
    check_refused(errc::bad_weights, tensor({half, 2, 1, 1}, 24));
    check_refused(errc::bad_weights, tensor({half, 3, 1, 1}, 24));
    check_refused(errc::bad_weights, tensor({std::uint64_t{1} << 42 | 32, 1 << 22, 1, 1}, 8));
    check_refused(errc::bad_weights, tensor({(std::uint64_t{1} << 62) - 1, 1, 1, 1}));
    check_refused(errc::bad_weights, tensor({4194305, 4194305, 211106198978564}, 24));
    check_refused(errc::bad_weights, tensor({half - 2}, 24));
    check_refused(errc::truncated, tensor({std::uint64_t{1} << 40}, 24));
    check_refused(errc::truncated, tensor({17}));
}

TEST_CASE("types of values [093, 094]", "[files][gguf]") {
    for (const std::uint32_t type : {4u, 5u, 31u, 36u, 40u, 0x80000000u, 0xffffffffu})
        check_refused(errc::unsupported, tensor({256}, type));
    const std::vector<std::pair<std::uint32_t, const char*>> others = {
        {10, "Q2_K"}, {23, "IQ4_XS"}, {34, "TQ1_0"}, {39, "MXFP4"}};
    for (const auto& [type, name] : others)
        CHECK_THAT(test::message_of([&, t = type] { parsed_gguf(tensor({256}, t).bytes()); }),
                   test::mentions(name));
    for (const std::uint32_t type : {2u, 3u, 6u, 7u, 8u, 12u, 13u, 14u})
        for (const std::uint64_t extent : {33u, 128u + 1, 1u})
            check_refused(errc::bad_weights, tensor({extent, 2}, type));
    check_refused(errc::bad_weights, tensor({128}, 12));
    CHECK(parsed_gguf(tensor({32}, 8).bytes()).tensors[0].bytes() == 34);
}

TEST_CASE("places of tensors [092, 095, 096]", "[files][gguf]") {
    const auto at = [](std::uint64_t first, std::uint64_t second) {
        gguf_parts parts;
        parts.entries = {entry("a", {8}, 0, first), entry("b", {8}, 0, second)};
        parts.values = std::string(64, '\0');
        return parts;
    };
    CHECK(parsed_gguf(at(0, 32).bytes()).tensors.size() == 2);
    for (const auto& [first, second] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
             {32, 0}, {0, 0}, {0, 16}, {0, 64}, {32, 64}, {0, most}, {most - 31, 32}, {0, 31}})
        check_refused(errc::bad_weights, at(first, second));
    auto exact = at(0, 32);
    CHECK(parsed_gguf(exact.bytes()).tensors.size() == 2);
    exact.values.pop_back();
    check_refused(errc::truncated, exact);
    CHECK_THAT(test::message_of([&] { parsed_gguf(at(0, 64).bytes()); }),
               test::mentions("values at offset 32"));
}

TEST_CASE("every truncation and every flipped bit of a small file [114]", "[files][gguf]") {
    const std::string whole = small().bytes();
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(test::error_of([&] { parsed_gguf(whole.substr(0, size)); }).has_value());
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
        std::string flipped = whole;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        (void)test::error_of([&] {
            const auto file = parsed_gguf(flipped);
            for (const auto& tensor : file.tensors)
                if (is_float(tensor.type())) (void)test::values_of(tensor);
            ++accepted;
        });
    }
    CHECK(accepted > 0);
    CHECK(accepted < 8 * whole.size());
}
