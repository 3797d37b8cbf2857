// The kernels this machine can run, by name, the fastest first.
//
// Before: portable.hpp and the headers of the instruction sets. After: ops.hpp, which calls them.
#pragma once

#include "panel.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#if !defined(GPT2_SEPARATE)
#include "amx.hpp"
#include "avx2.hpp"
#include "avx512.hpp"
#include "avx512_bf16.hpp"
#include "avx512_vnni.hpp"
#include "neon.hpp"
#include "neon_dot.hpp"
#include "portable.hpp"
#endif

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

/// One instruction set's version of every kernel; what each does is said in products.inl,
/// integers.inl and rows.inl.
struct kernel_set {
    std::string_view name;
    std::size_t tile_panels, stream_panels;  ///< taken at once: by several rows, by one
    void (*float_product)(const product_job&);
    void (*integer_product)(const product_job&);
    void (*softmax)(float* x, std::size_t n, float scale);
    void (*layer_norm)(const float* x, std::size_t n, const float* gain, const float* bias,
                       double epsilon, float* y);
    void (*gated)(float* x, std::size_t n, float a, float b);
    void (*gelu)(float* x, std::size_t n);
    void (*quantise)(const float* x, std::size_t n, format f, std::size_t row,
                     const rounded_rows& out);
    void (*pack_int8)(const float* block, std::uint8_t* out);
    void (*pack_int4)(const float* block, std::uint8_t* out);
    // x rounded to bfloats, and products of those, with weights (all of K at once) and others: null
    // where the machine has no such instructions.
    void (*round)(const float* x, std::size_t n, std::uint16_t* out) = nullptr;
    void (*bfloat_product)(const product_job&) = nullptr;
    void (*bfloat_linear)(const product_job&) = nullptr;

    void product(const product_job& job) const {
        if (is_quantised(job.weights)) return integer_product(job);
        if (!job.rounded.values) return float_product(job);
        job.linear ? bfloat_linear(job) : bfloat_product(job);
    }
};

/// Every set that runs here, the fastest first; the last is always "portable".
GPT2_INLINE const std::vector<kernel_set>& available();

/// The fastest set of this machine.
inline const kernel_set& best() { return available().front(); }

#if !defined(GPT2_SEPARATE)

#define GPT2_KERNEL_SET(name, set, integers)                                                      \
    kernel_set {                                                                                  \
        name, set::tile_panels, set::stream_panels, set::float_product, integers, set::softmax,   \
            set::layer_norm, set::gated, set::gelu, set::quantise, set::pack_int8, set::pack_int4 \
    }

GPT2_INLINE const std::vector<kernel_set>& available() {
    static const std::vector<kernel_set> sets = [] {
        std::vector<kernel_set> list;
#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq")) {
            auto set = GPT2_KERNEL_SET("avx512", avx512, avx2::integer_product);
            auto vnni = set;
            vnni.name = "avx512_vnni";
            vnni.integer_product = avx512::vnni::integer_product;
            auto bf16 = vnni;
            bf16.name = "avx512_bf16";
            bf16.round = avx512::bf16::round;
            bf16.bfloat_product = bf16.bfloat_linear = avx512::bf16::product;
            auto amx = bf16;
            amx.name = "amx";
            amx.tile_panels = 2;
            amx.integer_product = [](const product_job& job) {
                job.rows == 1 ? avx512::vnni::integer_product(job)
                              : avx512::amx::integer_product<avx512::amx::unit>(job);
            };
            amx.bfloat_linear = avx512::amx::bfloat_product<avx512::amx::unit>;
            if (avx512::amx::usable()) list.push_back(amx);
            if (__builtin_cpu_supports("avx512vnni")) {
                if (__builtin_cpu_supports("avx512bf16")) list.push_back(bf16);
                list.push_back(vnni);
            }
            list.push_back(set);
        }
        if (avx2) list.push_back(GPT2_KERNEL_SET("avx2", avx2, avx2::integer_product));
#endif
#if defined(__aarch64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
        const auto set = GPT2_KERNEL_SET("neon", neon, neon::integer_product);
        for (const auto& [name, integer_product] : neon::dot_products()) {
            list.push_back(set);
            list.back().name = name;
            list.back().integer_product = integer_product;
        }
        list.push_back(set);
#endif
        list.push_back(GPT2_KERNEL_SET("portable", portable, portable::integer_product));
        return list;
    }();
    return sets;
}

#undef GPT2_KERNEL_SET

#endif

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
