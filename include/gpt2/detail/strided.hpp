// Values that do not lie row by row: transposed views, slices, whatever strides a file states.
//
// A view is a shape and, for each dimension, how many values lie between neighbours. Reading one
// takes runs along the dimension whose neighbours are closest, through a buffer of 64 KiB.
//
// Before: detail/byte_source.hpp, detail/widen.hpp. Used by: weights.hpp.
#pragma once

#include "byte_source.hpp"
#include "checked.hpp"
#include "widen.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Both of one length.
struct strided_shape {
    std::span<const std::size_t> extents;
    std::span<const std::size_t> strides;
};

/// Values from the first to the last one inclusive: 0 for an empty view, nothing when that does not
/// fit 64 bits.
inline std::optional<std::uint64_t> reach(strided_shape view) {
    std::optional<std::uint64_t> last = 0;
    for (std::size_t d = 0; d < view.extents.size(); ++d) {
        if (view.extents[d] == 0) return 0;
        const auto step = checked_multiply<std::uint64_t>(view.extents[d] - 1, view.strides[d]);
        last = step ? checked_add(*last, *step) : std::nullopt;
        if (!last) return std::nullopt;
    }
    return checked_add<std::uint64_t>(*last, 1);
}

/// Whether the values lie row by row without a gap; a dimension of 1 may state any stride.
inline bool is_row_major(strided_shape view) {
    std::size_t expected = 1;
    for (std::size_t d = view.extents.size(); d-- > 0;) {
        if (view.extents[d] == 0) return true;
        if (view.extents[d] != 1 && view.strides[d] != expected) return false;
        expected *= view.extents[d];
    }
    return true;
}

/// The values of a view whose first one lies at byte `offset`, row-major into `out`, as many as the
/// view has; rank 1 or more. Throws errc::truncated, errc::read_failed.
template <class Stored, class Scalar>
void gather(const byte_source& file, std::uint64_t offset, strided_shape view,
            std::span<Scalar> out) {
    if (out.empty()) return;
    const auto [extents, strides] = view;
    const std::size_t rank = extents.size();
    std::size_t run = 0;
    for (std::size_t d = 1; d < rank; ++d)
        if (extents[d] > 1 && (extents[run] == 1 || strides[d] < strides[run])) run = d;
    std::vector<std::size_t> steps(rank, 1), at(rank, 0);  // in `out`; the current run
    for (std::size_t d = rank - 1; d > 0; --d) steps[d - 1] = steps[d] * extents[d];

    constexpr std::size_t most = (std::size_t{64} << 10) / sizeof(Stored);
    const std::size_t stride = strides[run], length = extents[run];
    const std::size_t at_once =
        std::min(length, stride == 0 ? most : (most - 1) / stride + 1);  // values taken per read
    std::vector<Stored> staging((at_once - 1) * stride + 1);
    for (bool more = true; more;) {
        std::uint64_t from = 0;
        std::size_t to = 0;
        for (std::size_t d = 0; d < rank; ++d) {
            from += std::uint64_t{at[d]} * strides[d];
            to += at[d] * steps[d];
        }
        for (std::size_t i = 0; i < length; i += at_once) {
            const std::size_t n = std::min(at_once, length - i);
            const auto window = std::span(staging).first((n - 1) * stride + 1);
            file.read(offset + (from + std::uint64_t{i} * stride) * sizeof(Stored),
                      std::as_writable_bytes(window));
            for (std::size_t k = 0; k < n; ++k)
                out[to + (i + k) * steps[run]] = static_cast<Scalar>(widened(window[k * stride]));
        }
        more = false;
        for (std::size_t d = rank; d-- > 0 && !more;) {
            if (d == run) continue;
            more = ++at[d] < extents[d];
            if (!more) at[d] = 0;
        }
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
