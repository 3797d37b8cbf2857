// TensorFlow's checkpoints and OpenAI's folder: a fixture of tests/reference/make_openai.py, and
// hostile tables, messages and folders.
#include "../support/process.hpp"
#include "same_model.hpp"
#include "tensor_bundle_builder.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using gpt2::dtype;
using gpt2::errc;
using test::block;
using test::block_entry;
using test::bundle_header;
using test::bundle_of;
using test::bundle_tensor;
using test::bytes_field;
using test::message_of;
using test::number_field;
using test::table;
using test::table_builder;
using test::varint;
using namespace gpt2::detail;
using namespace std::string_literals;

namespace {

const std::filesystem::path fixture = test::source_folder() / "tests/reference/openai";
std::string bytes_of_fixture(const char* name) {
    std::ifstream file(fixture / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
const std::string index_bytes = bytes_of_fixture("model.ckpt.index");
const std::string data_bytes = bytes_of_fixture("model.ckpt.data-00000-of-00001");

/// A copy of the fixture in which a test may spoil a file.
class openai_copy {
public:
    openai_copy() {
        for (const char* name :
             {"hparams.json", "checkpoint", "model.ckpt.index", "model.ckpt.data-00000-of-00001"})
            std::filesystem::copy_file(fixture / name, folder_ / name);
    }
    void put(const std::string& name, std::string_view bytes) {
        test::write_file(folder_ / name, bytes);
    }
    void rename(const std::string& from, const std::string& to) {
        std::filesystem::rename(folder_ / from, folder_ / to);
    }
    void remove(const std::string& name) { std::filesystem::remove(folder_ / name); }
    gpt2::stored_model open() const { return open_openai_folder(folder_.path()); }
    const std::filesystem::path& path() const { return folder_.path(); }

private:
    test::scratch_folder folder_;
};

}  // namespace

TEST_CASE("OpenAI's folder is the model it was made from", "[files][tensorflow]") {
    const auto opened = open_openai_folder(fixture);
    test::check_same_model("base", opened.config, *opened.weights);
    CHECK(opened.weights->size() == 30);
    CHECK(opened.weights->find("model/wte/Adam") != nullptr);
    REQUIRE(opened.weights->find("beta1_power") != nullptr);
    CHECK(test::values_of(*opened.weights->find("beta1_power")) == std::vector{0.9f});
    CHECK(looks_like_openai_folder(fixture));
    CHECK_FALSE(looks_like_openai_folder(test::source_folder() / "tests/reference/models/base"));
}

TEST_CASE("names of OpenAI's tensors", "[files][tensorflow]") {
    CHECK(openai_name("model/wte") == "wte.weight");
    CHECK(openai_name("model/ln_f/b") == "ln_f.bias");
    CHECK(openai_name("model/h47/mlp/c_proj/w") == "h.47.mlp.c_proj.weight");
    for (const char* name : {"", "model/", "model/h/ln_1/g", "model/hx/ln_1/g", "model/h0", "wte",
                             "model/h0/ln_1/g/Adam", "model/wte/", "model/h-1/ln_1/g"})
        CHECK(openai_name(name) == name);
}

TEST_CASE("checksums are those of RFC 3720", "[files][tensorflow]") {
    CHECK(crc32c("") == 0);
    CHECK(crc32c("123456789") == 0xE3069283u);
    CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);
    CHECK(crc32c(std::string(32, '\xff')) == 0x62A8AB43u);
    CHECK(masked(0) == 0xA282EAD8u);
}

TEST_CASE("every truncation and every bit of an index", "[files][tensorflow]") {
    CHECK(bundle_of(index_bytes, data_bytes).size() == 30);
    for (std::size_t size = 0; size < index_bytes.size(); ++size) {
        const auto problem =
            test::error_of([&] { bundle_of(index_bytes.substr(0, size), data_bytes); });
        REQUIRE(problem);
        CHECK(problem->code() == (size < 48 ? errc::truncated : errc::bad_weights));
    }
    for (std::size_t bit = 0; bit < 8 * index_bytes.size(); ++bit) {
        std::string bytes = index_bytes;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        CAPTURE(bit);
        CHECK(test::error_of([&] { bundle_of(bytes, data_bytes); }));
    }
}

TEST_CASE("every truncation of the values", "[files][tensorflow]") {
    for (std::size_t size = 0; size < data_bytes.size(); ++size)
        CHECK_ERROR(errc::truncated, bundle_of(index_bytes, data_bytes.substr(0, size)));
}

TEST_CASE("blocks that break the rules of a table", "[files][tensorflow]") {
    const auto refused = [](errc code, const std::string& contents) {
        CHECK_ERROR(code, bundle_of(table_builder().add(contents).finish()));
    };
    const std::string header = block_entry(0, "", bundle_header());
    CHECK(bundle_of(table_builder().add(block(header)).finish()).empty());
    refused(errc::bad_weights, "");
    refused(errc::bad_weights, "abc");
    refused(errc::bad_weights, block(""s));
    refused(errc::truncated, header + test::little(std::uint32_t{1}));  // eats into the entry
    refused(errc::bad_weights, header + test::little(~std::uint32_t{0}));
    refused(errc::bad_weights, block(block_entry(1, "", bundle_header())));
    refused(errc::bad_weights, block(header + block_entry(1, "t", "")));
    refused(errc::truncated, block(header + varint(0)));
    refused(errc::truncated, block(header + varint(0) + varint(5) + varint(0) + "ab"));
    refused(errc::truncated, block(header + varint(0) + varint(1) + varint(~0ull) + "a"));
    refused(errc::limit_exceeded, block(header + varint(0) + varint(~0ull) + varint(0)));
    refused(errc::limit_exceeded, block(header + block_entry(0, std::string(257, 'k'), "")));
    refused(errc::bad_weights, block(header + std::string(10, '\xff') + "\1"));
    refused(errc::bad_weights, block(header + std::string(9, '\xff') + "\2"));
    refused(errc::bad_weights, block(header + "\x80\0\1"s));  // 0 in two bytes
    for (const char type : {'\1', '\2', '\xff'}) {
        const auto bytes = table_builder().add(block(header), type).finish();
        CHECK_ERROR(errc::unsupported, bundle_of(bytes));
        if (type == 1) CHECK_THAT(message_of([&] { bundle_of(bytes); }), test::mentions("Snappy"));
    }
}

TEST_CASE("keys ascend, so none is there twice", "[files][tensorflow]") {
    const std::string value = bundle_tensor{.shape = {4}, .size = 16}.message();
    const auto opened = [&](const test::table_entries& entries) {
        return bundle_of(table(entries), std::string(16, '\0'));
    };
    CHECK(opened({{"", bundle_header()}, {"a", value}, {"ab", value}, {"b", value}}).size() == 3);
    CHECK_ERROR(errc::bad_weights, opened({{"", bundle_header()}, {"a", value}, {"a", value}}));
    CHECK_ERROR(errc::bad_weights, opened({{"", bundle_header()}, {"b", value}, {"a", value}}));
    CHECK_ERROR(errc::bad_weights, opened({{"", bundle_header()}, {"", bundle_header()}}));
    CHECK_ERROR(errc::bad_weights, opened({{"a", value}}));
    CHECK_ERROR(errc::bad_weights, opened({}));
    const std::string first = block({{"", bundle_header()}, {"b", value}});
    CHECK_ERROR(
        errc::bad_weights,
        bundle_of(table_builder().add(first).add(block({{"a", value}})).finish(), data_bytes));
}

TEST_CASE("places of blocks", "[files][tensorflow]") {
    const std::string first = block({{"", bundle_header()}});
    const auto pointing = [&](std::uint64_t offset, std::uint64_t size) {
        return table_builder().add(first).point_to(offset, size).finish();
    };
    for (const auto& [offset, size] :
         std::vector<std::pair<std::uint64_t, std::uint64_t>>{{~0ull, 8},
                                                              {first.size() + 5, ~0ull},
                                                              {1000, 8},
                                                              {first.size() + 5, 1000},
                                                              {1ull << 63, 1ull << 63}})
        CHECK_ERROR(errc::truncated, bundle_of(pointing(offset, size)));
    CHECK_ERROR(errc::bad_weights, bundle_of(pointing(0, first.size())));
    CHECK_ERROR(errc::bad_weights, bundle_of(pointing(first.size(), 8)));
    // An empty block, that of the filters, may be named once, not again and again.
    const std::uint64_t empty = first.size() + 5;
    CHECK(bundle_of(pointing(empty, 8)).empty());
    CHECK_ERROR(
        errc::bad_weights,
        bundle_of(table_builder().add(first).point_to(empty, 8).point_to(empty, 8).finish()));
    CHECK_ERROR(errc::bad_weights, bundle_of(table_builder().point_to(0, 0).finish()));
    CHECK_ERROR(errc::bad_weights, bundle_of("no table" + std::string(48, 'x')));
    CHECK_ERROR(errc::truncated, bundle_of(std::string(47, '\0')));
}

TEST_CASE("the header of a bundle", "[files][tensorflow]") {
    const auto opened = [](const std::string& header) { return bundle_of(table({{"", header}})); };
    CHECK(opened(bundle_header(256)).empty());
    CHECK(opened(number_field(1, 1) + number_field(2, 0)).empty());
    CHECK_ERROR(errc::unsupported, opened(number_field(1, 1) + number_field(2, 1)));
    CHECK_ERROR(errc::bad_weights, opened(""));
    CHECK_ERROR(errc::bad_weights, opened(bundle_header(0)));
    CHECK_ERROR(errc::limit_exceeded, opened(bundle_header(257)));
    CHECK_ERROR(errc::limit_exceeded, opened(bundle_header(~0ull)));
    CHECK_ERROR(errc::bad_weights, opened(bytes_field(1, "x")));
}

TEST_CASE("entries of tensors", "[files][tensorflow]") {
    const bundle_tensor good{.shape = {2, 2}, .size = 16};
    const auto changed = [&](auto change) {
        bundle_tensor entry = good;
        change(entry);
        return test::entry_of(entry.message());
    };
    CHECK(test::entry_of(good.message()).size() == 1);
    CHECK(changed([](auto& e) { e.shape = {}, e.size = 4; }).at(0).shape().empty());
    CHECK(changed([](auto& e) { e.shape = {0, 9}, e.size = 0; }).at(0).size() == 0);
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.size = 15; }));
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.size = 0; }));
    CHECK_ERROR(errc::truncated, changed([](auto& e) { e.offset = 1; }));
    CHECK_ERROR(errc::truncated, changed([](auto& e) { e.offset = ~0ull; }));
    CHECK_ERROR(errc::truncated, changed([](auto& e) { e.shape = {5}, e.size = 20; }));
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.shard = 1; }));
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.shard = ~0ull; }));
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.shape = {1ull << 32, 1ull << 32}; }));
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.shape = {1ull << 62}; }));
    CHECK_ERROR(errc::bad_weights, changed([](auto& e) { e.shape = {~0ull}; }));  // -1: unknown
    CHECK_ERROR(errc::limit_exceeded, changed([](auto& e) { e.shape.assign(9, 1); }));
    CHECK_ERROR(errc::bad_weights,
                test::entry_of(number_field(1, 1) + bytes_field(2, number_field(3, 1))));
    CHECK_ERROR(errc::unsupported, test::entry_of(good.message() + bytes_field(7, "")));
    CHECK_ERROR(errc::bad_weights, test::entry_of(bytes_field(1, "x")));
    CHECK_ERROR(errc::bad_weights, test::entry_of(number_field(2, 1)));
    CHECK_ERROR(errc::bad_weights, test::entry_of(number_field(0, 1)));
    CHECK_ERROR(errc::bad_weights, test::entry_of(varint(1 << 3 | 3)));  // a group
    CHECK_ERROR(errc::truncated, test::entry_of(good.message() + varint(6 << 3 | 5) + "abc"));
    CHECK_ERROR(errc::truncated, test::entry_of(varint(2 << 3 | 2) + varint(~0ull)));
    const std::string extra = varint(15 << 3 | 1) + std::string(8, 'x') + bytes_field(99, "x");
    CHECK(test::entry_of(good.message() + extra).size() == 1);
}

TEST_CASE("kinds of values", "[files][tensorflow]") {
    for (const auto& [number, type] :
         std::vector<std::pair<std::uint64_t, dtype>>{{1, dtype::f32},
                                                      {2, dtype::f64},
                                                      {3, dtype::i32},
                                                      {4, dtype::u8},
                                                      {5, dtype::i16},
                                                      {6, dtype::i8},
                                                      {9, dtype::i64},
                                                      {10, dtype::boolean},
                                                      {14, dtype::bf16},
                                                      {19, dtype::f16}}) {
        const bundle_tensor entry{.type = number, .shape = {2}, .size = bits(type) / 4};
        CHECK(test::entry_of(entry.message()).at(0).type() == type);
    }
    for (const std::uint64_t number : {0ull, 7ull, 8ull, 20ull, 101ull, ~0ull}) {
        const bundle_tensor text{.type = number, .shape = {}, .shard = 9, .size = 77};
        CHECK(test::entry_of(text.message()).empty());
    }
}

TEST_CASE("indexes made to exhaust", "[files][tensorflow]") {
    const auto refused_cheaply = [](errc code, const std::string& bytes) {
        const auto source = test::in_memory(bytes);
        const auto memory = test::peak_growth([&] {
            CHECK_ERROR(code, read_tensor_bundle(*source, [](auto...) { return nullptr; }));
        });
        CHECK(memory < 2 * bytes.size() + 16'000'000);
    };
    std::string entries = block_entry(0, "", bundle_header());
    std::string shape;
    for (int i = 0; i < 8; ++i) shape += bytes_field(2, "");
    entries += block_entry(0, std::string(253, 'k') + "\1\1", "");
    for (int i = 0; i < 16384; ++i)  // each takes its long key from the one before
        entries += block_entry(253, {static_cast<char>(2 + i / 128), static_cast<char>(i % 128)},
                               bytes_field(2, shape));
    refused_cheaply(errc::limit_exceeded, table_builder().add(block(entries)).finish());
    refused_cheaply(errc::limit_exceeded, std::string((16u << 20) + 1, '\0'));
}

TEST_CASE("data files by their numbers", "[files][tensorflow]") {
    CHECK(shard_name("model.ckpt", 0, 1) == "model.ckpt.data-00000-of-00001");
    CHECK(shard_name("m", 12, 256) == "m.data-00012-of-00256");
    const bundle_tensor first{.shape = {1}, .size = 4}, second{.shape = {1}, .shard = 1, .size = 4};
    openai_copy folder;
    folder.put("model.ckpt.index",
               table({{"", bundle_header(2)}, {"a", first.message()}, {"b", second.message()}}));
    folder.put("model.ckpt.data-00000-of-00002", test::bytes_of(std::vector{1.0f}));
    CHECK_ERROR(errc::not_found, folder.open());
    folder.put("model.ckpt.data-00001-of-00002", test::bytes_of(std::vector{2.0f}));
    const auto opened = folder.open();
    CHECK(test::values_of(*opened.weights->find("a")) == std::vector{1.0f});
    CHECK(test::values_of(*opened.weights->find("b")) == std::vector{2.0f});
}

TEST_CASE("two names of one tensor", "[files][tensorflow]") {
    const std::string value = bundle_tensor{.shape = {4}, .size = 16}.message();
    openai_copy folder;
    folder.put(
        "model.ckpt.index",
        table({{"", bundle_header()}, {"h.0.ln_1.bias", value}, {"model/h0/ln_1/b", value}}));
    CHECK_ERROR(errc::duplicate_tensor, folder.open());
}

TEST_CASE("which checkpoint a folder names", "[files][tensorflow]") {
    openai_copy folder;
    folder.remove("checkpoint");
    CHECK(folder.open().weights->size() == 30);
    const auto name = [&](const std::string& text) {
        folder.put("checkpoint", "model_checkpoint_path: \"" + text + "\"\r\n");
        return folder.open().weights->size();
    };
    CHECK_ERROR(errc::not_found, name("model-1000"));
    folder.rename("model.ckpt.index", "model-1000.index");
    folder.rename("model.ckpt.data-00000-of-00001", "model-1000.data-00000-of-00001");
    CHECK(name("model-1000") == 30);
    for (const char* path : {"/etc/passwd", "../model-1000", "a/b", "..", ".", "", "a\\b", "C:x",
                             "NUL", "a\" b", "\\056\\056"})
        CHECK_ERROR(errc::path_not_allowed, name(path));
    for (const char* text : {"", "model_checkpoint_path:", "model_checkpoint_path: \"",
                             "model_checkpoint_path: \"a", "other: \"a\"", "\xff"}) {
        folder.put("checkpoint", text);
        CHECK_ERROR(errc::bad_weights, folder.open());
    }
    folder.put("checkpoint", std::string((1u << 20) + 1, ' '));
    CHECK_ERROR(errc::limit_exceeded, folder.open());
}

TEST_CASE("hparams.json", "[files][tensorflow]") {
    openai_copy folder;
    const auto sizes = [&](const std::string& text) {
        folder.put("hparams.json", text);
        return folder.open().config;
    };
    const std::string rest = R"("n_ctx":4,"n_embd":8,"n_head":2,"n_layer":1)";
    CHECK(sizes(R"({"n_vocab":50257,)" + rest + "}").end_of_text ==
          std::vector<gpt2::token_id>{50256});
    CHECK(sizes(R"({"n_vocab":50256,)" + rest + "}").end_of_text.empty());
    CHECK(sizes(R"({"n_vocab":9,"attn_dropout":0.1,)" + rest + "}").inner_width == 32);
    CHECK_ERROR(errc::unsupported, sizes(R"({"n_vocab":9,"n_inner":9,)" + rest + "}"));
    CHECK_ERROR(errc::bad_config, sizes("{" + rest + "}"));
    for (const char* bad : {"0", "-1", "1.5", "\"9\"", "null", "16777217"})
        CHECK_ERROR(errc::bad_config, sizes(R"({"n_vocab":)"s + bad + "," + rest + "}"));
    CHECK_ERROR(errc::bad_config,
                sizes(R"({"n_vocab":9,"n_ctx":4,"n_embd":8,"n_head":3,"n_layer":1})"));
    CHECK_ERROR(errc::bad_config, sizes("[]"));
    CHECK_ERROR(errc::bad_json, sizes("{"));
    folder.remove("hparams.json");
    CHECK_ERROR(errc::not_found, folder.open());
}
