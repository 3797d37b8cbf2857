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
template <format Format, bool Halves, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void group_sums(const product_job& job, const integer_block& block,
                                              std::size_t g, std::size_t r,
                                              ivec (&sum)[Rows][Panels]) {
    constexpr std::size_t depth = block_depth(Format), group = group_depth(Format);
    const quantised_rows& q = job.quantised;
    GPT2_UNROLL
    for (int i = 0; i < Rows; ++i) {
        const auto row = (r + static_cast<std::size_t>(i)) * q.groups;
        const auto x_sum = q.sums[row + block.index * (depth / group) + g];
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) sum[i][j] = set_int(-weight_offset * x_sum);
    }
    constexpr std::size_t bytes = group * panel_width / (Halves ? 2 : 1);
    add_dots<Halves, group>(sum, q.values + r * q.depth + block.index * depth + g * group, q.depth,
                            block.bytes + g * bytes, block.bytes_stride);
}

/// The scales of group g.
template <format Format>
GPT2_TARGET GPT2_FORCE_INLINE vec group_scales(const std::uint8_t* scales, std::size_t g) {
    if constexpr (Format == format::int8) return load(reinterpret_cast<const float*>(scales));
    return load_bfloat(reinterpret_cast<const std::uint16_t*>(scales) + g * panel_width);
}

/// y = fma(the block's sums, their scales, y) for rows r … r+Rows-1 and panels p … p+Panels-1.
template <format Format, bool Halves, int Rows, int Panels>
GPT2_TARGET inline void add_block(const product_job& job, const integer_block& block, std::size_t r,
                                  std::size_t p) {
    constexpr std::size_t groups = block_depth(Format) / group_depth(Format);
    static_assert(groups == 1 || groups == 2);
    ivec sum[Rows][Panels];
    vec total[Rows][Panels];
    group_sums<Format, Halves>(job, block, 0, r, sum);
    GPT2_UNROLL
    for (int j = 0; j < Panels; ++j) {
        const auto* scales = block.scales + static_cast<std::size_t>(j) * block.scales_stride;
        GPT2_UNROLL
        for (int i = 0; i < Rows; ++i)
            total[i][j] = mul(to_float(sum[i][j]), group_scales<Format>(scales, 0));
    }
    if constexpr (groups == 2) {
        group_sums<Format, Halves>(job, block, 1, r, sum);
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto* scales = block.scales + static_cast<std::size_t>(j) * block.scales_stride;
            GPT2_UNROLL
            for (int i = 0; i < Rows; ++i)
                total[i][j] =
                    fma(to_float(sum[i][j]), group_scales<Format>(scales, 1), total[i][j]);
        }
    }
    GPT2_UNROLL
    for (int i = 0; i < Rows; ++i) {
        const auto row = r + static_cast<std::size_t>(i);
        const vec scale = set(job.quantised.scales[row * job.quantised.blocks + block.index]);
        float* y = job.y + row * job.y_stride;
        GPT2_UNROLL
        for (int j = 0; j < Panels; ++j) {
            const auto at = p + static_cast<std::size_t>(j);
            const vec before = block.index == 0 ? start_of(job, y, at)
                                                : load_first(y + at * panel_width, job.width(at));
            store_first(y + at * panel_width, fma(total[i][j], scale, before), job.width(at));
        }
    }
}

/// The block `index` of panels p, p+1, … as it lies in memory.
template <format Format>
GPT2_TARGET inline integer_block stored_block(const product_job& job, std::size_t p,
                                              std::size_t index) {
    const std::uint8_t* at = job.panel(p) + index * block_bytes(Format);
    return {index, at, at + scale_bytes, job.panel_stride, job.panel_stride};
}

/// One row times the panels [first, last).
template <format Format>
GPT2_TARGET inline void integer_row(const product_job& job, std::size_t r, std::size_t first,
                                    std::size_t last) {
    constexpr bool halves = Format == format::int4;
    std::size_t p = first;
    for (; p + stream_panels <= last; p += stream_panels)
        for (std::size_t index = 0; index < job.quantised.blocks; ++index)
            add_block<Format, halves, 1, stream_panels>(job, stored_block<Format>(job, p, index), r,
                                                        p);
    for (; p < last; ++p)
        for (std::size_t index = 0; index < job.quantised.blocks; ++index)
            add_block<Format, halves, 1, 1>(job, stored_block<Format>(job, p, index), r, p);
}

/// The first `rows` rows, a whole number of tiles, times panels p … p+tile_panels-1. Halves are
/// unpacked once for all rows.
template <format Format>
GPT2_TARGET inline void integer_tiles(const product_job& job, std::size_t rows, std::size_t p) {
    constexpr std::size_t unpacked_bytes = block_depth(Format) * panel_width;
    alignas(64) std::uint8_t unpacked[static_cast<std::size_t>(tile_panels) * unpacked_bytes];
    for (std::size_t index = 0; index < job.quantised.blocks; ++index) {
        auto block = stored_block<Format>(job, p, index);
        if constexpr (Format == format::int4) {
            for (std::size_t j = 0; j < static_cast<std::size_t>(tile_panels); ++j)
                for (std::size_t i = 0; i < unpacked_bytes; i += 128) {
                    const auto both = load_bytes(block.bytes + j * block.bytes_stride + i / 2);
                    store_bytes(unpacked + j * unpacked_bytes + i, look_up(low_halves(both)));
                    store_bytes(unpacked + j * unpacked_bytes + i + 64, look_up(high_halves(both)));
                }
            block.bytes = unpacked;
            block.bytes_stride = unpacked_bytes;
        }
        for (std::size_t r = 0; r < rows; r += tile_rows)
            add_block<Format, false, tile_rows, tile_panels>(job, block, r, p);
    }
}

/// Whole tiles, then rows and panels that are left one by one.
template <format Format>
GPT2_TARGET inline void integer_products(const product_job& job) {
    const std::size_t rows = job.rows / tile_rows * tile_rows;
    std::size_t p = job.first_panel;
    if (rows > 0)
        for (; p + tile_panels <= job.last_panel; p += tile_panels)
            integer_tiles<Format>(job, rows, p);
    for (std::size_t r = 0; r < rows && p < job.last_panel; ++r)
        integer_row<Format>(job, r, p, job.last_panel);
    for (std::size_t r = rows; r < job.rows; ++r)
        integer_row<Format>(job, r, job.first_panel, job.last_panel);
}

GPT2_TARGET inline void integer_product(const product_job& job) {
    if (job.weights == format::int8) return integer_products<format::int8>(job);
    integer_products<format::int4>(job);
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
