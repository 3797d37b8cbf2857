// Any bytes as a SentencePiece model that encodes a text; any bytes as the text for small models
// and for everything that normalises.
//
// The first byte says what the rest is: 0 mod 3, a model; 1, a text; 2, a map of characters.
#include <gpt2/detail/sentencepiece.hpp>
#include <gpt2/detail/wordpiece.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace gpt2::detail;
using ids = std::vector<gpt2::token_id>;

void require(bool condition) {
    if (!condition) std::abort();
}

constexpr std::string_view sample = "\u2581The  the A\u030A e\u0301\xFF 漢字 \u1100\u1161<s>\n";

void check_ids(const sentencepiece& model, std::string_view text) {
    ids out;
    model.encode(text, out);
    for (const auto id : out) (void)model.bytes(id);  // none is out of range
}

void take_model(std::string_view bytes) {
    try {
        check_ids(sentencepiece(read_sentencepiece_model(bytes, "model")), sample);
    } catch (const gpt2::error&) {
        // refused: the only other outcome
    }
}

void take_map(std::string_view bytes) {
    try {
        const charsmap map(bytes);
        (void)map.apply_by_grapheme(sample);
        for (std::string_view rest = sample; !rest.empty(); rest.remove_prefix(1))
            require(map.shortest(rest).size <= map.longest(rest).size);
    } catch (const gpt2::error&) {
    }
}

sentencepiece_model small(sentencepiece_model::algorithm kind) {
    sentencepiece_model made;
    made.kind = kind;
    made.unknown = 0;
    made.pieces = {{"<unk>", 0, piece_kind::unknown},
                   {"a", -3},
                   {"b", -3},
                   {"ab", -2},
                   {"\u2581a", -2},
                   {"aba", -1},
                   {"\u2581", -4},
                   {"ba", -1, piece_kind::unused},
                   {"bb", 0, piece_kind::user_defined}};
    return made;
}

void take_text(std::string_view text) {
    static const sentencepiece scored(small(sentencepiece_model::algorithm::unigram));
    static const sentencepiece merged(small(sentencepiece_model::algorithm::bpe));
    check_ids(scored, text);
    check_ids(merged, text);
    for (const auto form : {normal_form::nfc, normal_form::nfkc}) {
        const std::string once = normalized(text, form);
        require(normalized(once, form) == once);
        const auto apart = form == normal_form::nfc ? normal_form::nfd : normal_form::nfkd;
        require(normalized(normalized(text, apart), form) == once);
    }
    require(lowercased(text).size() <= 3 * text.size());
    require(without_marks(text).size() <= text.size());
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t size = grapheme_size(rest);
        require(size > 0 && size <= rest.size());
        rest.remove_prefix(size);
    }
    static const wordpiece words({{"?", 0}, {"a", 1}, {"##a", 2}, {"##ab", 3}}, {.unknown = 0});
    static const unigram plain({{"<unk>", 0}, {"a", -1}, {"ab", -3}, {"<0xFF>", -9}}, 0,
                               byte_fallback::on);
    ids out;
    words.encode(text, out);
    plain.encode(text, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 3 == 0) take_model(rest);
    if (data[0] % 3 == 1) take_text(rest);
    if (data[0] % 3 == 2) take_map(rest);
    return 0;
}
