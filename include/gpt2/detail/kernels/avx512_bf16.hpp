// Products with panels of bfloats on AVX-512 with BF16: x is rounded to bfloats, and two products
// and their sum are one instruction. Everything else is avx512_vnni.hpp's.
//
// An output is one chain of pairs in rising order of k, so it does not depend on what is computed
// beside it; but the instruction keeps no subnormals and rounds in its own way, so the bits are
// those of this instruction alone.
//
// Before: avx512_vnni.hpp, products.inl.
#pragma once

#include "avx512.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)

#define GPT2_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,f16c,avx512bf16,fma")))

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::avx512::bf16 {

/// sum + Σ w·x over two k; in assembly, as the type of the intrinsic differs among compilers.
GPT2_TARGET GPT2_FORCE_INLINE vec dot2(vec sum, ivec w, ivec x) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
    return sum;
}

/// x rounded to bfloats, and zeros to the next multiple of 16.
GPT2_TARGET inline void round(const float* x, std::size_t n, std::uint16_t* out) {
    for (std::size_t i = 0; i < n; i += panel_width) {
        __m256i rounded;
        __asm__("vcvtneps2bf16 %1, %0"
                : "=v"(rounded)
                : "v"(load_first(x + i, n - i < panel_width ? n - i : panel_width)));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), rounded);
    }
}

/// sum[i][j] += the products of x(i, 0 … 1) with the pairs at w of panel j.
template <int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_pairs(vec (&sum)[Rows][Panels], const std::uint16_t* x,
                                             std::size_t x_stride, const ivec (&w)[Panels]) {
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) {
        std::int32_t pair;
        std::memcpy(&pair, x + i * x_stride, sizeof pair);
        const ivec each = set_int(pair);
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j) sum[i][j] = dot2(sum[i][j], w[j], each);
    }
}

/// Rows r … r+Rows-1 times `Panels` panels p, p+gap …. Where depth is odd, the half beyond it is
/// not looked at.
template <int Rows, int Panels>
GPT2_TARGET inline void tile(const product_job& job, std::size_t r, std::size_t p) {
    const std::uint16_t* x = job.rounded.bfloats(r);
    const std::size_t x_stride = job.rounded.stride / sizeof *x;
    const std::uint8_t* w = job.panel(p);
    const std::size_t w_stride = job.gap * job.panel_stride;
    const output_rows<Panels> y(job, false, r, p);
    vec sum[Rows][Panels];
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) y.start(i, sum[i]);
    ivec pairs[Panels];
    GPT2_ROLL
    for (std::size_t k = 0; k + 2 <= job.depth; k += 2, x += 2, w += 64) {
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j) pairs[j] = _mm512_loadu_si512(w + j * w_stride);
        add_pairs(sum, x, x_stride, pairs);
    }
    if (job.depth % 2 > 0) {
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j)
            pairs[j] = _mm512_and_si512(_mm512_loadu_si512(w + j * w_stride), set_int(0xFFFF));
        add_pairs(sum, x, x_stride, pairs);
    }
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) y.store(i, sum[i]);
}

/// Rows [r, end), whole tiles of `Rows`, times the panels [first, last), `Panels` at once; gives
/// the first panel that is left.
template <int Rows, int Panels>
GPT2_TARGET inline std::size_t tiles(const product_job& job, std::size_t r, std::size_t end,
                                     std::size_t first, std::size_t last) {
    const product_job part = job.spread(first, last, Panels);
    for (std::size_t p = part.first_panel; p < part.last_panel; ++p)
        for (std::size_t row = r; row < end; row += Rows) tile<Rows, Panels>(part, row, p);
    return first + part.gap * Panels;
}

GPT2_TARGET inline void product(const product_job& job) {
    const std::size_t rows = job.rows / tile_rows * tile_rows;
    std::size_t p = job.first_panel;
    if (rows > 0) {
        p = tiles<tile_rows, tile_panels>(job, 0, rows, p, job.last_panel);
        tiles<tile_rows, 1>(job, 0, rows, p, job.last_panel);
    }
    p = tiles<1, stream_panels>(job, rows, job.rows, job.first_panel, job.last_panel);
    tiles<1, 1>(job, rows, job.rows, p, job.last_panel);
}

}  // namespace detail::kernels::avx512::bf16
}  // namespace gpt2::inline GPT2_ABI

#undef GPT2_TARGET
#endif
