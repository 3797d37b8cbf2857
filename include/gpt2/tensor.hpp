// Memory and its shape: an owning aligned `buffer`, row-major `view`s into it, and panels, the
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
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gpt2::inline GPT2_ABI {

/// How memory will be used.
enum class memory_use {
    sparse,  ///< perhaps never touched in parts; pages are taken from the system at the first touch
    dense,   ///< filled whole and read in order: large pages where the system has them
};

namespace detail {

/// Zero-filled memory for a buffer. Raises out_of_memory.
class memory_block {
public:
    static constexpr std::size_t alignment = 64;

    memory_block() = default;
    memory_block(std::size_t bytes, memory_use use) {
        if (bytes > std::numeric_limits<std::ptrdiff_t>::max() - large_page)
            throw error(errc::out_of_memory, "a buffer larger than any address space");
        // The heap would fill what it has used before with zeros, whether touched later or not.
        if (bytes >= 2 * large_page) map_large(bytes);
        if (!start_) start_ = data_ = std::calloc(bytes + alignment, 1);
        if (!start_)
            throw error(errc::out_of_memory,
                        "no memory for a buffer of " + std::to_string(bytes) + " bytes");
        std::size_t room = mapped_ ? mapped_ : bytes + alignment;
        std::align(mapped_ ? large_page : alignment, bytes, data_, room);
#if defined(__linux__)
        // Whole large pages only: the last one would take memory that nobody asked for.
        if (mapped_ && use == memory_use::dense)
            ::madvise(data_, bytes / large_page * large_page, MADV_HUGEPAGE);
#endif
    }
    memory_block(memory_block&& other) noexcept { swap(other); }
    memory_block& operator=(memory_block&& other) noexcept {
        memory_block(std::move(other)).swap(*this);
        return *this;
    }
    ~memory_block() {
#if defined(__linux__)
        if (mapped_) {
            ::munmap(start_, mapped_);
            return;
        }
#endif
        std::free(start_);
    }

    void* data() const { return data_; }

private:
    static constexpr std::size_t large_page = std::size_t{2} << 20;

    /// A mapping of its own that begins at a large page; nothing where that is refused.
    void map_large([[maybe_unused]] std::size_t bytes) {
#if defined(__linux__)
        const std::size_t size = bytes + large_page;
        void* const memory =
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        start_ = data_ = memory;
        mapped_ = size;
#endif
    }

    void swap(memory_block& other) noexcept {
        std::swap(start_, other.start_);
        std::swap(data_, other.data_);
        std::swap(mapped_, other.mapped_);
    }

    void* start_ = nullptr;
    void* data_ = nullptr;
    std::size_t mapped_ = 0;  // bytes of a mapping; 0 for memory of the heap
};

}  // namespace detail

/// Zero-filled memory for `size` numbers, aligned to 64 bytes, that it alone owns. Raises
/// out_of_memory.
template <class T>
class buffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    static constexpr std::size_t alignment = detail::memory_block::alignment;

    buffer() = default;

    explicit buffer(std::size_t size, memory_use use = memory_use::sparse) : size_(size) {
        if (size == 0) return;
        const auto most = std::numeric_limits<std::size_t>::max() / sizeof(T);
        memory_ = detail::memory_block(
            size > most ? std::numeric_limits<std::size_t>::max() : size * sizeof(T), use);
    }

    buffer(buffer&& other) noexcept
        : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
    buffer& operator=(buffer&& other) noexcept {
        memory_ = std::move(other.memory_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    T* data() { return static_cast<T*>(memory_.data()); }
    const T* data() const { return static_cast<const T*>(memory_.data()); }
    std::size_t size() const { return size_; }
    std::span<T> span() { return {data(), size_}; }
    std::span<const T> span() const { return {data(), size_}; }
    T& operator[](std::size_t i) { return data()[i]; }
    const T& operator[](std::size_t i) const { return data()[i]; }

private:
    detail::memory_block memory_;
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

/// Bytes of a panel of depth k; for other scalars than float, f32 stands for the scalar itself.
template <class Scalar>
constexpr std::size_t panel_bytes(detail::kernels::format stored, std::size_t k) {
    return std::is_same_v<Scalar, float> ? detail::kernels::panel_bytes(stored, k)
                                         : k * panel_width * sizeof(Scalar);
}

/// A (K, N) matrix in panels of 16 columns that lies elsewhere, in a format of
/// detail/kernels/panel.hpp; for other scalars than float, f32 stands for the scalar itself.
template <class Scalar>
class panel_view {
public:
    using format = detail::kernels::format;

    panel_view(const void* data, format stored, std::size_t panel_stride, std::size_t depth,
               std::size_t columns)
        : data_(static_cast<const std::uint8_t*>(data)),
          format_(stored),
          panel_stride_(panel_stride),
          depth_(depth),
          columns_(columns) {}

    format stored() const { return format_; }
    std::size_t panel_stride() const { return panel_stride_; }  ///< bytes
    std::size_t depth() const { return depth_; }                ///< K
    std::size_t columns() const { return columns_; }            ///< N

    const std::uint8_t* panel(std::size_t p) const { return data_ + p * panel_stride_; }
    /// Row k of a panel of scalars, 16 of them.
    const Scalar* row(std::size_t k, std::size_t p) const {
        return reinterpret_cast<const Scalar*>(panel(p)) + k * panel_width;
    }

private:
    const std::uint8_t* data_;
    format format_;
    std::size_t panel_stride_, depth_, columns_;
};

/// Bytes from panel to panel: an odd number of cache lines. Panels are read side by side, and a
/// power of two apart they would fall into the same few sets of a cache.
template <class Scalar>
constexpr std::size_t panel_stride(detail::kernels::format stored, std::size_t depth) {
    return ((panel_bytes<Scalar>(stored, depth) + 63) / 64 | 1) * 64;
}

/// A (K, N) matrix packed for products, in memory of its own or in a file that is mapped.
template <class Scalar>
class packed_matrix {
public:
    using format = detail::kernels::format;

    packed_matrix() = default;
    /// Every format but f32 is for `float` alone. Raises out_of_memory.
    packed_matrix(format stored, std::size_t depth, std::size_t columns)
        : depth_(depth),
          columns_(columns),
          format_(stored),
          memory_(panel_count(columns) * stride(), memory_use::dense) {}
    /// Panels that lie elsewhere, panel_stride apart.
    packed_matrix(format stored, std::size_t depth, std::size_t columns,
                  std::shared_ptr<const std::byte> panels)
        : depth_(depth), columns_(columns), format_(stored), elsewhere_(std::move(panels)) {}

    std::size_t depth() const { return depth_; }      ///< K
    std::size_t columns() const { return columns_; }  ///< N
    format stored() const { return format_; }
    std::size_t bytes() const { return panel_count(columns_) * stride(); }
    /// The bytes that a matrix of these sizes takes.
    static constexpr std::size_t bytes(format stored, std::size_t depth, std::size_t columns) {
        return panel_count(columns) * panel_stride<Scalar>(stored, depth);
    }

    /// A panel to be written, of a matrix that has memory of its own.
    std::uint8_t* panel(std::size_t p) { return memory_.data() + p * stride(); }
    panel_view<Scalar> view() const {
        const void* const panels = elsewhere_ ? static_cast<const void*>(elsewhere_.get())
                                              : static_cast<const void*>(memory_.data());
        return {panels, format_, stride(), depth_, columns_};
    }

private:
    std::size_t stride() const { return panel_stride<Scalar>(format_, depth_); }

    std::size_t depth_ = 0, columns_ = 0;
    format format_ = format::f32;
    buffer<std::uint8_t> memory_;
    std::shared_ptr<const std::byte> elsewhere_;
};

/// Memory for rows of x in fewer bits, whatever panels they are for.
class rounding_room {
public:
    rounding_room(std::size_t rows, std::size_t depth)
        : stride_(2 * detail::kernels::whole_blocks(depth) + 64),
          values_(rows * stride_),
          scales_(rows * (detail::kernels::whole_blocks(depth) / 64)),
          offsets_(rows * (detail::kernels::whole_blocks(depth) / 32)) {}

    /// Room for rows of `depth` numbers, at most as many and as deep as it was made for.
    detail::kernels::rounded_rows rows(detail::kernels::format f, std::size_t depth) {
        const auto blocks = detail::kernels::block_count(f, depth);
        const auto each = detail::kernels::block_depth(f) / detail::kernels::group_depth(f);
        return {values_.data(), stride_, scales_.data(), offsets_.data(), blocks, blocks * each};
    }

    std::size_t bytes() const {
        return values_.size() + scales_.size() * sizeof(float) +
               offsets_.size() * sizeof(std::int32_t);
    }
    /// The bytes that room for such rows takes.
    static constexpr std::size_t bytes(std::size_t rows, std::size_t depth) {
        const auto whole = detail::kernels::whole_blocks(depth);
        return rows *
               (2 * whole + 64 + whole / 64 * sizeof(float) + whole / 32 * sizeof(std::int32_t));
    }

private:
    std::size_t stride_;  // bytes; an odd number of cache lines
    buffer<std::uint8_t> values_;
    buffer<float> scales_;
    buffer<std::int32_t> offsets_;
};

}  // namespace gpt2::inline GPT2_ABI
