// Several ways to continue a prompt: the best texts of a beam search, of samples, of contrasts; as
// a list, as a tree, or all side by side.
#include "model_options.hpp"
#include "search/pictures.hpp"

#include <gpt2/contrast.hpp>
#include <gpt2/search.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using gpt2::hypothesis;

enum class strategy { beam, diverse, best_of, greedy, sample, contrastive, guided, contrasted };
enum class output { text, tree, json };

const cli::choices<strategy> strategies = {
    {"beam", strategy::beam},       {"diverse", strategy::diverse},
    {"best-of", strategy::best_of}, {"greedy", strategy::greedy},
    {"sample", strategy::sample},   {"contrastive", strategy::contrastive},
    {"guided", strategy::guided},   {"contrasted", strategy::contrasted}};

struct arguments {
    cli::model_options model;
    std::optional<std::string> prompt, input_ids, negative, amateur;
    strategy how = strategy::beam;
    output format = output::text;
    bool compare = false, quiet = false;
    std::size_t width = 100;
    std::optional<std::size_t> n_best;
    gpt2::beams beams{.count = 4, .groups = 2, .diversity_penalty = 1};
    gpt2::best_of samples;
    gpt2::contrastive contrastive;
    double guidance_scale = 1.5, plausibility = 0.1, amateur_weight = 1;
    float amateur_temperature = 1;
    gpt2::sampling sampling = gpt2::top_k(40, 0.8f);  // where tokens are drawn
    gpt2::options writing;
};

/// What is searched with, and on.
struct search {
    const arguments& given;
    gpt2::language_model model;
    std::optional<gpt2::language_model> amateur;
    std::vector<gpt2::token_id> prompt;
};

/// The options of texts whose tokens are drawn, and of those that take the best.
gpt2::options drawn(const arguments& given) {
    auto how = given.writing;
    how.sampling.temperature = 1;  // says nothing
    how.sampling = given.sampling | how.sampling;
    return how;
}

gpt2::options best(const arguments& given) {
    auto how = given.writing;
    how.sampling.temperature = 0;
    return how;
}

std::vector<hypothesis> as_list(gpt2::completion done) {
    hypothesis made;
    for (const float log_prob : done.log_probs) made.log_prob += static_cast<double>(log_prob);
    if (!done.tokens.empty()) made.score = made.log_prob / static_cast<double>(done.tokens.size());
    made.text = std::move(done.text);
    made.tokens = std::move(done.tokens);
    made.log_probs = std::move(done.log_probs);
    made.why = done.why;
    return {made};
}

std::vector<hypothesis> beams(const search& in, bool diverse, const gpt2::on_beam_step& callback) {
    auto how = in.given.beams;
    if (!diverse) how.groups = 1;
    how.n_best = in.given.n_best.value_or(how.count);
    return gpt2::beam_search(in.model, in.prompt, how, best(in.given), callback);
}

std::vector<hypothesis> samples(const search& in) {
    auto how = in.given.samples;
    how.n_best = in.given.n_best.value_or(how.count);
    return gpt2::sample_best(in.model, in.prompt, how, drawn(in.given));
}

std::vector<hypothesis> contrasted(const search& in) {
    if (!in.amateur)
        throw gpt2::error(gpt2::errc::invalid_argument,
                          "contrasted: expected a smaller model (--amateur), found none");
    const arguments& given = in.given;
    const gpt2::amateur against{*in.amateur, given.plausibility, given.amateur_weight,
                                given.amateur_temperature};
    return as_list(gpt2::generate_contrasted(in.model, in.prompt, against, best(given)));
}

std::vector<hypothesis> run(const search& in, strategy how,
                            const gpt2::on_beam_step& callback = {}) {
    const arguments& given = in.given;
    switch (how) {
        case strategy::beam:
        case strategy::diverse:
            return beams(in, how == strategy::diverse, callback);
        case strategy::best_of:
            return samples(in);
        case strategy::greedy:
            return as_list(in.model.generate(in.prompt, best(given)));
        case strategy::sample:
            return as_list(in.model.generate(in.prompt, drawn(given)));
        case strategy::contrastive:
            return as_list(
                gpt2::contrastive_search(in.model, in.prompt, given.contrastive, best(given)));
        case strategy::guided: {
            gpt2::guidance guidance{.scale = given.guidance_scale};
            if (given.negative) guidance.negative = gpt2::prompt(std::string_view(*given.negative));
            return as_list(gpt2::generate_guided(in.model, in.prompt, guidance, best(given)));
        }
        case strategy::contrasted:
            return contrasted(in);
    }
    return {};
}

std::string name_of(strategy how) {
    for (const auto& [word, value] : strategies)
        if (value == how) return word;
    return {};
}

std::string decimals(double value) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(3) << value;
    return text.str();
}

nlohmann::json as_json(const hypothesis& one) {
    return {{"text", one.text},         {"tokens", one.tokens}, {"log_probs", one.log_probs},
            {"log_prob", one.log_prob}, {"score", one.score},   {"finish", gpt2::name(one.why)}};
}

/// What stands for a hypothesis: its text, or its ids without a tokenizer.
std::string shown(const hypothesis& one, const search& in) {
    if (in.model.has_tokenizer()) return one.text;
    std::string text;
    for (const auto id : one.tokens) text += std::to_string(id) + " ";
    return text;
}

void print(const std::vector<hypothesis>& found, const search& in) {
    for (std::size_t i = 0; i < found.size(); ++i) {
        std::cout << '#' << i + 1 << "  score " << decimals(found[i].score) << "  log-probability "
                  << decimals(found[i].log_prob) << "  " << found[i].tokens.size() << " tokens  ["
                  << gpt2::name(found[i].why) << "]\n";
        for (const auto& line : pictures::wrapped(shown(found[i], in), in.given.width))
            std::cout << "    " << line << '\n';
    }
}

/// One strategy.
void run_one(const search& in) {
    const arguments& given = in.given;
    pictures::tree tree;
    const bool draws = given.format == output::tree;
    const auto found = run(in, given.how, [&](const gpt2::beam_step& step) {
        if (draws) tree.add(step);
        return gpt2::flow::go_on;
    });
    if (given.format == output::json) {
        nlohmann::json result = {{"strategy", name_of(given.how)},
                                 {"prompt_tokens", in.prompt.size()},
                                 {"hypotheses", nlohmann::json::array()}};
        for (const auto& one : found) result["hypotheses"].push_back(as_json(one));
        std::cout << result.dump() << '\n';
        return;
    }
    if (draws) tree.print(in.model.has_tokenizer() ? &in.model.tokenizer() : nullptr);
    if (draws) std::cout << '\n';
    print(found, in);
}

/// The best text of every strategy that has what it needs, side by side.
void compare(const search& in) {
    using clock = std::chrono::steady_clock;
    std::vector<pictures::column> columns;
    auto results = nlohmann::json::array();
    for (const auto& [word, how] : strategies) {
        if (how == strategy::guided && !in.given.negative) continue;
        if (how == strategy::contrasted && !in.amateur) continue;
        const auto begun = clock::now();
        const auto found = run(in, how);
        const std::chrono::duration<double> took = clock::now() - begun;
        const hypothesis& one = found.at(0);
        const auto count = static_cast<double>(std::max<std::size_t>(one.tokens.size(), 1));
        columns.push_back(
            {{word, decimals(one.log_prob / count) + " per token",
              std::to_string(one.tokens.size()) + " tokens, " + decimals(took.count()) + " s"},
             shown(one, in)});
        auto row = as_json(one);
        row["strategy"] = word;
        row["seconds"] = took.count();
        results.push_back(std::move(row));
    }
    if (in.given.format == output::json)
        std::cout
            << nlohmann::json{{"prompt_tokens", in.prompt.size()}, {"results", results}}.dump()
            << '\n';
    else
        pictures::print(columns, in.given.width);
}

void searched(arguments& given) {
    if (given.format == output::tree && given.how != strategy::beam &&
        given.how != strategy::diverse)
        throw gpt2::error(
            gpt2::errc::invalid_argument,
            "--output tree: expected --strategy beam or diverse, found " + name_of(given.how));
    gpt2::validate(given.sampling | given.writing.sampling);
    search in{given, given.model.load(), {}, {}};
    if (given.amateur) in.amateur = gpt2::load(*given.amateur, given.model.how);
    if (given.input_ids)
        in.prompt = cli::ids(*given.input_ids);
    else
        in.prompt =
            in.model.tokenizer().encode(given.prompt ? *given.prompt : cli::standard_input());
    if (!given.quiet)
        std::cerr << "prompt: " << in.prompt.size() << " tokens, seed: " << given.writing.seed
                  << std::endl;
    given.compare ? compare(in) : run_one(in);
}

void declare_writing(CLI::App& app, arguments& given) {
    auto& writing = given.writing;
    app.add_option("--max-new-tokens", writing.max_new_tokens, "How many tokens to write")
        ->check(cli::count());
    app.add_option("--stop", writing.stop, "Text that ends a text; may be repeated")
        ->allow_extra_args(false)
        ->default_str("");
    app.add_flag_callback(
        "--ignore-end", [&] { writing.at_end_of_text = gpt2::end_rule::go_on; },
        "End of text is a token like any other");
    app.add_option("--repetition-penalty", writing.sampling.repetition_penalty,
                   "Above 1: tokens that were there become less likely");
    app.add_option("--no-repeat-ngram", writing.sampling.no_repeat_ngram,
                   "No N tokens in a row come twice; 0: off")
        ->check(cli::count());
    app.add_option("--min-new-tokens", writing.sampling.min_new_tokens,
                   "No end of text before so many")
        ->check(cli::count());
    app.add_option("--temperature", given.sampling.temperature, "Of sample and best-of");
    app.add_option("--top-k", given.sampling.top_k, "Of sample and best-of; 0: all")
        ->check(cli::count());
    app.add_option("--top-p", given.sampling.top_p, "Of sample and best-of; 1: all");
    app.add_option("--seed", writing.seed, "Same seed, same samples")->check(cli::count());
}

void declare_beams(CLI::App& app, arguments& given) {
    using gpt2::early_stopping;
    app.add_option("--beams", given.beams.count, "Texts that are followed at once")
        ->check(cli::count());
    app.add_option("--n-best", given.n_best, "Texts to print; default: all that were found")
        ->check(cli::count());
    app.add_option("--length-penalty", given.beams.length_penalty,
                   "Score: log-probability / tokens ^ this; above 0 favours long texts");
    cli::add_choice<early_stopping>(app, "--early-stopping", given.beams.early,
                                    {{"no", early_stopping::no},
                                     {"yes", early_stopping::yes},
                                     {"never", early_stopping::never}},
                                    "When beams that could go on are given up");
    app.add_option("--groups", given.beams.groups, "Of diverse: groups of beams, a divisor")
        ->check(cli::count());
    app.add_option("--diversity-penalty", given.beams.diversity_penalty,
                   "Of diverse: what a token loses for each other group that takes it");
    app.add_option("--samples", given.samples.count, "Of best-of: texts to draw")
        ->check(cli::count());
    cli::add_choice<gpt2::best_by>(app, "--rank", given.samples.by,
                                   {{"mean", gpt2::best_by::mean}, {"sum", gpt2::best_by::sum}},
                                   "Of best-of: log-probability per token, or in all");
}

void declare_contrasts(CLI::App& app, arguments& given) {
    app.add_option("--penalty-alpha", given.contrastive.penalty,
                   "Of contrastive: how much a token should differ from those before");
    app.add_option("--candidates", given.contrastive.top_k, "Of contrastive: tokens to choose from")
        ->check(cli::count());
    app.add_option("--negative", given.negative,
                   "Of guided: a prompt to steer away from; default: the prompt's last token");
    app.add_option("--guidance-scale", given.guidance_scale, "Of guided: how far; 1: not at all");
    app.add_option("--amateur", given.amateur, "Of contrasted: a smaller model");
    app.add_option("--plausibility", given.plausibility,
                   "Of contrasted: least share of the best token's probability");
    app.add_option("--amateur-weight", given.amateur_weight, "Of contrasted: how much it counts");
    app.add_option("--amateur-temperature", given.amateur_temperature, "Of contrasted");
}

void declare(CLI::App& app, arguments& given) {
    app.option_defaults()->always_capture_default();
    cli::declare(app, given.model);
    auto* prompts = app.add_option_group("prompt", "What to continue; default: standard input");
    prompts->add_option("--prompt", given.prompt, "A text");
    prompts->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    prompts->require_option(0, 1);
    cli::add_choice<strategy>(app, "--strategy", given.how, strategies, "How to search");
    app.add_flag("--compare", given.compare,
                 "The best text of every strategy, side by side (guided with --negative, "
                 "contrasted with --amateur)");
    cli::add_choice<output>(
        app, "--output", given.format,
        {{"text", output::text}, {"tree", output::tree}, {"json", output::json}},
        "What to print; tree: how the beams branched, too");
    app.add_flag_callback(
        "--json", [&] { given.format = output::json; }, "The same as --output json");
    app.add_option("--width", given.width, "Characters in a line of text")->check(cli::count());
    app.add_flag("--quiet", given.quiet, "Nothing on standard error but errors");
    declare_writing(app, given);
    declare_beams(app, given);
    declare_contrasts(app, given);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Several continuations of a prompt, the best first.", "search");
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { searched(given); });
}
