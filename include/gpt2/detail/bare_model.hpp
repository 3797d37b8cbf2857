// A model that is one file of tensors: nanoGPT's ckpt.pt, the state dicts of minGPT and its like, a
// safetensors file without a config.
//
// Their matrices are those of nn.Linear, (out, in), where GPT-2's own are (in, out); names are the
// same but for prefixes. nanoGPT says its sizes in `model_args`; for a bare state dict they follow
// from the shapes, and the number of heads, which no shape tells, from the sizes of known models.
//
// Before: detail/pytorch.hpp, detail/hf_folder.hpp (canonical names). Next: open.hpp.
#pragma once

#include "../config.hpp"
#include "hf_folder.hpp"
#include "pytorch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// GPT-2's vocabulary as nanoGPT and llm.c pad it, to a multiple of 64: the last 47 rows of the
/// embedding stand for no token.
inline constexpr std::size_t padded_vocabulary = 50304, gpt2_vocabulary = 50257;

/// The same tensors with every matrix (in, out): turned when c_attn, which is never square, shows
/// that the file has them the other way round.
[[gnu::cold]] inline weight_store as_conv1d(const weight_store& stored) {
    const stored_tensor* first = stored.find("h.0.attn.c_attn.weight");
    const bool turned = first != nullptr && first->shape().size() == 2 && first->shape()[1] != 0 &&
                        first->shape()[0] == 3 * first->shape()[1];
    weight_store out;
    for (const stored_tensor& tensor : stored.tensors()) {
        const std::string_view name = tensor.name();
        const bool matrix =
            name.ends_with(".attn.c_attn.weight") || name.ends_with(".attn.c_proj.weight") ||
            name.ends_with(".mlp.c_fc.weight") || name.ends_with(".mlp.c_proj.weight");
        out.add(turned && matrix ? tensor.transposed() : tensor);
    }
    return out;
}

/// The sizes that the shapes tell; heads are left at 0. Throws errc::missing_tensor,
/// errc::wrong_shape.
[[gnu::cold]] inline config sizes_of(const weight_store& store, const std::string& where) {
    const auto matrix = [&](const std::string& name) -> const stored_tensor& {
        const stored_tensor* tensor = store.find(name);
        if (tensor == nullptr) fail(errc::missing_tensor, where, {name, " is not there"});
        if (tensor->shape().size() != 2)
            fail(errc::wrong_shape, {where, ": ", name}, "a matrix", shown_shape(tensor->shape()));
        return *tensor;
    };
    config sizes;
    sizes.vocabulary_size = matrix("wte.weight").shape()[0];
    sizes.width = matrix("wte.weight").shape()[1];
    sizes.context_length = matrix("wpe.weight").shape()[0];
    sizes.inner_width = matrix("h.0.mlp.c_fc.weight").shape()[1];
    sizes.layers = 0;
    while (store.find(text_of({"h.", sizes.layers, ".ln_1.weight"})) != nullptr) ++sizes.layers;
    sizes.heads = 0;
    sizes.biases = has_biases(store);
    return sizes;
}

/// Heads of the models that are known by their layers and width; 0 for others.
inline std::size_t known_heads(const config& sizes) {
    static constexpr std::array<std::array<std::size_t, 3>, 8> known{{
        {3, 48, 3},      // gpt-nano, also llm-viz's sorting model
        {4, 128, 4},     // gpt-micro
        {6, 192, 6},     // gpt-mini
        {8, 512, 16},    // gopher-44m
        {12, 768, 12},   // gpt2
        {24, 1024, 16},  // gpt2-medium
        {36, 1280, 20},  // gpt2-large
        {48, 1600, 25},  // gpt2-xl
    }};
    for (const auto& [layers, width, heads] : known)
        if (layers == sizes.layers && width == sizes.width) return heads;
    return 0;
}

/// nanoGPT's `model_args` over what the shapes say. Throws errc::bad_config for values of another
/// kind, errc::unsupported for settings that nanoGPT does not have.
[[gnu::cold]] inline void read_model_args(const pickle_value& args, const std::string& where,
                                          config& sizes) {
    using limits = config_limits;
    const auto size = [&](std::string_view key, const pickle_value& value, std::uint64_t most,
                          std::size_t& field) {
        const auto number = value.integer();
        if (!number || *number < 1 || static_cast<std::uint64_t>(*number) > most)
            fail(errc::bad_config, {where, ": model_args: ", key}, {"an integer from 1 to ", most},
                 number ? text_of(*number) : std::string("something else"));
        field = static_cast<std::size_t>(*number);
    };
    for (std::size_t i = 0; i < args.size(); i += 2) {
        const auto key = args[i].text().value_or("");
        const pickle_value value = args[i + 1];
        if (key == "n_layer") {
            size(key, value, limits::layers, sizes.layers);
        } else if (key == "n_head") {
            size(key, value, limits::width, sizes.heads);
        } else if (key == "n_embd") {
            size(key, value, limits::width, sizes.width);
        } else if (key == "block_size") {
            size(key, value, limits::context_length, sizes.context_length);
        } else if (key == "vocab_size") {
            if (!value.is(pickle_kind::none))
                size(key, value, limits::vocabulary_size, sizes.vocabulary_size);
        } else if (key != "bias" && key != "dropout") {  // the tensors tell; nothing at inference
            fail(errc::unsupported, where, "the model_args of nanoGPT", printable(key, 60));
        }
    }
}

/// Leaves out the rows that only pad the vocabulary.
[[gnu::cold]] inline weight_store trim_vocabulary(const weight_store& stored, std::size_t size) {
    weight_store out;
    for (const stored_tensor& tensor : stored.tensors()) {
        const bool rows = tensor.name() == "wte.weight" || tensor.name() == "lm_head.weight";
        out.add(rows ? tensor.first_rows(size) : tensor);
    }
    return out;
}

/// A model without a config, from the shapes of its tensors. Throws errc::missing_tensor,
/// errc::wrong_shape, errc::bad_config, errc::unsupported when nothing tells the number of heads.
[[gnu::cold]] inline stored_model model_of_shapes(weight_store weights, config sizes,
                                                  const std::string& where) {
    if (sizes.heads == 0) sizes.heads = known_heads(sizes);
    if (sizes.heads == 0)
        fail(errc::unsupported, where, "a config, or sizes of a known model",
             {sizes.layers, " layers of width ", sizes.width,
              ", which do not tell the number of heads"});
    if (sizes.vocabulary_size == padded_vocabulary) {
        sizes.vocabulary_size = gpt2_vocabulary;
        weights = trim_vocabulary(weights, gpt2_vocabulary);
    }
    if (sizes.vocabulary_size < gpt2_vocabulary) {
        sizes.begin_of_text.reset();
        sizes.end_of_text.clear();
    }
    sizes.validate();
    stored_model model;
    model.config = sizes;
    model.weights = std::make_shared<weight_store>(std::move(weights));
    return model;
}

/// The tensors of a file that has no config beside it, under the names of the model. Throws
/// errc::unsupported for the names of other implementations.
[[gnu::cold]] inline weight_store bare_weights(std::vector<stored_tensor> tensors,
                                               const std::string& where) {
    weight_store named;
    add_canonical(std::move(tensors), named);
    if (named.find("tok_emb.weight") != nullptr)
        fail(errc::unsupported, where, "GPT-2's names of tensors",
             "those of minGPT before 2022 (tok_emb, blocks, query, key and value apart)");
    return as_conv1d(named);
}

/// The model in one file of torch.save. Throws as read_pytorch and model_of_shapes do.
[[gnu::cold]] inline stored_model open_pytorch_model(
    const std::shared_ptr<const byte_source>& file) {
    auto contents = read_pytorch(file);
    auto weights = bare_weights(std::move(contents.tensors), file->name());
    config sizes = sizes_of(weights, file->name());
    const auto args = contents.objects.root().find("model_args");
    if (args && args->is(pickle_kind::dict)) {
        read_model_args(*args, file->name(), sizes);
        sizes.activation = activation::gelu;  // nn.GELU; minGPT has GPT-2's own
    }
    auto model = model_of_shapes(std::move(weights), sizes, file->name());
    model.format = "PyTorch";
    return model;
}

/// The model in one safetensors file without a config. Throws as read_safetensors and
/// model_of_shapes do.
[[gnu::cold]] inline stored_model open_bare_safetensors(
    const std::shared_ptr<const byte_source>& file) {
    auto weights = bare_weights(read_safetensors(file).tensors, file->name());
    const config sizes = sizes_of(weights, file->name());
    auto model = model_of_shapes(std::move(weights), sizes, file->name());
    model.format = "safetensors";
    return model;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
