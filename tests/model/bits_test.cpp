// The bits of every kernel, written down: whatever the machine, the compiler, its flags and the
// instruction set, the same numbers come out. (kernels_test.cpp compares the sets of one machine
// and says whether they are right; this compares machines.)
#include "../support/catch.hpp"
#include "../support/fingerprint.hpp"

#include <gpt2/detail/packing.hpp>

#include <array>
#include <bit>
#include <map>
#include <vector>

using namespace gpt2::detail::kernels;

namespace {

using test::fingerprint;

/// Numbers m·2ᵉ, |m| ≤ 1 and low ≤ e ≤ high, from a linear congruence, which every machine and
/// library computes alike.
class numbers {
public:
    std::vector<float> operator()(std::size_t size, int low, int high) {
        std::vector<float> values(size);
        for (float& x : values) {
            const auto m = static_cast<int>(next() >> 40) - (1 << 23);
            const auto e = low + static_cast<int>(next() >> 33) % (high - low + 1);
            x = std::ldexp(static_cast<float>(m), e - 23);
        }
        return values;
    }

    std::uint8_t byte() { return static_cast<std::uint8_t>(next() >> 56); }

private:
    std::uint64_t next() { return state_ = state_ * 6364136223846793005u + 1442695040888963407u; }
    std::uint64_t state_ = 1;
};

constexpr std::size_t depth = 200, padded_depth = 256, outputs = 71, panels = 5;

/// Blocks of panels: any bytes but the halves.
template <class Block>
std::vector<std::uint8_t> any_blocks(format f, std::size_t count, numbers& random) {
    const auto layout = layout_of(f);
    const auto half = [&] {
        const auto bits = gpt2::detail::narrow_half(random(1, -14, -6)[0]);
        return std::bit_cast<gpt2::detail::packed_half>(bits);
    };
    std::vector<std::uint8_t> panel_blocks(count * layout.bytes());
    for (std::size_t i = 0; i < count * panel_width; ++i) {
        std::array<std::uint8_t, sizeof(Block)> bytes;
        for (auto& byte : bytes) byte = random.byte();
        auto block = std::bit_cast<Block>(bytes);
        block.d = half();
        if constexpr (requires { block.dmin; }) block.dmin = half();
        gpt2::detail::pack_block(block, layout, i % panel_width,
                                 &panel_blocks[i / panel_width * layout.bytes()]);
    }
    return panel_blocks;
}

/// Products of several rows with panels of blocks.
template <class Block>
std::uint64_t block_bits(const kernel_set& set, format f) {
    numbers random;
    fingerprint bits;
    const std::size_t deep = 512;
    const auto w = any_blocks<Block>(f, panels * deep / block_depth(f), random);
    const auto bias = random(panels * panel_width, -3, 0);
    for (const std::size_t rows : {1u, 2u, 13u, 24u}) {
        const auto x = random(rows * deep, -20, 3);
        std::vector<float> y(rows * outputs);
        set.product({.x = x.data(),
                     .x_stride = deep,
                     .rounded = {},
                     .w = w.data(),
                     .weights = f,
                     .panel_stride = panel_bytes(f, deep),
                     .bias = bias.data(),
                     .y = y.data(),
                     .y_stride = outputs,
                     .rows = rows,
                     .depth = deep,
                     .outputs = outputs,
                     .last_panel = panels});
        bits.add(y);
    }
    return bits.value();
}

std::uint64_t product_bits(const kernel_set& set, format f) {
    numbers random;
    fingerprint bits;
    std::vector<std::uint8_t> w(panels * panel_bytes(f, depth));
    for (std::size_t p = 0; p < panels; ++p) {
        auto tile = random(padded_depth * panel_width, -14, 0);
        std::fill(tile.begin() + depth * panel_width, tile.end(), 0.0f);
        gpt2::detail::pack_rows(tile.data(), f, 0, depth, w.data() + p * panel_bytes(f, depth));
    }
    const auto bias = random(panels * panel_width, -3, 0);
    for (const std::size_t rows : {1u, 2u, 13u}) {
        const auto x = random(rows * depth, -20, 3);
        std::vector<float> y(rows * outputs);
        product_job job;
        job.x = x.data(), job.x_stride = depth;
        job.w = w.data(), job.weights = f, job.panel_stride = panel_bytes(f, depth);
        job.bias = bias.data();
        job.y = y.data(), job.y_stride = outputs;
        job.rows = rows, job.depth = depth, job.outputs = outputs, job.last_panel = panels;
        gpt2::rounding_room room(rows, depth);
        if (is_quantised(f)) {
            const auto rounded = job.rounded = room.rows(f, depth);
            for (std::size_t r = 0; r < rows; ++r) {
                set.quantise(x.data() + r * depth, depth, f, r, rounded);
                bits.add(std::vector(rounded.bytes(r), rounded.bytes(r) + padded_depth));
            }
            bits.add(std::vector(rounded.scales, rounded.scales + rows * rounded.blocks));
            bits.add(std::vector(rounded.offsets, rounded.offsets + rows * rounded.groups));
        }
        set.product(job);
        bits.add(y);
    }
    return bits.value();
}

/// What `action` makes of rows of several lengths and ranges.
template <class Action>
std::uint64_t row_bits(Action&& action) {
    numbers random;
    fingerprint bits;
    for (const std::size_t n : {1u, 16u, 250u, 1024u})
        for (const int high : {-130, 0, 5, 40}) {  // subnormals … beyond every exponential
            auto x = random(n, high - 10, high);
            const auto gain = random(n, -2, 2), bias = random(n, -2, 2);
            action(x, gain, bias);
            bits.add(x);
        }
    return bits.value();
}

template <class Pack>
std::uint64_t packing_bits(format f, Pack pack) {
    numbers random;
    fingerprint bits;
    for (const int high : {-130, -20, 0, 60}) {
        const auto block = random(block_depth(f) * panel_width, high - 10, high);
        std::vector<std::uint8_t> out(block_bytes(f));
        pack(block.data(), out.data());
        bits.add(out);
    }
    return bits.value();
}

std::map<std::string, std::uint64_t> bits_of(const kernel_set& set) {
    return {
        {"product f32", product_bits(set, format::f32)},
        {"product f16", product_bits(set, format::f16)},
        {"product bf16", product_bits(set, format::bf16)},
        {"product int8", product_bits(set, format::int8)},
        {"product int4", product_bits(set, format::int4)},
        {"product q8_0", block_bits<gpt2::detail::q8_0_block>(set, format::q8_0)},
        {"product q4_0", block_bits<gpt2::detail::q4_0_block>(set, format::q4_0)},
        {"product q4_k", block_bits<gpt2::detail::q4_k_block>(set, format::q4_k)},
        {"product q5_k", block_bits<gpt2::detail::q5_k_block>(set, format::q5_k)},
        {"product q6_k", block_bits<gpt2::detail::q6_k_block>(set, format::q6_k)},
        {"softmax",
         row_bits([&](auto& x, auto&, auto&) { set.softmax(x.data(), x.size(), 0.125f); })},
        {"layer_norm", row_bits([&](auto& x, auto& gain, auto& bias) {
             set.layer_norm(x.data(), x.size(), gain.data(), bias.data(), 1e-5, x.data());
         })},
        {"gated", row_bits([&](auto& x, auto&, auto&) {
             set.gated(x.data(), x.size(), 1.5957691f, 0.0713548f);
         })},
        {"gelu", row_bits([&](auto& x, auto&, auto&) { set.gelu(x.data(), x.size()); })},
        {"pack_int8", packing_bits(format::int8, set.pack_int8)},
        {"pack_int4", packing_bits(format::int4, set.pack_int4)},
    };
}

}  // namespace

TEST_CASE("the kernels give the same bits on every machine", "[kernels]") {
    // Change these only with the order of a sum or a formula, and say so in the commit: programs
    // that kept results of an earlier version see other bits.
    const std::map<std::string, std::uint64_t> written_down{
        {"product f32", 0x5F6AB1A0E23A2CC8},  {"product f16", 0x9A141F6733264214},
        {"product bf16", 0xD11AEB77003FD62C}, {"product int8", 0x5B202B3F011A02CD},
        {"product int4", 0x686C8CB9A8C1209C}, {"softmax", 0xDF79BA502B88A04B},
        {"layer_norm", 0xA0FBEF2EC87D96DA},   {"gated", 0x8D7432C5051665E3},
        {"gelu", 0x98AF0629A6F9BF82},         {"pack_int8", 0x1D03848E33F166CA},
        {"pack_int4", 0xFFA14C3502787F60},    {"product q8_0", 0x0E7DD9C036135322},
        {"product q4_0", 0x7CEF3F6BD35CB50D}, {"product q4_k", 0x65DC7E966DF10DCF},
        {"product q5_k", 0x1CDDC47DAC10AEBB}, {"product q6_k", 0xA41972BDE387FEE0},
    };
    for (const auto& set : available())
        for (const auto& [kernel, bits] : bits_of(set)) {
            INFO(set.name << ": " << kernel);
            const auto known = written_down.find(kernel);
            REQUIRE(known != written_down.end());
            CHECK(bits == known->second);
        }
}
