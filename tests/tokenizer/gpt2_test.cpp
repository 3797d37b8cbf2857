// GPT-2's own vocabulary, where ../shared lies beside the checkout: hard strings, every token, long
// inputs with the counts and hashes that an independent implementation and tiktoken gave.
#include "oracle.hpp"

#include "../support/process.hpp"

#include <gpt2/detail/byte_alphabet.hpp>
#include <gpt2/detail/tokenizer_builder.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <cmath>

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

/// CPU seconds of one encode, the best of three.
double seconds_of(std::string_view text) {
    double best = 1e9;
    for (int round = 0; round < 3; ++round)
        best = std::min(best, test::cpu_seconds([&] { (void)gpt2_tokenizer().encode(text); }));
    return best;
}

/// `size` letters of a linear congruential generator.
std::string random_letters(std::size_t size) {
    std::string letters;
    for (std::uint32_t x = 1; letters.size() < size;) {
        x = (x * 1103515245u + 12345u) & 0x7FFFFFFFu;
        letters += static_cast<char>('a' + (x >> 16) % 26);
    }
    return letters;
}

}  // namespace

TEST_CASE("GPT-2's merges make its ids in turn") {  // 146, 163
    const auto folder = test::shared_data("data/tokenizer/gpt2");
    if (folder.empty()) return;
    const auto& t = gpt2_tokenizer();
    const std::string lines = test::read_file(folder / "merges.txt");
    const auto merges = gpt2::detail::read_merge_lines(lines, "merges.txt: line ");
    REQUIRE(merges.size() == 50000);
    nlohmann::json pairs = nlohmann::json::array();
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const auto& [left, right, number] = merges[rank];
        const auto joined = gpt2::detail::symbol_bytes(std::string(left) + std::string(right));
        REQUIRE(t.bytes(static_cast<gpt2::token_id>(256 + rank)) == joined);
        pairs.push_back({std::string(left), std::string(right)});
    }
    const nlohmann::json document = {
        {"model",
         {{"type", "BPE"},
          {"vocab", nlohmann::json::parse(test::read_file(folder / "vocab.json"))},
          {"merges", pairs}}},
        {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}}};
    const std::string text = document.dump();
    const auto one_file = gpt2::load_tokenizer(gpt2::tokenizer_texts{.tokenizer_json = text});
    const auto path = test::shared_data("data/vectors/tokenizer.json");
    if (path.empty()) return;
    for (const auto& item : nlohmann::json::parse(test::read_file(path)))
        CHECK(one_file.encode(test::from_hex(item["hex"])) == item["ids"].get<test::ids>());
}

TEST_CASE("the 148 hard strings") {  // 164
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

TEST_CASE("long inputs give known counts and hashes, soon and in little memory") {  // 172
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    struct golden {
        std::string text;
        std::size_t count;
        gpt2::token_id first;
        std::uint64_t hash;
    };
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
                          {random_letters(100000), 59547, 80, 0xe1fcbf92263c7e52}};
    for (const golden& item : all) {
        test::ids ids;
        double seconds = 0;
        const std::size_t grown = test::peak_growth([&] {
            seconds = test::cpu_seconds([&] { ids = gpt2_tokenizer().encode(item.text); });
        });
        INFO(gpt2::detail::printable(item.text, 10));
        CHECK(ids.size() == item.count);
        CHECK(ids.front() == item.first);
        std::uint64_t hash = 0xCBF29CE484222325u;
        for (const auto id : ids)
            for (int shift = 0; shift < 32; shift += 8)
                hash = test::fnv(hash, static_cast<unsigned char>(id >> shift));
        CHECK(hash == item.hash);
        CHECK(seconds < 1);
        CHECK(grown <= 200 * item.text.size() + (1 << 20));
    }
}

TEST_CASE("time grows no faster than n log n") {  // 173
    if (test::shared_data("data/tokenizer/gpt2").empty()) return;
    constexpr std::size_t longest = test::sanitized ? 1 << 18 : 1 << 20;
    for (const std::string& text :
         {repeated("a", longest), repeated("^", longest), repeated(" ", longest),
          repeated("\n", longest), repeated("\xCC\x81", longest / 2), random_letters(longest)}) {
        constexpr std::size_t shortest = 1 << 14;
        const double first = seconds_of(std::string_view(text).substr(0, shortest)),
                     last = seconds_of(text);
        const auto doublings = std::log2(static_cast<double>(text.size() / shortest));
        INFO(gpt2::detail::printable(text, 4) << ": " << first << " to " << last << " s");
        CHECK(std::pow(last / first, 1 / doublings) <= 2.8);  // quadratic: 4
    }
}
