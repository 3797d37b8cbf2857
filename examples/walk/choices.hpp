// Lessons on the choice of the next word, and on what the vectors of words and the examples of a
// prompt bring about.
#pragma once

#include "teacher.hpp"

#include <gpt2/in_context.hpp>
#include <gpt2/sampler.hpp>
#include <gpt2/word_vectors.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace walk {

inline void show_choice(const teacher& t, std::string_view name, const gpt2::sampling& how,
                        std::span<const float> logits) {
    const auto found = gpt2::sampler(how, 0).explain({logits.begin(), logits.end()}, {});
    std::vector<std::size_t> order(found.survivors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return found.probabilities[a] > found.probabilities[b];
    });
    t.out() << "    " << teacher::filled(std::string(name), 24)
            << right(std::to_string(order.size()), 6);
    for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()); ++i)
        t.out() << "  " << t.shown(found.survivors[order[i]], 7)
                << right(percent(found.probabilities[order[i]]), 7);
    t.out() << '\n';
}

inline void teach_choice(teacher& t) {
    t.begin_lesson("From logits to the next word", "De los logits a la palabra siguiente");
    for (const std::string text : {"Juan es muy", "The wolf was very"}) {
        t.quote(text);
        const auto session = t.model().start(text);
        t.tell("    how                      tokens  the likeliest",
               "    cómo                     tokens  los más probables");
        const auto logits = session.logits();
        show_choice(t, t.say("as it is", "tal cual"), gpt2::temperature(1), logits);
        show_choice(t, t.say("temperature 0.5", "temperatura 0,5"), gpt2::temperature(0.5f),
                    logits);
        show_choice(t, t.say("temperature 2", "temperatura 2"), gpt2::temperature(2), logits);
        show_choice(t, "top-k 3", gpt2::top_k(3), logits);
        show_choice(t, t.say("top-p 0.9", "top-p 0,9"), gpt2::top_p(0.9), logits);
        const auto greedy = t.model().generate(text, {.max_new_tokens = 8});
        const auto drawn = t.model().generate(
            text, {.max_new_tokens = 8, .sampling = gpt2::top_p(0.9, 0.8f), .seed = 1});
        t.out() << t.say("    greedy: ", "    voraz: ") << gpt2::detail::visible(text + greedy.text)
                << t.say("\n    drawn:  ", "\n    sorteo: ")
                << gpt2::detail::visible(text + drawn.text) << '\n';
    }
    t.notice(
        "a temperature below 1 sharpens, above 1 flattens; top-k and top-p take tokens away\n"
        "  before the draw. With GPT-2's vocabulary « feliz» is two tokens, 10756 and 528: the\n"
        "  word takes two rounds.",
        "una temperatura menor que 1 afila, mayor que 1 aplana; top-k y top-p quitan tokens\n"
        "  antes del sorteo. En el vocabulario de GPT-2 « feliz» son dos tokens, 10756 y 528:\n"
        "  la palabra pide dos vueltas.");
}

inline void teach_nucleus(teacher& t) {
    t.begin_lesson("A nucleus of 0.9", "Un núcleo de 0,9");
    t.tell("  probabilities 0.4, 0.3, 0.2, 0.1 and top-p 0.9, by two rules:",
           "  probabilidades 0,4, 0,3, 0,2, 0,1 y top-p 0,9, según dos reglas:");
    std::vector<float> logits;
    for (const float part : {4.0f, 3.0f, 2.0f, 1.0f}) logits.push_back(std::log(part));
    auto how = gpt2::top_p(0.9);
    for (const auto& [rule, name] : {std::pair{gpt2::dialect::openai2019, "OpenAI 2019"},
                                     std::pair{gpt2::dialect::hf, "Hugging Face"}}) {
        how.dialect = rule;
        const auto found = gpt2::sampler(how, 0).explain(logits, {});
        t.out() << "    " << teacher::filled(name, 14) << found.survivors.size()
                << t.say(" tokens stay\n", " tokens quedan\n");
    }
    t.notice(
        "in float32 0.4 + 0.3 + 0.2 = 0.90000004 > 0.9. OpenAI's first code keeps what stays\n"
        "  within p, today's libraries also keep the token that crosses it.",
        "en float32 0,4 + 0,3 + 0,2 = 0,90000004 > 0,9. El primer código de OpenAI conserva lo\n"
        "  que no pasa de p; las bibliotecas de hoy, también el token que lo cruza.");
}

inline void show_sum(const teacher& t, const std::string& shown, const gpt2::word_sum& words) {
    t.out() << "    " << teacher::filled(shown, 22);
    try {
        for (const auto& one : gpt2::analogy(t.model(), words, 4))
            t.out() << ' ' << t.shown(one.token) << ' ' << fixed(one.cosine, 2);
    } catch (const gpt2::error& problem) {
        if (problem.code() != gpt2::errc::invalid_argument) throw;
        t.out() << t.say(" not all of these words are one token of this model",
                         " no todas son un solo token de este modelo");
    }
    t.out() << '\n';
}

inline void teach_arithmetic(teacher& t) {
    t.begin_lesson("Arithmetic with words", "Aritmética con palabras");
    show_sum(t, "regente + mujer", {{"regente", "mujer"}, {}});
    show_sum(t, "king - man + woman", {{"king", "woman"}, {"man"}});
    show_sum(t, "caminé", {{"caminé"}, {}});
    show_sum(t, "walked", {{"walked"}, {}});
    show_sum(t, "caballero", {{"caballero"}, {}});
    show_sum(t, "wolf", {{"wolf"}, {}});
    t.notice(
        "words that are used alike have vectors that lie close, cosine 1 at most. Sums work as\n"
        "  far as the model has read; one of this size has read little.",
        "las palabras que se usan igual tienen vectores cercanos, con coseno 1 como mucho. Las\n"
        "  sumas funcionan según lo leído, y un modelo de este tamaño ha leído poco.");
}

/// The task's probabilities behind its examples, one by one, under a name.
inline void show_examples(const teacher& t, const std::string& name,
                          const gpt2::in_context_task& task) {
    t.out() << "    " << teacher::filled(name, 30);
    for (const auto& step : gpt2::in_context(t.model(), task))
        t.out() << right(percent(step.probability()), 8);
    t.out() << '\n';
}

inline void teach_examples(teacher& t) {
    t.begin_lesson("Learning from the prompt", "Aprender del prompt");
    t.tell("  How likely the right answer is behind 0, 1, 2, 3, 4, 5 examples:",
           "  La probabilidad de la respuesta correcta tras 0, 1, 2, 3, 4, 5 ejemplos:");
    show_examples(t, "Portugal: Lisboa",
                  {{{"España:", " Madrid"},
                    {"Francia:", " París"},
                    {"Italia:", " Roma"},
                    {"Perú:", " Lima"},
                    {"Cuba:", " La Habana"}},
                   {"Portugal:", " Lisboa"}});
    show_examples(t, "six, seven",
                  {{{"one,", " two"},
                    {"two,", " three"},
                    {"three,", " four"},
                    {"four,", " five"},
                    {"five,", " six"}},
                   {"six,", " seven"}});
    const std::string sum = "Hans had two apples and Gretel had three.", end = " Together they had";
    t.out() << "  \"" << sum << end
            << t.say(" five\", with a phrase in between:\n", " five\", con una frase en medio:\n");
    for (const std::string phrase : {"", " Let us think step by step.", " Pensemos paso a paso."})
        show_examples(t, phrase.empty() ? "-" : phrase.substr(1),
                      {{}, {sum + phrase + end, " five"}});
    t.notice(
        "no weight changes; what stands before makes an answer likelier or not. The examples\n"
        "  say what kind of answer is wanted; to know capitals, or to think step by step, takes\n"
        "  a larger model.",
        "ningún peso cambia; lo que está antes hace más o menos probable la respuesta. Los\n"
        "  ejemplos dicen qué clase de respuesta se espera; saber capitales, o pensar paso a\n"
        "  paso, pide un modelo mayor.");
}

}  // namespace walk
