// Stages 8 to 13 of a walk: what happens within the layers.
#pragma once

#include "teller.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

namespace explain {

/// A head whose attention is worth telling.
struct chosen_head {
    std::size_t layer = 0, head = 0;
};

/// Row t of a head's lower triangle: t + 1 numbers.
inline std::span<const float> triangle_row(const gpt2::walk_array& of, std::size_t head,
                                           std::size_t t) {
    return row(of, head).subspan(t * (t + 1) / 2, t + 1);
}

/// The head that looks most at one token which is neither the first nor the token itself.
inline chosen_head busiest_head(const gpt2::walk& of, std::size_t t) {
    chosen_head best;
    float most = -1;
    for (std::size_t layer = 0; layer < of.layers.size(); ++layer)
        for (std::size_t head = 0; head < of.config.heads; ++head) {
            const auto weights = triangle_row(of.layers[layer].weights, head, t);
            for (std::size_t k = 1; k < t; ++k)
                if (weights[k] > most) {
                    most = weights[k];
                    best = {layer, head};
                }
        }
    return best;
}

inline std::string place_of(teller& to, const chosen_head& at) {
    return std::string(to.say({"layer ", "capa "})) + std::to_string(at.layer) +
           std::string(to.say({", head ", ", cabeza "})) + std::to_string(at.head);
}

inline void tell_queries(teller& to, const chosen_head& at) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    const auto size = of.config.head_size();
    to.title(8, {"Queries, keys, values", "Consultas, claves, valores"});
    to.tell(
        {"One product (c_attn) gives each head three short vectors: what it looks for, what it",
         "Un producto (c_attn) da a cada cabeza tres vectores cortos: qué busca, por qué se la"});
    to.tell({"is found by, what it hands on. For the last token of the prompt, in",
             "encuentra, qué entrega. Para el último token de la entrada, en la"});
    to.line(place_of(to, at) + " (" + std::to_string(size) +
            std::string(to.say({" numbers each):", " números cada uno):"})));
    const auto& layer = of.layers[at.layer];
    const auto part = [&](const gpt2::walk_array& all) {
        return row(all, t * of.config.heads + at.head);
    };
    to.line("q " + to.few(part(layer.q)));
    to.line("k " + to.few(part(layer.k)));
    to.line("v " + to.few(part(layer.v)));
}

/// The triangle of weights with a digit for each tenth, where it fits.
inline void draw_triangle(teller& to, const chosen_head& at) {
    constexpr std::size_t most = 24;
    const auto& of = to.walk();
    if (of.shown() > most) return;
    for (std::size_t t = 0; t < of.shown(); ++t) {
        std::string digits;
        for (const float weight : triangle_row(of.layers[at.layer].weights, at.head, t)) {
            const int tenths = std::isnan(weight) ? -1 : static_cast<int>(weight * 10);
            digits += tenths < 0    ? '?'
                      : tenths == 0 ? '.'
                                    : static_cast<char>('0' + std::min(tenths, 9));
            digits += ' ';
        }
        to.line("  " + to.padded(digits, 2 * of.shown()) + " " + to.token(of.tokens[t].id));
    }
}

inline void tell_attention(teller& to, const chosen_head& at) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    to.title(9, {"Attention", "Atención"});
    to.tell(
        {"score = q·k/√D; later tokens are masked: a token sees itself and what stands before",
         "puntuación = q·k/√D; lo que viene después está tapado: un token se ve a sí mismo y lo"});
    to.tell(
        {"it; softmax makes weights of scores, and the values are added up by weight.",
         "anterior; softmax convierte puntuaciones en pesos, con los que se suman los valores."});
    to.line(std::string(to.say({"What ", "A qué mira "})) + to.token(of.tokens[t].id) +
            std::string(to.say({" looks at in ", " en la "})) + place_of(to, at) + ":");
    const auto scores = triangle_row(of.layers[at.layer].scores, at.head, t),
               weights = triangle_row(of.layers[at.layer].weights, at.head, t);
    for (std::size_t k = 0; k <= t; ++k)
        to.line(to.right(to.fixed(static_cast<double>(scores[k]), 2), 8) +
                to.right(to.percent(static_cast<double>(weights[k])), 9) + "  " +
                to.padded(to.token(of.tokens[k].id), 14) + to.bar(static_cast<double>(weights[k])));
    const auto earlier = row(of.layers[at.layer].earlier, at.head)[t];
    if (of.first > 0)
        to.line(to.right(to.percent(static_cast<double>(earlier)), 17) + "  " +
                std::string(to.say(
                    {"on positions that are not shown", "en posiciones que no se muestran"})));
    to.tell({"The whole map, tenths as digits:", "El mapa entero, décimas como cifras:"});
    draw_triangle(to, at);
}

inline void tell_heads(teller& to, const chosen_head& at) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    const auto& layer = of.layers[at.layer];
    to.title(10, {"Heads joined", "Cabezas unidas"});
    to.tell(
        {"What the heads found stands side by side and goes through c_proj. How much each found",
         "Lo que hallaron las cabezas se pone en fila y pasa por c_proj. Cuánto halló cada una"});
    to.tell({"(length of its vector) and how widely it looked (entropy in bits):",
             "(longitud de su vector) y con cuánta amplitud miró (entropía en bits):"});
    for (std::size_t head = 0; head < of.config.heads; ++head)
        to.line(to.right(std::to_string(head), 4) +
                to.right(to.fixed(static_cast<double>(row(layer.head_norms, head)[t]), 3), 9) +
                to.right(to.fixed(static_cast<double>(row(layer.entropy, head)[t]), 2), 7) +
                " bits");
    to.line(std::string(to.say({"after c_proj: ", "tras c_proj: "})) +
            to.fixed(layer.attention_norm[t], 3));
}

inline void tell_residual(teller& to) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    to.title(11, {"Residual stream", "Flujo residual"});
    to.tell({"Each part adds to the vector and never replaces it. Lengths, layer by layer:",
             "Cada parte suma al vector y nunca lo reemplaza. Longitudes, capa por capa:"});
    to.tell({"layer  attention  stream  feed-forward  stream",
             " capa   atención   flujo  feed-forward   flujo"});
    for (std::size_t layer = 0; layer < of.layers.size(); ++layer) {
        const auto& one = of.layers[layer];
        to.line(to.right(std::to_string(layer), 5) +
                to.right("+" + to.fixed(one.attention_norm[t], 2), 11) +
                to.right(to.fixed(one.middle_norm[t], 2), 8) +
                to.right("+" + to.fixed(one.mlp_norm[t], 2), 14) +
                to.right(to.fixed(one.residual_norm[t], 2), 8));
    }
}

inline void tell_feed_forward(teller& to) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    to.title(12, {"Feed-forward", "Red feed-forward"});
    to.line(std::to_string(of.config.width) + " → " + std::to_string(of.config.inner_width) +
            " → " + std::to_string(of.config.width) + std::string(to.say({", with ", ", con "})) +
            std::string(name(of.config.activation)) +
            std::string(to.say({" between. Units above 0, and the strongest:",
                                " en medio. Unidades sobre 0, y las más fuertes:"})));
    for (std::size_t layer = 0; layer < of.layers.size(); ++layer) {
        const auto& one = of.layers[layer];
        std::string strongest;
        constexpr std::size_t most = 3;
        for (std::size_t i = 0; i < std::min(most, one.top_units[t].size()); ++i)
            strongest += "  #" + std::to_string(one.top_units[t][i].unit) + " " +
                         to.fixed(static_cast<double>(one.top_units[t][i].value), 2);
        to.line(to.right(std::to_string(layer), 5) + to.right(to.percent(one.active_share[t]), 9) +
                strongest);
    }
}

inline void tell_depth(teller& to) {
    const auto& of = to.walk();
    const auto t = to.last_of_prompt();
    to.title(13, {"Layer by layer", "Capa por capa"});
    to.tell(
        {"The logit lens: what each layer would answer if it were the last, behind the prompt,",
         "La lente de logits: qué diría cada capa si fuera la última, tras la entrada, y en qué"});
    to.tell({"and the rank of the token that really follows:",
             "puesto está el token que de verdad sigue:"});
    for (std::size_t depth = 0; depth < of.lens.size(); ++depth) {
        const auto& answer = of.lens[depth][t];
        const auto place =
            depth == 0 ? std::string(to.say({"embedding", "entrada"}))
                       : std::string(to.say({"layer ", "capa "})) + std::to_string(depth - 1);
        std::string text = to.padded(place, 10);
        if (answer.best.empty())
            text += to.say({"no finite number", "ningún número finito"});
        else
            text += to.right(to.percent(std::exp(answer.best[0].log_prob)), 8) + "  " +
                    to.padded(to.token(answer.best[0].token), 16);
        if (answer.rank > 0)
            text += std::string(to.say({"rank ", "puesto "})) + std::to_string(answer.rank);
        to.line(text);
    }
}

}  // namespace explain
