// One door: every format by its contents, from a path and from memory; one model in all of them
// gives the same logits to the bit.
#include "safetensors_builder.hpp"
#include "same_model.hpp"
#include "../support/files.hpp"

#include <gpt2/load.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using gpt2::errc;
using gpt2::open_model;

namespace {

const std::filesystem::path reference = test::source_folder() / "tests/reference";

struct kept_as {
    const char *path, *format;
};
/// reference/models/base in all formats that keep its numbers.
constexpr kept_as base[] = {
    {"models/base", "safetensors"},     {"models/base/model.safetensors", "safetensors"},
    {"pytorch/base_bin", "PyTorch"},    {"pytorch/base_bin/pytorch_model.bin", "PyTorch"},
    {"pytorch/base_shards", "PyTorch"}, {"gguf/base_f32.gguf", "GGUF"},
    {"llmc/f32.bin", "llm.c"},          {"openai", "TensorFlow checkpoint"},
};

std::vector<float> logits(const gpt2::stored_model& model) {
    return test::logits_of(model.config, *model.weights, gpt2::storage::as_stored);
}

/// The files of a folder, or one file, in memory.
class in_memory {
public:
    explicit in_memory(const std::filesystem::path& path) {
        if (!std::filesystem::is_directory(path)) {
            put(path.filename().string(), path);
            return;
        }
        for (const auto& entry : std::filesystem::directory_iterator(path))
            put(entry.path().filename().string(), entry.path());
    }
    std::vector<gpt2::file_part> parts() const {
        std::vector<gpt2::file_part> list;
        for (const auto& [name, bytes] : files_)
            list.push_back({name, std::as_bytes(std::span(bytes))});
        return list;
    }

private:
    void put(const std::string& name, const std::filesystem::path& path) {
        files_.emplace_back(name, test::read_file(path));
    }
    std::vector<std::pair<std::string, std::string>> files_;
};

}  // namespace

TEST_CASE("every format of one model gives the same logits, to the bit", "[files][open]") {
    const auto expected = logits(open_model(reference / "models/base"));
    for (const auto& [path, format] : base) {
        CAPTURE(path);
        const auto model = open_model(reference / path);
        CHECK(model.format == format);
        CHECK(logits(model) == expected);
        if (std::string_view(path).find("/model.") != std::string_view::npos ||
            std::string_view(path).find("/pytorch_model.") != std::string_view::npos)
            continue;  // without config.json nothing tells the number of heads
        const in_memory copy(reference / path);
        const auto again = open_model(copy.parts());
        CHECK(again.format == format);
        CHECK(logits(again) == expected);
    }
}

TEST_CASE("a file is known by its contents, not by its name", "[files][open]") {
    const test::scratch_folder folder;
    const auto expected = logits(open_model(reference / "models/base"));
    for (const char* path : {"gguf/base_f32.gguf", "llmc/f32.bin"}) {
        CAPTURE(path);
        std::filesystem::copy_file(reference / path, folder / "model.safetensors",
                                   std::filesystem::copy_options::overwrite_existing);
        CHECK(logits(open_model(folder / "model.safetensors")) == expected);
        CHECK(logits(open_model(folder.path())) == expected);  // the only model of its folder
    }
    const auto bytes = test::read_file(reference / "gguf/base_f32.gguf");
    CHECK(logits(open_model(std::as_bytes(std::span(bytes)))) == expected);
    std::filesystem::copy_file(reference / "llmc/f32.bin", folder / "other");
    CHECK_ERROR(errc::invalid_argument, open_model(folder.path()));
    CHECK_THAT(test::message_of([&] { open_model(folder.path()); }), test::mentions("other"));
}

TEST_CASE("what is no model is named", "[files][open]") {
    const test::scratch_folder folder;
    const auto opened = [&](std::string_view bytes) {
        test::write_file(folder / "file", bytes);
        const auto problem = test::error_of([&] { open_model(folder / "file"); });
        REQUIRE(problem);
        return problem->code();
    };
    for (const std::string_view bytes : {"", "x", "\x89HDF\r\n", "{\"n_layer\": 2}", "GGM"}) {
        CAPTURE(bytes);
        CHECK(opened(bytes) == errc::unsupported);
    }
    CHECK(opened("GGUF") == errc::truncated);
    CHECK_ERROR(errc::unsupported, open_model(reference / "openai/model.ckpt.index"));
    CHECK_ERROR(errc::not_found, open_model(folder / "absent"));
    CHECK_ERROR(errc::not_found, open_model(test::scratch_folder().path()));
    CHECK_ERROR(errc::unsupported, open_model(std::span<const std::byte>()));
    CHECK_ERROR(errc::not_found, open_model(std::span<const gpt2::file_part>()));
    const gpt2::file_part twice[] = {{"a", {}}, {"a", {}}};
    CHECK_ERROR(errc::invalid_argument, open_model(twice));
}

TEST_CASE("a tokenizer beside the model is found", "[files][open]") {
    const test::scratch_folder folder;
    std::filesystem::copy_file(reference / "llmc/f32.bin", folder / "gpt2_124M.bin");
    CHECK_FALSE(open_model(folder / "gpt2_124M.bin").read_tokenizer());
    std::filesystem::copy_file(reference / "llmc/tokenizer.bin", folder / "gpt2_tokenizer.bin");
    const auto model = open_model(folder / "gpt2_124M.bin");
    CHECK(model.config.end_of_text == std::vector<gpt2::token_id>{599});
    REQUIRE(model.read_tokenizer());
    CHECK(model.read_tokenizer()->size() == 600);
    CHECK(open_model(folder.path()).read_tokenizer()->size() == 600);
    CHECK_FALSE(open_model(reference / "models/base").read_tokenizer());
    std::filesystem::remove(folder / "gpt2_tokenizer.bin");
    std::filesystem::copy_file(reference / "pytorch/characters/meta.pkl", folder / "meta.pkl");
    const auto characters = open_model(folder.path()).read_tokenizer();
    REQUIRE(characters);
    const std::string text = "¿ésa es la cuestión?\n";
    CHECK(characters->encode(text) == std::vector<gpt2::token_id>{16, 17, 13, 5,  1,  7,  13,
                                                                  1,  9,  5,  1,  6,  15, 7,
                                                                  13, 14, 8,  18, 10, 3,  0});
    CHECK(characters->decode(characters->encode(text)) == text);
    CHECK_ERROR(errc::invalid_argument, (void)characters->encode("Z"));
}
