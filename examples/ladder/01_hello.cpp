// Hello: a model, a prompt, a text.
//
// Every file of this ladder is a whole program and takes a model, a folder or file as downloaded,
// as its argument; without one it runs the bundled model, and prints what NN_name.txt beside it
// shows.
#include <gpt2/gpt2.hpp>

#include <iostream>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);
    const auto written = model.generate("Once upon a time");
    std::cout << "Once upon a time" << written.text << '\n';
}
