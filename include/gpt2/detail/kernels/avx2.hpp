// The panel product on AVX2 with FMA: a panel's row is two registers.
//
// One row of x goes with 4 panels at once, several rows in tiles of 4 rows × 1 panel: 8 chains
// either way, enough to hide the latency of an FMA.
//
// Before: panel.hpp, which defines the result.
#pragma once

#include "panel.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

/// Rows r … r+Rows-1 times panels p … p+Panels-1.
template <int Rows, int Panels>
__attribute__((target("avx2,fma"))) inline void avx2_tile(const panel_product& job, std::size_t r,
                                                          std::size_t p) {
    const float* x = job.x + r * job.x_stride;
    const float* w = job.w + p * job.panel_stride;
    __m256 sum[Rows][Panels][2];
    GPT2_UNROLL
    for (int j = 0; j < Panels; ++j) {
        const auto* bias = job.bias + (p + static_cast<std::size_t>(j)) * panel_width;
        GPT2_UNROLL
        for (int half = 0; half < 2; ++half) {
            const __m256 start = job.bias ? _mm256_loadu_ps(bias + 8 * half) : _mm256_setzero_ps();
            GPT2_UNROLL
            for (int i = 0; i < Rows; ++i) sum[i][j][half] = start;
        }
    }
    for (std::size_t k = 0; k < job.depth; ++k) {
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const float* row = w + static_cast<std::size_t>(j) * job.panel_stride + k * panel_width;
            const __m256 low = _mm256_loadu_ps(row), high = _mm256_loadu_ps(row + 8);
            GPT2_UNROLL
            for (int i = 0; i < Rows; ++i) {
                const __m256 a = _mm256_set1_ps(x[static_cast<std::size_t>(i) * job.x_stride + k]);
                sum[i][j][0] = _mm256_fmadd_ps(a, low, sum[i][j][0]);
                sum[i][j][1] = _mm256_fmadd_ps(a, high, sum[i][j][1]);
            }
        }
    }
    GPT2_UNROLL
    for (int j = 0; j < Panels; ++j) {
        const auto at = p + static_cast<std::size_t>(j);
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) {
            float result[panel_width];
            _mm256_storeu_ps(result, sum[i][j][0]);
            _mm256_storeu_ps(result + 8, sum[i][j][1]);
            float* y = job.y + (r + static_cast<std::size_t>(i)) * job.y_stride;
            std::copy_n(result, job.width(at), y + at * panel_width);
        }
    }
}

__attribute__((target("avx2,fma"))) inline void avx2_product(const panel_product& job) {
    std::size_t p = job.first_panel;
    if (job.rows == 1)
        for (; p + 4 <= job.last_panel; p += 4) avx2_tile<1, 4>(job, 0, p);
    for (; p < job.last_panel; ++p) {
        std::size_t r = 0;
        for (; r + 4 <= job.rows; r += 4) avx2_tile<4, 1>(job, r, p);
        for (; r < job.rows; ++r) avx2_tile<1, 1>(job, r, p);
    }
}

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
#endif
