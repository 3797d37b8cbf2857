// All that changes in a forward pass: the keys and values of the positions so far, and the scratch
// memory of one chunk. Weights are const and shared; a state belongs to one running text. After
// it is made, nothing is allocated per token.
//
// Before: tensor.hpp, config.hpp. After: layers.hpp, which reads and writes it.
#pragma once

#include "config.hpp"
#include "ops.hpp"
#include "parallel.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Keys and values of every layer and head for up to `capacity` positions, as panels: keys (D, S),
/// so that q·K is a row of scores, and values (S, D), so that weights·V is the head's output.
template <class Scalar>
class kv_cache {
public:
    using format = detail::kernels::format;

    /// `stored` is f32, or for float also f16 or bf16, to which keys and values are rounded.
    explicit kv_cache(const config& shape, format stored = format::f32)
        : format_(stored),
          heads_(shape.heads),
          head_size_(shape.head_size()),
          capacity_(shape.context_length),
          key_stride_(panel_bytes(head_size_)),
          value_stride_(panel_bytes(capacity_)),
          key_room_(panel_count(capacity_) * key_stride_),
          head_room_(key_room_ + panel_count(head_size_) * value_stride_),
          memory_(bytes(shape, stored, shape.context_length)) {}

    std::size_t size() const { return size_; }          ///< positions held
    std::size_t capacity() const { return capacity_; }  ///< positions there is room for
    std::size_t bytes() const { return memory_.size(); }
    /// The bytes that the keys and values of so many positions of one text fill.
    static std::size_t bytes(const config& shape, format stored, std::size_t positions) {
        const auto size = shape.head_size();
        return shape.layers * shape.heads *
               (panel_count(positions) * gpt2::panel_bytes<Scalar>(stored, size) +
                panel_count(size) * gpt2::panel_bytes<Scalar>(stored, positions));
    }

    /// Keys of one head at the first `count` positions: (D, count).
    panel_view<Scalar> keys(std::size_t layer, std::size_t head, std::size_t count) const {
        return {head_memory(layer, head), format_, key_stride_, head_size_, count};
    }
    /// Values of one head at positions first … first+count-1, `first` even: (count, D).
    panel_view<Scalar> values(std::size_t layer, std::size_t head, std::size_t first,
                              std::size_t count) const {
        return {head_memory(layer, head) + key_room_ + panel_bytes(first), format_, value_stride_,
                count, head_size_};
    }

    /// Writes k and v (T, D) of one head at positions size() … size()+T-1, without counting them
    /// yet. Threads may write different heads.
    void write(std::size_t layer, std::size_t head, cview<Scalar> k, cview<Scalar> v) {
        if (format_ == format::f32)
            write_as<Scalar>(layer, head, k, v, [](Scalar x) { return x; });
        else if constexpr (std::is_same_v<Scalar, float>)
            format_ == format::f16
                ? write_as<std::uint16_t>(layer, head, k, v, detail::narrow_half)
                : write_as<std::uint16_t>(layer, head, k, v, detail::narrow_bfloat);
    }

    /// Sets how many positions count, up to capacity: more after every layer has written them,
    /// fewer to forget.
    void resize(std::size_t size) { size_ = size; }

    /// Takes over what another cache of the same shape and format holds.
    void copy_from(const kv_cache& other) {
        size_ = other.size_;
        const auto used_keys = panel_count(size_) * key_stride_;
        for (std::size_t start = 0; start < memory_.size(); start += head_room_) {
            const auto copy = [&](std::size_t offset, std::size_t bytes) {
                std::copy_n(other.memory_.data() + start + offset, bytes,
                            memory_.data() + start + offset);
            };
            copy(0, used_keys);
            for (std::size_t p = 0; p < panel_count(head_size_); ++p)
                copy(key_room_ + p * value_stride_, panel_bytes(size_));
        }
    }

private:
    /// Bytes of a panel of this depth.
    std::size_t panel_bytes(std::size_t depth) const {
        return gpt2::panel_bytes<Scalar>(format_, depth);
    }
    const std::uint8_t* head_memory(std::size_t layer, std::size_t head) const {
        return memory_.data() + (layer * heads_ + head) * head_room_;
    }

    template <class Stored, class Narrow>
    void write_as(std::size_t layer, std::size_t head, cview<Scalar> k, cview<Scalar> v,
                  Narrow narrow) {
        std::uint8_t* keys = memory_.data() + (layer * heads_ + head) * head_room_;
        std::uint8_t* values = keys + key_room_;
        for (std::size_t t = 0; t < k.rows(); ++t) {
            const auto s = size_ + t;
            auto* key = reinterpret_cast<Stored*>(keys + s / panel_width * key_stride_);
            for (std::size_t d = 0; d < head_size_; ++d) {
                auto* value = reinterpret_cast<Stored*>(values + d / panel_width * value_stride_);
                key[detail::kernels::panel_index(format_, d, s % panel_width)] = narrow(k(t, d));
                value[detail::kernels::panel_index(format_, s, d % panel_width)] = narrow(v(t, d));
            }
        }
    }

    format format_;
    std::size_t heads_, head_size_, capacity_;
    std::size_t key_stride_, value_stride_;  // bytes from panel to panel
    std::size_t key_room_, head_room_;       // bytes of the keys, and of keys and values
    std::size_t size_ = 0;
    buffer<std::uint8_t> memory_;
};

/// Scratch memory for one chunk of at most `rows` positions; what each part holds and its shape is
/// said where layers.hpp fills it. Memory is taken from the system as it is first touched.
template <class Scalar>
class workspace {
public:
    /// A chunk of 512 positions reads the weights once per 512 tokens of a prompt; a layer of it
    /// takes some hundredths of a second at the 124M shape, which is how soon a stop is heeded.
    static constexpr std::size_t chunk = 512;
    /// Queries that one thread takes to the keys together.
    static constexpr std::size_t query_block = 32;

    workspace(const config& shape, unsigned threads)
        : rows_(rows(shape)),
          width_(shape.width),
          inner_(shape.inner_width),
          scores_stride_(stride(shape.context_length)),
          memory_(rows_ * row_size(shape)),
          scores_(threads * query_block * scores_stride_),
          rounded_(rows_, std::max(width_, inner_)) {
        for (unsigned i = 0; i < threads; ++i)
            rounded_scores_.emplace_back(query_block, deepest(shape));
    }

    std::size_t rows() const { return rows_; }
    std::size_t bytes() const {
        std::size_t sum = (memory_.size() + scores_.size()) * sizeof(Scalar) + rounded_.bytes();
        for (const auto& room : rounded_scores_) sum += room.bytes();
        return sum;
    }
    /// The bytes that the scratch memory of so many threads takes, once all of it is touched.
    static std::size_t bytes(const config& shape, unsigned threads) {
        const auto scores = query_block * stride(shape.context_length) * sizeof(Scalar);
        return rows(shape) * row_size(shape) * sizeof(Scalar) +
               rounding_room::bytes(rows(shape), std::max(shape.width, shape.inner_width)) +
               threads * (scores + rounding_room::bytes(query_block, deepest(shape)));
    }

    view<Scalar> residual(std::size_t t) { return part(0, t, width_); }                 ///< (T, C)
    view<Scalar> normed(std::size_t t) { return part(stride(width_), t, width_); }      ///< (T, C)
    view<Scalar> branch(std::size_t t) { return part(2 * stride(width_), t, width_); }  ///< (T, C)
    view<Scalar> heads(std::size_t t) { return part(3 * stride(width_), t, width_); }   ///< (T, C)
    view<Scalar> qkv(std::size_t t) {
        return part(4 * stride(width_), t, 3 * width_);
    }  ///< (T, 3C)
    view<Scalar> inner(std::size_t t) {
        return part(4 * stride(width_) + stride(3 * width_), t, inner_);
    }  ///< (T, F)
    /// Scores of one block of queries: (queries, S), one for each thread.
    view<Scalar> scores(std::size_t worker, std::size_t queries, std::size_t s) {
        return {scores_.data() + worker * query_block * scores_stride_, queries, s, scores_stride_};
    }
    /// Room for x in fewer bits.
    rounding_room& rounded() { return rounded_; }
    /// The same for a block of queries or weights of attention, one for each thread.
    rounding_room& rounded_scores(std::size_t worker) { return rounded_scores_[worker]; }

private:
    static std::size_t rows(const config& shape) {
        return std::max(std::min(chunk, shape.context_length), std::size_t{64});
    }
    /// Numbers in a row of all parts.
    static std::size_t row_size(const config& shape) {
        return 4 * stride(shape.width) + stride(3 * shape.width) + stride(shape.inner_width);
    }
    static std::size_t deepest(const config& shape) {
        return std::max(shape.context_length, shape.head_size());
    }
    view<Scalar> part(std::size_t offset, std::size_t t, std::size_t columns) {
        return {memory_.data() + rows_ * offset, t, columns, stride(columns)};
    }
    /// Numbers from row to row: an odd number of cache lines, since rows a power of two apart would
    /// fall into the same few sets of a cache.
    static std::size_t stride(std::size_t columns) {
        return (panel_count(columns) | 1) * panel_width;
    }

    std::size_t rows_, width_, inner_, scores_stride_;
    buffer<Scalar> memory_, scores_;
    rounding_room rounded_;
    std::vector<rounding_room> rounded_scores_;
};

/// How passes compute.
struct execution {
    const detail::kernels::kernel_set* kernels = &detail::kernels::best();
    arithmetic rule = arithmetic::reproducible;
    /// How keys and values are kept: f32, or for float also f16 or bf16.
    detail::kernels::format cache = detail::kernels::format::f32;
};

namespace detail {

/// The format of caches that are asked to be kept so; as_stored is f32. Raises invalid_argument.
[[gnu::cold]] inline kernels::format cache_format(storage kept) {
    switch (kept) {
        case storage::as_stored:
        case storage::f32:
            return kernels::format::f32;
        case storage::f16:
            return kernels::format::f16;
        case storage::bf16:
            return kernels::format::bf16;
        default:
            throw error(errc::invalid_argument, "cache: expected f32, f16 or bf16");
    }
}

}  // namespace detail

/// One running text: its cache, its scratch memory, and the threads and kernels it may use.
template <class Scalar>
struct state {
    /// Room for the model's whole context. Raises out_of_memory. The pool must outlive the state.
    state(const config& shape, thread_pool& threads, const execution& how = {})
        : kv(shape, how.cache), work(shape, threads.size()), on{how.kernels, &threads, how.rule} {}

    kv_cache<Scalar> kv;
    workspace<Scalar> work;
    ops::machine on;
    interruption stop = {};  ///< asked between layers; forward then raises errc::cancelled
};

/// The rows of a pass that continue one text.
template <class Scalar>
struct segment {
    kv_cache<Scalar>* kv;
    std::size_t first, rows;
};

/// One run through the network: whose rows they are, and what it runs on. It goes on with one text,
/// or with several by one row each.
template <class Scalar>
struct pass {
    std::span<const segment<Scalar>> segments;
    workspace<Scalar>& work;
    const ops::machine& on;
};

}  // namespace gpt2::inline GPT2_ABI
