// The lesson: the sentences of a course on transformers, one after another, on a real model, and
// what one should notice, in English or Spanish.
#include "cli.hpp"
#include "walk/after.hpp"
#include "walk/attention.hpp"
#include "walk/choices.hpp"
#include "walk/inside.hpp"
#include "walk/positions.hpp"

#include <iostream>
#include <string>

namespace {

void give_lessons(walk::teacher& t, bool bundled) {
    t.tell(
        "The walk from a sentence to the next word. Each lesson has a sentence of the course, in\n"
        "Spanish, and often one of the kind that the bundled model has read.",
        "El camino de una frase a la palabra siguiente. Cada lección tiene una frase del curso y, "
        "a\n"
        "menudo, otra como las que ha leído el modelo incluido.");
    if (bundled)
        t.tell(
            "That is a small one, which has read English tales and Don Quijote and nothing else;\n"
            "--model takes any GPT-2.",
            "Este es pequeño y no ha leído más que cuentos en inglés y el Quijote; --model acepta\n"
            "cualquier GPT-2.");
    walk::teach_cuts(t);
    walk::teach_vectors(t);
    walk::teach_positions(t);
    walk::teach_layers(t);
    walk::teach_lens(t);
    walk::teach_choice(t);
    walk::teach_nucleus(t);
    walk::teach_pronoun(t);
    walk::teach_bank(t);
    walk::teach_order(t);
    walk::teach_depth(t);
    walk::teach_arithmetic(t);
    walk::teach_examples(t);
    walk::teach_after(t);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Runs the sentences of a course on transformers on a model and says what to notice.",
        "walk");
    app.option_defaults()->always_capture_default();
    std::string folder = GPT2_BUNDLED_MODEL;
    auto* model = app.add_option("--model", folder, "Folder or file of the model");
    gpt2::language speaks = gpt2::language::english;
    cli::add_choice<gpt2::language>(
        app, "--language", speaks,
        {{"en", gpt2::language::english}, {"es", gpt2::language::spanish}}, "Language");
    return cli::run(app, argc, argv, [&] {
        walk::teacher teacher(gpt2::load(folder), speaks, std::cout);
        give_lessons(teacher, model->count() == 0);
    });
}
