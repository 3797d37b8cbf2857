// The kernels in plain C++: vectors are arrays of 16. What every other instruction set is compared
// with, and what runs where there is none.
//
// Before: panel.hpp. The functions here are the words in which the .inl files is written; each
// header of an instruction set defines the same ones.
#pragma once

#include "panel.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::portable {

template <class T>
struct lanes {
    T at[panel_width];
};
using vec = lanes<float>;          // 16 floats
using ivec = lanes<std::int32_t>;  // 16 integers
using wide = lanes<double>;        // 16 doubles
struct bytes64 {                   // 16 groups of 4 bytes
    std::uint8_t at[64];
};

inline constexpr int tile_rows = 1, tile_panels = 1, stream_panels = 1;

/// f(0) … f(15) as a vector.
template <class T, class F>
inline lanes<T> each(F f) {
    lanes<T> result;
    for (std::size_t i = 0; i < panel_width; ++i) result.at[i] = f(i);
    return result;
}

inline vec set(float a) {
    return each<float>([&](std::size_t) { return a; });
}
inline vec load(const float* p) {
    return each<float>([&](std::size_t i) { return p[i]; });
}
inline void prefetch(const void*) {}
inline void store(float* p, vec a) { std::copy_n(a.at, panel_width, p); }
inline vec load_first(const float* p, std::size_t n) {
    return each<float>([&](std::size_t i) { return i < n ? p[i] : 0.0f; });
}
inline void store_first(float* p, vec a, std::size_t n) { std::copy_n(a.at, n, p); }

inline vec load_half(const std::uint16_t* p) {
    return each<float>([&](std::size_t i) { return widened(half_bits{p[i]}); });
}
inline vec load_bfloat(const std::uint16_t* p) {
    return each<float>([&](std::size_t i) { return widened(bfloat_bits{p[i]}); });
}
inline void load_pairs(const std::uint16_t* p, vec& first, vec& second) {
    first = each<float>([&](std::size_t i) { return widened(bfloat_bits{p[2 * i]}); });
    second = each<float>([&](std::size_t i) { return widened(bfloat_bits{p[2 * i + 1]}); });
}

/// 16 signed bytes.
inline vec load_int8(const std::int8_t* p) {
    return each<float>([&](std::size_t i) { return static_cast<float>(p[i]); });
}
/// The low and the high halves of 16 bytes, 0 … 15, or -8 … 7 in two's complement.
template <bool Negative>
inline void load_nibbles(const std::uint8_t* p, vec& low, vec& high) {
    const auto level = [](int n) { return static_cast<float>(Negative ? (n ^ 8) - 8 : n); };
    low = each<float>([&](std::size_t i) { return level(p[i] & 15); });
    high = each<float>([&](std::size_t i) { return level(p[i] >> 4); });
}

inline vec fma(vec a, vec b, vec c) {
    return each<float>([&](std::size_t i) { return std::fma(a.at[i], b.at[i], c.at[i]); });
}
inline vec add(vec a, vec b) {
    return each<float>([&](std::size_t i) { return a.at[i] + b.at[i]; });
}
inline vec sub(vec a, vec b) {
    return each<float>([&](std::size_t i) { return a.at[i] - b.at[i]; });
}
/// A rounded product: no compiler may join it with an addition, as gcc does where it finds both.
inline vec mul(vec a, vec b) {
    return each<float>([&](std::size_t i) { return std::fma(a.at[i], b.at[i], -0.0f); });
}
inline vec div(vec a, vec b) {
    return each<float>([&](std::size_t i) { return a.at[i] / b.at[i]; });
}
inline vec abs(vec a) {
    return each<float>([&](std::size_t i) { return std::abs(a.at[i]); });
}
/// x where a < b, y elsewhere (where either is NaN, for one).
inline vec if_less(vec a, vec b, vec x, vec y) {
    return each<float>([&](std::size_t i) { return a.at[i] < b.at[i] ? x.at[i] : y.at[i]; });
}
/// The nearest integer, ties to even; |a| < 2³¹, else any.
inline ivec round(vec a) {
    return each<std::int32_t>([&](std::size_t i) {
        const float r = std::nearbyint(a.at[i]);
        return std::abs(r) < 0x1p31f ? static_cast<std::int32_t>(r) : 0;
    });
}
inline vec to_float(ivec a) {
    return each<float>([&](std::size_t i) { return static_cast<float>(a.at[i]); });
}
/// a·2ⁿ by adding n to the exponent; a and the result are normal numbers.
inline vec scale_exponent(vec a, ivec n) {
    return each<float>([&](std::size_t i) {
        return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a.at[i]) +
                                    (static_cast<std::uint32_t>(n.at[i]) << 23));
    });
}
inline ivec half_of(ivec a) {
    return each<std::int32_t>([&](std::size_t i) { return a.at[i] >> 1; });
}
inline ivec sub(ivec a, ivec b) {
    return each<std::int32_t>([&](std::size_t i) { return a.at[i] - b.at[i]; });
}
inline ivec add(ivec a, ivec b) {
    return each<std::int32_t>([&](std::size_t i) { return a.at[i] + b.at[i]; });
}
inline ivec max(ivec a, ivec b) {
    return each<std::int32_t>([&](std::size_t i) { return std::max(a.at[i], b.at[i]); });
}
/// The bits of |a|, whose order as integers is that of the numbers; NaNs come last.
inline ivec magnitude(vec a) {
    return each<std::int32_t>(
        [&](std::size_t i) { return std::bit_cast<std::int32_t>(a.at[i]) & 0x7FFFFFFF; });
}
inline std::int32_t max_of(ivec a) { return *std::max_element(a.at, a.at + panel_width); }
inline std::int32_t sum_of(ivec a) {
    return std::accumulate(a.at, a.at + panel_width, std::int32_t{0});
}
inline ivec set_int(std::int32_t a) {
    return each<std::int32_t>([&](std::size_t) { return a; });
}
inline void store(std::int32_t* p, ivec a) { std::copy_n(a.at, panel_width, p); }
inline void store_bytes(std::int8_t* p, ivec a) {
    for (std::size_t i = 0; i < panel_width; ++i) p[i] = static_cast<std::int8_t>(a.at[i]);
}

/// Lane by lane the four bytes a, b, c, d, numbers from 0 to 255.
inline void store(std::uint8_t* p, ivec a, ivec b, ivec c, ivec d) {
    for (std::size_t i = 0; i < panel_width; ++i) {
        std::size_t j = 4 * i;
        for (const ivec* q : {&a, &b, &c, &d}) p[j++] = static_cast<std::uint8_t>(q->at[i]);
    }
}

inline bytes64 load_bytes(const std::uint8_t* p) {
    bytes64 b;
    std::copy_n(p, 64, b.at);
    return b;
}
inline void store_bytes(std::uint8_t* p, bytes64 b) { std::copy_n(b.at, 64, p); }
inline bytes64 low_halves(bytes64 b) {
    for (auto& x : b.at) x &= 15;
    return b;
}
inline bytes64 high_halves(bytes64 b) {
    for (auto& x : b.at) x >>= 4;
    return b;
}
/// The int4 levels of 64 indices.
inline bytes64 look_up(bytes64 b) {
    for (auto& x : b.at) x = int4_levels[x];
    return b;
}
/// Four signed bytes, the same for every lane.
struct quad {
    std::int8_t at[4];
};
inline quad load_quad(const std::int8_t* x) { return {{x[0], x[1], x[2], x[3]}}; }
/// sum + Σ w·x over the 4 bytes of each lane.
inline ivec dot4(ivec sum, bytes64 w, quad x) {
    for (std::size_t i = 0; i < panel_width; ++i)
        for (std::size_t j = 0; j < 4; ++j) sum.at[i] += w.at[4 * i + j] * x.at[j];
    return sum;
}

inline wide widen(vec a) {
    return each<double>([&](std::size_t i) { return static_cast<double>(a.at[i]); });
}
inline vec narrow(wide a) {
    return each<float>([&](std::size_t i) { return static_cast<float>(a.at[i]); });
}
inline wide set_wide(double a) {
    return each<double>([&](std::size_t) { return a; });
}
inline wide add(wide a, wide b) {
    return each<double>([&](std::size_t i) { return a.at[i] + b.at[i]; });
}
inline wide mul(wide a, wide b) {
    return each<double>([&](std::size_t i) { return std::fma(a.at[i], b.at[i], -0.0); });
}
inline wide fma(wide a, wide b, wide c) {
    return each<double>([&](std::size_t i) { return std::fma(a.at[i], b.at[i], c.at[i]); });
}
inline void store(double* p, wide a) { std::copy_n(a.at, panel_width, p); }

}  // namespace detail::kernels::portable
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS portable
#define GPT2_DOT4 dot4
#define GPT2_TARGET
#include "blocks.inl"
#include "products.inl"
#include "integers.inl"
#include "rows.inl"
#include "pack.inl"
#undef GPT2_TARGET
#undef GPT2_DOT4
#undef GPT2_KERNELS
