// A Hugging Face folder: config.json, generation_config.json and the weights as one file or as
// shards with an index, of safetensors or of PyTorch's own format.
//
// A file inside the folder can only name plain files beside it. Links that lie in the folder are
// followed: the hub's own download cache consists of them. Nothing is written, no code of a pickle
// is run, and of the weights only the headers are read here. A single file comes before an index,
// safetensors before PyTorch. Matrices are taken as Conv1D stores them, (in, out).
//
// Before: detail/safetensors.hpp, detail/pytorch.hpp, detail/hf_config.hpp. Next: load.hpp.
#pragma once

#include "hf_config.hpp"
#include "pytorch.hpp"
#include "safetensors.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a folder holds: the checked config, the tensors under their canonical names, and the files
/// they come from.
struct hf_folder {
    gpt2::config config;
    std::shared_ptr<const weight_store> weights;
    std::vector<std::filesystem::path> weight_files;
};

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

/// Whether a file may be named by an index: a plain name that every system takes for a file of
/// this folder.
inline bool is_plain_name(std::string_view name) {
    if (name.empty() || name.size() > 255 || name.front() == '.' || name.back() == '.')
        return false;
    const auto harmless = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '-' || c == '_' || c == '.' || c == '+';
    };
    if (!all_bytes(name, harmless)) return false;
    std::string stem(name.substr(0, name.find('.')));
    for (char& c : stem)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const bool device = stem == "CON" || stem == "PRN" || stem == "AUX" || stem == "NUL";
    const bool port = stem.size() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")) &&
                      stem[3] >= '0' && stem[3] <= '9';
    return !device && !port;
}

struct index_limits {
    static constexpr json_limits json{std::size_t{16} << 20, 8, std::size_t{1} << 18};
    static constexpr std::size_t shards = 256;  ///< all of them stay open
};

/// One way in which a folder keeps its weights: as `single`, or as files with `suffix` that `index`
/// names.
struct weight_format {
    std::string_view single, index, suffix;
    std::vector<stored_tensor> (*read)(const std::filesystem::path& file);
};

[[gnu::cold]] inline std::vector<stored_tensor> safetensors_of(const std::filesystem::path& file) {
    return read_safetensors(std::make_shared<file_source>(file)).tensors;
}
[[gnu::cold]] inline std::vector<stored_tensor> pytorch_of(const std::filesystem::path& file) {
    return read_pytorch(std::make_shared<file_source>(file)).tensors;
}

/// In the order in which they are looked for.
inline constexpr std::array<weight_format, 2> weight_formats{{
    {"model.safetensors", "model.safetensors.index.json", ".safetensors", safetensors_of},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin", pytorch_of},
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
[[gnu::cold]] inline void read_shards(const std::filesystem::path& folder,
                                      const weight_format& format, const shard_map& shards,
                                      weight_store& store,
                                      std::vector<std::filesystem::path>& files) {
    for (const auto& [name, expected] : shards) {
        files.push_back(entry_of(folder, name));
        auto tensors = format.read(files.back());
        std::set<std::string_view> found;
        for (const stored_tensor& tensor : tensors) found.insert(tensor.name());
        for (const std::string_view tensor : expected)
            if (!found.contains(tensor))
                fail(errc::missing_tensor, shown(files.back()),
                     {"the index promises ", shown_name(tensor), ", the shard has none"});
        for (const std::string_view tensor : found)
            if (!expected.contains(tensor))
                fail(errc::bad_weights, shown(files.back()),
                     {"the index does not name ", shown_name(tensor)});
        add_canonical(std::move(tensors), store);
    }
}

/// Whether the folder has an entry of that name, of whatever kind.
[[gnu::cold]] inline bool has_entry(const std::filesystem::path& folder, std::string_view name) {
    std::error_code ignored;
    return std::filesystem::exists(
        std::filesystem::symlink_status(entry_of(folder, name), ignored));
}

/// Says what lies there instead of weights that can be read.
[[noreturn, gnu::cold]] inline void fail_no_weights(const std::filesystem::path& folder) {
    static constexpr std::array<std::string_view, 5> known = {
        "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "adapter_model.safetensors",
        "adapter_model.bin"};
    const std::string expected = "model.safetensors or pytorch_model.bin, or an index of either";
    for (const std::string_view name : known)
        if (has_entry(folder, name)) fail(errc::unsupported, shown(folder), expected, name);
    fail(errc::not_found, shown(folder), expected, "neither");
}

[[gnu::cold]] inline void read_folder_weights(const std::filesystem::path& folder,
                                              hf_folder& contents) {
    auto store = std::make_shared<weight_store>();
    const weight_format* found = nullptr;
    for (const auto& format : weight_formats) {
        if (has_entry(folder, format.single) || has_entry(folder, format.index)) {
            found = &format;
            break;
        }
    }
    if (found == nullptr) fail_no_weights(folder);
    if (has_entry(folder, found->single)) {
        contents.weight_files.push_back(entry_of(folder, found->single));
        add_canonical(found->read(contents.weight_files.back()), *store);
    } else {
        const auto path = entry_of(folder, found->index);
        const json_value document = read_json(path, index_limits::json);
        read_shards(folder, *found, read_index(document, shown(path), found->suffix), *store,
                    contents.weight_files);
    }
    contents.config.biases = false;
    for (const stored_tensor& tensor : store->tensors())
        if (tensor.name().ends_with(".bias") && !is_buffer(tensor.name()))
            contents.config.biases = true;
    contents.weights = std::move(store);
}

/// Opens the folder. Throws what reading JSON and safetensors throws, errc::not_found naming the
/// file that is not there, errc::unsupported for other models and formats by name.
/// Milliseconds: no weight is read before the model asks for it.
[[gnu::cold]] inline hf_folder open_hf_folder(const std::filesystem::path& folder) {
    try {
        std::error_code problem;
        const auto status = std::filesystem::status(folder, problem);
        if (status.type() == std::filesystem::file_type::not_found)
            fail(errc::not_found, shown(folder), "no such folder");
        if (problem) fail(errc::read_failed, shown(folder), problem.message());
        if (!std::filesystem::is_directory(status))
            fail(errc::invalid_argument, shown(folder), "a folder", "something else");
        if (!has_entry(folder, "config.json") && has_entry(folder, "adapter_config.json"))
            fail(errc::unsupported, shown(folder),
                 "holds a LoRA adapter (adapter_config.json), not a model: merge it first");
        const auto config_file = entry_of(folder, "config.json");
        hf_folder contents;
        contents.config = read_hf_config(read_json(config_file), shown(config_file));
        const auto generation_file = entry_of(folder, "generation_config.json");
        if (has_entry(folder, "generation_config.json"))
            read_hf_generation_config(read_json(generation_file), shown(generation_file),
                                      contents.config);
        read_folder_weights(folder, contents);
        return contents;
    } catch (const std::bad_alloc&) {
        fail(errc::out_of_memory, shown(folder), "not enough memory to open it");
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
