// A text as it is written, piece by piece; whoever listens may stop it.
#include <gpt2/gpt2.hpp>

#include <iostream>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);

    gpt2::options how;
    how.max_new_tokens = 100;
    how.sampling = gpt2::top_k(40, 0.8f);  // the 40 likeliest tokens, a little sharper
    how.seed = 7;                          // the same seed draws the same text, everywhere

    int sentences = 0;
    std::cout << "The wolf";
    const auto done = model.generate("The wolf", how, [&](const gpt2::piece& piece) {
        std::cout << piece.text << std::flush;  // whole characters only
        if (piece.text.ends_with('.')) ++sentences;
        return sentences == 2 ? gpt2::flow::stop : gpt2::flow::go_on;
    });
    std::cout << "\n\n"
              << done.tokens.size() << " tokens, ended by " << gpt2::name(done.why) << '\n';
}
