// Blocks of small integers, widened. Numbers in brackets are those of the project's list of
// hazards.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "safetensors_builder.hpp"

#include <gpt2/weights.hpp>

#include <nlohmann/json.hpp>

#include <cctype>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

using gpt2::dtype;
using gpt2::errc;
using gpt2::stored_tensor;

namespace {

std::string from_hex(const std::string& text) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    return bytes;
}

/// One row of blocks.
stored_tensor row_of(dtype type, const std::string& blocks) {
    const std::size_t count = blocks.size() / (bits(type) / 8);
    return {"t", type, {count * block_values(type)}, test::in_memory(blocks), 0};
}

std::vector<float> widened(dtype type, const std::string& blocks) {
    return test::values_of(row_of(type, blocks));
}

/// The bytes of a half.
std::string half(std::uint16_t bits) {
    return {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
}

using halves = std::vector<std::uint16_t>;

struct scale_places {
    dtype type;
    std::vector<std::size_t> offsets;  // of its halves
};
const std::vector<scale_places> kinds = {
    {dtype::q8_0, {0}},    {dtype::q4_0, {0}},    {dtype::q4_1, {0, 2}}, {dtype::q5_0, {0}},
    {dtype::q5_1, {0, 2}}, {dtype::q4_k, {0, 2}}, {dtype::q5_k, {0, 2}}, {dtype::q6_k, {208}}};

}  // namespace

TEST_CASE("blocks widen to the bits that ggml gives them [116]", "[files][gguf]") {
    const auto path = test::shared_data("data/vectors/gguf_blocks.json");
    if (path.empty()) return;
    const std::map<std::string, dtype> types = {
        {"q8_0", dtype::q8_0}, {"q4_0", dtype::q4_0}, {"q4_1", dtype::q4_1}, {"q5_0", dtype::q5_0},
        {"q5_1", dtype::q5_1}, {"q4_k", dtype::q4_k}, {"q5_k", dtype::q5_k}, {"q6_k", dtype::q6_k}};
    std::map<std::string, int> seen;
    for (const auto& block : nlohmann::json::parse(test::read_file(path))) {
        std::string type = block["type"];
        for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        INFO(type);
        const auto found = widened(types.at(type), from_hex(block["block_hex"]));
        CHECK(test::bytes_of(found) == from_hex(block["f32_hex"]));
        ++seen[type];
    }
    CHECK(seen.size() == types.size());
}

TEST_CASE("scales of every size give finite values, exact ones [118]", "[files][gguf]") {
    for (const scale_places& kind : kinds)
        for (const std::uint16_t bits : halves{0x0000, 0x8000, 0x0001, 0x03ff, 0x7bff, 0xfbff}) {
            std::string block(gpt2::bits(kind.type) / 8, '\x5a');
            for (const std::size_t at : kind.offsets) block.replace(at, 2, half(bits));
            INFO(name(kind.type) << " " << bits);
            const auto values = widened(kind.type, block);
            REQUIRE(values.size() == block_values(kind.type));
            if ((bits & 0x7fff) == 0) CHECK(values == std::vector<float>(values.size(), 0.0f));
        }
    const float least = 0x1p-24f;  // the smallest half
    const auto bytes = widened(dtype::q8_0, half(1) + std::string(31, '\x80') + '\x7f');
    CHECK(bytes.front() == -128 * least);
    CHECK(bytes.back() == 127 * least);
}

TEST_CASE("scales that are no numbers are found at once [119]", "[files][gguf]") {
    for (const scale_places& kind : kinds)
        for (const std::size_t at : kind.offsets)
            for (const std::uint16_t bits : halves{0x7c00, 0xfc00, 0x7e00}) {
                std::string block(gpt2::bits(kind.type) / 8, '\x5a');
                for (const std::size_t each : kind.offsets) block.replace(each, 2, half(0x3c00));
                block.replace(at, 2, half(bits));
                CHECK_ERROR(errc::not_finite, widened(kind.type, block));
            }
}

TEST_CASE("each of the 32 fifth bits belongs to one value [121]", "[files][gguf]") {
    for (std::size_t bit = 0; bit < 32; ++bit) {
        std::string high(4, '\0');
        high[bit / 8] = static_cast<char>(1 << bit % 8);
        const auto five_0 = widened(dtype::q5_0, half(0x3c00) + high + std::string(16, '\0'));
        const auto five_1 =
            widened(dtype::q5_1, half(0x3c00) + half(0) + high + std::string(16, '\0'));
        for (std::size_t i = 0; i < 32; ++i) {
            CHECK(five_0[i] == (i == bit ? 0 : -16));
            CHECK(five_1[i] == (i == bit ? 16 : 0));
        }
    }
}

TEST_CASE("six-bit scales of all ones and all zeros [120]", "[files][gguf]") {
    const std::string ones = half(0x3c00) + half(0x4000);  // d = 1, dmin = 2
    for (const char* scales : {"\xff", "\0"}) {
        const float full = *scales == '\0' ? 0.0f : 63.0f;
        const std::string head = ones + std::string(12, *scales);
        for (const float value : widened(dtype::q4_k, head + std::string(128, '\x77')))
            CHECK(value == 7 * full - 2 * full);
        const std::string fifth(32, '\xff');
        for (const float value : widened(dtype::q5_k, head + fifth + std::string(128, '\x77')))
            CHECK(value == 23 * full - 2 * full);
    }
}

TEST_CASE("the scale of q6_k lies at the end [122]", "[files][gguf]") {
    const std::string block(208, '\x7f');
    CHECK(widened(dtype::q6_k, block + half(0)) == std::vector<float>(256, 0.0f));
    CHECK(widened(dtype::q6_k, block + half(0x3c00)) != std::vector<float>(256, 0.0f));
}

TEST_CASE("rows are whole blocks, and any of them can be read", "[files][gguf]") {
    const std::string bytes = half(0x3c00) + std::string(32, '\1') + half(0x4000) +
                              std::string(32, '\1') + half(0x4200) + std::string(32, '\1');
    const stored_tensor rows("t", dtype::q8_0, {3, 32}, test::in_memory(bytes), 0);
    std::vector<float> two(64);
    rows.read_rows<float>(1, 2, two);
    CHECK(two.front() == 2);
    CHECK(two.back() == 3);
    for (const auto& shape : {std::vector<std::size_t>{}, {48}, {32, 3}, {2, 48}})
        CHECK_ERROR(errc::bad_weights,
                    stored_tensor("t", dtype::q8_0, shape, test::in_memory(bytes), 0));
    CHECK_ERROR(errc::truncated,
                stored_tensor("t", dtype::q8_0, {4, 32}, test::in_memory(bytes), 0));
}

TEST_CASE("a tensor of many blocks is read in pieces", "[files][gguf]") {
    std::string bytes;
    std::vector<float> expected;
    for (int i = 0; i < 5000; ++i) {
        bytes += half(0x3c00) + std::string(32, static_cast<char>(i % 100));
        expected.insert(expected.end(), 32, static_cast<float>(i % 100));
    }
    CHECK(widened(dtype::q8_0, bytes) == expected);
}
