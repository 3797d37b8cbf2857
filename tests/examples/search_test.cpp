// The search program from outside: lists, trees, columns, and how it ends.
#include "../support/catch.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <string>

namespace {

using nlohmann::json;

test::outcome search(const std::string& arguments, const std::string& errors = "2>&1") {
    return test::run_program("search", "--threads 2 --quiet " + arguments, errors);
}

const std::string prompt = "--prompt 'The wolf' --max-new-tokens 12 ";

}  // namespace

TEST_CASE("search prints what it found, the best first", "[examples]") {
    const auto done = search(prompt + "--beams 3 --json");
    INFO(done.output);
    REQUIRE(done.status == 0);
    const auto found = json::parse(done.output);
    CHECK(found["strategy"] == "beam");
    const auto& list = found["hypotheses"];
    REQUIRE(list.size() == 3);
    for (std::size_t i = 0; i < list.size(); ++i) {
        CHECK(list[i]["tokens"].size() <= 12);
        CHECK(list[i]["log_probs"].size() == list[i]["tokens"].size());
        if (i > 0) CHECK(list[i]["score"] <= list[i - 1]["score"]);
    }
    // The same as a list for people.
    const auto shown = search(prompt + "--beams 3 --n-best 2 --width 200");
    CHECK(shown.status == 0);
    const std::string best = list[0]["text"];
    CHECK_THAT(shown.output, test::mentions("#1  score "));
    CHECK_THAT(shown.output, test::mentions("#2  score "));
    CHECK(shown.output.find("#3") == shown.output.npos);
    CHECK_THAT(shown.output, test::mentions(best.substr(1, best.find('\n') - 1)));
}

TEST_CASE("search draws the tree of its beams", "[examples]") {
    const auto done = search(prompt + "--beams 3 --output tree");
    INFO(done.output);
    CHECK(done.status == 0);
    CHECK_THAT(done.output, test::mentions("├ "));
    CHECK_THAT(done.output, test::mentions("└ "));
    CHECK_THAT(done.output, test::mentions(" [length]"));
    CHECK_THAT(done.output, test::mentions(" ×"));
    const auto refused = search(prompt + "--output tree --strategy greedy");
    CHECK(refused.status == 1);
    CHECK_THAT(refused.output, test::mentions("expected --strategy beam or diverse"));
}

TEST_CASE("every strategy of search runs, and compare runs them all", "[examples]") {
    const std::string extra =
        "--negative 'The king' --amateur " GPT2_BUNDLED_MODEL " --seed 3 --samples 3 ";
    std::set<std::string> names, texts;
    for (const char* name : {"beam", "diverse", "best-of", "greedy", "sample", "contrastive",
                             "guided", "contrasted"}) {
        const auto done = search(prompt + extra + "--json --strategy " + name);
        INFO(done.output);
        REQUIRE(done.status == 0);
        const auto found = json::parse(done.output);
        CHECK(found["strategy"] == name);
        CHECK(!found["hypotheses"][0]["text"].get<std::string>().empty());
        names.insert(name);
        texts.insert(found["hypotheses"][0]["text"]);
    }
    CHECK(texts.size() >= 6);  // each has a voice of its own
    const auto all = json::parse(search(prompt + extra + "--json --compare").output);
    CHECK(all["results"].size() == names.size());
    for (const auto& one : all["results"]) CHECK(names.count(one["strategy"]) == 1);

    const auto columns = search(prompt + "--compare --width 60");
    INFO(columns.output);
    CHECK(columns.status == 0);
    CHECK_THAT(columns.output, test::mentions("beam"));
    CHECK_THAT(columns.output, test::mentions("contrastive"));
    CHECK(columns.output.find("guided") == columns.output.npos);
    // Two columns stand beside each other: their heads share a line.
    CHECK(columns.output.substr(0, columns.output.find('\n')).find("diverse") !=
          columns.output.npos);
}

TEST_CASE("search continues ids, and standard input", "[examples]") {
    const auto ids = search("--input-ids 5,6,7 --max-new-tokens 3 --json");
    REQUIRE(ids.status == 0);
    CHECK(json::parse(ids.output)["prompt_tokens"] == 3);
    const auto piped = search("--max-new-tokens 8 --json <<'END'\nOnce upon a time\nEND\n#");
    CHECK(piped.status == 0);
}

TEST_CASE("search names what is wrong", "[examples]") {
    const auto one = search(prompt + "--beams 4 --n-best 5");
    CHECK(one.status == 1);
    CHECK(one.output == "search: beams.n_best: expected 1 to count = 4, found 5\n");
    const auto two = search(prompt + "--strategy contrasted");
    CHECK(two.status == 1);
    CHECK_THAT(two.output, test::mentions("--amateur"));
    const auto three = search(prompt + "--strategy contrastive --penalty-alpha 2");
    CHECK(three.status == 1);
    CHECK_THAT(three.output, test::mentions("contrastive.penalty: expected"));
    CHECK(search("--strategy dream").status == 2);
    CHECK(search("--beams -1").status == 2);
    CHECK(search("--prompt a --input-ids 1").status == 2);
    const auto help = search("--help");
    CHECK(help.status == 0);
    CHECK_THAT(help.output, test::mentions("--diversity-penalty FLOAT=1"));
}
