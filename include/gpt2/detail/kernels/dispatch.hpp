// Which kernels this machine can run, and the one in use: chosen once, at the first product.
//
// Before: panel.hpp and the kernels. After: ops.hpp, which calls `best()`.
#pragma once

#include "avx2.hpp"
#include "avx512.hpp"
#include "panel.hpp"

#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail::kernels {

struct kernel {
    std::string_view name;
    void (*product)(const panel_product&);
};

/// Every kernel that runs here, the fastest first; the last is always "portable".
inline std::vector<kernel> available() {
    std::vector<kernel> list;
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) list.push_back({"avx512", avx512_product});
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        list.push_back({"avx2", avx2_product});
#endif
    list.push_back({"portable", portable_product});
    return list;
}

inline const kernel& best() {
    static const kernel chosen = available().front();
    return chosen;
}

}  // namespace detail::kernels
}  // namespace gpt2::inline GPT2_ABI
