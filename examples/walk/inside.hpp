// Lessons on what happens inside the model: from characters to the residual stream of every layer,
// and what each layer would answer.
#pragma once

#include "teacher.hpp"

#include <gpt2/logit_lens.hpp>
#include <gpt2/observers.hpp>
#include <gpt2/recording.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

namespace walk {

inline const sentence_pair juan = {"Juan es muy", "The wolf was very"};

inline void teach_cuts(teacher& t) {
    t.begin_lesson("From characters to ids", "De caracteres a identificadores");
    t.tell(
        "A model reads no letters and no words but tokens: pieces of text that it has met often.",
        "Un modelo no lee letras ni palabras, sino tokens: trozos de texto que vio a menudo.");
    for (const std::string& text : {juan.course, juan.tale}) {
        t.quote(text);
        std::string cuts, numbers;
        for (const auto id : t.ids(text)) {
            cuts += '[' + t.shown(id) + ']';
            numbers += (numbers.empty() ? "" : ", ") + std::to_string(id);
        }
        t.out() << "    " << cuts << "\n    " << numbers << '\n';
    }
    t.notice(
        "what this tokenizer saw often is one token, what it saw rarely falls into many.\n"
        "  GPT-2's own vocabulary of 50,257 cuts the first one J|uan| es| m|uy:\n"
        "  41, 7258, 1658, 285, 4669.",
        "lo que este tokenizador vio a menudo es un token; lo que vio poco se parte en\n"
        "  muchos. El vocabulario de GPT-2, de 50 257, corta la primera J|uan| es| m|uy:\n"
        "  41, 7258, 1658, 285, 4669.");
}

inline void teach_vectors(teacher& t) {
    t.begin_lesson("From ids to vectors", "De identificadores a vectores");
    const auto ids = t.ids(juan.tale);
    auto state = t.model().state();
    gpt2::recording seen({.stages = {gpt2::stage::token_embedding, gpt2::stage::position_embedding,
                                     gpt2::stage::embedding}});
    t.model().model().forward(ids, state, {}, seen);
    const auto& c = t.model().config();
    t.quote(juan.tale);
    t.out() << "  wte (" << c.vocabulary_size << ", " << c.width << ") + wpe (" << c.context_length
            << ", " << c.width << ") -> x (" << ids.size() << ", " << c.width << ")\n";
    t.out() << "    " << teacher::filled("token", 10) << right("|wte|", 8) << right("|wpe|", 8)
            << right("|x|", 8) << "   x\n";
    for (std::size_t i = 0; i < ids.size(); ++i) {
        t.out() << "    " << t.shown(ids[i], 10);
        for (const auto stage : {gpt2::stage::token_embedding, gpt2::stage::position_embedding,
                                 gpt2::stage::embedding})
            t.out() << right(fixed(gpt2::norm_of(seen.at(stage).row(i)), 3), 8);
        const auto x = seen.at(gpt2::stage::embedding).row(i);
        t.out() << "  ";
        for (std::size_t k = 0; k < 4; ++k)
            t.out() << right(fixed(static_cast<double>(x[k]), 3), 7);
        t.out() << " ...\n";
    }
    t.notice(
        "a token's vector says what it is, its position's where it stands; their sum is all\n"
        "  that the first layer is given.",
        "el vector de un token dice qué es; el de su posición, dónde está; su suma es todo lo\n"
        "  que recibe la primera capa.");
}

inline void teach_layers(teacher& t) {
    t.begin_lesson("The residual stream, layer by layer", "El flujo residual, capa por capa");
    const auto ids = t.ids(juan.tale);
    auto state = t.model().state();
    gpt2::recording seen({.stages = {gpt2::stage::embedding, gpt2::stage::attention_residual,
                                     gpt2::stage::activation, gpt2::stage::block}});
    t.model().model().forward(ids, state, {}, seen);
    const std::size_t last = ids.size() - 1, layers = t.model().config().layers;
    t.quote(juan.tale);
    t.out() << t.say(
        "  behind its last token:\n    layer   mean    variance    |x|   active units\n",
        "  tras su último token:\n    capa    media   varianza    |x|   unidades activas\n");
    for (std::size_t layer = 0; layer < layers; ++layer) {
        const auto before =
            layer == 0 ? seen.at(gpt2::stage::embedding) : seen.at(gpt2::stage::block, layer - 1);
        const auto met = gpt2::moments_of(before.row(last));
        const auto units = seen.at(gpt2::stage::activation, layer).row(last);
        const auto active =
            std::count_if(units.begin(), units.end(), [](float x) { return x > 0; });
        t.out() << right(std::to_string(layer + 1), 9) << right(fixed(met.mean, 3), 8)
                << right(fixed(met.variance, 3), 11)
                << right(fixed(gpt2::norm_of(seen.at(gpt2::stage::block, layer).row(last)), 2), 8)
                << right(percent(static_cast<double>(active) / static_cast<double>(units.size())),
                         11)
                << '\n';
    }
    t.notice(
        "mean and variance are what ln_1 takes away before attention looks. Each layer adds to\n"
        "  the stream and wipes nothing out; GELU lets only some of the units speak.",
        "la media y la varianza son lo que ln_1 quita antes de la atención. Cada capa suma al\n"
        "  flujo y no borra nada; GELU deja hablar solo a algunas unidades.");
}

inline void teach_lens(teacher& t) {
    t.begin_lesson("What each layer would answer", "Lo que respondería cada capa");
    const sentence_pair texts = {juan.course, "Once upon a time there lived a"};
    const auto first = gpt2::logit_lens(t.model(), texts.course, {.alternatives = 1});
    const auto second = gpt2::logit_lens(t.model(), texts.tale, {.alternatives = 1});
    t.out() << "            " << teacher::filled('"' + texts.course + '"', 24) << '"' << texts.tale
            << "\"\n";
    const auto best_of = [&](const gpt2::lens_table& lens, std::size_t depth) {
        const auto& best = lens.at(depth, lens.positions - 1).best.at(0);
        return t.shown(best.token, 12) + right(percent(std::exp(best.log_prob)), 7);
    };
    for (std::size_t depth = 0; depth < first.depths; ++depth) {
        const auto layer = std::string(t.say("layer ", "capa ")) + std::to_string(depth);
        t.out() << "    " << teacher::filled(depth == 0 ? "x" : layer, 8)
                << teacher::filled(best_of(first, depth), 24) << best_of(second, depth) << '\n';
    }
    t.notice(
        "the answer takes shape on the way up: low layers still speak of the last token, high\n"
        "  ones of the next. (The logit lens: ln_f and wte after every layer.)",
        "la respuesta toma forma al subir: las capas bajas aún hablan del último token; las\n"
        "  altas, del siguiente. (La lente de logits: ln_f y wte tras cada capa.)");
}

}  // namespace walk
