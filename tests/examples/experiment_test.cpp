// The experiment program from outside: what each experiment prints on the bundled model, as it was
// recorded; JSON; and how it ends.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace {

using nlohmann::json;

test::outcome experiment(const std::string& arguments) {
    return test::run_program("experiment", arguments + " --threads 2", "2>&1");
}

json result(const std::string& arguments) {
    const auto done = experiment(arguments + " --json");
    CAPTURE(arguments, done.output);
    REQUIRE(done.status == 0);
    return json::parse(done.output);
}

}  // namespace

TEST_CASE("every experiment prints what was recorded", "[examples]") {
    for (const std::string name : {"ablate", "patch", "induction", "distance", "attribute",
                                   "neighbours", "analogy", "order", "examples", "steer"}) {
        const auto done = experiment(name);
        CAPTURE(name);
        CHECK(done.status == 0);
        const auto recorded = test::source_folder() / "examples/experiment" / (name + ".txt");
        CHECK(done.output == test::read_file(recorded));
        CHECK_THAT(done.output, test::mentions("\nNotice: "));
        CHECK_FALSE(result(name).empty());
    }
}

TEST_CASE("experiments as JSON", "[examples]") {
    const auto ablated = result("ablate --text 'The wolf came' --by mean");
    CHECK(ablated["changes"].size() == 6);
    CHECK(ablated["changes"][5].size() == 4);
    const auto patched = result("patch --heads --answers she he");
    CHECK(patched["answers"][0]["text"] == " she");
    CHECK(patched["recovered"][0].size() == 4);
    CHECK(result("patch --stage mlp")["recovered"][0].size() == 6);
    const auto shares = result("attribute --token sons --against daughters");
    double sum = 0;
    for (const auto& [name, share] : shares["parts"].items()) sum += share.get<double>();
    CHECK(sum == Approx(shares["logit"].get<double>()).margin(1e-4));
    CHECK(shares["tokens"][1]["text"] == " daughters");
    CHECK(result("attribute --token sons --position 2 --from mean")["logit"] != shares["logit"]);
    CHECK(result("neighbours --word king --count 2")["king"].size() == 2);
    CHECK(result("analogy --plus queen --plus man --minus woman")[0]["text"] == " king");
    CHECK(result("order --first 'el perro persigue al gato' "
                 "--second 'el gato persigue al perro'")["depths"][0]["same_token"] == Approx(1));
    const auto asked = result("examples --example 'a|b' --ask 'c|d' --arrow ' ' --between ';'");
    CHECK(asked.size() == 2);
    const auto steered = result("steer --scale 0 --max-new-tokens 4 --pooling last --layer 0");
    CHECK(steered.size() == 1);
    CHECK(result("induction --length 5 --seed 2")["ids"].size() == 11);
}

TEST_CASE("experiments show nothing that moves a cursor", "[examples]") {
    const auto done = experiment("ablate --text \"$(printf 'a \\033[2J\\342\\200\\256 b')\"");
    CHECK(done.status == 0);
    for (const std::string name : {"patch --clean", "order --second", "attribute --text"}) {
        const auto shown = experiment(name + " \"$(printf 'The\\033\\342\\200\\256')\"").output;
        CHECK(shown.find('\033') == shown.npos);
        CHECK(shown.find("\u202e") == shown.npos);
    }
}

TEST_CASE("experiment ends with 1 or 2 and says why", "[examples]") {
    const auto ends = [](const std::string& arguments, int status, const std::string& why) {
        const auto done = experiment(arguments);
        CAPTURE(arguments, done.output);
        CHECK(done.status == status);
        CHECK_THAT(done.output, test::mentions(why));
    };
    ends("patch --clean 'The king' --corrupted 'The old king'", 1,
         "expected as many tokens as the clean one, 2, found 3");
    ends("patch --clean The --corrupted The", 1, "answers that differ");
    ends("ablate --text ''", 1, "a text with tokens");
    ends("analogy --plus xyzzy", 1, "word \"xyzzy\": expected one token");
    ends("steer --layer 6", 1, "layer: expected below 6, found 6");
    ends("induction --length 300", 1, "length: expected from 2 to 255, found 300");
    ends("attribute --position 9", 1, "position: expected below 4, found 9");
    ends("examples --example two", 1, "QUESTION|ANSWER");
    ends("neighbours --model /no/such/model", 1, "/no/such/model");
    ends("", 2, "subcommand");
    ends("dream", 2, "");
    ends("ablate --by magic", 2, "zero|mean");
    ends("patch --answers she", 2, "");
    CHECK(experiment("--help").status == 0);
    CHECK_THAT(experiment("steer --help").output, test::mentions("--toward TEXT=the sea"));
}
