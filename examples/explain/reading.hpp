// Stages 1 to 7 of a walk: from characters to vectors.
#pragma once

#include "teller.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

namespace explain {

inline void tell_normalisation(teller& to) {
    const auto& of = to.walk();
    to.title(1, {"Normalisation", "Normalización"});
    if (!of.has_tokenizer)
        return to.tell({"This model has no tokenizer: it is given ids, and gives ids.",
                        "Este modelo no tiene tokenizador: recibe ids y devuelve ids."});
    to.line("\"" + to.shown(of.normalised) + "\"");
    if (!of.text)
        to.tell({"Ids were given; this is the text they stand for.",
                 "Se dieron ids; este es el texto que representan."});
    else if (of.normalised == *of.text)
        to.tell({"The tokenizer changes nothing: every byte stays as it was typed.",
                 "El tokenizador no cambia nada: cada byte queda como se escribió."});
    else
        to.tell({"This is what the tokenizer made of the text before it cut it.",
                 "Esto hizo el tokenizador con el texto antes de cortarlo."});
}

inline void tell_tokens(teller& to) {
    const auto& of = to.walk();
    to.title(2, {"Tokens", "Tokens"});
    const gpt2::walk_token* longest = nullptr;
    for (const auto& token : of.tokens)
        if (!longest || token.merges.size() > longest->merges.size()) longest = &token;
    std::string cuts;
    for (const auto& token : of.tokens)
        cuts += (cuts.empty() ? "" : "|") +
                (of.has_tokenizer ? to.shown(token.bytes) : std::to_string(token.id));
    to.line(cuts);
    if (!of.has_tokenizer || longest->merges.empty()) return;
    to.tell(
        {"Byte-pair merging joins neighbours, the most frequent pairs first. One token:",
         "La fusión de pares de bytes une vecinos, primero los pares más frecuentes. Un token:"});
    const auto quoted = [](const std::string& bytes) { return "\"" + teller::shown(bytes) + "\""; };
    for (const auto& [left, right] : longest->merges)
        to.line("  " + quoted(left) + " + " + quoted(right) + " = " + quoted(left + right));
}

inline void tell_ids(teller& to) {
    const auto& of = to.walk();
    to.title(3, {"Ids", "Ids"});
    to.tell({"position      bytes      id  token", "posición      bytes      id  token"});
    for (std::size_t t = 0; t < of.tokens.size(); ++t) {
        const auto& token = of.tokens[t];
        const auto bytes = of.has_tokenizer ? std::to_string(token.place.begin) + ".." +
                                                  std::to_string(token.place.end)
                                            : std::string("-");
        to.line(to.right(std::to_string(of.first + t), 8) + to.right(bytes, 11) +
                to.right(std::to_string(token.id), 8) + "  " + to.token(token.id) +
                std::string(token.written
                                ? to.say({"  written by the model", "  escrito por el modelo"})
                                : std::string_view()));
    }
}

inline void tell_embedding(teller& to) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    const auto width = std::to_string(of.config.width);
    to.title(4, {"Token embedding", "Vector del token"});
    to.line(std::string(to.say({"The row of wte for ", "La fila de wte de "})) +
            to.token(of.tokens[t].id) + ": " + width +
            std::string(to.say({" numbers", " números"})));
    to.line(to.few(row(of.token_embedding, t)));

    to.title(5, {"Position embedding", "Vector de la posición"});
    to.line(
        std::string(to.say({"The row of wpe for position ", "La fila de wpe de la posición "})) +
        std::to_string(of.first + t) +
        std::string(to.say({", learned in training:", ", aprendida al entrenar:"})));
    to.line(to.few(row(of.position_embedding, t)));
    to.tell({"The formula of the first transformers would give sin and cos:",
             "La fórmula de los primeros transformers daría seno y coseno:"});
    to.line(to.few(row(of.sinusoidal, t)));

    to.title(6, {"Sum", "Suma"});
    to.tell({"Both added (dropout does nothing once training is over):",
             "Las dos sumadas (dropout no hace nada fuera del entrenamiento):"});
    to.line(to.few(row(of.sum, t)));
}

inline void tell_layer_norm(teller& to) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    to.title(7, {"LayerNorm", "LayerNorm"});
    to.tell({"Before each part of a layer a vector is brought to mean 0 and variance 1, then",
             "Antes de cada parte de una capa el vector se lleva a media 0 y varianza 1, y luego"});
    to.tell({"multiplied by a learned gain, and a bias added. What it was before:",
             "se multiplica por una ganancia aprendida y se le suma un sesgo. Cómo era antes:"});
    to.tell({"layer  ln_1 mean  variance  ln_2 mean  variance",
             " capa ln_1 media  varianza ln_2 media  varianza"});
    for (std::size_t layer = 0; layer < of.layers.size(); ++layer) {
        const auto &first = of.layers[layer].ln_1[t], &second = of.layers[layer].ln_2[t];
        to.line(to.right(std::to_string(layer), 5) + to.right(to.fixed(first.mean, 4), 11) +
                to.right(to.fixed(first.variance, 4), 10) + to.right(to.fixed(second.mean, 4), 11) +
                to.right(to.fixed(second.variance, 4), 10));
    }
}

}  // namespace explain
