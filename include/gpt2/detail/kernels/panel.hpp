// What every kernel computes, and the portable version that defines it.
//
// A (K, N) matrix lies in memory as panels of 16 columns, [N/16][K][16]: one pass over a panel
// gives 16 outputs at once and reads memory in order, for one row of x (decoding) as for many
// (prefill). Weights, keys and values all have this shape, so this is the only product there is.
//
// Each output is one chain, bias first, then one fused multiply-add per k in rising order. The
// chain does not depend on how many rows or panels are computed together, on threads, or on the
// instruction set: every kernel gives the same bits.
//
// After: the kernels of one instruction set each, and dispatch.hpp which picks one.
#pragma once

#include "../../core.hpp"

#include <cmath>
#include <cstddef>

#if defined(__clang__)
#define GPT2_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define GPT2_UNROLL _Pragma("GCC unroll 16")
#else
#define GPT2_UNROLL
#endif

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

inline constexpr std::size_t panel_width = 16;

/// y(r, n) = bias(n) + Σ_k x(r, k)·w(k, n), for r < rows and 16·first_panel ≤ n <
/// min(16·last_panel, outputs). Strides count elements. `bias`, where there is one, is readable to
/// a multiple of 16.
struct panel_product {
    const float* x;
    std::size_t x_stride;
    const float* w;  // element (k, n) at (n / 16)·panel_stride + 16·k + n % 16
    std::size_t panel_stride;
    const float* bias;  // null: zero
    float* y;
    std::size_t y_stride;
    std::size_t rows, depth, outputs;
    std::size_t first_panel, last_panel;

    /// How many of panel p's columns are outputs: 16, or fewer in the last one.
    std::size_t width(std::size_t p) const {
        const auto left = outputs - p * panel_width;
        return left < panel_width ? left : panel_width;
    }
};

inline void portable_product(const panel_product& job) {
    for (std::size_t p = job.first_panel; p < job.last_panel; ++p) {
        const float* panel = job.w + p * job.panel_stride;
        for (std::size_t r = 0; r < job.rows; ++r) {
            const float* x = job.x + r * job.x_stride;
            float sum[panel_width] = {};
            if (job.bias)
                for (std::size_t i = 0; i < panel_width; ++i)
                    sum[i] = job.bias[p * panel_width + i];
            for (std::size_t k = 0; k < job.depth; ++k)
                for (std::size_t i = 0; i < panel_width; ++i)
                    sum[i] = std::fma(x[k], panel[k * panel_width + i], sum[i]);
            float* y = job.y + r * job.y_stride + p * panel_width;
            for (std::size_t i = 0; i < job.width(p); ++i) y[i] = sum[i];
        }
    }
}

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
