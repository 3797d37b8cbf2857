// A model from its files.
//
// Before: model.hpp, open.hpp, which reads the files. After: gpt2.hpp, whose `load` adds the
// tokenizer.
#pragma once

#include "model.hpp"
#include "open.hpp"

#include <filesystem>
#include <utility>

namespace gpt2::inline GPT2_ABI {

/// A model and what was used, ignored and missing among the tensors of its files.
template <class Scalar>
struct loaded_model {
    basic_model<Scalar> model;
    gpt2::audit audit;
};

/// Reads the weights into a model that computes in `Scalar`. Every file error is a gpt2::error.
/// Little more memory is used than the weights take.
template <class Scalar>
loaded_model<Scalar> load_model(const stored_model& files, storage weights = storage::as_stored,
                                thread_pool* pool = nullptr) {
    gpt2::audit used;
    basic_model<Scalar> built(files.config, weight_scope(*files.weights, used, weights, pool));
    used.finish(*files.weights);
    return {std::move(built), std::move(used)};
}

/// The model at `path`, whatever open_model knows.
template <class Scalar>
loaded_model<Scalar> load_model(const std::filesystem::path& path,
                                storage weights = storage::as_stored, thread_pool* pool = nullptr) {
    return load_model<Scalar>(open_model(path), weights, pool);
}

}  // namespace gpt2::inline GPT2_ABI
