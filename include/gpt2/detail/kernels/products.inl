// Products with panels of floats, halves and bfloats. Included by each instruction set inside its
// own words (GPT2_KERNELS).
//
// One row of x reads as many panels at once as the memory likes streams. Several rows go in tiles
// of registers over blocks of k that stay in the nearest cache; halves and bfloats are widened to
// such a block first, once for all rows.

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::GPT2_KERNELS {

/// k per block of a product of several rows.
inline constexpr std::size_t tile_depth = 256;

/// The sums of a panel of one row before the first k.
GPT2_TARGET inline vec start_of(const product_job& job, const float* y, std::size_t p) {
    if (job.accumulate) return load_first(y + p * panel_width, job.width(p));
    return job.bias ? load(job.bias + p * panel_width) : set(0);
}

/// sum[i][j] += x(i, k)·w(k, panel j) for `depth` values of k, an even number but at the end.
template <format Format, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_products(vec (&sum)[Rows][Panels],
                                                const float* GPT2_RESTRICT x, std::size_t x_stride,
                                                const std::uint8_t* GPT2_RESTRICT w,
                                                std::size_t w_stride, std::size_t depth) {
    constexpr bool pairs = Format == format::bf16;
    constexpr std::size_t step = Format == format::f16 ? 32 : 64;
    GPT2_ROLL
    for (std::size_t k = 0; k < depth; k += pairs ? 2 : 1, w += step) {
        vec first[Panels], second[Panels];
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto* at = w + static_cast<std::size_t>(j) * w_stride;
            if constexpr (Format == format::f32)
                first[j] = load(reinterpret_cast<const float*>(at));
            else if constexpr (Format == format::f16)
                first[j] = load_half(reinterpret_cast<const std::uint16_t*>(at));
            else
                load_pairs(reinterpret_cast<const std::uint16_t*>(at), first[j], second[j]);
        }
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const vec a = set(x[static_cast<std::size_t>(i) * x_stride + k]);
            GPT2_UNROLL
            for (int j = 0; j < Panels; ++j) sum[i][j] = fma(a, first[j], sum[i][j]);
        }
        if (!pairs || k + 1 == depth) continue;
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const vec a = set(x[static_cast<std::size_t>(i) * x_stride + k + 1]);
            GPT2_UNROLL
            for (int j = 0; j < Panels; ++j) sum[i][j] = fma(a, second[j], sum[i][j]);
        }
    }
}

/// Rows r … r+Rows-1 times panels p … p+Panels-1, over k = first … first+depth-1.
template <format Format, int Rows, int Panels>
GPT2_TARGET inline void tile(const product_job& job, std::size_t r, std::size_t p,
                             std::size_t first, std::size_t depth) {
    float* y = job.y + r * job.y_stride;
    vec sum[Rows][Panels];
    GPT2_UNROLL
    for (int i = 0; i < Rows; ++i) {
        const float* row = y + static_cast<std::size_t>(i) * job.y_stride;
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto at = p + static_cast<std::size_t>(j);
            sum[i][j] = first > 0 ? load_first(row + at * panel_width, job.width(at))
                                  : start_of(job, row, at);
        }
    }
    add_products<Format>(sum, job.x + r * job.x_stride + first, job.x_stride,
                         job.panel(p) + panel_bytes(Format, first), job.panel_stride, depth);
    GPT2_UNROLL
    for (int i = 0; i < Rows; ++i) {
        float* row = y + static_cast<std::size_t>(i) * job.y_stride;
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto at = p + static_cast<std::size_t>(j);
            store_first(row + at * panel_width, sum[i][j], job.width(at));
        }
    }
}

/// One row times the panels [first, last).
template <format Format>
GPT2_TARGET inline void row_product(const product_job& job, std::size_t r, std::size_t first,
                                    std::size_t last) {
    std::size_t p = first;
    for (; p + stream_panels <= last; p += stream_panels)
        tile<Format, 1, stream_panels>(job, r, p, 0, job.depth);
    if constexpr (Format == format::f32 && stream_panels > 4)  // the values of a head of 64
        for (; p + 4 <= last; p += 4) tile<Format, 1, 4>(job, r, p, 0, job.depth);
    for (; p < last; ++p) tile<Format, 1, 1>(job, r, p, 0, job.depth);
}

/// The first `rows` rows, a whole number of tiles, times panels p … p+Panels-1.
template <format Format, int Panels>
GPT2_TARGET inline void tile_product(const product_job& job, std::size_t rows, std::size_t p) {
    for (std::size_t k = 0; k < job.depth; k += tile_depth)
        for (std::size_t r = 0; r < rows; r += tile_rows)
            tile<Format, tile_rows, Panels>(
                job, r, p, k, job.depth - k < tile_depth ? job.depth - k : tile_depth);
}

/// Whole tiles, then rows and panels that are left one by one.
template <format Format>
GPT2_TARGET inline void products(const product_job& job) {
    const std::size_t rows = job.rows / tile_rows * tile_rows;
    std::size_t p = job.first_panel;
    if (rows > 0) {
        for (; p + tile_panels <= job.last_panel; p += tile_panels)
            tile_product<Format, tile_panels>(job, rows, p);
        if constexpr (Format == format::f32 && tile_panels > 1)
            for (; p < job.last_panel; ++p) tile_product<Format, 1>(job, rows, p);
        for (std::size_t r = 0; r < rows && p < job.last_panel; ++r)
            row_product<Format>(job, r, p, job.last_panel);
    }
    for (std::size_t r = rows; r < job.rows; ++r)
        row_product<Format>(job, r, job.first_panel, job.last_panel);
}

GPT2_TARGET inline void float_product(const product_job& job) {
    if (job.weights == format::f32) return products<format::f32>(job);
    if (job.weights == format::f16) return products<format::f16>(job);
    products<format::bf16>(job);
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
