// Continues a prompt with a GPT-2: text streams on standard output as it is written; what was
// loaded, the seed and the speed go to standard error.
#include "model_options.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <random>
#include <sstream>
#include <utility>

namespace {

enum class output { text, ids, json };

struct arguments {
    cli::model_options model;
    std::optional<std::string> prompt, prompt_file, input_ids;
    gpt2::sampling sampling = gpt2::top_k(40, 0.8f);
    std::optional<std::uint64_t> seed;
    gpt2::options how;
    output format = output::text;
    bool quiet = false;
};

std::string read(const std::string& path) {
    if (std::filesystem::is_directory(path))
        gpt2::detail::fail(gpt2::errc::not_regular_file, gpt2::detail::printable(path),
                           "is a folder");
    std::ifstream file(path, std::ios::binary);
    if (!file)
        gpt2::detail::fail(gpt2::errc::not_found, gpt2::detail::printable(path),
                           "cannot be opened");
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The ids to continue, and the text they stand for where it is known.
std::vector<gpt2::token_id> prompt_ids(const arguments& given, const gpt2::language_model& model,
                                       std::string& text) {
    if (given.input_ids) {
        const auto ids = cli::ids(*given.input_ids);
        if (model.has_tokenizer()) text = model.tokenizer().decode(ids);
        return ids;
    }
    text = given.prompt        ? *given.prompt
           : given.prompt_file ? read(*given.prompt_file)
                               : cli::standard_input();
    return model.tokenizer().encode(text, given.how.prompt);
}

std::string describe(const gpt2::config& c) {
    std::ostringstream line;
    line << c.layers << " layers x " << c.width << ", " << c.heads << " heads, vocabulary "
         << c.vocabulary_size << ", context " << c.context_length << ", " << std::fixed
         << std::setprecision(1) << static_cast<double>(c.parameter_count()) / 1e6
         << " M parameters";
    return line.str();
}

void print(const gpt2::completion& done, const arguments& given) {
    if (given.format == output::ids) {
        for (std::size_t i = 0; i < done.tokens.size(); ++i)
            std::cout << (i ? " " : "") << done.tokens[i];
    } else if (given.format == output::json) {
        const nlohmann::json result = {{"text", done.text},
                                       {"tokens", done.tokens},
                                       {"log_probs", done.log_probs},
                                       {"finish", gpt2::name(done.why)},
                                       {"seed", given.how.seed},
                                       {"prompt_tokens", done.stats.prompt_tokens},
                                       {"prompt_seconds", done.stats.prompt_seconds},
                                       {"decode_seconds", done.stats.decode_seconds}};
        std::cout << result.dump();
    }
    std::cout << '\n';
}

void report(const gpt2::completion& done) {
    const auto& s = done.stats;
    // The first new token comes from the prompt's own pass; each of the others took a step.
    const auto steps = s.new_tokens > 0 ? s.new_tokens - 1 : 0;
    std::cerr << "\n[" << gpt2::name(done.why) << "] " << s.prompt_tokens << " prompt tokens in "
              << std::fixed << std::setprecision(2) << s.prompt_seconds << " s, " << s.new_tokens
              << " new tokens, " << std::setprecision(1)
              << (s.decode_seconds > 0 ? static_cast<double>(steps) / s.decode_seconds : 0.0)
              << " tokens/s\n";
}

void generate(arguments& given) {
    gpt2::validate(given.sampling);
    const auto begun = std::chrono::steady_clock::now();
    const auto model = given.model.load();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::string text;
    const auto ids = prompt_ids(given, model, text);
    given.how.seed = given.seed ? *given.seed : std::random_device()();
    given.how.sampling = given.sampling;
    if (!given.quiet)
        std::cerr << "model: " << describe(model.config()) << ", loaded in " << std::fixed
                  << std::setprecision(2) << took.count() << " s\nseed: " << given.how.seed
                  << std::endl;
    const bool streams = given.format == output::text;
    bool begun_text = given.quiet;
    const auto done = model.generate(ids, given.how, [&](const gpt2::piece& piece) {
        if (streams && !std::exchange(begun_text, true)) std::cerr << text << std::flush;
        if (streams) std::cout << piece.text << std::flush;
        return std::cout ? gpt2::flow::go_on : gpt2::flow::stop;
    });
    print(done, given);
    if (!given.quiet) report(done);
}

void declare(CLI::App& app, arguments& given) {
    app.option_defaults()->always_capture_default();
    cli::declare(app, given.model);
    auto* prompts = app.add_option_group("prompt", "What to continue; default: standard input");
    prompts->add_option("--prompt", given.prompt, "A text");
    prompts->add_option("--prompt-file", given.prompt_file, "A file, all of its bytes");
    prompts->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    prompts->require_option(0, 1);
    app.add_option("--max-new-tokens", given.how.max_new_tokens, "How many tokens to write")
        ->check(cli::count());
    app.add_option("--temperature", given.sampling.temperature,
                   "Below 1 sharper, above 1 wilder; 0 takes the likeliest token (greedy)");
    app.add_option("--top-k", given.sampling.top_k, "Only the K likeliest tokens; 0: all")
        ->check(cli::count());
    app.add_option("--top-p", given.sampling.top_p,
                   "Only the likeliest tokens that make up P; 1: all");
    app.add_option("--seed", given.seed, "Same seed, same text; default: a random one, reported")
        ->check(cli::count());
    cli::add_choice<output>(app, "--output", given.format,
                            {{"text", output::text}, {"ids", output::ids}, {"json", output::json}},
                            "What to print");
    app.add_option("--stop", given.how.stop, "Text that ends the generation; may be repeated")
        ->allow_extra_args(false)
        ->default_str("");
    app.add_flag_callback(
        "--ignore-end", [&] { given.how.at_end_of_text = gpt2::end_rule::go_on; },
        "End of text is a token like any other");
    app.add_flag_callback(
        "--specials", [&] { given.how.prompt = gpt2::specials::as_tokens; },
        "Special tokens written in the prompt, such as <|endoftext|>, are tokens");
    app.add_flag("--quiet", given.quiet, "Nothing on standard error but errors");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Continues a prompt with a GPT-2.", "generate");
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { generate(given); });
}
