// The kernels on AArch64 with Advanced SIMD, which every such machine has: a vector is four
// registers. neon_dot.hpp has integer products in one instruction.
//
// Before: portable.hpp, which says what each word means.
#pragma once

#include "panel.hpp"

#if defined(__aarch64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
#include <arm_neon.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#define GPT2_TARGET
#define GPT2_WORD GPT2_FORCE_INLINE

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::neon {

// In a namespace of their own, through whose arguments nothing finds the kernels of this one: for
// neon_dot.hpp, which has some of them again.
namespace registers {
template <class Register>
struct four {
    Register at[4];
};
struct wide {
    float64x2_t at[8];
};
}  // namespace registers

using registers::four, registers::wide;
using vec = four<float32x4_t>;
using ivec = four<int32x4_t>;
using bytes64 = four<uint8x16_t>;

// Four rows of one panel fill 16 of the 32 registers; a single row reads four streams.
inline constexpr int tile_rows = 4, tile_panels = 1, stream_panels = 4;

/// f(0) … f(3) as a vector.
template <class F>
GPT2_WORD auto each(F f) -> four<decltype(f(0))> {
    return {{f(0), f(1), f(2), f(3)}};
}

GPT2_WORD vec set(float a) {
    const float32x4_t all = vdupq_n_f32(a);
    return {{all, all, all, all}};
}
GPT2_WORD vec load(const float* p) {
    return each([&](int i) { return vld1q_f32(p + 4 * i); });
}
GPT2_WORD void prefetch(const void* p) { __builtin_prefetch(p); }
GPT2_WORD void store(float* p, vec a) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.at[i]);
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
GPT2_WORD vec load_half(const std::uint16_t* p) {
    return each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
GPT2_WORD vec load_bfloat(const std::uint16_t* p) {
    return each([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
GPT2_WORD void load_pairs(const std::uint16_t* p, vec& first, vec& second) {
    const auto pairs = each([&](int i) { return vreinterpretq_u32_u16(vld1q_u16(p + 8 * i)); });
    first = each([&](int i) { return vreinterpretq_f32_u32(vshlq_n_u32(pairs.at[i], 16)); });
    const uint32x4_t upper = vdupq_n_u32(0xFFFF0000u);
    second = each([&](int i) { return vreinterpretq_f32_u32(vandq_u32(pairs.at[i], upper)); });
}
GPT2_WORD vec to_float(int8x16_t bytes) {
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}
GPT2_WORD vec load_int8(const std::int8_t* p) { return to_float(vld1q_s8(p)); }
template <bool Negative>
GPT2_WORD void load_nibbles(const std::uint8_t* p, vec& low, vec& high) {
    const uint8x16_t both = vld1q_u8(p), upper = vshlq_n_u8(both, 4);
    if constexpr (Negative) {
        low = to_float(vshrq_n_s8(vreinterpretq_s8_u8(upper), 4));
        high = to_float(vshrq_n_s8(vreinterpretq_s8_u8(both), 4));
    } else {
        low = to_float(vreinterpretq_s8_u8(vshrq_n_u8(upper, 4)));
        high = to_float(vreinterpretq_s8_u8(vshrq_n_u8(both, 4)));
    }
}

GPT2_WORD vec fma(vec a, vec b, vec c) {
    return each([&](int i) { return vfmaq_f32(c.at[i], a.at[i], b.at[i]); });
}
GPT2_WORD vec add(vec a, vec b) {
    return each([&](int i) { return vaddq_f32(a.at[i], b.at[i]); });
}
GPT2_WORD vec sub(vec a, vec b) {
    return each([&](int i) { return vsubq_f32(a.at[i], b.at[i]); });
}
/// The empty statement keeps gcc from joining the product with an addition.
GPT2_WORD vec mul(vec a, vec b) {
    return each([&](int i) {
        float32x4_t product = vmulq_f32(a.at[i], b.at[i]);
        __asm__("" : "+w"(product));
        return product;
    });
}
GPT2_WORD vec div(vec a, vec b) {
    return each([&](int i) { return vdivq_f32(a.at[i], b.at[i]); });
}
GPT2_WORD vec abs(vec a) {
    return each([&](int i) { return vabsq_f32(a.at[i]); });
}
GPT2_WORD vec if_less(vec a, vec b, vec x, vec y) {
    return each([&](int i) { return vbslq_f32(vcltq_f32(a.at[i], b.at[i]), x.at[i], y.at[i]); });
}
GPT2_WORD ivec round(vec a) {
    return each([&](int i) { return vcvtnq_s32_f32(a.at[i]); });
}
GPT2_WORD vec to_float(ivec a) {
    return each([&](int i) { return vcvtq_f32_s32(a.at[i]); });
}
GPT2_WORD vec scale_exponent(vec a, ivec n) {
    return each([&](int i) {
        return vreinterpretq_f32_s32(
            vaddq_s32(vreinterpretq_s32_f32(a.at[i]), vshlq_n_s32(n.at[i], 23)));
    });
}
GPT2_WORD ivec half_of(ivec a) {
    return each([&](int i) { return vshrq_n_s32(a.at[i], 1); });
}
GPT2_WORD ivec sub(ivec a, ivec b) {
    return each([&](int i) { return vsubq_s32(a.at[i], b.at[i]); });
}
GPT2_WORD ivec add(ivec a, ivec b) {
    return each([&](int i) { return vaddq_s32(a.at[i], b.at[i]); });
}
GPT2_WORD ivec max(ivec a, ivec b) {
    return each([&](int i) { return vmaxq_s32(a.at[i], b.at[i]); });
}
GPT2_WORD ivec magnitude(vec a) {
    return each([&](int i) { return vreinterpretq_s32_f32(vabsq_f32(a.at[i])); });
}
GPT2_WORD std::int32_t max_of(ivec a) {
    return vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.at[0], a.at[1]), vmaxq_s32(a.at[2], a.at[3])));
}
GPT2_WORD std::int32_t sum_of(ivec a) {
    return vaddvq_s32(vaddq_s32(vaddq_s32(a.at[0], a.at[1]), vaddq_s32(a.at[2], a.at[3])));
}
GPT2_WORD ivec set_int(std::int32_t a) {
    const int32x4_t all = vdupq_n_s32(a);
    return {{all, all, all, all}};
}
GPT2_WORD void store(std::int32_t* p, ivec a) {
    for (int i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, a.at[i]);
}
GPT2_WORD void store_bytes(std::int8_t* p, ivec a) {
    const int16x8_t low = vcombine_s16(vmovn_s32(a.at[0]), vmovn_s32(a.at[1]));
    const int16x8_t high = vcombine_s16(vmovn_s32(a.at[2]), vmovn_s32(a.at[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

GPT2_WORD void store(std::uint8_t* p, ivec a, ivec b, ivec c, ivec d) {
    for (int i = 0; i < 4; ++i) {
        const int32x4_t ab = vsliq_n_s32(a.at[i], b.at[i], 8);
        const int32x4_t cd = vsliq_n_s32(c.at[i], d.at[i], 8);
        vst1q_u8(p + 16 * i, vreinterpretq_u8_s32(vsliq_n_s32(ab, cd, 16)));
    }
}

GPT2_WORD bytes64 load_bytes(const std::uint8_t* p) {
    return each([&](int i) { return vld1q_u8(p + 16 * i); });
}
GPT2_WORD void store_bytes(std::uint8_t* p, bytes64 b) {
    for (int i = 0; i < 4; ++i) vst1q_u8(p + 16 * i, b.at[i]);
}
GPT2_WORD bytes64 low_halves(bytes64 b) {
    return each([&](int i) { return vandq_u8(b.at[i], vdupq_n_u8(15)); });
}
GPT2_WORD bytes64 high_halves(bytes64 b) {
    return each([&](int i) { return vshrq_n_u8(b.at[i], 4); });
}
GPT2_WORD bytes64 look_up(bytes64 b) {
    const uint8x16_t levels = vld1q_u8(int4_levels);
    return each([&](int i) { return vqtbl1q_u8(levels, b.at[i]); });
}
GPT2_WORD int8x16_t four_bytes(const std::int8_t* x) {
    std::int32_t bits;
    std::memcpy(&bits, x, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
}
struct quad {
    int16x8_t even, odd;
};
GPT2_WORD quad load_quad(const std::int8_t* x) {
    const int16x8_t four_x = vreinterpretq_s16_s8(four_bytes(x));
    return {vshrq_n_s16(vshlq_n_s16(four_x, 8), 8), vshrq_n_s16(four_x, 8)};
}
/// Even and odd bytes apart: a product fits in 16 bits, and the two of a lane add up in 32.
GPT2_WORD ivec dot4(ivec sum, bytes64 w, quad x) {
    return each([&](int i) {
        const uint16x8_t both = vreinterpretq_u16_u8(w.at[i]);
        const auto w_even = vreinterpretq_s16_u16(vandq_u16(both, vdupq_n_u16(255)));
        const auto w_odd = vreinterpretq_s16_u16(vshrq_n_u16(both, 8));
        const int32x4_t even = vpadalq_s16(sum.at[i], vmulq_s16(w_even, x.even));
        return vpadalq_s16(even, vmulq_s16(w_odd, x.odd));
    });
}

GPT2_WORD wide widen(vec a) {
    wide result;
    for (int i = 0; i < 4; ++i) {
        result.at[2 * i] = vcvt_f64_f32(vget_low_f32(a.at[i]));
        result.at[2 * i + 1] = vcvt_high_f64_f32(a.at[i]);
    }
    return result;
}
GPT2_WORD vec narrow(wide a) {
    return each(
        [&](int i) { return vcvt_high_f32_f64(vcvt_f32_f64(a.at[2 * i]), a.at[2 * i + 1]); });
}
GPT2_WORD wide set_wide(double a) {
    const float64x2_t all = vdupq_n_f64(a);
    return {{all, all, all, all, all, all, all, all}};
}
GPT2_WORD wide add(wide a, wide b) {
    for (int i = 0; i < 8; ++i) a.at[i] = vaddq_f64(a.at[i], b.at[i]);
    return a;
}
GPT2_WORD wide mul(wide a, wide b) {
    for (int i = 0; i < 8; ++i) {
        a.at[i] = vmulq_f64(a.at[i], b.at[i]);
        __asm__("" : "+w"(a.at[i]));
    }
    return a;
}
GPT2_WORD wide fma(wide a, wide b, wide c) {
    for (int i = 0; i < 8; ++i) c.at[i] = vfmaq_f64(c.at[i], a.at[i], b.at[i]);
    return c;
}
GPT2_WORD void store(double* p, wide a) {
    for (int i = 0; i < 8; ++i) vst1q_f64(p + 2 * i, a.at[i]);
}

}  // namespace detail::kernels::neon
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS neon
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
