// GGUF files that the library writes: read again they are the model they were made of, and their
// values are the bytes that the gguf package writes.
#include "gguf_builder.hpp"

#include <gpt2/detail/gguf_writer.hpp>
#include <gpt2/detail/hf_folder.hpp>
#include <gpt2/model.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::detail::open_gguf;

namespace {

const auto reference = test::source_folder() / "tests" / "reference";

std::string written(const gpt2::detail::gguf_source& from) {
    std::string bytes;
    gpt2::detail::write_gguf(from, [&](std::string_view part) { bytes += part; });
    return bytes;
}

std::vector<float> logits_of(const gpt2::config& config, const gpt2::weight_store& weights,
                             gpt2::storage kept) {
    gpt2::thread_pool pool(2);
    gpt2::audit used;
    const gpt2::model model(config, gpt2::weight_scope(weights, used, kept, &pool));
    const std::vector<gpt2::token_id> ids = {3, 1, 4, 1, 5, 9, 2, 6, 0, 64};
    gpt2::state<float> state(config, pool);
    std::vector<float> logits(ids.size() * config.vocabulary_size);
    model.forward(ids, state, {logits.data(), ids.size(), config.vocabulary_size});
    return logits;
}

void check_equal(const gpt2::stored_tensor& a, const gpt2::stored_tensor& b) {
    INFO(a.name());
    REQUIRE(std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end()));
    CHECK(test::values_of(a) == test::values_of(b));
}

}  // namespace

TEST_CASE("what is written as F32 is read as it was", "[files][gguf]") {
    for (const char* name : {"base", "odd_sizes", "head_untied", "no_biases", "epsilon_0.1"}) {
        INFO(name);
        const auto folder = gpt2::detail::open_hf_folder(reference / "models" / name);
        const auto file = open_gguf(test::in_memory(written({folder.config, *folder.weights})));
        CHECK(file.config.layers == folder.config.layers);
        CHECK(file.config.heads == folder.config.heads);
        CHECK(file.config.inner_width == folder.config.inner_width);
        CHECK(file.config.context_length == folder.config.context_length);
        CHECK(file.config.layer_norm_epsilon == folder.config.layer_norm_epsilon);
        for (const auto& tensor : folder.weights->tensors()) {
            const auto* found = file.weights->find(tensor.name());
            REQUIRE(found != nullptr);
            check_equal(*found, tensor);
        }
        for (const auto& tensor : file.weights->tensors())
            if (folder.weights->find(tensor.name()) == nullptr)
                CHECK(test::values_of(tensor) == std::vector<float>(tensor.size(), 0.0f));
    }
}

TEST_CASE("logits do not depend on which way a matrix is stored", "[files][gguf]") {
    const auto folder = gpt2::detail::open_hf_folder(reference / "models" / "wide");
    const auto file = open_gguf(test::in_memory(written({folder.config, *folder.weights})));
    for (const auto kept : {gpt2::storage::as_stored, gpt2::storage::f16, gpt2::storage::bf16,
                            gpt2::storage::int8, gpt2::storage::int4}) {
        INFO(static_cast<int>(kept));
        CHECK(logits_of(file.config, *file.weights, kept) ==
              logits_of(folder.config, *folder.weights, kept));
    }
}

TEST_CASE("F16 and Q8_0 are rounded as the gguf package does", "[files][gguf]") {
    const auto of = [&](const char* name) {
        return open_gguf(std::make_shared<gpt2::detail::file_source>(reference / "gguf" / name));
    };
    const auto base = gpt2::detail::open_hf_folder(reference / "models" / "base");
    const auto halves = open_gguf(
        test::in_memory(written({base.config, *base.weights, nullptr, gpt2::storage::f16})));
    const auto base_expected = of("base_f16.gguf");
    for (const auto& tensor : halves.weights->tensors())
        if (tensor.name() != "wpe.weight")  // F32 for llama.cpp
            check_equal(tensor, *base_expected.weights->find(tensor.name()));
    const auto wide = gpt2::detail::open_hf_folder(reference / "models" / "wide");
    const auto blocks = open_gguf(
        test::in_memory(written({wide.config, *wide.weights, nullptr, gpt2::storage::int8})));
    const auto* tokens = blocks.weights->find("wte.weight");
    CHECK(tokens->type() == gpt2::dtype::q8_0);
    check_equal(*tokens, *of("mixed.gguf").weights->find("wte.weight"));
    for (const auto& tensor : blocks.weights->tensors())
        if (tensor.by_column()) CHECK(tensor.type() == gpt2::dtype::q8_0);
    const auto narrow = open_gguf(
        test::in_memory(written({base.config, *base.weights, nullptr, gpt2::storage::int8})));
    CHECK(narrow.weights->find("wte.weight")->type() == gpt2::dtype::f16);
    CHECK(narrow.weights->find("h.0.mlp.c_proj.weight")->type() == gpt2::dtype::q8_0);
}

TEST_CASE("a vocabulary is written with its kinds and merges", "[files][gguf]") {
    auto base = gpt2::detail::open_hf_folder(reference / "models" / "base");
    gpt2::vocabulary vocabulary;
    vocabulary.tokens = {"a", "\n", "aa", ""};
    vocabulary.merges = {{0, 0, 2}};
    vocabulary.added = {{.content = "<|e|>", .id = 3, .special = true},
                        {.content = "two words", .id = 4}};
    const auto bytes = written({base.config, *base.weights, &vocabulary});
    const auto file = open_gguf(test::in_memory(bytes));
    const auto found = file.read_tokenizer();
    REQUIRE(found);
    CHECK(found->size() == 5);
    CHECK(found->encode("aa\n<|e|>two words", gpt2::specials::as_tokens) ==
          std::vector<gpt2::token_id>{2, 1, 3, 4});
    CHECK(found->is_special(3));
    CHECK_FALSE(found->is_special(4));
}

TEST_CASE("what GGUF cannot say is not written", "[files][gguf]") {
    for (const char* name : {"activation_relu", "scale_none", "scale_by_layer"}) {
        INFO(name);
        const auto folder = gpt2::detail::open_hf_folder(reference / "models" / name);
        CHECK_ERROR(errc::unsupported, written({folder.config, *folder.weights}));
    }
    const auto base = gpt2::detail::open_hf_folder(reference / "models" / "base");
    auto other = base.config;
    other.layers = 3;
    CHECK_ERROR(errc::missing_tensor, written({other, *base.weights}));
    other = base.config;
    other.vocabulary_size = 18;
    CHECK_ERROR(errc::wrong_shape, written({other, *base.weights}));
}
