// The keys and values of a text's positions, in pages that texts share.
//
// A page holds all layers and heads of some neighbouring positions. Texts with the same past hold
// the same pages, so a fork takes no time and no memory; a page is written by a cache that holds it
// alone, and copied first where others hold it too. Caches on different threads may share pages.
// Memory grows with the text.
//
// Before: tensor.hpp, config.hpp. After: state.hpp; layers.hpp, which reads and writes pages.
#pragma once

#include "config.hpp"
#include "detail/widen.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// Memory held by as many as have a copy of this; it goes with the last of them. A copy belongs to
/// one thread at a time, and different copies may be on different threads.
class shared_page {
public:
    /// Raises out_of_memory.
    explicit shared_page(std::size_t bytes) : held_(new block(bytes)) {}
    shared_page(const shared_page& other) noexcept : held_(other.held_) {
        held_->holders.fetch_add(1, std::memory_order_relaxed);
    }
    shared_page(shared_page&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    shared_page& operator=(shared_page other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~shared_page() {
        if (held_ && held_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete held_;
    }

    /// Whether nobody else holds it, so that it may be written. It stays so until this is copied;
    /// what others read before they let go of it has been read (acquire pairs with their release).
    bool alone() const noexcept { return held_->holders.load(std::memory_order_acquire) == 1; }

    std::uint8_t* data() { return held_->memory.data(); }
    const std::uint8_t* data() const { return held_->memory.data(); }

private:
    struct block {
        explicit block(std::size_t bytes) : memory(bytes) {}

        buffer<std::uint8_t> memory;
        std::atomic<std::size_t> holders{1};
    };

    block* held_;
};

}  // namespace detail

/// Keys and values of every layer and head for up to `capacity` positions, as panels: keys (D, S),
/// so that q·K is a row of scores, and values (S, D), so that weights·V is the head's output. A
/// copy shares all pages.
template <class Scalar>
class kv_cache {
public:
    using format = detail::kernels::format;

    /// Positions of a page at most: whole panels. Memory is read faster in longer stretches: a
    /// layer of 124M takes 0.68 ms for one token's attention to 1000 positions when they lie in one
    /// piece, 0.94 in pages of 64, 0.84 of 128, 0.79 of 256 (one thread). Up to 200 there is no
    /// difference.
    static constexpr std::size_t longest_page = 128;

    /// `stored` is f32, or for float also f16 or bf16, to which keys and values are rounded. Takes
    /// no memory yet.
    explicit kv_cache(const config& shape, format stored = format::f32)
        : format_(stored),
          heads_(shape.heads),
          head_size_(shape.head_size()),
          capacity_(shape.context_length),
          page_(page_positions(shape)),
          page_bytes_(bytes(shape, stored, 1)),
          key_stride_(panel_bytes(head_size_)),
          value_stride_(panel_bytes(page_)),
          key_room_(panel_count(page_) * key_stride_),
          head_room_(key_room_ + panel_count(head_size_) * value_stride_) {
        pages_.reserve(pages(capacity_));
    }

    std::size_t size() const { return size_; }          ///< positions held
    std::size_t capacity() const { return capacity_; }  ///< positions there can be
    format stored() const { return format_; }
    /// Of the pages it holds, shared ones as well.
    std::size_t bytes() const { return pages_.size() * page_bytes_; }
    /// The bytes of the pages that so many positions of one text fill.
    static std::size_t bytes(const config& shape, format stored, std::size_t positions) {
        const auto page = page_positions(shape), size = shape.head_size();
        return (positions + page - 1) / page * shape.layers * shape.heads *
               (panel_count(page) * gpt2::panel_bytes<Scalar>(stored, size) +
                panel_count(size) * gpt2::panel_bytes<Scalar>(stored, page));
    }
    /// Positions of a page; fewer than longest_page when the context is shorter.
    static std::size_t page_positions(const config& shape) {
        return std::min(longest_page, panel_count(shape.context_length) * panel_width);
    }

    /// Makes room to write positions size() … size-1, in pages that nobody else reads. Raises
    /// out_of_memory; what is held is then as before.
    void reserve(std::size_t size) {
        if (size <= size_) return;
        const auto used = size_ % page_;
        if (used > 0 && !pages_[size_ / page_].alone()) {
            detail::shared_page own(page_bytes_);
            copy_positions(pages_[size_ / page_].data(), own.data(), used);
            pages_[size_ / page_] = std::move(own);
        }
        while (pages_.size() < pages(size)) pages_.emplace_back(page_bytes_);
    }

    /// Calls each(first, count) for the stretches of positions [first, last) that lie in one page
    /// each, in order.
    template <class Each>
    void by_page(std::size_t first, std::size_t last, Each each) const {
        while (first < last) {
            const auto count = std::min(last - first, page_ - first % page_);
            each(first, count);
            first += count;
        }
    }
    /// Keys of one head at positions first … first+count-1 of one page, which begins with `first`:
    /// (D, count).
    panel_view<Scalar> keys(std::size_t layer, std::size_t head, std::size_t first,
                            std::size_t count) const {
        return {head_memory(layer, head, first), format_, key_stride_, head_size_, count};
    }
    /// Values of one head at positions first … first+count-1 of one page, `first` even: (count, D).
    panel_view<Scalar> values(std::size_t layer, std::size_t head, std::size_t first,
                              std::size_t count) const {
        return {head_memory(layer, head, first) + key_room_ + panel_bytes(first % page_), format_,
                value_stride_, count, head_size_};
    }

    /// Writes k and v (T, D) of one head at positions size() … size()+T-1, for which there is
    /// reserved room, without counting them yet. Threads may write different heads.
    void write(std::size_t layer, std::size_t head, cview<Scalar> k, cview<Scalar> v) {
        if (format_ == format::f32)
            write_as<Scalar>(layer, head, k, v, [](Scalar x) { return x; });
        else if constexpr (std::is_same_v<Scalar, float>)
            format_ == format::f16
                ? write_as<std::uint16_t>(layer, head, k, v, detail::narrow_half)
                : write_as<std::uint16_t>(layer, head, k, v, detail::narrow_bfloat);
    }

    /// Bytes of copy_out and copy_in.
    std::size_t position_bytes() const {
        return page_bytes_ / head_room_ * 2 * head_size_ * number_bytes();
    }
    /// The numbers of one position as they are stored, in an order that no page or machine has a
    /// part in: for each layer and head D keys, D values.
    void copy_out(std::size_t position, std::span<std::byte> bytes) const {
        const auto* const page = pages_[position / page_].data();
        const auto out = [&](const auto& number) {
            std::memcpy(bytes.data(), &number, sizeof number);
            bytes = bytes.subspan(sizeof number);
        };
        if (format_ == format::f32)
            visit_position<const Scalar>(page, position % page_, out);
        else
            visit_position<const std::uint16_t>(page, position % page_, out);
    }
    /// The way back, into reserved room behind the last position.
    void copy_in(std::size_t position, std::span<const std::byte> bytes) {
        auto* const page = pages_[position / page_].data();
        const auto in = [&](auto& number) {
            std::memcpy(&number, bytes.data(), sizeof number);
            bytes = bytes.subspan(sizeof number);
        };
        if (format_ == format::f32)
            visit_position<Scalar>(page, position % page_, in);
        else
            visit_position<std::uint16_t>(page, position % page_, in);
    }

    /// Sets how many positions count: more after every layer has written them, fewer to forget.
    /// Pages behind them stay for what comes next, unless others hold them.
    void resize(std::size_t size) {
        size_ = size;
        const auto spare = pages_.begin() + static_cast<std::ptrdiff_t>(pages(size));
        if (spare >= pages_.end()) return;
        pages_.erase(std::find_if(spare, pages_.end(), [](auto& page) { return !page.alone(); }),
                     pages_.end());
    }

    /// Lets go of the pages behind the last position.
    void shrink_to_fit() {
        pages_.erase(pages_.begin() + static_cast<std::ptrdiff_t>(pages(size_)), pages_.end());
    }

    /// Takes over the first `size` positions of another cache of the same shape and format, whose
    /// pages it then shares. O(pages).
    void copy_from(const kv_cache& other, std::size_t size) {
        const auto last = other.pages_.begin() + static_cast<std::ptrdiff_t>(pages(size));
        pages_.assign(other.pages_.begin(), last);
        size_ = size;
    }
    void copy_from(const kv_cache& other) { copy_from(other, other.size_); }
    /// The same of pages one by one: page i, and so many positions of all that are given.
    const detail::shared_page& page(std::size_t i) const { return pages_[i]; }
    void assign(std::vector<detail::shared_page> pages, std::size_t size) {
        pages_ = std::move(pages);
        size_ = size;
    }

private:
    /// How many pages hold so many positions.
    std::size_t pages(std::size_t positions) const { return (positions + page_ - 1) / page_; }
    /// Bytes of a panel of this depth.
    std::size_t panel_bytes(std::size_t depth) const {
        return gpt2::panel_bytes<Scalar>(format_, depth);
    }
    std::size_t number_bytes() const {
        return format_ == format::f32 ? sizeof(Scalar) : sizeof(std::uint16_t);
    }
    /// Where in a page a head's keys are.
    std::size_t head_offset(std::size_t layer, std::size_t head) const {
        return (layer * heads_ + head) * head_room_;
    }
    const std::uint8_t* head_memory(std::size_t layer, std::size_t head,
                                    std::size_t position) const {
        return pages_[position / page_].data() + head_offset(layer, head);
    }

    /// The first `count` positions of a page.
    void copy_positions(const std::uint8_t* from, std::uint8_t* to, std::size_t count) const {
        const auto copy = [&](std::size_t offset, std::size_t bytes) {
            std::copy_n(from + offset, bytes, to + offset);
        };
        for (std::size_t start = 0; start < page_bytes_; start += head_room_) {
            copy(start, panel_count(count) * key_stride_);
            for (std::size_t p = 0; p < panel_count(head_size_); ++p)
                copy(start + key_room_ + p * value_stride_, panel_bytes(count));
        }
    }

    /// Calls each(d, key, value) for the numbers of one head, keys[d] and values[d], at position s
    /// of a page, of which `keys` is where the head begins.
    template <class Stored, class Byte, class Each>
    void visit(Byte* keys, std::size_t s, Each each) const {
        using detail::kernels::panel_index;
        auto* const key = reinterpret_cast<Stored*>(keys + s / panel_width * key_stride_);
        for (std::size_t d = 0; d < head_size_; ++d) {
            auto* const value =
                reinterpret_cast<Stored*>(keys + key_room_ + d / panel_width * value_stride_);
            each(d, key[panel_index(format_, d, s % panel_width)],
                 value[panel_index(format_, s, d % panel_width)]);
        }
    }

    template <class Stored, class Narrow>
    void write_as(std::size_t layer, std::size_t head, cview<Scalar> k, cview<Scalar> v,
                  Narrow narrow) {
        for (std::size_t t = 0; t < k.rows(); ++t) {
            auto& page = pages_[(size_ + t) / page_];
            visit<Stored>(page.data() + head_offset(layer, head), (size_ + t) % page_,
                          [&](std::size_t d, Stored& key, Stored& value) {
                              key = narrow(k(t, d));
                              value = narrow(v(t, d));
                          });
        }
    }

    /// Calls take(number) for the numbers of one position of a page.
    template <class Stored, class Byte, class Take>
    void visit_position(Byte* page, std::size_t s, Take take) const {
        for (std::size_t start = 0; start < page_bytes_; start += head_room_) {
            visit<Stored>(page + start, s, [&](std::size_t, Stored& key, Stored&) { take(key); });
            visit<Stored>(page + start, s,
                          [&](std::size_t, Stored&, Stored& value) { take(value); });
        }
    }

    format format_;
    std::size_t heads_, head_size_, capacity_;
    std::size_t page_, page_bytes_;          // positions and bytes of a page
    std::size_t key_stride_, value_stride_;  // bytes from panel to panel
    std::size_t key_room_, head_room_;       // bytes of a head's keys, and of keys and values
    std::size_t size_ = 0;
    std::vector<detail::shared_page> pages_;  // all; those behind the last position held alone
};

}  // namespace gpt2::inline GPT2_ABI
