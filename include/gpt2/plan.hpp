// What a model will take in memory, before any of it is taken.
//
// The bytes are exact: those of the very buffers that loading, a text and its passes make, with
// their padding. Only names, shapes and types of the tensors are read. While a model is loaded, a
// MiB or two for each thread is added to this, and a tokenizer has memory of its own.
//
// Before: model.hpp, open.hpp. After: gpt2.hpp, whose `load` obeys a limit; cost.hpp.
#pragma once

#include "detail/packing.hpp"
#include "model.hpp"
#include "open.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// How a model is to be run.
struct memory_demand {
    storage weights = storage::as_stored;
    storage cache = storage::as_stored;  ///< as_stored is f32
    std::size_t positions = 0;           ///< of one text; 0: the whole context
    unsigned threads = 0;                ///< 0: one per core
};

/// Bytes of weights by what reads them: norms and biases count with the layer they stand in.
struct weight_parts {
    std::uint64_t vocabulary = 0;  ///< the token embedding, with a tied head that too
    std::uint64_t positions = 0;
    std::uint64_t attention = 0, feed_forward = 0;  ///< of all layers, with ln_1 and ln_2
    std::uint64_t final_norm = 0;
    std::uint64_t head = 0;  ///< 0 for a tied one

    std::uint64_t sum() const {
        return vocabulary + positions + attention + feed_forward + final_norm + head;
    }
};

/// Bytes of a model's parts for every way to keep them.
struct memory_plan {
    static constexpr std::array<storage, 6> storages = {
        storage::as_stored, storage::f32, storage::f16, storage::bf16, storage::int8, storage::int4,
    };

    gpt2::config config;
    std::array<weight_parts, storages.size()> weight_bytes{};  ///< in the order of `storages`

    /// All weights, vectors included; shared by all texts.
    std::uint64_t weights(storage kept) const { return parts(kept).sum(); }
    const weight_parts& parts(storage kept) const {
        return weight_bytes[static_cast<std::size_t>(kept)];
    }
    /// Keys and values of so many positions of one text, in whole pages, which are taken as the
    /// text grows and shared by texts with the same past. Raises invalid_argument for integers.
    std::uint64_t cache(storage kept, std::size_t positions) const {
        return kv_cache<float>::bytes(config, detail::cache_format(kept), positions);
    }
    /// A page's bytes by its positions.
    std::uint64_t cache_per_token(storage kept) const {
        return cache(kept, 1) / kv_cache<float>::page_positions(config);
    }
    /// Scratch memory of one text, logits included; taken from the system as it is first used.
    std::uint64_t workspace(unsigned threads = 0) const {
        return gpt2::workspace<float>::bytes(config, thread_pool::size(threads)) +
               config.vocabulary_size * sizeof(float);
    }
    /// The weights and one text. Raises invalid_argument for a cache of integers.
    std::uint64_t total(const memory_demand& how = {}) const {
        return weights(how.weights) +
               cache(how.cache, how.positions ? how.positions : config.context_length) +
               workspace(how.threads);
    }
};

namespace detail {

/// A matrix of the model as its file has it.
struct planned_matrix {
    const stored_tensor* source;
    orientation rows;
    std::size_t depth, columns;
    std::uint64_t weight_parts::*part;
    bool attention_input = false;  ///< c_attn, which has a rule of its own

    std::uint64_t bytes(storage wanted) const {
        const auto kept =
            attention_input ? layers::causal_self_attention<float>::kept(wanted) : wanted;
        return packed_matrix<float>::bytes(format_of(*source, rows, kept), depth, columns);
    }
};

/// The matrices that a model is made of. Raises missing_tensor, wrong_shape, unsupported; what
/// comparing a stored head with the token embedding raises.
[[gnu::cold]] inline std::vector<planned_matrix> planned_matrices(const config& c,
                                                                  const weight_scope& w) {
    std::vector<planned_matrix> all;
    using parts = weight_parts;
    const auto linear = [&](const weight_scope& at, std::size_t in, std::size_t out, auto part) {
        all.push_back({&at.fetch("weight", {in, out}), orientation::in_out, in, out, part});
    };
    all.push_back({&w.fetch("wte.weight", {c.vocabulary_size, c.width}), orientation::out_in,
                   c.width, c.vocabulary_size, &parts::vocabulary});
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
        const auto h = w / "h" / layer;
        linear(h / "attn" / "c_attn", c.width, 3 * c.width, &parts::attention);
        all.back().attention_input = true;
        linear(h / "attn" / "c_proj", c.width, c.width, &parts::attention);
        linear(h / "mlp" / "c_fc", c.width, c.inner_width, &parts::feed_forward);
        linear(h / "mlp" / "c_proj", c.inner_width, c.width, &parts::feed_forward);
    }
    if (const auto* head = own_head<float>(w, c))
        all.push_back({head, orientation::out_in, c.width, c.vocabulary_size, &parts::head});
    return all;
}

/// Bytes of everything that is no matrix: norms, biases, position vectors.
inline weight_parts vector_bytes(const config& c) {
    const auto padded = [](std::size_t n) {
        return std::uint64_t{sizeof(float)} * panel_count(n) * panel_width;
    };
    const auto norm = 2 * padded(c.width);
    weight_parts bytes;
    bytes.positions = sizeof(float) * c.context_length * c.width;
    bytes.attention = c.layers * (norm + padded(3 * c.width) + padded(c.width));
    bytes.feed_forward = c.layers * (norm + padded(c.inner_width) + padded(c.width));
    bytes.final_norm = norm;
    return bytes;
}

}  // namespace detail

/// The plan of a model with that config and those tensors. Raises missing_tensor, wrong_shape,
/// unsupported, and where a head is stored that may be the token embedding again, what reading
/// raises. Milliseconds, but for that comparison.
[[gnu::cold]] inline memory_plan plan(const config& shape, const weight_store& store) {
    shape.validate();
    audit ignored;
    const auto matrices = detail::planned_matrices(shape, weight_scope(store, ignored));
    memory_plan found{shape, {}};
    for (const auto kept : memory_plan::storages) {
        auto& bytes = found.weight_bytes[static_cast<std::size_t>(kept)];
        bytes = detail::vector_bytes(shape);
        for (const auto& matrix : matrices) bytes.*matrix.part += matrix.bytes(kept);
    }
    return found;
}

/// The plan of a model that is open, and of what lies at a path, which also raises what opening it
/// raises.
[[gnu::cold]] inline memory_plan plan(const stored_model& files) {
    return plan(files.config, *files.weights);
}
[[gnu::cold]] inline memory_plan plan(const std::filesystem::path& path) {
    return plan(open_model(path));
}

namespace detail {

/// Raises limit_exceeded, with the bytes needed and allowed, when the demand is above the limit.
[[gnu::cold]] inline void keep_within(std::uint64_t limit, const memory_plan& needs,
                                      const memory_demand& how) {
    const auto needed = needs.total(how), weights = needs.weights(how.weights);
    if (needed <= limit) return;
    fail(errc::limit_exceeded, "memory_limit", {"at most ", limit, " bytes"},
         {needed, " bytes needed: ", weights, " for weights, ", needed - weights,
          " for one text of the whole context"});
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
