// Experiments on the vectors of words: neighbours, analogy, order.
#pragma once

#include "../model_options.hpp"
#include "report.hpp"

#include <gpt2/word_order.hpp>
#include <gpt2/word_vectors.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

namespace experiments {

using report::fixed;
using report::format;
using report::json;

inline json as_json(const gpt2::language_model& model, const std::vector<gpt2::neighbour>& list) {
    auto made = json::array();
    for (const auto& one : list) {
        made.push_back(report::as_json(model, one.token));
        made.back()["cosine"] = one.cosine;
    }
    return made;
}

inline void print(const gpt2::language_model& model, const std::vector<gpt2::neighbour>& list) {
    for (const auto& one : list)
        report::print_line("  " + report::left(report::token(model, one.token), 18) +
                           report::right(fixed(one.cosine, 3), 7) + "  " +
                           report::bar(one.cosine, 1.0 / 40));
}

struct neighbours {
    static constexpr auto purpose = "The tokens whose vectors lie closest to those of words";
    std::vector<std::string> words = {"wolf", "gold"};
    std::size_t count = 6;

    void declare(CLI::App& app) {
        app.add_option("--word", words, "A word; may be repeated")->allow_extra_args(false);
        app.add_option("--count", count, "How many of its neighbours")->check(cli::count());
    }

    void run(const gpt2::language_model& model, format how) const {
        auto all = json::object();
        for (const auto& word : words) {
            const auto found = gpt2::neighbours(model, word, count);
            if (how == format::json) {
                all[word] = as_json(model, found);
                continue;
            }
            std::cout << report::quoted(word) << '\n';
            print(model, found);
        }
        if (how == format::json) return report::print(all);
        report::notice("nobody told the model which words are alike; they are used alike.");
    }
};

struct analogy {
    static constexpr auto purpose = "The tokens closest to a sum of words: king - man + woman";
    gpt2::word_sum words = {{"king", "woman"}, {"man"}};
    std::size_t count = 5;

    void declare(CLI::App& app) {
        app.add_option("--plus", words.plus, "A word that is added; may be repeated")
            ->allow_extra_args(false);
        app.add_option("--minus", words.minus, "A word that is taken off; may be repeated")
            ->allow_extra_args(false);
        app.add_option("--count", count, "How many tokens")->check(cli::count());
    }

    void run(const gpt2::language_model& model, format how) const {
        const auto found = gpt2::analogy(model, words, count);
        if (how == format::json) return report::print(as_json(model, found));
        std::string sum;
        for (const auto& word : words.plus) sum += (sum.empty() ? "" : " + ") + word;
        for (const auto& word : words.minus) sum += " - " + word;
        std::cout << gpt2::detail::visible(sum) << '\n';
        print(model, found);
        report::notice("the words of the sum are left out; the first of them would often win.");
    }
};

struct order {
    static constexpr auto purpose = "The same words in another order";
    std::string first = "The dog ran after the cat", second = "The cat ran after the dog";

    void declare(CLI::App& app) {
        app.add_option("--first", first, "A text");
        app.add_option("--second", second, "The same words in another order");
    }

    void run(const gpt2::language_model& model, format how) const {
        const auto found = gpt2::compare_order(model, first, second);
        if (how == format::json) return report::print(as_json(model, found));
        for (std::size_t i = 0; i < 2; ++i) {
            const auto& text = found.texts[i];
            std::cout << report::quoted(i == 0 ? first : second) << "\n  log-probability "
                      << fixed(text.log_prob, 2) << "; goes on with";
            for (const auto& next : text.next)
                std::cout << ' ' << report::token(model, next.token) << ' '
                          << fixed(std::exp(next.log_prob), 2);
            std::cout << '\n';
        }
        std::cout << "next tokens differ by " << fixed(found.divergence, 3)
                  << " bits (0: alike, 1: nothing in common)\n\n"
                     "how alike the texts are (cosine)   each word  their mean\n";
        for (std::size_t i = 0; i < found.depths.size(); ++i) {
            const auto& at = found.depths[i];
            const auto where = i == 0   ? "words alone"
                               : i == 1 ? "with positions"
                                        : "after layer " + std::to_string(i - 2);
            report::print_line(report::left(where, 32) +
                               report::right(fixed(at.same_token, 4), 12) +
                               report::right(fixed(at.whole, 4), 12));
        }
        report::notice(
            "as words alone the texts are the same; with positions, and then from layer to "
            "layer,\nthey come apart.");
    }

private:
    static json as_json(const gpt2::language_model& model, const gpt2::order_comparison& found) {
        json made = {{"divergence_bits", found.divergence}};
        for (const auto& text : found.texts) {
            json one = {{"ids", text.ids}, {"log_prob", text.log_prob}};
            for (const auto& next : text.next) {
                one["next"].push_back(report::as_json(model, next.token));
                one["next"].back()["log_prob"] = next.log_prob;
            }
            made["texts"].push_back(one);
        }
        for (const auto& at : found.depths)
            made["depths"].push_back({{"same_token", at.same_token}, {"whole", at.whole}});
        return made;
    }
};

}  // namespace experiments
