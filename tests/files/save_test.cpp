// Saving: every format that can be read, written as a folder and as GGUF and read again, is the
// same model to the bit; and what goes wrong on the way leaves everything as it was.
#include "safetensors_builder.hpp"
#include "../support/files.hpp"
#include "../support/process.hpp"
#include "../support/random_model.hpp"

#include <gpt2/load.hpp>
#include <gpt2/save.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::existing;
using gpt2::file_format;
using gpt2::open_model;
using gpt2::save;
using gpt2::storage;

namespace fs = std::filesystem;

namespace {

const fs::path reference = test::source_folder() / "tests/reference";

/// Every model among the fixtures, in every format.
std::vector<fs::path> fixtures() {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(reference / "models"))
        if (entry.is_directory()) paths.push_back(entry.path());
    for (const char* name : {"gguf/base_f32.gguf", "gguf/base_f16.gguf", "gguf/base_bf16.gguf",
                             "gguf/mixed.gguf", "pytorch/base_bin", "pytorch/base_shards",
                             "pytorch/nanogpt/ckpt.pt", "pytorch/nanogpt_compiled/ckpt.pt",
                             "pytorch/mingpt/model.pt", "llmc/f32.bin", "llmc/bf16.bin", "openai"})
        paths.push_back(reference / name);
    return paths;
}

std::vector<float> logits(const gpt2::stored_model& files, storage kept = storage::as_stored) {
    const auto loaded = gpt2::load_model<float>(files, kept);
    const auto& c = loaded.model.config();
    const auto ids = test::random_ids(c, std::min<std::size_t>(8, c.context_length));
    return test::logits_of(loaded.model, ids, ids.size());
}

/// Equal but for what the tensors say again: whether there are biases and a head.
void check_config(const gpt2::config& found, const gpt2::config& expected) {
    CHECK(found.vocabulary_size == expected.vocabulary_size);
    CHECK(found.context_length == expected.context_length);
    CHECK(found.width == expected.width);
    CHECK(found.layers == expected.layers);
    CHECK(found.heads == expected.heads);
    CHECK(found.inner_width == expected.inner_width);
    CHECK(found.activation == expected.activation);
    CHECK(found.scale_attention == expected.scale_attention);
    CHECK(found.scale_attention_by_inverse_layer == expected.scale_attention_by_inverse_layer);
    CHECK(found.layer_norm_epsilon == expected.layer_norm_epsilon);
    CHECK(found.begin_of_text == expected.begin_of_text);
}

/// The names in a folder, hidden ones too.
std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

/// Whether GGUF has words for it.
bool gguf_can_say(const gpt2::config& c) {
    return c.activation == gpt2::activation::gelu_new && c.scale_attention &&
           !c.scale_attention_by_inverse_layer;
}

const gpt2::stored_model& base() {
    static const auto model = open_model(reference / "models/base");
    return model;
}

}  // namespace

TEST_CASE("every fixture saved as a folder is the same model, to the bit", "[files][save]") {
    for (const auto& path : fixtures()) {
        CAPTURE(path);
        const test::scratch_folder scratch;
        const auto from = open_model(path);
        save(from, scratch / "out", file_format::hf_folder);
        const auto again = open_model(scratch / "out");
        CHECK(again.format == "safetensors");
        check_config(again.config, from.config);
        CHECK(again.config.end_of_text == from.config.end_of_text);
        CHECK(logits(again) == logits(from));
        CHECK(logits(again, storage::f32) == logits(from, storage::f32));
        const auto used = gpt2::load_model<float>(again).audit;
        CHECK(used.ignored.empty());
        CHECK(used.buffers.empty());
    }
}

TEST_CASE("every fixture saved as GGUF is the same model, or refused by name", "[files][save]") {
    std::size_t refused = 0;
    for (const auto& path : fixtures()) {
        CAPTURE(path);
        const test::scratch_folder scratch;
        const auto from = open_model(path);
        if (!gguf_can_say(from.config)) {
            CHECK_ERROR(errc::unsupported, save(from, scratch / "a.gguf", file_format::gguf));
            CHECK(names_in(scratch.path()).empty());
            ++refused;
            continue;
        }
        save(from, scratch / "a.gguf", file_format::gguf);
        const auto again = open_model(scratch / "a.gguf");
        check_config(again.config, from.config);
        CHECK(logits(again) == logits(from));
        CHECK(logits(again, storage::f32) == logits(from, storage::f32));
    }
    CHECK(refused > 15);
}

TEST_CASE("every fixture packed is the same model, and can be unpacked again", "[files][save]") {
    for (const auto& path : fixtures()) {
        CAPTURE(path);
        const test::scratch_folder scratch;
        const auto from = open_model(path);
        save(from, scratch / "out.gpt2", file_format::packed);
        const auto packed = open_model(scratch / "out.gpt2");
        CHECK(packed.format == "packed");
        check_config(packed.config, from.config);
        CHECK(logits(packed) == logits(from));
        save(packed, scratch / "back", file_format::hf_folder);
        CHECK(logits(open_model(scratch / "back")) == logits(from));
        if (!gguf_can_say(from.config)) continue;
        save(packed, scratch / "back.gguf", file_format::gguf);
        CHECK(logits(open_model(scratch / "back.gguf")) == logits(from));
    }
}

TEST_CASE("saved with other weights it computes what loading with them does", "[files][save]") {
    const test::scratch_folder scratch;
    for (const auto format : {file_format::hf_folder, file_format::gguf})
        for (const auto kept : {storage::f32, storage::f16, storage::bf16}) {
            CAPTURE(static_cast<int>(format), static_cast<int>(kept));
            for (const char* name : {"wide", "stored_f16", "stored_bf16", "head_untied"}) {
                CAPTURE(name);
                const auto from = open_model(reference / "models" / name);
                save(from, scratch / "to", format,
                     {.weights = kept, .existing = existing::replace});
                CHECK(logits(open_model(scratch / "to")) == logits(from, kept));
                std::error_code ignored;
                fs::remove_all(scratch / "to", ignored);
            }
        }
    save(base(), scratch / "f16", file_format::hf_folder, {.weights = storage::f16});
    const auto text = test::read_file(scratch / "f16" / "config.json");
    CHECK_THAT(text, test::mentions("\"torch_dtype\": \"float16\""));
    const auto halves = open_model(scratch / "f16");
    CHECK(halves.weights->find("h.0.mlp.c_fc.weight")->type() == gpt2::dtype::f16);
    CHECK(halves.weights->find("h.0.mlp.c_fc.bias")->type() == gpt2::dtype::f32);
}

TEST_CASE("a head that repeats the embedding is left out", "[files][save]") {
    const test::scratch_folder scratch;
    for (const auto& [name, tied] : {std::pair{"base", true},
                                     {"head_stored_twice", true},
                                     {"head_stored_though_tied", false},
                                     {"head_untied", false}}) {
        CAPTURE(name);
        const auto from = open_model(reference / "models" / name);
        save(from, scratch / name, file_format::hf_folder);
        const auto folder = open_model(scratch / name);
        CHECK(folder.config.tied_head == tied);
        CHECK((folder.weights->find("lm_head.weight") == nullptr) == tied);
        save(from, scratch / "a.gguf", file_format::gguf, {.existing = existing::replace});
        const auto file = open_model(scratch / "a.gguf");
        CHECK((file.weights->find("lm_head.weight") == nullptr) == tied);
    }
}

TEST_CASE("a folder is written byte for byte as Hugging Face does", "[files][save]") {
    const test::scratch_folder scratch;
    for (const char* name : {"base", "stored_f16", "stored_bf16", "head_untied"}) {
        CAPTURE(name);
        save(open_model(reference / "models" / name), scratch / name, file_format::hf_folder);
        CHECK(test::read_file(scratch / name / "model.safetensors") ==
              test::read_file(reference / "models" / name / "model.safetensors"));
    }
    const fs::path tales = GPT2_BUNDLED_MODEL;
    save(open_model(tales), scratch / "tales", file_format::hf_folder);
    CHECK(names_in(scratch / "tales") ==
          std::vector<std::string>{"config.json", "generation_config.json", "merges.txt",
                                   "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                                   "vocab.json"});
    CHECK(test::read_file(scratch / "tales" / "merges.txt") ==
          test::read_file(tales / "merges.txt"));
}

TEST_CASE("blocks of GGUF stay the blocks they are", "[files][save]") {
    const test::scratch_folder scratch;
    const auto mixed = open_model(reference / "gguf/mixed.gguf");
    save(mixed, scratch / "again.gguf", file_format::gguf);
    const auto again = open_model(scratch / "again.gguf");
    std::size_t blocks = 0;
    for (const auto& tensor : mixed.weights->tensors()) {
        CAPTURE(tensor.name());
        const auto* found = again.weights->find(tensor.name());
        REQUIRE(found != nullptr);
        if (gpt2::block_values(tensor.type()) == 1) continue;
        ++blocks;
        REQUIRE(found->type() == tensor.type());
        REQUIRE(found->bytes() == tensor.bytes());
        std::vector<std::byte> a(static_cast<std::size_t>(tensor.bytes())), b(a.size());
        tensor.read_stored(0, a);
        found->read_stored(0, b);
        CHECK(a == b);
    }
    CHECK(blocks >= 6);
    save(mixed, scratch / "q8.gguf", file_format::gguf, {.weights = storage::int8});
    CHECK(open_model(scratch / "q8.gguf").weights->find("wte.weight")->type() == gpt2::dtype::q8_0);
    save(mixed, scratch / "folder", file_format::hf_folder);  // F32 holds every block exactly
    CHECK(logits(open_model(scratch / "folder")) == logits(mixed, storage::f32));
}

TEST_CASE("a tokenizer survives both formats", "[files][save]") {
    const test::scratch_folder scratch;
    auto model = base();
    gpt2::vocabulary all;
    for (int byte = 0; byte < 256; ++byte) all.tokens.emplace_back(1, static_cast<char>(byte));
    all.tokens.emplace_back("\xC3\xA9");  // é, of two bytes
    all.tokens.emplace_back(" t");
    all.merges = {{0xC3, 0xA9, 256}, {' ', 't', 257}};
    all.added = {{.content = "<|endoftext|>", .id = 258, .special = true},
                 {.content = "two words\n", .id = 259, .lstrip = true, .normalized = true},
                 {.content = "word", .id = 260, .rstrip = true, .single_word = true}};
    model.config.vocabulary_size = 300;  // padded: no tokens for the last rows
    model.config.begin_of_text = 258;
    model.config.end_of_text = {258, 10};
    auto weights = std::make_shared<gpt2::weight_store>(test::random_weights([&] {
                                                            auto sizes = model.config;
                                                            sizes.tied_head = true;
                                                            return sizes;
                                                        }())
                                                            .store());
    model.weights = weights;
    const std::string texts[] = {"plain text", "\xC3\xA9t\xC3\xA9 \xFF\x01 \"quoted\\\" \t\n",
                                 "a <|endoftext|> b  two words\n c word  words word.", ""};
    const auto check = [&](const gpt2::tokenizer& made, const gpt2::stored_model& again,
                           bool flags) {
        const auto found = again.read_tokenizer();
        REQUIRE(found);
        CHECK(found->size() == made.size());
        CHECK(found->prefixes_space() == made.prefixes_space());
        for (const std::string& text : texts) {
            CAPTURE(text);
            CHECK(found->encode(text) == made.encode(text));
            if (flags)
                CHECK(found->encode(text, gpt2::specials::as_tokens) ==
                      made.encode(text, gpt2::specials::as_tokens));
        }
        CHECK(found->is_special(258));
        CHECK_FALSE(found->is_special(260));
    };
    for (const auto before : {gpt2::prefix::none, gpt2::prefix::space})
        for (const auto cut : {gpt2::cuts::words, gpt2::cuts::none}) {
            CAPTURE(static_cast<int>(before), static_cast<int>(cut));
            all.prefix = before;
            all.cuts = cut;
            const gpt2::tokenizer made(all);
            model.read_tokenizer = [&] { return std::optional(made); };
            save(model, scratch / "to", file_format::hf_folder, {.existing = existing::replace});
            auto again = open_model(scratch / "to");
            check(made, again, true);
            CHECK(again.config.end_of_text == model.config.end_of_text);
            CHECK_THAT(test::read_file(scratch / "to" / "tokenizer_config.json"),
                       test::mentions("\"eos_token\": \"<|endoftext|>\""));
            if (cut == gpt2::cuts::words) {  // vocab.json and merges.txt say the same
                fs::remove(scratch / "to" / "tokenizer.json");
                check(made, again, true);
            }
            if (before == gpt2::prefix::none && cut == gpt2::cuts::words) {
                save(model, scratch / "a.gguf", file_format::gguf);
                check(made, open_model(scratch / "a.gguf"), false);
            }
        }
}

TEST_CASE("a tokenizer that cannot be written is refused", "[files][save]") {
    const test::scratch_folder scratch;
    auto model = base();
    gpt2::vocabulary twice;
    twice.tokens = {"a", "\xC3\xA9"};  // é is written Ã©
    twice.added = {{.content = "\xC3\x83\xC2\xA9", .id = 2}};
    model.read_tokenizer = [&] { return std::optional(gpt2::tokenizer(twice)); };
    CHECK_ERROR(errc::unsupported, save(model, scratch / "to", file_format::hf_folder));
    twice.added = {{.content = "\xFF", .id = 2}};  // no UTF-8
    CHECK_ERROR(errc::unsupported, save(model, scratch / "to", file_format::hf_folder));
    CHECK(names_in(scratch.path()).empty());
}

TEST_CASE("what a format cannot hold is refused, and nothing is left", "[files][save]") {
    const test::scratch_folder scratch;
    const auto refused = [&](const gpt2::stored_model& model, file_format format, storage kept) {
        CHECK_ERROR(errc::unsupported, save(model, scratch / "to", format, {.weights = kept}));
        CHECK(names_in(scratch.path()).empty());
    };
    refused(base(), file_format::hf_folder, storage::int8);
    refused(base(), file_format::hf_folder, storage::int4);
    refused(base(), file_format::gguf, storage::int4);
    const auto sizes = test::odd_config();
    test::random_weights large(sizes);
    large.find("h.2.mlp.c_proj.weight").values.back() = -65536;
    gpt2::stored_model model;
    model.config = sizes;
    model.weights = std::make_shared<gpt2::weight_store>(large.store());
    refused(model, file_format::hf_folder, storage::f16);
    refused(model, file_format::gguf, storage::f16);
    large.find("h.2.mlp.c_proj.weight").values.back() = 3.4e38f;
    model.weights = std::make_shared<gpt2::weight_store>(large.store());
    refused(model, file_format::hf_folder, storage::bf16);
    auto other = base();
    other.config.layers = 3;
    CHECK_ERROR(errc::missing_tensor, save(other, scratch / "to", file_format::hf_folder));
    other = base();
    other.config.vocabulary_size = 16;
    other.config.end_of_text.clear();
    other.config.begin_of_text.reset();
    CHECK_ERROR(errc::wrong_shape, save(other, scratch / "to", file_format::hf_folder));
    CHECK(names_in(scratch.path()).empty());
}

TEST_CASE("an interrupted save leaves everything as it was", "[files][save]") {
    for (const auto format : {file_format::hf_folder, file_format::gguf}) {
        const test::scratch_folder scratch;
        const auto to = scratch / "to";
        save(base(), to, format);
        const auto before = names_in(scratch.path());
        const auto expected = logits(open_model(to));
        const auto from = open_model(reference / "models/no_biases");
        std::uint64_t most = 0, last = 0;
        const auto stops = [&](std::uint64_t done, std::uint64_t all) {
            most = all;
            last = done;
            if (2 * done > all) throw std::runtime_error("enough");
        };
        CHECK_THROWS_AS(save(from, to, format, {.existing = existing::replace, .progress = stops}),
                        std::runtime_error);
        CHECK(most > 0);
        CHECK(last < most);
        CHECK(names_in(scratch.path()) == before);
        CHECK(logits(open_model(to)) == expected);
        std::uint64_t done = 0;
        save(from, to, format,
             {.existing = existing::replace, .progress = [&](std::uint64_t now, std::uint64_t all) {
                  CHECK(now > done);
                  CHECK(all == most);
                  done = now;
              }});
        CHECK(done == most);
        if (format == file_format::gguf)
            CHECK(fs::file_size(to) == most);
        else
            CHECK(fs::file_size(to / "model.safetensors") == most);
        CHECK(logits(open_model(to)) == logits(from));
    }
}

TEST_CASE("a model can be saved over the files it is read from", "[files][save]") {
    const test::scratch_folder scratch;
    const auto expected = logits(base());
    save(base(), scratch / "a", file_format::hf_folder);
    const auto folder = open_model(scratch / "a");
    save(folder, scratch / "a", file_format::hf_folder, {.existing = existing::replace});
    CHECK(logits(open_model(scratch / "a")) == expected);
    CHECK(logits(folder) == expected);  // its files are still open
    save(base(), scratch / "a.gguf", file_format::gguf);
    const auto file = open_model(scratch / "a.gguf");
    save(file, scratch / "a.gguf", file_format::gguf, {.existing = existing::replace});
    CHECK(logits(open_model(scratch / "a.gguf")) == expected);
    CHECK(logits(file) == expected);
    CHECK(names_in(scratch.path()) == std::vector<std::string>{"a", "a.gguf"});
}

TEST_CASE("saving takes little memory, however large the model", "[files][save]") {
    const test::scratch_folder scratch;
    gpt2::config sizes;
    sizes.width = 512;
    sizes.heads = 8;
    sizes.layers = 1;
    sizes.inner_width = 4 * sizes.width;
    sizes.context_length = 4;
    // A file with gaps for weights: 103 MB that take no room.
    gpt2::stored_model model;
    model.config = sizes;
    std::ofstream(scratch / "zeros").put('\0');
    const std::uint64_t bytes = std::uint64_t{sizes.vocabulary_size} * sizes.width * 4;
    fs::resize_file(scratch / "zeros", bytes);
    const auto zeros = std::make_shared<gpt2::detail::file_source>(scratch / "zeros");
    auto weights = std::make_shared<gpt2::weight_store>();
    for (const auto& each : test::random_weights([&] {
                                auto tiny = sizes;
                                tiny.vocabulary_size = 1;
                                return tiny;
                            }())
                                .tensors) {
        auto shape = each.shape;
        if (each.name == "wte.weight") shape[0] = sizes.vocabulary_size;
        weights->add(gpt2::stored_tensor(each.name, gpt2::dtype::f32, shape, zeros, 0));
    }
    model.weights = weights;
    const auto growth = test::peak_growth(
        [&] { save(model, scratch / "a.gguf", file_format::gguf, {.weights = storage::int8}); });
    CHECK(growth < std::size_t{24} << 20);
    CHECK(fs::file_size(scratch / "a.gguf") > bytes / 4);
}
