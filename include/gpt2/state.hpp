// All that changes in a forward pass: the keys and values of the positions so far, and the scratch
// memory of one chunk. Weights are const and shared; a state belongs to one running text. After
// it is made, nothing is allocated per token but a page of keys and values now and then.
//
// Before: kv_cache.hpp, ops.hpp. After: layers.hpp, which reads and writes it.
#pragma once

#include "config.hpp"
#include "kv_cache.hpp"
#include "ops.hpp"
#include "parallel.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace gpt2::inline GPT2_ABI {

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
    /// No keys and values yet. Raises out_of_memory. The pool must outlive the state.
    state(const config& shape, thread_pool& threads, const execution& how = {})
        : kv(shape, how.cache), work(shape, threads.size()), on{how.kernels, &threads, how.rule} {}

    kv_cache<Scalar> kv;
    workspace<Scalar> work;
    ops::machine on;
    interruption stop = {};  ///< asked between layers; forward then raises errc::cancelled
};

/// A text, and the tokens by which it goes on.
template <class Scalar>
struct continuation {
    state<Scalar>* text;
    std::span<const token_id> ids;
};

/// The rows of a pass that continue one text.
template <class Scalar>
struct segment {
    kv_cache<Scalar>* kv;
    std::size_t first, rows;
};

/// One run through the network: whose rows they are, and what it runs on. It goes on with one text
/// or with several.
template <class Scalar>
struct pass {
    std::span<const segment<Scalar>> segments;
    workspace<Scalar>& work;
    const ops::machine& on;
};

}  // namespace gpt2::inline GPT2_ABI
