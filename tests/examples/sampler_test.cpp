// The sampler program from outside: lines in, lines or tables out, and what it refuses.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

test::outcome run(const std::string& arguments, const std::string& input,
                  const std::string& errors = "2>&1") {
    const test::scratch_folder scratch;
    test::write_file(scratch / "input", input);
    return test::run_program("sampler", arguments,
                             errors + " <'" + (scratch / "input").string() + "'");
}

std::vector<json> lines_of(const std::string& text) {
    std::vector<json> lines;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) lines.push_back(json::parse(line));
    return lines;
}

json answer(const std::string& line) {
    const auto done = run("--jsonl", line + "\n");
    INFO(done.output);
    CHECK(done.status == 0);
    return lines_of(done.output).at(0);
}

std::string error_of(const std::string& line) {
    const auto done = run("--jsonl", line + "\n", "2>/dev/null");
    INFO(done.output);
    CHECK(done.status == 1);
    return lines_of(done.output).at(0)["error"];
}

}  // namespace

TEST_CASE("sampler: survivors, probabilities, and who removed what", "[examples]") {
    const json found =
        answer(R"({"logits": [1, 2, 3, 4, -Infinity], "tokens": [2, 3], "prompt_length": 1, )"
               R"("options": {"suppress_tokens": [3], "top_k": 2, "temperature": 0.5}})");
    CHECK(found["survivors"] == json({1, 2}));
    CHECK(found["removed"] == json::parse(R"([{"filter":"suppress","ids":[3]},
                                              {"filter":"top-k","ids":[0]}])"));
    const auto p = found["probabilities"].get<std::vector<double>>();
    CHECK(p.at(1) == Approx(0.880797).epsilon(1e-5));
    CHECK(p.at(0) + p.at(1) == Approx(1));
}

TEST_CASE("sampler: logits as hex, options of HF by name, dialects", "[examples]") {
    const std::string hex = R"("logits_f32le": "0000803f0000004000004040000080ff")";  // 1 2 3 -inf
    CHECK(answer("{" + hex + "}")["survivors"] == json({0, 1, 2}));
    CHECK(answer("{" + hex + R"(, "options": {"top_k": null}})")["survivors"] == json({0, 1, 2}));
    const auto left = [&](const std::string& options, const std::string& more = "") {
        return answer(R"({"logits": [1, 2, 3, 2], "tokens": [0, 1, 0], "prompt_length": 1, )" +
                      more + R"("options": {)" + options + "}}")["survivors"];
    };
    CHECK(left(R"("top_k": 2)") == json({1, 2, 3}));
    CHECK(left(R"("top_k": 2)", R"("dialect": "llama_cpp", )") == json({1, 2}));
    CHECK(left(R"("top_p": 0.5)") == json({2}));
    CHECK(left(R"("no_repeat_ngram_size": 2)") == json({0, 2, 3}));
    CHECK(left(R"("bad_words_ids": [[0, 2], [3]])") == json({0, 1}));
    CHECK(left(R"("sequence_bias": [[[3], 9.0]], "top_k": 1)") == json({3}));
    for (const char* const key : {"3", "(3,)", "[3]", "(0, 3)", "0,3"})
        CHECK(left(R"("sequence_bias": {")" + std::string(key) + R"(": 9.0}, "top_k": 1)") ==
              json({3}));
    CHECK(left(R"("sequence_bias": {"1, 3": 9}, "top_k": 1, "pad_token_id": 0)") == json({2}));
    CHECK(left(R"("sequence_bias": [[[2], -Infinity]])") == json({0, 1, 3}));
    CHECK(left(R"("eos_token_id": [2, 3], "min_new_tokens": 3)") == json({0, 1}));
    CHECK(left(R"("eos_token_id": 2, "min_new_tokens": 2)") == json({0, 1, 2, 3}));
    CHECK(left(R"("forced_eos_token_id": 1, "max_new_tokens": 3)") == json({1}));
    CHECK(left(R"("forced_eos_token_id": 1, "max_length": 4)") == json({1}));
    CHECK(left(R"("top_k": 1, "suppress_tokens": [2], "do_sample": false)") == json({0, 1, 3}));
    CHECK(left(R"("temperature": 0)") == json({2}));
}

TEST_CASE("sampler: a line that is wrong is answered too, and the others go on", "[examples]") {
    const auto done =
        run("--jsonl", "{\"logits\": [1, 2]}\n\nnonsense\n{\"logits\": [3]}\n", "2>/dev/null");
    CHECK(done.status == 1);
    const auto lines = lines_of(done.output);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].contains("survivors"));
    CHECK(lines[1]["line"] == 3);
    CHECK(lines[1].contains("error"));
    CHECK(lines[2]["survivors"] == json({0}));
    const auto table = run("", "{\"logits\": [1, 2]}\nnonsense\n{\"logits\": [3]}\n");
    CHECK(table.status == 1);
    CHECK_THAT(table.output, test::mentions("sampler: line 2: "));
}

TEST_CASE("sampler: errors name the option and the value", "[examples]") {
    const auto says = [](const std::string& options, const std::string& part) {
        CHECK_THAT(error_of(R"({"logits": [1, 2], "options": {)" + options + "}}"),
                   test::mentions(part));
    };
    says(R"("temperature": -1)",
         "sampling.temperature: expected a finite number, 0 (greedy) or more, found -1");
    says(R"("top_p": 2)", "sampling.top_p: expected a number from 0 to 1 (off), found 2");
    says(R"("top_p": NaN)", "found nan");
    says(R"("top_p": "much")", "top_p: expected a number");
    says(R"("top_k": -1)", "top_k: expected a whole number");
    says(R"("top_k": 1.5)", "top_k: expected a whole number");
    says(R"("eos_token_id": 1e9)", "eos_token_id: expected a token id");
    says(R"("suppress_tokens": [2])", "sampling.suppress: expected ids from 0 to 1, found 2");
    says(R"("suppress_tokens": [0, 1])", "every token is banned, by suppress");
    says(R"("tmperature": 1)", "tmperature");
    says(R"("sequence_bias": [[1]])", "sequence_bias: expected a pair");
    says(R"("sequence_bias": {"a": 1})", "sequence_bias: expected a list");
    says(R"("mirostat": 3)", "mirostat: expected 0, 1 or 2");
    says(R"("top_k": 1e999)", "a double's range");
    says(R"("top_k": 99999999999999999999)", "top_k: expected a whole number");
    CHECK_THAT(error_of("[]"), test::mentions("an object"));
    CHECK_THAT(error_of("{}"), test::mentions("logits"));
    CHECK_THAT(error_of(R"({"logits": []})"), test::mentions("no logits"));
    CHECK_THAT(error_of(R"({"logits": [NaN]})"), test::mentions("token 0 is NaN"));
    CHECK_THAT(error_of(R"({"logits_f32le": "00"})"), test::mentions("8 hex digits"));
    CHECK_THAT(error_of(R"({"logits_f32le": "0000000g"})"), test::mentions("hex digits"));
    CHECK_THAT(error_of(R"({"logits": [1], "dialect": "gpt"})"), test::mentions("openai2019"));
    CHECK_THAT(error_of(R"({"logits": [1], "prompt_length": 1})"), test::mentions("prompt"));
    CHECK_THAT(error_of(R"({"logits": [1], "token": []})"), test::mentions("token"));
    CHECK_THAT(error_of("{\"logits\": [1], \"\xff\": 1}"), test::mentions("byte"));
}

TEST_CASE("sampler: a table for people", "[examples]") {
    const auto table = run("", R"({"logits": [1, 2, 3, 4], "options": {"top_k": 2}})");
    CHECK(table.status == 0);
    CHECK_THAT(table.output, test::mentions("top-k 2\n"));
    CHECK_THAT(table.output, test::mentions("top-k removes"));
    CHECK_THAT(table.output, test::mentions("         3      4.000     0.731059\n"));
    CHECK(run("", "").status == 0);
}

TEST_CASE("sampler: usage", "[examples]") {
    const auto help = run("--help", "");
    CHECK(help.status == 0);
    for (const char* word : {"--jsonl", "--options", "logits_f32le", "dialect"})
        CHECK_THAT(help.output, test::mentions(word));
    CHECK_THAT(run("--options", "").output, test::mentions("repetition_penalty\n"));
    CHECK(run("--json", "").status == 2);
}
