// The benchmark program from outside: what scripts read from it. How fast anything is, no test
// says.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace {

test::outcome benchmark(const std::string& arguments) {
    return test::run_program("benchmark", arguments);
}

nlohmann::json measured(const std::string& arguments) {
    const auto done = benchmark("--quick --json --model " GPT2_BUNDLED_MODEL " " + arguments);
    INFO(done.output);
    REQUIRE(done.status == 0);
    return nlohmann::json::parse(done.output);
}

}  // namespace

TEST_CASE("benchmark: one JSON object with every key", "[examples]") {
    const auto result = measured("--threads 2 --weights int8");
    REQUIRE(result.is_object());
    for (const char* const key :
         {"decode_tokens_per_s", "prefill_tokens_per_s", "batch_tokens_per_s", "load_s",
          "peak_rss_bytes", "peak_rss_batch_bytes", "weight_bytes_per_token",
          "limit_read_bytes_per_s", "limit_flops", "decode_share_of_limit",
          "prefill_share_of_limit", "batch_share_of_limit"}) {
        INFO(key);
        REQUIRE(result.contains(key));
        REQUIRE(result[key].is_number());
        CHECK(result[key].get<double>() > 0);
    }
    REQUIRE(result["batches"].size() == 3);
    for (const auto& batch : result["batches"])
        for (const char* const key : {"texts", "tokens_per_s", "share_of_limit", "times_one"}) {
            INFO(key);
            CHECK(batch[key].get<double>() > 0);
        }
    CHECK(result["batches"][0]["times_one"] == 1.0);
    CHECK(result["batches"][1]["tokens_per_s"] == result["batch_tokens_per_s"]);
    CHECK(result["batches"][2]["texts"] == 32);
    CHECK(result["shape"] == "model");
    CHECK(result["weights"] == "int8");
    CHECK(result["threads"] == 2);
    CHECK(result["kernels"] == gpt2::kernel_names().front());
    CHECK_FALSE(result.contains("profile"));
    const auto model = gpt2::load(GPT2_BUNDLED_MODEL, {.weights = gpt2::storage::int8});
    CHECK(result["weight_bytes_per_token"] == model.model().weight_bytes());
}

TEST_CASE("benchmark: kernels are listed, the portable ones last, and can be forced",
          "[examples]") {
    const auto listed = benchmark("--list-kernels");
    CHECK(listed.status == 0);
    std::istringstream lines(listed.output);
    std::vector<std::string> names;
    for (std::string line; std::getline(lines, line);) names.push_back(line);
    const auto known = gpt2::kernel_names();
    CHECK(names == std::vector<std::string>(known.begin(), known.end()));
    REQUIRE(!names.empty());
    CHECK(names.back() == "portable");
    const auto result = measured("--threads 1 --kernels portable");
    CHECK(result["kernels"] == "portable");
    CHECK(result["threads"] == 1);
    CHECK(result["weights"] == "as stored");
}

TEST_CASE("benchmark: the profile of both passes, and its trace", "[examples]") {
    const test::scratch_folder folder;
    const auto file = (folder / "trace.json").string();
    const auto result = measured("--profile " + file);
    REQUIRE(result["profile"].size() == 2);
    for (const auto& pass : result["profile"]) {
        CHECK(pass["milliseconds"].size() == 10);
        for (const auto& [operation, took] : pass["milliseconds"].items()) {
            INFO(operation);
            CHECK(took.get<double>() > 0);
        }
        CHECK(pass["unobserved_milliseconds"].get<double>() > 0);
    }
    const auto trace = nlohmann::json::parse(test::read_file(file));
    const auto layers = gpt2::load(GPT2_BUNDLED_MODEL).config().layers;
    // The embedding, ln_f and the head once, seven operations in each layer; two passes.
    REQUIRE(trace["traceEvents"].size() == 2 * (3 + 7 * layers));
    double end = 0;
    for (const auto& event : trace["traceEvents"]) {
        CHECK(event["ph"] == "X");
        CHECK(event["ts"].get<double>() >= end - 1e-3);
        end = event["ts"].get<double>() + event["dur"].get<double>();
    }
}

TEST_CASE("benchmark: wrong usage and a missing model", "[examples]") {
    CHECK(benchmark("--shape huge").status == 2);
    CHECK(benchmark("--repeat 0").status == 2);
    CHECK(benchmark("--shape gpt2 --model " GPT2_BUNDLED_MODEL).status == 2);
    CHECK(benchmark("--quick --model /nowhere/at/all").status == 1);
    CHECK(benchmark("--quick --kernels abacus --model " GPT2_BUNDLED_MODEL).status == 1);
    CHECK(benchmark("--help").status == 0);
}
