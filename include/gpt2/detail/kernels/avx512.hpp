// The kernels on AVX-512 (F, BW, DQ): a vector is one register. Integer products are those of
// avx512_vnni.hpp, or of avx2.hpp where a machine lacks VNNI.
//
// Before: portable.hpp, which says what each word means.
#pragma once

#include "avx2.hpp"
#include "panel.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#define GPT2_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,f16c,fma")))
#define GPT2_WORD GPT2_TARGET GPT2_FORCE_INLINE

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::avx512 {

using vec = __m512;
using ivec = __m512i;
struct bytes64 {
    __m512i v;
};
struct wide {
    __m512d low, high;
};

// Three panels of eight rows fill 24 of the 32 registers; a single row reads four streams.
inline constexpr int tile_rows = 8, tile_panels = 3, stream_panels = 4;

// Some intrinsics begin with an undefined register, at which gcc warns; masked, they do not.
inline constexpr __mmask16 every = 0xFFFF;

/// What four bits are, without a sign and with one.
alignas(64) inline constexpr float nibble_levels[2][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1}};

GPT2_WORD __mmask16 first_lanes(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
GPT2_WORD vec set(float a) { return _mm512_set1_ps(a); }
GPT2_WORD vec load(const float* p) { return _mm512_loadu_ps(p); }
GPT2_WORD void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
GPT2_WORD void store(float* p, vec a) { _mm512_storeu_ps(p, a); }
GPT2_WORD vec load_first(const float* p, std::size_t n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
GPT2_WORD void store_first(float* p, vec a, std::size_t n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), a);
}
GPT2_WORD vec load_half(const std::uint16_t* p) {
    return _mm512_maskz_cvtph_ps(every, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
GPT2_WORD vec load_bfloat(const std::uint16_t* p) {
    const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(
        _mm512_maskz_slli_epi32(every, _mm512_maskz_cvtepu16_epi32(every, raw), 16));
}
GPT2_WORD void load_pairs(const std::uint16_t* p, vec& first, vec& second) {
    const __m512i raw = _mm512_loadu_si512(p);
    first = _mm512_castsi512_ps(_mm512_maskz_slli_epi32(every, raw, 16));
    second = _mm512_castsi512_ps(_mm512_and_si512(raw, _mm512_set1_epi32(-65536)));
}
GPT2_WORD __m128i load_16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
GPT2_WORD vec load_int8(const std::int8_t* p) {
    return _mm512_maskz_cvtepi32_ps(every, _mm512_maskz_cvtepi8_epi32(every, load_16(p)));
}
/// A permutation looks at four bits of its index: a low half finds its level by itself.
template <bool Negative>
GPT2_WORD void load_nibbles(const std::uint8_t* p, vec& low, vec& high) {
    const __m512 levels = _mm512_load_ps(nibble_levels[Negative]);
    const __m512i bytes = Negative ? _mm512_maskz_cvtepi8_epi32(every, load_16(p))
                                   : _mm512_maskz_cvtepu8_epi32(every, load_16(p));
    low = _mm512_maskz_permutexvar_ps(every, bytes, levels);
    high = _mm512_maskz_cvtepi32_ps(every, _mm512_maskz_srai_epi32(every, bytes, 4));
}

GPT2_WORD vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
GPT2_WORD vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
GPT2_WORD vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
/// The empty statement keeps gcc from joining the product with an addition.
GPT2_WORD vec mul(vec a, vec b) {
    vec product = _mm512_mul_ps(a, b);
    __asm__("" : "+v"(product));
    return product;
}
GPT2_WORD vec div(vec a, vec b) { return _mm512_div_ps(a, b); }
GPT2_WORD vec abs(vec a) { return _mm512_abs_ps(a); }
GPT2_WORD vec if_less(vec a, vec b, vec x, vec y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
GPT2_WORD ivec round(vec a) { return _mm512_maskz_cvtps_epi32(every, a); }
GPT2_WORD vec to_float(ivec a) { return _mm512_maskz_cvtepi32_ps(every, a); }
GPT2_WORD vec scale_exponent(vec a, ivec n) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(a), _mm512_maskz_slli_epi32(every, n, 23)));
}
GPT2_WORD ivec half_of(ivec a) { return _mm512_maskz_srai_epi32(every, a, 1); }
GPT2_WORD ivec sub(ivec a, ivec b) { return _mm512_sub_epi32(a, b); }
GPT2_WORD ivec add(ivec a, ivec b) { return _mm512_add_epi32(a, b); }
GPT2_WORD ivec max(ivec a, ivec b) { return _mm512_maskz_max_epi32(every, a, b); }
GPT2_WORD ivec magnitude(vec a) {
    return _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7FFFFFFF));
}
GPT2_WORD avx2::ivec halves(ivec a) {
    return {_mm512_maskz_extracti32x8_epi32(255, a, 0), _mm512_maskz_extracti32x8_epi32(255, a, 1)};
}
GPT2_WORD std::int32_t max_of(ivec a) { return avx2::max_of(halves(a)); }
GPT2_WORD std::int32_t sum_of(ivec a) { return avx2::sum_of(halves(a)); }
GPT2_WORD ivec set_int(std::int32_t a) { return _mm512_set1_epi32(a); }
GPT2_WORD void store(std::int32_t* p, ivec a) { _mm512_storeu_si512(p, a); }
GPT2_WORD void store_bytes(std::int8_t* p, ivec a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(every, a));
}

GPT2_WORD void store(std::uint8_t* p, ivec a, ivec b, ivec c, ivec d) {
    const ivec ab = _mm512_or_si512(a, _mm512_maskz_slli_epi32(every, b, 8));
    const ivec cd = _mm512_or_si512(c, _mm512_maskz_slli_epi32(every, d, 8));
    _mm512_storeu_si512(p, _mm512_or_si512(ab, _mm512_maskz_slli_epi32(every, cd, 16)));
}

GPT2_WORD bytes64 load_bytes(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
GPT2_WORD void store_bytes(std::uint8_t* p, bytes64 b) { _mm512_storeu_si512(p, b.v); }
GPT2_WORD bytes64 low_halves(bytes64 b) { return {_mm512_and_si512(b.v, _mm512_set1_epi8(15))}; }
GPT2_WORD bytes64 high_halves(bytes64 b) {
    return {_mm512_and_si512(_mm512_srli_epi16(b.v, 4), _mm512_set1_epi8(15))};
}
GPT2_WORD bytes64 look_up(bytes64 b) {
    const __m128i levels = _mm_load_si128(reinterpret_cast<const __m128i*>(int4_levels));
    return {_mm512_shuffle_epi8(_mm512_maskz_broadcast_i32x4(every, levels), b.v)};
}
struct quad {
    __m512i v;
};
GPT2_WORD quad load_quad(const std::int8_t* x) {
    std::int32_t bits;
    std::memcpy(&bits, x, 4);
    return {_mm512_set1_epi32(bits)};
}

GPT2_WORD wide widen(vec a) {
    return {_mm512_maskz_cvtps_pd(255, _mm512_maskz_extractf32x8_ps(255, a, 0)),
            _mm512_maskz_cvtps_pd(255, _mm512_maskz_extractf32x8_ps(255, a, 1))};
}
GPT2_WORD vec narrow(wide a) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_maskz_cvtpd_ps(255, a.low)),
                              _mm512_maskz_cvtpd_ps(255, a.high), 1);
}
GPT2_WORD wide set_wide(double a) { return {_mm512_set1_pd(a), _mm512_set1_pd(a)}; }
GPT2_WORD wide add(wide a, wide b) {
    return {_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}
GPT2_WORD wide mul(wide a, wide b) {
    wide product{_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)};
    __asm__("" : "+v"(product.low), "+v"(product.high));
    return product;
}
GPT2_WORD wide fma(wide a, wide b, wide c) {
    return {_mm512_fmadd_pd(a.low, b.low, c.low), _mm512_fmadd_pd(a.high, b.high, c.high)};
}
GPT2_WORD void store(double* p, wide a) {
    _mm512_storeu_pd(p, a.low);
    _mm512_storeu_pd(p + 8, a.high);
}

}  // namespace detail::kernels::avx512
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS avx512
#include "blocks.inl"
#include "products.inl"
#include "rows.inl"
#include "pack.inl"
#undef GPT2_KERNELS
#undef GPT2_WORD
#undef GPT2_TARGET
#endif
