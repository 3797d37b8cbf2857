// A folder as OpenAI published GPT-2: hparams.json and a TensorFlow checkpoint, with encoder.json
// and vocab.bpe, which load_tokenizer reads.
//
// `checkpoint` names the newest of the checkpoints that a trainer left; without it there must be a
// model.ckpt. Matrices are (1, in, out), as Conv1D means them. What an optimiser left beside them
// keeps its name and is ignored. Nothing outside the folder is opened.
//
// Before: detail/tensor_bundle.hpp, detail/hf_folder.hpp. Next: open.hpp.
#pragma once

#include "hf_folder.hpp"
#include "tensor_bundle.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Whether a folder holds what only OpenAI's have; config.json would make it one of Hugging Face's.
inline bool looks_like_openai_folder(const file_set& files) {
    return files.has("hparams.json") && !files.has("config.json");
}

/// The name of the model for a name of the checkpoint: `model/h3/attn/c_attn/w` is
/// `h.3.attn.c_attn.weight`. Other names stay as they are.
inline std::string openai_name(std::string_view stored) {
    struct pair {
        std::string_view theirs, ours;
    };
    static constexpr pair outside[] = {{"wte", "wte.weight"},
                                       {"wpe", "wpe.weight"},
                                       {"ln_f/g", "ln_f.weight"},
                                       {"ln_f/b", "ln_f.bias"}};
    static constexpr pair inside[] = {
        {"ln_1/g", "ln_1.weight"},
        {"ln_1/b", "ln_1.bias"},
        {"attn/c_attn/w", "attn.c_attn.weight"},
        {"attn/c_attn/b", "attn.c_attn.bias"},
        {"attn/c_proj/w", "attn.c_proj.weight"},
        {"attn/c_proj/b", "attn.c_proj.bias"},
        {"ln_2/g", "ln_2.weight"},
        {"ln_2/b", "ln_2.bias"},
        {"mlp/c_fc/w", "mlp.c_fc.weight"},
        {"mlp/c_fc/b", "mlp.c_fc.bias"},
        {"mlp/c_proj/w", "mlp.c_proj.weight"},
        {"mlp/c_proj/b", "mlp.c_proj.bias"},
    };
    constexpr std::string_view root = "model/";
    if (!stored.starts_with(root)) return std::string(stored);
    const std::string_view rest = stored.substr(root.size());
    for (const auto& [theirs, ours] : outside)
        if (rest == theirs) return std::string(ours);
    const std::size_t slash = rest.find('/');
    if (!rest.starts_with('h') || slash == rest.npos) return std::string(stored);
    const std::string_view layer = rest.substr(1, slash - 1), part = rest.substr(slash + 1);
    if (layer.empty() || !all_bytes(layer, [](char c) { return c >= '0' && c <= '9'; }))
        return std::string(stored);
    for (const auto& [theirs, ours] : inside)
        if (part == theirs) return text_of({"h.", layer, ".", ours});
    return std::string(stored);
}

/// hparams.json: the five sizes, all of them; dropout means nothing here. Throws errc::bad_config,
/// errc::unsupported for a key whose meaning is not known.
[[gnu::cold]] inline config read_hparams(const json_value& document, const std::string& where) {
    using limits = config_limits;
    const json_fields file(document, where, errc::bad_config);
    static constexpr std::array<std::string_view, 8> known = {
        "n_vocab", "n_ctx",        "n_embd",       "n_head",
        "n_layer", "attn_dropout", "embd_dropout", "res_dropout"};
    for (const auto& [name, value] : file.members())
        if (!is_one_of(known, name))
            fail(errc::unsupported, where, {"the key ", printable(name, 40), " is not known"});
    const auto size = [&](std::string_view key, std::uint64_t most) {
        const auto found = file.integer(key, {1, most});
        if (!found) fail(errc::bad_config, where, {key, " is missing"});
        return static_cast<std::size_t>(*found);
    };
    config sizes;
    sizes.vocabulary_size = size("n_vocab", limits::vocabulary_size);
    sizes.context_length = size("n_ctx", limits::context_length);
    sizes.width = size("n_embd", limits::width);
    sizes.heads = size("n_head", limits::width);
    sizes.layers = size("n_layer", limits::layers);
    sizes.inner_width = 4 * sizes.width;
    constexpr std::size_t published = 50256;
    if (sizes.vocabulary_size <= published) {
        sizes.begin_of_text.reset();
        sizes.end_of_text.clear();
    }
    sizes.validate();
    return sizes;
}

/// The checkpoint that a `checkpoint` file names in its first line, `model_checkpoint_path: "…"`: a
/// plain name. Throws errc::bad_weights, errc::path_not_allowed.
[[gnu::cold]] inline std::string read_checkpoint_name(std::string_view text,
                                                      const std::string& where) {
    std::string_view line = text.substr(0, text.find('\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    constexpr std::string_view key = "model_checkpoint_path: \"";
    if (!line.starts_with(key) || line.size() <= key.size() || !line.ends_with('"'))
        fail(errc::bad_weights, where, "model_checkpoint_path: \"…\"", printable(line));
    const std::string_view name = line.substr(key.size(), line.size() - key.size() - 1);
    if (!is_plain_name(name))
        fail(errc::path_not_allowed, where, "the name of a checkpoint in this folder",
             printable(name));
    return std::string(name);
}

/// `model.ckpt.data-00000-of-00001`.
inline std::string shard_name(std::string_view checkpoint, std::uint64_t number,
                              std::uint64_t count) {
    const auto five = [](std::uint64_t value) {
        const std::string digits = std::to_string(value);
        return std::string(5 - std::min<std::size_t>(digits.size(), 5), '0') + digits;
    };
    return text_of({checkpoint, ".data-", five(number), "-of-", five(count)});
}

/// Adds a tensor under its name in the model; a matrix loses the 1 before its shape.
[[gnu::cold]] inline void add_openai_tensor(stored_tensor tensor, weight_store& store) {
    std::string name = openai_name(tensor.name());
    if (name != tensor.name() && tensor.shape().size() == 3 && tensor.shape().front() == 1)
        tensor = std::move(tensor).reshaped({tensor.shape()[1], tensor.shape()[2]});
    store.add(std::move(tensor).renamed(std::move(name)));
}

/// Opens the folder. Throws what reading JSON and the checkpoint throws, errc::not_found naming the
/// file that is not there. No weight is read before the model asks for it.
[[gnu::cold]] inline stored_model open_openai_folder(const file_set& files) {
    constexpr std::size_t most_checkpoint_bytes = std::size_t{1} << 20;
    stored_model model;
    model.config =
        read_hparams(read_json(*files.open("hparams.json")), files.shown("hparams.json"));
    std::string checkpoint = "model.ckpt";
    if (files.has("checkpoint"))
        checkpoint = read_checkpoint_name(
            read_text(*files.open("checkpoint"), most_checkpoint_bytes), files.shown("checkpoint"));
    const auto index = files.open(checkpoint + ".index");
    const auto open_data = [&](std::uint64_t number, std::uint64_t count) {
        return files.open(shard_name(checkpoint, number, count));
    };
    auto store = std::make_shared<weight_store>();
    for (stored_tensor& tensor : read_tensor_bundle(*index, open_data))
        add_openai_tensor(std::move(tensor), *store);
    model.weights = std::move(store);
    model.format = "TensorFlow checkpoint";
    return model;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
