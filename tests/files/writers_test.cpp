// What files are written with: JSON as a text, files and folders that appear when they are
// complete, and tensors in the types they are written in.
#include "safetensors_builder.hpp"
#include "../support/files.hpp"

#include <gpt2/detail/file_sink.hpp>
#include <gpt2/detail/json.hpp>
#include <gpt2/detail/json_writer.hpp>
#include <gpt2/detail/safetensors.hpp>
#include <gpt2/detail/safetensors_writer.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cfloat>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <sys/resource.h>

using gpt2::errc;
using gpt2::existing;
using gpt2::detail::file_sink;
using gpt2::detail::folder_sink;
using gpt2::detail::json_layout;
using gpt2::detail::json_writer;

namespace fs = std::filesystem;

namespace {

std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

bool anything(std::string_view) { return true; }
bool only_a(std::string_view name) { return name == "a"; }

/// No file of this process can grow beyond a size, as on a disk that is full.
class small_disk {
public:
    explicit small_disk(rlim_t bytes) : before_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &limit_);
        rlimit small = limit_;
        small.rlim_cur = bytes;
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;
    ~small_disk() {
        ::setrlimit(RLIMIT_FSIZE, &limit_);
        std::signal(SIGXFSZ, before_);
    }

private:
    void (*before_)(int);
    rlimit limit_{};
};

}  // namespace

TEST_CASE("JSON is written as it is read", "[files][write]") {
    for (const auto layout : {json_layout::compact, json_layout::lines}) {
        json_writer out(layout);
        out.open('{').member("text", "a\"b\\c\n\t\x01\x7f \xC3\xA9 \xF0\x9F\x98\x80");
        out.member("real", 1e-5).member("tiny", 4.9e-324).member("whole", std::size_t{1} << 63);
        out.member("negative", -7).member("float", 0.1f).member("yes", true).member("no", false);
        out.member("none", nullptr).key("list").open('[').value(1).value("2").open('[').close();
        out.open('{').close().close().member("after", std::string("x")).close();
        const std::string text = out.take();
        const auto read = nlohmann::json::parse(text);
        CHECK(read.dump() == nlohmann::json::parse(text).dump());
        CHECK(read["text"] == "a\"b\\c\n\t\x01\x7f \xC3\xA9 \xF0\x9F\x98\x80");
        CHECK(read["real"] == 1e-5);
        CHECK(read["tiny"] == 4.9e-324);
        CHECK(read["whole"] == std::uint64_t{1} << 63);
        CHECK(read["negative"] == -7);
        CHECK(static_cast<float>(read["float"].get<double>()) == 0.1f);
        CHECK((read["yes"] == true && read["no"] == false && read["none"] == nullptr));
        CHECK(read["list"] == nlohmann::json::parse("[1, \"2\", [], {}]"));
        CHECK(read["after"] == "x");
        CHECK(gpt2::detail::parse_json(text, "text").members()->size() == read.size());
    }
    json_writer lines(json_layout::lines);
    lines.open('{').key("a").open('[').value(1).value(2).close().key("b").open('{').close();
    CHECK(lines.close().take() == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}\n");
    json_writer compact;
    compact.open('{').key("a").open('[').value(1).value(2).close().key("b").open('{').close();
    CHECK(compact.close().take() == "{\"a\":[1,2],\"b\":{}}");
    for (const char* broken : {"\xFF", "a\xC3", "\xED\xA0\x80", "\xC0\x80"}) {
        CHECK_ERROR(errc::unsupported, json_writer().value(broken));
        CHECK_ERROR(errc::unsupported, json_writer().open('{').key(broken));
    }
}

TEST_CASE("a file appears when it is complete", "[files][write]") {
    const test::scratch_folder scratch;
    {
        file_sink file(scratch / "a", existing::keep);
        file.write("one");
        CHECK(!fs::exists(scratch / "a"));
        CHECK(names_in(scratch.path()) == std::vector<std::string>{".a.part0"});
        file_sink other(scratch / "a", existing::keep);  // two at once do not meet
        other.write("other");
        file.write(" two");
        file.commit();
        CHECK(test::read_file(scratch / "a") == "one two");
    }
    CHECK(names_in(scratch.path()) == std::vector<std::string>{"a"});
    CHECK_ERROR(errc::write_failed, file_sink(scratch / "a", existing::keep));
    { file_sink abandoned(scratch / "a", existing::replace); }
    CHECK(test::read_file(scratch / "a") == "one two");
    file_sink again(scratch / "a", existing::replace);
    again.write("three");
    again.commit();
    CHECK(test::read_file(scratch / "a") == "three");
    CHECK(names_in(scratch.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("a file is only written where a file can be", "[files][write]") {
    const test::scratch_folder scratch;
    CHECK_ERROR(errc::not_found, file_sink(scratch / "absent" / "a", existing::keep));
    fs::create_directory(scratch / "folder");
    CHECK_ERROR(errc::not_regular_file, file_sink(scratch / "folder", existing::replace));
    CHECK_ERROR(errc::not_regular_file, file_sink("/dev/full", existing::replace));
    CHECK_ERROR(errc::not_regular_file, file_sink("/", existing::replace));
    // A link is followed, not replaced.
    test::write_file(scratch / "folder" / "real", "old");
    fs::create_symlink("folder/real", scratch / "link");
    file_sink file(scratch / "link", existing::replace);
    file.write("new");
    file.commit();
    CHECK(fs::is_symlink(scratch / "link"));
    CHECK(test::read_file(scratch / "folder" / "real") == "new");
    for (int i = 0; i < 100; ++i) test::write_file(scratch / (".b.part" + std::to_string(i)), "");
    CHECK_ERROR(errc::write_failed, file_sink(scratch / "b", existing::keep));
    fs::remove(scratch / ".b.part41");
    file_sink(scratch / "b", existing::keep).commit();
    CHECK(fs::exists(scratch / "b"));
}

TEST_CASE("a full disk is an error that leaves nothing", "[files][write]") {
    const test::scratch_folder scratch;
    test::write_file(scratch / "a", "old");
    const std::string much(100000, 'x');
    const small_disk limit(64 << 10);
    CHECK_ERROR(errc::write_failed, [&] {
        file_sink file(scratch / "a", existing::replace);
        file.write(much);
        file.commit();
    }());
    CHECK_ERROR(errc::write_failed, [&] {
        folder_sink folder(scratch / "b", existing::keep, anything);
        folder.add_text("small", "fits");
        folder.add_text("large", much);
        folder.commit();
    }());
    CHECK(names_in(scratch.path()) == std::vector<std::string>{"a"});
    CHECK(test::read_file(scratch / "a") == "old");
}

TEST_CASE("a folder appears when it is complete", "[files][write]") {
    const test::scratch_folder scratch;
    const auto write = [&](existing what, bool (*known)(std::string_view), const char* text) {
        folder_sink folder(scratch / "to" / "", what, known);
        folder.add_text("a", text);
        folder.commit();
    };
    write(existing::keep, only_a, "one");
    CHECK(test::read_file(scratch / "to" / "a") == "one");
    CHECK_ERROR(errc::write_failed, write(existing::keep, only_a, "two"));
    write(existing::replace, only_a, "two");
    CHECK(test::read_file(scratch / "to" / "a") == "two");
    CHECK(names_in(scratch.path()) == std::vector<std::string>{"to"});

    test::write_file(scratch / "to" / "README.md", "mine");
    CHECK_ERROR(errc::write_failed, write(existing::replace, only_a, "three"));
    fs::remove(scratch / "to" / "README.md");
    fs::create_directory(scratch / "to" / "b");
    CHECK_ERROR(errc::write_failed, write(existing::replace, anything, "three"));
    fs::remove(scratch / "to" / "b");
    CHECK(test::read_file(scratch / "to" / "a") == "two");

    fs::remove(scratch / "to" / "a");
    write(existing::keep, only_a, "in an empty one");
    CHECK(test::read_file(scratch / "to" / "a") == "in an empty one");
    CHECK_ERROR(errc::not_found, folder_sink(scratch / "x" / "y", existing::keep, anything));
    CHECK_ERROR(errc::not_regular_file,
                folder_sink(scratch / "to" / "a", existing::replace, anything));
    CHECK(names_in(scratch.path()) == std::vector<std::string>{"to"});
}

TEST_CASE("values are rounded to the type they are written in", "[files][write]") {
    using gpt2::dtype;
    const std::vector<float> values = {1, -2.5f, 65504, 1.0f / 3, -0.0f, 1e-8f, 0, 3};
    const auto bytes = std::as_bytes(std::span(values));
    const gpt2::stored_tensor stored(
        "t", dtype::f32, {2, 4},
        std::make_shared<gpt2::detail::memory_source>(
            "memory", std::vector<std::byte>(bytes.begin(), bytes.end())),
        0);
    const auto written = [&](dtype type, const gpt2::stored_tensor& from,
                             std::vector<std::size_t> shape) {
        std::string file;
        gpt2::detail::safetensors_writer writer(
            {{"t", type, std::move(shape), from}, {"nothing", type, {3}}});
        writer.write([&](std::string_view part) { file += part; });
        CHECK(file.size() == writer.bytes());
        CHECK(static_cast<unsigned char>(file.front()) % 8 == 0);  // the header's length
        CHECK(file.find("\"nothing\"") < file.find("\"t\""));
        const auto* data = reinterpret_cast<const std::byte*>(file.data());
        auto source = std::make_shared<gpt2::detail::memory_source>(
            "memory", std::vector<std::byte>(data, data + file.size()));
        const auto contents = gpt2::detail::read_safetensors(source);
        REQUIRE(contents.tensors.size() == 2);
        std::vector<float> zeros(3, 1), found(contents.tensors[1].size());
        contents.tensors[0].read_rows<float>(0, 1, zeros);
        CHECK(zeros == std::vector<float>(3));
        CHECK(contents.tensors[1].type() == type);
        contents.tensors[1].read_rows<float>(0, contents.tensors[1].rows(), found);
        return found;
    };
    CHECK(written(dtype::f32, stored, {2, 4}) == values);
    CHECK(written(dtype::f32, stored, {1, 4}) == std::vector<float>{1, -2.5f, 65504, 1.0f / 3});
    CHECK(written(dtype::f16, stored, {2, 4}) ==
          std::vector<float>{1, -2.5f, 65504, 0.333251953125f, -0.0f, 0, 0, 3});
    CHECK(written(dtype::bf16, stored, {2, 4}) ==
          std::vector<float>{1, -2.5f, 65536, 0.333984375f, -0.0f, 1.0011717677116394e-8f, 0, 3});
    CHECK(written(dtype::f32, stored.transposed(), {4, 2}) ==
          std::vector<float>{1, -0.0f, -2.5f, 1e-8f, 65504, 0, 1.0f / 3, 3});
}

TEST_CASE("bytes as stored are those of the tensor alone", "[files][write]") {
    const std::string text = "xxABCDEFGHyy";
    const auto bytes = std::as_bytes(std::span(text));
    const gpt2::stored_tensor tensor("t", gpt2::dtype::f16, {2, 2},
                                     std::make_shared<gpt2::detail::memory_source>("memory", bytes),
                                     2);
    std::string found(4, ' ');
    tensor.read_stored(3, std::as_writable_bytes(std::span(found)));
    CHECK(found == "DEFG");
    CHECK_ERROR(errc::invalid_argument,
                tensor.read_stored(5, std::as_writable_bytes(std::span(found))));
    CHECK_ERROR(errc::invalid_argument,
                tensor.read_stored(std::numeric_limits<std::uint64_t>::max(),
                                   std::as_writable_bytes(std::span(found))));
    auto view = gpt2::stored_tensor(tensor).strided({1, 2});  // by column: without gaps
    view.read_stored(0, std::as_writable_bytes(std::span(found)));
    CHECK(found == "ABCD");
}

TEST_CASE("large tensors are written in several parts", "[files][write]") {
    using gpt2::dtype;
    const auto written = [](dtype type, const gpt2::stored_tensor& from) {
        std::string bytes;
        std::size_t parts = 0;
        const std::vector<std::size_t> shape(from.shape().begin(), from.shape().end());
        gpt2::detail::write_values({"t", type, shape, from}, [&](std::string_view part) {
            bytes += part;
            ++parts;
        });
        CHECK(parts > 1);
        return bytes;
    };
    const auto tensor = [](dtype type, std::vector<std::size_t> shape, const auto& values) {
        const auto bytes = std::as_bytes(std::span(values));
        return gpt2::stored_tensor(
            "t", type, std::move(shape),
            std::make_shared<gpt2::detail::memory_source>(
                "memory", std::vector<std::byte>(bytes.begin(), bytes.end())),
            0);
    };
    const auto text_of = [](const auto& values) {
        const auto bytes = std::as_bytes(std::span(values));
        return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    constexpr std::size_t rows = 2100, columns = 2048;  // above 2^22
    std::vector<float> values(rows * columns), turned(values.size());
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c)
            turned[c * rows + r] = values[r * columns + c] = static_cast<float>(r * columns + c);
    const auto stored = tensor(dtype::f32, {rows, columns}, values);
    CHECK((written(dtype::f32, stored) == text_of(values)));
    CHECK((written(dtype::f32, stored.transposed()) == text_of(turned)));
    std::vector<gpt2::detail::q8_0_block> blocks(40000);  // 1.3 MiB
    for (std::size_t i = 0; i < blocks.size(); ++i)
        blocks[i].q.fill(static_cast<std::int8_t>(i % 101));
    CHECK((written(dtype::q8_0, tensor(dtype::q8_0, {100, 400 * 32}, blocks)) == text_of(blocks)));
}
