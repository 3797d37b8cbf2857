// Any bytes as the files of a tokenizer that is more than byte-level BPE, and as a text for it: a
// typed error, or ids that decode alike at once and as a stream.
//
// The first byte says what the rest is: 0 mod 3, tokenizer.json; 1, vocab.txt and
// tokenizer_config.json; 2, a SentencePiece model, for each class. A byte 0xFF stands between
// texts, the last of which is to be encoded.
#include <gpt2/detail/text_stream.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

constexpr std::string_view sample =
    "\u2581The  the A\u030A e\u0301\xFF\xF0\x9F 漢字 12345<s> [SEP]</w>'LL\u1100\u1161\n ##x";

void use(const gpt2::tokenizer& tokenizer, std::string_view text) {
    for (const auto mode : {gpt2::specials::as_text, gpt2::specials::as_tokens}) {
        std::vector<gpt2::token_id> ids;
        try {
            ids = tokenizer.encode(text.substr(0, 4096), mode);
        } catch (const gpt2::error&) {
            continue;  // a character without a token
        }
        gpt2::token_stream stream(&tokenizer);
        std::string streamed;
        for (const gpt2::token_id id : ids) streamed += stream.push(id);
        require(streamed == tokenizer.decode(ids));
    }
    for (const auto* ids : {&tokenizer.frame().before, &tokenizer.frame().after})
        for (const gpt2::token_id id : *ids) (void)tokenizer.bytes(id);
    if (tokenizer.definition().empty())
        require(tokenizer.parts().tokens.size() == tokenizer.size());
}

void load(const gpt2::tokenizer_texts& texts, std::string_view text) {
    try {
        const auto tokenizer = gpt2::load_tokenizer(texts);
        use(tokenizer, text);
        use(tokenizer, sample);
    } catch (const gpt2::error&) {
        // refused: the only other outcome
    }
}

/// Takes what stands before the next 0xFF.
std::string_view next_text(std::string_view& rest) {
    const std::string_view text = rest.substr(0, rest.find('\xFF'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    gpt2::tokenizer_texts texts;
    if (data[0] % 3 == 0) {
        texts.tokenizer_json = next_text(rest);
        load(texts, rest);
    } else if (data[0] % 3 == 1) {
        texts.vocab_txt = next_text(rest);
        texts.tokenizer_config_json = next_text(rest);
        load(texts, rest);
    } else {
        texts.sentencepiece_model = rest;
        load(texts, sample);
        texts.tokenizer_config_json = R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 2})";
        load(texts, sample);
        texts.tokenizer_config_json =
            R"({"tokenizer_class": "GPTSw3Tokenizer", "do_lower_case": true})";
        load(texts, sample);
    }
    return 0;
}
