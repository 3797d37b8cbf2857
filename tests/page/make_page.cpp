// The page of a walk: JSON on standard input, HTML on standard output. For check_page.py.
//
//     make_page [en|es] < walk.json > page.html

#include <gpt2/walk_page.hpp>

#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

int main(int count, char** arguments) {
    const std::string json(std::istreambuf_iterator<char>(std::cin), {});
    gpt2::page_options how;
    how.title = "</title><script>window.ran = 1</script>";  // shows as itself, like every text
    if (count > 1 && std::string_view(arguments[1]) == "es")
        how.language = gpt2::page_language::spanish;
    std::cout << gpt2::page_of(json, how);
    return std::cout.flush() ? 0 : 1;
}
