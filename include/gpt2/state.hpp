// All that changes in a forward pass: the keys and values of the positions so far, and the scratch
// memory of one chunk. Weights are const and shared; a state belongs to one running text. After
// it is made, nothing is allocated per token.
//
// Before: tensor.hpp, config.hpp. After: layers.hpp, which reads and writes it.
#pragma once

#include "config.hpp"
#include "parallel.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

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
    /// Values of one head at the first `count` positions: (count, D).
    panel_view<const Scalar> values(std::size_t layer, std::size_t head, std::size_t count) const {
        return {head_memory(layer, head) + key_room_, count, head_size_, capacity_ * panel_width};
    }

    /// Writes k and v (T, C) of a layer at positions size() … size()+T-1, without counting them
    /// yet.
    void write(std::size_t layer, cview<Scalar> k, cview<Scalar> v) {
        for (std::size_t head = 0; head < heads_; ++head) {
            Scalar* memory = head_memory(layer, head);
            const panel_view<Scalar> keys(memory, head_size_, capacity_, head_size_ * panel_width);
            const panel_view<Scalar> values(memory + key_room_, capacity_, head_size_,
                                            capacity_ * panel_width);
            for (std::size_t t = 0; t < k.rows(); ++t)
                for (std::size_t d = 0; d < head_size_; ++d) {
                    keys(d, size_ + t) = k(t, head * head_size_ + d);
                    values(size_ + t, d) = v(t, head * head_size_ + d);
                }
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
/// said where layers.hpp fills it.
template <class Scalar>
class workspace {
public:
    /// A chunk of 128 positions reads the weights once per 128 tokens of a prompt and keeps a layer
    /// of it under a twentieth of a second at the 124M shape, which is how soon a stop is heeded.
    static constexpr std::size_t chunk = 128;

    explicit workspace(const config& shape)
        : rows_(std::min(chunk, shape.context_length)),
          width_(shape.width),
          inner_(shape.inner_width),
          heads_(shape.heads),
          context_(shape.context_length),
          memory_(rows_ * (7 * width_ + inner_ + heads_ * context_)) {}

    std::size_t rows() const { return rows_; }
    std::size_t bytes() const { return memory_.size() * sizeof(Scalar); }

    view<Scalar> residual(std::size_t t) { return part(0, t, width_); }          ///< (T, C)
    view<Scalar> normed(std::size_t t) { return part(width_, t, width_); }       ///< (T, C)
    view<Scalar> branch(std::size_t t) { return part(2 * width_, t, width_); }   ///< (T, C)
    view<Scalar> heads(std::size_t t) { return part(3 * width_, t, width_); }    ///< (T, C)
    view<Scalar> qkv(std::size_t t) { return part(4 * width_, t, 3 * width_); }  ///< (T, 3C)
    view<Scalar> inner(std::size_t t) { return part(7 * width_, t, inner_); }    ///< (T, F)
    /// (H·T, S), rows of the full context apart
    view<Scalar> scores(std::size_t t, std::size_t s) {
        return {memory_.data() + rows_ * (7 * width_ + inner_), heads_ * t, s, context_};
    }

private:
    view<Scalar> part(std::size_t offset, std::size_t t, std::size_t columns) {
        return {memory_.data() + rows_ * offset, t, columns};
    }

    std::size_t rows_, width_, inner_, heads_, context_;
    buffer<Scalar> memory_;
};

/// One running text: its cache, its scratch memory, and the threads it may use.
template <class Scalar>
struct state {
    /// Room for the model's whole context. Raises out_of_memory. The pool must outlive the state.
    state(const config& shape, thread_pool& threads) : kv(shape), work(shape), pool(&threads) {}

    kv_cache<Scalar> kv;
    workspace<Scalar> work;
    thread_pool* pool;
    interruption stop = {};  ///< asked between layers; forward then raises errc::cancelled
};

}  // namespace gpt2::inline GPT2_ABI
