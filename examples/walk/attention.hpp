// Lessons on attention: who looks at whom, in which order, from how far.
#pragma once

#include "teacher.hpp"

#include <gpt2/attention_measures.hpp>
#include <gpt2/recording.hpp>
#include <gpt2/word_order.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace walk {

/// The weights of a text in all heads, word by word: what the last token of a word looks at among
/// the tokens of another.
class attention_of_words {
public:
    attention_of_words(const teacher& t, const std::string& text)
        : config_(t.model().config()), seen_(gpt2::attention_maps()) {
        const auto ids = t.ids(text);
        words_ = t.words(ids);
        auto state = t.model().state();
        t.model().model().forward(ids, state, {}, seen_);
    }

    const std::vector<word>& words() const { return words_; }
    /// The place of the word that begins so, whatever stands behind it.
    std::size_t place(const std::string& begin) const {
        const auto found = std::find_if(words_.begin(), words_.end(), [&](const word& one) {
            return one.text.starts_with(begin);
        });
        return static_cast<std::size_t>(found - words_.begin());
    }

    double weight(const gpt2::head_place& head, std::size_t from, std::size_t to) const {
        const auto map = seen_.head(gpt2::stage::weights, head.layer, head.head);
        double sum = 0;
        for (std::size_t s = words_[to].first; s <= words_[to].last; ++s)
            sum += static_cast<double>(map(words_[from].last, s));
        return sum;
    }

    /// The head that looks hardest from one word to another.
    gpt2::head_place strongest(std::size_t from, std::size_t to) const {
        gpt2::head_table weights(config_);
        for (std::size_t layer = 0; layer < config_.layers; ++layer)
            for (std::size_t head = 0; head < config_.heads; ++head)
                weights.at({layer, head}) = weight({layer, head}, from, to);
        return weights.order().front();
    }

private:
    gpt2::config config_;
    gpt2::recording seen_;
    std::vector<word> words_;
};

inline void show_look(const teacher& t, const attention_of_words& seen, const std::string& from,
                      const std::string& to) {
    const std::size_t a = seen.place(from), b = seen.place(to);
    const auto head = seen.strongest(a, b);
    const double weight = seen.weight(head, a, b);
    t.out() << "    " << teacher::filled(from + " -> " + to, 22) << right(percent(weight), 8);
    if (weight > 0)
        t.out() << t.say("   layer ", "   capa ") << head.layer + 1 << t.say(", head ", ", cabeza ")
                << head.head + 1;
    t.out() << '\n';
}

inline void teach_pronoun(teacher& t) {
    t.begin_lesson("Whom does «él» mean?", "¿A quién se refiere «él»?");
    t.tell("The head that looks hardest from one word at another:",
           "La cabeza que mira con más fuerza de una palabra a otra:");
    const sentence_pair texts = {"El modelo atendió la reunión porque él era el ponente principal.",
                                 "The king was angry because he had lost the golden ring."};
    t.quote(texts.course);
    const attention_of_words course(t, texts.course);
    show_look(t, course, "él", "modelo");
    show_look(t, course, "ponente", "él");
    show_look(t, course, "él", "ponente");
    t.quote(texts.tale);
    const attention_of_words tale(t, texts.tale);
    show_look(t, tale, "he", "king");
    show_look(t, tale, "ring", "he");
    show_look(t, tale, "he", "ring");
    t.notice(
        "GPT-2 only looks back: «ponente» can look at «él», «él» at «ponente» never; the mask\n"
        "  makes that weight exactly zero.",
        "GPT-2 solo mira hacia atrás: «ponente» puede mirar a «él»; «él» a «ponente», nunca: la\n"
        "  máscara hace ese peso exactamente cero.");
}

inline void show_map(const teacher& t, const std::string& text, const std::string& from,
                     const std::string& to) {
    const attention_of_words seen(t, text);
    const auto head = seen.strongest(seen.place(from), seen.place(to));
    t.quote(text);
    t.out() << "    " << t.say("layer ", "capa ") << head.layer + 1 << t.say(", head ", ", cabeza ")
            << head.head + 1 << ", %\n";
    for (std::size_t i = 0; i < seen.words().size(); ++i) {
        t.out() << "    " << teacher::filled(seen.words()[i].text, 10);
        for (std::size_t j = 0; j <= i; ++j)
            t.out() << right(fixed(100 * seen.weight(head, i, j), 0), 5);
        t.out() << '\n';
    }
}

inline void teach_bank(teacher& t) {
    t.begin_lesson("A heat map of one head", "Un mapa de calor de una cabeza");
    show_map(t, "El banco anunció tasas de interés", "interés", "banco");
    show_map(t, "The king gave the ring to the queen", "queen", "king");
    t.notice(
        "each row says where a word looks, the last number at itself; a row sums to 100. Where\n"
        "  a head has nothing to look for, it rests on the first word.",
        "cada fila dice adónde mira una palabra, el último número a sí misma; una fila suma\n"
        "  100. Cuando una cabeza no busca nada, descansa en la primera palabra.");
}

inline void teach_order(teacher& t) {
    t.begin_lesson("The same words in another order", "Las mismas palabras en otro orden");
    const sentence_pair pairs[] = {{"el perro persigue al gato", "el gato persigue al perro"},
                                   {"the wolf ate the fox", "the fox ate the wolf"}};
    for (const auto& [first, second] : pairs) {
        t.quote(first);
        t.quote(second);
        const auto found = gpt2::compare_order(t.model(), first, second);
        t.out() << "    wte " << fixed(found.depths[0].same_token, 3) << "   + wpe "
                << fixed(found.depths[1].same_token, 3) << t.say("   layers", "   capas");
        for (std::size_t i = 2; i < found.depths.size(); ++i)
            t.out() << ' ' << fixed(found.depths[i].same_token, 3);
        t.out() << "\n    " << t.say("next: ", "sigue: ");
        for (const auto& text : found.texts) {
            for (std::size_t i = 0; i < 3; ++i)
                t.out() << (i == 0 ? "" : ", ") << t.shown(text.next[i].token) << ' '
                        << percent(std::exp(text.next[i].log_prob));
            t.out() << (&text == &found.texts[0] ? "  |  " : "\n");
        }
    }
    t.notice(
        "how alike the vectors of a token are in the two texts (cosine): the same in wte, not\n"
        "  with positions, and they change as layers look around. So the model expects\n"
        "  something else next.",
        "cuánto se parecen los vectores de un token en ambos textos (coseno): iguales en wte,\n"
        "  no con posiciones, y cambian según las capas miran alrededor. Por eso el modelo\n"
        "  espera otra cosa a continuación.");
}

inline void teach_depth(teacher& t) {
    t.begin_lesson("From near to far", "De cerca a lejos");
    const std::string text =
        "Once upon a time there was a poor woodcutter who lived with his wife and his two children "
        "at the edge of a great forest.";
    t.quote(text);
    const auto found = gpt2::measure_attention(t.model(), text);
    t.tell("    layer   how far back, in tokens   how widely, in bits",
           "    capa    cuán lejos, en tokens     cuán ancho, en bits");
    for (std::size_t layer = 0; layer < found.distance.layers; ++layer)
        t.out() << right(std::to_string(layer + 1), 9)
                << right(fixed(gpt2::attention_profile::of_layer(found.distance, layer), 2), 16)
                << right(fixed(gpt2::attention_profile::of_layer(found.entropy, layer), 2), 26)
                << '\n';
    t.notice(
        "it is said that low layers see form, middle ones syntax, high ones meaning. These\n"
        "  are the numbers of this model; whether they bear it out is for you to judge.",
        "se dice que las capas bajas ven forma; las medias, sintaxis; las altas, significado.\n"
        "  Estos son los números de este modelo; si lo confirman, júzguelo usted.");
}

}  // namespace walk
