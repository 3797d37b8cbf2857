// What every kernel computes: the layouts of packed matrices and the order of every sum.
//
// A (K, N) matrix lies in memory as panels of 16 outputs. One pass over a panel gives 16 outputs at
// once and reads memory in order, for one row of x (decoding) as for many (prefill). Weights, keys
// and values all have this shape, so this is the only product there is. A panel holds
//
//   f32   [K][16]      floats
//   f16   [K][16]      IEEE halves
//   bf16  [K/2][16][2] upper halves of floats, two consecutive k beside each other, K padded to 2
//   int8  [K/128] blocks of 16 float scales and [32][16][4] bytes, four consecutive k together
//   int4  [K/64]  blocks of 2×16 bfloat scales, one row for each 32 k, and [8][16][4] bytes: the
//         low halves are k … k+3, the high halves k+4 … k+7; a half is an index into int4_levels
//
// Quantised weights are stored, or looked up, with 128 added, which makes them positive, and padded
// with zeros to whole blocks. The sum behind an output is one chain, bias first, in rising order of
// k; it does not depend on how many rows or panels are computed together, on threads, or on the
// instruction set, so every kernel gives the same bits:
//
//   f32, f16, bf16  y = fma(x(k), w(k), y) for each k
//   int8            y = fma(float(Σ x·w)·scale_w, scale_x, y) for each block
//   int4            y = fma(fma(float(Σ₁ x·w), scale₁, float(Σ₀ x·w)·scale₀), scale_x, y)
//
// where the integer sums are exact and x is rounded to 8 bits per block (rounded_rows).
//
// After: products.inl, integers.inl and rows.inl, which say it in the words of a vector machine;
// one header for each of these; dispatch.hpp.
#pragma once

#include "../../core.hpp"
#include "../widen.hpp"

#include <cstddef>
#include <cstdint>

#if defined(__clang__)
#define GPT2_UNROLL _Pragma("clang loop unroll(full)")
#define GPT2_ROLL _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define GPT2_UNROLL _Pragma("GCC unroll 16")
#define GPT2_ROLL _Pragma("GCC unroll 1")
#else
#define GPT2_UNROLL
#define GPT2_ROLL
#endif

#if defined(__GNUC__)
#define GPT2_FORCE_INLINE __attribute__((always_inline)) inline
#define GPT2_RESTRICT __restrict__
#else
#define GPT2_FORCE_INLINE inline
#define GPT2_RESTRICT
#endif

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

inline constexpr std::size_t panel_width = 16;

/// How the numbers of a panel are stored.
enum class format : std::uint8_t { f32, f16, bf16, int8, int4 };

constexpr bool is_quantised(format f) { return f == format::int8 || f == format::int4; }

/// k per block: what has a scale of x of its own. Formats that are not quantised have no blocks.
constexpr std::size_t block_depth(format f) { return f == format::int4 ? 64 : 128; }
/// k per scale of a weight.
constexpr std::size_t group_depth(format f) { return f == format::int4 ? 32 : 128; }
/// What is added to a quantised weight.
inline constexpr int weight_offset = 128;
/// The 16 values of an int4 weight, with the offset: those that lose least on a normal distribution
/// whose largest number of 32 is scaled to one end (tests/tools/make_math.py).
alignas(16) inline constexpr std::uint8_t int4_levels[16] = {
    1, 27, 46, 63, 77, 91, 104, 116, 128, 138, 150, 161, 174, 188, 204, 226};
/// Blocks that hold k values.
constexpr std::size_t block_count(format f, std::size_t k) {
    return (k + block_depth(f) - 1) / block_depth(f);
}
/// Bytes of a block: scales, then weights.
inline constexpr std::size_t scale_bytes = 64;
constexpr std::size_t block_bytes(format f) {
    return scale_bytes + (f == format::int4 ? 512 : 2048);
}
/// k rounded up to whole blocks of every format.
constexpr std::size_t whole_blocks(std::size_t k) {
    return block_count(format::int8, k) * block_depth(format::int8);
}

/// Bytes of a panel of depth k.
constexpr std::size_t panel_bytes(format f, std::size_t k) {
    if (is_quantised(f)) return block_count(f, k) * block_bytes(f);
    if (f == format::f32) return k * panel_width * 4;
    return (f == format::bf16 ? (k + 1) / 2 * 2 : k) * panel_width * 2;
}

/// Where number k of a lane stands in a panel that is not quantised.
constexpr std::size_t panel_index(format f, std::size_t k, std::size_t lane) {
    return f == format::bf16 ? (k / 2 * panel_width + lane) * 2 + k % 2 : k * panel_width + lane;
}

/// Rows of x in fewer bits. For quantised panels x(r, k) ≈ scale · byte, a scale per row and block
/// of their format; for panels of bfloats a bfloat each. Up to whole blocks, or an even number of
/// bfloats, more zeros follow.
struct rounded_rows {
    void* values = nullptr;           // rows of bytes, or of bfloats
    std::size_t stride = 0;           // bytes from row to row
    float* scales = nullptr;          // (rows, blocks)
    std::int32_t* offsets = nullptr;  // (rows, groups): -weight_offset · sum of a group's bytes
    std::size_t blocks = 0;           // block_count
    std::size_t groups = 0;           // groups of all blocks

    std::int8_t* bytes(std::size_t r) const {
        return static_cast<std::int8_t*>(values) + r * stride;
    }
    std::uint16_t* bfloats(std::size_t r) const {
        return reinterpret_cast<std::uint16_t*>(bytes(r));
    }
};

/// What sums start from: 16 numbers for each row and panel.
struct start_values {
    const float* first;
    std::size_t row_stride, panel_stride;

    const float* of(std::size_t row, std::size_t panel) const {
        return first + row * row_stride + panel * panel_stride;
    }
};
alignas(64) inline constexpr float no_start[panel_width] = {};

/// y(r, n) = start + Σ_k x(r, k)·w(k, n), for r < rows and 16·first_panel ≤ n < min(16·last_panel,
/// outputs), where start is y(r, n) itself, bias(n), or 0. Strides of x and y count elements.
struct product_job {
    const float* x = nullptr;  // (rows, depth); unused where x is rounded
    std::size_t x_stride = 0;
    rounded_rows rounded;
    const void* w = nullptr;
    format weights = format::f32;
    std::size_t panel_stride = 0;  // bytes
    const float* bias = nullptr;   // null: zero; readable to a multiple of 16
    float* y = nullptr;
    std::size_t y_stride = 0;
    std::size_t rows = 0, depth = 0, outputs = 0;
    std::size_t first_panel = 0, last_panel = 0;
    std::size_t gap = 1;      // panels from one to the next of those computed together
    bool accumulate = false;  // start from y
    bool linear = false;      // w is a matrix of the model: all of K at once, none of it in y

    const std::uint8_t* panel(std::size_t p) const {
        return static_cast<const std::uint8_t*>(w) + p * panel_stride;
    }
    /// Panels [first, last), `together` at once, as far apart as can be: each of these is a stream
    /// of memory that goes on from one time to the next. Up to together - 1 panels are left.
    product_job spread(std::size_t first, std::size_t last, std::size_t together) const {
        product_job part = *this;
        part.gap = (last - first) / together;
        part.first_panel = first;
        part.last_panel = first + part.gap;
        return part;
    }
    /// Where the sums start from; those of a later block of k go on with y.
    start_values start(bool later) const {
        if (later || accumulate) return {y, y_stride, panel_width};
        if (bias) return {bias, 0, panel_width};
        return {no_start, 0, 0};
    }
    /// How many of panel p's columns are outputs: 16, or fewer in the last one.
    std::size_t width(std::size_t p) const {
        const auto left = outputs - p * panel_width;
        return left < panel_width ? left : panel_width;
    }
};

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
