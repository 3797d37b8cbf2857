// A Hugging Face folder: config.json, generation_config.json and the weights as one file or as
// shards with an index, of safetensors or of PyTorch's own format.
//
// A file inside the folder can only name plain files beside it. Nothing is written, no code of a
// pickle is run, and of the weights only the headers are read here. A single file comes before an
// index, safetensors before PyTorch. Matrices are taken as Conv1D stores them, (in, out).
//
// Before: detail/file_set.hpp, detail/safetensors.hpp, detail/pytorch.hpp, detail/hf_config.hpp.
// Next: open.hpp.
#pragma once

#include "../stored_model.hpp"
#include "file_set.hpp"
#include "hf_config.hpp"
#include "pytorch.hpp"
#include "safetensors.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The name inside the bare model: `wte.weight`, `h.0.attn.c_attn.weight`, `lm_head.weight`.
/// torch.compile puts `_orig_mod.` anywhere, data parallelism `module.` and the head's class
/// `transformer.` in front.
inline std::string canonical_name(std::string_view stored) {
    constexpr std::string_view compiled = "_orig_mod.";
    std::string name(stored);
    for (std::size_t at = 0; (at = name.find(compiled, at)) != name.npos;) {
        if (at == 0 || name[at - 1] == '.') {
            name.erase(at, compiled.size());
        } else {
            at += compiled.size();
        }
    }
    for (bool again = true; again;) {
        again = false;
        for (const std::string_view prefix : {"module.", "transformer."})
            if (name.size() > prefix.size() && name.starts_with(prefix)) {
                name.erase(0, prefix.size());
                again = true;
            }
    }
    return name;
}

/// Adds the tensors of one file under their canonical names. Throws errc::duplicate_tensor when
/// two spellings name one tensor, errc::unsupported for adapters and packed quantised weights.
[[gnu::cold]] inline void add_canonical(std::vector<stored_tensor> tensors, weight_store& store) {
    struct foreign_part {
        std::string_view part, meaning;
    };
    static constexpr foreign_part foreign[] = {
        {".lora_", "a LoRA adapter"},
        {".qweight", "packed quantised weights"},
        {".SCB", "packed quantised weights"},
        {".absmax", "packed quantised weights"},
    };
    for (stored_tensor& tensor : tensors) {
        const std::string where = text_of({tensor.file(), ": ", shown_name(tensor.name())});
        for (const auto& [part, meaning] : foreign)
            if (tensor.name().find(part) != std::string::npos)
                fail(errc::unsupported, where, {meaning, ": not supported"});
        std::string name = canonical_name(tensor.name());
        if (store.find(name) != nullptr)
            fail(errc::duplicate_tensor, where, {shown_name(name), " is there under two names"});
        store.add(std::move(tensor).renamed(std::move(name)));
    }
}

struct index_limits {
    static constexpr json_limits json{std::size_t{16} << 20, 8, std::size_t{1} << 18};
    static constexpr std::size_t shards = 256;  ///< all of them stay open
};

/// One way in which a folder keeps its weights: as `single`, or as files with `suffix` that `index`
/// names.
struct weight_format {
    std::string_view name, single, index, suffix;
    std::vector<stored_tensor> (*read)(std::shared_ptr<const byte_source> file);
};

/// In the order in which they are looked for.
inline constexpr std::array<weight_format, 2> weight_formats{{
    {"safetensors", "model.safetensors", "model.safetensors.index.json", ".safetensors",
     [](auto file) { return read_safetensors(std::move(file)).tensors; }},
    {"PyTorch", "pytorch_model.bin", "pytorch_model.bin.index.json", ".bin",
     [](auto file) { return read_pytorch(std::move(file)).tensors; }},
}};

/// The index: for every shard, the names it must hold, views into `document`.
/// Throws errc::bad_json, errc::bad_weights, errc::path_not_allowed, errc::limit_exceeded,
/// errc::unsupported.
using shard_map = std::map<std::string_view, std::set<std::string_view>>;
[[gnu::cold]] inline shard_map read_index(const json_value& document, const std::string& where,
                                          std::string_view suffix = ".safetensors") {
    const json_fields file(document, where, errc::bad_weights);
    const auto* map = file.find("weight_map");
    if (map == nullptr) fail(errc::bad_weights, where, "weight_map is missing");
    if (!map->members()) file.refuse("weight_map", *map, "an object");
    shard_map shards;
    for (const auto& [tensor, shard] : *map->members()) {
        if (!shard.text()) file.refuse("weight_map", shard, "names of files");
        const std::string& name = *shard.text();
        if (!is_plain_name(name))
            fail(errc::path_not_allowed, where, "names of files in this folder", printable(name));
        if (!name.ends_with(suffix))
            fail(errc::unsupported, where, {"names that end in ", suffix}, printable(name));
        shards[name].insert(tensor);
        if (shards.size() > index_limits::shards)
            fail(errc::limit_exceeded, where, {"at most ", index_limits::shards, " shards"},
                 "more");
    }
    return shards;
}

/// Opens every shard once; each must hold exactly the tensors the index gives it.
[[gnu::cold]] inline void read_shards(const file_set& files, const weight_format& format,
                                      const shard_map& shards, weight_store& store) {
    for (const auto& [name, expected] : shards) {
        auto tensors = format.read(files.open(name));
        std::set<std::string_view> found;
        for (const stored_tensor& tensor : tensors) found.insert(tensor.name());
        for (const std::string_view tensor : expected)
            if (!found.contains(tensor))
                fail(errc::missing_tensor, files.shown(name),
                     {"the index promises ", shown_name(tensor), ", the shard has none"});
        for (const std::string_view tensor : found)
            if (!expected.contains(tensor))
                fail(errc::bad_weights, files.shown(name),
                     {"the index does not name ", shown_name(tensor)});
        add_canonical(std::move(tensors), store);
    }
}

/// Says what lies there instead of weights that can be read.
[[noreturn, gnu::cold]] inline void fail_no_weights(const file_set& files) {
    static constexpr std::array<std::string_view, 5> known = {
        "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "adapter_model.safetensors",
        "adapter_model.bin"};
    const std::string expected = "model.safetensors or pytorch_model.bin, or an index of either";
    for (const std::string_view name : known)
        if (files.has(name)) fail(errc::unsupported, files.shown(), expected, name);
    fail(errc::not_found, files.shown(), expected, "neither");
}

/// The format of a folder's weights, and their tensors.
[[gnu::cold]] inline std::string_view read_folder_weights(const file_set& files,
                                                          weight_store& store) {
    const auto format = std::find_if(
        weight_formats.begin(), weight_formats.end(),
        [&](const auto& each) { return files.has(each.single) || files.has(each.index); });
    if (format == weight_formats.end()) fail_no_weights(files);
    if (files.has(format->single)) {
        add_canonical(format->read(files.open(format->single)), store);
    } else {
        const auto document = read_json(*files.open(format->index), index_limits::json);
        const auto shards = read_index(document, files.shown(format->index), format->suffix);
        read_shards(files, *format, shards, store);
    }
    return format->name;
}

/// Whether a store has biases of a model; the causal masks are named like some.
inline bool has_biases(const weight_store& store) {
    const auto tensors = store.tensors();
    return std::any_of(tensors.begin(), tensors.end(), [](const stored_tensor& tensor) {
        return tensor.name().ends_with(".bias") && !is_buffer(tensor.name());
    });
}

/// The config of a folder, but for what only the tensors tell.
[[gnu::cold]] inline config read_folder_config(const file_set& files) {
    constexpr std::string_view config_file = "config.json", generation = "generation_config.json";
    if (!files.has(config_file) && files.has("adapter_config.json"))
        fail(errc::unsupported, files.shown(),
             "holds a LoRA adapter (adapter_config.json), not a model: merge it first");
    config c = read_hf_config(read_json(*files.open(config_file)), files.shown(config_file));
    if (files.has(generation))
        read_hf_generation_config(read_json(*files.open(generation)), files.shown(generation), c);
    return c;
}

/// The weights in `file`, whatever its name, with the config that stands beside it.
[[gnu::cold]] inline stored_model open_hf_file(const file_set& files, const weight_format& format,
                                               std::shared_ptr<const byte_source> file) {
    stored_model model;
    model.config = read_folder_config(files);
    auto store = std::make_shared<weight_store>();
    add_canonical(format.read(std::move(file)), *store);
    model.config.biases = has_biases(*store);
    model.weights = std::move(store);
    model.format = format.name;
    return model;
}

/// Opens the folder. Throws what reading JSON and the weights throws, errc::not_found naming the
/// file that is not there, errc::unsupported for other models and formats by name.
/// Milliseconds: no weight is read before the model asks for it.
[[gnu::cold]] inline stored_model open_hf_folder(const file_set& files) {
    stored_model model;
    model.config = read_folder_config(files);
    auto store = std::make_shared<weight_store>();
    model.format = read_folder_weights(files, *store);
    model.config.biases = has_biases(*store);
    model.weights = std::move(store);
    return model;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
