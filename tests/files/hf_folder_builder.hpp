// A model folder for tests: the config of a tiny model, its tensors, and whatever else a test puts
// there.
#pragma once

#include "safetensors_builder.hpp"

#include <gpt2/detail/hf_folder.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

inline const std::string tiny_config =
    R"("model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":4,"n_positions":8,"vocab_size":16)";

/// All tensors of the tiny config.
inline std::vector<tensor> tiny_tensors(const std::string& prefix = "") {
    std::vector<tensor> tensors = {
        ramp(prefix + "wte.weight", {16, 4}), ramp(prefix + "wpe.weight", {8, 4}),
        ramp(prefix + "ln_f.weight", {4}), ramp(prefix + "ln_f.bias", {4})};
    for (const char* layer : {"h.0.", "h.1."})
        for (const auto& [name, shape] :
             std::vector<std::pair<std::string, std::vector<std::size_t>>>{
                 {"ln_1", {4}},
                 {"attn.c_attn", {4, 12}},
                 {"attn.c_proj", {4, 4}},
                 {"ln_2", {4}},
                 {"mlp.c_fc", {4, 16}},
                 {"mlp.c_proj", {16, 4}}}) {
            tensors.push_back(ramp(prefix + layer + name + ".weight", shape));
            tensors.push_back(ramp(prefix + layer + name + ".bias", {shape.back()}));
        }
    return tensors;
}

/// A folder with the tiny config and whatever else a test puts there.
class model_folder {
public:
    model_folder() { put("config.json", "{" + tiny_config + "}"); }
    void put(const std::string& name, std::string_view bytes) { write_file(folder_ / name, bytes); }
    void put_index(const std::string& map) {
        put("model.safetensors.index.json", R"({"metadata":{},"weight_map":{)" + map + "}}");
    }
    auto open() const { return gpt2::detail::open_hf_folder(folder_.path()); }
    std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
    const std::filesystem::path& path() const { return folder_.path(); }

private:
    scratch_folder folder_;
};

}  // namespace test
