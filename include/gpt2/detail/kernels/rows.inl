// What happens to one row: exponentials, softmax, LayerNorm, activations, rounding to 8 bits.
// Included by each instruction set inside its own words (GPT2_KERNELS). Polynomials:
// tests/tools/make_math.py.

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::GPT2_KERNELS {

/// e^(x - n·log 2) = 1 + r + r²·p(r) for the whole number n next to x/log 2.
GPT2_TARGET inline vec exp_part(vec x, vec n) {
    vec r = fma(n, set(-0x1.62e4p-1f), x);
    r = fma(n, set(-0x1.7f7d1cp-20f), r);
    vec p = fma(r, set(0x1.6a5198p-10f), set(0x1.12397cp-7f));
    p = fma(r, p, set(0x1.5558acp-5f));
    p = fma(r, p, set(0x1.555492p-3f));
    p = fma(r, p, set(0x1.fffffcp-2f));
    return add(fma(mul(r, r), p, r), set(1.0f));
}

/// eˣ, within 1 ulp; 0 below -104, infinity above 88.73, NaN for NaN. 2ⁿ in two steps, so that
/// subnormals come out.
GPT2_TARGET inline vec exp(vec x) {
    x = if_less(x, set(-105.0f), set(-105.0f), x);
    x = if_less(set(90.0f), x, set(90.0f), x);
    const ivec n = round(mul(x, set(0x1.715476p+0f)));
    const ivec half = half_of(n);
    return mul(scale_exponent(exp_part(x, to_float(n)), half),
               scale_exponent(set(1.0f), sub(n, half)));
}

/// eˣ for x ≤ 0, within 1 ulp; 0 below -87.3, where it would be subnormal; NaN for NaN.
GPT2_TARGET inline vec exp_of_negative(vec x) {
    const ivec n = round(mul(x, set(0x1.715476p+0f)));
    const vec power = scale_exponent(exp_part(x, to_float(n)), n);
    return if_less(x, set(-0x1.5d2p+6f), set(0), power);
}

/// The sum of 16 doubles, in order.
GPT2_TARGET inline double sum_of(wide a) {
    double parts[panel_width], sum = 0;
    store(parts, a);
    for (const double part : parts) sum += part;
    return sum;
}

/// x(i) … x(i+15), and `missing` where that is beyond the n-th.
GPT2_TARGET inline vec load_or(const float* x, std::size_t i, std::size_t n, float missing) {
    if (i + panel_width <= n) return load(x + i);
    float last[panel_width];
    for (std::size_t j = 0; j < panel_width; ++j) last[j] = i + j < n ? x[i + j] : missing;
    return load(last);
}

/// The n ≥ 1 numbers at x become weights that sum to 1: e^(scale·x) / Σ. The largest is subtracted
/// first, so nothing overflows; the sum runs in double, 16 lanes and then these in order.
GPT2_TARGET inline void softmax(float* x, std::size_t n, float scale) {
    const float lowest = -std::numeric_limits<float>::infinity();
    vec top = set(lowest);
    for (std::size_t i = 0; i < n; i += panel_width) {
        const vec scaled = mul(load_or(x, i, n, lowest), set(scale));
        top = if_less(top, scaled, scaled, top);
    }
    float tops[panel_width];
    store(tops, top);
    const vec most = set(*std::max_element(tops, tops + panel_width));
    wide sum = set_wide(0);
    for (std::size_t i = 0; i < n; i += panel_width) {
        const vec scaled = mul(load_or(x, i, n, lowest), set(scale));
        const vec e = exp_of_negative(sub(scaled, most));
        sum = add(sum, widen(e));
        store_first(x + i, e, n - i < panel_width ? n - i : panel_width);
    }
    const vec share = set(static_cast<float>(1 / sum_of(sum)));
    for (std::size_t i = 0; i < n; i += panel_width) {
        const auto count = n - i < panel_width ? n - i : panel_width;
        store_first(x + i, mul(load_first(x + i, count), share), count);
    }
}

/// y = (x - mean) / √(variance + epsilon)·gain + bias over n numbers, mean and variance in double
/// over two passes, so that neither a large mean nor a huge value ruins the variance.
GPT2_TARGET inline void layer_norm(const float* x, std::size_t n, const float* gain,
                                   const float* bias, double epsilon, float* y) {
    const std::size_t even = n / panel_width * panel_width;
    wide sums = set_wide(0);
    for (std::size_t i = 0; i < even; i += panel_width) sums = add(sums, widen(load(x + i)));
    double mean = sum_of(sums);
    for (std::size_t i = even; i < n; ++i) mean += static_cast<double>(x[i]);
    mean /= static_cast<double>(n);

    wide squares = set_wide(0);
    for (std::size_t i = 0; i < even; i += panel_width) {
        const wide distance = add(widen(load(x + i)), set_wide(-mean));
        squares = fma(distance, distance, squares);
    }
    double variance = sum_of(squares);
    for (std::size_t i = even; i < n; ++i) {
        const double distance = static_cast<double>(x[i]) - mean;
        variance = std::fma(distance, distance, variance);
    }
    const double scale = 1 / std::sqrt(variance / static_cast<double>(n) + epsilon);

    for (std::size_t i = 0; i < n; i += panel_width) {
        const auto count = n - i < panel_width ? n - i : panel_width;
        const wide distance = add(widen(load_first(x + i, count)), set_wide(-mean));
        const vec normal = narrow(mul(distance, set_wide(scale)));
        store_first(y + i, fma(normal, load_first(gain + i, count), load_first(bias + i, count)),
                    count);
    }
}

/// x·σ(a·x + b·x³) with σ(t) = 1/(1 + e^-t). GPT-2's GELU is a = 2√(2/π), b = 0.044715·a, since
/// (1 + tanh t)/2 = σ(2t); so written, neither tail cancels.
GPT2_TARGET inline void gated(float* x, std::size_t n, float a, float b) {
    for (std::size_t i = 0; i < n; i += panel_width) {
        const auto count = n - i < panel_width ? n - i : panel_width;
        const vec v = load_first(x + i, count);
        const vec t = mul(v, fma(mul(v, v), set(-b), set(-a)));
        store_first(x + i, div(v, add(set(1.0f), exp(t))), count);
    }
}

/// Φ(-|x|) = erfc(|x|/√2)/2, within 6 ulp down to the smallest normal number.
/// With z = |x|/√2: e^(-z²)·p(t), t = (z - 2)/(z + 2).
GPT2_TARGET inline vec normal_tail(vec x) {
    const vec z = mul(abs(x), set(0x1.6a09e6p-1f));
    const vec t = div(sub(z, set(2.0f)), add(z, set(2.0f)));
    constexpr float powers[] = {0x1.60ad08p-17f,  0x1.1c73eap-14f,  0x1.6ac99ap-16f,
                                -0x1.f729c8p-12f, -0x1.bcce2ap-12f, 0x1.ca3114p-9f,
                                0x1.e96ce6p-10f,  -0x1.437e5cp-5f,  0x1.eeea64p-4f,
                                -0x1.b57036p-3f,  0x1.058672p-3f};
    vec p = set(powers[0]);
    GPT2_UNROLL
    for (int i = 1; i < 11; ++i) p = fma(p, t, set(powers[i]));
    // z² rounds; e^-z² is mended by what rounding left over: x²/2 = square + rest.
    const vec half = mul(abs(x), set(0.5f)), square = mul(half, abs(x));
    const vec rest = fma(half, abs(x), sub(set(0.0f), square));
    const vec e = exp(sub(set(0.0f), square));
    return mul(fma(e, sub(set(0.0f), rest), e), p);
}

/// x·Φ(x): the exact GELU.
GPT2_TARGET inline void gelu(float* x, std::size_t n) {
    for (std::size_t i = 0; i < n; i += panel_width) {
        const auto count = n - i < panel_width ? n - i : panel_width;
        const vec v = load_first(x + i, count), tail = normal_tail(v);
        const vec share = if_less(v, set(0.0f), tail, sub(set(1.0f), tail));
        store_first(x + i, mul(v, share), count);
    }
}

/// A block of x to bytes; gives its scale, max|x|/127. A block with a number that is not finite
/// becomes zeros with the scale NaN, and so does every output behind it.
GPT2_TARGET inline float quantise_block(const float* x, format f, std::int8_t* bytes,
                                        std::int32_t* offsets) {
    const std::size_t depth = block_depth(f), group = group_depth(f);
    ivec most = set_int(0);
    for (std::size_t i = 0; i < depth; i += panel_width) most = max(most, magnitude(load(x + i)));
    const float top = std::bit_cast<float>(max_of(most));
    const float inverse = 127 / top;  // infinite for zeros and the smallest subnormals
    const bool usable = inverse > 0 && inverse <= std::numeric_limits<float>::max();
    for (std::size_t first = 0; first < depth; first += group) {
        ivec sum = set_int(0);
        for (std::size_t i = first; i < first + group; i += panel_width) {
            const ivec rounded = round(usable ? mul(load(x + i), set(inverse)) : set(0));
            store_bytes(bytes + i, rounded);
            sum = add(sum, rounded);
        }
        *offsets++ = -weight_offset * sum_of(sum);
    }
    const bool finite = top <= std::numeric_limits<float>::max();
    return finite ? top / 127 : std::numeric_limits<float>::quiet_NaN();
}

/// A row of n numbers rounded to 8 bits, block by block.
GPT2_TARGET inline void quantise(const float* x, std::size_t n, format f, std::size_t row,
                                 const rounded_rows& out) {
    const std::size_t depth = block_depth(f);
    for (std::size_t block = 0; block < out.blocks; ++block) {
        const float* first = x + block * depth;
        float padded[block_depth(format::int8)] = {};
        if (const auto left = n - block * depth; left < depth) {
            std::copy_n(first, left, padded);
            first = padded;
        }
        out.scales[row * out.blocks + block] =
            quantise_block(first, f, out.bytes(row) + block * depth,
                           out.offsets + row * out.groups + block * (depth / group_depth(f)));
    }
}

}  // namespace detail::kernels::GPT2_KERNELS
}  // namespace gpt2::inline GPT2_ABI
