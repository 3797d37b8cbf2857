// Arithmetic on sizes that come from outside: the one place where a product or a sum is asked
// whether it still fits.
//
// Every size in a file goes through here before it is used, so a wrapped product can never pass for
// a small one. Before: core.hpp. Used by: detail/byte_source.hpp and every format.
#pragma once

#include "../core.hpp"

#include <concepts>
#include <limits>
#include <optional>
#include <span>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// a · b, or nothing when that does not fit.
template <std::unsigned_integral Size>
constexpr std::optional<Size> checked_multiply(Size a, Size b) noexcept {
    if (b != 0 && a > std::numeric_limits<Size>::max() / b) return std::nullopt;
    return static_cast<Size>(a * b);
}

/// a + b, or nothing when that does not fit.
template <std::unsigned_integral Size>
constexpr std::optional<Size> checked_add(Size a, Size b) noexcept {
    if (a > std::numeric_limits<Size>::max() - b) return std::nullopt;
    return static_cast<Size>(a + b);
}

/// The product of all factors in their order (1 for none), or nothing as soon as one step does not
/// fit: a zero excuses what follows it, not what came before.
template <std::unsigned_integral Size>
constexpr std::optional<Size> checked_product(std::span<const Size> factors) noexcept {
    std::optional<Size> product = Size{1};
    for (const Size factor : factors) {
        product = checked_multiply(*product, factor);
        if (!product) break;
    }
    return product;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
