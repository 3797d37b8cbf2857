// Hugging Face folders: names of tensors, what is missing, what is refused and by which name.
// Numbers in brackets are those of the project's list of hazards.
#include "hf_folder_builder.hpp"
#include "../support/process.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

using gpt2::activation;
using gpt2::errc;
using gpt2::token_id;
using gpt2::detail::canonical_name;
using gpt2::detail::open_hf_folder;
using test::message_of;
using test::model_folder;
using test::open_descriptors;
using test::tiny_config;
using test::tiny_tensors;
using namespace std::string_literals;

TEST_CASE("every spelling of a name leads to one [052]", "[files][hf]") {
    for (const char* name :
         {"h.0.ln_1.bias", "transformer.h.0.ln_1.bias", "_orig_mod.transformer.h.0.ln_1.bias",
          "module.transformer.h.0.ln_1.bias", "module._orig_mod.transformer.h.0.ln_1.bias",
          "_orig_mod.module.transformer.h.0.ln_1.bias", "transformer.h.0._orig_mod.ln_1.bias",
          "transformer._orig_mod.h.0.ln_1.bias"})
        CHECK(canonical_name(name) == "h.0.ln_1.bias");
    CHECK(canonical_name("lm_head.weight") == "lm_head.weight");
    CHECK(canonical_name("_orig_mod.lm_head.weight") == "lm_head.weight");
    CHECK(canonical_name("transformer.") == "transformer.");
    CHECK(canonical_name("x_orig_mod.y") == "x_orig_mod.y");
    CHECK(canonical_name("h.module.x") == "h.module.x");
    CHECK(canonical_name("").empty());
}

TEST_CASE("a folder opens with all its tensors [052, 053]", "[files][hf]") {
    for (const char* prefix : {"", "transformer.", "_orig_mod.transformer.", "module."}) {
        model_folder folder;
        auto tensors = tiny_tensors(prefix);
        tensors.push_back({prefix + "h.0.attn.bias"s, "BOOL", {1, 1, 8, 8}, std::string(64, 1)});
        tensors.push_back({prefix + "h.0.attn.masked_bias"s, "F32", {}, std::string(4, 0)});
        folder.put("model.safetensors", test::safetensors(tensors));
        const auto contents = folder.open();
        CHECK(contents.weights->size() == 30);
        CHECK(contents.config.layers == 2);
        CHECK(contents.config.biases);
        CHECK(contents.format == "safetensors");
        gpt2::audit record;
        const gpt2::weight_scope root(*contents.weights, record);
        const auto& weight = (root / "h" / 1 / "mlp").fetch("c_fc.weight", {4, 16});
        CHECK(test::values_of(weight)[9] == 1.125f);
        CHECK_ERROR(errc::wrong_shape, (root / "h" / 1 / "mlp").fetch("c_fc.weight", {16, 4}));
    }
}

TEST_CASE("two spellings of one tensor are refused [052]", "[files][hf]") {
    model_folder folder;
    auto tensors = tiny_tensors();
    tensors.push_back(test::ramp("transformer.wte.weight", {16, 4}));
    folder.put("model.safetensors", test::safetensors(tensors));
    CHECK_ERROR(errc::duplicate_tensor, folder.open());
    CHECK_THAT(message_of([&] { folder.open(); }),
               Catch::Matchers::Contains("transformer.wte.weight"));
}

TEST_CASE("each tensor missing in turn is named [057]", "[files][hf]") {
    const auto tensors = tiny_tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        auto rest = tensors;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
        model_folder folder;
        folder.put("model.safetensors", test::safetensors(rest));
        const auto contents = folder.open();
        CHECK(contents.config.biases);  // one bias left says that all are needed
        gpt2::audit record;
        const gpt2::weight_scope root(*contents.weights, record);
        for (const auto& tensor : rest) CHECK(root.has(tensor.name));
        CHECK_THAT(message_of([&] { root.fetch(tensors[i].name); }),
                   Catch::Matchers::StartsWith(tensors[i].name + ": "));
    }
}

TEST_CASE("an empty file opens, and lacks the first tensor [004]", "[files][hf]") {
    model_folder folder;
    folder.put("model.safetensors", test::with_header("{}"));
    const auto contents = folder.open();
    CHECK(contents.weights->size() == 0);
    gpt2::audit record;
    const gpt2::weight_scope root(*contents.weights, record);
    CHECK_ERROR(errc::missing_tensor, root.fetch("wte.weight", {16, 4}));
}

TEST_CASE("a transposed export shows in c_attn, which is never square [056]", "[files][hf]") {
    auto tensors = tiny_tensors();
    for (auto& tensor : tensors)
        if (tensor.name.starts_with("h.")) std::reverse(tensor.shape.begin(), tensor.shape.end());
    model_folder folder;
    folder.put("model.safetensors", test::safetensors(tensors));
    const auto contents = folder.open();
    gpt2::audit record;
    const auto attn = gpt2::weight_scope(*contents.weights, record) / "h" / 0 / "attn";
    CHECK_NOTHROW(attn.fetch("c_proj.weight", {4, 4}));
    CHECK_ERROR(errc::wrong_shape, attn.fetch("c_attn.weight", {4, 12}));
}

TEST_CASE("a model without any bias says so", "[files][hf]") {
    auto tensors = tiny_tensors();
    std::erase_if(tensors, [](const auto& t) { return t.name.ends_with(".bias"); });
    tensors.push_back(test::ramp("h.0.attn.bias", {1, 1, 8, 8}));  // the mask is no bias
    model_folder folder;
    folder.put("model.safetensors", test::safetensors(tensors));
    CHECK_FALSE(folder.open().config.biases);
}

TEST_CASE("adapters and packed weights are refused by name", "[files][hf]") {
    for (const char* name : {"h.0.attn.c_attn.lora_A.weight", "h.0.attn.c_attn.qweight",
                             "h.0.attn.c_attn.weight.absmax", "h.0.mlp.c_fc.SCB"}) {
        model_folder folder;
        folder.put("model.safetensors", test::safetensors({test::ramp(name, {4})}));
        CHECK_ERROR(errc::unsupported, folder.open());
        CHECK_THAT(message_of([&] { folder.open(); }), Catch::Matchers::Contains(name));
    }
    test::scratch_folder adapter;
    test::write_file(adapter / "adapter_config.json", "{}");
    CHECK_ERROR(errc::unsupported, open_hf_folder(adapter.path()));
    CHECK_THAT(message_of([&] { open_hf_folder(adapter.path()); }),
               Catch::Matchers::Contains("LoRA"));
}

TEST_CASE("what is not there is named [287]", "[files][hf]") {
    const test::scratch_folder empty;
    CHECK_ERROR(errc::not_found, open_hf_folder(empty / "absent"));
    CHECK_ERROR(errc::not_found, open_hf_folder(std::filesystem::path()));
    CHECK_ERROR(errc::read_failed, open_hf_folder(empty / std::string(300, 'n')));
    std::filesystem::create_directory_symlink("loop", empty / "loop");
    CHECK_ERROR(errc::read_failed, open_hf_folder(empty / "loop"));
    std::filesystem::remove(empty / "loop");
    CHECK_THAT(message_of([&] { open_hf_folder(empty.path()); }),
               Catch::Matchers::Contains("config.json: no such file"));
    test::write_file(empty / "model.safetensors", "");
    CHECK_ERROR(errc::not_found, open_hf_folder(empty.path()));
    CHECK_ERROR(errc::invalid_argument, open_hf_folder(empty / "model.safetensors"));

    model_folder folder;
    CHECK_ERROR(errc::not_found, folder.open());
    for (const char* name : {"tf_model.h5", "flax_model.msgpack", "rust_model.ot"}) {
        model_folder other;
        other.put(name, "x");
        CHECK_ERROR(errc::unsupported, other.open());
        CHECK_THAT(
            message_of([&] { other.open(); }),
            Catch::Matchers::Contains(name) && Catch::Matchers::Contains("model.safetensors"));
    }
    folder.put("model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    CHECK_ERROR(errc::truncated, folder.open());
}

TEST_CASE("foreign models are refused before weights are read [140]", "[files][hf]") {
    model_folder folder;
    folder.put("config.json", R"({"model_type":"opt"})");
    folder.put("model.safetensors", "garbage");
    CHECK_ERROR(errc::unsupported, folder.open());
}

TEST_CASE("broken JSON beside good weights [127, 129, 130, 132]", "[files][hf]") {
    model_folder folder;
    folder.put("model.safetensors", test::safetensors(tiny_tensors()));
    CHECK_NOTHROW(folder.open());
    folder.put("generation_config.json", "{");
    CHECK_ERROR(errc::bad_json, folder.open());
    folder.put("generation_config.json", R"({"eos_token_id":7})");
    CHECK(folder.open().config.end_of_text == std::vector<token_id>{7});
    for (const std::string& text : {"{" + tiny_config + R"(,"n_layer":2})", "{"s, ""s, "[]x"s,
                                    std::string(65, '['), "{" + tiny_config + "}\0"s}) {
        folder.put("config.json", text);
        CHECK_ERROR(errc::bad_json, folder.open());
    }
    folder.put("config.json", "[]");
    CHECK_ERROR(errc::bad_config, folder.open());
    folder.put("config.json", "{" + tiny_config + "}" + std::string(1u << 20, ' '));
    CHECK_ERROR(errc::limit_exceeded, folder.open());
}

TEST_CASE("links in the folder are followed, as the hub's cache needs [064]", "[files][hf]") {
    model_folder target, folder;
    target.put("blob", test::safetensors(tiny_tensors()));
    std::filesystem::create_symlink(target / "blob", folder / "model.safetensors");
    CHECK(folder.open().weights->size() == 28);
    std::filesystem::remove(target / "blob");
    CHECK_ERROR(errc::not_found, folder.open());  // dangling: not passed over for an index
}

TEST_CASE("opening reads headers only and changes nothing [292, 298]", "[files][hf]") {
    model_folder folder;
    folder.put("model.safetensors", test::safetensors(tiny_tensors()));
    const auto before = test::read_file(folder / "model.safetensors");
    const auto time = std::filesystem::last_write_time(folder / "model.safetensors");
    const std::size_t descriptors = open_descriptors();
    for (int i = 0; i < 100; ++i) folder.open();
    folder.put("config.json", "{");
    for (int i = 0; i < 1000; ++i) CHECK_THROWS(folder.open());
    CHECK(open_descriptors() == descriptors);
    CHECK(test::read_file(folder / "model.safetensors") == before);
    CHECK(std::filesystem::last_write_time(folder / "model.safetensors") == time);
}

TEST_CASE("published small models open", "[files][hf]") {
    struct expected {
        const char* name;
        std::size_t layers, heads, width, vocabulary;
        activation function;
        bool tied;
        std::vector<token_id> end;
        std::uint64_t parameters;
    };
    for (const auto& model :
         {expected{"capp-hf", 4, 4, 64, 53, activation::gelu_new, true, {51}, 236'224},
          expected{"gpt-nano-sort", 3, 3, 48, 3, activation::gelu_new, false, {}, 85'728},
          expected{"slm4096", 4, 4, 64, 54, activation::gelu, true, {0}, 211'712}}) {
        const auto folder = test::shared_data("data/models/"s + model.name);
        if (folder.empty()) return;
        const auto contents = open_hf_folder(folder);
        const auto& c = contents.config;
        CHECK((c.layers == model.layers && c.heads == model.heads && c.width == model.width));
        CHECK(c.vocabulary_size == model.vocabulary);
        CHECK(c.activation == model.function);
        CHECK(c.tied_head == model.tied);
        CHECK(c.end_of_text == model.end);
        CHECK(c.biases);
        CHECK_FALSE(c.begin_of_text);
        CHECK(c.parameter_count() == model.parameters);
        std::uint64_t stored = 0;
        for (const auto& tensor : contents.weights->tensors()) {
            stored += tensor.size();
            CHECK_NOTHROW(test::values_of(tensor));
        }
        CHECK(stored == model.parameters);
    }
}
