// The smallest useful program: a model folder as the argument, the continuation on the output.
#include <gpt2/gpt2.hpp>

#include <iostream>

int main(int, char** argv) {
    gpt2::options options;
    options.max_new_tokens = 4;
    const auto done = gpt2::load(argv[1]).generate("Once upon a", options);
    std::cout << done.text << '\n';
    return done.tokens.empty();
}
