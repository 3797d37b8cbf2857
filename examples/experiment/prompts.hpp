// Experiments on what stands before a text, or pushes it: examples, steer.
#pragma once

#include "../model_options.hpp"
#include "report.hpp"

#include <gpt2/in_context.hpp>
#include <gpt2/steering.hpp>

#include <algorithm>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

namespace experiments {

using report::fixed;
using report::format;
using report::json;

struct examples {
    static constexpr auto purpose = "How likely an answer is behind 0, 1, 2 ... examples";
    std::vector<std::string> pairs = {"one|two", "two|three", "three|four", "four|five",
                                      "five|six"};
    std::string asked = "six|seven", arrow = ", ", between = "\n";

    void declare(CLI::App& app) {
        app.add_option("--example", pairs, "QUESTION|ANSWER; may be repeated")
            ->allow_extra_args(false);
        app.add_option("--ask", asked, "QUESTION|ANSWER");
        app.add_option("--arrow", arrow, "What stands between question and answer");
        app.add_option("--between", between, "What ends an example");
    }

    void run(const gpt2::language_model& model, format how) const {
        gpt2::in_context_task task{{}, cut(asked), between};
        for (const auto& pair : pairs) task.examples.push_back(cut(pair));
        const auto found = gpt2::in_context(model, task);
        if (how == format::json) {
            auto made = json::array();
            for (const auto& one : found)
                made.push_back({{"examples", one.examples},
                                {"log_prob", one.answer.log_prob},
                                {"probability", one.probability()},
                                {"greedy", one.answer.greedy()}});
            return report::print(made);
        }
        std::cout << "how likely " << report::quoted(task.asked.answer) << " is behind "
                  << report::quoted(task.asked.question) << "\nexamples  probability\n";
        double most = 1e-9;
        for (const auto& one : found) most = std::max(most, one.probability());
        for (const auto& one : found)
            report::print_line(report::right(std::to_string(one.examples), 8) +
                               report::right(fixed(one.probability(), 5), 13) + "  " +
                               report::bar(one.probability(), most / 30) +
                               (one.answer.greedy() ? " the likeliest" : ""));
        report::notice("no weight changes; the examples alone say what kind of answer is wanted.");
    }

private:
    /// "a|b" as a question that ends with the arrow, and its answer.
    gpt2::demonstration cut(const std::string& pair) const {
        const auto bar = pair.find('|');
        if (bar == pair.npos)
            gpt2::detail::fail(gpt2::errc::invalid_argument, "example", "QUESTION|ANSWER",
                               gpt2::detail::printable(pair));
        return {pair.substr(0, bar) + arrow, pair.substr(bar + 1)};
    }
};

struct steer {
    static constexpr auto purpose = "What a model writes while a direction is added";
    std::string prompt = "Once upon a time there was", toward = "the sea, the ship and the waves",
                away = "the house, the room and the door";
    gpt2::steering_place place{.layer = 3, .pooling = gpt2::pooling::mean};
    std::vector<double> scales = {-1.5, 0, 0.7};
    gpt2::options writing;

    steer() { writing.max_new_tokens = 20; }

    void declare(CLI::App& app) {
        app.add_option("--prompt", prompt, "What to continue");
        app.add_option("--toward", toward, "A text that is like what is wanted");
        app.add_option("--away", away, "A text that is like the opposite");
        app.add_option("--layer", place.layer, "Add it before this layer")->check(cli::count());
        cli::add_choice<gpt2::pooling>(
            app, "--pooling", place.pooling,
            {{"mean", gpt2::pooling::mean}, {"last", gpt2::pooling::last}},
            "What stands for a text: the mean of its vectors, or the last");
        app.add_option("--scale", scales, "How much of it; may be repeated")
            ->allow_extra_args(false);
        app.add_option("--max-new-tokens", writing.max_new_tokens, "How many tokens to write")
            ->check(cli::count());
    }

    void run(const gpt2::language_model& model, format how) const {
        const auto along = gpt2::direction_between(model, toward, away, place);
        auto made = json::array();
        if (how == format::text)
            std::cout << "from " << report::quoted(away) << "\n  to " << report::quoted(toward)
                      << ",\na direction of length " << fixed(along.length(), 1) << "; behind "
                      << report::quoted(prompt) << '\n';
        for (const double scale : scales) {
            const auto done =
                gpt2::generate_steered(model, prompt, along, {.scale = scale}, writing);
            if (how == format::json)
                made.push_back({{"scale", scale}, {"text", done.text}});
            else
                std::cout << report::right(fixed(scale, 2), 7) << "  "
                          << gpt2::detail::visible(done.text) << '\n';
        }
        if (how == format::json) return report::print(made);
        report::notice("0 is the model's own text; too large a scale leaves no language.");
    }
};

}  // namespace experiments
