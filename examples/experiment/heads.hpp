// Experiments on heads of attention: ablate, patch, induction, distance, attribute.
#pragma once

#include "../model_options.hpp"
#include "report.hpp"

#include <gpt2/ablation.hpp>
#include <gpt2/attention_measures.hpp>
#include <gpt2/attribution.hpp>
#include <gpt2/patching.hpp>
#include <gpt2/word_vectors.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace experiments {

using report::fixed;
using report::format;
using report::json;

inline const std::string default_text =
    "The wolf came to the door, and the little goat said: Who is there?";

inline std::string shown(const gpt2::head_place& at) {
    return "layer " + std::to_string(at.layer) + " head " + std::to_string(at.head);
}

struct ablate {
    static constexpr auto purpose = "The loss of a text without each head in turn";
    std::string text = default_text;
    gpt2::ablation by = gpt2::ablation::zero;

    void declare(CLI::App& app) {
        app.add_option("--text", text, "The text");
        cli::add_choice<gpt2::ablation>(
            app, "--by", by, {{"zero", gpt2::ablation::zero}, {"mean", gpt2::ablation::mean}},
            "What stands for a head: zeros, or its mean over the text");
    }

    void run(const gpt2::language_model& model, format how) const {
        const auto found = gpt2::importance(model, text, {.by = by});
        if (how == format::json)
            return report::print(
                json{{"loss", found.loss}, {"changes", report::as_json(found.changes)}});
        std::cout << "loss with all heads " << fixed(found.loss, 3)
                  << "; without one it grows by\n";
        report::print(report::of_heads(found.changes, 3));
        std::cout << "\nmost important\n";
        const auto order = found.changes.order();
        const double most = std::max(found.changes.at(order.front()), 1e-9);
        for (std::size_t i = 0; i < std::min<std::size_t>(5, order.size()); ++i) {
            const double change = found.changes.at(order[i]);
            report::print_line("  " + shown(order[i]) + report::right(fixed(change, 3), 9) + "  " +
                               report::bar(change, most / 30));
        }
        report::notice(
            "few heads matter much for one text; below zero, the text is easier without.");
    }
};

struct patch {
    static constexpr auto purpose = "What of one prompt, put into another, brings its answer along";
    std::string clean = "Then the queen was glad that", corrupted = "Then the king was glad that";
    gpt2::patching_options options;
    std::vector<std::string> answers;
    bool heads = false;

    void declare(CLI::App& app) {
        using gpt2::stage;
        app.add_option("--clean", clean, "The prompt whose values are put in");
        app.add_option("--corrupted", corrupted, "The prompt they are put into; as many tokens");
        cli::add_choice<stage>(app, "--stage", options.stage,
                               {{"block", stage::block},
                                {"attention", stage::attention},
                                {"mlp", stage::mlp},
                                {"heads", stage::heads},
                                {"q", stage::q},
                                {"k", stage::k},
                                {"v", stage::v}},
                               "Which values; block: the residual stream");
        app.add_flag("--heads", heads, "Put in one head at all positions, not one position");
        app.add_option("--answers", answers,
                       "Two words whose logits are compared; default: what the prompts favour")
            ->expected(2)
            ->default_str("");
    }

    void run(const gpt2::language_model& model, format how) const {
        auto asked = options;
        if (heads) asked.unit = gpt2::patch_unit::heads;
        if (!answers.empty())
            asked.answers = {gpt2::token_of(model, answers[0]), gpt2::token_of(model, answers[1])};
        const auto found = gpt2::patch(model, clean, corrupted, asked);
        if (how == format::json) return report::print(as_json(model, found));
        std::cout << "logit of " << report::token(model, found.answers.clean) << " less that of "
                  << report::token(model, found.answers.corrupted) << "\n  "
                  << report::right(fixed(found.clean, 2), 7) << "  " << report::quoted(clean)
                  << "\n  " << report::right(fixed(found.corrupted, 2), 7) << "  "
                  << report::quoted(corrupted)
                  << "\n\nhow much of the difference a patch brings, in %\n";
        report::grid grid{found.layers, {}, 0, [&](std::size_t layer, std::size_t column) {
                              return 100 * found.recovered(layer, column);
                          }};
        if (heads)
            for (std::size_t h = 0; h < found.columns; ++h)
                grid.columns.push_back("head " + std::to_string(h));
        else
            grid.columns = report::tokens(model, model.tokenizer().encode(corrupted));
        report::print(grid);
        report::notice(heads ? "a head that brings much moves what tells the prompts apart."
                             : "what tells the prompts apart sits at their different words in the "
                               "first layers,\nand has moved to the last position when the answer "
                               "is made.");
    }

private:
    static json as_json(const gpt2::language_model& model, const gpt2::patching& found) {
        json made = {{"answers",
                      {report::as_json(model, found.answers.clean),
                       report::as_json(model, found.answers.corrupted)}},
                     {"clean", found.clean},
                     {"corrupted", found.corrupted},
                     {"recovered", json::array()}};
        for (std::size_t layer = 0; layer < found.layers; ++layer) {
            auto row = json::array();
            for (std::size_t i = 0; i < found.columns; ++i)
                row.push_back(found.recovered(layer, i));
            made["recovered"].push_back(row);
        }
        return made;
    }
};

struct induction {
    static constexpr auto purpose = "Which heads continue what came before, on random tokens twice";
    gpt2::induction_options options;

    void declare(CLI::App& app) {
        app.add_option("--length", options.length, "Tokens of the stretch that comes twice")
            ->check(cli::count());
        app.add_option("--seed", options.seed, "Same seed, same tokens")->check(cli::count());
    }

    void run(const gpt2::language_model& model, format how) const {
        const auto found = gpt2::induction(model, options);
        if (how == format::json)
            return report::print(json{{"ids", found.ids},
                                      {"first_loss", found.first_loss},
                                      {"second_loss", found.second_loss},
                                      {"scores", report::as_json(found.scores)}});
        std::cout << options.length << " random tokens, twice\nloss, first time   "
                  << fixed(found.first_loss, 3) << "\nloss, second time  "
                  << fixed(found.second_loss, 3)
                  << "\n\nweight on what followed the same token the first time\n";
        report::print(report::of_heads(found.scores, 3));
        const auto best = found.scores.order().front();
        report::notice(shown(best) + " looks there most, with " + fixed(found.scores.at(best), 3) +
                       ". Induction heads, as larger models\nhave them, reach 0.5 and more, and "
                       "the loss of the second time then falls steeply.");
    }
};

struct distance {
    static constexpr auto purpose = "How far back each layer and head looks, and how widely";
    std::string text = default_text;

    void declare(CLI::App& app) { app.add_option("--text", text, "The text"); }

    void run(const gpt2::language_model& model, format how) const {
        const auto found = gpt2::measure_attention(model, text);
        if (how == format::json)
            return report::print(json{{"distance", report::as_json(found.distance)},
                                      {"entropy_bits", report::as_json(found.entropy)},
                                      {"previous", report::as_json(found.previous)}});
        std::cout << "mean over heads: distance in tokens, width in bits, weight on the token "
                     "before\nlayer  distance    width   before\n";
        for (std::size_t layer = 0; layer < found.distance.layers; ++layer) {
            const auto mean = [&](const gpt2::head_table& table) {
                return found.of_layer(table, layer);
            };
            report::print_line(report::right(std::to_string(layer), 5) +
                               report::right(fixed(mean(found.distance), 2), 10) +
                               report::right(fixed(mean(found.entropy), 2), 9) +
                               report::right(fixed(mean(found.previous), 2), 9) + "  " +
                               report::bar(mean(found.distance), 0.25));
        }
        std::cout << "\ndistance of each head\n";
        report::print(report::of_heads(found.distance, 2));
        report::notice(
            "a short distance with much weight on the token before is a layer that reads "
            "neighbours;\nlong ones gather from the whole text. Heads of one layer may differ.");
    }
};

struct attribute {
    static constexpr auto purpose = "The shares of heads and layers in the logit of a token";
    std::string text = "The king had three";
    std::optional<std::string> token, against;
    gpt2::attribution_options options;

    void declare(CLI::App& app) {
        using gpt2::logit_origin;
        app.add_option("--text", text, "The text");
        app.add_option("--token", token, "The word whose logit it is; default: the likeliest");
        app.add_option("--against", against, "Another word: show the difference of the two logits");
        app.add_option("--position", options.position, "Behind which token; default: the last")
            ->check(cli::count());
        cli::add_choice<logit_origin>(
            app, "--from", options.from,
            {{"zero", logit_origin::zero}, {"mean", logit_origin::mean}},
            "What logits are measured from; mean: that of the vocabulary");
    }

    void run(const gpt2::language_model& model, format how) const {
        auto asked = options;
        if (token) asked.tokens = {gpt2::token_of(model, *token)};
        if (against) {
            if (!token) asked.tokens = gpt2::attribute(model, text, asked).tokens;
            asked.tokens.push_back(gpt2::token_of(model, *against));
        }
        const auto found = gpt2::attribute(model, text, asked);
        const auto of = [&](const std::vector<double>& logits) {
            return against ? logits[0] - logits[1] : logits[0];
        };
        if (how == format::json) {
            json made = {{"logit", of(found.logits)}, {"parts", json::object()}};
            for (const auto id : found.tokens) made["tokens"].push_back(report::as_json(model, id));
            for (const auto& one : found.parts) made["parts"][name(one)] = of(one.logits);
            return report::print(made);
        }
        std::cout << (against ? "logit of " : "the logit of ")
                  << report::token(model, found.tokens[0]);
        if (against) std::cout << " less that of " << report::token(model, found.tokens[1]);
        std::cout << " behind " << report::quoted(text) << "\n";
        double most = 0, sum = 0;
        for (const auto& one : found.parts) {
            most = std::max(most, std::abs(of(one.logits)));
            sum += of(one.logits);
        }
        for (const auto& one : found.parts)
            report::print_line("  " + report::left(name(one), 14) +
                               report::right(fixed(of(one.logits), 2), 7) + "  " +
                               report::bar(of(one.logits), most / 30));
        std::cout << "  " << report::left("sum", 14) << report::right(fixed(sum, 2), 7) << "\n  "
                  << report::left("the model", 14) << report::right(fixed(of(found.logits), 2), 7)
                  << '\n';
        report::notice(
            "the shares add up to the logit; what a layer gives to later ones counts "
            "as theirs.");
    }
};

}  // namespace experiments
