// The generate program from outside: several samples, many requests, every setting, and that none
// of it changes what a lone run writes.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

test::outcome generate(const std::string& arguments, const std::string& errors = "2>/dev/null") {
    return test::run_program("generate", "--threads 2 " + arguments, errors);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// The token ids that a lone run writes.
std::string ids_of(const std::string& arguments) {
    const auto done = generate("--quiet --output ids " + arguments);
    CHECK(done.status == 0);
    return done.output;
}

std::string as_text(const json& ids) {
    std::string text;
    for (const json& id : ids) text += (text.empty() ? "" : " ") + id.dump();
    return text + '\n';
}

/// Runs --jsonl over these lines; each result as JSON.
struct answered {
    int status;
    std::vector<json> results;
};

answered ask(const std::string& lines, const std::string& arguments) {
    const test::scratch_folder scratch;
    test::write_file(scratch / "in", lines);
    const auto done = generate("--jsonl " + arguments + " < " + (scratch / "in").string());
    answered found{done.status, {}};
    for (const auto& line : lines_of(done.output)) found.results.push_back(json::parse(line));
    for (std::size_t i = 0; i < found.results.size(); ++i) CHECK(found.results[i]["index"] == i);
    return found;
}

}  // namespace

TEST_CASE("generate: samples are the texts of their sequence numbers", "[examples]") {
    const std::string how = "--prompt 'The wolf' --seed 3 --max-new-tokens 9 --temperature 0.9 ";
    for (const char* at_once : {"1", "2", "8"}) {
        const auto samples = lines_of(ids_of(how + "--samples 4 --at-once " + at_once));
        REQUIRE(samples.size() == 4);
        CHECK(samples[0] != samples[1]);
        for (std::size_t i = 0; i < samples.size(); ++i)
            CHECK(samples[i] + '\n' == ids_of(how + "--sequence " + std::to_string(i)));
    }
    const auto shown = generate(how + "--quiet --samples 2");
    CHECK(shown.output.starts_with("=== 1 of 2 ===\n"));
    CHECK_THAT(shown.output, test::mentions("\n=== 2 of 2 ===\n"));
    const auto objects = lines_of(generate(how + "--samples 2 --output json").output);
    REQUIRE(objects.size() == 2);
    CHECK(json::parse(objects[1])["sample"] == 1);
    CHECK(generate(how + "--samples 0").status == 1);
    CHECK(generate(how + "--samples 5000").status == 1);
}

TEST_CASE("generate: guesses ahead change nothing, and are reported", "[examples]") {
    const std::string how = "--prompt 'The wolf' --seed 3 --max-new-tokens 40 --temperature 0.7 ";
    const auto plain = ids_of(how);
    CHECK(ids_of(how + "--lookup 3") == plain);
    CHECK(ids_of(how + "--draft " GPT2_BUNDLED_MODEL) == plain);
    CHECK_THAT(generate(how + "--draft " GPT2_BUNDLED_MODEL, "2>&1").output,
               test::mentions("36 of 36 guesses right"));
    const auto other = (test::source_folder() / "tests/reference/models/base").string();
    const auto refused = generate(how + "--draft " + other, "2>&1");
    CHECK(refused.status == 1);
    CHECK_THAT(refused.output, test::mentions("--draft: expected the vocabulary of the model"));
    CHECK(generate(how + "--lookup 3 --draft " GPT2_BUNDLED_MODEL).status == 2);
}

TEST_CASE("generate: each setting has an option, which --describe shows", "[examples]") {
    const std::array<std::array<const char*, 2>, 27> known = {{
        {"--temperature 0.7", "temperature 0.7"},
        {"--temperature 0", "greedy"},
        {"--top-k 7", "top-k 7"},
        {"--top-p 0.7", "top-p 0.7"},
        {"--min-p 0.07", "min-p 0.07"},
        {"--typical-p 0.7", "typical"},
        {"--epsilon-cutoff 0.07", "epsilon"},
        {"--eta-cutoff 0.07", "eta"},
        {"--top-h 0.7", "top-h"},
        {"--top-n-sigma 1.7", "1.7"},
        {"--dynatemp-range 0.37", "± 0.37"},
        {"--xtc-probability 0.7", "xtc"},
        {"--mirostat 2 --mirostat-tau 3.7", "mirostat"},
        {"--repetition-penalty 1.7", "repetition penalty 1.7"},
        {"--presence-penalty 0.7", "presence"},
        {"--frequency-penalty 0.7", "frequency"},
        {"--no-repeat-ngram-size 3", "n-gram"},
        {"--dry-multiplier 0.7", "dry"},
        {"--logit-bias 5=-1 --logit-bias 6=-inf", "logit bias"},
        {"--sequence-bias 5,6=-1", "sequence bias"},
        {"--length-decay-start 3 --length-decay-factor 1.1", "length"},
        {"--suppress-tokens 5,6", "suppress"},
        {"--begin-suppress-tokens 5", "begin"},
        {"--bad-words wolf", "bad words"},
        {"--bad-words-ids 5,6", "bad words"},
        {"--min-new-tokens 5", "min new tokens"},
        {"--dialect llama_cpp", "llama_cpp: "},
    }};
    for (const auto& [option, shown] : known) {
        const auto done = generate(std::string("--describe ") + option, "2>&1");
        INFO(option << ": " << done.output);
        CHECK(done.status == 0);
        CHECK_THAT(done.output, test::mentions(shown));
        CHECK(std::count(done.output.begin(), done.output.end(), '\n') == 1);
    }
    CHECK(generate("--describe").output == "temperature 0.8, top-k 40\n");
}

TEST_CASE("generate: what the settings do to the text", "[examples]") {
    const std::string how = "--prompt 'The wolf' --temperature 0 --max-new-tokens 6 ";
    CHECK(ids_of(how + "--logit-bias 5=1000") == "5 5 5 5 5 5\n");
    CHECK(ids_of(how + "--logit-bias 5=1000 --no-repeat-ngram-size 1").starts_with("5 "));
    CHECK(ids_of(how + "--logit-bias 5=1000 --max-length 4") == "5 5\n");
    CHECK(ids_of(how + "--logit-bias 5=1000 --forced-eos-token-id 7") == "5 5 5 5 5 7\n");
    CHECK(ids_of(how + "--logit-bias 5=1000 --suppress-tokens 5,6") == ids_of(how));
    const auto plain = generate(how + "--quiet").output;
    const auto word = plain.substr(0, plain.find(' ', 1));
    const auto without =
        generate(how + "--quiet --bad-words '" + word.substr(word[0] == ' ') + "'");
    CHECK(without.status == 0);
    CHECK_FALSE(without.output.starts_with(word));
}

TEST_CASE("generate: errors name the option and the value", "[examples]") {
    const auto fails = [](const std::string& option, int status, const std::string& said) {
        const auto done = generate("--quiet --prompt a " + option, "2>&1");
        INFO(option << ": " << done.output);
        CHECK(done.status == status);
        CHECK(done.output.starts_with("generate: "));
        CHECK(std::count(done.output.begin(), done.output.end(), '\n') == 1);
        CHECK_THAT(done.output, test::mentions(said));
    };
    fails("--temperature nan", 1, "sampling.temperature: expected a finite number");
    fails("--temperature -1", 1, "found -1");
    fails("--top-p 2", 1, "sampling.top_p: expected a number from 0 to 1 (off), found 2");
    fails("--suppress-tokens 4096", 1, "suppress: expected ids from 0 to 4095, found 4096");
    fails("--stop ''", 1, "stop");
    fails("--forced-eos-token-id 5 --max-new-tokens 2 --min-new-tokens 9", 1,
          "sampling.min_new_tokens");
    fails("--top-p much", 2, "top_p: expected a number, found \"much\"");
    fails("--top-k -1", 2, "top_k: expected a whole number, 0 or more, found \"-1\"");
    fails("--top-k 1.5", 2, "found \"1.5\"");
    fails("--logit-bias 5", 2, "expected IDS=NUMBER, found \"5\"");
    fails("--logit-bias 5,6=1", 2, "one token");
    fails("--suppress-tokens 5,,6", 2, "integers like 1,2,3");
    fails("--dialect mine", 2, "hf, openai2019 or llama_cpp");
    fails("--mirostat 3", 2, "0, 1 or 2");
    fails("--jsonl", 2, "at most 1");
    fails("--output-file f", 2, "--jsonl");
    fails("--resume", 2, "--output-file");
}

TEST_CASE("generate --jsonl: each result is that of a lone run, in the order of the requests",
          "[examples]") {
    const std::string seed = "--seed 5 ", how = seed + "--max-new-tokens 9 ";
    const std::string lines =
        "{\"prompt\": \"The wolf\", \"max_new_tokens\": 30, \"id\": {\"mine\": [1]}}\n"
        "\n"
        "{\"prompt\": \"The king\", \"temperature\": 0, \"log_probs\": true}\r\n"
        "{\"ids\": [350, 1138], \"seed\": 18446744073709551615, \"top_p\": 0.5}\n"
        "{\"prompt\": \"The fox\", \"samples\": 3, \"id\": null}\n"
        "{\"ids\": [], \"stop\": \"e\", \"logit_bias\": [[5, 1000]], \"max_new_tokens\": 1}";
    for (const char* at_once : {"1", "2", "32"}) {
        const auto [status, results] = ask(lines, how + "--at-once " + at_once);
        CHECK(status == 0);
        REQUIRE(results.size() == 5);
        const auto lone = [&](std::size_t i) { return as_text(results[i]["tokens"]); };
        CHECK(lone(0) == ids_of(seed + "--prompt 'The wolf' --max-new-tokens 30"));
        CHECK(results[0]["id"] == json{{"mine", {1}}});
        CHECK(results[0]["seed"] == 5);
        CHECK_FALSE(results[0].contains("log_probs"));
        CHECK(lone(1) == ids_of(how + "--prompt 'The king' --temperature 0"));
        CHECK(results[1]["log_probs"].size() == results[1]["tokens"].size());
        CHECK_FALSE(results[1].contains("id"));
        CHECK(lone(2) == ids_of("--max-new-tokens 9 --input-ids 350,1138 --top-p 0.5 "
                                "--seed 18446744073709551615"));
        REQUIRE(results[3]["samples"].size() == 3);
        for (std::size_t i = 0; i < 3; ++i)
            CHECK(as_text(results[3]["samples"][i]["tokens"]) ==
                  ids_of(how + "--prompt 'The fox' --sequence " + std::to_string(i)));
        CHECK(lone(4) == "5\n");
        CHECK(results[4]["finish"] == "length");
        CHECK(results[4]["prompt_tokens"] == 1);
    }
}

TEST_CASE("generate --jsonl: a wrong line gets an error, and the rest goes on", "[examples]") {
    const std::vector<std::array<std::string, 2>> wrong = {
        {"nonsense", "a JSON object"},
        {"[1]", "a JSON object"},
        {"{}", "prompt or ids"},
        {R"({"prompt": "a", "ids": [1]})", "both"},
        {R"({"prompt": 5})", "a text"},
        {R"({"ids": [4096]})", "4096"},
        {R"({"ids": ["x"]})", "a token id"},
        {R"({"prompt": "a", "top_p": 2})", "sampling.top_p"},
        {R"({"prompt": "a", "top_p": "much"})", "a number"},
        {R"({"prompt": "a", "samples": 0})", "samples"},
        {R"({"prompt": "a", "nope": 1})", "a name that is known, found \"nope\""},
        {"{\"prompt\": \"a\xff\"}", "at byte"},
        {"{\"prompt\": \"a\", \"id\": " + std::string(50000, '[') + std::string(50000, ']') + "}",
         "32 levels"},
        {R"({"prompt": "a", "suppress_tokens": [9999]})", "suppress"},
    };
    std::string lines;
    for (const auto& [line, said] : wrong)
        lines += line + "\n{\"prompt\": \"The wolf\", \"max_new_tokens\": 2}\n";
    const auto [status, results] = ask(lines, "--temperature 0");
    CHECK(status == 1);
    REQUIRE(results.size() == 2 * wrong.size());
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        const auto& [line, said] = wrong[i];
        INFO(line.substr(0, 60) << " -> " << results[2 * i].dump());
        REQUIRE(results[2 * i].contains("error"));
        CHECK(results[2 * i]["error"]["code"].is_number());
        CHECK_THAT(results[2 * i]["error"]["message"].get<std::string>(), test::mentions(said));
        CHECK(results[2 * i + 1]["tokens"].size() == 2);
    }
    const auto said = generate("--jsonl --quiet </dev/null 2>&1; echo '[]' | " GPT2_EXAMPLES_DIR
                               "/generate --jsonl --quiet 2>&1 >/dev/null",
                               "");
    CHECK(said.output == "generate: 1 of 1 requests failed\n");
}

TEST_CASE("generate --jsonl: goes on with what an interrupted run has left", "[examples]") {
    const test::scratch_folder scratch;
    const auto in = (scratch / "in").string(), out = (scratch / "out").string();
    std::string requests;
    for (int i = 0; i < 8; ++i)
        requests += "{\"prompt\": \"The wolf\", \"sequence\": " + std::to_string(i) + "}\n";
    test::write_file(in, requests);
    const std::string how = "--jsonl --seed 2 --max-new-tokens 4 --at-once 3 --output-file " + out;
    const auto run = [&](const std::string& more) {
        return generate(how + more + " < " + in, "2>&1");
    };
    CHECK(run(" --quiet").output.empty());
    const auto whole = test::read_file(out);
    REQUIRE(lines_of(whole).size() == 8);
    const auto again = run("");
    CHECK(again.status == 1);
    CHECK_THAT(again.output, test::mentions("is there already"));
    CHECK(test::read_file(out) == whole);
    for (const std::size_t left :
         {std::size_t{0}, whole.find('\n') + 1, whole.size() / 2, whole.size() - 1, whole.size()}) {
        INFO(left);
        test::write_file(out, whole.substr(0, left));
        const auto done = run(" --resume");
        CHECK(done.status == 0);
        CHECK_THAT(done.output, !test::mentions("%"));  // no terminal, no bar
        CHECK(test::read_file(out) == whole);
    }
    fs::remove(out);
    CHECK(run(" --resume").status == 0);
    CHECK(test::read_file(out) == whole);
    // A failure of the earlier run is one of the whole.
    const auto failed = json{{"index", 0}, {"error", {{"message", "x"}}}}.dump() + '\n';
    test::write_file(out, failed);
    CHECK(run(" --resume").status == 1);
    CHECK(test::read_file(out) == failed + whole.substr(whole.find('\n') + 1));
    for (const char* const other : {"notes\n", "{}\n", "{\"index\": 1}\n"}) {
        test::write_file(out, other);
        const auto refused = run(" --resume");
        CHECK(refused.status == 1);
        CHECK_THAT(refused.output, test::mentions("line 1: expected result 0 of --jsonl"));
        CHECK(test::read_file(out) == other);
    }
}

TEST_CASE("generate --jsonl: answers each line while the input stays open", "[examples]") {
    const test::scratch_folder scratch;
    const auto pipe = (scratch / "pipe").string(), out = (scratch / "out").string();
    // Each request is written once the answer to the one before it is there.
    const std::string script =
        "mkfifo " + pipe +
        "; " GPT2_EXAMPLES_DIR "/generate --jsonl --quiet --max-new-tokens 2 < " + pipe + " > " +
        out + " & exec 3> " + pipe +
        "; for i in 1 2 3; do echo '{\"prompt\": \"a\"}' >&3; n=0; "
        "while [ $(wc -l < " +
        out + ") -lt $i ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done; wc -l < " + out +
        "; done; exec 3>&-; wait";
    std::FILE* const shell = ::popen(script.c_str(), "r");
    REQUIRE(shell != nullptr);
    std::string said;
    for (int c; (c = std::fgetc(shell)) != EOF;) said += static_cast<char>(c);
    CHECK(::pclose(shell) == 0);
    CHECK(said == "1\n2\n3\n");
}

TEST_CASE("generate: the text has the form that was asked for", "[examples]") {
    const std::string how = "--prompt 'The wolf' --seed 3 --quiet --max-new-tokens 30 ";
    const auto text_of = [&](const std::string& form) {
        const auto done = generate(how + form);
        INFO(done.output);
        CHECK(done.status == 0);
        return done.output;
    };
    CHECK(text_of("--regex ' (was|had) [a-z]{3}\\.'").size() == sizeof(" was xyz.\n") - 1);
    CHECK(text_of("--choices ' yes' --choices ' yes'") == " yes\n");
    const auto person = json::parse(
        text_of("--json-schema '{\"type\":\"object\",\"properties\":{\"age\":{\"type\":\"integer\","
                "\"minimum\":0,\"maximum\":99},\"wolf\":{\"type\":\"boolean\"}},"
                "\"required\":[\"age\",\"wolf\"]}'"));
    CHECK(person["age"] <= 99);
    CHECK(person["wolf"].is_boolean());
    const auto sums = text_of("--grammar 'root ::= digit (\"+\" digit)* \"=\"\ndigit ::= [0-9]'");
    CHECK(sums.find_first_not_of("0123456789+=\n") == sums.npos);
    CHECK(text_of("--without ' and' --without e").find('e') == std::string::npos);
    const auto line =
        ask("{\"prompt\": \"A\", \"regex\": \"[0-9]{4}\"}\n{\"prompt\": \"A\", "
            "\"regex\": \"(\"}\n",
            "--seed 1 --quiet");
    CHECK(line.status == 1);
    CHECK(line.results[0]["text"].get<std::string>().size() == 4);
    CHECK(line.results[1].contains("error"));
    CHECK(generate(how + "--regex '[a'").status == 1);
    const std::string far = "--prompt 'The wolf' --quiet --ignore-end --max-new-tokens 600 ";
    CHECK(generate(far + "--past-context slide --output ids").status == 0);
}
