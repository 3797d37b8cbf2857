// The tokenizer alone: no model, no Eigen, no thread. Its cuts, its ids, and any bytes back again.
#include <gpt2/tokenizer_files.hpp>

#include <iostream>
#include <string>

int main(int argc, char** argv) {
    const auto tokenizer = gpt2::load_tokenizer(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);

    const std::string text = "Once upon a time, 3 wolves — ¡qué miedo!";
    const auto ids = tokenizer.encode(text);
    for (const auto piece : tokenizer.pieces(text)) {
        std::cout << '[' << piece << ']';
        for (const auto id : tokenizer.merge_piece(piece)) std::cout << ' ' << id;
        std::cout << '\n';
    }
    std::cout << ids.size() << " tokens of " << tokenizer.size() << " for " << text.size()
              << " bytes\n";

    const std::string bytes = "any bytes: \xFF\xC0";
    const bool same =
        tokenizer.decode(tokenizer.encode(bytes)) == bytes && tokenizer.decode(ids) == text;
    std::cout << (same ? "all bytes come back\n" : "some bytes are lost\n");
    return same ? 0 : 1;
}
