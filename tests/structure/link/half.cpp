// One half of a program that includes the library in two translation units, perhaps compiled with
// different flags: loads a model and continues a text.
#include <gpt2/gpt2.hpp>

#include <string>

std::string HALF(const char* folder) {
    gpt2::options options;
    options.max_new_tokens = 4;
    return gpt2::load(folder).generate("Once upon a", options).text;
}
