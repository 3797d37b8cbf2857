// config.json and generation_config.json: what is read, what is refused and by which name. Numbers
// in brackets are those of the project's list of hazards.
#include "hf_folder_builder.hpp"
#include "../support/process.hpp"

#include <string>
#include <vector>

using gpt2::activation;
using gpt2::config;
using gpt2::errc;
using gpt2::token_id;
using test::message_of;
using namespace std::string_literals;

namespace {

config read(const std::string& members) {
    return gpt2::detail::read_hf_config(gpt2::detail::parse_json("{" + members + "}", "f"),
                                        "config.json");
}
/// The tiny config with further members.
config with(const std::string& members) { return read(test::tiny_config + "," + members); }
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
            CHECK_THAT(message_of([&] { read(R"("model_type":"gpt2",)" + member); }),
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
    CHECK_ERROR(errc::bad_config,
                gpt2::detail::read_hf_config(gpt2::detail::parse_json("[]", "f"), "f"));
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
    CHECK_THAT(message_of([] { with(R"("activation_function":"xielu")"); }),
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

TEST_CASE("a long list of end tokens is read in little time", "[files][hf]") {
    std::string list = "3";
    for (int id = 0; id < 140'000; ++id) list += "," + std::to_string(id);
    std::size_t count = 0;
    const double seconds = test::cpu_seconds([&] {
        count = read(R"("model_type":"gpt2","vocab_size":1000000,"eos_token_id":[)" + list + "]")
                    .end_of_text.size();
    });
    CHECK(count == 140'000);
    CHECK(seconds < 1);
}

TEST_CASE("other architectures are refused by name [140]", "[files][hf]") {
    for (const std::string type :
         {"openai-gpt", "gpt_neo", "gptj", "gpt_neox", "codegen", "opt", "bloom", "gpt_bigcode",
          "biogpt", "llama", "mistral", "bert", "GPT2", "", "\\u0000"})
        CHECK_ERROR(errc::unsupported,
                    read(R"("model_type":")" + type + R"(","n_layer":2,"n_head":"x")"));
    CHECK(message_of([] { read(R"("model_type":"gptj")"); }) ==
          "config.json: model_type \"gptj\" is not GPT-2");
    CHECK_ERROR(errc::bad_config, read(R"("model_type":5)"));
    for (const std::string name :
         {"GPT2ForSequenceClassification", "GPT2ForTokenClassification", "AraGPT2LMHeadModel",
          "GPT2LMHeadCustomModel", "MoEGPT2LMHeadModel", "GQAGPT2LMHeadModel", "LlamaForCausalLM"})
        CHECK_THAT(message_of([&] { with(R"("architectures":[")" + name + "\"]"); }),
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
        CHECK_THAT(message_of([&] { with("\""s + key + "\":true"); }),
                   Catch::Matchers::Contains(key));
    }
    CHECK_ERROR(errc::unsupported, with(R"("pruned_heads":{"0":[1]})"));
    CHECK_ERROR(errc::unsupported, with(R"("quantization_config":{})"));
    CHECK_ERROR(errc::unsupported, with(R"("compression_config":{})"));
    CHECK_THAT(message_of([] { with(R"("quantization_config":{"quant_method":"gptq"})"); }),
               Catch::Matchers::Contains("\"gptq\""));
}
