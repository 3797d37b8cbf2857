// exp and log in double with the same bits from every compiler, library and instruction set, for
// the sampler. std::exp and std::log differ between C libraries, and a compiler that has an FMA
// instruction may fuse a product with a sum behind our back, which changes the last bit.
//
// exp runs over the whole vocabulary, where std::fma without the instruction is a slow call.
// There every product has two factors so short that it is exact in a double: then fused or not is
// the same number, and the plain loop vectorises. log runs once per draw and says std::fma.
#pragma once

#include "../core.hpp"
#include "kernels/panel.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The upper 27 significant bits of x.
GPT2_FORCE_INLINE constexpr double upper_bits(double x) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & ~std::uint64_t{0x3ffffff});
}

/// e^x for x ≤ 0 that is a float's value, within 2e-8 relative; exactly 1 at 0, and 0 below -87
/// (and at -infinity).
///
/// 2^(n + f) with n + f = x / ln 2 on a grid of 2^-26, |f| ≤ 1/2, so that f has at most 25 bits;
/// 2^f is the minimax polynomial 1 + c1 f + … + c6 f^6 (within 2e-9). Below -87 that is nonsense,
/// which a mask takes away: a branch, or clamping x, would keep gcc from vectorising the loop.
GPT2_FORCE_INLINE double exp_of_negative(double x) {
    constexpr double log2_e_high = 0x1.7154765p+0;  // 29 bits; times the 24 of a float: exact
    constexpr double log2_e_low = 0x1.5c17f0cp-31;  // the next 27
    constexpr double grid = 0x1.8p+26, integer = 0x1.8p+52;  // adding rounds to 2^-26, to 1
    const double y = (x * log2_e_high + (x * log2_e_low + grid)) - grid;
    const double shifted = y + integer;  // its low bits are the integer n
    const double f = y - (shifted - integer);
    double p = 0x1.41fbbbf6100eep-13;
    p = upper_bits(p) * f + 0x1.5f3e52f2a90d4p-10;
    p = upper_bits(p) * f + 0x1.3b2d4cf1cd0b6p-7;
    p = upper_bits(p) * f + 0x1.c6aee88e93037p-5;
    p = upper_bits(p) * f + 0x1.ebfbdc3c308b5p-3;
    p = upper_bits(p) * f + 0x1.62e430af27106p-1;
    p = upper_bits(p) * f + 1.0;
    const auto power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
    const auto mask = -static_cast<std::uint64_t>(x >= -87.0);
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(p * power) & mask);
}

/// ln x for finite normal x > 0, within 1e-15 of max(1, |ln x|).
///
/// x = 2^n m with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s) with s = (m - 1) / (m + 1).
inline double log_of(double x) {
    constexpr std::uint64_t root_half = 0x3fe6a09e667f3bcd;  // the bits of sqrt(1/2)
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
    const auto n = static_cast<std::int64_t>(bits - root_half) >> 52;
    const auto m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(n) << 52));
    const double s = (m - 1) / (m + 1);
    const double square = s * s;
    double p = 1.0 / 21;
    for (int odd = 19; odd >= 1; odd -= 2) p = std::fma(p, square, 1.0 / odd);
    constexpr double ln2_high = 0x1.62e42fefa39efp-1, ln2_low = 0x1.abc9e3b39803fp-56;
    const auto whole = static_cast<double>(n);
    return std::fma(whole, ln2_high, std::fma(2 * s, p, whole * ln2_low));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
