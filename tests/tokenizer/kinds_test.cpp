// Tokenizers of every kind that tokenizer.json describes, held to Hugging Face tokenizers on 5,000
// made-up strings each (tests/reference/make_tokenizers.py).
#include "../support/process.hpp"
#include "../support/sanitized.hpp"
#include "oracle.hpp"

#include <gpt2/detail/text_stream.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

using gpt2::errc;
using gpt2::specials;
using nlohmann::json;

namespace {

std::filesystem::path folder() { return test::source_folder() / "tests/reference/tokenizers"; }

/// The strings of make_tokenizers.py, made in the same way.
class corpus {
public:
    explicit corpus(const json& from)
        : parts_(from["parts"].get<std::vector<std::string>>()), state_(from["seed"]) {}

    std::string string() {
        std::string text;
        for (std::uint64_t left = below(14); left > 0; --left) {
            if (below(8) == 0)
                gpt2::detail::append_utf8(text, point());
            else
                text += parts_[below(parts_.size())];
        }
        return text;
    }

private:
    std::size_t below(std::size_t count) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return (state_ >> 33) % count;
    }
    char32_t point() {
        constexpr std::size_t limits[] = {0x250, 0x3100, 0x10000, 0x20000, 0x110000};
        const auto point = static_cast<char32_t>(below(limits[below(5)]));
        return point >= 0xD800 && point < 0xE000 ? U' ' : point;
    }

    std::vector<std::string> parts_;
    std::uint64_t state_;
};

/// FNV-1a over what a string comes to, folded to 16 bits.
class folded_hash {
public:
    void add(const test::ids& ids) {
        for (const gpt2::token_id id : ids)
            for (int shift = 0; shift < 32; shift += 8) take(static_cast<unsigned>(id) >> shift);
        take(0xFF);
    }
    void add(const std::string& text) {
        gpt2::utf8_stream whole;
        for (const char byte : whole.push(text) + whole.finish())
            take(static_cast<unsigned char>(byte));
        take(0xFF);
    }
    unsigned value() const {
        return static_cast<unsigned>((hash_ ^ hash_ >> 16 ^ hash_ >> 32 ^ hash_ >> 48) & 0xFFFF);
    }

private:
    void take(unsigned byte) { hash_ = (hash_ ^ (byte & 0xFF)) * 0x100000001B3u; }
    std::uint64_t hash_ = 0xCBF29CE484222325u;
};

/// The 16 bits at a place of a file.
unsigned at(const std::string& file, std::size_t place) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(file[i]); };
    return byte(place) + 256u * byte(place + 1);
}

std::string streamed(const gpt2::tokenizer& t, const test::ids& ids) {
    gpt2::token_stream stream(&t);
    std::string text;
    for (const gpt2::token_id id : ids) text += stream.push(id);
    return text;
}

gpt2::tokenizer kind(const std::string& name) {
    const auto text = test::read_file(folder() / (name + ".json"));
    return gpt2::load_tokenizer(gpt2::tokenizer_texts{.tokenizer_json = text});
}

const std::vector<std::string> kinds = {
    "bpe_llama",     "bpe_metaspace",  "bpe_suffix",        "bpe_prefix",      "bytes_digits",
    "bytes_llama3",  "bytes_words",    "bytes_normalizer",  "bytes_plain",     "unigram_t5",
    "unigram_first", "unigram_albert", "wordpiece_uncased", "wordpiece_cased", "words",
    "letters",       "splits",
};

}  // namespace

TEST_CASE("every kind of tokenizer.json gives the ids and the text of Hugging Face") {
    const auto from = json::parse(test::read_file(folder() / "corpus.json"));
    for (const std::string& name : kinds) {
        const auto t = kind(name);
        const auto expected = test::read_file(folder() / (name + ".expect"));
        corpus strings(from);
        REQUIRE(expected.size() == 2 * from["count"].get<std::size_t>());
        std::size_t wrong = 0;
        std::string first;
        for (std::size_t i = 0; i < expected.size(); i += 2) {
            const std::string text = strings.string();
            const auto ids = t.encode(text, specials::as_tokens);
            folded_hash hash;
            hash.add(ids);
            hash.add(t.encode(text));
            hash.add(t.decode(ids));
            hash.add(t.decode(ids, specials::skip));
            const bool right = hash.value() == at(expected, i) && streamed(t, ids) == t.decode(ids);
            if (!right && wrong++ == 0) first = gpt2::detail::printable(text, 200);
        }
        INFO(name << ": " << first);
        CHECK(wrong == 0);
    }
}

TEST_CASE("what Hugging Face puts around a text is told, and left to the caller") {
    const auto frames = json::parse(test::read_file(folder() / "frames.json"));
    for (const std::string& name : kinds) {
        INFO(name);
        const auto t = kind(name);
        CHECK(t.frame().before == frames[name][0].get<test::ids>());
        CHECK(t.frame().after == frames[name][1].get<test::ids>());
    }
}

TEST_CASE("a tokenizer that is more than byte-level BPE keeps the file it came from") {
    for (const std::string& name : kinds) {
        INFO(name);
        const auto t = kind(name);
        if (name == "bytes_plain") {
            CHECK(t.definition().empty());
            continue;
        }
        REQUIRE(t.definition().size() == 1);
        CHECK(t.definition()[0].name == "tokenizer.json");
        CHECK(t.definition()[0].bytes == test::read_file(folder() / (name + ".json")));
        CHECK_ERROR(errc::unsupported, t.parts());
        CHECK_ERROR(errc::unsupported, t.pieces("a"));
        CHECK_ERROR(errc::unsupported, t.merge_piece("a"));
    }
}

TEST_CASE("a tokenizer made of the parts of another is equal to it") {
    const auto t = kind("bytes_plain");
    const gpt2::tokenizer again(t.parts());
    const auto from = json::parse(test::read_file(folder() / "corpus.json"));
    corpus strings(from);
    REQUIRE(again.size() == t.size());
    CHECK(again.frame().after == t.frame().after);
    for (gpt2::token_id id = 0; id < static_cast<gpt2::token_id>(t.size()); ++id) {
        CHECK(again.bytes(id) == t.bytes(id));
        CHECK(again.is_special(id) == t.is_special(id));
    }
    for (int i = 0; i < 500; ++i) {
        const std::string text = strings.string();
        CHECK(again.encode(text) == t.encode(text));
        CHECK(again.encode(text, specials::as_tokens) == t.encode(text, specials::as_tokens));
    }
}

TEST_CASE("no text becomes a control token, whatever normalising makes of it") {
    // "<S>" is "<s>" in lower case, a token of the model, which Hugging Face then takes for its
    // begin of text.
    for (const std::string name : {"unigram_albert", "wordpiece_uncased", "bpe_suffix"}) {
        INFO(name);
        const auto t = kind(name);
        for (const char* text : {"<s>", "<S>", "a<S>b", " <s> "})
            for (const gpt2::token_id id : t.encode(text)) CHECK(t.bytes(id) != "<s>");
        for (const gpt2::token_id id : t.encode("<S>", specials::as_tokens))
            CHECK(t.bytes(id) != "<s>");
    }
    const auto t = kind("unigram_albert");
    CHECK(t.encode("<s>", specials::as_tokens) == test::ids{1});
    CHECK(t.encode("<s>", specials::skip).empty());
}

TEST_CASE("special tokens that are looked for in the normalised text can be left out") {
    auto document = json::parse(test::read_file(folder() / "bpe_suffix.json"));
    gpt2::token_id id = -1;
    for (auto& token : document["added_tokens"])
        if (token["content"] == "[Turn]") token["special"] = true, id = token["id"];
    const std::string text = document.dump();
    const auto t = gpt2::load_tokenizer(gpt2::tokenizer_texts{.tokenizer_json = text});
    const auto all = t.encode("a [TURN] b", specials::as_tokens);
    CHECK(std::count(all.begin(), all.end(), id) == 1);
    auto left = all;
    left.erase(std::find(left.begin(), left.end(), id));
    CHECK(t.encode("a [TURN] b", specials::skip) == left);
    CHECK(t.decode(all, specials::skip) == t.decode(left));
}

TEST_CASE("any bytes can be encoded by every kind, or are refused by name") {
    const std::string bytes = "a\xFF\xC3\x28 \xF0\x9F\x9A the\xED\xA0\x80\x80";
    for (const std::string& name : kinds) {
        INFO(name);
        const auto t = kind(name);
        CHECK_FALSE(t.encode(bytes).empty());
        CHECK(t.encode("").empty());
        CHECK_ERROR(errc::token_out_of_range, t.decode(test::ids{0, -1}));
        CHECK_ERROR(errc::token_out_of_range,
                    t.decode(test::ids{static_cast<gpt2::token_id>(t.size())}));
    }
    for (const std::string name : {"bytes_llama3", "bytes_plain"}) {
        const auto t = kind(name);
        const std::string back = t.decode(t.encode(bytes));
        CHECK(back.ends_with(bytes));
    }
}

TEST_CASE("folders with a SentencePiece model or vocab.txt give the ids of their classes") {
    auto from = json::parse(test::read_file(folder() / "corpus.json"));
    auto& parts = from["parts"];
    parts.erase(std::find(parts.begin(), parts.end(), "\x1F"));
    for (const char* more : {"<|endoftext|>", "[CLS]", "[PAD]", "<extra_id_1>", "<pad>"})
        parts.push_back(more);
    for (const std::string name : {"t5", "gpt_sw3", "bert"}) {
        const auto t = gpt2::load_tokenizer(folder() / name);
        const auto expected = test::read_file(folder() / name / "expect");
        const auto frame = json::parse(test::read_file(folder() / name / "frame.json"));
        CHECK(t.frame().before == frame[0].get<test::ids>());
        CHECK(t.frame().after == frame[1].get<test::ids>());
        REQUIRE(t.definition().size() == 2);
        corpus strings(from);
        std::size_t wrong = 0;
        std::string first;
        for (std::size_t i = 0; i < expected.size(); i += 2) {
            const std::string text = strings.string();
            const auto alone = t.encode(text);
            folded_hash hash;
            hash.add(t.encode(text, specials::as_tokens));
            if (name != "bert") hash.add(alone);
            if (name != "bert") hash.add(t.decode(alone));
            const bool right =
                hash.value() == at(expected, i) && streamed(t, alone) == t.decode(alone);
            if (!right && wrong++ == 0) first = gpt2::detail::printable(text, 200);
        }
        INFO(name << ": " << first);
        CHECK(wrong == 0);
    }
}

TEST_CASE("the files beside a SentencePiece model or vocab.txt") {
    const auto model = test::read_file(folder() / "t5/spiece.model");
    const auto with = [&](std::string_view config) {
        return gpt2::load_tokenizer(
            gpt2::tokenizer_texts{.tokenizer_config_json = config, .sentencepiece_model = model});
    };
    const auto plain = gpt2::load_tokenizer(gpt2::tokenizer_texts{.sentencepiece_model = model});
    CHECK(plain.frame().after.empty());
    CHECK(plain.encode("<s>The ferry", specials::as_tokens).front() == 1);
    CHECK(with(R"({"tokenizer_class": "T5Tokenizer"})").size() == plain.size() + 100);
    CHECK(with(R"({"tokenizer_class": "T5TokenizerFast", "extra_ids": 0})").frame().after ==
          test::ids{2});
    CHECK_ERROR(errc::unsupported, with(R"({"tokenizer_class": "LlamaTokenizer"})"));
    CHECK_ERROR(errc::bad_tokenizer, with(R"({"added_tokens_decoder": {"1": {"content": "x"}}})"));
    CHECK_ERROR(errc::bad_tokenizer,
                with(R"({"added_tokens_decoder": {"999": {"content": "x"}}})"));
    CHECK_ERROR(errc::bad_tokenizer,
                with(R"({"tokenizer_class": "T5Tokenizer", "extra_ids": -1})"));
    const auto lines = test::read_file(folder() / "bert/vocab.txt");
    const auto bert = [&](std::string_view vocab, std::string_view config) {
        return gpt2::load_tokenizer(
            gpt2::tokenizer_texts{.tokenizer_config_json = config, .vocab_txt = vocab});
    };
    CHECK(bert(lines, "{}").encode("THE") == bert(lines, "{}").encode("the"));
    CHECK(bert("[UNK]\r\na\r\n##b", "{}").encode("ab A c") == test::ids{1, 2, 1, 0});
    CHECK(bert("[UNK]\na\n##b", "{}").frame().before.empty());
    CHECK_ERROR(errc::unsupported, bert(lines, R"({"tokenizer_class": "XLMTokenizer"})"));
    CHECK_ERROR(errc::unsupported, bert(lines, R"({"do_basic_tokenize": false})"));
    CHECK_ERROR(errc::bad_tokenizer, bert("a\na\n[UNK]", "{}"));
    CHECK_ERROR(errc::bad_tokenizer, bert("a\nb", "{}"));
    CHECK_ERROR(errc::bad_tokenizer, bert("", "{}"));
}

TEST_CASE("a stream that goes on behind a text says what decode says of both") {
    for (const std::string name : {"bpe_llama", "bpe_suffix", "wordpiece_uncased", "unigram_t5"}) {
        const auto t = kind(name);
        const auto ids = t.encode("The ferry left at seven, and nobody on the quay could say why");
        const std::string whole = t.decode(ids);
        for (std::size_t past = 0; past <= ids.size(); ++past) {
            gpt2::token_stream stream(&t);
            const std::span<const gpt2::token_id> all(ids);
            (void)stream.skip(all.first(past));
            std::string rest;
            for (const gpt2::token_id id : all.subspan(past)) rest += stream.push(id);
            INFO(name << " from token " << past);
            CHECK(rest == whole.substr(t.decode(all.first(past)).size()));
            CHECK(stream.push(static_cast<gpt2::token_id>(t.size())).empty());
        }
    }
    CHECK(gpt2::token_stream(nullptr).push(0).empty());
}

TEST_CASE("a pattern that would take quadratic time is stopped") {
    auto document = json::parse(test::read_file(folder() / "words.json"));
    const std::string many(1 << 20, 'a');
    for (const char* part : {"normalizer", "pre_tokenizer"}) {
        auto changed = document;
        changed[part] = {{"type", part == std::string("normalizer") ? "Replace" : "Split"},
                         {"pattern", {{"Regex", "a*b|a"}}},
                         {part == std::string("normalizer") ? "content" : "behavior", "Isolated"}};
        const std::string text = changed.dump();
        const auto t = gpt2::load_tokenizer(gpt2::tokenizer_texts{.tokenizer_json = text});
        CHECK(test::cpu_seconds([&] { CHECK_ERROR(errc::limit_exceeded, t.encode(many)); }) < 10);
        CHECK_FALSE(t.encode("aaab aaa").empty());
    }
}

TEST_CASE("a tokenizer.json that is cut or has one wrong bit is refused, or loads") {
    for (const std::string name : {"bpe_suffix", "unigram_first", "wordpiece_cased"}) {
        INFO(name);
        const auto seed =
            test::read_file(test::source_folder() / "tests/fuzz/corpus/pipeline" / name);
        const std::string text = seed.substr(1, seed.find('\xFF') - 1);
        const auto loads = [](const std::string& changed) {
            const auto problem = test::error_of([&] {
                (void)gpt2::load_tokenizer(gpt2::tokenizer_texts{.tokenizer_json = changed})
                    .encode("the f\xC3\xA9 rry <s>", specials::as_tokens);
            });
            return !problem;
        };
        REQUIRE(loads(text));
        std::size_t loaded = 0;
        for (std::size_t size = 0; size < text.size(); ++size)
            loaded += loads(text.substr(0, size));
        CHECK(loaded == 0);
        for (std::size_t bit = 0; bit < 8 * text.size(); bit += test::sanitized ? 9 : 1) {
            std::string changed = text;
            changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
            loaded += loads(changed);
        }
        CHECK(loaded > 0);
        CHECK(loaded < 4 * text.size());
    }
}
