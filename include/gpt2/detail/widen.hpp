// Stored floats to working floats: the bit arithmetic, exact, without tables, intrinsics or
// branches, so that compilers turn the loops into vector code.
//
// Before: core.hpp. Used by: weights.hpp.
#pragma once

#include "../core.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace detail {

static_assert(std::endian::native == std::endian::little,
              "gpt2: weight files are little-endian and so must the machine be");
static_assert(std::numeric_limits<float>::is_iec559 && std::numeric_limits<double>::is_iec559);

/// IEEE binary16: sign 1, exponent 5, fraction 10.
struct half_bits {
    std::uint16_t bits;
};
/// bfloat16: the upper half of a float.
struct bfloat_bits {
    std::uint16_t bits;
};

/// Exact for every pattern; the payload of a NaN is kept. Subnormals are made from normal numbers
/// (1/2 + m·2⁻²⁴ − 1/2), so a caller's flush-to-zero mode changes nothing.
inline float widened(half_bits half) noexcept {
    const std::uint32_t magnitude = half.bits & 0x7fffu;
    const std::uint32_t rebias = 112u << 23;                      // 127 − 15
    const std::uint32_t top = magnitude >= 0x7c00u ? rebias : 0;  // infinity and NaN: all ones
    const std::uint32_t normal = (magnitude << 13) + rebias + top;
    const float tiny = std::bit_cast<float>(0x3f000000u | (magnitude & 0x3ffu)) - 0.5f;
    const std::uint32_t value = magnitude < 0x400u ? std::bit_cast<std::uint32_t>(tiny) : normal;
    return std::bit_cast<float>(value | std::uint32_t{half.bits & 0x8000u} << 16);
}
inline float widened(bfloat_bits upper) noexcept {
    return std::bit_cast<float>(std::uint32_t{upper.bits} << 16);
}
inline float widened(float value) noexcept { return value; }
inline double widened(double value) noexcept { return value; }

/// out[i] = in[i]; both of one length. double to float rounds (and may overflow to infinity).
template <class Stored, class Scalar>
void widen(std::span<const Stored> in, std::span<Scalar> out) noexcept {
    const Stored* from = in.data();
    Scalar* to = out.data();
    const std::size_t count = out.size();
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<Scalar>(widened(from[i]));
}

/// Whether no value is NaN or infinite: no exponent is all ones.
inline bool all_finite(std::span<const float> values) noexcept {
    std::uint32_t carry = 0;  // the top bit is set by an exponent of all ones plus one
    for (const float value : values)
        carry |= (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) + 0x00800000u;
    return (carry >> 31) == 0;
}
inline bool all_finite(std::span<const double> values) noexcept {
    std::uint64_t carry = 0;
    for (const double value : values)
        carry |= (std::bit_cast<std::uint64_t>(value) & (std::uint64_t{0x7ff} << 52)) +
                 (std::uint64_t{1} << 52);
    return (carry >> 63) == 0;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
