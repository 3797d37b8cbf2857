// The kernels on AVX2 with FMA and F16C: a vector is two registers.
//
// Before: portable.hpp, which says what each word means.
#pragma once

#include "panel.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#define GPT2_TARGET __attribute__((target("avx2,fma,f16c")))
#define GPT2_WORD GPT2_TARGET GPT2_FORCE_INLINE

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::avx2 {

struct vec {
    __m256 low, high;
};
struct ivec {
    __m256i low, high;
};
struct bytes64 {
    __m256i low, high;
};
struct wide {
    __m256d at[4];
};

// Six rows of one panel fill 12 of the 16 registers; a single row reads four streams.
inline constexpr int tile_rows = 6, tile_panels = 1, stream_panels = 4;

GPT2_WORD vec set(float a) { return {_mm256_set1_ps(a), _mm256_set1_ps(a)}; }
GPT2_WORD vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
GPT2_WORD void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
GPT2_WORD void store(float* p, vec a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
GPT2_WORD vec load_first(const float* p, std::size_t n) {
    if (n == panel_width) return load(p);
    float first[panel_width] = {};
    std::copy_n(p, n, first);
    return load(first);
}
GPT2_WORD void store_first(float* p, vec a, std::size_t n) {
    if (n == panel_width) return store(p, a);
    float all[panel_width];
    store(all, a);
    std::copy_n(all, n, p);
}
GPT2_WORD __m128i load_8(const std::uint16_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
GPT2_WORD vec load_half(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(load_8(p)), _mm256_cvtph_ps(load_8(p + 8))};
}
GPT2_WORD __m256 widen_bfloat(__m128i raw) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
}
GPT2_WORD vec load_bfloat(const std::uint16_t* p) {
    return {widen_bfloat(load_8(p)), widen_bfloat(load_8(p + 8))};
}
GPT2_WORD __m256i load_32(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
GPT2_WORD void load_pairs(const std::uint16_t* p, vec& first, vec& second) {
    const __m256i low = load_32(p), high = load_32(p + 16), upper = _mm256_set1_epi32(-65536);
    first = {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
             _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
    second = {_mm256_castsi256_ps(_mm256_and_si256(low, upper)),
              _mm256_castsi256_ps(_mm256_and_si256(high, upper))};
}
GPT2_WORD __m128i load_8_bytes(const void* p) {
    return _mm_loadl_epi64(static_cast<const __m128i*>(p));
}
GPT2_WORD vec load_int8(const std::int8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8_bytes(p))),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8_bytes(p + 8)))};
}
template <bool Negative>
GPT2_WORD void nibbles(const std::uint8_t* p, __m256& low, __m256& high) {
    const __m256i bytes =
        Negative ? _mm256_cvtepi8_epi32(load_8_bytes(p)) : _mm256_cvtepu8_epi32(load_8_bytes(p));
    high = _mm256_cvtepi32_ps(_mm256_srai_epi32(bytes, 4));
    low = _mm256_cvtepi32_ps(Negative ? _mm256_srai_epi32(_mm256_slli_epi32(bytes, 28), 28)
                                      : _mm256_and_si256(bytes, _mm256_set1_epi32(15)));
}
template <bool Negative>
GPT2_WORD void load_nibbles(const std::uint8_t* p, vec& low, vec& high) {
    nibbles<Negative>(p, low.low, high.low);
    nibbles<Negative>(p + 8, low.high, high.high);
}

GPT2_WORD vec fma(vec a, vec b, vec c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
GPT2_WORD vec add(vec a, vec b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
GPT2_WORD vec sub(vec a, vec b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
/// The empty statement keeps gcc from joining the product with an addition.
GPT2_WORD vec mul(vec a, vec b) {
    vec product{_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
    __asm__("" : "+x"(product.low), "+x"(product.high));
    return product;
}
GPT2_WORD vec div(vec a, vec b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
GPT2_WORD vec abs(vec a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
GPT2_WORD vec if_less(vec a, vec b, vec x, vec y) {
    return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
            _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
GPT2_WORD ivec round(vec a) { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }
GPT2_WORD vec to_float(ivec a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
GPT2_WORD __m256 scale_exponent(__m256 a, __m256i n) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(n, 23)));
}
GPT2_WORD vec scale_exponent(vec a, ivec n) {
    return {scale_exponent(a.low, n.low), scale_exponent(a.high, n.high)};
}
GPT2_WORD ivec half_of(ivec a) {
    return {_mm256_srai_epi32(a.low, 1), _mm256_srai_epi32(a.high, 1)};
}
GPT2_WORD ivec sub(ivec a, ivec b) {
    return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
GPT2_WORD ivec add(ivec a, ivec b) {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
GPT2_WORD ivec max(ivec a, ivec b) {
    return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
}
GPT2_WORD ivec magnitude(vec a) {
    const __m256i most = _mm256_set1_epi32(0x7FFFFFFF);
    return {_mm256_and_si256(_mm256_castps_si256(a.low), most),
            _mm256_and_si256(_mm256_castps_si256(a.high), most)};
}
GPT2_WORD std::int32_t max_of(ivec a) {
    const __m256i eight = _mm256_max_epi32(a.low, a.high);
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}
GPT2_WORD std::int32_t sum_of(ivec a) {
    const __m256i eight = _mm256_add_epi32(a.low, a.high);
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}
GPT2_WORD ivec set_int(std::int32_t a) { return {_mm256_set1_epi32(a), _mm256_set1_epi32(a)}; }
GPT2_WORD void store(std::int32_t* p, ivec a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.high);
}
GPT2_WORD void store_bytes(std::int8_t* p, ivec a) {
    std::int32_t all[panel_width];
    store(all, a);
    for (std::size_t i = 0; i < panel_width; ++i) p[i] = static_cast<std::int8_t>(all[i]);
}

GPT2_WORD __m256i join(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i ab = _mm256_or_si256(a, _mm256_slli_epi32(b, 8));
    const __m256i cd = _mm256_or_si256(c, _mm256_slli_epi32(d, 8));
    return _mm256_or_si256(ab, _mm256_slli_epi32(cd, 16));
}
GPT2_WORD void store(std::uint8_t* p, ivec a, ivec b, ivec c, ivec d) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), join(a.low, b.low, c.low, d.low));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), join(a.high, b.high, c.high, d.high));
}

GPT2_WORD bytes64 load_bytes(const std::uint8_t* p) { return {load_32(p), load_32(p + 32)}; }
GPT2_WORD void store_bytes(std::uint8_t* p, bytes64 b) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), b.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), b.high);
}
GPT2_WORD bytes64 low_halves(bytes64 b) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(b.low, mask), _mm256_and_si256(b.high, mask)};
}
GPT2_WORD bytes64 high_halves(bytes64 b) {
    return low_halves({_mm256_srli_epi16(b.low, 4), _mm256_srli_epi16(b.high, 4)});
}
/// Even and odd bytes apart, so that products of 16 bits add up exactly.
GPT2_WORD __m256i dot_half(__m256i sum, __m256i w, __m256i x_even, __m256i x_odd) {
    const __m256i w_even = _mm256_and_si256(w, _mm256_set1_epi16(255));
    const __m256i w_odd = _mm256_srli_epi16(w, 8);
    return _mm256_add_epi32(
        sum, _mm256_add_epi32(_mm256_madd_epi16(w_even, x_even), _mm256_madd_epi16(w_odd, x_odd)));
}
GPT2_WORD bytes64 look_up(bytes64 b) {
    const __m256i levels =
        _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(int4_levels)));
    return {_mm256_shuffle_epi8(levels, b.low), _mm256_shuffle_epi8(levels, b.high)};
}
struct quad {
    __m256i even, odd;  // as 16-bit numbers
};
GPT2_WORD quad load_quad(const std::int8_t* x) {
    std::int32_t bits;
    std::memcpy(&bits, x, 4);
    const __m256i four = _mm256_set1_epi32(bits);
    return {_mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8), _mm256_srai_epi16(four, 8)};
}
GPT2_WORD ivec dot4(ivec sum, bytes64 w, quad x) {
    return {dot_half(sum.low, w.low, x.even, x.odd), dot_half(sum.high, w.high, x.even, x.odd)};
}

GPT2_WORD wide widen(vec a) {
    return {{_mm256_cvtps_pd(_mm256_castps256_ps128(a.low)),
             _mm256_cvtps_pd(_mm256_extractf128_ps(a.low, 1)),
             _mm256_cvtps_pd(_mm256_castps256_ps128(a.high)),
             _mm256_cvtps_pd(_mm256_extractf128_ps(a.high, 1))}};
}
GPT2_WORD vec narrow(wide a) {
    return {_mm256_set_m128(_mm256_cvtpd_ps(a.at[1]), _mm256_cvtpd_ps(a.at[0])),
            _mm256_set_m128(_mm256_cvtpd_ps(a.at[3]), _mm256_cvtpd_ps(a.at[2]))};
}
GPT2_WORD wide set_wide(double a) {
    const __m256d all = _mm256_set1_pd(a);
    return {{all, all, all, all}};
}
GPT2_WORD wide add(wide a, wide b) {
    for (int i = 0; i < 4; ++i) a.at[i] = _mm256_add_pd(a.at[i], b.at[i]);
    return a;
}
GPT2_WORD wide mul(wide a, wide b) {
    for (int i = 0; i < 4; ++i) {
        a.at[i] = _mm256_mul_pd(a.at[i], b.at[i]);
        __asm__("" : "+x"(a.at[i]));
    }
    return a;
}
GPT2_WORD wide fma(wide a, wide b, wide c) {
    for (int i = 0; i < 4; ++i) c.at[i] = _mm256_fmadd_pd(a.at[i], b.at[i], c.at[i]);
    return c;
}
GPT2_WORD void store(double* p, wide a) {
    for (int i = 0; i < 4; ++i) _mm256_storeu_pd(p + 4 * i, a.at[i]);
}

}  // namespace detail::kernels::avx2
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS avx2
#define GPT2_DOT4 dot4
#include "blocks.inl"
#include "products.inl"
#include "integers.inl"
#include "rows.inl"
#include "pack.inl"
#undef GPT2_DOT4
#undef GPT2_KERNELS
#undef GPT2_WORD
#undef GPT2_TARGET
#endif
