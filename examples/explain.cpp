// A text on its way through a model to the next words: every stage with its numbers, as an account
// to read, as JSON, or as a page to look at.
#include "explain/account.hpp"
#include "model_options.hpp"
#include "post_process_options.hpp"

#include <gpt2/detail/visible_text.hpp>
#include <gpt2/explain.hpp>
#include <gpt2/npz.hpp>
#include <gpt2/walk_json.hpp>
#include <gpt2/walk_page.hpp>

#include <algorithm>
#include <cstddef>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

enum class output { text, json, html };

struct arguments {
    cli::model_options model;
    std::optional<std::string> prompt, prompt_file, input_ids;
    gpt2::walk_options how;
    float temperature = 0;
    std::size_t top_k = 0;
    double top_p = 1;
    std::vector<std::string> post, ban;
    output format = output::text;
    std::string output_file, record;
    explain::language language = explain::language::english;

    gpt2::walk_options options() const {
        auto all = how;
        all.sampling = gpt2::temperature(temperature) | gpt2::top_k(top_k, temperature) |
                       gpt2::top_p(top_p, temperature);
        cli::post_process_options steps;
        steps.names = post;
        if (!ban.empty() && std::ranges::find(post, "ban") == post.end())
            steps.names.insert(steps.names.begin(), "ban");
        steps.banned = ban;
        if (language == explain::language::spanish) steps.measures.to = gpt2::language::spanish;
        all.post = steps.steps();
        return all;
    }
};

/// What a page is called: the prompt, if it is short.
std::string title_of(const gpt2::walk& of) {
    const auto shown = gpt2::detail::visible(of.normalised);
    return shown.empty() ? gpt2::detail::visible(of.model_name) : gpt2::detail::fitted(shown, 60);
}

std::string formatted(const gpt2::walk& of, const arguments& given) {
    switch (given.format) {
        case output::text:
            return explain::account(of, given.language);
        case output::json:
            return gpt2::walk_json(of) + "\n";
        case output::html:
            break;
    }
    const bool spanish = given.language == explain::language::spanish;
    return gpt2::page_of(
        gpt2::walk_json(of),
        {spanish ? gpt2::page_language::spanish : gpt2::page_language::english, title_of(of)});
}

/// Every number of a pass over the whole text, for NumPy.
void record(const gpt2::language_model& model, std::span<const gpt2::token_id> ids,
            const std::string& file) {
    gpt2::recording seen;
    auto state = model.state();
    const auto vocabulary = model.config().vocabulary_size;
    gpt2::buffer<float> logits(ids.size() * vocabulary);
    model.model().forward(ids, state, {logits.data(), ids.size(), vocabulary}, seen);
    gpt2::save_npz(seen, file, gpt2::existing::replace);
}

void run(const arguments& given) {
    const auto model = given.model.load();
    const auto how = given.options();
    const auto ids = given.input_ids ? cli::ids(*given.input_ids) : std::vector<gpt2::token_id>();
    const auto text = given.input_ids     ? std::string()
                      : given.prompt      ? *given.prompt
                      : given.prompt_file ? cli::whole_file(*given.prompt_file)
                                          : cli::standard_input();
    const auto seen =
        given.input_ids ? gpt2::explain(model, ids, how) : gpt2::explain(model, text, how);
    if (!given.record.empty())
        record(model, given.input_ids ? ids : model.tokenizer().encode(text), given.record);
    cli::put_out(given.output_file, formatted(seen, given));
}

void declare(CLI::App& app, arguments& given) {
    cli::declare(app, given.model);
    auto* input = app.add_option_group("input", "The text; default: standard input");
    input->add_option("--prompt", given.prompt, "A text");
    input->add_option("--prompt-file", given.prompt_file, "A file with the text");
    input->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    input->require_option(0, 1);
    app.add_option("--max-new-tokens", given.how.new_tokens, "How many tokens to write")
        ->check(cli::count());
    app.add_option("--temperature", given.temperature, "0: always the likeliest token");
    app.add_option("--top-k", given.top_k, "Draw among the k likeliest; 0: all")
        ->check(cli::count());
    app.add_option("--top-p", given.top_p, "Draw among those that make up this probability");
    app.add_option("--seed", given.how.seed, "The same seed draws the same tokens")
        ->check(cli::count());
    app.add_option("--window", given.how.window, "How many of the last positions to show")
        ->check(cli::count());
    app.add_option("--post", given.post,
                   "What is done to the text in the end, divided by commas: repeats, loops, "
                   "punctuation, measures, sentence")
        ->delimiter(',')
        ->check(CLI::IsMember(cli::post_process_options().names));
    app.add_option("--ban", given.ban, "A term that must not stay; may be given several times");
    cli::add_choice<output>(
        app, "--output", given.format,
        {{"text", output::text}, {"json", output::json}, {"html", output::html}},
        "An account to read, data (explain/walk.schema.json), or a page that needs no network");
    app.add_option("--output-file", given.output_file, "Where it goes; default: standard output");
    app.add_option("--record", given.record,
                   "Write every stage of a pass over the prompt to this .npz file too");
    using explain::language;
    cli::add_choice<language>(app, "--language", given.language,
                              {{"en", language::english}, {"es", language::spanish}},
                              "Language of the account and in which a page opens");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Explains how a model continues a text, stage by stage.", "explain");
    app.option_defaults()->always_capture_default();
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { run(given); });
}
