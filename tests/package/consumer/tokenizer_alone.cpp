// The tokenizer alone, compiled with nothing but this repository's include folder: a vocabulary of
// the 256 bytes and one merge.
#include <gpt2/tokenizer.hpp>

#include <string>
#include <utility>
#include <vector>

int main() {
    gpt2::vocabulary from;
    for (int byte = 0; byte < 256; ++byte) from.tokens.emplace_back(1, static_cast<char>(byte));
    from.tokens.push_back("hi");
    from.merges.push_back({'h', 'i', 256});
    const gpt2::tokenizer words(std::move(from));
    const bool right = words.encode("oh hi") == std::vector<gpt2::token_id>{'o', 'h', ' ', 256} &&
                       words.decode(words.encode("oh hi")) == "oh hi";
    return right ? 0 : 1;
}
