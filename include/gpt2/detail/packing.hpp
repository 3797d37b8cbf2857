// From stored tensors to the memory a model computes with: matrices into panels, vectors into
// padded buffers. Tensors are read a block of rows at a time, so loading needs little more memory
// than the weights themselves.
//
// Before: tensor.hpp, weights.hpp. After: layers.hpp, whose constructors call this.
#pragma once

#include "../tensor.hpp"
#include "../weights.hpp"

#include <algorithm>
#include <cstddef>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// How a stored matrix relates to the product x·W that it serves.
enum class orientation {
    in_out,  ///< (K, N): rows are inputs, as Conv1D stores them
    out_in,  ///< (N, K): rows are outputs, as embeddings and nn.Linear store them
};

/// Numbers read from the source at a time: 1 MiB of floats, which stays in the caches between
/// reading and scattering.
inline constexpr std::size_t packing_block = 1u << 18;

/// A stored matrix as panels. Raises what reading raises: truncated, not_finite.
template <class Scalar>
panels<Scalar> pack(const stored_tensor& source, orientation stored) {
    const auto rows = source.rows(), columns = source.columns();
    const bool by_input = stored == orientation::in_out;
    panels<Scalar> packed(by_input ? rows : columns, by_input ? columns : rows);
    const panel_view<Scalar> target = packed;

    // Whole panels of outputs at a time where rows are outputs, so that panels fill one by one.
    const auto fitting =
        std::max<std::size_t>(packing_block / std::max<std::size_t>(columns, 1), 1);
    const auto step = std::min(rows, by_input ? fitting : panel_count(fitting) * panel_width);
    buffer<Scalar> block(step * columns);
    for (std::size_t first = 0; first < rows; first += step) {
        const auto count = std::min(step, rows - first);
        source.read_rows<Scalar>(first, count, block.span().first(count * columns));
        const view<const Scalar> from(block.data(), count, columns);
        for (std::size_t r = 0; r < count; ++r) {
            if (by_input)
                for (std::size_t n = 0; n < columns; n += panel_width)
                    std::copy_n(&from(r, n), std::min(panel_width, columns - n),
                                &target(first + r, n));
            else
                for (std::size_t k = 0; k < columns; ++k) target(k, first + r) = from(r, k);
        }
    }
    return packed;
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
