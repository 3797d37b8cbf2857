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
//   q8_0, q4_0, q4_k, q5_k, q6_k   the blocks of GGUF files, see block_layout
//
// Quantised weights are stored, or looked up, with 128 added, which makes them positive, and padded
// with zeros to whole blocks. The sum behind an output is one chain, bias first, in rising order of
// k; it does not depend on how many rows or panels are computed together, on threads, or on the
// instruction set, so every kernel gives the same bits:
//
//   f32, f16, bf16  y = fma(x(k), w(k), y) for each k
//   q8_0 … q6_k     the same, w(k) being the float that gguf_blocks.hpp makes of the block
//   int8            y = fma(float(Σ x·w)·scale_w, scale_x, y) for each block
//   int4            y = fma(fma(float(Σ₁ x·w), scale₁, float(Σ₀ x·w)·scale₀), scale_x, y)
//
// where the integer sums are exact and x is rounded to 8 bits per block (rounded_rows).
//
// After: blocks.inl, products.inl, integers.inl and rows.inl, which say it in the words of a vector
// machine; one header for each of these; dispatch.hpp.
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
#else
#define GPT2_FORCE_INLINE inline
#endif

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

inline constexpr std::size_t panel_width = 16;

/// How the numbers of a panel are stored.
enum class format : std::uint8_t { f32, f16, bf16, int8, int4, q8_0, q4_0, q4_k, q5_k, q6_k };

/// Whether products are of integers, for which x is rounded.
constexpr bool is_quantised(format f) { return f == format::int8 || f == format::int4; }
/// Whether weights lie in the blocks of a GGUF file.
constexpr bool in_blocks(format f) { return f >= format::q8_0; }

/// How GGUF's blocks of 16 outputs lie together, all numbers as in the file: for each block 16
/// halves d, 16 halves dmin where there are minima; then group by group 16 bytes of scales, 16 of
/// minima, and the levels [group][16] as signed bytes, or [group/2][16] as the low and the high
/// halves of bytes, where negative ones are those of two's complement. A weight is d·scale·level -
/// dmin·minimum; K is a multiple of a block.
struct block_layout {
    std::size_t depth, group;  // k per block, and per scale
    bool halves = false;       // levels of 4 bits: 0 … 15
    bool negative = false;     // or -8 … 7
    bool scales = false;       // a byte beside d
    bool minima = false;       // and one beside dmin

    constexpr std::size_t head_bytes() const { return minima ? 64 : 32; }
    constexpr std::size_t level_bytes(std::size_t k) const { return k * 16 / (halves ? 2 : 1); }
    /// Of the bytes beside d and dmin, before the levels of a group.
    constexpr std::size_t scale_bytes() const { return (scales ? 16 : 0) + (minima ? 16 : 0); }
    constexpr std::size_t group_bytes() const { return scale_bytes() + level_bytes(group); }
    /// Where in a block the levels of group g are.
    constexpr std::size_t levels_at(std::size_t g) const {
        return head_bytes() + g * group_bytes() + scale_bytes();
    }
    constexpr std::size_t bytes() const { return head_bytes() + depth / group * group_bytes(); }
};
constexpr block_layout layout_of(format f) {
    if (f == format::q4_0) return {.depth = 32, .group = 32, .halves = true, .negative = true};
    if (f == format::q4_k)
        return {.depth = 256, .group = 32, .halves = true, .scales = true, .minima = true};
    if (f == format::q5_k) return {.depth = 256, .group = 32, .scales = true, .minima = true};
    if (f == format::q6_k) return {.depth = 256, .group = 16, .scales = true};
    return {.depth = 32, .group = 32};
}

/// k per block: what has a scale of x of its own, or a block of GGUF. Floats have no blocks.
constexpr std::size_t block_depth(format f) {
    if (in_blocks(f)) return layout_of(f).depth;
    return f == format::int4 ? 64 : 128;
}
/// k per scale of a weight.
constexpr std::size_t group_depth(format f) {
    if (in_blocks(f)) return layout_of(f).group;
    return f == format::int4 ? 32 : 128;
}
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
    if (in_blocks(f)) return layout_of(f).bytes();
    return scale_bytes + (f == format::int4 ? 512 : 2048);
}
/// k rounded up to whole blocks of every format that floats are packed into.
constexpr std::size_t whole_blocks(std::size_t k) {
    return block_count(format::int8, k) * block_depth(format::int8);
}

/// Bytes of a panel of depth k.
constexpr std::size_t panel_bytes(format f, std::size_t k) {
    if (is_quantised(f) || in_blocks(f)) return block_count(f, k) * block_bytes(f);
    if (f == format::f32) return k * panel_width * 4;
    return (f == format::bf16 ? (k + 1) / 2 * 2 : k) * panel_width * 2;
}

/// Where number k of a lane stands in a panel of floats, halves or bfloats.
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
