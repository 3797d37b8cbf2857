// The kernels this machine can run, by name, the fastest first.
//
// Before: portable.hpp and the headers of the instruction sets. After: ops.hpp, which calls them.
#pragma once

#include "avx2.hpp"
#include "avx512.hpp"
#include "avx512_vnni.hpp"
#include "neon.hpp"
#include "neon_dot.hpp"
#include "portable.hpp"

#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

/// One instruction set's version of every kernel; what each does is said in products.inl,
/// integers.inl and rows.inl.
struct kernel_set {
    std::string_view name;
    std::size_t tile_panels,
        stream_panels;  ///< whole numbers of panels run best: several rows, one
    void (*float_product)(const product_job&);
    void (*integer_product)(const product_job&);
    void (*softmax)(float* x, std::size_t n, float scale);
    void (*layer_norm)(const float* x, std::size_t n, const float* gain, const float* bias,
                       double epsilon, float* y);
    void (*gated)(float* x, std::size_t n, float a, float b);
    void (*gelu)(float* x, std::size_t n);
    void (*quantise)(const float* x, std::size_t n, format f, std::size_t row,
                     const quantised_rows& out);
    void (*pack_int8)(const float* block, std::uint8_t* out);
    void (*pack_int4)(const float* block, std::uint8_t* out);

    void product(const product_job& job) const {
        is_quantised(job.weights) ? integer_product(job) : float_product(job);
    }
};

#define GPT2_KERNEL_SET(name, set, integers)                                                      \
    kernel_set {                                                                                  \
        name, set::tile_panels, set::stream_panels, set::float_product, integers, set::softmax,   \
            set::layer_norm, set::gated, set::gelu, set::quantise, set::pack_int8, set::pack_int4 \
    }

/// Every set that runs here, the fastest first; the last is always "portable".
inline const std::vector<kernel_set>& available() {
    static const std::vector<kernel_set> sets = [] {
        std::vector<kernel_set> list;
#if defined(__x86_64__) && defined(__GNUC__)
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq")) {
            auto set = GPT2_KERNEL_SET("avx512", avx512, avx2::integer_product);
            if (__builtin_cpu_supports("avx512vnni")) {
                list.push_back(set);
                list.back().name = "avx512_vnni";
                list.back().integer_product = avx512::vnni::integer_product;
            }
            list.push_back(set);
        }
        if (avx2) list.push_back(GPT2_KERNEL_SET("avx2", avx2, avx2::integer_product));
#endif
#if defined(__aarch64__) && defined(__GNUC__)
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

/// The fastest set of this machine.
inline const kernel_set& best() { return available().front(); }

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
