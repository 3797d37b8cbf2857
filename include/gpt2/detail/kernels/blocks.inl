// Weights of panels in GGUF's blocks, widened in registers to the floats of gguf_blocks.hpp.
// Included by each instruction set inside its own words (GPT2_KERNELS), before products.inl.
//
// Products of d, a scale and a level are exact in a float, so an offset can be added to them by a
// fused operation: it rounds as the separate sum does.

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::GPT2_KERNELS {

/// A weight of a group is level·scale, or level·scale + offset where there are minima.
struct group_terms {
    vec scale, offset;
};

/// The terms of group g of a block.
template <format Format>
GPT2_TARGET GPT2_FORCE_INLINE group_terms terms_of(const std::uint8_t* block, std::size_t g) {
    constexpr block_layout layout = layout_of(Format);
    const auto* heads = reinterpret_cast<const std::uint16_t*>(block);
    const auto* bytes = reinterpret_cast<const std::int8_t*>(block) + layout.head_bytes() +
                        g * layout.group_bytes();
    group_terms terms{load_half(heads), {}};
    if constexpr (layout.scales) terms.scale = mul(terms.scale, load_int8(bytes));
    if constexpr (layout.minima) {
        const vec minus = mul(load_half(heads + panel_width), set(-1.0f));
        terms.offset = mul(minus, load_int8(bytes + panel_width));
    }
    return terms;
}

/// The weights of two k, whose levels begin at w.
template <format Format>
GPT2_TARGET GPT2_FORCE_INLINE void load_weights(const std::uint8_t* w, const group_terms& terms,
                                                vec& first, vec& second) {
    constexpr block_layout layout = layout_of(Format);
    if constexpr (layout.halves) {
        load_nibbles<layout.negative>(w, first, second);
    } else {
        first = load_int8(reinterpret_cast<const std::int8_t*>(w));
        second = load_int8(reinterpret_cast<const std::int8_t*>(w) + panel_width);
    }
    if constexpr (layout.minima) {
        first = fma(first, terms.scale, terms.offset);
        second = fma(second, terms.scale, terms.offset);
    } else {
        first = mul(first, terms.scale);
        second = mul(second, terms.scale);
    }
}

/// The same weights of `Panels` panels, w_stride bytes apart, times two x of each row.
template <format Format, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_weights(vec (&sum)[Rows][Panels],
                                               const float* __restrict x, std::size_t x_stride,
                                               const std::uint8_t* __restrict w,
                                               std::size_t w_stride,
                                               const group_terms (&terms)[Panels]) {
    vec first[Panels], second[Panels];
    GPT2_UNROLL
    for (std::size_t j = 0; j < Panels; ++j) {
        if constexpr (Rows > 1) prefetch(w + j * w_stride + 1024);
        load_weights<Format>(w + j * w_stride, terms[j], first[j], second[j]);
    }
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) {
        const vec a = set(x[i * x_stride]);
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j) sum[i][j] = fma(a, first[j], sum[i][j]);
    }
    GPT2_UNROLL
    for (std::size_t i = 0; i < Rows; ++i) {
        const vec a = set(x[i * x_stride + 1]);
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j) sum[i][j] = fma(a, second[j], sum[i][j]);
    }
}

/// sum[i][j] += x(i, k)·w(k, panel j) for `depth` values of k, whole blocks.
template <format Format, int Rows, int Panels>
GPT2_TARGET GPT2_FORCE_INLINE void add_blocks(vec (&sum)[Rows][Panels],
                                              const float* __restrict x, std::size_t x_stride,
                                              const std::uint8_t* __restrict w,
                                              std::size_t w_stride, std::size_t depth) {
    constexpr block_layout layout = layout_of(Format);
    GPT2_ROLL
    for (std::size_t k = 0; k < depth; k += layout.group) {
        const std::uint8_t* block = w + k / layout.depth * layout.bytes();
        const std::size_t g = k % layout.depth / layout.group;
        group_terms terms[Panels];
        GPT2_UNROLL
        for (std::size_t j = 0; j < Panels; ++j)
            terms[j] = terms_of<Format>(block + j * w_stride, g);
        const std::uint8_t* levels = block + layout.levels_at(g);
        GPT2_ROLL
        for (std::size_t i = 0; i < layout.group; i += 2)
            add_weights<Format>(sum, x + k + i, x_stride, levels + layout.level_bytes(i), w_stride,
                                terms);
    }
}

/// Weights k … k+depth-1 of a panel as floats, (depth, 16); whole groups.
template <format Format>
GPT2_TARGET inline void widen_panel(const std::uint8_t* panel, std::size_t k, std::size_t depth,
                                    float* __restrict out) {
    constexpr block_layout layout = layout_of(Format);
    for (std::size_t end = k + depth; k < end; k += layout.group) {
        const std::uint8_t* block = panel + k / layout.depth * layout.bytes();
        const std::size_t g = k % layout.depth / layout.group;
        const group_terms terms = terms_of<Format>(block, g);
        const std::uint8_t* levels = block + layout.levels_at(g);
        GPT2_ROLL
        for (std::size_t i = 0; i < layout.group; i += 2, out += 2 * panel_width) {
            const std::uint8_t* at = levels + layout.level_bytes(i);
            prefetch(at + 1024);
            vec first, second;
            load_weights<Format>(at, terms, first, second);
            store(out, first);
            store(out + panel_width, second);
        }
    }
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
