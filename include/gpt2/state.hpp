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

namespace gpt2::inline GPT2_ABI {

/// Keys and values of every layer and head for up to `capacity` positions, as panels: keys (D, S),
/// so that q·K is a row of scores, and values (S, D), so that weights·V is the head's output.
template <class Scalar>
class kv_cache {
public:
    explicit kv_cache(const config& shape)
        : heads_(shape.heads),
          head_size_(shape.head_size()),
          capacity_(shape.context_length),
          key_room_(panel_count(capacity_) * panel_width * head_size_),
          value_room_(panel_count(head_size_) * panel_width * capacity_),
          memory_(shape.layers * heads_ * (key_room_ + value_room_)) {}

    std::size_t size() const { return size_; }          ///< positions held
    std::size_t capacity() const { return capacity_; }  ///< positions there is room for
    std::size_t bytes() const { return memory_.size() * sizeof(Scalar); }

    /// Keys of one head at the first `count` positions: (D, count).
    panel_view<const Scalar> keys(std::size_t layer, std::size_t head, std::size_t count) const {
        return {head_memory(layer, head), head_size_, count, head_size_ * panel_width};
    }
    /// Values of one head at positions first … first+count-1: (count, D).
    panel_view<const Scalar> values(std::size_t layer, std::size_t head, std::size_t first,
                                    std::size_t count) const {
        return {head_memory(layer, head) + key_room_ + first * panel_width, count, head_size_,
                capacity_ * panel_width};
    }

    /// Writes k and v (T, D) of one head at positions size() … size()+T-1, without counting them
    /// yet. Threads may write different heads.
    void write(std::size_t layer, std::size_t head, cview<Scalar> k, cview<Scalar> v) {
        Scalar* memory = head_memory(layer, head);
        const panel_view<Scalar> keys(memory, head_size_, capacity_, head_size_ * panel_width);
        const panel_view<Scalar> values(memory + key_room_, capacity_, head_size_,
                                        capacity_ * panel_width);
        for (std::size_t t = 0; t < k.rows(); ++t)
            for (std::size_t d = 0; d < head_size_; ++d) {
                keys(d, size_ + t) = k(t, d);
                values(size_ + t, d) = v(t, d);
            }
    }

    /// Sets how many positions count, up to capacity: more after every layer has written them,
    /// fewer to forget.
    void resize(std::size_t size) { size_ = size; }

    /// Takes over what another cache of the same shape holds.
    void copy_from(const kv_cache& other) {
        size_ = other.size_;
        const auto layers = memory_.size() / (heads_ * (key_room_ + value_room_));
        const auto used_keys = panel_count(size_) * panel_width * head_size_;
        for (std::size_t block = 0; block < layers * heads_; ++block) {
            const auto start = block * (key_room_ + value_room_);
            const Scalar* source = other.memory_.data() + start;
            Scalar* target = memory_.data() + start;
            std::copy_n(source, used_keys, target);
            for (std::size_t p = 0; p < panel_count(head_size_); ++p) {
                const auto panel = key_room_ + p * capacity_ * panel_width;
                std::copy_n(source + panel, size_ * panel_width, target + panel);
            }
        }
    }

private:
    const Scalar* head_memory(std::size_t layer, std::size_t head) const {
        return memory_.data() + (layer * heads_ + head) * (key_room_ + value_room_);
    }
    Scalar* head_memory(std::size_t layer, std::size_t head) {
        return memory_.data() + (layer * heads_ + head) * (key_room_ + value_room_);
    }

    std::size_t heads_, head_size_, capacity_, key_room_, value_room_;
    std::size_t size_ = 0;
    buffer<Scalar> memory_;
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
        : rows_(std::max(std::min(chunk, shape.context_length), std::size_t{64})),
          width_(shape.width),
          inner_(shape.inner_width),
          scores_stride_(panel_count(shape.context_length) * panel_width),
          depth_(detail::kernels::whole_blocks(std::max(width_, inner_))),
          memory_(rows_ * (7 * width_ + inner_)),
          scores_(threads * query_block * scores_stride_),
          values_(rows_ * depth_),
          scales_(rows_ * (depth_ / 64)),
          sums_(rows_ * (depth_ / 32)) {}

    std::size_t rows() const { return rows_; }

    view<Scalar> residual(std::size_t t) { return part(0, t, width_); }          ///< (T, C)
    view<Scalar> normed(std::size_t t) { return part(width_, t, width_); }       ///< (T, C)
    view<Scalar> branch(std::size_t t) { return part(2 * width_, t, width_); }   ///< (T, C)
    view<Scalar> heads(std::size_t t) { return part(3 * width_, t, width_); }    ///< (T, C)
    view<Scalar> qkv(std::size_t t) { return part(4 * width_, t, 3 * width_); }  ///< (T, 3C)
    view<Scalar> inner(std::size_t t) { return part(7 * width_, t, inner_); }    ///< (T, F)
    /// Scores of one block of queries: (queries, S), one for each thread.
    view<Scalar> scores(std::size_t worker, std::size_t queries, std::size_t s) {
        return {scores_.data() + worker * query_block * scores_stride_, queries, s, scores_stride_};
    }
    /// Room for rows of depth K in 8 bits.
    detail::kernels::quantised_rows quantised(detail::kernels::format f, std::size_t depth) {
        namespace kernels = detail::kernels;
        const auto blocks = kernels::block_count(f, depth);
        return {values_.data(), scales_.data(),
                sums_.data(),   blocks * kernels::block_depth(f),
                blocks,         blocks * (kernels::block_depth(f) / kernels::group_depth(f))};
    }

private:
    view<Scalar> part(std::size_t offset, std::size_t t, std::size_t columns) {
        return {memory_.data() + rows_ * offset, t, columns};
    }

    std::size_t rows_, width_, inner_, scores_stride_, depth_;
    buffer<Scalar> memory_, scores_;
    buffer<std::int8_t> values_;
    buffer<float> scales_;
    buffer<std::int32_t> sums_;
};

/// One running text: its cache, its scratch memory, and the threads and kernels it may use.
template <class Scalar>
struct state {
    /// Room for the model's whole context. Raises out_of_memory. The pool must outlive the state.
    state(const config& shape, thread_pool& threads,
          const detail::kernels::kernel_set& kernels = detail::kernels::best())
        : kv(shape), work(shape, threads.size()), on{&kernels, &threads} {}

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
