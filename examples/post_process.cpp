// What is done to a text after a model wrote it: reads standard input, runs the steps one after
// another, and writes the text, or what each step changed. No model is needed.
#include "cli.hpp"
#include "post_process_options.hpp"

#include <gpt2/post_process_report.hpp>

#include <iostream>

namespace {

enum class report { none, text, json };

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Puts a text from standard input right in steps: banned terms, repeated sentences, loops,\n"
        "punctuation, measures, the last whole sentence. --report says what each step changed.",
        "post_process");
    app.option_defaults()->always_capture_default();
    cli::post_process_options given;
    cli::declare(app, given);
    report wanted = report::none;
    cli::add_choice<report>(
        app, "--report", wanted,
        {{"none", report::none}, {"text", report::text}, {"json", report::json}},
        "none: the text alone; text: the changes, then the text; json: one object");
    return cli::run(app, argc, argv, [&] {
        const auto done = gpt2::post_process(cli::standard_input(), given.steps());
        if (wanted == report::text) std::cout << gpt2::to_text(done);
        std::cout << (wanted == report::json ? gpt2::to_json(done) + '\n' : done.text);
    });
}
