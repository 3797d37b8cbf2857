// Weights in shards: what an index may name, and that index and shards agree. Numbers in brackets
// are those of the project's list of hazards.
#include "hf_folder_builder.hpp"
#include "../support/process.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/stat.h>

using gpt2::errc;
using test::message_of;
using test::model_folder;
using test::open_descriptors;
using test::tiny_tensors;
using namespace std::string_literals;

namespace {

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

TEST_CASE("shards give the tensors of the single file [061, 072]", "[files][hf]") {
    model_folder single, sharded;
    single.put("model.safetensors", test::safetensors(tiny_tensors()));
    put_shards(sharded);
    const auto one = single.open(), many = sharded.open();
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

TEST_CASE("shards may be links, as in the hub's cache [064]", "[files][hf]") {
    model_folder target, folder;
    target.put("blob", test::safetensors({test::ramp("x", {1})}));
    std::filesystem::create_symlink(target / "blob", folder / "a.safetensors");
    folder.put_index(R"("x":"a.safetensors")");
    CHECK(folder.open().weights->size() == 1);
}

TEST_CASE("shards that are absent or no files [065, 298]", "[files][hf]") {
    model_folder folder;
    put_shards(folder);
    const auto shard = folder / "model-00002-of-00003.safetensors";
    const std::size_t before = open_descriptors();
    std::filesystem::remove(shard);
    CHECK_ERROR(errc::not_found, folder.open());
    CHECK_THAT(message_of([&] { folder.open(); }),
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
