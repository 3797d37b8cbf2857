// A filter of one's own in the chain that chooses the next token: here no word may begin with a
// letter of the list, which takes one look at the vocabulary and one line per step.
#include <gpt2/gpt2.hpp>

#include <iostream>
#include <limits>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);

    std::vector<std::size_t> banned;  // tokens that begin a word with h or w
    for (std::size_t id = 0; id < model.config().vocabulary_size; ++id) {
        const auto bytes = model.tokenizer().bytes(static_cast<gpt2::token_id>(id));
        for (const std::string_view begin : {" h", " w", " H", " W"})
            if (bytes.starts_with(begin)) banned.push_back(id);
    }

    const auto filter = [banned](std::span<float> logits, std::span<const gpt2::token_id>) {
        for (const std::size_t id : banned) logits[id] = -std::numeric_limits<float>::infinity();
    };

    gpt2::options how{.max_new_tokens = 24, .sampling = gpt2::top_k(40, 0.8f), .seed = 3};
    std::cout << "The king" << model.generate("The king", how).text << "\n\n";
    how.sampling = how.sampling | gpt2::custom("no h, no w", filter);
    std::cout << gpt2::describe(how) << ":\nThe king" << model.generate("The king", how).text
              << '\n';
}
