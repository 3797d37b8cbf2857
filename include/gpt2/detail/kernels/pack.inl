// From floats to the bytes of quantised panels. Included by each instruction set inside its own
// words (GPT2_KERNELS).

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::GPT2_KERNELS {

/// A block of 128 k of a panel, (128, 16) floats, as int8: for each output the scale max|w|/127 and
/// the nearest multiples of it.
GPT2_TARGET inline void pack_int8(const float* w, std::uint8_t* out) {
    constexpr std::size_t depth = block_depth(format::int8);
    vec most = set(0);
    for (std::size_t k = 0; k < depth; ++k) {
        const vec size = abs(load(w + k * panel_width));
        most = if_less(most, size, size, most);
    }
    // What is so small that 127/max overflows counts as zero.
    const vec tiny = set(1e-35f);
    most = if_less(most, tiny, set(0), most);
    const vec inverse = if_less(most, tiny, set(0), div(set(127), most));
    store(reinterpret_cast<float*>(out), div(most, set(127)));
    for (std::size_t k = 0; k < depth; k += 4) {
        ivec q[4];
        for (std::size_t i = 0; i < 4; ++i)
            q[i] = round(fma(load(w + (k + i) * panel_width), inverse, set(128)));
        store(out + scale_bytes + k * panel_width, q[0], q[1], q[2], q[3]);
    }
}

/// Of the int4 levels the one nearest to t, without its offset.
GPT2_TARGET GPT2_FORCE_INLINE vec nearest_level(vec t) {
    vec level = set(int4_levels[0] - weight_offset);
    GPT2_UNROLL
    for (int i = 0; i < 15; ++i) {
        const int low = int4_levels[i] - weight_offset, high = int4_levels[i + 1] - weight_offset;
        level = if_less(set(static_cast<float>(low + high) / 2), t, set(static_cast<float>(high)),
                        level);
    }
    return level;
}

/// The index of that level.
GPT2_TARGET GPT2_FORCE_INLINE vec nearest_index(vec t) {
    vec index = set(0);
    GPT2_UNROLL
    for (int i = 0; i < 15; ++i) {
        const int low = int4_levels[i] - weight_offset, high = int4_levels[i + 1] - weight_offset;
        index = if_less(set(static_cast<float>(low + high) / 2), t, set(static_cast<float>(i + 1)),
                        index);
    }
    return index;
}

/// The scale of 32 k that loses least: the largest number is brought to, or a little beyond, the
/// upper or the lower end of the levels; of these the one whose levels q, themselves scaled best
/// (Σwq/Σq²), leave the least squared error.
GPT2_TARGET inline vec best_int4_scale(const float* w) {
    constexpr std::size_t group = group_depth(format::int4);
    vec low = set(0), high = set(0);
    for (std::size_t k = 0; k < group; ++k) {
        const vec v = load(w + k * panel_width);
        low = if_less(v, low, v, low);
        high = if_less(high, v, v, high);
    }
    const vec most = if_less(high, sub(set(0), low), low, high), tiny = set(1e-35f);
    vec scale = set(0), best = set(0);
    for (const float end : {-150.0f, -138.0f, -127.0f, -116.0f, -106.0f, 112.0f, 103.0f, 95.0f}) {
        const vec inverse = if_less(abs(most), tiny, set(0), div(set(end), most));
        vec cross = set(0), square = set(0);
        for (std::size_t k = 0; k < group; ++k) {
            const vec v = load(w + k * panel_width), level = nearest_level(mul(v, inverse));
            cross = fma(v, level, cross);
            square = fma(level, level, square);
        }
        const vec fitted = div(cross, square), gain = mul(cross, fitted);
        scale = if_less(best, gain, fitted, scale);
        best = if_less(best, gain, gain, best);
    }
    return scale;
}

/// A block of 64 k of a panel, (64, 16) floats, as int4.
GPT2_TARGET inline void pack_int4(const float* w, std::uint8_t* out) {
    constexpr std::size_t depth = block_depth(format::int4), group = group_depth(format::int4);
    auto* scales = reinterpret_cast<std::uint16_t*>(out);
    for (std::size_t g = 0; g < depth / group; ++g, w += group * panel_width) {
        float fitted[panel_width];
        store(fitted, best_int4_scale(w));
        for (std::size_t i = 0; i < panel_width; ++i)
            scales[g * panel_width + i] = narrow_bfloat(fitted[i]);
        const vec scale = load_bfloat(scales + g * panel_width), size = abs(scale);
        const vec inverse = if_less(size, set(1e-36f), set(0), div(set(1), scale));
        for (std::size_t k = 0; k < group; k += 8) {
            ivec q[4];
            for (std::size_t i = 0; i < 4; ++i) {
                const vec low = nearest_index(mul(load(w + (k + i) * panel_width), inverse));
                const vec high = nearest_index(mul(load(w + (k + i + 4) * panel_width), inverse));
                q[i] = round(fma(high, set(16), low));
            }
            store(out + scale_bytes + (g * group + k) / 2 * panel_width, q[0], q[1], q[2], q[3]);
        }
    }
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
