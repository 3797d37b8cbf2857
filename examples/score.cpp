// How likely a model finds a text: token by token, as one figure, or against other texts.
#include "model_options.hpp"

#include <gpt2/detail/json.hpp>
#include <gpt2/score_report.hpp>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

enum class output { text, json, csv };

struct arguments {
    cli::model_options model;
    std::optional<std::string> text, file, input_ids;
    std::string context;
    std::vector<std::string> choices;
    gpt2::ranking_rule by = gpt2::ranking_rule::log_prob;
    std::string domain;
    output format = output::text;
    std::size_t alternatives = 0, window = 0;
    std::optional<std::size_t> stride;
    bool perplexity = false, words = false, jsonl = false, bos = false, specials = false,
         cut_front = false;

    gpt2::score_options scoring() const {
        gpt2::score_options how;
        how.alternatives = alternatives;
        how.before = opening();
        how.window = window;
        how.stride = stride;
        how.text = mode();
        return how;
    }
    gpt2::score_detail detail() const {
        return perplexity ? gpt2::score_detail::sums : gpt2::score_detail::tokens;
    }
    gpt2::ranking_options ranking() const {
        gpt2::ranking_options how;
        how.by = by;
        how.domain = domain;
        how.before = opening();
        how.too_long = cut_front ? gpt2::overlong::cut_front : gpt2::overlong::refuse;
        how.alternatives = alternatives;
        how.text = mode();
        return how;
    }

private:
    gpt2::opening opening() const {
        return bos ? gpt2::opening::begin_of_text : gpt2::opening::nothing;
    }
    gpt2::specials mode() const {
        return specials ? gpt2::specials::as_tokens : gpt2::specials::as_text;
    }
};

std::string fixed(double value, int digits) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(digits) << value;
    return text.str();
}

/// A token as a person reads it.
std::string shown(const gpt2::language_model& model, gpt2::token_id id) {
    if (!model.has_tokenizer()) return "";
    return gpt2::detail::printable(model.tokenizer().bytes(id), 24);
}

void print_sum(const gpt2::text_score& score) {
    std::cout << "tokens scored   " << score.scored() << "\nlog-probability "
              << fixed(score.log_prob(), 4) << "\n";
    if (score.scored() == 0) return;
    std::cout << "perplexity      " << fixed(score.perplexity(), 4) << "\n";
    if (score.tokens.back().bytes.end > 0)
        std::cout << "bits per byte   " << fixed(score.bits_per_byte(), 4) << "\n";
}

/// A line for each token: its bytes, its surprisal as a number and a bar, its rank, alternatives.
void print_tokens(const gpt2::language_model& model, const gpt2::text_score& score) {
    std::cout << "     bytes  token                       bits  rank\n";
    for (const auto& one : score.tokens) {
        std::cout << std::setw(10)
                  << std::to_string(one.bytes.begin) + ".." + std::to_string(one.bytes.end) << "  "
                  << std::left << std::setw(22) << shown(model, one.token) << std::right;
        if (one.rank == 0) {
            std::cout << std::setw(10) << "-" << std::setw(6) << "-"
                      << "\n";
            continue;
        }
        const auto bits = gpt2::surprisal(one.log_prob);
        const auto bar = static_cast<std::size_t>(std::clamp(bits, 0.0, 24.0));
        std::cout << std::setw(10) << fixed(bits, 2) << std::setw(6) << one.rank << "  "
                  << std::string(bar, '#');
        for (const auto& other : one.alternatives)
            std::cout << "  " << shown(model, other.token) << " "
                      << fixed(gpt2::surprisal(other.log_prob), 2);
        std::cout << "\n";
    }
}

void print_words(const gpt2::text_score& score, std::string_view text) {
    std::cout << "     bytes  word                        bits\n";
    for (const auto& one : gpt2::words(score, text))
        std::cout << std::setw(10)
                  << std::to_string(one.bytes.begin) + ".." + std::to_string(one.bytes.end) << "  "
                  << std::left << std::setw(22)
                  << gpt2::detail::printable(text.substr(one.bytes.begin, one.bytes.size()), 24)
                  << std::right << std::setw(10) << fixed(gpt2::surprisal(one.log_prob), 2) << "\n";
}

void print_ranking(const gpt2::ranking& found, const std::vector<std::string>& choices) {
    std::cout << "     value  log-prob  tokens  choice\n";
    for (const auto i : found.order) {
        const auto& one = found.choices[i];
        std::cout << std::setw(10) << fixed(one.value, 4) << std::setw(10) << fixed(one.log_prob, 4)
                  << std::setw(8) << one.tokens.size() << "  "
                  << gpt2::detail::printable(choices[i]) << "\n";
    }
}

void print(const gpt2::language_model& model, const gpt2::text_score& score, const arguments& given,
           std::string_view text) {
    if (given.words && given.format != output::text)
        gpt2::detail::fail(gpt2::errc::invalid_argument, "--format", "text for words", "another");
    if (given.format == output::json) {
        std::cout << gpt2::score_json(model, score, given.detail()) << "\n";
    } else if (given.format == output::csv) {
        std::cout << gpt2::score_csv(model, score);
    } else {
        if (given.words)
            print_words(score, text);
        else if (!given.perplexity)
            print_tokens(model, score);
        print_sum(score);
    }
}

/// What answers requests, made when the first one comes.
struct workers {
    const gpt2::language_model& model;
    const arguments& given;
    std::optional<gpt2::scorer> texts = std::nullopt;
    std::optional<gpt2::ranker> choices = std::nullopt;

    gpt2::scorer& scorer() { return texts ? *texts : texts.emplace(model, given.scoring()); }
    gpt2::ranker& ranker() { return choices ? *choices : choices.emplace(model, given.ranking()); }
};

/// One request: {"text": …}, {"ids": […]}, or {"context": …, "choices": […]}.
std::string answer(workers& by, std::string_view line, const std::string& where) {
    using gpt2::errc;
    const auto document = gpt2::detail::parse_json(line, where, {.bytes = std::size_t{1} << 28});
    const gpt2::detail::json_fields request(document, where, errc::invalid_argument);
    const auto items = [&](std::string_view key) -> const auto& {
        const auto& list = *request.find(key);
        if (!list.items()) request.refuse(key, list, "a list");
        return *list.items();
    };
    if (const auto text = request.text("text"))
        return gpt2::score_json(by.model, by.scorer().score(*text), by.given.detail());
    if (request.find("ids")) {
        std::vector<gpt2::token_id> ids;
        for (const auto& item : items("ids")) {
            const auto* id = item.whole_number();
            if (!id || *id > std::numeric_limits<gpt2::token_id>::max())
                request.refuse("ids", item, "ids");
            ids.push_back(static_cast<gpt2::token_id>(*id));
        }
        return gpt2::score_json(by.model, by.scorer().score(ids), by.given.detail());
    }
    if (!request.find("choices"))
        gpt2::detail::fail(errc::invalid_argument, where, "a member text, ids or choices",
                           "none of them");
    gpt2::question asked{std::string(request.text("context").value_or("")), {}};
    for (const auto& item : items("choices")) {
        if (!item.text()) request.refuse("choices", item, "texts");
        asked.choices.push_back(*item.text());
    }
    return gpt2::ranking_json(by.model, by.ranker().rank(asked), by.given.detail());
}

void answer_lines(const gpt2::language_model& model, const arguments& given) {
    std::ios::sync_with_stdio(false);
    workers by{model, given};
    std::string line;
    for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
        if (line.empty()) continue;
        const auto where = "line " + std::to_string(number);
        try {
            std::cout << answer(by, line, where) << std::endl;
        } catch (const gpt2::error& problem) {
            const std::string_view what = problem.what();
            if (what.starts_with(where)) throw;
            gpt2::detail::fail(problem.code(), where, what);
        }
    }
}

void score(const arguments& given) {
    const auto model = given.model.load();
    if (given.jsonl) return answer_lines(model, given);
    if (!given.choices.empty()) {
        if (given.format == output::csv)
            gpt2::detail::fail(gpt2::errc::invalid_argument, "--format", "text or json for choices",
                               "csv");
        const auto found = gpt2::rank(model, {given.context, given.choices}, given.ranking());
        if (given.format == output::json)
            std::cout << gpt2::ranking_json(model, found, given.detail()) << "\n";
        else
            print_ranking(found, given.choices);
        return;
    }
    if (given.input_ids) {
        const auto ids = cli::ids(*given.input_ids);
        const auto text = model.has_tokenizer() ? model.tokenizer().decode(ids) : "";
        return print(model, gpt2::score(model, ids, given.scoring()), given, text);
    }
    const auto text = given.text   ? *given.text
                      : given.file ? cli::whole_file(*given.file)
                                   : cli::standard_input();
    print(model, gpt2::score(model, text, given.scoring()), given, text);
}

void declare(CLI::App& app, arguments& given) {
    cli::declare(app, given.model);
    auto* input = app.add_option_group("input", "The text; default: standard input");
    input->add_option("--text", given.text, "A text");
    input->add_option("--file", given.file, "A file with the text");
    input->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    auto* choices = input->add_option("--choice", given.choices,
                                      "A continuation of --context; give several to rank them");
    choices->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    auto* jsonl = input->add_flag("--jsonl", given.jsonl,
                                  "Read requests from standard input, one a line: {\"text\": ...}, "
                                  "{\"ids\": [...]} or {\"context\": ..., \"choices\": [...]}; "
                                  "write one JSON object a line");
    input->require_option(0, 1);
    app.add_option("--context", given.context, "What stands before the choices")->needs(choices);
    using gpt2::ranking_rule;
    cli::add_choice<ranking_rule>(app, "--by", given.by,
                                  {{"log_prob", ranking_rule::log_prob},
                                   {"per_token", ranking_rule::per_token},
                                   {"per_byte", ranking_rule::per_byte},
                                   {"per_character", ranking_rule::per_character},
                                   {"pointwise", ranking_rule::pointwise}},
                                  "What choices are compared by");
    app.add_option("--domain", given.domain,
                   "With --by pointwise: stands in the context's place; empty: begin of text");
    app.add_flag("--cut-front", given.cut_front,
                 "Leave out the oldest tokens of a context that is too long for the model");
    auto* perplexity = app.add_flag("--perplexity", given.perplexity,
                                    "Show the sums only, nothing of single tokens");
    app.add_flag("--words", given.words, "Show words in the place of tokens")
        ->excludes(perplexity)
        ->excludes(jsonl);
    app.add_option("--window", given.window, "Tokens of a window; 0: the model's context")
        ->check(cli::count());
    app.add_option("--stride", given.stride, "Tokens from window to window; default: half a window")
        ->check(cli::count());
    app.add_option("--alternatives", given.alternatives,
                   "How many of the most likely tokens to list at each place")
        ->check(cli::count());
    app.add_flag("--bos", given.bos, "Begin with the model's begin-of-text token");
    app.add_flag("--specials", given.specials,
                 "Turn special tokens written in the text, like <|endoftext|>, into their ids");
    cli::add_choice<output>(app, "--format", given.format,
                            {{"text", output::text}, {"json", output::json}, {"csv", output::csv}},
                            "How to write scores; csv is for texts")
        ->excludes(jsonl);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Scores a text, or continuations of a context, with a model.", "score");
    app.option_defaults()->always_capture_default();
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { score(given); });
}
