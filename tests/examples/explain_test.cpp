// The explain program from outside: an account, JSON, a page, the account on record, and how it
// ends.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <string>

namespace {

using nlohmann::json;

test::outcome explain(const std::string& arguments) {
    return test::run_program("explain", "--threads 2 " + arguments, "2>&1");
}

const std::string prompt = "--prompt 'Once upon a time there was a king' ";

}  // namespace

TEST_CASE("explain tells what its account on record tells", "[examples]") {
    const auto folder = test::source_folder() / "examples/explain";
    CHECK(explain(prompt).output == test::read_file(folder / "account.en.txt"));
    CHECK(explain(prompt + "--language es").output == test::read_file(folder / "account.es.txt"));
}

TEST_CASE("explain writes JSON and a page of one walk", "[examples]") {
    const auto done = explain(prompt + "--output json --max-new-tokens 2");
    REQUIRE(done.status == 0);
    const auto walk = json::parse(done.output);
    CHECK(walk["schema"] == "gpt2-walk/1");
    CHECK(walk["steps"].size() == 2);
    const auto page = explain(prompt + "--output html --max-new-tokens 2 --language es");
    CHECK(page.status == 0);
    CHECK_THAT(page.output, test::mentions("<!doctype html>") && test::mentions("lang=\"es\"") &&
                                test::mentions("\"schema\":\"gpt2-walk/1\""));
    const test::scratch_folder folder;
    const auto file = (folder / "page.html").string();
    CHECK(explain(prompt + "--output html --max-new-tokens 2 --language es --output-file '" + file +
                  "'")
              .output.empty());
    CHECK(test::read_file(file) == page.output);
}

TEST_CASE("nothing in a text ends the script of its page", "[examples]") {
    const test::scratch_folder folder;
    test::write_file(folder / "text", "</script><script>alert(1)</script><!-- \xFF\x1b[2J");
    const auto page = explain("--output html --max-new-tokens 1 --prompt-file '" +
                              (folder / "text").string() + "'");
    REQUIRE(page.status == 0);
    CHECK(page.output.find("alert(1)<") == page.output.npos);
    CHECK(page.output.find('\x1b') == page.output.npos);
    const auto count = [&](const std::string& mark) {
        std::size_t found = 0;
        for (auto at = page.output.find(mark); at != page.output.npos;
             at = page.output.find(mark, at + 1))
            ++found;
        return found;
    };
    const auto plain = explain("--output html --max-new-tokens 1 --prompt a");
    std::size_t ends = 0;
    for (auto at = plain.output.find("</script>"); at != plain.output.npos;
         at = plain.output.find("</script>", at + 1))
        ++ends;
    CHECK(count("</script>") == ends);
}

TEST_CASE("explain takes texts, files, ids and standard input alike", "[examples]") {
    const test::scratch_folder folder;
    test::write_file(folder / "text", "The wolf");
    const auto file = (folder / "text").string();
    const auto expected = explain("--prompt 'The wolf'");
    CHECK(expected.status == 0);
    CHECK(explain("--prompt-file '" + file + "'").output == expected.output);
    CHECK(explain("<'" + file + "'").output == expected.output);
    CHECK_THAT(explain("--input-ids 350,1138").output, test::mentions("Ids were given"));
    const auto drawn = explain("--prompt 'The wolf' --temperature 0.8 --top-k 5 --seed 3");
    CHECK_THAT(drawn.output, test::mentions("temperature 0.8, top-k 5") &&
                                 test::mentions("top-k 5 removes 4091:"));
    const auto measured = explain(
        "--prompt 'mide 5.4cm' --max-new-tokens 0 --language es --post measures --ban lobo");
    CHECK_THAT(measured.output, test::mentions("\"5.4cm\" → \"5,4 centímetros\""));
}

TEST_CASE("explain says what is wrong", "[examples]") {
    CHECK(explain("--prompt a --window 0").status == 1);
    CHECK(explain("--prompt a --temperature -1").status == 1);
    CHECK_THAT(explain("--prompt a --top-p 2").output, test::mentions("sampling.top_p"));
    CHECK(explain("--input-ids 99999").status == 1);
    CHECK(explain("--prompt a --input-ids 1").status == 2);
    CHECK(explain("--prompt a --output pdf").status == 2);
    CHECK(explain("--prompt a --post nothing").status == 2);
    CHECK(explain("--prompt a --output-file /nowhere/at/all").status == 1);
    CHECK(explain("--prompt-file /nowhere/at/all").status == 1);
    CHECK(explain("--help").status == 0);
}
