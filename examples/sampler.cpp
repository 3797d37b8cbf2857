// What each filter does to logits: reads one JSON object a line, and shows which filter of the
// chain removes which tokens, which survive, and how likely they are. No model is needed.
#include "cli.hpp"
#include "sampler_options.hpp"

#include <gpt2/sampler.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using sampler_options::json;
using sampler_options::refuse;

/// Python writes NaN, Infinity and -Infinity, which are no JSON: as texts they are.
std::string with_quoted_infinities(std::string_view line) {
    std::string text;
    bool inside = false;  // of a string
    for (std::size_t i = 0; i < line.size(); ++i) {
        const auto here = line.substr(i);
        const auto replace = [&](std::string_view word, std::string_view by) {
            if (inside || !here.starts_with(word)) return false;
            text += by;
            i += word.size() - 1;
            return true;
        };
        if (replace("-Infinity", "\"-inf\"") || replace("Infinity", "\"inf\"") ||
            replace("NaN", "\"nan\""))
            continue;
        if (line[i] == '"') inside = !inside;
        text += line[i];
        if (inside && line[i] == '\\' && i + 1 < line.size()) text += line[++i];
    }
    return text;
}

std::vector<float> floats_of_hex(const std::string& hex) {
    const auto digit = [&](char c) -> std::uint32_t {
        if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0');
        if (c >= 'a' && c <= 'f') return static_cast<std::uint32_t>(c - 'a' + 10);
        if (c >= 'A' && c <= 'F') return static_cast<std::uint32_t>(c - 'A' + 10);
        refuse("logits_f32le", "hex digits", std::string(1, c));
    };
    if (hex.size() % 8 != 0) refuse("logits_f32le", "8 hex digits a number", hex.size());
    std::vector<float> values;
    for (std::size_t at = 0; at < hex.size(); at += 8) {
        std::uint32_t bits = 0;
        for (std::size_t byte = 4; byte-- > 0;)  // the last byte is the highest
            bits = bits << 8 | digit(hex[at + 2 * byte]) << 4 | digit(hex[at + 2 * byte + 1]);
        values.push_back(std::bit_cast<float>(bits));
    }
    return values;
}

/// One line of the input.
struct request {
    std::vector<float> logits;
    std::vector<gpt2::token_id> tokens;
    std::size_t prompt_length;
    gpt2::sampling how;
    std::uint64_t seed = 0;

    gpt2::history past() const { return {tokens, prompt_length}; }
};

std::vector<float> read_logits(const json& line) {
    if (line.contains("logits_f32le")) {
        const json& hex = line["logits_f32le"];
        if (!hex.is_string()) refuse("logits_f32le", "a text of hex digits", hex);
        return floats_of_hex(hex.get<std::string>());
    }
    if (!line.contains("logits")) refuse("line", "logits or logits_f32le", "neither");
    std::vector<float> values;
    for (const json& one : sampler_options::list("logits", line["logits"]))
        values.push_back(sampler_options::narrow("logits", one));
    return values;
}

request read_request(const std::string& text) {
    json line;
    try {
        const auto check_depth = [](int depth, json::parse_event_t, const json&) {
            if (depth > 32)
                gpt2::detail::fail(gpt2::errc::bad_json, "line", "at most 32 levels", "more");
            return true;
        };
        line = json::parse(with_quoted_infinities(text), check_depth);
    } catch (const json::parse_error& problem) {
        gpt2::detail::fail(gpt2::errc::bad_json, "line", "a JSON object",
                           {"an error at byte ", problem.byte});
    } catch (const json::out_of_range&) {
        gpt2::detail::fail(gpt2::errc::bad_json, "line", "numbers of a double's range",
                           "a larger one");
    }
    if (!line.is_object()) refuse("line", "an object", line);
    constexpr std::array known = {"logits",  "logits_f32le", "tokens", "prompt_length",
                                  "dialect", "options",      "seed"};
    for (const auto& [name, value] : line.items())
        if (std::find(known.begin(), known.end(), name) == known.end())
            refuse("line", "a name that is known", name);
    request asked;
    asked.logits = read_logits(line);
    asked.tokens = sampler_options::ids("tokens", line.value("tokens", json::array()));
    asked.prompt_length = line.contains("prompt_length")
                              ? sampler_options::count("prompt_length", line["prompt_length"])
                              : asked.tokens.size();
    if (line.contains("seed")) asked.seed = sampler_options::count("seed", line["seed"]);
    const auto dialect = sampler_options::read_dialect(line.value("dialect", json("hf")));
    asked.how =
        sampler_options::read(line.value("options", json::object()), dialect, asked.prompt_length);
    return asked;
}

gpt2::explanation explain(const request& asked) {
    return gpt2::sampler(asked.how, asked.seed).explain(asked.logits, asked.past());
}

std::string as_json(const gpt2::explanation& found) {
    using nlohmann::ordered_json;
    ordered_json removed = ordered_json::array();
    for (const auto& one : found.removed)
        removed.push_back({{"filter", one.filter}, {"ids", one.ids}});
    const ordered_json line = {{"survivors", found.survivors},
                               {"probabilities", found.probabilities},
                               {"removed", std::move(removed)}};
    return line.dump();
}

/// The first few of a list, and how many more there are.
std::string shortened(const std::vector<gpt2::token_id>& ids) {
    constexpr std::size_t most = 12;
    std::string text;
    for (std::size_t i = 0; i < std::min(most, ids.size()); ++i) {
        if (i != 0) text += ' ';
        text += std::to_string(ids[i]);
    }
    if (ids.size() > most) text += " and " + std::to_string(ids.size() - most) + " more";
    return text;
}

void print_table(const request& asked, const gpt2::explanation& found) {
    std::cout << gpt2::describe(asked.how) << '\n';
    for (const auto& one : found.removed)
        std::cout << "  " << std::left << std::setw(32) << one.filter + " removes" << std::right
                  << std::setw(7) << one.ids.size() << "  " << shortened(one.ids) << '\n';
    std::cout << "  " << std::left << std::setw(32) << "left" << std::right << std::setw(7)
              << found.survivors.size() << "  of " << asked.logits.size() << '\n';
    std::vector<std::size_t> order(found.survivors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return found.probabilities[a] > found.probabilities[b];
    });
    constexpr std::size_t most = 10;
    std::cout << "     token      logit  probability\n" << std::fixed;
    for (std::size_t i = 0; i < std::min(most, order.size()); ++i) {
        const gpt2::token_id id = found.survivors[order[i]];
        std::cout << std::setw(10) << id << std::setprecision(3) << std::setw(11)
                  << asked.logits[static_cast<std::size_t>(id)] << std::setprecision(6)
                  << std::setw(13) << found.probabilities[order[i]] << '\n';
    }
    if (order.size() > most) std::cout << "       and " << order.size() - most << " more\n";
    std::cout << std::defaultfloat;
}

/// Answers every line; with --jsonl a line that is wrong gets its answer too, and the others go on.
void answer_lines(bool jsonl) {
    std::string line;
    std::size_t wrong = 0, number = 1;
    for (; std::getline(std::cin, line); ++number) {
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        try {
            const request asked = read_request(line);
            const gpt2::explanation found = explain(asked);
            if (jsonl)
                std::cout << as_json(found) << '\n';
            else
                print_table(asked, found);
        } catch (const gpt2::error& problem) {
            const std::string where = "line " + std::to_string(number) + ": ";
            if (!jsonl) throw std::runtime_error(where + problem.what());
            std::cout << json{{"error", problem.what()}, {"line", number}}.dump(
                             -1, ' ', false, json::error_handler_t::replace)
                      << '\n';
            ++wrong;
        }
    }
    if (wrong != 0)
        throw std::runtime_error(std::to_string(wrong) + (wrong == 1 ? " line is" : " lines are") +
                                 " wrong");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Shows what each filter does to logits. Standard input: one JSON object a line,\n"
        "{\"logits\": [...] or \"logits_f32le\": hex, \"tokens\": [ids so far], \"prompt_length\": "
        "n,\n"
        " \"dialect\": \"hf\"|\"openai2019\"|\"llama_cpp\", \"options\": {\"temperature\": 0.8, "
        "...},\n"
        " \"seed\": s}; prompt_length is all tokens unless given.",
        "sampler");
    app.option_defaults()->always_capture_default();
    bool jsonl = false, options = false;
    app.add_flag("--jsonl", jsonl,
                 "Write a JSON object a line: survivors, probabilities, removed; or error");
    app.add_flag("--options", options, "List the names of the options and end");
    return cli::run(app, argc, argv, [&] {
        std::ios::sync_with_stdio(false);
        if (!options) return answer_lines(jsonl);
        for (const auto& [name, read] : sampler_options::readers()) std::cout << name << '\n';
    });
}
