// Pictures of a model at work, in the terminal or as a file: what heads look at, what each layer
// would answer, how surprising a text is, what may come next.
#include "model_options.hpp"

#include <gpt2/lens_picture.hpp>
#include <gpt2/model_pictures.hpp>
#include <gpt2/picture_png.hpp>
#include <gpt2/picture_svg.hpp>
#include <gpt2/picture_terminal.hpp>

#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace {

enum class kind { attention, lens, surprisal, next };
enum class output { terminal, svg, png };
enum class colours { when_shown, always, never };

struct arguments {
    cli::model_options model;
    std::optional<std::string> prompt, prompt_file, input_ids;
    kind what = kind::attention;
    std::optional<std::size_t> layer, head, position;
    std::size_t last = 48, count = 10;
    output how = output::terminal;
    std::string output_file;
    std::size_t width = 80;
    colours coloured = colours::when_shown;
    gpt2::png_options png;
};

std::vector<gpt2::token_id> ids_of(const gpt2::language_model& model, const arguments& given) {
    if (given.input_ids) return cli::ids(*given.input_ids);
    return model.tokenizer().encode(given.prompt        ? *given.prompt
                                    : given.prompt_file ? cli::whole_file(*given.prompt_file)
                                                        : cli::standard_input());
}

gpt2::picture attention(const gpt2::language_model& model, const arguments& given,
                        const std::vector<gpt2::token_id>& ids) {
    if (!given.head) return gpt2::attention_maps(model, ids, given.layer, given.last);
    const gpt2::head_place where{given.layer.value_or(0), *given.head};
    if (given.position) return gpt2::attention_bars(model, ids, where, *given.position);
    return gpt2::attention_map(model, ids, where, given.last);
}

gpt2::picture picture_of(const gpt2::language_model& model, const arguments& given) {
    auto ids = ids_of(model, given);
    switch (given.what) {
        case kind::surprisal:
            return gpt2::surprisal_text(model, gpt2::score(model, ids));
        case kind::next:
            if (given.position && *given.position < ids.size()) ids.resize(*given.position + 1);
            return gpt2::next_tokens(model, ids, given.count);
        case kind::lens:
            return gpt2::lens_map(model, ids, given.last);
        case kind::attention:
            break;
    }
    return attention(model, given, ids);
}

std::string drawn(const gpt2::picture& what, const arguments& given) {
    if (given.how == output::svg) return gpt2::to_svg(what);
    if (given.how == output::png) return gpt2::to_png(what, given.png);
    const bool shown = given.output_file.empty() && cli::output_is_terminal();
    const bool coloured =
        given.coloured == colours::when_shown ? shown : given.coloured == colours::always;
    using gpt2::terminal_colours;
    return gpt2::to_terminal(
        what, {given.width, coloured ? terminal_colours::xterm_256 : terminal_colours::none});
}

void draw(const arguments& given) {
    cli::put_out(given.output_file, drawn(picture_of(given.model.load(), given), given));
}

void declare(CLI::App& app, arguments& given) {
    cli::declare(app, given.model);
    auto* input = app.add_option_group("input", "The text; default: standard input");
    input->add_option("--prompt", given.prompt, "A text");
    input->add_option("--prompt-file", given.prompt_file, "A file with the text");
    input->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    input->require_option(0, 1);
    cli::add_choice<kind>(app, "--kind", given.what,
                          {{"attention", kind::attention},
                           {"lens", kind::lens},
                           {"surprisal", kind::surprisal},
                           {"next", kind::next}},
                          "What to show");
    app.add_option("--layer", given.layer, "Of attention: the layer, from 0; default: all")
        ->check(cli::count());
    app.add_option("--head", given.head, "Of attention: the head, from 0; default: all")
        ->check(cli::count());
    app.add_option("--position", given.position,
                   "Of attention with --head: what this token looks at; of next: what may come "
                   "behind it; from 0")
        ->check(cli::count());
    app.add_option("--last", given.last, "Of attention and lens: how many tokens to show; 0: all")
        ->check(cli::count());
    app.add_option("--count", given.count, "Of next: how many tokens")->check(cli::count());
    cli::add_choice<output>(
        app, "--output", given.how,
        {{"terminal", output::terminal}, {"svg", output::svg}, {"png", output::png}},
        "How to draw it");
    app.add_option("--output-file", given.output_file,
                   "The file to write, or to replace; default: standard output");
    app.add_option("--width", given.width, "Columns of the terminal")->check(cli::count());
    cli::add_choice<colours>(
        app, "--colours", given.coloured,
        {{"auto", colours::when_shown}, {"always", colours::always}, {"never", colours::never}},
        "256 colours in the terminal; auto: where it is one");
    cli::add_choice<gpt2::png_theme>(
        app, "--theme", given.png.theme,
        {{"light", gpt2::png_theme::light}, {"dark", gpt2::png_theme::dark}}, "Of a PNG");
    app.add_option("--scale", given.png.scale, "Pixels of a PNG for each of an SVG, 0.5 to 8");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Draws what happens inside a model.", "picture");
    app.option_defaults()->always_capture_default();
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { draw(given); });
}
