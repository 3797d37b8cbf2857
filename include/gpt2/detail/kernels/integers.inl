// Products with quantised panels, in integers. Included by each instruction set, and once more by
// those that have a better dot4; its name stands in GPT2_DOT4.

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::GPT2_KERNELS {

/// One block of the weights of neighbouring panels. Bytes lie as [depth/4][16][4], or in halves as
/// the int4 format packs them.
struct integer_block {
    std::size_t index;           // which block of the panel
    const std::uint8_t* scales;  // of the first panel
    const std::uint8_t* bytes;
    std::size_t scales_stride, bytes_stride;  // to the next panel
};

/// sum += Σ w·x over Depth values of k.
template <bool Halves, std::size_t Depth, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_dots(ivec (&sum)[Rows][Panels], const std::int8_t* x,
                                            std::size_t x_stride, const std::uint8_t* w,
                                            std::size_t w_stride) {
    GPT2_ROLL
    for (std::size_t k = 0; k < Depth; k += Halves ? 8 : 4, w += 64) {
        bytes64 first[Panels], second[Panels];
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto* at = w + static_cast<std::size_t>(j) * w_stride;
            first[j] = load_bytes(at);
            if constexpr (Halves)
                second[j] = look_up(high_halves(first[j])),
                first[j] = look_up(low_halves(first[j]));
        }
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i) {
            const std::int8_t* at = x + static_cast<std::size_t>(i) * x_stride + k;
            const quad x_first = load_quad(at);
            GPT2_UNROLL
            for (int j = 0; j < Panels; ++j) sum[i][j] = GPT2_DOT4(sum[i][j], first[j], x_first);
            if constexpr (Halves) {
                const quad x_second = load_quad(at + 4);
                GPT2_UNROLL
                for (int j = 0; j < Panels; ++j)
                    sum[i][j] = GPT2_DOT4(sum[i][j], second[j], x_second);
            }
        }
    }
}

/// The exact sums of group g of a block, for rows r … and the block's panels.
template <format Format, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void group_sums(const product_job& job, const integer_block& block,
                                              std::size_t g, std::size_t r,
                                              ivec (&sum)[Rows][Panels]) {
    constexpr std::size_t depth = block_depth(Format), group = group_depth(Format);
    const rounded_rows& x = job.rounded;
    GPT2_UNROLL
    for (int i = 0; i < Rows; ++i) {
        const auto row = (r + static_cast<std::size_t>(i)) * x.groups;
        const auto offset = x.offsets[row + block.index * (depth / group) + g];
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) sum[i][j] = set_int(offset);
    }
    constexpr bool halves = Format == format::int4;
    constexpr std::size_t bytes = group * panel_width / (halves ? 2 : 1);
    add_dots<halves, group>(sum, x.bytes(r) + block.index * depth + g * group, x.stride,
                            block.bytes + g * bytes, block.bytes_stride);
}

/// The scales of group g.
template <format Format>
GPT2_TARGET GPT2_FORCE_INLINE vec group_scales(const std::uint8_t* scales, std::size_t g) {
    if constexpr (Format == format::int8) return load(reinterpret_cast<const float*>(scales));
    return load_bfloat(reinterpret_cast<const std::uint16_t*>(scales) + g * panel_width);
}

/// y = fma(the block's sums, their scales, y) for rows r … r+Rows-1 and `Panels` panels p, p+gap ….
template <format Format, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_block(const product_job& job, const integer_block& block,
                                             std::size_t r, std::size_t p) {
    constexpr std::size_t groups = block_depth(Format) / group_depth(Format);
    static_assert(groups == 1 || groups == 2);
    ivec sum[Rows][Panels];
    vec total[Rows][Panels];
    group_sums<Format>(job, block, 0, r, sum);
    GPT2_UNROLL
    for (int j = 0; j < Panels; ++j) {
        const auto* scales = block.scales + static_cast<std::size_t>(j) * block.scales_stride;
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i)
            total[i][j] = mul(to_float(sum[i][j]), group_scales<Format>(scales, 0));
    }
    if constexpr (groups == 2) {
        group_sums<Format>(job, block, 1, r, sum);
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto* scales = block.scales + static_cast<std::size_t>(j) * block.scales_stride;
            GPT2_UNROLL
            for (int i = 0; i < Rows; ++i)
                total[i][j] =
                    fma(to_float(sum[i][j]), group_scales<Format>(scales, 1), total[i][j]);
        }
    }
    const output_rows<Panels> y(job, block.index > 0, r, p);
    const float* scales = job.rounded.scales + r * job.rounded.blocks + block.index;
    const std::size_t blocks = job.rounded.blocks;
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) {
        const vec scale = set(scales[i * blocks]);
        vec row[Panels];
        y.start(i, row);
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) row[j] = fma(total[i][j], scale, row[j]);
        y.store(i, row);
    }
}

/// The block `index` of panels p, p+gap … as it lies in memory.
template <format Format>
GPT2_TARGET inline integer_block stored_block(const product_job& job, std::size_t p,
                                              std::size_t index) {
    const std::uint8_t* at = job.panel(p) + index * block_bytes(Format);
    return {index, at, at + scale_bytes, job.gap * job.panel_stride, job.gap * job.panel_stride};
}

/// Rows [r, end), whole tiles of `Rows`, times the panels [first, last), `Panels` at once; gives
/// the first panel that is left.
template <format Format, int Rows, int Panels>
GPT2_TARGET inline std::size_t integer_tiles(const product_job& job, std::size_t r, std::size_t end,
                                             std::size_t first, std::size_t last) {
    const product_job part = job.spread(first, last, Panels);
    for (std::size_t p = part.first_panel; p < part.last_panel; ++p)
        for (std::size_t row = r; row < end; row += Rows)
            for (std::size_t index = 0; index < part.rounded.blocks; ++index)
                add_block<Format, Rows, Panels>(part, stored_block<Format>(part, p, index), row, p);
    return first + part.gap * Panels;
}

/// Whole tiles, then the rows and panels that are left, row by row. Halves take more registers.
template <format Format>
GPT2_TARGET inline void integer_products(const product_job& job) {
    constexpr int together = tile_panels - (Format == format::int4 && tile_panels > 1);
    const std::size_t rows = job.rows / tile_rows * tile_rows, last = job.last_panel;
    std::size_t p = job.first_panel;
    if (rows > 0) p = integer_tiles<Format, tile_rows, together>(job, 0, rows, p, last);
    if constexpr (tile_panels > 1) integer_tiles<Format, 1, 1>(job, 0, rows, p, last);
    p = integer_tiles<Format, 1, stream_panels>(job, rows, job.rows, job.first_panel, last);
    if constexpr (stream_panels > 1) integer_tiles<Format, 1, 1>(job, rows, job.rows, p, last);
}

GPT2_TARGET inline void integer_product(const product_job& job) {
    if (job.weights == format::int8) return integer_products<format::int8>(job);
    integer_products<format::int4>(job);
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
