// What a second argument means is said by name, never by true or false.
#include <gpt2/tokenizer.hpp>

#include <vector>

std::vector<gpt2::token_id> ids(const gpt2::tokenizer& words) {
#ifdef REFUSED
    return words.encode("text", true);
#else
    return words.encode("text", gpt2::specials::as_tokens);
#endif
}
