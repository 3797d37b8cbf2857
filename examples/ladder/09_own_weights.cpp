// A GPT-2 whose weights are written by hand, in memory: it knows the alphabet. Attention and
// feed-forward are all zeros, so that nothing speaks but the vector of the last letter and the
// projection, in which each letter answers to the vector of the one before it.
#include <gpt2/gpt2.hpp>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

constexpr std::size_t letters = 26, width = letters, positions = 64;

/// (letters, width): row i is 1 in column (i + shift) % letters, else 0.
std::vector<float> shifted_identity(std::size_t shift) {
    std::vector<float> values(letters * width, 0);
    for (std::size_t i = 0; i < letters; ++i) values[i * width + (i + shift) % letters] = 1;
    return values;
}

int main() {
    gpt2::stored_model made;
    made.config = {.vocabulary_size = letters,
                   .context_length = positions,
                   .width = width,
                   .layers = 1,
                   .heads = 1,
                   .inner_width = width,
                   .tied_head = false,
                   .biases = false,
                   .begin_of_text = {},
                   .end_of_text = {}};

    const auto weights = std::make_shared<gpt2::weight_store>();
    const auto fill = [&](const char* name, std::vector<std::size_t> shape, float value) {
        std::size_t size = 1;
        for (const std::size_t n : shape) size *= n;
        weights->add(gpt2::own_tensor(name, shape, std::vector<float>(size, value)));
    };
    weights->add(gpt2::own_tensor("wte.weight", {letters, width}, shifted_identity(0)));
    weights->add(
        gpt2::own_tensor("lm_head.weight", {letters, width}, shifted_identity(letters - 1)));
    fill("wpe.weight", {positions, width}, 0);
    fill("h.0.ln_1.weight", {width}, 1);
    fill("h.0.attn.c_attn.weight", {width, 3 * width}, 0);
    fill("h.0.attn.c_proj.weight", {width, width}, 0);
    fill("h.0.ln_2.weight", {width}, 1);
    fill("h.0.mlp.c_fc.weight", {width, width}, 0);
    fill("h.0.mlp.c_proj.weight", {width, width}, 0);
    fill("ln_f.weight", {width}, 1);
    made.weights = weights;

    made.read_tokenizer = [] {
        gpt2::vocabulary alphabet;
        for (char c = 'a'; c <= 'z'; ++c) alphabet.tokens.emplace_back(1, c);
        return gpt2::tokenizer(alphabet);
    };
    const auto model = gpt2::load(made);
    std::cout << "x" << model.generate("x", {.max_new_tokens = 30}).text << '\n';
}
