// Memory and its shape: an owning aligned `buffer`, row-major `view`s into it, and `panels`, the
// form in which matrices are multiplied. The only header that includes Eigen, and no Eigen type
// owns memory or appears in a public type: `eigen(view)` maps one for the length of an expression.
//
// Before: error.hpp. After: ops.hpp, the mathematics on views.
#pragma once

#include "detail/kernels/panel.hpp"
#include "error.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

namespace gpt2::inline GPT2_ABI {

/// Zero-filled memory for `size` numbers, aligned to 64 bytes, that it alone owns. Pages are taken
/// from the system as they are first touched. Raises out_of_memory.
template <class T>
class buffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    static constexpr std::size_t alignment = 64;

    buffer() = default;

    explicit buffer(std::size_t size) : size_(size) {
        if (size == 0) return;
        if (size > (std::numeric_limits<std::ptrdiff_t>::max() - alignment) / sizeof(T))
            throw error(errc::out_of_memory, "a buffer larger than any address space");
        void* start = std::calloc(size * sizeof(T) + alignment, 1);
        if (!start)
            throw error(errc::out_of_memory,
                        "no memory for a buffer of " + std::to_string(size * sizeof(T)) + " bytes");
        memory_.reset(start);
        std::size_t room = size * sizeof(T) + alignment;
        data_ = static_cast<T*>(std::align(alignment, size * sizeof(T), start, room));
    }

    buffer(buffer&& other) noexcept { swap(other); }
    buffer& operator=(buffer&& other) noexcept {
        buffer(std::move(other)).swap(*this);
        return *this;
    }

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::span<T> span() { return {data_, size_}; }
    std::span<const T> span() const { return {data_, size_}; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }

private:
    struct release {
        void operator()(void* start) const { std::free(start); }
    };

    void swap(buffer& other) noexcept {
        memory_.swap(other.memory_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }

    std::unique_ptr<void, release> memory_;
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// A (rows, columns) matrix that lies elsewhere, row-major, rows `stride` elements apart.
template <class T>
class view {
public:
    view() = default;
    view(T* data, std::size_t rows, std::size_t columns) : view(data, rows, columns, columns) {}
    view(T* data, std::size_t rows, std::size_t columns, std::size_t stride)
        : data_(data), rows_(rows), columns_(columns), stride_(stride) {}

    operator view<const T>() const { return {data_, rows_, columns_, stride_}; }

    T* data() const { return data_; }
    std::size_t rows() const { return rows_; }
    std::size_t columns() const { return columns_; }
    std::size_t stride() const { return stride_; }

    T& operator()(std::size_t row, std::size_t column) const {
        return data_[row * stride_ + column];
    }
    std::span<T> row(std::size_t i) const { return {data_ + i * stride_, columns_}; }

    /// Rows first … first+count-1: (count, columns).
    view row_block(std::size_t first, std::size_t count) const {
        return {data_ + first * stride_, count, columns_, stride_};
    }
    /// Columns first … first+count-1: (rows, count).
    view column_block(std::size_t first, std::size_t count) const {
        return {data_ + first, rows_, count, stride_};
    }

private:
    T* data_ = nullptr;
    std::size_t rows_ = 0, columns_ = 0, stride_ = 0;
};

template <class T>
using cview = view<const T>;

/// The Eigen expression over a view, writable when the view is.
template <class T>
auto eigen(view<T> v) {
    using matrix =
        Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using mapped = std::conditional_t<std::is_const_v<T>, const matrix, matrix>;
    const auto index = [](std::size_t n) { return static_cast<Eigen::Index>(n); };
    return Eigen::Map<mapped, Eigen::Unaligned, Eigen::OuterStride<>>(
        v.data(), index(v.rows()), index(v.columns()), Eigen::OuterStride<>(index(v.stride())));
}

/// The Eigen expression over a row of numbers, as an array.
template <class T>
auto eigen(std::span<T> row) {
    using array = Eigen::Array<std::remove_const_t<T>, 1, Eigen::Dynamic>;
    using mapped = std::conditional_t<std::is_const_v<T>, const array, array>;
    return Eigen::Map<mapped>(row.data(), static_cast<Eigen::Index>(row.size()));
}

using detail::kernels::panel_width;

/// How many panels hold n columns.
constexpr std::size_t panel_count(std::size_t n) { return (n + panel_width - 1) / panel_width; }

/// A (K, N) matrix as panels of 16 columns, [N/16][K][16], that lies elsewhere. Columns beyond N in
/// the last panel hold anything.
template <class T>
class panel_view {
public:
    panel_view(T* data, std::size_t depth, std::size_t columns, std::size_t panel_stride)
        : data_(data), depth_(depth), columns_(columns), panel_stride_(panel_stride) {}

    operator panel_view<const T>() const { return {data_, depth_, columns_, panel_stride_}; }

    T* data() const { return data_; }
    std::size_t depth() const { return depth_; }                ///< K
    std::size_t columns() const { return columns_; }            ///< N
    std::size_t panel_stride() const { return panel_stride_; }  ///< elements between panels

    T& operator()(std::size_t k, std::size_t n) const {
        return data_[n / panel_width * panel_stride_ + k * panel_width + n % panel_width];
    }
    /// Panel p as a (K, 16) matrix.
    view<T> panel(std::size_t p) const { return {data_ + p * panel_stride_, depth_, panel_width}; }
    /// The first k rows of every panel: (k, N).
    panel_view first_rows(std::size_t k) const { return {data_, k, columns_, panel_stride_}; }
    /// The first n columns: (K, n).
    panel_view first_columns(std::size_t n) const { return {data_, depth_, n, panel_stride_}; }

private:
    T* data_;
    std::size_t depth_, columns_, panel_stride_;
};

/// A (K, N) matrix as panels, in memory of its own.
template <class Scalar>
class panels {
public:
    panels() = default;
    panels(std::size_t depth, std::size_t columns)
        : depth_(depth), columns_(columns), memory_(panel_count(columns) * depth * panel_width) {}

    operator panel_view<Scalar>() { return {memory_.data(), depth_, columns_, stride()}; }
    operator panel_view<const Scalar>() const {
        return {memory_.data(), depth_, columns_, stride()};
    }

    std::size_t depth() const { return depth_; }
    std::size_t columns() const { return columns_; }
    std::size_t bytes() const { return memory_.size() * sizeof(Scalar); }

private:
    std::size_t stride() const { return depth_ * panel_width; }

    std::size_t depth_ = 0, columns_ = 0;
    buffer<Scalar> memory_;
};

}  // namespace gpt2::inline GPT2_ABI
