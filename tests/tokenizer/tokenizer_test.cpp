// The tokenizer as a value: made from any vocabulary, to ids and back, added tokens, errors.
#include "oracle.hpp"

#include "../support/process.hpp"

#include <gpt2/tokenizer_files.hpp>

#include <thread>

using gpt2::errc;
using gpt2::specials;
using gpt2::tokenizer;
using gpt2::vocabulary;

namespace {

/// 256 bytes, "th", "the", " the", and the special token <e> as 259.
vocabulary small() {
    vocabulary made = test::bytes_only();
    test::add_merge(made, "t", "h");
    test::add_merge(made, "th", "e");
    test::add_merge(made, " ", "the");
    made.added.push_back({.content = "<e>", .id = 259, .special = true});
    return made;
}

vocabulary with(gpt2::added_token token) {
    vocabulary made = small();
    made.added.push_back(std::move(token));
    return made;
}

/// A thread needs no more than this much stack.
template <class Action>
void run_in_small_stack(Action&& action) {
    struct call {
        Action* action;
        static void* start(void* self) {
            (*static_cast<call*>(self)->action)();
            return nullptr;
        }
    } self{&action};
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, 256 * 1024) == 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, &attributes, &call::start, &self) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("bytes to ids and back") {
    const tokenizer t(small());
    CHECK(t.size() == 260);
    CHECK(t.encode("the the") == test::ids{257, 258});
    CHECK(t.encode("thethe").size() == 2);
    CHECK(t.encode("").empty());
    CHECK(t.encode(std::string("a\0b", 3)) == test::ids{'a', 0, 'b'});
    CHECK(t.encode("\xFF\x80") == test::ids{0xFF, 0x80});
    CHECK(t.decode(test::ids{258, 0xFF, 0, 257}) == std::string(" the\xFF\0the", 9));
    CHECK(t.decode({}) == "");
    CHECK(t.bytes(258) == " the");
    CHECK(t.find(" the") == 258);
    CHECK_FALSE(t.find(" th"));
    CHECK(t.is_special(259));
    CHECK_FALSE(t.is_special(258));
    CHECK(t.pieces("it's the\n\n1") ==
          std::vector<std::string_view>{"it", "'s", " the", "\n", "\n", "1"});
    CHECK(t.merge_piece(" the") == test::ids{258});
    CHECK(t.merge_piece("it's the") == test::ids{'i', 't', '\'', 's', 258});  // no cuts here
    CHECK(t.merge_piece("").empty());
    CHECK_FALSE(t.prefixes_space());
    test::ids behind{7};
    t.encode_to(behind, "the");
    CHECK(behind == test::ids{7, 257});
}

TEST_CASE("decode never touches spaces before punctuation") {
    const tokenizer t(small());
    CHECK(t.decode(t.encode("y is ? n't .")) == "y is ? n't .");
}

TEST_CASE("ids outside the vocabulary are named with their position") {
    const tokenizer t(small());
    for (const gpt2::token_id id : {-1, 260, 2147483647, -2147483647}) {
        CHECK_ERROR(errc::token_out_of_range, t.decode(test::ids{1, 2, id}));
        CHECK_ERROR(errc::token_out_of_range, t.bytes(id));
        CHECK_ERROR(errc::token_out_of_range, t.is_special(id));
    }
    const auto problem = test::error_of([&] { t.decode(test::ids{1, 2, 260}); });
    CHECK(std::string(problem->what()) == "ids[2]: expected a token below 260, found 260");
}

TEST_CASE("special tokens in a text are text unless asked for") {
    const tokenizer t(small());
    CHECK(t.encode("a<e>b") == test::ids{'a', '<', 'e', '>', 'b'});
    CHECK(t.encode("a<e>b", specials::as_tokens) == test::ids{'a', 259, 'b'});
    CHECK(t.encode("<e><e>", specials::as_tokens) == test::ids{259, 259});
    CHECK(t.encode("<e", specials::as_tokens) == test::ids{'<', 'e'});
    CHECK(t.encode("a<e>b", specials::skip) == test::ids{'a', 'b'});
    const test::ids ids{'a', 259, 'b'};
    CHECK(t.decode(ids) == "a<e>b");
    CHECK(t.decode(ids, specials::as_tokens) == "a<e>b");
    CHECK(t.decode(ids, specials::skip) == "ab");
    const tokenizer words(with({.content = "word", .id = 260}));
    CHECK(words.encode("word<e>", specials::skip) == test::ids{260});
    CHECK(words.decode(test::ids{260, 259}, specials::skip) == "word");
}

TEST_CASE("an added token may name a token of the vocabulary, which stays what it was") {
    const tokenizer t(with({.content = "the", .id = 257, .special = true}));
    CHECK(t.encode("the") == test::ids{257});
    CHECK(t.decode(t.encode("the"), specials::skip) == "");
}

TEST_CASE("strings, with and without added tokens, as Hugging Face tokenizers encode them") {
    const auto folder = test::reference_folder();
    const auto reference = nlohmann::json::parse(test::read_file(folder / "cases.json"));
    std::size_t count = 0;
    for (const auto& group : reference["groups"]) {
        auto document = nlohmann::json::parse(test::read_file(folder / "tokenizer.json"));
        document["pre_tokenizer"]["add_prefix_space"] = group["prefix"];
        document["pre_tokenizer"]["use_regex"] = group["regex"];
        if (!group["added"].empty()) document["added_tokens"] = group["added"];
        const std::string text = document.dump();
        const auto t = gpt2::load_tokenizer(gpt2::tokenizer_texts{.tokenizer_json = text});
        const auto mode = group["added"].empty() ? specials::as_text : specials::as_tokens;
        for (const auto& item : group["cases"]) {
            const std::string bytes = test::from_hex(item["hex"]);
            INFO(gpt2::detail::printable(bytes, bytes.size()) << " prefix " << group["prefix"]);
            CHECK(t.encode(bytes, mode) == item["ids"].get<test::ids>());
            ++count;
        }
    }
    CHECK(count > 1000);
}

TEST_CASE("vocabularies that contradict themselves are refused") {
    vocabulary none;
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(none));
    vocabulary gap = small();
    gap.tokens[100].clear();
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(gap));
    CHECK(std::string(test::error_of([&] { tokenizer t(gap); })->what()) ==
          "vocabulary: id 100 has no token");
    vocabulary twice = small();
    twice.tokens[100] = "a";
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(twice));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(with({.content = "", .id = 260})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(with({.content = "x!", .id = -1})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(with({.content = "x!", .id = 257})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(with({.content = "<e>", .id = 259})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(with({.content = "x!", .id = 261})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer(with({.content = "x!", .id = 1 << 20})));
    CHECK_ERROR(errc::limit_exceeded,
                tokenizer(with({.content = std::string(1025, 'x'), .id = 260})));
    for (const gpt2::merge wrong : {gpt2::merge{'a', 'b', 257}, gpt2::merge{'t', 'h', 256},
                                    gpt2::merge{'h', 't', 256}, gpt2::merge{'t', 'h', 257}}) {
        vocabulary made = small();
        made.merges.push_back(wrong);
        CHECK_ERROR(errc::bad_tokenizer, tokenizer(made));
    }
    vocabulary outside = small();
    outside.merges.push_back({'a', 260, 257});
    CHECK_ERROR(errc::token_out_of_range, tokenizer(outside));
}

TEST_CASE("what is too large is refused") {
    vocabulary many;
    many.tokens.resize((std::size_t{1} << 20) + 1, "ab");
    CHECK_ERROR(errc::limit_exceeded, tokenizer(many));
    vocabulary merges = small();
    merges.merges.resize((std::size_t{1} << 20) + 1, merges.merges[0]);
    CHECK_ERROR(errc::limit_exceeded, tokenizer(merges));
    const tokenizer t(small());
    test::ids ids{1};
    CHECK_ERROR(errc::limit_exceeded,
                t.encode_to(ids, std::string(tokenizer::most_text_bytes + 1, 'a')));
    CHECK(ids == test::ids{1});
}

TEST_CASE("a byte without a token is named, and the rest still works") {
    vocabulary made;
    made.tokens = {"\n", " ", "a", "b", "\xC3"};
    made.added.push_back({.content = "<x>", .id = 5, .special = true});
    const tokenizer t(made);
    CHECK(t.encode("a b\n") == test::ids{2, 1, 3, 0});
    CHECK(t.decode(test::ids{3, 5, 2}) == "b<x>a");
    CHECK(t.encode("a<x>b", specials::as_tokens) == test::ids{2, 5, 3});
    test::ids ids{9};
    const auto problem =
        test::error_of([&] { t.encode_to(ids, "ab<x>a\xC3\xA9", specials::as_tokens); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::invalid_argument);
    CHECK(std::string(problem->what()) ==
          "encode: the vocabulary has no token for the byte 0xa9 at offset 7");
    CHECK(ids == test::ids{9});
    made.tokens[1] = "c";
    made.prefix = gpt2::prefix::space;
    CHECK_ERROR(errc::invalid_argument, tokenizer(made).encode("a"));
    CHECK(tokenizer(made).encode("").empty());
    CHECK(tokenizer(made).prefixes_space());
    CHECK_ERROR(errc::invalid_argument, t.merge_piece("x"));
}

TEST_CASE("a copy, and a tokenizer that was moved, need nothing of the first") {
    auto first = std::make_unique<tokenizer>(small());
    const tokenizer copy = *first;
    const tokenizer moved = std::move(*first);
    first.reset();
    CHECK(copy.encode("the<e>", specials::as_tokens) == test::ids{257, 259});
    CHECK(moved.encode("the<e>", specials::as_tokens) == test::ids{257, 259});
    CHECK(moved.bytes(258) == " the");
}

TEST_CASE("two threads encode with one tokenizer") {
    const auto t = gpt2::load_tokenizer(test::reference_folder());
    const auto work = [&](std::uint64_t& hash) {
        test::dice dice(5);
        for (int round = 0; round < 50000; ++round) {
            std::string text = "the ferry ";
            for (std::size_t n = dice.below(90); n > 0; --n)
                text += static_cast<char>(dice.below(256));
            for (const auto id : t.encode(text, specials::as_tokens))
                hash = test::fnv(hash, static_cast<unsigned char>(id & 255));
        }
    };
    std::uint64_t one = 1, two = 1;
    std::thread other([&] { work(one); });
    work(two);
    other.join();
    CHECK(one == two);
}

TEST_CASE("random ids decode to the bytes of their tokens, one after another") {  // 184
    const auto t = gpt2::load_tokenizer(test::reference_folder());
    test::dice dice(4);
    for (int round = 0; round < 2000; ++round) {
        test::ids ids(dice.below(50));
        std::string bytes;
        for (auto& id : ids) {
            id = static_cast<gpt2::token_id>(dice.below(t.size()));
            bytes += t.bytes(id);
        }
        REQUIRE(t.decode(ids) == bytes);
    }
}

TEST_CASE("any bytes come back") {
    const auto t = gpt2::load_tokenizer(test::reference_folder());
    test::dice dice(11);
    for (int round = 0; round < 100000; ++round) {
        std::string bytes;
        for (std::size_t n = dice.below(65); n > 0; --n)
            bytes += static_cast<char>(dice.below(256));
        REQUIRE(t.decode(t.encode(bytes)) == bytes);
    }
    for (int round = 0; round < 30; ++round) {
        std::string bytes(dice.below(65536), '\0');
        for (char& c : bytes) c = static_cast<char>(dice.below(round % 2 ? 256 : 3));
        REQUIRE(t.decode(t.encode(bytes)) == bytes);
    }
}

TEST_CASE("a megabyte of one character needs little stack and little time") {
    const auto t = gpt2::load_tokenizer(test::reference_folder());
    for (const std::string unit : {"a", "^", " ", "\n", "0", "\xCC\x81", "'s", "a ", "\xFF"}) {
        std::string text;
        while (text.size() < 1000000) text += unit;
        std::string back;
        double seconds = 0;
        run_in_small_stack(
            [&] { seconds = test::cpu_seconds([&] { back = t.decode(t.encode(text)); }); });
        CHECK(back == text);
        INFO("unit " << gpt2::detail::printable(unit) << ": " << seconds << " s");
        CHECK(seconds < 2);  // quadratic time would be minutes
    }
}

TEST_CASE("sixteen megabytes of contractions and of one-letter words") {
    const auto t = gpt2::load_tokenizer(test::reference_folder());
    for (const std::string unit : {"'s", "a "}) {
        std::string text;
        text.reserve(16 << 20);
        while (text.size() < 16 << 20) text += unit;
        const auto seconds_of = [&](std::size_t size) {
            const std::string_view part = std::string_view(text).substr(0, size);
            return test::cpu_seconds([&] { CHECK(t.encode(part).size() >= size / 4); });
        };
        CHECK(seconds_of(16 << 20) < 16 * 3 * (seconds_of(1 << 20) + seconds_of(1 << 20)) / 2);
    }
}
