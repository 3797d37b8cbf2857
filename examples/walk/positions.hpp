// The lesson on positions: GPT-2's learned vectors beside the two other ways of saying where a
// token stands.
#pragma once

#include "teacher.hpp"

#include <gpt2/positions.hpp>
#include <gpt2/recording.hpp>
#include <gpt2/word_order.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace walk {

/// How alike two positions are by each policy: of rotary ones, one query and the same key, turned.
class position_measures {
public:
    static constexpr std::size_t most = 37;  // positions that are looked at

    explicit position_measures(const gpt2::language_model& of)
        : waves_(of.config()), rotary_(of.config()), head_(of.config().width / of.config().heads) {
        const std::vector<gpt2::token_id> ids(most, 0);
        auto state = of.state();
        of.model().forward(ids, state, {}, seen_);
        const auto token = seen_.at(gpt2::stage::token_embedding).row(0).first(head_);
        query_.assign(token.begin(), token.end());
    }

    double learned(std::size_t a, std::size_t b) const {
        const auto rows = seen_.at(gpt2::stage::position_embedding);
        return gpt2::detail::cosine(rows.row(a), rows.row(b));
    }
    double sinusoidal(std::size_t a, std::size_t b) const {
        return gpt2::detail::cosine(waves_.rows(a, 1).row(0), waves_.rows(b, 1).row(0));
    }
    double rotary(std::size_t a, std::size_t b) const {
        auto query = query_, key = query_;
        rotary_.rotate({query.data(), 1, head_}, a);
        rotary_.rotate({key.data(), 1, head_}, b);
        return gpt2::detail::cosine(std::span<double>(query), std::span<double>(key));
    }

private:
    gpt2::recording seen_{
        {.stages = {gpt2::stage::token_embedding, gpt2::stage::position_embedding}}};
    gpt2::sinusoidal_positions<double> waves_;
    gpt2::rotary_positions<double> rotary_;
    std::size_t head_;
    std::vector<double> query_;  // (D), a head's part of a token's vector
};

inline void teach_positions(teacher& t) {
    const auto& c = t.model().config();
    if (c.context_length < position_measures::most || c.width / c.heads % 2 != 0) return;
    t.begin_lesson("Where a token stands, said in three ways",
                   "Dónde está un token, dicho de tres maneras");
    t.tell(
        "GPT-2 has learned a vector for each position. The first transformer added waves instead,\n"
        "and later models turn queries and keys. How alike are positions that lie so far apart?",
        "GPT-2 aprendió un vector para cada posición. El primer transformer sumaba ondas, y "
        "modelos\n"
        "posteriores giran consultas y claves. ¿Cuánto se parecen posiciones a cierta distancia?");
    const position_measures of(t.model());
    t.out() << "    " << teacher::filled(std::string(t.say("distance", "distancia")), 11);
    for (const auto& [english, spanish] :
         {std::pair("learned", "aprendida"), {"sinusoidal", "sinusoidal"}, {"rotary", "rotatoria"}})
        t.out() << right(std::string(t.say(english, spanish)), 18);
    t.out() << "\n    " << teacher::filled("", 11);
    for (int i = 0; i < 3; ++i)
        for (const std::size_t from : {4, 20})
            t.out() << right(std::string(t.say("from ", "desde ")) + std::to_string(from), 9);
    t.out() << '\n';
    for (const std::size_t far : {0, 1, 2, 4, 8, 16}) {
        t.out() << "    " << teacher::filled(std::to_string(far), 11);
        for (const auto measure : {&position_measures::learned, &position_measures::sinusoidal,
                                   &position_measures::rotary})
            for (const std::size_t from : {4, 20})
                t.out() << right(fixed((of.*measure)(from, from + far), 3), 9);
        t.out() << '\n';
    }
    t.notice(
        "with waves and turns only the distance counts, wherever one begins; what was learned\n"
        "  need not be so regular. A file of a GPT-2 is always run with what it learned.",
        "con ondas y giros solo cuenta la distancia, se empiece donde se empiece; lo aprendido\n"
        "  no tiene por qué ser tan regular. Un GPT-2 siempre usa las posiciones que aprendió.");
}

}  // namespace walk
