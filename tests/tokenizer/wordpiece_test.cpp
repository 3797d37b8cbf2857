// Longest piece first: against Hugging Face tokenizers, and the edges of the rule.
#include "reference_cases.hpp"

#include <gpt2/detail/wordpiece.hpp>

using namespace gpt2::detail;
using ids = std::vector<gpt2::token_id>;

namespace {

wordpiece made(const std::vector<std::string>& pieces, const wordpiece_rules& rules) {
    std::vector<piece_entry> entries;
    for (const auto& piece : pieces)
        entries.push_back({piece, static_cast<gpt2::token_id>(entries.size())});
    return {std::move(entries), rules};
}

ids encoded(const wordpiece& model, std::string_view word) {
    ids out;
    model.encode(word, out);
    return out;
}

}  // namespace

TEST_CASE("wordpiece ids are those of Hugging Face tokenizers") {
    const auto& expected = test::reference_cases().at("wordpiece");
    const auto model =
        made(expected.at("pieces").get<std::vector<std::string>>(),
             {.unknown = 0, .longest_word = expected.at("longest").get<std::size_t>()});
    auto words = test::reference_strings("syllables", 2);
    std::erase(words, "");
    test::check_hashes(words, expected.at("ids"),
                       [&](const std::string& word) { return encoded(model, word); });
}

TEST_CASE("a word is cut whole or not at all") {
    const auto model = made({"[UNK]", "un", "##aff", "##able", "##a", "a", "##"}, {.unknown = 0});
    CHECK(encoded(model, "unaffable") == ids{1, 2, 3});
    CHECK(encoded(model, "unaffablex") == ids{0});
    CHECK(encoded(model, "aa") == ids{5, 4});
    CHECK(encoded(model, "##a") == ids{4});  // as the file spells it
    CHECK(encoded(model, "").empty());
    CHECK(encoded(model, "a\xFF") == ids{0});
}

TEST_CASE("words have a longest length in characters") {
    const auto model = made({"[UNK]", "é", "##é"}, {.unknown = 0, .longest_word = 3});
    CHECK(encoded(model, "ééé") == ids{1, 2, 2});
    CHECK(encoded(model, "éééé") == ids{0});
}

TEST_CASE("other prefixes, and none") {
    CHECK(encoded(made({"u", "a", "b", "aab"}, {.unknown = 0, .prefix = ""}), "aabab") ==
          ids{3, 1, 2});
    CHECK(encoded(made({"u", "a", "@b"}, {.unknown = 0, .prefix = "@"}), "ab") == ids{1, 2});
    CHECK(encoded(made({"u", "a", "b"}, {.unknown = 0, .prefix = "@"}), "ab") == ids{0});
    CHECK_ERROR(gpt2::errc::bad_tokenizer, made({"a"}, {}));
}
