// Continues a prompt with a GPT-2: text streams on standard output as it is written; what was
// loaded, the seed and the speed go to standard error.
#include "generate/requests.hpp"
#include "model_options.hpp"
#include "writing_options.hpp"

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
    cli::writing writing;
    std::optional<std::string> draft;
    output format = output::text;
    bool quiet = false, describe = false;
    std::size_t at_once = 32;
    // Many requests, a line each.
    bool jsonl = false, log_probs = false, resume = false;
    std::optional<std::string> output_file;
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
    return model.tokenizer().encode(text, given.writing.how.prompt);
}

std::string describe(const gpt2::config& c) {
    std::ostringstream line;
    line << c.layers << " layers x " << c.width << ", " << c.heads << " heads, vocabulary "
         << c.vocabulary_size << ", context " << c.context_length << ", " << std::fixed
         << std::setprecision(1) << static_cast<double>(c.parameter_count()) / 1e6
         << " M parameters";
    return line.str();
}

/// A text that was not shown while it was written.
void print(const gpt2::completion& done, const arguments& given, std::size_t sample) {
    const bool several = given.writing.samples > 1;
    if (given.format == output::ids) {
        for (std::size_t i = 0; i < done.tokens.size(); ++i)
            std::cout << (i ? " " : "") << done.tokens[i];
    } else if (given.format == output::json) {
        auto result = cli::result_of(done);
        result["seed"] = *given.writing.seed;
        result["prompt_seconds"] = done.stats.prompt_seconds;
        result["decode_seconds"] = done.stats.decode_seconds;
        if (several) result["sample"] = sample;
        std::cout << cli::dump(result);
    } else if (several) {
        std::cout << "=== " << sample + 1 << " of " << given.writing.samples << " ===\n"
                  << done.text;
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
              << " tokens/s";
    if (s.guessed != 0)
        std::cerr << ", " << s.guessed_right << " of " << s.guessed << " guesses right, "
                  << s.passes << " passes";
    std::cerr << '\n';
}

/// The smaller model that guesses ahead, on the threads of the one it guesses for.
std::optional<gpt2::language_model> load_draft(const arguments& given,
                                               const gpt2::language_model& model) {
    if (!given.draft) return {};
    auto how = given.model.how;
    how.pool = model.parts()->pool;
    auto draft = gpt2::load(*given.draft, how);
    const auto known = model.config().vocabulary_size, found = draft.config().vocabulary_size;
    if (known != found)
        gpt2::detail::fail(gpt2::errc::invalid_argument, "--draft",
                           {"the vocabulary of the model, ", known, " tokens"}, found);
    return draft;
}

/// One prompt, one text, which is shown while it is written.
void write_one(const arguments& given, const gpt2::language_model& model,
               const gpt2::request& asked, const std::string& prompt) {
    const bool streams = given.format == output::text;
    bool begun_text = given.quiet;
    const auto done = model.generate(asked.prompt, asked.options, [&](const gpt2::piece& piece) {
        if (streams && !std::exchange(begun_text, true)) std::cerr << prompt << std::flush;
        if (streams) std::cout << piece.text << std::flush;
        return std::cout ? gpt2::flow::go_on : gpt2::flow::stop;
    });
    print(done, given, 0);
    if (!given.quiet) report(done);
}

/// One prompt, several texts side by side.
void write_several(const arguments& given, const gpt2::language_model& model,
                   const gpt2::request& asked) {
    std::vector<gpt2::outcome> ends(asked.samples);
    bool taken = false;
    model.generate([&] { return std::exchange(taken, true) ? std::nullopt : std::optional(asked); },
                   [&](std::size_t, std::size_t sample, gpt2::outcome&& end) {
                       ends[sample] = std::move(end);
                   },
                   given.at_once);
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const auto done = ends[i].take();
        print(done, given, i);
        if (!given.quiet) report(done);
    }
}

void write_rows(const arguments& given, const gpt2::language_model& model,
                const std::optional<gpt2::language_model>& draft) {
    cli::request_row::settings how{.defaults = given.writing,
                                   .at_once = given.at_once,
                                   .log_probs = given.log_probs,
                                   .progress = !given.quiet};
    std::ofstream file;
    if (given.output_file) {
        const std::filesystem::path path = *given.output_file;
        if (std::filesystem::exists(path) && !given.resume)
            gpt2::detail::fail(gpt2::errc::write_failed, gpt2::detail::printable(path.string()),
                               "is there already; --resume goes on with it");
        how.before = cli::resume(path);
        file.open(path, std::ios::binary | std::ios::app);
        if (!file)
            gpt2::detail::fail(gpt2::errc::write_failed, gpt2::detail::printable(path.string()),
                               "cannot be written");
    }
    cli::request_row(model, draft, how, given.output_file ? file : std::cout).run();
}

void generate(arguments& given) {
    cli::validate(given.writing);
    const auto begun = std::chrono::steady_clock::now();
    const auto model = given.model.load();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    const auto draft = load_draft(given, model);
    if (!given.writing.seed) given.writing.seed = std::random_device()();
    if (given.describe) {
        const auto how = cli::settled(given.writing, model, 1, draft);
        std::cout << gpt2::describe(how.sampling) << '\n';
        return;
    }
    std::string text;
    gpt2::request asked;
    if (!given.jsonl) {
        asked.prompt = prompt_ids(given, model, text);
        asked.options = cli::settled(given.writing, model, asked.prompt.size(), draft);
        asked.samples = given.writing.samples;
    }
    if (!given.quiet)
        std::cerr << "model: " << describe(model.config()) << ", loaded in " << std::fixed
                  << std::setprecision(2) << took.count() << " s\nseed: " << *given.writing.seed
                  << std::endl;
    if (given.jsonl) return write_rows(given, model, draft);
    if (asked.samples > 1) return write_several(given, model, asked);
    write_one(given, model, asked, text);
}

void declare(CLI::App& app, arguments& given) {
    app.option_defaults()->always_capture_default();
    cli::declare(app, given.model);
    auto* prompts = app.add_option_group("prompt", "What to continue; default: standard input");
    prompts->add_option("--prompt", given.prompt, "A text");
    prompts->add_option("--prompt-file", given.prompt_file, "A file, all of its bytes");
    prompts->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    auto* const jsonl = prompts->add_flag(
        "--jsonl", given.jsonl,
        "A request a line of standard input, {\"prompt\": text or \"ids\": [...], \"id\": any, and "
        "options by these names with underscores}; a result a line, in their order");
    prompts->require_option(0, 1);
    cli::declare(app, given.writing);
    app.add_option("--draft", given.draft,
                   "Folder or file of a smaller model that guesses ahead: saves time, changes "
                   "nothing")
        ->group("The text")
        ->excludes(app.get_option("--lookup"));
    auto* const format = cli::add_choice<output>(
        app, "--output", given.format,
        {{"text", output::text}, {"ids", output::ids}, {"json", output::json}}, "What to print");
    format->excludes(jsonl);
    app.add_option("--at-once", given.at_once, "How many texts are under way at most")
        ->check(cli::count());
    app.add_flag("--log-probs", given.log_probs,
                 "With --jsonl: the log-probability of each token too")
        ->needs(jsonl);
    auto* const file = app.add_option("--output-file", given.output_file,
                                      "With --jsonl: a new file for the results")
                           ->needs(jsonl);
    app.add_flag("--resume", given.resume,
                 "Go on with the file: requests that have a result there are skipped")
        ->needs(file);
    app.add_flag("--describe", given.describe,
                 "Print the filters in the order they take effect, and end")
        ->excludes(jsonl);
    app.add_flag("--quiet", given.quiet, "Nothing on standard error but errors");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Continues a prompt with a GPT-2.", "generate");
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { generate(given); });
}
