// The ground everything stands on: the version (its only place), the inline namespace that keeps
// translation units built differently apart, and the type of a token.
//
// Eigen's alignment follows the instruction set a translation unit is compiled for, so the
// namespace carries that width: two units built with different -m flags each use their own code,
// and passing an object of this library between them fails at link time instead of corrupting
// memory at run time.
//
// GPT2_PORTABLE_KERNELS, defined for a whole program, leaves out the kernels for instruction sets:
// it compiles faster, is smaller, and runs several times slower, with the same results.
//
// GPT2_SEPARATE, likewise: the kernels and the readers of files, most of what there is to compile,
// are declared only, and defined in the one translation unit that includes separate.hpp.
//
// Next: error.hpp, then tensor.hpp.
#pragma once

#include <cstdint>

#define GPT2_VERSION_MAJOR 0
#define GPT2_VERSION_MINOR 1
#define GPT2_VERSION_PATCH 0

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "gpt2: -ffast-math deletes the checks for NaN and reorders sums; compile without it"
#endif

#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "gpt2: C++20 is needed (-std=c++20)"
#endif

// What stands before a function that separate.hpp may define alone.
#if defined(GPT2_SEPARATE)
#define GPT2_INLINE
#else
#define GPT2_INLINE inline
#endif

#if defined(GPT2_PORTABLE_KERNELS) && defined(__AVX512F__)
#define GPT2_ABI v0_1_simd64_portable
#elif defined(GPT2_PORTABLE_KERNELS) && defined(__AVX__)
#define GPT2_ABI v0_1_simd32_portable
#elif defined(GPT2_PORTABLE_KERNELS)
#define GPT2_ABI v0_1_simd16_portable
#elif defined(__AVX512F__)
#define GPT2_ABI v0_1_simd64
#elif defined(__AVX__)
#define GPT2_ABI v0_1_simd32
#else
#define GPT2_ABI v0_1_simd16
#endif

namespace gpt2::inline GPT2_ABI {

/// An index into the vocabulary: 0 ≤ id < V. Negative values never name a token.
using token_id = std::int32_t;

/// How weights are kept in memory; f64 files are kept as f32 at most.
enum class storage {
    as_stored,  ///< each as its file has it; the blocks of GGUF compute as if they were f32
    f32,
    f16,   ///< half the bytes; the same sums as f32 on rounded weights
    bf16,  ///< likewise
    int8,  ///< a quarter: groups of 128 inputs share a scale, activations are rounded to 8 bits
    int4,  ///< a seventh: groups of 32 inputs share a scale, activations likewise
};

/// What a machine may do to be faster.
enum class arithmetic {
    reproducible,  ///< the same bits on every machine
    fast,  ///< products with bf16 weights, keys and values round x to bf16 where the machine
           ///< multiplies those at once; the same bits on this machine however a text is cut
};

}  // namespace gpt2::inline GPT2_ABI
