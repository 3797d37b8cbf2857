// One named, shaped tensor that still lies in its file.
//
// A tensor is a view: it may lie column after column, as nn.Linear and GGUF keep their matrices, or
// with strides of its own, as PyTorch's slices do; turning or cutting one copies nothing. Values
// are read row by row, widened to the scalar of the model and checked to be finite.
//
// Before: dtype.hpp, detail/byte_source.hpp, detail/strided.hpp. Next: weights.hpp.
#pragma once

#include "dtype.hpp"
#include "error.hpp"
#include "detail/byte_source.hpp"
#include "detail/checked.hpp"
#include "detail/gguf_blocks.hpp"
#include "detail/kernels/panel.hpp"
#include "detail/strided.hpp"
#include "detail/widen.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// `(768, 2304)`; `()` for a scalar.
[[gnu::cold]] inline std::string shown_shape(std::span<const std::size_t> shape) {
    std::string out = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i != 0) out += ", ";
        phrase(shape[i]).append_to(out);
    }
    return out + ")";
}

/// A tensor's name for messages: as it is when it is plain, escaped and cut otherwise.
[[gnu::cold]] inline std::string shown_name(std::string_view name) {
    const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; };
    if (!name.empty() && name.size() <= 80 && all_bytes(name, plain)) return std::string(name);
    return detail::printable(name);
}

}  // namespace detail

namespace detail {

/// How a stored matrix relates to the product x·W that it serves.
enum class orientation {
    in_out,  ///< (K, N): rows are inputs, as Conv1D stores them
    out_in,  ///< (N, K): rows are outputs, as embeddings and nn.Linear store them
};

constexpr orientation turned(orientation rows) {
    return rows == orientation::in_out ? orientation::out_in : orientation::in_out;
}

/// A matrix that lies in memory as products want it, in panels (detail/kernels/panel.hpp).
struct stored_panels {
    kernels::format format;
    orientation rows;                       ///< of the tensor
    std::size_t stride;                     ///< bytes from panel to panel
    std::shared_ptr<const std::byte> data;  ///< the first panel, as long as this lives
    /// Writes one row of the tensor.
    void (*read_row)(const stored_panels&, std::size_t row, std::span<float> out);
};

}  // namespace detail

/// One tensor, still in its file: row after row, by_column(), or a view with strides. Cheap to
/// copy; threads may share it.
class stored_tensor {
public:
    /// Throws errc::bad_weights when the shape's product does not fit, its bits are no whole bytes
    /// or its rows (the last dimension) no whole blocks, errc::truncated when the values at
    /// `offset` reach beyond the end of `source`.
    stored_tensor(std::string name, dtype type, std::vector<std::size_t> shape,
                  std::shared_ptr<const detail::byte_source> source, std::uint64_t offset);

    /// A matrix in panels, all of which must be there; `type` says what they are made of.
    stored_tensor(std::string name, dtype type, std::vector<std::size_t> shape,
                  std::shared_ptr<const detail::byte_source> source,
                  std::shared_ptr<const detail::stored_panels> panels)
        : name_(std::move(name)),
          shape_(std::move(shape)),
          source_(std::move(source)),
          panels_(std::move(panels)),
          size_(shape_.at(0) * shape_.at(1)),
          type_(type) {
        const auto outputs = shape_[panels_->rows == detail::orientation::in_out ? 1 : 0];
        bytes_ = std::uint64_t{(outputs + detail::kernels::panel_width - 1) /
                               detail::kernels::panel_width} *
                 panels_->stride;
    }

    const std::string& name() const noexcept { return name_; }
    dtype type() const noexcept { return type_; }
    std::span<const std::size_t> shape() const noexcept { return shape_; }
    std::size_t size() const noexcept { return size_; }                   ///< values
    std::uint64_t bytes() const noexcept { return bytes_; }               ///< as stored
    const std::string& file() const noexcept { return source_->name(); }  ///< for messages

    /// As a matrix: (n) is one row of n, (r, c, …) is r rows of c · …, a scalar is 1 × 1.
    std::size_t rows() const noexcept { return shape_.size() < 2 ? 1 : shape_.front(); }
    std::size_t columns() const noexcept { return rows() == 0 ? 0 : size_ / rows(); }

    /// The panels of a matrix that is kept in them, else null.
    const detail::stored_panels* panels() const noexcept { return panels_.get(); }

    /// Whether column after column is stored, as nn.Linear and GGUF keep what Conv1D keeps row
    /// after row. Such a matrix is read best as its transposed().
    bool by_column() const noexcept { return by_column_; }

    /// Rows [first, first + count) into `out`, row-major, count · columns() values; f16, bf16,
    /// f32 and blocks widen exactly, f64 is rounded to Scalar. Memory beyond `out` is bounded
    /// (64 KiB); by_column() takes one column more and reads all columns at each call.
    /// Throws errc::invalid_argument (rows or size of `out`), errc::unsupported (not a float type),
    /// errc::not_finite naming the first NaN or infinity (an f64 beyond float too),
    /// errc::truncated, errc::read_failed.
    template <class Scalar>
    void read_rows(std::size_t first, std::size_t count, std::span<Scalar> out) const;

    /// Rows [first, first + count) as the blocks they are stored in, count · columns() /
    /// Block::values of them. Throws what read_rows does, and errc::invalid_argument for blocks of
    /// another type or a tensor that is by_column().
    template <detail::value_block Block>
    void read_blocks(std::size_t first, std::size_t count, std::span<Block> out) const;

    /// The bytes from `first` on as they are stored, values unchecked: as many as `out` takes.
    /// Throws errc::invalid_argument beyond bytes() and for a view with gaps, errc::truncated,
    /// errc::read_failed.
    void read_stored(std::uint64_t first, std::span<std::byte> out) const {
        if (!strides_.empty() || panels_ || first > bytes_ || out.size() > bytes_ - first)
            detail::fail(errc::invalid_argument, detail::shown_name(name_),
                         {"a part of ", bytes_, " bytes without gaps"},
                         {out.size(), " bytes from ", first, " on"});
        source_->read(offset_ + first, out);
    }

    /// The same tensor under another name.
    stored_tensor renamed(std::string name) && {
        name_ = std::move(name);
        return std::move(*this);
    }

    /// The same values in their order under another shape. Throws errc::bad_weights when that holds
    /// another number of them, or when they do not lie row after row.
    stored_tensor reshaped(std::vector<std::size_t> shape) &&;

    /// The same shape over values that lie `strides` apart, one number for each dimension. Throws
    /// errc::bad_weights when two places of the view must share a value or the values lie in
    /// blocks, errc::truncated when the last one lies beyond the source.
    stored_tensor strided(std::vector<std::size_t> strides) &&;

    /// A matrix (r, c) seen as (c, r). Throws errc::bad_weights for anything else. O(1).
    stored_tensor transposed() const;

    /// The first `count` rows of a tensor of rank 2 or more that lies row after row; padding behind
    /// them is never read. Throws errc::wrong_shape.
    stored_tensor first_rows(std::size_t count) const;

private:
    template <class Stored, class Scalar>
    void read_as(std::size_t first, std::size_t count, std::span<Scalar> out) const;
    template <class Stored, class Scalar>
    void widen(std::size_t first, std::span<Scalar> out) const;

    template <class Scalar>
    void read_panels(std::size_t first, std::size_t count, std::span<Scalar> out) const;

    template <class Scalar>
    void read_across(std::size_t first, std::size_t count, std::span<Scalar> out) const;

    template <class Scalar>
    [[noreturn, gnu::noinline, gnu::cold]] void fail_not_finite(
        std::size_t begin, std::span<const Scalar> values) const;

    std::string name_;
    std::vector<std::size_t> shape_;
    std::vector<std::size_t> strides_;  // empty: one value after another
    std::shared_ptr<const detail::byte_source> source_;
    std::shared_ptr<const detail::stored_panels> panels_;
    std::uint64_t offset_ = 0;
    std::uint64_t bytes_ = 0;
    std::size_t size_ = 0;
    dtype type_ = dtype::f32;
    bool by_column_ = false;
};

[[gnu::cold]] inline stored_tensor::stored_tensor(std::string name, dtype type,
                                                  std::vector<std::size_t> shape,
                                                  std::shared_ptr<const detail::byte_source> source,
                                                  std::uint64_t offset)
    : name_(std::move(name)),
      shape_(std::move(shape)),
      source_(std::move(source)),
      offset_(offset),
      type_(type) {
    const auto size = detail::checked_product<std::size_t>(shape_);
    const std::size_t block = block_values(type_);
    if (block > 1 && (shape_.empty() || shape_.back() % block != 0))
        detail::fail(errc::bad_weights, detail::shown_name(name_),
                     {"rows of whole blocks of ", block, " values (", gpt2::name(type_), ")"},
                     detail::shown_shape(shape_));
    const auto stored_bits =
        size ? detail::checked_multiply<std::uint64_t>(*size / block, bits(type_)) : std::nullopt;
    if (!stored_bits)
        detail::fail(errc::bad_weights, detail::shown_name(name_), "a size that fits 64 bits",
                     detail::shown_shape(shape_));
    if (*stored_bits % 8 != 0)
        detail::fail(errc::bad_weights, detail::shown_name(name_), "whole bytes",
                     {*stored_bits, " bits"});
    size_ = *size;
    bytes_ = *stored_bits / 8;
    const auto end = detail::checked_add(offset_, bytes_);
    if (!end || *end > source_->size())
        detail::fail(errc::truncated, {source_->name(), ": ", detail::shown_name(name_)},
                     {bytes_, " bytes at offset ", offset_},
                     {"an end after ", source_->size(), " bytes"});
}

[[gnu::cold]] inline stored_tensor stored_tensor::reshaped(std::vector<std::size_t> shape) && {
    if (detail::checked_product<std::size_t>(shape) != size_ || by_column_ || !strides_.empty() ||
        panels_)
        detail::fail(errc::bad_weights, detail::shown_name(name_),
                     {"a shape of ", size_, " values, row after row"}, detail::shown_shape(shape));
    shape_ = std::move(shape);
    return std::move(*this);
}

[[gnu::cold]] inline stored_tensor stored_tensor::strided(std::vector<std::size_t> strides) && {
    const detail::strided_shape view{shape_, strides};
    const bool plain = strides.size() == shape_.size() && block_values(type_) == 1 && !panels_;
    const auto reach = plain ? detail::reach(view) : std::nullopt;
    const auto end =
        reach ? detail::checked_multiply<std::uint64_t>(*reach, bits(type_) / 8) : std::nullopt;
    if (!reach || !end || *reach < size_)
        detail::fail(errc::bad_weights, detail::shown_name(name_),
                     {"strides for ", detail::shown_shape(shape_), " that share no value"},
                     detail::shown_shape(strides));
    if (*end > source_->size() - offset_)
        detail::fail(errc::truncated, {source_->name(), ": ", detail::shown_name(name_)},
                     {*end, " bytes at offset ", offset_},
                     {"an end after ", source_->size(), " bytes"});
    by_column_ = shape_.size() == 2 && strides[0] == 1 && strides[1] == shape_[0];
    if (detail::is_row_major(view)) by_column_ = false;
    strides_.clear();
    if (!by_column_ && !detail::is_row_major(view)) strides_ = std::move(strides);
    return std::move(*this);
}

[[gnu::cold]] inline stored_tensor stored_tensor::transposed() const {
    if (shape_.size() != 2)
        detail::fail(errc::bad_weights, detail::shown_name(name_), "a matrix",
                     detail::shown_shape(shape_));
    stored_tensor other = *this;
    std::reverse(other.shape_.begin(), other.shape_.end());
    std::reverse(other.strides_.begin(), other.strides_.end());
    other.by_column_ = strides_.empty() && !panels_ && !by_column_;
    if (panels_) {
        auto turned = std::make_shared<detail::stored_panels>(*panels_);
        turned->rows = detail::turned(turned->rows);
        other.panels_ = std::move(turned);
    }
    return other;
}

[[gnu::cold]] inline stored_tensor stored_tensor::first_rows(std::size_t count) const {
    if (shape_.size() < 2 || count > shape_[0] || by_column_ || panels_)
        detail::fail(errc::wrong_shape, detail::shown_name(name_), {count, " rows or more"},
                     detail::shown_shape(shape_));
    stored_tensor part = *this;
    part.size_ = count * columns();
    part.shape_[0] = count;
    part.bytes_ = std::uint64_t{part.size_} / block_values(type_) * bits(type_) / 8;
    return part;
}

template <class Scalar>
void stored_tensor::read_rows(std::size_t first, std::size_t count, std::span<Scalar> out) const {
    static_assert(std::is_floating_point_v<Scalar>, "weights are read as float or double");
    if (first > rows() || count > rows() - first || out.size() != count * columns())
        detail::fail(errc::invalid_argument, detail::shown_name(name_),
                     {"rows within ", rows(), " and room for them"},
                     {count, " from row ", first, " on and room for ", out.size(), " values"});
    if (panels_) return read_panels(first, count, out);
    if (by_column_) return read_across(first, count, out);
    switch (type_) {
        case dtype::f64:
            return read_as<double>(first, count, out);
        case dtype::f32:
            return read_as<float>(first, count, out);
        case dtype::f16:
            return read_as<detail::half_bits>(first, count, out);
        case dtype::bf16:
            return read_as<detail::bfloat_bits>(first, count, out);
        case dtype::q8_0:
            return read_as<detail::q8_0_block>(first, count, out);
        case dtype::q4_0:
            return read_as<detail::q4_0_block>(first, count, out);
        case dtype::q4_1:
            return read_as<detail::q4_1_block>(first, count, out);
        case dtype::q5_0:
            return read_as<detail::q5_0_block>(first, count, out);
        case dtype::q5_1:
            return read_as<detail::q5_1_block>(first, count, out);
        case dtype::q4_k:
            return read_as<detail::q4_k_block>(first, count, out);
        case dtype::q5_k:
            return read_as<detail::q5_k_block>(first, count, out);
        case dtype::q6_k:
            return read_as<detail::q6_k_block>(first, count, out);
        default:
            detail::fail(errc::unsupported, detail::shown_name(name_), "a type of floats",
                         gpt2::name(type_));
    }
}

template <detail::value_block Block>
void stored_tensor::read_blocks(std::size_t first, std::size_t count, std::span<Block> out) const {
    const std::size_t each = columns() / Block::values;
    if (first > rows() || count > rows() - first || out.size() != count * each || by_column_ ||
        panels_ || bits(type_) != 8 * sizeof(Block))
        detail::fail(errc::invalid_argument, detail::shown_name(name_),
                     {"rows of blocks within ", rows(), " and room for them"},
                     {count, " from row ", first, " on and room for ", out.size(), " blocks"});
    source_->read(offset_ + std::uint64_t{first} * each * sizeof(Block),
                  std::as_writable_bytes(out));
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (out[i].finite()) continue;
        std::vector<float> row(columns());
        read_rows<float>(first + i / each, 1, row);  // says which value it is
    }
}

template <class Stored, class Scalar>
void stored_tensor::read_as(std::size_t first, std::size_t count, std::span<Scalar> out) const {
    if constexpr (detail::values_in<Stored> == 1) {
        if (!strides_.empty() && count > 0) {
            auto extents = shape_;
            std::uint64_t skipped = 0;
            if (shape_.size() >= 2) {
                extents[0] = count;
                skipped = std::uint64_t{first} * strides_[0];
            }
            detail::gather<Stored>(*source_, offset_ + skipped * sizeof(Stored),
                                   {extents, strides_}, out);
            if (!detail::all_finite(std::span<const Scalar>(out)))
                fail_not_finite(first * columns(), std::span<const Scalar>(out));
            return;
        }
    }
    widen<Stored>(first * columns(), out);
}

/// Values from `first` on, whole blocks, through a small staging buffer, or straight into `out`
/// when stored and wanted types agree.
template <class Stored, class Scalar>
void stored_tensor::widen(std::size_t first, std::span<Scalar> out) const {
    constexpr std::size_t each = detail::values_in<Stored>;
    constexpr std::size_t step = (std::size_t{64} << 10) / sizeof(Stored) * each;
    std::vector<Stored> staging(std::is_same_v<Stored, Scalar> ? 0
                                                               : std::min(step, out.size()) / each);
    for (std::size_t done = 0; done < out.size(); done += step) {
        const auto part = out.subspan(done, std::min(step, out.size() - done));
        const std::uint64_t from = offset_ + std::uint64_t{(first + done) / each} * sizeof(Stored);
        if constexpr (std::is_same_v<Stored, Scalar>) {
            source_->read(from, std::as_writable_bytes(part));
        } else {
            const auto raw = std::span(staging).first(part.size() / each);
            source_->read(from, std::as_writable_bytes(raw));
            detail::widen(std::span<const Stored>(raw), part);
        }
        if (!detail::all_finite(std::span<const Scalar>(part)))
            fail_not_finite(first + done, std::span<const Scalar>(part));
    }
}

template <class Scalar>
void stored_tensor::read_panels(std::size_t first, std::size_t count, std::span<Scalar> out) const {
    std::vector<float> row(columns());
    for (std::size_t r = 0; r < count; ++r) {
        panels_->read_row(*panels_, first + r, row);
        if (!detail::all_finite(std::span<const float>(row)))
            fail_not_finite((first + r) * columns(), std::span<const float>(row));
        std::copy(row.begin(), row.end(), out.begin() + static_cast<std::ptrdiff_t>(r * columns()));
    }
}

/// Rows of a matrix stored by column: a piece of every column.
template <class Scalar>
void stored_tensor::read_across(std::size_t first, std::size_t count, std::span<Scalar> out) const {
    const stored_tensor stored = transposed();
    std::vector<Scalar> column(rows());
    for (std::size_t c = 0; c < columns(); ++c) {
        stored.read_rows<Scalar>(c, 1, column);
        for (std::size_t r = 0; r < count; ++r) out[r * columns() + c] = column[first + r];
    }
}

template <class Scalar>
void stored_tensor::fail_not_finite(std::size_t begin, std::span<const Scalar> values) const {
    std::size_t i = 0;
    while (detail::all_finite(values.subspan(i, 1))) ++i;
    const std::size_t at = begin + i;
    detail::fail(errc::not_finite, detail::shown_name(name_), "finite numbers",
                 {values[i] != values[i] ? "NaN" : "infinity", " at row ", at / columns(),
                  ", column ", at % columns()});
}

namespace detail {

/// Whether two matrices of one shape hold the same numbers, as Scalar. Throws what reading throws.
template <class Scalar>
bool same_numbers(const stored_tensor& a, const stored_tensor& b) {
    constexpr std::size_t most = std::size_t{1} << 18;  // numbers read at once
    const std::size_t step = std::max<std::size_t>(most / std::max<std::size_t>(a.columns(), 1), 1);
    std::vector<Scalar> left, right;
    for (std::size_t row = 0; row < a.rows(); row += step) {
        const std::size_t count = std::min(step, a.rows() - row);
        left.resize(count * a.columns());
        right.resize(count * a.columns());
        a.read_rows<Scalar>(row, count, left);
        b.read_rows<Scalar>(row, count, right);
        if (left != right) return false;
    }
    return true;
}

}  // namespace detail
/// A tensor of one's own numbers, of which it keeps a copy: row after row, as many as the shape
/// has. Raises wrong_shape.
inline stored_tensor own_tensor(std::string name, std::vector<std::size_t> shape,
                                std::span<const float> values) {
    const auto size = detail::checked_product(std::span<const std::size_t>(shape));
    if (size != values.size())
        detail::fail(errc::wrong_shape, detail::shown_name(name),
                     {"the numbers of ", detail::shown_shape(shape)}, values.size());
    const auto bytes = std::as_bytes(values);
    auto source = std::make_shared<const detail::memory_source>(
        "memory", std::vector<std::byte>(bytes.begin(), bytes.end()));
    return {std::move(name), dtype::f32, std::move(shape), std::move(source), 0};
}

}  // namespace gpt2::inline GPT2_ABI
