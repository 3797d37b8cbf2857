// Stages 14 to 18 of a walk: from logits to text.
#pragma once

#include "teller.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

namespace explain {

inline constexpr std::size_t listed = 8;

inline void tell_logits(teller& to) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    to.title(14, {"Logits", "Logits"});
    to.line(std::string(to.say(
                {"The last LayerNorm (it finds mean ", "El último LayerNorm (encuentra media "})) +
            to.fixed(of.ln_f[t].mean, 4) + std::string(to.say({", variance ", ", varianza "})) +
            to.fixed(of.ln_f[t].variance, 4) + ")");
    to.tell(of.tied_head ? words{"and a product with wte itself give every token a logit:",
                                 "y un producto con la propia wte dan a cada token un logit:"}
                         : words{"and a product with lm_head give every token a logit:",
                                 "y un producto con lm_head dan a cada token un logit:"});
    if (of.steps.empty()) return to.tell({"(nothing was written)", "(no se escribió nada)"});
    const auto& all = of.steps[0].candidates;
    for (std::size_t i = 0; i < std::min(listed, all.size()); ++i)
        to.line(to.right(to.fixed(static_cast<double>(all[i].logit), 3), 9) + "  " +
                to.token(all[i].id));
}

inline void tell_probabilities(teller& to) {
    const auto& of = to.walk();
    to.title(15, {"Softmax", "Softmax"});
    if (of.steps.empty()) return to.tell({"(nothing was written)", "(no se escribió nada)"});
    to.tell({"e to the logit, divided by the sum over all tokens: probabilities.",
             "e elevado al logit, dividido por la suma de todos: probabilidades."});
    const auto& all = of.steps[0].candidates;
    for (std::size_t i = 0; i < std::min(listed, all.size()); ++i)
        to.line(to.right(to.percent(all[i].probability), 9) + "  " +
                to.padded(to.token(all[i].id), 16) + to.bar(all[i].probability));
}

inline void tell_choice(teller& to) {
    const auto& of = to.walk();
    to.title(16, {"Choice", "Elección"});
    to.line(to.shown(describe(of.sampling)));
    if (of.steps.empty()) return to.tell({"(nothing was written)", "(no se escribió nada)"});
    const auto& step = of.steps[0];
    for (const auto& filter : step.filters) {
        std::string examples;
        constexpr std::size_t most = 4;
        for (std::size_t i = 0; i < std::min(most, filter.examples.size()); ++i)
            examples += " " + to.token(filter.examples[i]);
        to.line(to.shown(filter.filter) + std::string(to.say({" removes ", " quita "})) +
                std::to_string(filter.removed) + ":" + examples +
                (filter.removed > most ? " …" : ""));
    }
    to.line(std::to_string(step.survivors) + std::string(to.say({" stay. ", " quedan. "})) +
            (step.draw ? std::string(to.say({"The draw is ", "El sorteo da "})) +
                             to.fixed(*step.draw, 4) + ": "
                       : std::string(to.say({"The best one: ", "El mejor: "}))) +
            to.token(step.chosen) + " (" + to.percent(step.chosen_probability) + ")");
}

/// How likely the model itself found what was chosen.
inline double own_probability(const gpt2::walk_step& step) {
    const auto found =
        std::ranges::find(step.candidates, step.chosen, &gpt2::walk_step::candidate::id);
    return found == step.candidates.end() ? 0 : found->probability;
}

inline void tell_text(teller& to) {
    const auto& of = to.walk();
    to.title(17, {"The text grows", "El texto crece"});
    to.tell({"The token is put behind the text, and everything begins again:",
             "El token se añade al texto y todo empieza de nuevo:"});
    std::string text = of.has_tokenizer ? of.text.value_or(of.normalised) : "";
    for (const auto& step : of.steps) {
        const auto known = of.vocabulary.find(step.chosen);
        if (known != of.vocabulary.end()) text += known->second;
        to.line(to.right(to.percent(own_probability(step)), 9) + "  " +
                (of.has_tokenizer ? to.shown(text) : to.token(step.chosen)));
    }
}

inline void tell_post_processing(teller& to) {
    const auto& of = to.walk();
    to.title(18, {"After the model", "Después del modelo"});
    if (of.post_processing.empty())
        return to.tell(
            {"Nothing was asked for (--post, --ban).", "No se pidió nada (--post, --ban)."});
    for (const auto& step : of.post_processing) {
        to.line(to.shown(step.step) + ": " + std::to_string(step.changes.size()) +
                std::string(to.say({" changes", " cambios"})));
        for (const auto& change : step.changes)
            to.line("  \"" + to.shown(change.from) + "\" → \"" + to.shown(change.to) + "\"");
    }
    to.line(to.shown(of.post_processing.back().after));
}

}  // namespace explain
