// A folder in, a model out.
//
// Before: model.hpp, detail/hf_folder.hpp, which reads the files. After: gpt2.hpp, whose `load`
// adds the tokenizer.
#pragma once

#include "detail/hf_folder.hpp"
#include "model.hpp"

#include <filesystem>
#include <utility>

namespace gpt2::inline GPT2_ABI {

/// A model and what was used, ignored and missing among the tensors of its files.
template <class Scalar>
struct loaded_model {
    basic_model<Scalar> model;
    gpt2::audit audit;
};

/// Reads a Hugging Face folder, `config.json` with `model.safetensors` or an index and its shards,
/// into a model that computes in `Scalar`. Every file error is a gpt2::error; nothing outside the
/// folder is opened. Little more memory is used than the weights take.
template <class Scalar>
loaded_model<Scalar> load_model(const std::filesystem::path& folder,
                                storage weights = storage::as_stored, thread_pool* pool = nullptr) {
    const auto files = detail::open_hf_folder(folder);
    gpt2::audit used;
    basic_model<Scalar> built(files.config, weight_scope(*files.weights, used, weights, pool));
    used.finish(*files.weights);
    return {std::move(built), std::move(used)};
}

}  // namespace gpt2::inline GPT2_ABI
