// Matrices that GGUF stores in blocks, into panels that hold the same numbers: nothing is rounded,
// so a value of a panel is the float that the block's own widen() gives.
//
// Before: gguf_blocks.hpp, kernels/panel.hpp, weights.hpp. After: packing.hpp.
#pragma once

#include "../parallel.hpp"
#include "../tensor.hpp"
#include "../weights.hpp"
#include "gguf_blocks.hpp"
#include "kernels/panel.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The format that keeps blocks of this type; f32 where there is none.
constexpr kernels::format block_format(dtype type) {
    switch (type) {
        case dtype::q8_0:
        case dtype::q5_0:  // d times a small integer as well
            return kernels::format::q8_0;
        case dtype::q4_0:
            return kernels::format::q4_0;
        case dtype::q4_k:
            return kernels::format::q4_k;
        case dtype::q5_k:
            return kernels::format::q5_k;
        case dtype::q6_k:
            return kernels::format::q6_k;
        default:
            return kernels::format::f32;
    }
}

/// Where level i of a group stands among its levels, and by how much a half is shifted there.
struct level_place {
    std::size_t byte;
    int shift;
};
constexpr level_place place_of(const kernels::block_layout& layout, std::size_t i,
                               std::size_t lane) {
    const auto at = layout.level_bytes(layout.halves ? i / 2 * 2 : i) + lane;
    return {at, layout.halves ? static_cast<int>(i % 2 * 4) : 0};
}

/// A block as lane `lane` of a panel's block, whose bytes were zeros there.
template <value_block Block>
void pack_block(const Block& block, const kernels::block_layout& layout, std::size_t lane,
                std::uint8_t* out) {
    std::memcpy(out + 2 * lane, &block.d, 2);
    if constexpr (requires { block.dmin; })
        std::memcpy(out + 2 * (panel_width + lane), &block.dmin, 2);
    std::uint8_t* group = out + layout.head_bytes();
    for (std::size_t g = 0; g < layout.depth / layout.group; ++g, group += layout.group_bytes()) {
        if constexpr (requires { block.scale(g); })
            group[lane] = static_cast<std::uint8_t>(block.scale(g));
        if constexpr (requires { block.least(g); })
            group[panel_width + lane] = static_cast<std::uint8_t>(block.least(g));
        std::uint8_t* levels = group + layout.scale_bytes();
        for (std::size_t i = 0; i < layout.group; ++i) {
            const auto [at, shift] = place_of(layout, i, lane);
            const int level = block.level(g * layout.group + i) & (layout.halves ? 15 : 255);
            levels[at] = static_cast<std::uint8_t>(levels[at] | level << shift);
        }
    }
}

/// Rows of blocks, which are outputs, into the panels of `packed`.
template <value_block Block>
void pack_rows_of_blocks(const stored_tensor& source, packed_matrix<float>& packed,
                         thread_pool& pool) {
    const auto layout = kernels::layout_of(packed.stored());
    const std::size_t each = source.columns() / Block::values;
    pool.run(source.rows(), panel_width, [&](std::size_t first, std::size_t last, std::size_t) {
        std::vector<Block> blocks(panel_width * each);
        for (std::size_t r = first; r < last; r += panel_width) {
            const auto count = std::min(panel_width, last - r);
            const auto rows = std::span(blocks).first(count * each);
            source.read_blocks<Block>(r, count, rows);
            std::uint8_t* panel = packed.panel(r / panel_width);
            for (std::size_t i = 0; i < rows.size(); ++i)
                pack_block(rows[i], layout, i / each, panel + i % each * layout.bytes());
        }
    });
}

/// A matrix stored in blocks into `packed`, in the format that block_format() says.
inline void pack_blocks(const stored_tensor& source, packed_matrix<float>& packed,
                        thread_pool& pool) {
    switch (source.type()) {
        case dtype::q8_0:
            return pack_rows_of_blocks<q8_0_block>(source, packed, pool);
        case dtype::q5_0:
            return pack_rows_of_blocks<q5_0_block>(source, packed, pool);
        case dtype::q4_0:
            return pack_rows_of_blocks<q4_0_block>(source, packed, pool);
        case dtype::q4_k:
            return pack_rows_of_blocks<q4_k_block>(source, packed, pool);
        case dtype::q5_k:
            return pack_rows_of_blocks<q5_k_block>(source, packed, pool);
        default:
            return pack_rows_of_blocks<q6_k_block>(source, packed, pool);
    }
}

/// The number at row k of a panel in blocks, lane 0 … 15: what products use.
inline float block_value(const std::uint8_t* panel, kernels::format f, std::size_t k,
                         std::size_t lane) {
    const auto layout = kernels::layout_of(f);
    const std::uint8_t* block = panel + k / layout.depth * layout.bytes();
    const auto* heads = reinterpret_cast<const std::uint16_t*>(block);
    const std::uint8_t* group =
        block + layout.head_bytes() + k % layout.depth / layout.group * layout.group_bytes();
    const auto signed_byte = [](std::uint8_t byte) { return static_cast<std::int8_t>(byte); };

    const auto [at, shift] = place_of(layout, k % layout.group, lane);
    const std::uint8_t byte = group[layout.scale_bytes() + at];
    const int half = byte >> shift & 15;
    const int level = layout.halves ? (layout.negative ? (half ^ 8) - 8 : half) : signed_byte(byte);
    float value = widened(half_bits{heads[lane]});
    if (layout.scales) value *= static_cast<float>(signed_byte(group[lane]));
    value *= static_cast<float>(level);
    if (!layout.minima) return value;
    return value - widened(half_bits{heads[panel_width + lane]}) *
                       static_cast<float>(signed_byte(group[panel_width + lane]));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
