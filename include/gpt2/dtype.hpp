// The types in which files store numbers: floats, integers, and GGUF's blocks of small integers.
//
// Before: detail/gguf_blocks.hpp. Next: stored_tensor.hpp.
#pragma once

#include "core.hpp"
#include "detail/gguf_blocks.hpp"

#include <array>
#include <cstddef>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// How values are stored. The first four and the blocks of GGUF at the end can be read as weights;
/// the others are recognised so that a file that holds them (mask buffers, for one) can be
/// described and walked.
enum class dtype {
    f64,
    f32,
    f16,
    bf16,
    i64,
    i32,
    i16,
    i8,
    u64,
    u32,
    u16,
    u8,
    boolean,
    c64,
    f8_e5m2,
    f8_e4m3,
    f8_e8m0,
    f8_e4m3fnuz,
    f8_e5m2fnuz,
    f6_e2m3,
    f6_e3m2,
    f4,
    q8_0,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q4_k,
    q5_k,
    q6_k,
};

namespace detail {

struct dtype_facts {
    dtype type;
    std::string_view name;  // as safetensors writes it, blocks as ggml does
    unsigned bits;          // of one value or block
    unsigned values = 1;    // in a block
};

template <value_block Block>
constexpr dtype_facts block_facts(dtype type, std::string_view name) {
    return {type, name, unsigned{8 * sizeof(Block)}, unsigned{Block::values}};
}

inline constexpr std::array<dtype_facts, 30> dtype_table{{
    {dtype::f64, "F64", 64},
    {dtype::f32, "F32", 32},
    {dtype::f16, "F16", 16},
    {dtype::bf16, "BF16", 16},
    {dtype::i64, "I64", 64},
    {dtype::i32, "I32", 32},
    {dtype::i16, "I16", 16},
    {dtype::i8, "I8", 8},
    {dtype::u64, "U64", 64},
    {dtype::u32, "U32", 32},
    {dtype::u16, "U16", 16},
    {dtype::u8, "U8", 8},
    {dtype::boolean, "BOOL", 8},
    {dtype::c64, "C64", 64},
    {dtype::f8_e5m2, "F8_E5M2", 8},
    {dtype::f8_e4m3, "F8_E4M3", 8},
    {dtype::f8_e8m0, "F8_E8M0", 8},
    {dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
    {dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
    {dtype::f6_e2m3, "F6_E2M3", 6},
    {dtype::f6_e3m2, "F6_E3M2", 6},
    {dtype::f4, "F4", 4},
    block_facts<q8_0_block>(dtype::q8_0, "Q8_0"),
    block_facts<q4_0_block>(dtype::q4_0, "Q4_0"),
    block_facts<q4_1_block>(dtype::q4_1, "Q4_1"),
    block_facts<q5_0_block>(dtype::q5_0, "Q5_0"),
    block_facts<q5_1_block>(dtype::q5_1, "Q5_1"),
    block_facts<q4_k_block>(dtype::q4_k, "Q4_K"),
    block_facts<q5_k_block>(dtype::q5_k, "Q5_K"),
    block_facts<q6_k_block>(dtype::q6_k, "Q6_K"),
}};

static_assert([] {
    for (std::size_t i = 0; i < dtype_table.size(); ++i)
        if (static_cast<std::size_t>(dtype_table[i].type) != i) return false;
    return true;
}());

}  // namespace detail

/// "F32", "BF16", …: the name safetensors gives it, "Q8_0", … as ggml does.
constexpr std::string_view name(dtype type) noexcept {
    return detail::dtype_table[static_cast<std::size_t>(type)].name;
}
/// Bits of one value, or of one block of values.
constexpr unsigned bits(dtype type) noexcept {
    return detail::dtype_table[static_cast<std::size_t>(type)].bits;
}
/// Values that are stored together: 32 or 256 in a block, else 1.
constexpr unsigned block_values(dtype type) noexcept {
    return detail::dtype_table[static_cast<std::size_t>(type)].values;
}
/// Whether weights can be read from it.
constexpr bool is_float(dtype type) noexcept {
    return type == dtype::f64 || type == dtype::f32 || type == dtype::f16 || type == dtype::bf16 ||
           block_values(type) > 1;
}

}  // namespace gpt2::inline GPT2_ABI
