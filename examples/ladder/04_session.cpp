// A running text: feed it, look at what may come next, let it branch, take words back.
#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <iostream>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);

    auto text = model.start("The king had three");
    const auto logits = text.logits();  // (V), one number for each token that may come
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    std::cout << "likeliest next: \"" << model.tokenizer().bytes(static_cast<gpt2::token_id>(best))
              << "\"\n";

    // Two texts with one past: what they share is computed once.
    auto other = text.fork();
    text.feed(" sons");
    other.feed(" wolves");
    const gpt2::options how{.max_new_tokens = 10};
    std::cout << "The king had three sons" << text.generate(how).text << '\n';
    std::cout << "The king had three wolves" << other.generate(how).text << '\n';

    // Back to the fourth token, and on another way.
    text.rewind(4);
    text.feed(" horses");
    std::cout << model.tokenizer().decode(text.tokens()) << text.generate(how).text << '\n';
}
