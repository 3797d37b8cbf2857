// Any bytes to ids and back, and through a stream in portions; and any bytes as tokenizer files.
//
// The first byte says what the rest is: odd, a text for a small vocabulary with hostile merges and
// added tokens; even, the texts of tokenizer files divided by a byte 0xFF.
#include <gpt2/tokenizer_files.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

gpt2::tokenizer small() {
    gpt2::vocabulary made;
    for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* token : {"ab", "bc", "abc", "aa", "aaaa", "  ", " a"})
        made.tokens.emplace_back(token);
    made.merges = {{'b', 'c', 257}, {'a', 'b', 256}, {'a', 257, 258}, {259, 259, 260},
                   {'a', 'a', 259}, {256, 'c', 258}, {' ', ' ', 261}, {' ', 'a', 262}};
    made.added = {{.content = "<e>", .id = 263, .special = true, .lstrip = true},
                  {.content = "<e><e>", .id = 264, .rstrip = true, .normalized = true},
                  {.content = "\xFF", .id = 265, .special = true, .single_word = true}};
    return gpt2::tokenizer(made);
}

void encode_and_decode(std::string_view text) {
    static const gpt2::tokenizer tokenizer = small();
    const auto ids = tokenizer.encode(text);
    require(tokenizer.decode(ids) == text);
    std::string joined;
    for (const auto piece : tokenizer.pieces(text)) {
        require(!piece.empty());
        joined += piece;
    }
    require(joined == text);
    (void)tokenizer.encode(text, gpt2::specials::as_tokens);
    (void)tokenizer.encode(text, gpt2::specials::skip);

    gpt2::utf8_stream whole, parts;
    std::string one = whole.push(text), many;
    one += whole.finish();
    for (const gpt2::token_id id : ids) {
        many += parts.push(tokenizer.bytes(id));
        require(parts.pending().size() <= 3);
    }
    many += parts.finish();
    require(one == many);
}

void load(std::string_view text) {
    std::vector<std::string_view> files;
    while (files.size() < 5) {
        files.push_back(text.substr(0, text.find('\xFF')));
        if (files.back().size() == text.size()) break;
        text.remove_prefix(files.back().size() + 1);
    }
    try {
        gpt2::tokenizer_texts texts;
        if (files.size() == 1) texts.tokenizer_json = files[0];
        if (files.size() > 1) texts.vocab_json = files[0], texts.merges_txt = files[1];
        if (files.size() > 2) texts.added_tokens_json = files[2];
        if (files.size() > 3) texts.special_tokens_map_json = files[3];
        if (files.size() > 4) texts.tokenizer_config_json = files[4];
        const auto tokenizer = gpt2::load_tokenizer(texts);
        std::string all;
        for (std::size_t id = 0; id < tokenizer.size(); ++id)
            all += tokenizer.bytes(static_cast<gpt2::token_id>(id));
        const auto ids = tokenizer.encode(all, gpt2::specials::as_tokens);
        require(tokenizer.decode(ids).size() <= 2 * all.size() + 1);
    } catch (const gpt2::error&) {
        // refused: the only other outcome
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 1)
        encode_and_decode(rest);
    else
        load(rest);
    return 0;
}
