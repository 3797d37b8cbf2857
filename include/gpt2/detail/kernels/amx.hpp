// Products on AMX: a tile of 16 rows of x times a tile of a panel, bytes or bfloats, at once. What
// is not a product with weights is avx512_bf16.hpp's.
//
// Integer sums are exact and so are those of the other instruction sets. A sum of bfloats is taken
// in parts of 32 k, each from zero, which are added up in rising order of k, then to the bias: the
// same for a row whatever is computed beside it, but the bits of this unit alone.
//
// The unit is a type with static functions: tests run these products on one written in C++.
//
// Before: avx512_bf16.hpp, avx512_vnni.hpp.
#pragma once

#include "avx512_bf16.hpp"
#include "avx512_vnni.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstring>
#include <type_traits>

#define GPT2_TARGET \
    __attribute__((target("avx512f,avx512bw,avx512dq,f16c,avx512bf16,avx512vnni,fma")))

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::avx512::amx {

/// Shapes of the eight tiles, as the instruction that sets them reads them.
struct alignas(64) tile_shapes {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
};

// Sums of two panels for two tiles of rows; two tiles of x; two tiles of weights.
inline constexpr int sum_tile = 0, x_tile = 4, weight_tile = 6;

/// The unit of this processor. Every instruction is volatile and touches memory for the compiler:
/// gcc 12 moves stores across the intrinsics.
struct unit {
    static void shape(const tile_shapes& shapes) {
        __asm__ volatile("ldtilecfg %0" ::"m"(shapes) : "memory");
    }
    static void release() { __asm__ volatile("tilerelease" ::: "memory"); }
    template <int Tile>
    static void zero() {
        __asm__ volatile("tilezero %%tmm%c0" ::"i"(Tile) : "memory");
    }
    template <int Tile>
    static void load(const void* from, std::size_t stride) {
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(Tile)
                         : "memory");
    }
    template <int Tile>
    static void store(void* to, std::size_t stride) {
        __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(Tile)
                         : "memory");
    }
    /// Sum += X·W in bfloats.
    template <int Sum, int X, int W>
    static void dot_bfloats() {
        __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(X), "i"(W)
                         : "memory");
    }
    /// Sum += X·W, signed bytes by unsigned ones.
    template <int Sum, int X, int W>
    static void dot_bytes() {
        __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(X), "i"(W)
                         : "memory");
    }
};

/// Whether the processor has the unit and the system lets this process use it.
inline bool usable() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, all = bf16 | tile | int8;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & all) != all) return false;
#if defined(__linux__)
    constexpr long request_permission = 0x1023, tile_data = 18;
    return ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}

/// Rows of a tile of x or sums, and bytes of a row of a tile.
inline constexpr std::size_t tile_rows = 16, row_bytes = 64;

/// Shapes the tiles for products of `rows` ≤ 16 rows of x with `x_bytes` of each row at once.
template <class Unit>
void shape_tiles(std::size_t rows, std::size_t x_bytes) {
    tile_shapes shapes;
    for (int i = 0; i < weight_tile + 2; ++i) {
        const bool of_x = i == x_tile || i == x_tile + 1;
        shapes.rows[i] = static_cast<std::uint8_t>(i < weight_tile ? rows : x_bytes / 4);
        shapes.row_bytes[i] = static_cast<std::uint16_t>(of_x ? x_bytes : row_bytes);
    }
    Unit::shape(shapes);
}

/// Rows of x for one or two tiles, and a tile of weights of each of two panels.
struct operands {
    const void* x;
    std::size_t x_stride;
    const void* w[2];
};

/// The sums of two panels.
template <class T>
struct alignas(64) tile_sums {
    T of[2][2 * tile_rows][panel_width];
};

/// Products of x with two panels, for one or two tiles of rows.
template <class Unit, int XTiles>
struct tiles {
    static void clear() {
        Unit::template zero<sum_tile>();
        Unit::template zero<sum_tile + 1>();
        if constexpr (XTiles == 2) {
            Unit::template zero<sum_tile + 2>();
            Unit::template zero<sum_tile + 3>();
        }
    }
    static void add(const operands& with, bool bytes) {
        Unit::template load<x_tile>(with.x, with.x_stride);
        Unit::template load<weight_tile>(with.w[0], row_bytes);
        dot<sum_tile, x_tile, weight_tile>(bytes);
        Unit::template load<weight_tile + 1>(with.w[1], row_bytes);
        dot<sum_tile + 1, x_tile, weight_tile + 1>(bytes);
        if constexpr (XTiles == 2) {
            const auto* x = static_cast<const std::uint8_t*>(with.x) + tile_rows * with.x_stride;
            Unit::template load<x_tile + 1>(x, with.x_stride);
            dot<sum_tile + 2, x_tile + 1, weight_tile>(bytes);
            dot<sum_tile + 3, x_tile + 1, weight_tile + 1>(bytes);
        }
    }
    template <class T>
    static void store(tile_sums<T>& sums) {
        Unit::template store<sum_tile>(sums.of[0], row_bytes);
        Unit::template store<sum_tile + 1>(sums.of[1], row_bytes);
        if constexpr (XTiles == 2) {
            Unit::template store<sum_tile + 2>(sums.of[0][tile_rows], row_bytes);
            Unit::template store<sum_tile + 3>(sums.of[1][tile_rows], row_bytes);
        }
    }

private:
    template <int Sum, int X, int W>
    static void dot(bool bytes) {
        if (bytes)
            Unit::template dot_bytes<Sum, X, W>();
        else
            Unit::template dot_bfloats<Sum, X, W>();
    }
};

/// The panel beside p, or p itself where it is the last: its sums are then made twice.
inline std::size_t beside(const product_job& job, std::size_t p) {
    return p + 1 < job.last_panel ? p + 1 : p;
}

/// Calls run(number of tiles, r, rows) for all rows, two tiles at a time, then for what is left in
/// one; the tiles have their shapes meanwhile.
template <class Unit, class Run>
void each_rows(const product_job& job, std::size_t x_bytes, Run run) {
    std::size_t r = 0;
    if (job.rows >= tile_rows) shape_tiles<Unit>(tile_rows, x_bytes);
    for (; r + 2 * tile_rows <= job.rows; r += 2 * tile_rows)
        run(std::integral_constant<int, 2>(), r, 2 * tile_rows);
    if (r + tile_rows <= job.rows) {
        run(std::integral_constant<int, 1>(), r, tile_rows);
        r += tile_rows;
    }
    if (r < job.rows) {
        shape_tiles<Unit>(job.rows - r, x_bytes);
        run(std::integral_constant<int, 1>(), r, job.rows - r);
    }
    Unit::release();
}

/// Rows r … of panels p and p+1 in bfloats.
template <class Unit, int XTiles>
GPT2_TARGET void bfloat_tile(const product_job& job, std::size_t r, std::size_t rows,
                             std::size_t p) {
    constexpr std::size_t step = row_bytes / sizeof(std::uint16_t);
    const std::uint8_t* w[] = {job.panel(p), job.panel(beside(job, p))};
    const std::size_t even = job.depth / step * step, left = job.depth - even;
    tiles<Unit, XTiles>::clear();
    for (std::size_t k = 0; k < even; k += step) {
        const auto at = panel_bytes(format::bf16, k);
        tiles<Unit, XTiles>::add(
            {job.rounded.bfloats(r) + k, job.rounded.stride, {w[0] + at, w[1] + at}}, false);
    }
    if (left > 0) {  // a last step of its own, filled up with zeros
        alignas(64) std::uint8_t x[2 * tile_rows][row_bytes] = {},
                                       last[2][tile_rows][row_bytes] = {};
        for (std::size_t i = 0; i < rows; ++i)
            std::memcpy(x[i], job.rounded.bfloats(r + i) + even, left * sizeof(std::uint16_t));
        for (int j = 0; j < 2; ++j)
            std::memcpy(last[j], w[j] + panel_bytes(format::bf16, even),
                        panel_bytes(format::bf16, left));
        tiles<Unit, XTiles>::add({x, row_bytes, {last[0], last[1]}}, false);
    }
    tile_sums<float> sums;
    tiles<Unit, XTiles>::store(sums);
    for (std::size_t j = 0; j < beside(job, p) - p + 1; ++j) {
        const output_rows<1> y(job, false, r, p + j);
        for (std::size_t i = 0; i < rows; ++i) {
            vec row[1];
            y.start(i, row);
            row[0] = add(row[0], load(sums.of[j][i]));
            y.store(i, row);
        }
    }
}

template <class Unit>
void bfloat_product(const product_job& job) {
    each_rows<Unit>(job, row_bytes, [&](auto x_tiles, std::size_t r, std::size_t rows) {
        for (std::size_t p = job.first_panel; p < job.last_panel; p += 2)
            bfloat_tile<Unit, x_tiles()>(job, r, rows, p);
    });
}

/// How many k of quantised weights one product of tiles takes.
constexpr std::size_t byte_step(format f) {
    return group_depth(f) < row_bytes ? group_depth(f) : row_bytes;
}

/// The bytes of a block of halves, written to `out`.
GPT2_TARGET inline const std::uint8_t* unpacked_halves(const std::uint8_t* halves,
                                                       std::uint8_t* out) {
    for (std::size_t i = 0; i < block_depth(format::int4) * panel_width; i += 128) {
        const auto both = load_bytes(halves + i / 2);
        store_bytes(out + i, look_up(low_halves(both)));
        store_bytes(out + i + 64, look_up(high_halves(both)));
    }
    return out;
}

/// Block `index` of rows r … and panels p and p+1, whose bytes lie at w.
template <class Unit, format Format, int XTiles>
GPT2_TARGET void integer_tile(const product_job& job, std::size_t r, std::size_t rows,
                              std::size_t p, std::size_t index, const std::uint8_t* const (&w)[2]) {
    constexpr std::size_t depth = block_depth(Format), group = group_depth(Format);
    constexpr std::size_t groups = depth / group;
    const rounded_rows& x = job.rounded;
    tile_sums<std::int32_t> sums[groups];
    for (std::size_t g = 0; g < groups; ++g) {
        tiles<Unit, XTiles>::clear();
        for (std::size_t k = g * group; k < (g + 1) * group; k += byte_step(Format))
            tiles<Unit, XTiles>::add({x.bytes(r) + index * depth + k,
                                      x.stride,
                                      {w[0] + k * panel_width, w[1] + k * panel_width}},
                                     true);
        tiles<Unit, XTiles>::store(sums[g]);
    }
    for (std::size_t j = 0; j < beside(job, p) - p + 1; ++j) {
        const output_rows<1> y(job, index > 0, r, p + j);
        const std::uint8_t* scales = job.panel(p + j) + index * block_bytes(Format);
        for (std::size_t i = 0; i < rows; ++i) {
            const std::int32_t* offsets = x.offsets + (r + i) * x.groups + index * groups;
            vec total = set(0), row[1];
            for (std::size_t g = 0; g < groups; ++g) {
                const ivec sum = add(_mm512_load_si512(sums[g].of[j][i]), set_int(offsets[g]));
                const vec scale = vnni::group_scales<Format>(scales, g);
                total = g == 0 ? mul(to_float(sum), scale) : fma(to_float(sum), scale, total);
            }
            y.start(i, row);
            row[0] = fma(total, set(x.scales[(r + i) * x.blocks + index]), row[0]);
            y.store(i, row);
        }
    }
}

template <class Unit, format Format>
GPT2_TARGET void integer_products(const product_job& job) {
    each_rows<Unit>(job, byte_step(Format), [&](auto x_tiles, std::size_t r, std::size_t rows) {
        for (std::size_t p = job.first_panel; p < job.last_panel; p += 2)
            for (std::size_t index = 0; index < job.rounded.blocks; ++index) {
                alignas(64) std::uint8_t unpacked[2][block_depth(Format) * panel_width];
                const std::uint8_t* w[2] = {job.panel(p), job.panel(beside(job, p))};
                for (std::size_t j = 0; j < 2; ++j) {
                    w[j] += index * block_bytes(Format) + scale_bytes;
                    if constexpr (Format == format::int4) w[j] = unpacked_halves(w[j], unpacked[j]);
                }
                integer_tile<Unit, Format, x_tiles()>(job, r, rows, p, index, w);
            }
    });
}

template <class Unit>
void integer_product(const product_job& job) {
    if (job.weights == format::int8) return integer_products<Unit, format::int8>(job);
    integer_products<Unit, format::int4>(job);
}

}  // namespace detail::kernels::avx512::amx
}  // namespace gpt2::inline GPT2_ABI

#undef GPT2_TARGET
#endif
