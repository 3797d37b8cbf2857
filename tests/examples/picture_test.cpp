// The picture program from outside: each kind in each form, and how it ends.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <string>

namespace {

test::outcome picture(const std::string& arguments) {
    return test::run_program("picture", arguments + " --threads 2", "2>&1");
}

const std::string prompt = " --prompt 'The wolf came to the door'";

}  // namespace

TEST_CASE("picture shows every kind in a terminal", "[examples]") {
    for (const char* const kind : {"attention", "lens", "surprisal", "next"}) {
        const auto done = picture("--kind " + std::string(kind) + prompt + " --width 70");
        INFO(done.output);
        CHECK(done.status == 0);
        CHECK(done.output.find('\x1b') == done.output.npos);  // standard output is no terminal
        const auto coloured = picture("--kind " + std::string(kind) + prompt + " --colours always");
        CHECK_THAT(coloured.output, test::mentions("\x1b[38;5;"));
    }
    const auto one = picture("--layer 2 --head 1 --last 3" + prompt);
    CHECK_THAT(one.output, test::mentions("attention: layer 2, head 1 (the last 3 of 6 tokens)\n"));
    CHECK_THAT(one.output, test::mentions("\n·door  0."));
    const auto bars = picture("--layer 2 --head 1 --position 1" + prompt);
    CHECK_THAT(bars.output, test::mentions("attention: layer 2, head 1, token 1\nThe   #"));
    const auto next = picture("--kind next --count 3 --input-ids 350");
    CHECK(std::count(next.output.begin(), next.output.end(), '\n') == 4);
}

TEST_CASE("picture writes SVG and PNG files", "[examples]") {
    const test::scratch_folder folder;
    const auto file = (folder / "out").string();
    for (const char* const kind : {"attention", "lens", "surprisal", "next"}) {
        const auto base = "--kind " + std::string(kind) + prompt + " --output-file " + file;
        CHECK(picture(base + " --output svg").output == "");
        CHECK(test::read_file(file).starts_with("<svg xmlns="));
        CHECK(picture(base + " --output png --theme dark --scale 1").output == "");
        CHECK(test::read_file(file).starts_with("\x89PNG\r\n"));
    }
    const auto text = picture("--kind next --colours auto --output-file " + file + prompt);
    CHECK(text.status == 0);
    CHECK(test::read_file(file).starts_with("what may come next\n"));
}

TEST_CASE("picture ends with 1 for what is not there, with 2 for wrong usage", "[examples]") {
    CHECK(picture("--layer 6" + prompt).output ==
          "picture: attention: layer: expected below 6, "
          "found 6\n");
    CHECK(picture("--layer 6" + prompt).status == 1);
    CHECK(picture("--prompt ''").status == 1);
    CHECK(picture("--width 10" + prompt).status == 1);
    CHECK(picture("--scale 100 --output png" + prompt).status == 1);
    CHECK(picture("--output-file /no/such/folder/f" + prompt).status == 1);
    CHECK(picture("--kind none" + prompt).status == 2);
    CHECK(picture("--layer -1" + prompt).status == 2);
    CHECK(picture("--prompt a --input-ids 1").status == 2);
}
