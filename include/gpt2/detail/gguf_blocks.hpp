// Values that GGUF files store in blocks of 32 or 256 small integers with common scales, widened to
// floats exactly as ggml's own reference does.
//
// Every product of a scale and an integer fits the 24 bits of a float, so the one rounding is that
// of the last sum, and no compiler that fuses it changes a bit. Layouts: ggml's ggml-common.h.
//
// A block widens itself and says whether its values are finite, which is whether its halves are;
// those that products use as they are also give the integers behind a value.
//
// Before: detail/widen.hpp. After: dtype.hpp, detail/block_packing.hpp, detail/gguf.hpp.
#pragma once

#include "../core.hpp"
#include "widen.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A half as it lies in a file, at any address.
struct packed_half {
    std::array<std::uint8_t, 2> bytes;

    float value() const noexcept {
        return widened(half_bits{static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8)});
    }
    bool finite() const noexcept { return (bytes[1] & 0x7C) != 0x7C; }
};

constexpr int low_nibble(std::uint8_t byte) noexcept { return byte & 15; }
constexpr int high_nibble(std::uint8_t byte) noexcept { return byte >> 4; }

/// x = d·q
struct q8_0_block {
    static constexpr std::size_t values = 32;
    packed_half d;
    std::array<std::int8_t, values> q;

    bool finite() const noexcept { return d.finite(); }
    int level(std::size_t i) const noexcept { return q[i]; }
    void widen(std::span<float, values> out) const noexcept {
        const float scale = d.value();
        for (std::size_t i = 0; i < values; ++i) out[i] = scale * static_cast<float>(q[i]);
    }
};

/// x = d·(q − 8); the low nibbles come first.
struct q4_0_block {
    static constexpr std::size_t values = 32;
    packed_half d;
    std::array<std::uint8_t, 16> q;

    bool finite() const noexcept { return d.finite(); }
    int level(std::size_t i) const noexcept {
        return (i < 16 ? low_nibble(q[i]) : high_nibble(q[i - 16])) - 8;
    }
    void widen(std::span<float, values> out) const noexcept {
        const float scale = d.value();
        for (std::size_t i = 0; i < values; ++i) out[i] = scale * static_cast<float>(level(i));
    }
};

/// x = d·q + m
struct q4_1_block {
    static constexpr std::size_t values = 32;
    packed_half d, m;
    std::array<std::uint8_t, 16> q;

    bool finite() const noexcept { return d.finite() && m.finite(); }
    void widen(std::span<float, values> out) const noexcept {
        const float scale = d.value(), least = m.value();
        for (std::size_t i = 0; i < 16; ++i) {
            out[i] = scale * static_cast<float>(low_nibble(q[i])) + least;
            out[i + 16] = scale * static_cast<float>(high_nibble(q[i])) + least;
        }
    }
};

/// The fifth bits of 32 values, bit i in its place 4.
struct fifth_bits {
    std::array<std::uint8_t, 4> bytes;

    int of(std::size_t i) const noexcept { return (bytes[i / 8] >> i % 8 & 1) << 4; }
};

/// x = d·(q − 16), q of 5 bits
struct q5_0_block {
    static constexpr std::size_t values = 32;
    packed_half d;
    fifth_bits high;
    std::array<std::uint8_t, 16> q;

    bool finite() const noexcept { return d.finite(); }
    int level(std::size_t i) const noexcept {
        return ((i < 16 ? low_nibble(q[i]) : high_nibble(q[i - 16])) | high.of(i)) - 16;
    }
    void widen(std::span<float, values> out) const noexcept {
        const float scale = d.value();
        for (std::size_t i = 0; i < values; ++i) out[i] = scale * static_cast<float>(level(i));
    }
};

/// x = d·q + m, q of 5 bits
struct q5_1_block {
    static constexpr std::size_t values = 32;
    packed_half d, m;
    fifth_bits high;
    std::array<std::uint8_t, 16> q;

    bool finite() const noexcept { return d.finite() && m.finite(); }
    void widen(std::span<float, values> out) const noexcept {
        const float scale = d.value(), least = m.value();
        for (std::size_t i = 0; i < 16; ++i) {
            out[i] = scale * static_cast<float>(low_nibble(q[i]) | high.of(i)) + least;
            out[i + 16] = scale * static_cast<float>(high_nibble(q[i]) | high.of(i + 16)) + least;
        }
    }
};

/// Scale and minimum of 8 groups, 6 bits each, in 12 bytes.
struct group_scales {
    std::array<std::uint8_t, 12> bytes;

    int scale(std::size_t j) const noexcept {
        return j < 4 ? bytes[j] & 63 : low_nibble(bytes[j + 4]) | bytes[j - 4] >> 6 << 4;
    }
    int least(std::size_t j) const noexcept {
        return j < 4 ? bytes[j + 4] & 63 : high_nibble(bytes[j + 4]) | bytes[j] >> 6 << 4;
    }
};

/// The values of a block that has scales and minima for groups of 32.
template <class Block>
void widen_groups(const Block& block, std::span<float, 256> out) noexcept {
    for (std::size_t j = 0; j < 8; ++j) {
        const float scale = block.d.value() * static_cast<float>(block.scale(j));
        const float least = block.dmin.value() * static_cast<float>(block.least(j));
        for (std::size_t i = 32 * j; i < 32 * (j + 1); ++i)
            out[i] = scale * static_cast<float>(block.level(i)) - least;
    }
}

/// x = d·scale·q − dmin·least per group of 32; groups 2k and 2k + 1 are the low and the high
/// nibbles of the same 32 bytes.
struct q4_k_block {
    static constexpr std::size_t values = 256;
    packed_half d, dmin;
    group_scales scales;
    std::array<std::uint8_t, 128> q;

    bool finite() const noexcept { return d.finite() && dmin.finite(); }
    int scale(std::size_t group) const noexcept { return scales.scale(group); }
    int least(std::size_t group) const noexcept { return scales.least(group); }
    int level(std::size_t i) const noexcept {
        const std::uint8_t both = q[i / 64 * 32 + i % 32];
        return i / 32 % 2 == 0 ? low_nibble(both) : high_nibble(both);
    }
    void widen(std::span<float, values> out) const noexcept { widen_groups(*this, out); }
};

/// As q4_k, with a fifth bit: bit j of high[i] for value i of group j.
struct q5_k_block {
    static constexpr std::size_t values = 256;
    packed_half d, dmin;
    group_scales scales;
    std::array<std::uint8_t, 32> high;
    std::array<std::uint8_t, 128> q;

    bool finite() const noexcept { return d.finite() && dmin.finite(); }
    int scale(std::size_t group) const noexcept { return scales.scale(group); }
    int least(std::size_t group) const noexcept { return scales.least(group); }
    int level(std::size_t i) const noexcept {
        const std::uint8_t both = q[i / 64 * 32 + i % 32];
        const int low = i / 32 % 2 == 0 ? low_nibble(both) : high_nibble(both);
        return low | (high[i % 32] >> i / 32 & 1) << 4;
    }
    void widen(std::span<float, values> out) const noexcept { widen_groups(*this, out); }
};

/// x = d·scale·(q − 32), q of 6 bits, a scale for 16 values. Of each half of 128, the groups of 32
/// are: low nibbles of 32 bytes, of the next 32, high nibbles of the first 32, of the next; group g
/// has bits 2g and 2g + 1 of `high` on top.
struct q6_k_block {
    static constexpr std::size_t values = 256;
    std::array<std::uint8_t, 128> q;
    std::array<std::uint8_t, 64> high;
    std::array<std::int8_t, 16> scales;
    packed_half d;

    bool finite() const noexcept { return d.finite(); }
    int scale(std::size_t group) const noexcept { return scales[group]; }
    int level(std::size_t i) const noexcept {
        const std::size_t half = i / 128, group = i / 32 % 4, at = i % 32;
        const std::uint8_t both = q[64 * half + group % 2 * 32 + at];
        const int low = group < 2 ? low_nibble(both) : high_nibble(both);
        return (low | (high[32 * half + at] >> 2 * group & 3) << 4) - 32;
    }
    void widen(std::span<float, values> out) const noexcept {
        for (std::size_t i = 0; i < values; ++i)
            out[i] = d.value() * static_cast<float>(scale(i / 16)) * static_cast<float>(level(i));
    }
};

static_assert(sizeof(q8_0_block) == 34 && sizeof(q4_0_block) == 18 && sizeof(q4_1_block) == 20 &&
              sizeof(q5_0_block) == 22 && sizeof(q5_1_block) == 24 && sizeof(q4_k_block) == 144 &&
              sizeof(q5_k_block) == 176 && sizeof(q6_k_block) == 210);

/// A stored unit of several values.
template <class Stored>
concept value_block = requires {
    Stored::values;
};

/// Values in one stored unit: 1 for a number.
template <class Stored>
inline constexpr std::size_t values_in = 1;
template <value_block Block>
inline constexpr std::size_t values_in<Block> = Block::values;

/// The values of all blocks, one after another; `out` has room for exactly them.
template <value_block Block, class Scalar>
void widen(std::span<const Block> in, std::span<Scalar> out) noexcept {
    std::array<float, Block::values> values;
    for (std::size_t i = 0; i < in.size(); ++i) {
        in[i].widen(values);
        std::copy(values.begin(), values.end(), out.subspan(i * Block::values).begin());
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
