// GPT-2's own vocabulary, where ../shared lies beside the checkout: hard strings, every token, long
// inputs with the counts and hashes that an independent implementation and tiktoken gave.
#include "oracle.hpp"

#include <gpt2/tokenizer_files.hpp>

#include <chrono>

namespace {

const gpt2::tokenizer& gpt2_tokenizer() {
    static const auto tokenizer = gpt2::load_tokenizer(test::shared_data("data/tokenizer/gpt2"));
    return tokenizer;
}

std::string repeated(std::string_view unit, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += unit;
    return text;
}

double seconds_of(const std::string& text) {
    double best = 1e9;
    for (int round = 0; round < 2; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        (void)gpt2_tokenizer().encode(text);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        best = std::min(best, took.count());
    }
    return best;
}

}  // namespace

TEST_CASE("the 148 hard strings") {
    const auto path = test::shared_data("data/vectors/tokenizer.json");
    if (path.empty()) return;
    const auto cases = nlohmann::json::parse(test::read_file(path));
    CHECK(cases.size() == 148);
    for (const auto& item : cases) {
        const std::string bytes = test::from_hex(item["hex"]);
        INFO(item["n"] << " " << item["why"]);
        CHECK(gpt2_tokenizer().encode(bytes) == item["ids"].get<test::ids>());
        CHECK(gpt2_tokenizer().decode(gpt2_tokenizer().encode(bytes)) == bytes);
    }
}

TEST_CASE("GPT-2's end of text is plain text unless asked for") {
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    const auto& t = gpt2_tokenizer();
    CHECK(t.size() == 50257);
    CHECK(t.encode("<|endoftext|>") == test::ids{27, 91, 437, 1659, 5239, 91, 29});
    CHECK(t.encode("a<|endoftext|>b", gpt2::specials::as_tokens) == test::ids{64, 50256, 65});
    CHECK(t.encode("<|endoftext|><|endoftext|>", gpt2::specials::as_tokens) ==
          test::ids{50256, 50256});
    CHECK(t.encode("##") == test::ids{2235});  // a merge whose line begins with #
    CHECK(t.encode("y is ?") == test::ids{88, 318, 5633});
    CHECK(t.decode(test::ids{88, 318, 5633}) == "y is ?");
}

TEST_CASE("GPT-2's tokens through a stream") {
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    const auto& t = gpt2_tokenizer();
    gpt2::utf8_stream stream;
    CHECK(stream.push(t.bytes(47249)).empty());
    CHECK(stream.push(t.bytes(222)) == "\xF0\x9F\x98\x80");
    CHECK(stream.push(t.bytes(47249)).empty());
    CHECK(stream.finish() == "\xEF\xBF\xBD");
    CHECK(t.bytes(187) == "\xFF");
    CHECK(stream.push(t.bytes(187)) == "\xEF\xBF\xBD");
}

TEST_CASE("every token of GPT-2 decodes to itself") {
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    const auto& t = gpt2_tokenizer();
    std::size_t single = 0, longest = 0;
    for (gpt2::token_id id = 0; id < 50257; ++id) {
        const auto ids = t.encode(t.bytes(id));
        REQUIRE(t.decode(ids) == t.bytes(id));
        single += ids == test::ids{id};
        longest = std::max(longest, t.bytes(id).size());
    }
    CHECK(longest == 128);
    CHECK(t.bytes(35496).size() == 128);
    CHECK(single > 50000);
    CHECK(single < 50257);
}

TEST_CASE("long inputs give known counts and hashes within a second") {
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    struct golden {
        std::string text;
        std::size_t count;
        gpt2::token_id first;
        std::uint64_t hash;
    };
    std::string letters;
    for (std::uint32_t i = 0, x = 1; i < 100000; ++i) {
        x = (x * 1103515245u + 12345u) & 0x7FFFFFFFu;
        letters += static_cast<char>('a' + (x >> 16) % 26);
    }
    const golden all[] = {{repeated("a", 100000), 25000, 24794, 0x8cf554b4dbe38ea5},
                          {repeated("^", 1000000), 250000, 39397, 0x2e555f2e43d82145},
                          {repeated(" ", 100000), 100000, 220, 0x0f58eaab16bd8b25},
                          {repeated("\n", 100000), 50000, 628, 0x1f3cc2dcffb00025},
                          {repeated("'s", 10000), 10000, 338, 0xd9c24d93152a4645},
                          {repeated("0", 100000), 6250, 25645, 0xf774735186809e15},
                          {repeated("ab", 50000), 50000, 397, 0x0629b0e2d3e96745},
                          {repeated("A", 1048576), 131072, 43488, 0xb1a20e540a122325},
                          {repeated("=", 65536), 1024, 23926, 0xf66e12352b7c4b25},
                          {repeated("\xE4\xBD\xA0", 30000), 60000, 19526, 0x5e5bd5b3175ca4a5},
                          {repeated("\xCC\x81", 50000), 100000, 136, 0xa84121013b79ae25},
                          {letters, 59547, 80, 0xe1fcbf92263c7e52}};
    for (const golden& item : all) {
        const auto begin = std::chrono::steady_clock::now();
        const auto ids = gpt2_tokenizer().encode(item.text);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        INFO(gpt2::detail::printable(item.text, 10));
        CHECK(ids.size() == item.count);
        CHECK(ids.front() == item.first);
        std::uint64_t hash = 0xCBF29CE484222325u;
        for (const auto id : ids)
            for (int shift = 0; shift < 32; shift += 8)
                hash = test::fnv(hash, static_cast<unsigned char>(id >> shift));
        CHECK(hash == item.hash);
        CHECK(took.count() < 5);  // a second, with room for sanitizers
    }
}

TEST_CASE("time grows no faster than n log n") {
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    test::dice dice(2);
    std::string letters;
    for (int i = 0; i < 1 << 18; ++i) letters += static_cast<char>('a' + dice.below(26));
    for (const std::string unit : {"a", "^", " ", "\n", "\xCC\x81"}) {
        const auto of = [&](std::size_t bytes) {
            return seconds_of(repeated(unit, bytes / unit.size()));
        };
        CHECK(of(1 << 18) / of(1 << 14) < 16 * 12);  // four doublings; quadratic: 256
    }
    CHECK(seconds_of(letters) / seconds_of(letters.substr(0, 1 << 14)) < 16 * 12);
}
