// The post_process program from outside: the text, the reports, and how it ends.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace {

test::outcome post_process(const std::string& text, const std::string& arguments) {
    const test::scratch_folder folder;
    test::write_file(folder / "text", text);
    return test::run_program("post_process", arguments + " <'" + (folder / "text").string() + "'",
                             "2>&1");
}

const std::string course = "El sensor mide 5.4cm y pesa 8gr";

}  // namespace

TEST_CASE("post_process writes the text, put right", "[examples]") {
    const auto done = post_process(course, "--language es");
    CHECK(done.status == 0);
    CHECK(done.output == "El sensor mide 5,4 centímetros y pesa 8 gramos");
    CHECK(post_process(done.output, "--read-language es --units symbols").output ==
          "El sensor mide 5.4 cm y pesa 8 g");
    CHECK(post_process("The wolf , the Wolf came . He", "--ban wolf --replacement dog").output ==
          "The dog, the dog came.");
    CHECK(post_process("a , b  c", "--steps measures,sentence").output == "a , b  c");
    CHECK(post_process("", "").output.empty());
}

TEST_CASE("post_process reports what each step changed", "[examples]") {
    const auto text = post_process(course, "--language es --report text --steps loops,measures");
    CHECK(text.output ==
          "loops: no changes\nmeasures: 2 changes\n  15..20 \"5.4cm\" -> \"5,4 centímetros\"\n"
          "  28..31 \"8gr\" -> \"8 gramos\"\nEl sensor mide 5,4 centímetros y pesa 8 gramos");
    const auto json = nlohmann::json::parse(
        post_process(course + "\xFF\x01", "--report json --steps punctuation,measures").output);
    CHECK(json["text"] == "El sensor mide 5.4 centimeters y pesa 8 grams\uFFFD\x01");
    REQUIRE(json["steps"].size() == 2);
    CHECK(json["steps"][0]["changes"].empty());
    CHECK(json["steps"][1]["step"] == "measures");
    CHECK(json["steps"][1]["before"] == json["steps"][0]["after"]);
    CHECK(json["steps"][1]["changes"][1]["begin"] == 28);
    CHECK(json["steps"][1]["changes"][1]["to"] == "8 grams");
    const auto shown = post_process("a \x1B\u202E\"  b", "--report text --steps punctuation");
    CHECK_THAT(shown.output, test::mentions("punctuation: 1 change\n"));
    CHECK_THAT(post_process("\x1B\u202E\"\n", "--report text --ban '\x1B\u202E\"'").output,
               test::mentions("\"\\x1b\\u202e\"\" -> \"\""));
}

TEST_CASE("post_process ends with 1 or 2 and says why", "[examples]") {
    const auto ends = [](const std::string& arguments, int status, const std::string& why) {
        const auto done = post_process("a", arguments);
        CAPTURE(arguments, done.output);
        CHECK(done.status == status);
        CHECK_THAT(done.output, test::mentions(why));
    };
    ends("--ban ''", 1, "ban_terms: expected a term");
    ends("--steps nothing", 2, "nothing");
    ends("--language fr", 2, "en|es");
    ends("--report xml", 2, "none|text|json");
    ends("text", 2, "");
}
