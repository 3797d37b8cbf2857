// Hugging Face folders: config.json, shards, what is refused and by which name. Numbers in brackets
// are those of the project's list of hazards.
#include "safetensors_builder.hpp"

#include <gpt2/detail/hf_folder.hpp>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <sys/stat.h>

using gpt2::activation;
using gpt2::config;
using gpt2::errc;
using gpt2::token_id;
using gpt2::detail::canonical_name;
using gpt2::detail::open_hf_folder;
using namespace std::string_literals;

namespace {

const std::string tiny_config =
    R"("model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":4,"n_positions":8,"vocab_size":16)";

config read(const std::string& members) {
    return gpt2::detail::read_hf_config(gpt2::detail::parse_json("{" + members + "}", "f"),
                                        "config.json");
}
/// The tiny config with further members.
config with(const std::string& members) { return read(tiny_config + "," + members); }

std::string message(const std::function<void()>& action) {
    const auto problem = test::error_of(action);
    return problem ? problem->what() : "no error";
}

/// All tensors of the tiny config.
std::vector<test::tensor> tiny_tensors(const std::string& prefix = "") {
    std::vector<test::tensor> tensors = {
        test::ramp(prefix + "wte.weight", {16, 4}), test::ramp(prefix + "wpe.weight", {8, 4}),
        test::ramp(prefix + "ln_f.weight", {4}), test::ramp(prefix + "ln_f.bias", {4})};
    for (const char* layer : {"h.0.", "h.1."})
        for (const auto& [name, shape] :
             std::vector<std::pair<std::string, std::vector<std::size_t>>>{
                 {"ln_1", {4}},
                 {"attn.c_attn", {4, 12}},
                 {"attn.c_proj", {4, 4}},
                 {"ln_2", {4}},
                 {"mlp.c_fc", {4, 16}},
                 {"mlp.c_proj", {16, 4}}}) {
            tensors.push_back(test::ramp(prefix + layer + name + ".weight", shape));
            tensors.push_back(test::ramp(prefix + layer + name + ".bias", {shape.back()}));
        }
    return tensors;
}

/// A folder with the tiny config and whatever else a test puts there.
class model_folder {
public:
    model_folder() { put("config.json", "{" + tiny_config + "}"); }
    void put(const std::string& name, std::string_view bytes) {
        test::write_file(folder_ / name, bytes);
    }
    void put_index(const std::string& map) {
        put("model.safetensors.index.json", R"({"metadata":{},"weight_map":{)" + map + "}}");
    }
    auto open() const { return open_hf_folder(folder_.path()); }
    std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
    const std::filesystem::path& path() const { return folder_.path(); }

private:
    test::scratch_folder folder_;
};

std::size_t open_descriptors() {
    const auto all = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Splits the tiny model into shards by layer and writes them with their index.
void put_shards(model_folder& folder) {
    std::map<std::string, std::vector<test::tensor>> shards;
    for (auto& tensor : tiny_tensors()) {
        const std::string part = tensor.name.starts_with("h.0")   ? "2"
                                 : tensor.name.starts_with("h.1") ? "3"
                                                                  : "1";
        shards["model-0000" + part + "-of-00003.safetensors"].push_back(std::move(tensor));
    }
    std::string map;
    for (const auto& [file, tensors] : shards) {
        folder.put(file, test::safetensors(tensors));
        for (const auto& tensor : tensors)
            map += (map.empty() ? "\"" : ",\"") + tensor.name + "\":\"" + file + '"';
    }
    folder.put_index(map);
}

}  // namespace

TEST_CASE("a config with nothing but defaults is GPT-2's smallest", "[files][hf]") {
    const config sizes = read(R"("model_type":"gpt2")");
    CHECK(sizes.vocabulary_size == 50257);
    CHECK(sizes.context_length == 1024);
    CHECK((sizes.width == 768 && sizes.layers == 12 && sizes.heads == 12));
    CHECK(sizes.inner_width == 3072);
    CHECK(sizes.layer_norm_epsilon == 1e-5);
    CHECK(sizes.activation == activation::gelu_new);
    CHECK((sizes.scale_attention && !sizes.scale_attention_by_inverse_layer && sizes.tied_head));
    CHECK(sizes.begin_of_text == token_id{50256});
    CHECK(sizes.end_of_text == std::vector<token_id>{50256});
    // distilgpt2's first config had no model_type and no architectures
    CHECK(read(R"("n_ctx":1024,"n_embd":768,"n_head":12,"n_layer":6,"n_positions":1024)").layers ==
          6);
}

TEST_CASE("sizes of the wrong type or range [133, 134, 136, 138]", "[files][hf]") {
    for (const char* key : {"n_layer", "n_head", "n_embd", "n_positions", "n_ctx", "vocab_size",
                            "num_hidden_layers", "n_inner"})
        for (const char* value : {"-1", "0", "1.5", "\"12\"", "1e3", "2147483648",
                                  "18446744073709551616", "true", "[1]", "{}"}) {
            const std::string member = "\""s + key + "\":" + value;
            CHECK_ERROR(errc::bad_config, read(R"("model_type":"gpt2",)" + member));
            CHECK_THAT(message([&] { read(R"("model_type":"gpt2",)" + member); }),
                       Catch::Matchers::StartsWith("config.json: "s + key));
        }
    CHECK_ERROR(errc::bad_config, read(R"("model_type":"gpt2","n_layer":null)"));
    CHECK_ERROR(errc::bad_config, read(R"("model_type":"gpt2","n_head":7)"));
    CHECK_ERROR(errc::bad_config, read(R"("model_type":"gpt2","n_embd":1099511627776)"));
    CHECK(with(R"("n_inner":null)").inner_width == 16);
    CHECK(with(R"("n_inner":37)").inner_width == 37);
    CHECK(with(R"("layer_norm_epsilon":1e-6)").layer_norm_epsilon == 1e-6);
    for (const char* value : {"0", "-1e-5", "\"1e-5\"", "null", "1e-400"})
        CHECK_ERROR(errc::bad_config, with(R"("layer_norm_epsilon":)"s + value));
    CHECK_ERROR(errc::bad_config, gpt2::detail::read_hf_config(nlohmann::json::array(), "f"));
}

TEST_CASE("names and aliases of sizes [135]", "[files][hf]") {
    const config sizes = read(
        R"("model_type":"gpt2","num_hidden_layers":3,"num_attention_heads":5,"hidden_size":20,
           "max_position_embeddings":77)");
    CHECK((sizes.layers == 3 && sizes.heads == 5 && sizes.width == 20));
    CHECK(sizes.context_length == 77);
    CHECK(sizes.inner_width == 80);
    const auto context = [](const char* members) {
        return read(R"("model_type":"gpt2",)"s + members).context_length;
    };
    CHECK(context(R"("n_ctx":512)") == 512);
    CHECK(context(R"("n_ctx":512,"n_positions":513)") == 513);
    CHECK(context(R"("n_ctx":512,"max_position_embeddings":99)") == 99);
    CHECK_NOTHROW(with(R"("num_hidden_layers":2)"));
    CHECK_ERROR(errc::bad_config, with(R"("num_attention_heads":4)"));
    CHECK_ERROR(errc::bad_config, with(R"("hidden_size":8)"));
}

TEST_CASE("flags are honoured [137, 139]", "[files][hf]") {
    CHECK_FALSE(with(R"("scale_attn_weights":false)").scale_attention);
    CHECK(with(R"("scale_attn_by_inverse_layer_idx":true)").scale_attention_by_inverse_layer);
    CHECK_FALSE(with(R"("tie_word_embeddings":false)").tied_head);
    CHECK_NOTHROW(with(R"("reorder_and_upcast_attn":true)"));
    for (const char* key : {"scale_attn_weights", "scale_attn_by_inverse_layer_idx",
                            "tie_word_embeddings", "reorder_and_upcast_attn"})
        CHECK_ERROR(errc::bad_config, with("\""s + key + "\":1"));
    CHECK(with(R"("activation_function":"gelu")").activation == activation::gelu);
    CHECK(with(R"("activation_function":"gelu_fast")").activation == activation::gelu_fast);
    CHECK_ERROR(errc::bad_config, with(R"("activation_function":7)"));
    for (const char* name : {"prelu", "xielu", "GELU", "", "\\u001b[31m"})
        CHECK_ERROR(errc::unsupported, with(R"("activation_function":")"s + name + '"'));
    CHECK_THAT(message([] { with(R"("activation_function":"xielu")"); }),
               Catch::Matchers::Contains("\"xielu\""));
}

TEST_CASE("keys of other architectures mean nothing [142]", "[files][hf]") {
    const config sizes = with(
        R"("intermediate_size":37,"num_key_value_heads":1,"hidden_act":"relu","afn":"gelu",
           "apply_query_key_layer_scaling":true,"normalize_attention_scores":true,
           "attn_pdrop":0.1,"resid_pdrop":"x","task_specific_params":{"text-generation":{"a":[1]}},
           "torch_dtype":null,"pruned_heads":{},"quantization_config":null,"unknown":[{}])");
    CHECK(sizes.inner_width == 16);
    CHECK(sizes.activation == activation::gelu_new);
}

TEST_CASE("begin and end tokens", "[files][hf]") {
    CHECK(with(R"("eos_token_id":3)").end_of_text == std::vector<token_id>{3});
    CHECK(with(R"("eos_token_id":[3,0,3,99,-1])").end_of_text == std::vector<token_id>{3, 0});
    CHECK(with(R"("eos_token_id":null)").end_of_text.empty());
    CHECK(with(R"("eos_token_id":16)").end_of_text.empty());
    CHECK(with(R"("eos_token_id":50256)").end_of_text.empty());  // codeparrot
    CHECK(with(R"("x":1)").end_of_text.empty());                 // 50256 is not in 16
    CHECK(with(R"("bos_token_id":15)").begin_of_text == token_id{15});
    for (const char* value : {"null", "16", "-1", "4294967296", "18446744073709551615"})
        CHECK_FALSE(with(R"("bos_token_id":)"s + value).begin_of_text);
    for (const char* value : {"1.0", "\"3\"", "true", "{}", "[\"3\"]", "[[3]]", "[null]", "1e30"})
        CHECK_ERROR(errc::bad_config, with(R"("eos_token_id":)"s + value));

    config sizes = with(R"("eos_token_id":3,"bos_token_id":4)");
    const auto generation = [&](const std::string& text) {
        gpt2::detail::read_hf_generation_config(gpt2::detail::parse_json(text, "f"), "f", sizes);
    };
    generation(R"({"temperature":0.7})");
    CHECK(sizes.end_of_text == std::vector<token_id>{3});
    CHECK(sizes.begin_of_text == token_id{4});
    generation(R"({"eos_token_id":[5,6],"bos_token_id":null})");
    CHECK(sizes.end_of_text == std::vector<token_id>{5, 6});
    CHECK(sizes.begin_of_text == token_id{4});
    CHECK_ERROR(errc::bad_config, generation("[]"));
}

TEST_CASE("other architectures are refused by name [140]", "[files][hf]") {
    for (const std::string type :
         {"openai-gpt", "gpt_neo", "gptj", "gpt_neox", "codegen", "opt", "bloom", "gpt_bigcode",
          "biogpt", "llama", "mistral", "bert", "GPT2", "", "\\u0000"})
        CHECK_ERROR(errc::unsupported,
                    read(R"("model_type":")" + type + R"(","n_layer":2,"n_head":"x")"));
    CHECK(message([] { read(R"("model_type":"gptj")"); }) ==
          "config.json: model_type \"gptj\" is not GPT-2");
    CHECK_ERROR(errc::bad_config, read(R"("model_type":5)"));
    for (const std::string name :
         {"GPT2ForSequenceClassification", "GPT2ForTokenClassification", "AraGPT2LMHeadModel",
          "GPT2LMHeadCustomModel", "MoEGPT2LMHeadModel", "GQAGPT2LMHeadModel", "LlamaForCausalLM"})
        CHECK_THAT(message([&] { with(R"("architectures":[")" + name + "\"]"); }),
                   Catch::Matchers::Contains('"' + name + "\" is not a GPT-2 language model"));
    for (const std::string list :
         {"null", "[]", R"(["GPT2LMHeadModel"])", R"(["GPT2Model"])", R"(["GPT2DoubleHeadsModel"])",
          R"(["TFGPT2LMHeadModel"])", R"(["FlaxGPT2LMHeadModel"])"})
        CHECK_NOTHROW(with(R"("architectures":)" + list));
    CHECK_ERROR(errc::bad_config, with(R"("architectures":"GPT2LMHeadModel")"));
    CHECK_ERROR(errc::bad_config, with(R"("architectures":[1])"));
    CHECK_ERROR(errc::unsupported, read(""));
    CHECK_ERROR(errc::unsupported, read(R"("hidden_size":4096,"num_hidden_layers":32)"));
}

TEST_CASE("features that change the numbers are refused by name [140]", "[files][hf]") {
    for (const char* key : {"add_cross_attention", "is_encoder_decoder", "multi_query"}) {
        CHECK_NOTHROW(with("\""s + key + "\":false"));
        CHECK_ERROR(errc::unsupported, with("\""s + key + "\":true"));
        CHECK_THAT(message([&] { with("\""s + key + "\":true"); }), Catch::Matchers::Contains(key));
    }
    CHECK_ERROR(errc::unsupported, with(R"("pruned_heads":{"0":[1]})"));
    CHECK_ERROR(errc::unsupported, with(R"("quantization_config":{})"));
    CHECK_ERROR(errc::unsupported, with(R"("compression_config":{})"));
    CHECK_THAT(message([] { with(R"("quantization_config":{"quant_method":"gptq"})"); }),
               Catch::Matchers::Contains("\"gptq\""));
}

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
        CHECK(contents.weight_files ==
              std::vector<std::filesystem::path>{folder / "model.safetensors"});
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
    CHECK_THAT(message([&] { folder.open(); }),
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
        CHECK_THAT(message([&] { root.fetch(tensors[i].name); }),
                   Catch::Matchers::StartsWith(tensors[i].name + ": "));
    }
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
        CHECK_THAT(message([&] { folder.open(); }), Catch::Matchers::Contains(name));
    }
    test::scratch_folder adapter;
    test::write_file(adapter / "adapter_config.json", "{}");
    CHECK_ERROR(errc::unsupported, open_hf_folder(adapter.path()));
    CHECK_THAT(message([&] { open_hf_folder(adapter.path()); }), Catch::Matchers::Contains("LoRA"));
}

TEST_CASE("what is not there is named [287]", "[files][hf]") {
    const test::scratch_folder empty;
    CHECK_ERROR(errc::not_found, open_hf_folder(empty / "absent"));
    CHECK_THAT(message([&] { open_hf_folder(empty.path()); }),
               Catch::Matchers::Contains("config.json: no such file"));
    test::write_file(empty / "model.safetensors", "");
    CHECK_ERROR(errc::not_found, open_hf_folder(empty.path()));
    CHECK_ERROR(errc::invalid_argument, open_hf_folder(empty / "model.safetensors"));

    model_folder folder;
    CHECK_ERROR(errc::not_found, folder.open());
    for (const char* name : {"pytorch_model.bin", "tf_model.h5", "flax_model.msgpack",
                             "pytorch_model.bin.index.json"}) {
        model_folder other;
        other.put(name, "x");
        CHECK_ERROR(errc::unsupported, other.open());
        CHECK_THAT(
            message([&] { other.open(); }),
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

TEST_CASE("shards give the tensors of the single file [061, 072]", "[files][hf]") {
    model_folder single, sharded;
    single.put("model.safetensors", test::safetensors(tiny_tensors()));
    put_shards(sharded);
    const auto one = single.open(), many = sharded.open();
    CHECK(many.weight_files.size() == 3);
    REQUIRE(one.weights->size() == many.weights->size());
    for (const auto& tensor : one.weights->tensors()) {
        const auto* same = many.weights->find(tensor.name());
        REQUIRE(same);
        CHECK(std::ranges::equal(same->shape(), tensor.shape()));
        CHECK(test::values_of(*same) == test::values_of(tensor));
    }
    sharded.put("model.safetensors", test::safetensors({test::ramp("only", {1})}));
    CHECK(sharded.open().weights->size() == 1);  // the single file comes first
}

TEST_CASE("an index names plain files beside it only [062, 063]", "[files][hf]") {
    model_folder folder;
    for (const std::string& name : {"../x.safetensors"s,
                                    "/etc/passwd"s,
                                    "a/../../b"s,
                                    "C:\\\\x"s,
                                    "\\\\\\\\host\\\\share"s,
                                    "..\\\\x"s,
                                    "sub/x.safetensors"s,
                                    ""s,
                                    "."s,
                                    ".."s,
                                    "CON"s,
                                    "con.safetensors"s,
                                    "COM1.safetensors"s,
                                    "lpt9.x"s,
                                    "nul"s,
                                    "x\\u0000y"s,
                                    std::string(5000, 'x'),
                                    ".hidden.safetensors"s,
                                    "x.safetensors."s,
                                    "x\\n.safetensors"s,
                                    "a b.safetensors"s,
                                    "x:y.safetensors"s,
                                    "\\u00e9.safetensors"s}) {
        folder.put_index(R"("wte.weight":")" + name + '"');
        CHECK_ERROR(errc::path_not_allowed, folder.open());
    }
    folder.put_index(R"("wte.weight":"pytorch_model-00001-of-00002.bin")");
    CHECK_ERROR(errc::unsupported, folder.open());
    CHECK(gpt2::detail::is_plain_name("model-00001-of-00003.safetensors"));
    CHECK(gpt2::detail::is_plain_name(std::string(255, 'x')));
    CHECK_FALSE(gpt2::detail::is_plain_name(std::string(256, 'x')));
    CHECK(gpt2::detail::is_plain_name("console.safetensors"));
}

TEST_CASE("links in the folder are followed, as the hub's cache needs [064]", "[files][hf]") {
    model_folder target, folder;
    target.put("blob", test::safetensors(tiny_tensors()));
    std::filesystem::create_symlink(target / "blob", folder / "model.safetensors");
    CHECK(folder.open().weights->size() == 28);
    std::filesystem::remove(target / "blob");
    CHECK_ERROR(errc::not_found, folder.open());  // dangling: not passed over for an index
}

TEST_CASE("shards that are absent or no files [065, 298]", "[files][hf]") {
    model_folder folder;
    put_shards(folder);
    const auto shard = folder / "model-00002-of-00003.safetensors";
    const std::size_t before = open_descriptors();
    std::filesystem::remove(shard);
    CHECK_ERROR(errc::not_found, folder.open());
    CHECK_THAT(message([&] { folder.open(); }),
               Catch::Matchers::Contains("model-00002-of-00003.safetensors"));
    std::filesystem::create_directory(shard);
    CHECK_ERROR(errc::not_regular_file, folder.open());
    std::filesystem::remove(shard);
    REQUIRE(::mkfifo(shard.c_str(), 0600) == 0);
    CHECK_ERROR(errc::not_regular_file, folder.open());
    CHECK(open_descriptors() == before);
}

TEST_CASE("index and shards must agree [066, 067, 070]", "[files][hf]") {
    model_folder folder;
    folder.put("a.safetensors", test::safetensors({test::ramp("x", {1}), test::ramp("y", {2})}));
    folder.put("b.safetensors", test::safetensors({test::ramp("y", {2}), test::ramp("z", {1})}));
    folder.put("c.safetensors", test::safetensors({test::ramp("transformer.x", {1})}));
    const auto check = [&](errc code, const std::string& map) {
        folder.put_index(map);
        CHECK_ERROR(code, folder.open());
    };
    folder.put_index(R"("x":"a.safetensors","y":"a.safetensors")");
    CHECK(folder.open().weights->size() == 2);
    check(errc::bad_weights, R"("x":"a.safetensors","y":"a.safetensors","z":"b.safetensors")");
    check(errc::duplicate_tensor,
          R"("x":"a.safetensors","y":"a.safetensors","transformer.x":"c.safetensors")");
    check(errc::missing_tensor, R"("x":"a.safetensors","y":"a.safetensors","w":"a.safetensors")");
    check(errc::bad_weights, R"("x":"a.safetensors")");
    check(errc::bad_json, R"("x":"a.safetensors","x":"b.safetensors")");
    for (const char* value : {"1", "null", "[\"a.safetensors\"]", "{}", "true"})
        check(errc::bad_weights, R"("x":)"s + value);
    for (const char* text : {"{}", "[]", "3", R"({"weight_map":[]})", R"({"weight_map":"x"})"}) {
        folder.put("model.safetensors.index.json", text);
        CHECK_ERROR(errc::bad_weights, folder.open());
    }
    folder.put("a.safetensors", "corrupt file of some length");
    const std::size_t before = open_descriptors();
    check(errc::limit_exceeded, R"("x":"a.safetensors","y":"a.safetensors","z":"b.safetensors")");
    CHECK(open_descriptors() == before);
}

TEST_CASE("the size an index claims is not used [068]", "[files][hf]") {
    model_folder folder;
    folder.put("a.safetensors", test::safetensors({test::ramp("x", {1})}));
    for (const char* size : {"-1", "\"x\"", "18446744073709551615", "1e300", "null"}) {
        folder.put("model.safetensors.index.json", R"({"metadata":{"total_size":)"s + size +
                                                       R"(},"weight_map":{"x":"a.safetensors"}})");
        CHECK(folder.open().weights->size() == 1);
    }
}

TEST_CASE("many shards, many names [069, 071]", "[files][hf]") {
    model_folder folder;
    std::string map;
    for (std::size_t i = 0; i <= gpt2::detail::index_limits::shards; ++i)
        map += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"s" + std::to_string(i) +
               ".safetensors\"";
    folder.put_index(map);
    CHECK_ERROR(errc::limit_exceeded, folder.open());

    std::vector<test::tensor> tensors;
    map.clear();
    for (int i = 0; i < 10'000; ++i) {
        tensors.push_back(test::ramp("t" + std::to_string(i), {1}));
        map += (i ? ",\"" : "\"") + tensors.back().name + R"(":"all.safetensors")";
    }
    folder.put("all.safetensors", test::safetensors(tensors));
    folder.put_index(map);
    const std::size_t before = open_descriptors();
    {
        const auto contents = folder.open();
        CHECK(contents.weights->size() == 10'000);
        CHECK(open_descriptors() == before + 1);  // opened once
    }
    CHECK(open_descriptors() == before);

    folder.put_index(R"("x":"a.safetensors")" + std::string(16u << 20, ' '));
    CHECK_ERROR(errc::limit_exceeded, folder.open());
    folder.put("model.safetensors.index.json", R"({"metadata":[[[[[[[[]]]]]]]],"weight_map":{}})");
    CHECK_ERROR(errc::bad_json, folder.open());
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
