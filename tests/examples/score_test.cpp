// The score program from outside: tables, sums, rankings, CSV, JSON, requests by the line, and how
// it ends.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

namespace {

test::outcome score(const std::string& arguments) {
    return test::run_program("score", arguments + " --threads 2", "2>&1");
}

std::vector<std::string> lines(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> list;
    for (std::string line; std::getline(stream, line);) list.push_back(line);
    return list;
}

/// A pipe with these lines as standard input, to stand before a program's arguments.
test::outcome answers(const std::string& requests, const std::string& arguments = "") {
    const test::scratch_folder folder;
    test::write_file(folder / "requests", requests);
    return score("--jsonl " + arguments + " <'" + (folder / "requests").string() + "'");
}

const std::string text = " --text 'The wolf came to the door.'";

}  // namespace

TEST_CASE("score shows every token with its surprisal", "[examples]") {
    const auto done = score(text + " --alternatives 2");
    INFO(done.output);
    CHECK(done.status == 0);
    const auto found = lines(done.output);
    REQUIRE(found.size() == 1 + 7 + 4);
    CHECK_THAT(found[1], test::mentions("0..3  \"The\"") && test::mentions("-     -"));
    CHECK_THAT(found[2], test::mentions("3..8  \" wolf\"") && test::mentions("#########"));
    CHECK_THAT(found[5], test::mentions("   1  #") && test::mentions("\" the\""));
    CHECK_THAT(found[8], test::mentions("tokens scored   6"));
    CHECK_THAT(found[10], test::mentions("perplexity      24.04"));
    CHECK_THAT(found[11], test::mentions("bits per byte   1.196"));

    const auto sums = score(text + " --perplexity");
    CHECK(lines(sums.output) == std::vector(found.begin() + 8, found.end()));
    const auto words = lines(score(text + " --words").output);
    REQUIRE(words.size() == 1 + 6 + 4);
    CHECK_THAT(words[6], test::mentions("21..26  \"door.\""));
    CHECK_THAT(score(text + " --bos").output, test::mentions("tokens scored   7"));
}

TEST_CASE("score reads options, files and standard input alike", "[examples]") {
    const test::scratch_folder folder;
    test::write_file(folder / "text", "The wolf came to the door.");
    const auto expected = score(text).output;
    CHECK(score("--file '" + (folder / "text").string() + "'").output == expected);
    CHECK(score("<'" + (folder / "text").string() + "'").output == expected);
    const auto json = nlohmann::json::parse(score(text + " --format json").output);
    std::string ids;
    for (const auto& token : json["tokens"])
        ids += (ids.empty() ? "" : ",") + std::to_string(token["token"].get<int>());
    CHECK(score("--input-ids " + ids).output == expected);
    CHECK(json["scored"] == 6);
    CHECK(json["perplexity"].get<double>() == Approx(24.04).epsilon(1e-3));
    const auto csv = lines(score(text + " --format csv").output);
    REQUIRE(csv.size() == 8);
    CHECK(csv[0] == "index,token,text,begin,end,log_prob,surprisal_bits,rank");
    CHECK_THAT(csv[2], test::mentions(",\" wolf\",3,8,-"));
    // Windows: the later tokens see less.
    const auto strided = score(text + " --perplexity --window 4 --stride 1");
    CHECK(strided.status == 0);
    CHECK(strided.output != score(text + " --perplexity").output);
}

TEST_CASE("score ranks choices", "[examples]") {
    const std::string asked = "--context 'The king had three' --choice ' sons' --choice ' doors'";
    const auto done = score(asked);
    INFO(done.output);
    CHECK(done.status == 0);
    const auto found = lines(done.output);
    REQUIRE(found.size() == 3);
    CHECK_THAT(found[1], test::mentions("\" sons\""));
    const auto json = nlohmann::json::parse(score(asked + " --format json --by pointwise").output);
    CHECK(json["by"] == "pointwise");
    CHECK(json["best"] == 0);
    CHECK(json["choices"][1]["value"].get<double>() ==
          Approx(json["choices"][1]["log_prob"].get<double>() -
                 json["choices"][1]["given_domain"].get<double>()));
}

TEST_CASE("score answers requests line by line", "[examples]") {
    const auto done = answers(
        "{\"text\": \"The wolf came to the door.\"}\n\n{\"ids\": [350, 2813]}\n"
        "{\"context\": \"The king\", \"choices\": [\" sang\", \" is\"]}\n");
    INFO(done.output);
    CHECK(done.status == 0);
    const auto found = lines(done.output);
    REQUIRE(found.size() == 3);
    CHECK(found[0] == lines(score(text + " --format json").output)[0]);
    CHECK(nlohmann::json::parse(found[1])["tokens"].size() == 2);
    CHECK(nlohmann::json::parse(found[2])["choices"].size() == 2);
    const auto sums = lines(
        answers("{\"text\": \"The wolf\"}\n{\"choices\": [\"a\"]}\n", "--bos --perplexity").output);
    REQUIRE(sums.size() == 2);
    for (const auto& one : sums) CHECK(one.find("tokens") == one.npos);
    // What was answered before a mistake stands.
    for (const std::string wrong :
         {"{\"ids\": [350, 99999]}", "{\"text\": \"\"}", "{\"text\": 1}", "{}", "{\"choices\": []}",
          "{\"context\": \"a\", \"choices\": [1]}", "["}) {
        const auto failed = answers("{\"text\": \"The wolf\"}\n" + wrong + "\n");
        CAPTURE(wrong, failed.output);
        CHECK(failed.status == 1);
        const auto output = lines(failed.output);
        REQUIRE(output.size() == 2);
        CHECK_THAT(output[1], test::mentions("score: line 2"));
        CHECK_THAT(output[0] + output[1], test::mentions("\"scored\":1"));
    }
}

TEST_CASE("score ends with 1 or 2 and says why", "[examples]") {
    const auto ends = [](const std::string& arguments, int status, const std::string& why) {
        const auto done = score(arguments);
        CAPTURE(arguments, done.output);
        CHECK(done.status == status);
        CHECK_THAT(done.output, test::mentions(why));
    };
    ends("--text ''", 1, "no tokens");
    ends("--text a --stride 0", 1, "stride: expected from 1 to the window, 512, found 0");
    ends("--text a --window 513", 1, "window");
    ends("--text a --window 4 --stride 5", 1, "stride");
    ends("--choice ' a'", 1, "choices[0]");
    ends("--context a --choice ''", 1, "choices[0]");
    ends("--context a --choice b --format csv", 1, "--format");
    ends("--text a --words --format json", 1, "--format");
    ends("--file /no/such/file", 1, "cannot be read");
    ends("--input-ids 1,99999", 1, "99999");
    ends("--text a --text b", 2, "");
    ends("--text a --choice b", 2, "");
    ends("--context a", 2, "");
    ends("--text a --by nothing", 2, "log_prob");
    ends("--text a --stride -1", 2, "whole number");
    ends("--words --perplexity --text a", 2, "");
}
