// Encodes each file named on standard input, once, on one thread: a line "seconds tokens" each.
// tokenizer_speed.py runs it beside other tokenizers.
#include <gpt2/tokenizer_files.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

int main(int argc, char** argv) try {
    if (argc != 2) return 2;
    const gpt2::tokenizer tokenizer = gpt2::load_tokenizer(std::filesystem::path(argv[1]));
    for (std::string path; std::getline(std::cin, path);) {
        const std::string text = gpt2::detail::read_text(gpt2::detail::file_source(path),
                                                         gpt2::tokenizer::most_text_bytes);
        const auto begin = std::chrono::steady_clock::now();
        const auto ids = tokenizer.encode(text);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        std::cout << took.count() << ' ' << ids.size() << std::endl;
    }
} catch (const std::exception& problem) {
    std::cerr << problem.what() << '\n';
    return 1;
}
