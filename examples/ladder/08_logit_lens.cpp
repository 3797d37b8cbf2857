// The logit lens: what the model would say if each layer were the last. The answer takes shape
// from the bottom to the top.
#include <gpt2/logit_lens.hpp>

#include <iomanip>
#include <iostream>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);
    const auto ids = model.tokenizer().encode("Once upon a time there lived a");
    const auto lens = gpt2::logit_lens(model, ids, {.alternatives = 3});

    const std::size_t last = ids.size() - 1;
    std::cout << "\"" << model.tokenizer().decode(ids) << "\" goes on with:\n" << std::fixed;
    for (std::size_t depth = 0; depth < lens.depths; ++depth) {
        std::cout << (depth == 0 ? "embedding" : "layer " + std::to_string(depth) + "  ");
        for (const auto& one : lens.at(depth, last).best)
            std::cout << std::setw(12) << model.tokenizer().bytes(one.token) << std::setw(5)
                      << std::setprecision(0) << 100 * std::exp(one.log_prob) << " %";
        std::cout << '\n';
    }
}
