// Models from PyTorch files: nanoGPT's and minGPT's checkpoints, folders with pytorch_model.bin;
// their logits held to HF transformers (tests/reference/make_pytorch.py) and to the same model in
// safetensors, bit for bit.
#include "hf_folder_builder.hpp"

#include <gpt2/detail/bare_model.hpp>
#include <gpt2/load.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using gpt2::errc;
using gpt2::detail::open_pytorch_model;
using namespace std::string_literals;

namespace {

std::filesystem::path fixture(const std::string& name) {
    return test::source_folder() / "tests/reference" / name;
}
auto opened(const std::filesystem::path& path) {
    return open_pytorch_model(std::make_shared<gpt2::detail::file_source>(path));
}

template <class Scalar>
std::vector<Scalar> logits_of(const gpt2::basic_model<Scalar>& model,
                              const std::vector<gpt2::token_id>& ids) {
    gpt2::thread_pool pool(1);
    gpt2::state<Scalar> state(model.config(), pool);
    const auto vocabulary = model.config().vocabulary_size;
    std::vector<Scalar> logits(ids.size() * vocabulary);
    model.forward(ids, state, gpt2::view<Scalar>(logits.data(), ids.size(), vocabulary));
    return logits;
}

template <class Scalar>
gpt2::basic_model<Scalar> built(const gpt2::config& config, const gpt2::weight_store& store,
                                gpt2::audit& used, gpt2::storage kept = gpt2::storage::as_stored) {
    gpt2::basic_model<Scalar> model(config, gpt2::weight_scope(store, used, kept));
    used.finish(store);
    return model;
}

struct expectation {
    std::vector<gpt2::token_id> ids;
    std::vector<double> logits;
};
expectation expected_of(const std::filesystem::path& path) {
    const auto file = gpt2::detail::read_safetensors(
        std::make_shared<gpt2::detail::file_source>(path / "expect.safetensors"));
    expectation out;
    for (const auto& tensor : file.tensors) {
        const auto values = test::values_of<double>(tensor);
        if (tensor.name() == "ids") out.ids.assign(values.begin(), values.end());
        if (tensor.name() == "logits") out.logits = values;
    }
    REQUIRE(!out.ids.empty());
    return out;
}

template <class Scalar>
void check_logits(const std::vector<double>& expected, const std::vector<Scalar>& found,
                  double bound) {
    REQUIRE(found.size() == expected.size());
    double worst = 0, largest = 1e-300;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        worst = std::max(worst, std::abs(expected[i] - static_cast<double>(found[i])));
        largest = std::max(largest, std::abs(expected[i]));
    }
    CHECK(worst <= bound * largest);
}

}  // namespace

TEST_CASE("checkpoints give the logits of the reference", "[files][pytorch]") {
    for (const auto& [folder, file] : std::vector<std::pair<std::string, std::string>>{
             {"nanogpt", "ckpt.pt"}, {"nanogpt_compiled", "ckpt.pt"}, {"mingpt", "model.pt"}}) {
        CAPTURE(folder);
        const auto place = fixture("pytorch/" + folder);
        const auto model = opened(place / file);
        const auto expected = expected_of(place);
        CHECK(model.config.biases == (folder != "nanogpt_compiled"));
        gpt2::audit used;
        check_logits(expected.logits,
                     logits_of(built<double>(model.config, *model.weights, used), expected.ids),
                     1e-11);
        check_logits(expected.logits,
                     logits_of(built<float>(model.config, *model.weights, used), expected.ids),
                     1e-5);
        CHECK(used.ignored.empty());
        CHECK(used.buffers.size() == (folder == "mingpt" ? 3 : 0));
    }
}

TEST_CASE("sizes of checkpoints", "[files][pytorch]") {
    const auto nano = opened(fixture("pytorch/nanogpt/ckpt.pt")).config;
    CHECK(nano.heads == 2);
    CHECK(nano.layers == 2);
    CHECK(nano.context_length == 16);
    CHECK(nano.vocabulary_size == 19);
    CHECK(nano.activation == gpt2::activation::gelu);
    CHECK(nano.end_of_text.empty());
    const auto sorting = opened(fixture("pytorch/mingpt/model.pt")).config;
    CHECK(sorting.heads == 3);
    CHECK(sorting.activation == gpt2::activation::gelu_new);
    CHECK_ERROR(errc::missing_tensor, opened(fixture("pytorch/tiny.pt")));
    CHECK_ERROR(errc::unsupported, opened(fixture("pytorch/base_bin/pytorch_model.bin")));
    const auto bytes = test::read_file(fixture("pytorch/nanogpt/ckpt.pt"));
    const auto with = [&](std::string_view from, std::string_view to) {
        auto changed = bytes;
        changed.replace(changed.find(from), from.size(), to);
        return open_pytorch_model(test::in_memory(changed));
    };
    CHECK_ERROR(errc::unsupported, with("dropout", "dropin_"));
    CHECK_ERROR(errc::missing_tensor, with("wpe.weight", "wqe.weight"));
    CHECK_ERROR(errc::unsupported, with("wpe.weight", "lora_a.wei"));
    const auto head = bytes.find("n_head");
    auto zero = bytes;
    zero[zero.find("K\x02", head) + 1] = 0;
    CHECK_ERROR(errc::bad_config, open_pytorch_model(test::in_memory(zero)));
    zero[zero.find(std::string("K\0", 2), head) + 1] = 3;  // does not divide the width
    CHECK_ERROR(errc::bad_config, open_pytorch_model(test::in_memory(zero)));
}

TEST_CASE("matrices of nn.Linear give the bits of Conv1D's in every storage", "[files][pytorch]") {
    const auto model = opened(fixture("pytorch/nanogpt/ckpt.pt"));
    const auto expected = expected_of(fixture("pytorch/nanogpt"));
    gpt2::weight_store turned;  // the same values, laid (in, out)
    for (const auto& tensor : model.weights->tensors()) {
        const auto values = test::values_of(tensor);
        std::vector<std::byte> bytes(values.size() * sizeof(float));
        std::memcpy(bytes.data(), values.data(), bytes.size());
        turned.add({tensor.name(),
                    gpt2::dtype::f32,
                    {tensor.shape().begin(), tensor.shape().end()},
                    std::make_shared<gpt2::detail::memory_source>("memory", std::move(bytes)),
                    0});
    }
    CHECK(model.weights->find("h.0.attn.c_attn.weight")->by_column());
    CHECK_FALSE(turned.find("h.0.attn.c_attn.weight")->by_column());
    for (const auto kept : {gpt2::storage::f32, gpt2::storage::f16, gpt2::storage::bf16,
                            gpt2::storage::int8, gpt2::storage::int4}) {
        gpt2::audit used;
        CHECK(logits_of(built<float>(model.config, *model.weights, used, kept), expected.ids) ==
              logits_of(built<float>(model.config, turned, used, kept), expected.ids));
    }
}

TEST_CASE("the rows that pad a vocabulary are left out", "[files][pytorch]") {
    using namespace gpt2::detail;
    const auto source = std::make_shared<memory_source>(
        "memory", std::vector<std::byte>(padded_vocabulary * sizeof(float)));
    gpt2::weight_store store;
    for (const char* name : {"wte.weight", "lm_head.weight", "wpe.weight"})
        store.add({name, gpt2::dtype::f32, {padded_vocabulary, 1}, source, 0});
    const auto trimmed = trim_vocabulary(store, gpt2_vocabulary);
    CHECK(trimmed.find("wte.weight")->rows() == gpt2_vocabulary);
    CHECK(trimmed.find("lm_head.weight")->rows() == gpt2_vocabulary);
    CHECK(trimmed.find("wpe.weight")->rows() == padded_vocabulary);
    CHECK(trimmed.find("wte.weight")->size() == gpt2_vocabulary);
}

TEST_CASE("pytorch_model.bin gives the logits of model.safetensors", "[files][hf][pytorch]") {
    const std::vector<gpt2::token_id> ids = {1, 2, 3, 4, 5};
    const auto expected = logits_of(gpt2::load_model<float>(fixture("models/base")).model, ids);
    for (const char* folder : {"pytorch/base_bin", "pytorch/base_shards"}) {
        CAPTURE(folder);
        CHECK(logits_of(gpt2::load_model<float>(fixture(folder)).model, ids) == expected);
    }
}

TEST_CASE("which weights of a folder are read", "[files][hf][pytorch]") {
    test::model_folder folder;
    folder.put("pytorch_model.bin", test::read_file(fixture("pytorch/tiny.pt")));
    CHECK(folder.open().weights->size() == 2);
    folder.put("model.safetensors.index.json", R"({"weight_map":{"x":"a.safetensors"}})");
    folder.put("a.safetensors", test::safetensors({test::ramp("x", {1})}));
    CHECK(folder.open().weights->size() == 1);  // safetensors before PyTorch
    test::model_folder shards;
    shards.put("pytorch_model.bin.index.json", R"({"weight_map":{"a":"1.bin","b":"1.bin"}})");
    shards.put("1.bin", test::read_file(fixture("pytorch/tiny_legacy.pt")));
    CHECK(shards.open().weights->size() == 2);
    for (const auto& [map, code] : std::vector<std::pair<std::string, errc>>{
             {R"("a":"1.bin")", errc::bad_weights},
             {R"("a":"1.bin","b":"1.bin","c":"1.bin")", errc::missing_tensor},
             {R"("a":"1.safetensors")", errc::unsupported},
             {R"("a":"../1.bin")", errc::path_not_allowed},
             {R"("a":"2.bin")", errc::not_found}}) {
        shards.put("pytorch_model.bin.index.json", R"({"weight_map":{)" + map + "}}");
        CHECK_ERROR(code, shards.open());
    }
}
