// Integer products on AVX-512 with VNNI: four products of bytes and their sum in one instruction.
// Everything else is avx512.hpp's.
//
// Before: avx512.hpp, integers.inl.
#pragma once

#include "avx512.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)

#define GPT2_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,f16c,avx512vnni,fma")))

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels::avx512::vnni {

/// In assembly, since gcc copies the sums around the intrinsic, which halves the speed.
GPT2_TARGET GPT2_FORCE_INLINE ivec dot4_vnni(ivec sum, bytes64 w, quad x) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w.v), "v"(x.v));
    return sum;
}

}  // namespace detail::kernels::avx512::vnni
}  // namespace gpt2::inline GPT2_ABI

#define GPT2_KERNELS avx512::vnni
#define GPT2_DOT4 dot4_vnni
#include "integers.inl"
#undef GPT2_DOT4
#undef GPT2_KERNELS
#undef GPT2_TARGET
#endif
