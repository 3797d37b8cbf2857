// Several texts at once: the weights are read once for all, and each text is the one that it would
// be alone, to the bit.
#include <gpt2/gpt2.hpp>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);

    const std::vector<std::string> prompts = {"The king", "The wolf", "An old woman"};
    const gpt2::options how{.max_new_tokens = 12};
    const auto together = model.generate(prompts, how);

    bool same = true;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        std::cout << prompts[i] << together[i].text << '\n';
        const auto alone = model.generate(prompts[i], how);
        same =
            same && alone.tokens == together[i].tokens && alone.log_probs == together[i].log_probs;
    }
    std::cout << (same ? "each as if alone\n" : "they differ\n");
    return same ? 0 : 1;
}
