// The inspect program from outside: what a model takes, and whether it computes what it should.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <gpt2/cost.hpp>
#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

namespace {

test::outcome inspect(const std::string& arguments) {
    return test::run_program("inspect", arguments, "2>&1");
}

/// The digits behind a row's name, without commas.
std::string number_at(const std::string& text, const std::string& name) {
    const auto at = text.find(name);
    REQUIRE(at != text.npos);
    std::string line = text.substr(at + name.size(), text.find('\n', at) - at - name.size());
    std::erase_if(line, [](char c) { return c < '0' || c > '9'; });
    return line;
}

}  // namespace

TEST_CASE("inspect prints the bytes of the plan", "[examples]") {
    const auto plan = gpt2::plan(GPT2_BUNDLED_MODEL);
    const auto done = inspect("--threads 2 --weights int8 --cache f16");
    INFO(done.output);
    CHECK(done.status == 0);
    using gpt2::storage;
    CHECK(number_at(done.output, "weights as float32") ==
          std::to_string(plan.weights(storage::f32)));
    CHECK(number_at(done.output, "weights and one text as asked for") ==
          std::to_string(plan.total({storage::int8, storage::f16, 0, 2})));
}

TEST_CASE("inspect prints what a token costs", "[examples]") {
    const auto plan = gpt2::plan(GPT2_BUNDLED_MODEL);
    const auto done = inspect("--threads 2 --weights int8 --cache f16 --tokens 100");
    INFO(done.output);
    const auto cost = gpt2::cost_of(plan, {.before = 99}, gpt2::storage::int8, gpt2::storage::f16);
    const auto digits = [](double operations, std::uint64_t bytes) {
        return std::to_string(static_cast<std::uint64_t>(operations)) + std::to_string(bytes);
    };
    const auto decode = done.output.substr(done.output.find("A token behind 99"));
    for (std::size_t i = 0; i < cost.parts.size(); ++i) {
        const auto& part = cost.parts[i];
        CHECK(number_at(decode, std::string(gpt2::pass_part_names[i]))
                  .starts_with(digits(part.operations, part.bytes)));
    }
    CHECK(number_at(decode, "total")
              .starts_with(digits(cost.total().operations, cost.total().bytes)));
    const auto prompt = done.output.substr(done.output.find("A token of a prompt of 100"));
    CHECK(number_at(prompt, "head").starts_with("20972"));  // 2·256·4096 operations for 100 tokens
    CHECK_THAT(inspect("--threads 2 --tokens 9999").output,
               test::mentions("A token of a prompt of 512"));
}

TEST_CASE("inspect draws the roofline of this machine", "[examples]") {
    const auto done = inspect("--threads 2 --roofline --tokens 8");
    INFO(done.output);
    CHECK(done.status == 0);
    CHECK_THAT(done.output, test::mentions("roofline: what memory and arithmetic allow"));
    CHECK_THAT(done.output, test::mentions(" float32 operations/s, 2 threads\n"));
    CHECK_THAT(done.output, test::mentions("\nA prompt of 8: "));
    CHECK_THAT(done.output, test::mentions("\nB token behind 8: "));
    const test::scratch_folder folder;
    const auto file = (folder / "roof.svg").string();
    CHECK(inspect("--threads 2 --tokens 512 --roofline-file " + file).output == "");
    const auto svg = test::read_file(file);
    CHECK(svg.starts_with("<svg xmlns="));
    CHECK_THAT(svg, test::mentions("prompt of 512: "));
    CHECK(svg.find("token behind") == svg.npos);  // no room behind a full context
}

TEST_CASE("inspect --verify ends with 0 for a model that is whole", "[examples]") {
    for (const char* how : {"", "--weights int8", "--arithmetic fast"}) {
        const auto done = inspect(std::string("--verify --threads 2 ") + how);
        INFO(done.output);
        CHECK(done.status == 0);
        CHECK_THAT(done.output, test::mentions("passed: every stage within"));
        CHECK(std::ranges::count(done.output, '\n') == 1 + 89 + 1);
    }
}

TEST_CASE("inspect --verify ends with 1 and names the stage that departs", "[examples]") {
    namespace fs = std::filesystem;
    const test::scratch_folder copy;
    fs::copy(GPT2_BUNDLED_MODEL, copy.path());
    auto config = test::read_file(copy / "config.json");
    config.replace(config.find("gelu_new"), 8, "gelu");
    test::write_file(copy / "config.json", config);
    const auto done = inspect("--verify --threads 2 --model " + copy.path().string());
    INFO(done.output);
    CHECK(done.status == 1);
    CHECK_THAT(done.output, test::mentions("inspect: the model departs at h.0.activation by"));

    const std::string own = std::string(" --reference ") + GPT2_BUNDLED_MODEL "/reference.json";
    fs::remove(copy / "reference.json");
    const auto missing = inspect("--verify --threads 2 --model " + copy.path().string());
    CHECK(missing.status == 1);
    CHECK_THAT(missing.output, test::mentions("reference.json: no such file"));
    CHECK(inspect("--model " + copy.path().string() + own).status == 1);
    CHECK(inspect("--threads 2" + own).status == 0);
}
