// GGUF files as models: config, names, logits, tokenizer. Numbers in brackets are those of the
// project's list of hazards.
#include "gguf_builder.hpp"

#include <gpt2/detail/gguf_model.hpp>
#include <gpt2/load.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::detail::open_gguf;
using test::array;
using test::gguf_parts;
using test::gguf_type;
using test::raw;

namespace {

const auto reference = test::source_folder() / "tests" / "reference";

gpt2::stored_model opened(const std::string& name) {
    return open_gguf(std::make_shared<gpt2::detail::file_source>(reference / "gguf" / name));
}

template <class Scalar>
std::vector<Scalar> logits_of(const gpt2::basic_model<Scalar>& model,
                              const std::vector<gpt2::token_id>& ids) {
    gpt2::thread_pool pool(2);
    gpt2::state<Scalar> state(model.config(), pool);
    std::vector<Scalar> logits(ids.size() * model.config().vocabulary_size);
    model.forward(ids, state, {logits.data(), ids.size(), model.config().vocabulary_size});
    return logits;
}

template <class Scalar>
gpt2::basic_model<Scalar> built(const gpt2::stored_model& file,
                                gpt2::storage kept = gpt2::storage::as_stored) {
    gpt2::audit used;
    gpt2::basic_model<Scalar> model(file.config, gpt2::weight_scope(*file.weights, used, kept));
    used.finish(*file.weights);
    CHECK(used.ignored.empty());
    return model;
}

/// The pairs of a tiny model by their keys, so that a test can replace or drop one.
using pairs = std::map<std::string, std::string>;
pairs tiny_pairs() {
    const auto whole = [](const char* key, std::uint32_t value) {
        return std::pair{std::string(key), test::pair(key, value)};
    };
    const auto text = [](const char* key, const char* value) {
        return std::pair{std::string(key), test::pair(key, value)};
    };
    constexpr const char* epsilon = "gpt2.attention.layer_norm_epsilon";
    return {text("general.architecture", "gpt2"),
            whole("gpt2.block_count", 1),
            whole("gpt2.context_length", 4),
            whole("gpt2.embedding_length", 2),
            whole("gpt2.feed_forward_length", 3),
            whole("gpt2.attention.head_count", 1),
            {epsilon, test::pair(epsilon, 1e-5f)},
            text("tokenizer.ggml.model", "gpt2"),
            text("tokenizer.ggml.pre", "gpt-2"),
            {"tokenizer.ggml.tokens", array("tokenizer.ggml.tokens", {"a", "b", "ab", "<|e|>"})},
            {"tokenizer.ggml.token_type", array("tokenizer.ggml.token_type", gguf_type::i32, 4,
                                                raw(1) + raw(1) + raw(1) + raw(3))},
            {"tokenizer.ggml.merges", array("tokenizer.ggml.merges", {"a b"})},
            whole("tokenizer.ggml.eos_token_id", 3)};
}

struct shaped {
    std::string name;
    std::vector<std::uint64_t> extents;
};
std::vector<shaped> tiny_tensors() {
    return {{"token_embd.weight", {2, 4}},        {"position_embd.weight", {2, 4}},
            {"blk.0.attn_norm.weight", {2}},      {"blk.0.attn_norm.bias", {2}},
            {"blk.0.attn_qkv.weight", {2, 6}},    {"blk.0.attn_qkv.bias", {6}},
            {"blk.0.attn_output.weight", {2, 2}}, {"blk.0.attn_output.bias", {2}},
            {"blk.0.ffn_norm.weight", {2}},       {"blk.0.ffn_norm.bias", {2}},
            {"blk.0.ffn_up.weight", {2, 3}},      {"blk.0.ffn_up.bias", {3}},
            {"blk.0.ffn_down.weight", {3, 2}},    {"blk.0.ffn_down.bias", {2}},
            {"output_norm.weight", {2}},          {"output_norm.bias", {2}}};
}

std::string file_of(const pairs& keys, const std::vector<shaped>& tensors = tiny_tensors()) {
    gguf_parts parts;
    for (const auto& [key, bytes] : keys) parts.pairs.push_back(bytes);
    for (const auto& [name, extents] : tensors)
        parts.add(name, extents,
                  test::ramp_bytes(std::accumulate(extents.begin(), extents.end(), std::size_t{1},
                                                   std::multiplies<>())));
    return parts.bytes();
}

gpt2::stored_model model_of(const pairs& keys,
                            const std::vector<shaped>& tensors = tiny_tensors()) {
    return open_gguf(test::in_memory(file_of(keys, tensors)));
}
pairs with(const std::string& key, const std::string& bytes) {
    pairs keys = tiny_pairs();
    keys[key] = bytes;
    return keys;
}
pairs without(const std::string& key) {
    pairs keys = tiny_pairs();
    keys.erase(key);
    return keys;
}

std::optional<gpt2::tokenizer> tokenizer_of(const pairs& keys) {
    const auto file = model_of(keys);
    return file.read_tokenizer();
}

}  // namespace

TEST_CASE("a model in GGUF has the logits of its folder, to the bit [115]", "[files][gguf]") {
    const auto folder = gpt2::load_model<float>(reference / "models" / "base");
    const std::vector<gpt2::token_id> ids = {3, 1, 4, 1, 5, 9, 2, 6, 16, 0};
    const auto expected = logits_of(folder.model, ids);
    const auto file = opened("base_f32.gguf");
    CHECK(file.config.inner_width == folder.model.config().inner_width);
    CHECK(file.config.layers == 2);
    CHECK(file.config.biases);
    const auto model = built<float>(file);
    CHECK(model.tied_head());
    CHECK(logits_of(model, ids) == expected);
    for (const char* name : {"base_f16.gguf", "base_bf16.gguf"}) {
        const auto rounded = logits_of(built<float>(opened(name)), ids);
        double off = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
            off = std::max(off, std::abs(double{rounded[i]} - double{expected[i]}));
        INFO(name);
        CHECK(off > 0);
        CHECK(off < 0.1);
    }
}

TEST_CASE("matrices in six types have the logits of Hugging Face [125]", "[files][gguf]") {
    const auto expected = test::parsed(test::read_file(reference / "gguf" / "mixed.safetensors"));
    std::vector<double> logits;
    std::vector<gpt2::token_id> ids;
    for (const auto& tensor : expected.tensors) {
        const auto values = test::values_of<double>(tensor);
        if (tensor.name() == "logits") logits = values;
        if (tensor.name() == "ids") ids.assign(values.begin(), values.end());
    }
    REQUIRE(logits.size() == 19 * 65);
    const auto file = opened("mixed.gguf");
    const auto largest = [](const auto& values, auto size) {
        double most = 0;
        for (std::size_t i = 0; i < values.size(); ++i) most = std::max(most, size(i));
        return most;
    };
    const double scale = largest(logits, [&](auto i) { return std::abs(logits[i]); });
    const auto check = [&](const auto& found, double bound) {
        CHECK(largest(logits, [&](auto i) { return std::abs(double{found[i]} - logits[i]); }) <
              bound * scale);
    };
    check(logits_of(built<double>(file), ids), 1e-11);
    const auto model = built<float>(file), floats = built<float>(file, gpt2::storage::f32);
    check(logits_of(model, ids), 1e-5);
    CHECK(logits_of(model, ids) == logits_of(floats, ids));  // blocks are computed with exactly
    CHECK(model.weight_bytes() < floats.weight_bytes());
}

TEST_CASE("architecture and parts [098, 106]", "[files][gguf]") {
    constexpr const char* key = "general.architecture";
    for (const char* other : {"llama", "GPT2", ""})
        CHECK_ERROR(errc::unsupported, model_of(with(key, test::pair(key, other))));
    CHECK_ERROR(errc::unsupported, model_of(without(key)));
    CHECK_ERROR(errc::bad_config, model_of(with(key, test::pair(key, 2u))));
    CHECK_ERROR(errc::unsupported, model_of(with("split.count", test::pair("split.count", 2u))));
    CHECK(model_of(with("split.count", test::pair("split.count", 1u))).config.layers == 1);
}

TEST_CASE("sizes in the metadata [099, 100, 102]", "[files][gguf]") {
    for (const char* key : {"gpt2.block_count", "gpt2.context_length", "gpt2.embedding_length",
                            "gpt2.attention.head_count"}) {
        INFO(key);
        CHECK_ERROR(errc::bad_config, model_of(without(key)));
        for (const std::uint32_t value : {0u, 1u << 31, 0xffffffffu})
            CHECK_ERROR(errc::bad_config, model_of(with(key, test::pair(key, value))));
        CHECK_ERROR(errc::bad_config, model_of(with(key, test::pair(key, "12"))));
        CHECK_ERROR(errc::bad_config, model_of(with(key, test::pair(key, 1.0f))));
        CHECK_ERROR(errc::bad_config,
                    model_of(with(key, test::pair(key, gguf_type::i32, raw(-1)))));
    }
    constexpr const char* key = "gpt2.context_length";
    for (const auto& value :
         {test::pair(key, gguf_type::u64, raw(std::uint64_t{4})),
          test::pair(key, gguf_type::u16, raw(std::uint16_t{4})),
          test::pair(key, gguf_type::i32, raw(std::int32_t{4})), test::pair(key, 4u)})
        CHECK(model_of(with(key, value)).config.context_length == 4);
    constexpr const char* heads = "gpt2.attention.head_count";
    CHECK_ERROR(errc::bad_config, model_of(with(heads, test::pair(heads, 3u))));
    constexpr const char* inner = "gpt2.feed_forward_length";
    CHECK(model_of(without(inner)).config.inner_width == 8);
    CHECK_ERROR(errc::wrong_shape, built<float>(model_of(without(inner))));
}

TEST_CASE("the epsilon of LayerNorm [101]", "[files][gguf]") {
    constexpr const char* key = "gpt2.attention.layer_norm_epsilon";
    CHECK_ERROR(errc::bad_config, model_of(without(key)));
    for (const float value : {0.0f, -1e-5f, NAN, INFINITY})
        CHECK_ERROR(errc::bad_config, model_of(with(key, test::pair(key, value))));
    CHECK(
        model_of(with(key, test::pair(key, gguf_type::f64, raw(1e-6)))).config.layer_norm_epsilon ==
        1e-6);
}

TEST_CASE("heads, missing and extra tensors [103, 104, 105]", "[files][gguf]") {
    const auto changed = [](auto change) {
        auto tensors = tiny_tensors();
        change(tensors);
        return model_of(tiny_pairs(), tensors);
    };
    const auto add = [&](shaped tensor) {
        return changed([&](auto& tensors) { tensors.push_back(tensor); });
    };
    CHECK(built<float>(add({"output.weight", {2, 4}})).tied_head());  // the same numbers
    CHECK_ERROR(errc::wrong_shape, built<float>(add({"output.weight", {4, 2}})));
    CHECK_ERROR(errc::bad_weights, add({"pos_embd.weight", {2, 4}}));
    CHECK_ERROR(errc::duplicate_tensor, add({"wte.weight", {2, 4}}));
    const auto extra = add({"rope_freqs.weight", {2}});
    gpt2::audit used;
    gpt2::model(extra.config, gpt2::weight_scope(*extra.weights, used));
    used.finish(*extra.weights);
    CHECK(used.ignored == std::vector<std::string>{"rope_freqs.weight"});
    for (std::size_t i = 0; i < tiny_tensors().size(); ++i) {
        const auto name = tiny_tensors()[i].name;
        if (name.ends_with(".bias")) continue;
        INFO(name);
        const auto drop = [&](auto& tensors) {
            tensors.erase(tensors.begin() + std::ptrdiff_t(i));
        };
        CHECK_ERROR(errc::missing_tensor, built<float>(changed(drop)));
        if (name == "blk.0.attn_output.weight") continue;  // square
        if (name == "token_embd.weight") continue;         // its rows are the vocabulary
        const auto turn = [&](auto& tensors) {
            auto& extents = tensors[i].extents;
            if (extents.size() == 1) extents.push_back(2);
            std::reverse(extents.begin(), extents.end());
        };
        CHECK_ERROR(errc::wrong_shape, built<float>(changed(turn)));
    }
}

TEST_CASE("tokens that begin and end a text [113]", "[files][gguf]") {
    const auto config = model_of(tiny_pairs()).config;
    CHECK(config.end_of_text == std::vector<gpt2::token_id>{3});
    CHECK_FALSE(config.begin_of_text);
    for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"})
        for (const std::uint32_t id : {4u, 0xffffffffu})
            CHECK_ERROR(errc::bad_config, model_of(with(key, test::pair(key, id))));
    constexpr const char* bos = "tokenizer.ggml.bos_token_id";
    CHECK(model_of(with(bos, test::pair(bos, 1u))).config.begin_of_text == 1);
    constexpr const char* turn = "tokenizer.ggml.eot_token_id";
    CHECK(model_of(with(turn, test::pair(turn, 1u))).config.end_of_text ==
          std::vector<gpt2::token_id>{3, 1});
}

TEST_CASE("the tokenizer in the metadata is that of the folder", "[files][gguf]") {
    const auto file = gpt2::detail::read_gguf(
        std::make_shared<gpt2::detail::file_source>(reference / "gguf" / "tokenizer.gguf"));
    const auto found = gpt2::detail::read_gguf_tokenizer(file.metadata, 602);
    REQUIRE(found);
    const std::string vocab = test::read_file(reference / "tokenizer" / "vocab.json"),
                      merges = test::read_file(reference / "tokenizer" / "merges.txt");
    const auto expected =
        gpt2::load_tokenizer(gpt2::tokenizer_texts{.vocab_json = vocab, .merges_txt = merges});
    REQUIRE(found->size() == expected.size());
    for (gpt2::token_id id = 0; id < 600; ++id) {
        CHECK(found->bytes(id) == expected.bytes(id));
        CHECK(found->is_special(id) == expected.is_special(id));
    }
    const std::string text = test::read_file(reference / "tokenizer" / "cases.json");
    for (const auto mode : {gpt2::specials::as_text, gpt2::specials::as_tokens})
        CHECK(found->encode(text + "<|endoftext|>x", mode) ==
              expected.encode(text + "<|endoftext|>x", mode));
}

TEST_CASE("vocabularies [107, 108, 109, 111]", "[files][gguf]") {
    constexpr const char* tokens = "tokenizer.ggml.tokens";
    CHECK(tokenizer_of(tiny_pairs())->encode("abb") == std::vector<gpt2::token_id>{2, 1});
    CHECK(tokenizer_of(tiny_pairs())->is_special(3));
    CHECK_FALSE(tokenizer_of(without(tokens)).has_value());
    CHECK_ERROR(errc::bad_config,
                tokenizer_of(with(tokens, array(tokens, gguf_type::u8, 4, "abcd"))));
    for (const auto& list : std::vector<std::vector<std::string>>{{"a", "b", "ab"},
                                                                  {"a", "b", "ab", "c", "d"},
                                                                  {"a", "b", "ab", "a"},
                                                                  {"a", "b", "ab", ""},
                                                                  {"a", "b", "a b", "<|e|>"},
                                                                  {"a", "b", "\xff", "<|e|>"}})
        CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(with(tokens, array(tokens, list))));
    constexpr const char* kinds = "tokenizer.ggml.token_type";
    const auto kinds_of = [&](std::vector<std::int32_t> list) {
        return with(kinds, array(kinds, gguf_type::i32, list.size(), test::bytes_of(list)));
    };
    CHECK_ERROR(errc::bad_config,
                tokenizer_of(with(kinds, array(kinds, gguf_type::i8, 4, "\1\1\1\3"))));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(kinds_of({1, 1, 1})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(kinds_of({1, 1, 1, 3, 1})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(kinds_of({1, 1, 1, 0})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(kinds_of({1, 1, 1, 7})));
    CHECK_ERROR(errc::unsupported, tokenizer_of(kinds_of({1, 1, 1, 6})));
    CHECK(tokenizer_of(kinds_of({1, 1, 1, 5}))->size() == 3);
    auto ordinary = kinds_of({1, 1, 1, 4});
    CHECK(tokenizer_of(ordinary)->is_special(3));  // it ends a text
    ordinary.erase("tokenizer.ggml.eos_token_id");
    CHECK_FALSE(tokenizer_of(ordinary)->is_special(3));
    CHECK(tokenizer_of(ordinary)->encode("a<|e|>", gpt2::specials::as_tokens) ==
          std::vector<gpt2::token_id>{0, 3});
    CHECK(tokenizer_of(without(kinds))->is_special(3));
    constexpr const char* scores = "tokenizer.ggml.scores";
    CHECK(tokenizer_of(with(scores, array(scores, gguf_type::i8, 1, "\1")))->size() == 4);
}

TEST_CASE("kinds of tokenizers and merges [110, 112]", "[files][gguf]") {
    const auto text = [](const char* key, const char* value) {
        return with(key, test::pair(key, value));
    };
    CHECK_ERROR(errc::unsupported, tokenizer_of(text("tokenizer.ggml.model", "llama")));
    CHECK_ERROR(errc::unsupported, tokenizer_of(without("tokenizer.ggml.model")));
    CHECK_ERROR(errc::unsupported, tokenizer_of(text("tokenizer.ggml.pre", "llama-bpe")));
    CHECK(tokenizer_of(without("tokenizer.ggml.pre"))->size() == 4);
    constexpr const char* begin = "tokenizer.ggml.add_bos_token";
    CHECK_ERROR(errc::unsupported,
                tokenizer_of(with(begin, test::pair(begin, gguf_type::boolean, "\1"))));
    constexpr const char* merges = "tokenizer.ggml.merges";
    for (const char* line : {"ab", "a  b", "a b c", "a ", " b", "b a", "a c", ""})
        CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(with(merges, array(merges, {line}))));
    CHECK_THAT(test::message_of([&] {
                   tokenizer_of(with(merges, array(merges, {"a b", "a c"})));
               }),
               test::mentions("merges 1"));
    CHECK(tokenizer_of(without(merges))->encode("ab") == std::vector<gpt2::token_id>{0, 1});
}

TEST_CASE("every truncation and flipped bit of a tiny model [114]", "[files][gguf]") {
    const std::string whole = file_of(tiny_pairs());
    const auto attempt = [](const std::string& bytes) {
        return test::error_of([&] {
            const auto file = open_gguf(test::in_memory(bytes));
            gpt2::audit used;
            gpt2::model(file.config, gpt2::weight_scope(*file.weights, used));
            file.read_tokenizer();
        });
    };
    CHECK_FALSE(attempt(whole));
    for (std::size_t size = 0; size < whole.size(); size += 1)
        CHECK(attempt(whole.substr(0, size)));
    const std::size_t header = whole.size() - 16 * 32;
    for (std::size_t bit = 0; bit < 8 * header; ++bit) {
        std::string flipped = whole;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        attempt(flipped);
    }
}
