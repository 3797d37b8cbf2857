// The panel product on AVX-512F: a panel's row is one register.
//
// One row of x goes with 8 panels at once (8 independent chains hide the latency of an FMA, and
// 8 streams keep the memory busy); several rows go in tiles of 8 rows × 3 panels, 24 of the 32
// registers.
//
// Before: panel.hpp, which defines the result.
#pragma once

#include "panel.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

/// Rows r … r+Rows-1 times panels p … p+Panels-1.
template <int Rows, int Panels>
__attribute__((target("avx512f"))) inline void avx512_tile(const panel_product& job, std::size_t r,
                                                           std::size_t p) {
    const float* x = job.x + r * job.x_stride;
    const float* w = job.w + p * job.panel_stride;
    __m512 sum[Rows][Panels];
    GPT2_UNROLL
    for (int j = 0; j < Panels; ++j) {
        const auto* bias = job.bias + (p + static_cast<std::size_t>(j)) * panel_width;
        const __m512 start = job.bias ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) sum[i][j] = start;
    }
    for (std::size_t k = 0; k < job.depth; ++k) {
        __m512 row[Panels];
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const float* source = w + static_cast<std::size_t>(j) * job.panel_stride;
            row[j] = _mm512_loadu_ps(source + k * panel_width);
        }
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const __m512 a = _mm512_set1_ps(x[static_cast<std::size_t>(i) * job.x_stride + k]);
            GPT2_UNROLL
            for (int j = 0; j < Panels; ++j) sum[i][j] = _mm512_fmadd_ps(a, row[j], sum[i][j]);
        }
    }
    GPT2_UNROLL
    for (int j = 0; j < Panels; ++j) {
        const auto at = p + static_cast<std::size_t>(j);
        const auto mask = static_cast<__mmask16>((1u << job.width(at)) - 1);
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) {
            float* y = job.y + (r + static_cast<std::size_t>(i)) * job.y_stride;
            _mm512_mask_storeu_ps(y + at * panel_width, mask, sum[i][j]);
        }
    }
}

/// All rows times panels p … p+Panels-1, in tiles of 8, 4, 2 and 1 rows.
template <int Panels>
__attribute__((target("avx512f"))) inline void avx512_rows(const panel_product& job,
                                                           std::size_t p) {
    std::size_t r = 0;
    for (; r + 8 <= job.rows; r += 8) avx512_tile<8, Panels>(job, r, p);
    if (r + 4 <= job.rows) avx512_tile<4, Panels>(job, r, p), r += 4;
    if (r + 2 <= job.rows) avx512_tile<2, Panels>(job, r, p), r += 2;
    if (r < job.rows) avx512_tile<1, Panels>(job, r, p);
}

__attribute__((target("avx512f"))) inline void avx512_product(const panel_product& job) {
    std::size_t p = job.first_panel;
    if (job.rows == 1)
        for (; p + 8 <= job.last_panel; p += 8) avx512_tile<1, 8>(job, 0, p);
    for (; p + 3 <= job.last_panel; p += 3) avx512_rows<3>(job, p);
    for (; p < job.last_panel; ++p) avx512_rows<1>(job, p);
}

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
#endif
