// A walk as a readable account, all eighteen stages in order, in English or Spanish.
#pragma once

#include "choosing.hpp"
#include "inside.hpp"
#include "reading.hpp"
#include "teller.hpp"

#include <string>

namespace explain {

/// What was cut, and what went wrong.
inline void tell_notes(teller& to) {
    const auto& of = to.walk();
    if (of.first > 0)
        to.line(std::string(to.say({"Only the last ", "Solo se muestran las últimas "})) +
                std::to_string(of.shown()) + std::string(to.say({" of ", " de "})) +
                std::to_string(of.total) +
                std::string(to.say({" positions are shown.", " posiciones."})));
    switch (of.why) {
        case gpt2::walk_end::length:
            break;
        case gpt2::walk_end::end_of_text:
            to.tell({"The model ended the text.", "El modelo terminó el texto."});
            break;
        case gpt2::walk_end::context_full:
            to.tell({"Nothing more was written: the model has no more positions.",
                     "No se escribió más: el modelo no tiene más posiciones."});
            break;
        case gpt2::walk_end::not_finite:
            to.tell({"Nothing more was written: the model's logits are no finite numbers.",
                     "No se escribió más: los logits del modelo no son números finitos."});
            break;
    }
    if (const auto& found = of.first_non_finite)
        to.line(std::string(to.say({"The first number that is not finite arises in ",
                                    "El primer número no finito surge en "})) +
                name(found->at) + std::string(to.say({" at position ", ", posición "})) +
                std::to_string(found->position) + ".");
}

inline std::string account(const gpt2::walk& of, language in) {
    teller to(of, in);
    to.out() << to.shown(of.model_name) << ": " << of.config.layers
             << to.say({" layers, ", " capas, "}) << of.config.heads
             << to.say({" heads, width ", " cabezas, ancho "}) << of.config.width
             << to.say({", vocabulary ", ", vocabulario "}) << of.config.vocabulary_size << "\n";
    tell_notes(to);
    tell_normalisation(to);
    tell_tokens(to);
    tell_ids(to);
    tell_embedding(to);
    tell_layer_norm(to);
    const auto head = busiest_head(of, to.last_of_prompt());
    tell_queries(to, head);
    tell_attention(to, head);
    tell_heads(to, head);
    tell_residual(to);
    tell_feed_forward(to);
    tell_depth(to);
    tell_logits(to);
    tell_probabilities(to);
    tell_choice(to);
    tell_text(to);
    tell_post_processing(to);
    return to.take();
}

}  // namespace explain
