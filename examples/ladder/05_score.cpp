// How likely a text is, token by token, and which of several endings a model finds likeliest.
#include <gpt2/rank.hpp>
#include <gpt2/score.hpp>
#include <gpt2/score_report.hpp>

#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);

    const std::string_view text = "The wolf came to the door.";
    const auto score = gpt2::score(model, text);
    std::cout << std::fixed << std::setprecision(2);
    for (const auto& token : score.tokens) {
        std::cout << std::setw(8) << model.tokenizer().bytes(token.token);
        if (token.rank > 0)  // the first has nothing before it
            std::cout << std::setw(7) << gpt2::surprisal(token.log_prob) << " bits, rank "
                      << token.rank;
        std::cout << '\n';
    }
    std::cout << "perplexity " << score.perplexity() << "\n\n";

    const std::string_view context = "The king had three";
    const std::vector<std::string> endings = {" doors", " sons", " of"};
    const auto ranking = gpt2::rank(model, {std::string(context), endings});
    for (const std::size_t i : ranking.order)
        std::cout << context << endings[i] << "  " << gpt2::surprisal(ranking.choices[i].log_prob)
                  << " bits\n";
}
