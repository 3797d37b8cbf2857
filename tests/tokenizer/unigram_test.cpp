// The best cut into scored pieces: against Hugging Face tokenizers, against all cuts of short texts
// tried one by one, and on hostile vocabularies.
#include "reference_cases.hpp"

#include <gpt2/detail/unigram.hpp>

#include <chrono>

using namespace gpt2::detail;
using ids = std::vector<gpt2::token_id>;

namespace {

ids encoded(const unigram& model, std::string_view text) {
    ids out;
    model.encode(text, out);
    return out;
}

std::vector<scored_piece> reference_pieces() {
    std::vector<scored_piece> pieces;
    for (const auto& piece : test::reference_cases().at("unigram").at("pieces"))
        pieces.push_back({piece[0].get<std::string>(), piece[1].get<double>()});
    return pieces;
}

/// The best sum over all cuts; an unknown character counts `unknown`.
double best_sum(const std::vector<scored_piece>& pieces, double unknown, std::string_view text) {
    if (text.empty()) return 0;
    double best = unknown + best_sum(pieces, unknown, text.substr(1));
    for (const auto& [piece, score] : pieces)
        if (text.starts_with(piece))
            best = std::max(best, score + best_sum(pieces, unknown, text.substr(piece.size())));
    return best;
}

}  // namespace

TEST_CASE("unigram ids are those of Hugging Face tokenizers") {
    std::vector<std::string> texts = test::reference_texts();
    for (std::string& text : texts)
        for (std::size_t at = 0; (at = text.find(' ', at)) != text.npos;)
            text.replace(at, 1, "\u2581");
    for (const char* name : {"unigram", "unigram_bytes", "unigram_some"}) {
        INFO(name);
        const auto& expected = test::reference_cases().at(name);
        auto pieces = reference_pieces();
        const int bytes = expected.at("bytes").get<int>();
        for (int byte = 0; byte < bytes; ++byte) {
            char text[16];
            std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
            pieces.push_back({text, -20});
        }
        const unigram model(pieces, 0, bytes > 0 ? byte_fallback::on : byte_fallback::off);
        test::check_hashes(texts, expected.at("ids"),
                           [&](const std::string& text) { return encoded(model, text); });
    }
}

TEST_CASE("no cut is better than the one given") {
    test::split_mix dice(9);
    for (int round = 0; round < 150; ++round) {
        std::vector<scored_piece> pieces{{"<unk>", 0}};
        double worst = 0;
        for (std::size_t count = 1 + dice.below(12); count > 0; --count) {
            std::string text;
            for (std::size_t size = 1 + dice.below(4); size > 0; --size)
                text += "abc"[dice.below(3)];
            bool known = false;
            for (const auto& piece : pieces) known |= piece.text == text;
            if (known) continue;
            pieces.push_back({text, -0.25 * static_cast<double>(dice.below(20))});
            worst = std::min(worst, pieces.back().score);
        }
        const unigram model(pieces, 0, byte_fallback::off);
        for (int i = 0; i < 10; ++i) {
            std::string text;
            for (std::size_t size = dice.below(10); size > 0; --size) text += "abcx"[dice.below(4)];
            double sum = 0;
            for (const auto id : encoded(model, text))
                sum += pieces[static_cast<std::size_t>(id)].score;
            const auto unknowns = [&] {  // fused: so counted by what the known pieces leave
                std::size_t known = 0;
                for (const auto id : encoded(model, text))
                    if (id != 0) known += pieces[static_cast<std::size_t>(id)].text.size();
                return static_cast<double>(text.size() - known);
            }();
            INFO(text);
            REQUIRE(sum + unknowns * (worst - 10) ==
                    best_sum({pieces.begin() + 1, pieces.end()}, worst - 10, text));
        }
    }
}

TEST_CASE("of equal cuts the first found, an unknown character ten below the worst piece") {
    // As Hugging Face tokenizers 0.23 has these.
    CHECK(encoded(unigram({{"?", 0}, {"a", -1}, {"aa", -1}}, 0, byte_fallback::off), "aaa") ==
          ids{1, 2});
    CHECK(encoded(unigram({{"?", 0}, {"xa", -15}, {"b", -8}, {"ab", 0}}, 0, byte_fallback::off),
                  "xab") == ids{1, 2});
    const unigram nearly({{"?", 0}, {"a", -4.7F}, {"b", -7.2F}, {"aa", -3.8F}, {"ab", -6.3F}}, 0,
                         byte_fallback::off);
    CHECK(encoded(nearly, "aab") == ids{3, 2});  // in single precision it is the other
}

TEST_CASE("unknown text: one token, the piece it spells, or its bytes") {
    const std::vector<scored_piece> pieces{{"<unk>", 0}, {"a", -1}, {"<0xC3>", -1}, {"<0xA9>", -1}};
    const unigram plain(pieces, 0, byte_fallback::off), bytes(pieces, 0, byte_fallback::on);
    CHECK(encoded(plain, "aéxéa") == ids{1, 0, 1});
    CHECK(encoded(bytes, "aééa") == ids{1, 2, 3, 2, 3, 1});
    CHECK(encoded(bytes, "aéxa") == ids{1, 0, 1});  // not for all of them: none
    CHECK(encoded(bytes, "<unk>a") == ids{0, 1});
    CHECK(encoded(bytes, "\xC3") == ids{2});
    CHECK(encoded(plain, "").empty());
}

TEST_CASE("what a unigram vocabulary may not be") {
    CHECK_ERROR(gpt2::errc::bad_tokenizer, unigram({{"a", 0}}, 1, byte_fallback::off));
    CHECK_ERROR(gpt2::errc::bad_tokenizer, unigram({{"a", 0}}, -2, byte_fallback::off));
    const double infinite = std::numeric_limits<double>::infinity();
    CHECK_ERROR(gpt2::errc::bad_tokenizer, unigram({{"a", -infinite}}, 0, byte_fallback::off));
    const unigram without({{"a", 0}}, -1, byte_fallback::off);
    CHECK(encoded(without, "aa") == ids{0, 0});
    CHECK_ERROR(gpt2::errc::bad_tokenizer, encoded(without, "ab"));
    CHECK(encoded(unigram({}, -1, byte_fallback::off), "").empty());
}

TEST_CASE("long texts take time in proportion, and pieces that nest do no harm") {
    std::vector<scored_piece> pieces{{"<unk>", 0}};
    for (std::size_t size = 1; size <= 64; ++size) pieces.push_back({std::string(size, 'a'), -1});
    const unigram model(pieces, 0, byte_fallback::off);
    const auto start = std::chrono::steady_clock::now();
    const ids out = encoded(model, std::string(1 << 18, 'a'));
    CHECK(out.size() == (1 << 18) / 64);
    CHECK(encoded(model, std::string(1 << 18, 'b')) == ids{0});
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    CHECK(taken.count() < 10);
}

TEST_CASE("a trie of pieces finds what it was made of, and nothing else") {
    test::split_mix dice(4);
    for (int round = 0; round < 50; ++round) {
        std::vector<std::string> texts(1 + dice.below(60));
        for (auto& text : texts)
            for (std::size_t size = dice.below(6); size > 0; --size)
                text += static_cast<char>(dice.below(round % 2 == 0 ? 3 : 256));
        std::vector<piece_entry> entries;
        for (const auto& text : texts)
            entries.push_back({text, static_cast<gpt2::token_id>(entries.size())});
        const piece_trie trie(entries);
        for (int i = 0; i < 200; ++i) {
            std::string text;
            for (std::size_t size = dice.below(7); size > 0; --size)
                text += static_cast<char>(dice.below(round % 2 == 0 ? 3 : 256));
            if (i % 2 == 0) text = texts[dice.below(texts.size())];
            gpt2::token_id expected = -1;  // the last of equals
            for (const auto& entry : entries)
                if (entry.text == text) expected = entry.id;
            REQUIRE(trie.find(text) == expected);
            piece_trie::match longest;
            for (std::size_t size = 1; size <= text.size(); ++size)
                if (const auto id = trie.find(text.substr(0, size)); id >= 0) longest = {size, id};
            REQUIRE(trie.longest(text).size == longest.size);
            REQUIRE(trie.longest(text).id == longest.id);
        }
    }
    CHECK(piece_trie().find("a") == -1);
}
