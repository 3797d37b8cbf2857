// From stored tensors to the memory a model computes with: matrices into panels, vectors into
// padded buffers. Tensors are read a block of rows at a time, by several threads, so loading needs
// little more memory than the weights themselves.
//
// Before: tensor.hpp, weights.hpp, kernels/dispatch.hpp. After: layers.hpp, whose constructors call
// this.
#pragma once

#include "../parallel.hpp"
#include "../tensor.hpp"
#include "../weights.hpp"
#include "block_packing.hpp"
#include "kernels/dispatch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The format that a tensor is kept in when `wanted` is asked for. Blocks stay what they are where
/// they lie along the inputs.
inline kernels::format format_of(const stored_tensor& source, orientation stored, storage wanted) {
    if (source.by_column()) stored = turned(stored);
    if (wanted == storage::as_stored && source.panels()) return source.panels()->format;
    switch (wanted) {
        case storage::f16:
            return kernels::format::f16;
        case storage::bf16:
            return kernels::format::bf16;
        case storage::int8:
            return kernels::format::int8;
        case storage::int4:
            return kernels::format::int4;
        case storage::as_stored:
            if (source.type() == dtype::f16) return kernels::format::f16;
            if (source.type() == dtype::bf16) return kernels::format::bf16;
            if (stored == orientation::out_in) return block_format(source.type());
            break;
        case storage::f32:
            break;
    }
    return kernels::format::f32;
}

/// How a matrix in that format is kept; a format that loses nothing counts as f32.
constexpr storage storage_of(kernels::format kept) {
    switch (kept) {
        case kernels::format::f16:
            return storage::f16;
        case kernels::format::bf16:
            return storage::bf16;
        case kernels::format::int8:
            return storage::int8;
        case kernels::format::int4:
            return storage::int4;
        default:
            return storage::f32;
    }
}

/// Rows k = first … first+depth-1 of a panel, (depth, 16) floats padded with zeros to whole blocks,
/// into the panel's bytes. `first` is a multiple of 128. Raises unsupported for a number that no
/// half can hold.
inline void pack_rows(const float* rows, kernels::format f, std::size_t first, std::size_t depth,
                      std::uint8_t* panel) {
    using kernels::format;
    constexpr std::size_t width = kernels::panel_width;
    if (f == format::f32) {
        std::memcpy(panel + first * width * sizeof(float), rows, depth * width * sizeof(float));
    } else if (f == format::f16) {
        auto* out = reinterpret_cast<std::uint16_t*>(panel) + first * width;
        for (std::size_t i = 0; i < depth * width; ++i) {
            out[i] = narrow_half(rows[i]);
            if ((out[i] & 0x7FFF) == 0x7C00)
                throw error(errc::unsupported, "a weight beyond 65504 cannot be kept as f16");
        }
    } else if (f == format::bf16) {
        auto* out = reinterpret_cast<std::uint16_t*>(panel) + first * width;
        for (std::size_t k = 0; k < depth; ++k)
            for (std::size_t i = 0; i < width; ++i)
                out[kernels::panel_index(f, k, i)] = narrow_bfloat(rows[k * width + i]);
    } else {
        const auto& set = kernels::best();
        const std::size_t step = kernels::block_depth(f);
        std::uint8_t* out = panel + first / step * kernels::block_bytes(f);
        for (std::size_t k = 0; k < depth; k += step, out += kernels::block_bytes(f))
            (f == format::int8 ? set.pack_int8 : set.pack_int4)(rows + k * width, out);
    }
}

template <class Scalar>
void pack_rows(const Scalar* rows, kernels::format, std::size_t first, std::size_t depth,
               std::uint8_t* panel) {
    std::memcpy(panel + first * panel_width * sizeof(Scalar), rows,
                depth * panel_width * sizeof(Scalar));
}

/// Reads stored rows a block at a time and packs them; each thread has its own block and tile.
template <class Scalar>
class packer {
public:
    packer(const stored_tensor& source, orientation stored, packed_matrix<Scalar>& packed)
        : source_(source), stored_(stored), packed_(packed) {}

    void run(thread_pool& pool) {
        // A block of inputs is whole blocks of every format; a block of outputs is whole panels.
        const std::size_t unit =
            stored_ == orientation::in_out ? kernels::whole_blocks(1) : panel_width;
        pool.run(source_.rows(), unit, [&](std::size_t first, std::size_t last, std::size_t) {
            const std::size_t step = std::max<std::size_t>(
                block_numbers / std::max<std::size_t>(source_.columns(), 1) / unit * unit, unit);
            for (std::size_t at = first; at < last; at += step) pack(at, std::min(step, last - at));
        });
    }

private:
    /// 1 MiB of floats, which stays in the caches between reading and packing.
    static constexpr std::size_t block_numbers = 1u << 18;

    void pack(std::size_t first, std::size_t count) {
        const auto columns = source_.columns();
        buffer<Scalar> block(count * columns);
        source_.read_rows<Scalar>(first, count, block.span());
        const cview<Scalar> rows(block.data(), count, columns);
        const bool inputs = stored_ == orientation::in_out;
        buffer<Scalar> tile(kernels::whole_blocks(inputs ? count : columns) * panel_width);
        if (inputs)
            for (std::size_t p = 0; p < panel_count(columns); ++p)
                pack_inputs(rows, first, p, tile.data());
        else
            for (std::size_t r = 0; r < count; r += panel_width)
                pack_outputs(rows.row_block(r, std::min(panel_width, count - r)),
                             (first + r) / panel_width, tile.data());
    }

    /// Inputs `first` … of panel p. Lanes of the tile that are no outputs keep what they held.
    void pack_inputs(cview<Scalar> rows, std::size_t first, std::size_t p, Scalar* tile) {
        const auto n = std::min(panel_width, rows.columns() - p * panel_width);
        for (std::size_t k = 0; k < rows.rows(); ++k)
            std::copy_n(&rows(k, p * panel_width), n, tile + k * panel_width);
        pack_rows(tile, packed_.stored(), first, rows.rows(), packed_.panel(p));
    }

    /// All inputs of panel p, whose outputs are the rows.
    void pack_outputs(cview<Scalar> rows, std::size_t p, Scalar* tile) {
        for (std::size_t k = 0; k < rows.columns(); ++k)
            for (std::size_t i = 0; i < rows.rows(); ++i) tile[k * panel_width + i] = rows(i, k);
        pack_rows(tile, packed_.stored(), 0, rows.columns(), packed_.panel(p));
    }

    const stored_tensor& source_;
    orientation stored_;
    packed_matrix<Scalar>& packed_;
};

/// A stored matrix, packed. What is stored by column is read as what it is, rows of the other
/// orientation. Raises what reading raises (truncated, not_finite), unsupported for
/// weights beyond what f16 holds.
template <class Scalar>
packed_matrix<Scalar> pack(const stored_tensor& source, orientation stored, storage wanted,
                           thread_pool* pool) {
    const bool by_input = stored == orientation::in_out;
    if (source.by_column()) return pack<Scalar>(source.transposed(), turned(stored), wanted, pool);
    const auto format =
        std::is_same_v<Scalar, float> ? format_of(source, stored, wanted) : kernels::format::f32;
    if constexpr (std::is_same_v<Scalar, float>)
        if (const auto* panels = source.panels();
            panels && panels->rows == stored && panels->format == format)
            return {format, by_input ? source.rows() : source.columns(),
                    by_input ? source.columns() : source.rows(), panels->data};
    packed_matrix<Scalar> packed(format, by_input ? source.rows() : source.columns(),
                                 by_input ? source.columns() : source.rows());
    thread_pool alone(1);
    if constexpr (std::is_same_v<Scalar, float>)
        if (kernels::in_blocks(format)) {
            pack_blocks(source, packed, pool ? *pool : alone);
            return packed;
        }
    packer<Scalar>(source, stored, packed).run(pool ? *pool : alone);
    return packed;
}

/// The number at row k of a panel, lane 0 … 15: what products use.
inline float packed_value(const std::uint8_t* panel, kernels::format f, std::size_t k,
                          std::size_t lane) {
    using kernels::format;
    if (kernels::in_blocks(f)) return block_value(panel, f, k, lane);
    constexpr std::size_t width = kernels::panel_width;
    const auto* halves = reinterpret_cast<const std::uint16_t*>(panel);
    const auto depth = kernels::block_depth(f), at = k % depth;
    const std::uint8_t* block = panel + k / depth * kernels::block_bytes(f);
    const std::uint8_t* weights = block + kernels::scale_bytes;
    switch (f) {
        default:
            break;
        case format::f16:
            return widened(half_bits{halves[kernels::panel_index(f, k, lane)]});
        case format::bf16:
            return widened(bfloat_bits{halves[kernels::panel_index(f, k, lane)]});
        case format::int8: {
            const int q = weights[(at / 4 * width + lane) * 4 + at % 4] - kernels::weight_offset;
            return static_cast<float>(q) * reinterpret_cast<const float*>(block)[lane];
        }
        case format::int4: {
            const std::uint8_t both = weights[(at / 8 * width + lane) * 4 + at % 4];
            const int q =
                kernels::int4_levels[at % 8 < 4 ? both & 15 : both >> 4] - kernels::weight_offset;
            const auto* scales = reinterpret_cast<const std::uint16_t*>(block);
            return static_cast<float>(q) *
                   widened(bfloat_bits{scales[at / kernels::group_depth(f) * width + lane]});
        }
    }
    return reinterpret_cast<const float*>(panel)[k * width + lane];
}

/// Column n of a packed matrix: (K).
template <class Scalar>
void unpack_column(const packed_matrix<Scalar>& packed, std::size_t n, Scalar* out) {
    const auto panels = packed.view();
    for (std::size_t k = 0; k < packed.depth(); ++k)
        if constexpr (std::is_same_v<Scalar, float>)
            out[k] =
                packed_value(panels.panel(n / panel_width), packed.stored(), k, n % panel_width);
        else
            out[k] = panels.row(k, n / panel_width)[n % panel_width];
}

/// A stored vector of `size` numbers, padded with zeros to a multiple of 16; `missing` in every
/// place when there is no such tensor.
template <class Scalar>
buffer<Scalar> read_vector(const stored_tensor* source, std::size_t size, Scalar missing) {
    buffer<Scalar> values(panel_count(size) * panel_width);
    if (source)
        source->read_rows<Scalar>(0, 1, values.span().first(size));
    else
        std::fill_n(values.data(), size, missing);
    return values;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
