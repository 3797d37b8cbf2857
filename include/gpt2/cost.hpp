// What a pass costs: operations and bytes, part by part, and which of the two bounds it.
//
// Operations are those of products of matrices, two for each multiplication with its addition: an
// (m, k) by a (k, n) matrix takes 2·m·k·n. Norms, softmax, the activation and sums are left out:
// they are well below 1 % from a width of 768 on. torch.utils.flop_counter counts the same, but for
// scores in a prompt, where it also counts what the causal mask then hides.
//
// Bytes are those that come from memory: every weight that is needed once, whatever the number of
// tokens, and keys and values once. What lies between the layers stays in the caches.
//
// Before: plan.hpp. Next: examples/inspect.cpp.
#pragma once

#include "config.hpp"
#include "plan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// T new positions behind others, and the logits of the last R of them.
struct pass_size {
    std::size_t before = 0, tokens = 1, logits = 1;
};

/// The parts of a pass, in its order.
enum class pass_part { embedding, projections, scores, feed_forward, head };

inline constexpr std::array<std::string_view, 5> pass_part_names = {
    "embedding", "attention: projections", "attention: scores, values", "feed-forward", "head"};

constexpr std::string_view name(pass_part part) {
    return pass_part_names[static_cast<std::size_t>(part)];
}

struct part_cost {
    double operations = 0;  ///< a whole number, which may be larger than 64 bits
    std::uint64_t bytes = 0;

    /// Operations for each byte; 0 where there are no bytes.
    double intensity() const { return bytes == 0 ? 0 : operations / static_cast<double>(bytes); }
};

struct pass_cost {
    std::array<part_cost, pass_part_names.size()> parts{};

    part_cost& operator[](pass_part part) { return parts[static_cast<std::size_t>(part)]; }
    const part_cost& operator[](pass_part part) const {
        return parts[static_cast<std::size_t>(part)];
    }
    part_cost total() const {
        part_cost sum;
        for (const auto& one : parts) {
            sum.operations += one.operations;
            sum.bytes += one.bytes;
        }
        return sum;
    }
};

/// What a machine can do at most, per second.
struct machine_roof {
    double bytes = 0, operations = 0;

    /// Operations per second that work of so many operations for each byte can reach
    /// (Williams, Waterman and Patterson 2009).
    double at(double intensity) const { return std::min(operations, bytes * intensity); }
    /// The operations for each byte from which on arithmetic is the bound, and not memory.
    double ridge() const { return operations / bytes; }
    /// Seconds that such work takes at least.
    double seconds(const part_cost& work) const {
        return std::max(work.operations / operations, static_cast<double>(work.bytes) / bytes);
    }
};

/// The operations of a pass. Nothing is checked, as nothing is computed.
inline pass_cost operations_of(const config& c, const pass_size& size) {
    const auto layers = static_cast<double>(c.layers), width = static_cast<double>(c.width);
    const auto inner = static_cast<double>(c.inner_width);
    const auto t = static_cast<double>(size.tokens), before = static_cast<double>(size.before);
    pass_cost cost;
    // c_attn (T, C)·(C, 3C) and c_proj (T, C)·(C, C)
    cost[pass_part::projections].operations = layers * t * 2 * width * (3 * width + width);
    // Row i sees before + i + 1 keys, in all T·before + T(T + 1)/2; for each of them q·k and
    // weight·v, both of C numbers over all heads
    const double seen = t * before + t * (t + 1) / 2;
    cost[pass_part::scores].operations = layers * seen * 2 * (width + width);
    // c_fc (T, C)·(C, F) and c_proj (T, F)·(F, C)
    cost[pass_part::feed_forward].operations = layers * t * 2 * (width * inner + inner * width);
    // (R, C)·(C, V)
    cost[pass_part::head].operations =
        static_cast<double>(size.logits) * 2 * width * static_cast<double>(c.vocabulary_size);
    return cost;
}

/// The operations and bytes of a pass, with weights and cache kept like this. Raises
/// invalid_argument for a cache of integers.
inline pass_cost cost_of(const memory_plan& plan, const pass_size& size,
                         storage weights = storage::as_stored, storage cache = storage::as_stored) {
    const auto& c = plan.config;
    const auto& bytes = plan.parts(weights);
    pass_cost cost = operations_of(c, size);
    // T rows of wte and of wpe
    cost[pass_part::embedding].bytes =
        size.tokens * (bytes.vocabulary / c.vocabulary_size + bytes.positions / c.context_length);
    cost[pass_part::projections].bytes = bytes.attention;
    // keys and values of the positions before, and of the new ones, which are written
    cost[pass_part::scores].bytes = (size.before + size.tokens) * plan.cache_per_token(cache);
    cost[pass_part::feed_forward].bytes = bytes.feed_forward;
    if (size.logits > 0)
        cost[pass_part::head].bytes =
            bytes.final_norm + (bytes.head > 0 ? bytes.head : bytes.vocabulary);
    return cost;
}

}  // namespace gpt2::inline GPT2_ABI
