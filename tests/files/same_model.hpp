// Whether what another format holds is the model of a folder in tests/reference/models: the same
// sizes, the same values bit for bit, the same logits bit for bit.
#pragma once

#include "../support/catch.hpp"
#include "../support/files.hpp"

#include <gpt2/detail/hf_folder.hpp>
#include <gpt2/model.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace test {

/// All values of a tensor in the order of its shape.
inline std::vector<float> values_by_shape(const gpt2::stored_tensor& tensor) {
    std::vector<float> values(tensor.size());
    tensor.read_rows<float>(0, tensor.rows(), values);
    return values;
}

inline std::vector<float> logits_of(const gpt2::config& sizes, const gpt2::weight_store& weights,
                                    gpt2::storage kept) {
    gpt2::audit record;
    const gpt2::model model(sizes, gpt2::weight_scope(weights, record, kept));
    const std::vector<gpt2::token_id> ids = {3, 1, 4, 1, 5, 9, 2, 6};
    gpt2::thread_pool pool(2);
    gpt2::state<float> state(sizes, pool);
    std::vector<float> logits(ids.size() * sizes.vocabulary_size);
    model.forward(ids, state, gpt2::view<float>(logits.data(), ids.size(), sizes.vocabulary_size));
    return logits;
}

inline void check_same_model(const std::string& folder, const gpt2::config& sizes,
                             const gpt2::weight_store& weights) {
    const auto known =
        gpt2::detail::open_hf_folder(source_folder() / "tests/reference/models" / folder);
    CHECK(sizes.vocabulary_size == known.config.vocabulary_size);
    CHECK(sizes.context_length == known.config.context_length);
    CHECK(sizes.width == known.config.width);
    CHECK(sizes.layers == known.config.layers);
    CHECK(sizes.heads == known.config.heads);
    CHECK(sizes.inner_width == known.config.inner_width);
    CHECK(sizes.layer_norm_epsilon == known.config.layer_norm_epsilon);
    CHECK(sizes.activation == known.config.activation);
    CHECK(sizes.end_of_text == known.config.end_of_text);
    for (const gpt2::stored_tensor& tensor : known.weights->tensors()) {
        INFO(tensor.name());
        const auto* found = weights.find(tensor.name());
        REQUIRE(found != nullptr);
        CHECK(std::equal(tensor.shape().begin(), tensor.shape().end(), found->shape().begin(),
                         found->shape().end()));
        CHECK(found->type() == tensor.type());
        CHECK(values_by_shape(*found) == values_by_shape(tensor));
    }
    using gpt2::storage;
    for (const auto kept : {storage::as_stored, storage::f32, storage::f16, storage::bf16,
                            storage::int8, storage::int4}) {
        INFO("storage " << static_cast<int>(kept));
        CHECK(logits_of(sizes, weights, kept) == logits_of(known.config, *known.weights, kept));
    }
}

}  // namespace test
