// Stored floats to working floats: the bit arithmetic, exact, without tables, intrinsics or
// branches, so that compilers turn the loops into vector code; and back, rounded.
//
// Before: core.hpp. Used by: weights.hpp, detail/packing.hpp, the portable kernels.
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
    constexpr std::uint32_t rebias = 112u << 23;                             // 127 − 15
    const std::uint32_t special = 0u - std::uint32_t{magnitude >= 0x7c00u};  // infinity and NaN
    const std::uint32_t subnormal = 0u - std::uint32_t{magnitude < 0x400u};
    const std::uint32_t normal = (magnitude << 13) + rebias + (rebias & special);
    const float tiny = std::bit_cast<float>(0x3f000000u | (magnitude & 0x3ffu)) - 0.5f;
    const std::uint32_t value =
        (std::bit_cast<std::uint32_t>(tiny) & subnormal) | (normal & ~subnormal);
    return std::bit_cast<float>(value | std::uint32_t{half.bits & 0x8000u} << 16);
}
inline float widened(bfloat_bits upper) noexcept {
    return std::bit_cast<float>(std::uint32_t{upper.bits} << 16);
}
inline float widened(float value) noexcept { return value; }
inline double widened(double value) noexcept { return value; }

/// The nearest half to a float, ties to even; infinity beyond 65504.
constexpr std::uint16_t narrow_half(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t size = bits & 0x7FFFFFFFu;
    if (size >= 0x47800000u) return sign | (size > 0x7F800000u ? 0x7E00u : 0x7C00u);
    if (size < 0x38800000u) {  // a subnormal half: adding 0.5 rounds at the right bit
        const float shifted = std::bit_cast<float>(size) + 0.5f;
        return static_cast<std::uint16_t>(sign |
                                          (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u));
    }
    const std::uint32_t rounded = size + 0xFFFu + (size >> 13 & 1u) - (112u << 23);
    return static_cast<std::uint16_t>(sign | rounded >> 13);
}

/// The nearest bfloat to a float, ties to even.
constexpr std::uint16_t narrow_bfloat(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | 64u);
    return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/// Values taken at once: with the count known, compilers make vector code of the loop at -O2 too.
inline constexpr std::size_t widen_step = 64;

/// out[i] = in[i]; both of one length. double to float rounds (and may overflow to infinity).
template <class Stored, class Scalar>
void widen(std::span<const Stored> in, std::span<Scalar> out) noexcept {
    const Stored* from = in.data();
    Scalar* to = out.data();
    std::size_t left = out.size();
    for (; left >= widen_step; left -= widen_step, from += widen_step, to += widen_step)
        for (std::size_t i = 0; i < widen_step; ++i) to[i] = static_cast<Scalar>(widened(from[i]));
    for (std::size_t i = 0; i < left; ++i) to[i] = static_cast<Scalar>(widened(from[i]));
}

/// The exponent of a value, one added: the top bit is set when it was all ones.
inline std::uint32_t exponent_carry(float value) noexcept {
    return (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) + 0x00800000u;
}
inline std::uint64_t exponent_carry(double value) noexcept {
    constexpr std::uint64_t one = std::uint64_t{1} << 52;
    return (std::bit_cast<std::uint64_t>(value) & 0x7ff * one) + one;
}

/// Whether no value is NaN or infinite: no exponent is all ones.
template <class Scalar>
bool all_finite(std::span<const Scalar> values) noexcept {
    decltype(exponent_carry(Scalar{})) carry = 0;
    const Scalar* from = values.data();
    std::size_t left = values.size();
    for (; left >= widen_step; left -= widen_step, from += widen_step)
        for (std::size_t i = 0; i < widen_step; ++i) carry |= exponent_carry(from[i]);
    for (std::size_t i = 0; i < left; ++i) carry |= exponent_carry(from[i]);
    return carry >> (8 * sizeof carry - 1) == 0;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
