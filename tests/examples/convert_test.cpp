// The convert program from outside: what it writes, what it says, what it refuses; and the other
// programs on what it wrote.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

test::outcome run(const std::string& program, const std::string& arguments) {
    return test::run_program(program, arguments, "2>&1 </dev/null");
}

test::outcome convert(const fs::path& from, const fs::path& to, const std::string& more = "") {
    return run("convert", "--from '" + from.string() + "' --to '" + to.string() + "' " + more);
}

std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

const fs::path base = test::source_folder() / "tests/reference/models/base";

}  // namespace

TEST_CASE("convert: the name of the target says what is written", "[examples]") {
    const test::scratch_folder scratch;
    const auto folder = convert(base, scratch / "folder");
    INFO(folder.output);
    CHECK(folder.status == 0);
    CHECK_THAT(folder.output, test::mentions("folder: "));
    CHECK_THAT(folder.output, test::mentions("bytes from safetensors in "));
    CHECK(std::count(folder.output.begin(), folder.output.end(), '\n') ==
          1);  // no terminal, no bar
    CHECK(fs::exists(scratch / "folder" / "config.json"));
    CHECK(convert(base, scratch / "a.gguf", "--quiet").output.empty());
    CHECK(test::read_file(scratch / "a.gguf").starts_with("GGUF"));
    CHECK(convert(base, scratch / "b", "--format gguf").status == 0);
    CHECK(test::read_file(scratch / "b") == test::read_file(scratch / "a.gguf"));
    CHECK(convert(scratch / "a.gguf", scratch / "again.gguf", "--format hf").status == 0);
    CHECK(test::read_file(scratch / "again.gguf" / "model.safetensors") ==
          test::read_file(base / "model.safetensors"));
    const auto size = [&](const std::string& weights) {
        CHECK(convert(base, scratch / "w", "--force --quiet --weights " + weights).status == 0);
        return fs::file_size(scratch / "w" / "model.safetensors");
    };
    CHECK(size("f16") < size("f32"));
    CHECK(size("bf16") < size("f32"));
}

TEST_CASE("convert: errors are one line, and nothing is left", "[examples]") {
    const test::scratch_folder scratch;
    const auto fails = [&](const fs::path& from, const fs::path& to, const std::string& more,
                           const std::string& part) {
        const auto before = names_in(scratch.path());
        const auto done = convert(from, to, more);
        INFO(done.output);
        CHECK(done.status == 1);
        CHECK(done.output.starts_with("convert: "));
        CHECK(std::count(done.output.begin(), done.output.end(), '\n') == 1);
        CHECK_THAT(done.output, test::mentions(part));
        CHECK(names_in(scratch.path()) == before);
    };
    fails(scratch / "absent", scratch / "to", "", "no such file or folder");
    fails(base, scratch / "absent" / "to", "", "does not exist");
    fails(base, scratch / "to", "--weights int8", "int8");
    fails(base.parent_path() / "activation_relu", scratch / "to.gguf", "", "relu");
    REQUIRE(convert(base, scratch / "to").status == 0);
    fails(base, scratch / "to", "", "already");
    fails(base, scratch / "to", "--force --format gguf", "a folder");
    test::write_file(scratch / "to" / "notes.txt", "mine");
    fails(base, scratch / "to", "--force", "notes.txt");
    fs::remove(scratch / "to" / "notes.txt");
    CHECK(convert(base, scratch / "to", "--force").status == 0);
}

TEST_CASE("convert: usage", "[examples]") {
    const auto help = run("convert", "--help");
    CHECK(help.status == 0);
    for (const char* option :
         {"--from", "--to", "--format", "--weights", "--force", "--quiet", "hf|gguf|packed"})
        CHECK_THAT(help.output, test::mentions(option));
    CHECK(run("convert", "").status == 2);
    CHECK(run("convert", "--from a").status == 2);
    CHECK(run("convert", "--from a --to b --format tar").status == 2);
    CHECK(run("convert", "--from a --to b --weights f64").status == 2);
}

TEST_CASE("the programs take what convert wrote, folder or file", "[examples]") {
    const test::scratch_folder scratch;
    REQUIRE(convert(GPT2_BUNDLED_MODEL, scratch / "a.gguf").status == 0);
    REQUIRE(convert(GPT2_BUNDLED_MODEL, scratch / "folder").status == 0);
    const std::string how =
        " --prompt 'Once upon a time' --max-new-tokens 8 --temperature 0 "
        "--quiet --threads 2";
    const auto expected = run("generate", how);
    CHECK(expected.status == 0);
    for (const char* name : {"a.gguf", "folder", "folder/model.safetensors"}) {
        CAPTURE(name);
        const std::string model = " --model '" + (scratch / name).string() + "'";
        CHECK(run("generate", model + how).output == expected.output);
        const auto tokenize = [&](const std::string& of) {
            return run("tokenize --jsonl", of + " <<'END'\n{\"text\": \"The prince\"}\nEND\n#");
        };
        CHECK(tokenize(model).output == tokenize("").output);
        CHECK(tokenize(model).status == 0);
        const auto inspected = run("inspect", model);
        CHECK(inspected.status == 0);
        CHECK_THAT(inspected.output, test::mentions("Parameters"));
    }
    // Alone in a folder, and without a tokenizer.
    fs::create_directory(scratch / "alone");
    fs::rename(scratch / "a.gguf", scratch / "alone" / "a.gguf");
    const auto alone = (scratch / "alone").string();
    CHECK(run("tokenize", "--pieces --model '" + alone + "'").status == 0);
    const auto none = run("tokenize", "--model '" + base.string() + "'");
    CHECK(none.status == 1);
    CHECK_THAT(none.output, test::mentions("tokenizer"));
}
