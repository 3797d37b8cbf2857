// Integer products on AArch64 machines that multiply four bytes and add them up in one
// instruction: signed bytes by signed ones (dotprod, from 2018), unsigned ones too (i8mm, 2020).
// Everything else is neon.hpp's. They are compiled where the program is for machines that have
// them, as on Apple's, and into a program for all machines, which asks the system (Linux).
#pragma once

#include "neon.hpp"

#if defined(__aarch64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
#include <string_view>
#include <vector>

#if defined(__linux__)
#include <sys/auxv.h>
#endif

// A function for more than the program is compiled for can inline the words of neon.hpp if that
// program is for all machines; before version 16, clang cannot write one.
#if defined(__linux__) && (!defined(__clang__) || __clang_major__ >= 16) &&          \
    !defined(__ARM_FEATURE_DOTPROD) && !defined(__ARM_FEATURE_MATMUL_INT8) &&        \
    !defined(__ARM_FEATURE_AES) && !defined(__ARM_FEATURE_CRYPTO) &&                 \
    !defined(__ARM_FEATURE_SVE) && !defined(__ARM_FEATURE_FP16_SCALAR_ARITHMETIC) && \
    !defined(__ARM_FEATURE_COMPLEX)
#define GPT2_DOTPROD_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define GPT2_I8MM_TARGET __attribute__((target("arch=armv8.2-a+i8mm")))
#endif
#ifdef __ARM_FEATURE_DOTPROD
#define GPT2_DOTPROD_TARGET
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
#define GPT2_I8MM_TARGET
#endif

#ifdef GPT2_DOTPROD_TARGET
#define GPT2_TARGET GPT2_DOTPROD_TARGET
namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::neon::dotprod {

/// Σ w·x = Σ (w - 128)·x + offset, offset = -Σ (-128)·x.
struct quad {
    int8x16_t four;
    int32x4_t offset;
};
GPT2_TARGET GPT2_FORCE_INLINE quad load_quad(const std::int8_t* x) {
    const int8x16_t four_x = four_bytes(x);
    const int32x4_t zero = vdupq_n_s32(0);
    return {four_x, vsubq_s32(zero, vdotq_s32(zero, vdupq_n_s8(-128), four_x))};
}
GPT2_TARGET GPT2_FORCE_INLINE ivec dot4_signed(ivec sum, bytes64 w, quad x) {
    GPT2_UNROLL
    for (int i = 0; i < 4; ++i) {
        const int8x16_t shifted = vreinterpretq_s8_u8(veorq_u8(w.at[i], vdupq_n_u8(128)));
        sum.at[i] = vdotq_s32(vaddq_s32(sum.at[i], x.offset), shifted, x.four);
    }
    return sum;
}

}  // namespace detail::kernels::neon::dotprod
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS neon::dotprod
#define GPT2_DOT4 dot4_signed
#include "integers.inl"
#undef GPT2_DOT4
#undef GPT2_KERNELS
#undef GPT2_TARGET
#endif

#ifdef GPT2_I8MM_TARGET
#define GPT2_TARGET GPT2_I8MM_TARGET
namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::neon::i8mm {

struct quad {
    int8x16_t four;
};
GPT2_TARGET GPT2_FORCE_INLINE quad load_quad(const std::int8_t* x) { return {four_bytes(x)}; }
GPT2_TARGET GPT2_FORCE_INLINE ivec dot4_mixed(ivec sum, bytes64 w, quad x) {
    GPT2_UNROLL
    for (int i = 0; i < 4; ++i) sum.at[i] = vusdotq_s32(sum.at[i], w.at[i], x.four);
    return sum;
}

}  // namespace detail::kernels::neon::i8mm
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS neon::i8mm
#define GPT2_DOT4 dot4_mixed
#include "integers.inl"
#undef GPT2_DOT4
#undef GPT2_KERNELS
#undef GPT2_TARGET
#endif

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::neon {

struct named_product {
    std::string_view name;
    void (*integer_product)(const product_job&);
};

/// The integer products of this header that run here, the fastest first.
inline std::vector<named_product> dot_products() {
    std::vector<named_product> list;
#if defined(__ARM_FEATURE_MATMUL_INT8)
    list.push_back({"neon_i8mm", i8mm::integer_product});
#elif defined(GPT2_I8MM_TARGET)
    constexpr unsigned long hwcap2_i8mm = 1ul << 13;
    if (getauxval(AT_HWCAP2) & hwcap2_i8mm) list.push_back({"neon_i8mm", i8mm::integer_product});
#endif
#if defined(__ARM_FEATURE_DOTPROD)
    list.push_back({"neon_dotprod", dotprod::integer_product});
#elif defined(GPT2_DOTPROD_TARGET)
    constexpr unsigned long hwcap_asimddp = 1ul << 20;
    if (getauxval(AT_HWCAP) & hwcap_asimddp)
        list.push_back({"neon_dotprod", dotprod::integer_product});
#endif
    return list;
}

}  // namespace detail::kernels::neon
}  // namespace gpt2::inline GPT2_ABI

#undef GPT2_DOTPROD_TARGET
#undef GPT2_I8MM_TARGET
#endif
