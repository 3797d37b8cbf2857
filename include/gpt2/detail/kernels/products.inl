// Products with panels of floats, halves and bfloats, and of blocks that are widened to floats.
// Included by each instruction set inside its own words (GPT2_KERNELS), after blocks.inl.
//
// One row of x reads as many panels at once as the memory likes streams. Several rows go in tiles
// whose sums stay in registers from the first k to the last: a panel comes from the second cache
// for each tile but the first, which is fast enough, and y is written once.

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::GPT2_KERNELS {

/// Where the sums of rows r … and panels p, p+gap … come from and go to. A copy of what the job
/// says, since the compiler must take every store for a change of the job. Only the last panel can
/// be narrow.
template <int Panels>
class output_rows {
public:
    GPT2_TARGET GPT2_FORCE_INLINE output_rows(const product_job& job, bool later, std::size_t r,
                                              std::size_t p)
        : start_(job.start(later)),
          from_(start_.of(r, p)),
          y_(job.y + r * job.y_stride + p * panel_width),
          y_stride_(job.y_stride),
          start_gap_(job.gap * start_.panel_stride),
          y_gap_(job.gap * panel_width),
          last_width_(job.width(p + (Panels - 1) * job.gap)) {}

    GPT2_TARGET GPT2_FORCE_INLINE void start(std::size_t i, vec (&sum)[Panels]) const {
        const float* from = from_ + i * start_.row_stride;
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j)
            sum[j] = load_first(from + j * start_gap_, j + 1 < Panels ? panel_width : last_width_);
    }
    GPT2_TARGET GPT2_FORCE_INLINE void store(std::size_t i, const vec (&sum)[Panels]) const {
        float* to = y_ + i * y_stride_;
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j)
            store_first(to + j * y_gap_, sum[j], j + 1 < Panels ? panel_width : last_width_);
    }

private:
    start_values start_;
    const float* from_;
    float* y_;
    std::size_t y_stride_, start_gap_, y_gap_, last_width_;
};

/// sum[i][j] += x(i, k)·w(k, panel j) for `depth` values of k, an even number but at the end.
template <format Format, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_products(vec (&sum)[Rows][Panels],
                                                const float* __restrict x, std::size_t x_stride,
                                                const std::uint8_t* __restrict w,
                                                std::size_t w_stride, std::size_t depth) {
    constexpr bool pairs = Format == format::bf16;
    constexpr std::size_t step = Format == format::f16 ? 32 : 64;
    GPT2_ROLL
    for (std::size_t k = 0; k < depth; k += pairs ? 2 : 1, w += step) {
        vec first[Panels], second[Panels];
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto* at = w + static_cast<std::size_t>(j) * w_stride;
            if constexpr (Rows > 1 && Format != format::f32) prefetch(at + 1024);
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

/// Rows r … r+Rows-1 times `Panels` panels p, p+gap ….
template <format Format, int Rows, int Panels>
GPT2_TARGET inline void tile(const product_job& job, std::size_t r, std::size_t p) {
    const output_rows<Panels> y(job, false, r, p);
    vec sum[Rows][Panels];
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) y.start(i, sum[i]);
    const float* x = job.x + r * job.x_stride;
    const std::size_t w_stride = job.gap * job.panel_stride;
    if constexpr (in_blocks(Format))
        add_blocks<Format>(sum, x, job.x_stride, job.panel(p), w_stride, job.depth);
    else
        add_products<Format>(sum, x, job.x_stride, job.panel(p), w_stride, job.depth);
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) y.store(i, sum[i]);
}

/// Rows [r, end), whole tiles of `Rows`, times the panels [first, last), `Panels` at once; gives
/// the first panel that is left.
template <format Format, int Rows, int Panels>
GPT2_TARGET inline std::size_t tiles(const product_job& job, std::size_t r, std::size_t end,
                                     std::size_t first, std::size_t last) {
    const product_job part = job.spread(first, last, Panels);
    for (std::size_t p = part.first_panel; p < part.last_panel; ++p)
        for (std::size_t row = r; row < end; row += Rows) tile<Format, Rows, Panels>(part, row, p);
    return first + part.gap * Panels;
}

/// Rows [r, end) times the panels [first, last), row by row.
template <format Format>
GPT2_TARGET inline void row_products(const product_job& job, std::size_t r, std::size_t end,
                                     std::size_t first, std::size_t last) {
    first = tiles<Format, 1, stream_panels>(job, r, end, first, last);
    if constexpr (stream_panels > 1) tiles<Format, 1, 1>(job, r, end, first, last);
}

/// Whole tiles, then the rows and panels that are left.
template <format Format>
GPT2_TARGET inline void products(const product_job& job) {
    const std::size_t rows = job.rows / tile_rows * tile_rows;
    std::size_t p = job.first_panel;
    if (rows > 0) {
        p = tiles<Format, tile_rows, tile_panels>(job, 0, rows, p, job.last_panel);
        if constexpr (Format == format::f32 && tile_panels > 1)
            p = tiles<Format, tile_rows, 1>(job, 0, rows, p, job.last_panel);
        row_products<Format>(job, 0, rows, p, job.last_panel);
    }
    row_products<Format>(job, rows, job.rows, job.first_panel, job.last_panel);
}

/// Many rows times panels of blocks: a part of some panels is widened once for all rows, and is
/// then a product of floats.
template <format Format>
GPT2_TARGET inline void widened_products(const product_job& job) {
    constexpr std::size_t depth = 128, size = depth * panel_width;
    alignas(64) float w[tile_panels * size];
    product_job part = job;
    part.w = w, part.weights = format::f32, part.panel_stride = size * sizeof(float);
    part.first_panel = 0;
    for (std::size_t p = job.first_panel; p < job.last_panel; p += tile_panels) {
        part.last_panel = job.last_panel - p < tile_panels ? job.last_panel - p : tile_panels;
        part.y = job.y + p * panel_width;
        part.outputs = job.outputs - p * panel_width;
        part.bias = job.bias ? job.bias + p * panel_width : nullptr;
        for (std::size_t k = 0; k < job.depth; k += depth) {
            part.x = job.x + k;
            part.depth = job.depth - k < depth ? job.depth - k : depth;
            part.accumulate = job.accumulate || k > 0;
            for (std::size_t j = 0; j < part.last_panel; ++j)
                widen_panel<Format>(job.panel(p + j), k, part.depth, w + j * size);
            products<format::f32>(part);
        }
    }
}

/// Few rows widen weights in registers.
template <format Format>
GPT2_TARGET inline void block_products(const product_job& job) {
    job.rows < 2 * tile_rows ? products<Format>(job) : widened_products<Format>(job);
}

GPT2_TARGET inline void float_product(const product_job& job) {
    switch (job.weights) {
        case format::f16:
            return products<format::f16>(job);
        case format::bf16:
            return products<format::bf16>(job);
        case format::q8_0:
            return block_products<format::q8_0>(job);
        case format::q4_0:
            return block_products<format::q4_0>(job);
        case format::q4_k:
            return block_products<format::q4_k>(job);
        case format::q5_k:
            return block_products<format::q5_k>(job);
        case format::q6_k:
            return block_products<format::q6_k>(job);
        default:
            return products<format::f32>(job);
    }
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
