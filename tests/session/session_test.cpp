// A running text on a small random model with a tokenizer of single bytes: streaming, stop texts,
// cancelling, the end of the context, fork and rewind.
#include "../support/catch.hpp"
#include "../support/random_model.hpp"
#include "../support/sanitized.hpp"
#include "../support/small_session.hpp"

#include <gpt2/session.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using test::bytes_tokenizer, test::drawing, test::small_config;

std::shared_ptr<const gpt2::language_parts> parts(const gpt2::config& c = small_config(),
                                                  unsigned seed = 1) {
    return test::small_parts(c, seed);
}

bool is_utf8(std::string_view text) {
    gpt2::utf8_stream stream;
    return stream.push(text) == text && stream.pending().empty();
}

}  // namespace

TEST_CASE("pieces are whole characters and concatenate to the text", "[session]") {  // 191
    const auto model = parts();
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        gpt2::session text(model);
        text.feed("x");
        std::string shown;
        std::vector<gpt2::token_id> tokens;
        const auto done = text.generate(drawing(40, seed), [&](const gpt2::piece& piece) {
            CHECK(is_utf8(piece.text));
            CHECK(piece.log_prob <= 0);
            shown += piece.text;
            tokens.push_back(piece.token);
            return gpt2::flow::go_on;
        });
        CHECK(done.why == gpt2::finish::length);
        CHECK(shown == done.text);
        CHECK(tokens == done.tokens);
        CHECK(done.log_probs.size() == 40);
        gpt2::utf8_stream whole;
        auto text_of_all = whole.push(model->tokenizer->decode(done.tokens));
        text_of_all += whole.finish();
        CHECK(done.text == text_of_all);
        gpt2::session silent(model);
        silent.feed("x");
        CHECK(silent.generate(drawing(40, seed)).text == done.text);
    }
}

TEST_CASE("a seed fixes the text, parts of it too", "[session]") {  // 254, 257
    const auto model = parts();
    gpt2::session one(model), two(model);
    one.feed("abc");
    two.feed("a");
    two.feed("bc");
    const auto whole = one.generate(drawing(30));
    auto tokens = two.generate(drawing(10)).tokens;
    auto fork = two.fork();
    const auto rest = two.generate(drawing(20)).tokens;
    CHECK(fork.generate(drawing(20)).tokens == rest);
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    CHECK(tokens == whole.tokens);
    CHECK(gpt2::session(model).generate(drawing(30, 4)).tokens != whole.tokens);
}

TEST_CASE("texts that are written in turns are those written one by one", "[session]") {  // 254
    const auto model = parts();
    gpt2::session one(model), two(model), mixed_one(model), mixed_two(model);
    for (auto* text : {&one, &mixed_one}) text->feed("abc");
    for (auto* text : {&two, &mixed_two}) text->feed("xyz");
    const auto first = one.generate(drawing(20)), second = two.generate(drawing(20, 8));
    std::vector<gpt2::token_id> between;
    const auto mixed = mixed_one.generate(drawing(20), [&](const gpt2::piece&) {
        between.push_back(mixed_two.generate(drawing(1, 8)).tokens.at(0));
        return gpt2::flow::go_on;
    });
    CHECK(mixed.tokens == first.tokens);
    CHECK(mixed.log_probs == first.log_probs);
    CHECK(between == second.tokens);
}

TEST_CASE("a stop text never leaks, wherever it falls", "[session]") {  // 193, 194
    const auto model = parts();
    gpt2::session source(model);
    source.feed("x");
    const auto full = source.generate(drawing(40)).text;
    REQUIRE(full.size() > 20);
    for (std::size_t at = 3; at + 5 < full.size(); ++at) {
        const auto stop = full.substr(at, 4);
        if (!is_utf8(stop)) continue;
        gpt2::session text(model);
        text.feed("x");
        auto how = drawing(40);
        how.stop = {"never", stop};
        std::string shown;
        const auto done = text.generate(how, [&](const gpt2::piece& piece) {
            shown += piece.text;
            return gpt2::flow::go_on;
        });
        CHECK(done.why == gpt2::finish::stop_text);
        CHECK(done.text == full.substr(0, full.find(stop)));
        CHECK(shown == done.text);
    }
    gpt2::session text(model);
    text.feed("x");
    auto how = drawing(5);
    how.stop = {""};
    CHECK_ERROR(gpt2::errc::invalid_argument, text.generate(how));
    how.stop = {std::string(1'000'000, 'a')};
    CHECK_ERROR(gpt2::errc::limit_exceeded, text.generate(how));
    how.stop.assign(65, "a");
    CHECK_ERROR(gpt2::errc::limit_exceeded, text.generate(how));
    CHECK(text.size() == 1);
}

TEST_CASE("the callback may stop or raise, and the session goes on", "[session]") {  // 196, 197
    const auto model = parts();
    gpt2::session plain(model), text(model);
    plain.feed("abc");
    text.feed("abc");
    const auto expected = plain.generate(drawing(12)).tokens;
    const auto stopped =
        text.generate(drawing(12), [](const gpt2::piece&) { return gpt2::flow::stop; });
    CHECK(stopped.why == gpt2::finish::callback);
    CHECK(stopped.tokens.size() == 1);
    CHECK_THROWS_AS(
        text.generate(drawing(11),
                      [](const gpt2::piece&) -> gpt2::flow { throw std::runtime_error("mine"); }),
        std::runtime_error);
    CHECK(text.size() == 5);
    text.generate(drawing(10));
    const auto all = text.tokens();
    CHECK(std::vector<gpt2::token_id>(all.begin() + 3, all.end()) == expected);
}

TEST_CASE("whatever raises in the middle leaves a text that goes on", "[session]") {  // 272
    const auto model = parts();
    gpt2::session plain(model);
    plain.feed("abc");
    const auto expected = plain.generate(drawing(12)).tokens;
    int left = 0;
    const auto raise = [&left] {
        if (left-- == 0) throw std::runtime_error("injected");
    };
    struct raising_guide : gpt2::guide {
        explicit raising_guide(std::function<void()> act_) : act(std::move(act_)) {}
        std::span<const std::uint64_t> allowed(std::size_t) override { return act(), all; }
        std::vector<gpt2::token_id> forced(std::size_t) override { return act(), ids{}; }
        void advance(gpt2::token_id) override { act(); }
        bool is_complete() const override { return false; }

        using ids = std::vector<gpt2::token_id>;
        std::function<void()> act;
        std::vector<std::uint64_t> all = std::vector<std::uint64_t>(4, ~std::uint64_t{0});
    };
    std::vector<gpt2::options> ways(3, drawing(12));
    ways[0].sampling.custom = {{"own", [&](std::span<float>, auto) { raise(); }}};
    ways[1].draft = [&](auto, std::size_t) { return raise(), std::vector<gpt2::token_id>{7, 7}; };
    ways[2].constraint = [&] { return std::make_unique<raising_guide>(raise); };
    for (std::size_t i = 0; i < ways.size(); ++i)
        for (int after = 0; after < 9; ++after) {
            CAPTURE(i, after);
            gpt2::session text(model);
            text.feed("abc");
            left = after;
            CHECK_THROWS_AS(text.generate(ways[i]), std::runtime_error);
            const auto now = text.tokens();
            REQUIRE(now.size() <= 3 + expected.size());
            CHECK(std::equal(now.begin() + 3, now.end(), expected.begin()));
            const auto rest = text.generate(drawing(15 - now.size())).tokens;
            CHECK(std::equal(rest.rbegin(), rest.rend(), expected.rbegin()));
        }
}

TEST_CASE("the end of the context is an answer, not a crash", "[session]") {  // 260-262
    const auto model = parts();
    gpt2::session text(model);
    CHECK_ERROR(gpt2::errc::context_full, text.feed(std::string(61, 'a')));
    CHECK(text.size() == 0);
    text.feed(std::string(60, 'a'));
    CHECK_ERROR(gpt2::errc::context_full, text.feed("b"));
    auto fork = text.fork();
    CHECK(fork.generate(drawing(1)).why ==
          gpt2::finish::length);  // a full context has a next token
    const auto done = text.generate(drawing(5));
    CHECK(done.why == gpt2::finish::context_full);
    CHECK(done.tokens.size() == 1);
    CHECK(text.generate(drawing(5)).tokens.empty());
    CHECK_ERROR(gpt2::errc::context_full, text.logits());
    text.rewind(50);
    CHECK(text.generate(drawing(5)).why == gpt2::finish::length);
    CHECK(text.generate(drawing(0)).tokens.empty());
    CHECK(text.generate(drawing(static_cast<std::size_t>(-1))).why == gpt2::finish::context_full);
}

TEST_CASE("rewind gives what a fresh session gives", "[session]") {  // 265
    const auto model = parts();
    gpt2::session text(model);
    const std::string prompt = "abcdefghijklmnop";
    for (std::size_t length = 1; length <= prompt.size(); ++length) {
        text.rewind(0);
        text.feed(prompt);
        text.rewind(length);
        gpt2::session fresh(model);
        fresh.feed(prompt.substr(0, length));
        const auto a = text.logits(), b = fresh.logits();
        CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
    CHECK_ERROR(gpt2::errc::invalid_argument, text.rewind(17));
    text.rewind(0);
    CHECK_ERROR(gpt2::errc::empty_prompt, text.logits());
}

TEST_CASE("cancelling before, while reading and while writing", "[session]") {  // 281
    const auto model = parts();
    std::stop_source source;
    auto how = drawing(50);
    how.until.token = source.get_token();
    gpt2::session text(model);
    text.feed("abc");
    std::size_t seen = 0;
    const auto done = text.generate(how, [&](const gpt2::piece&) {
        if (++seen == 4) source.request_stop();
        return gpt2::flow::go_on;
    });
    CHECK(done.why == gpt2::finish::cancelled);
    CHECK(done.tokens.size() == 4);
    CHECK_ERROR(gpt2::errc::cancelled, text.feed("d", gpt2::specials::as_text, how.until));
    CHECK(text.size() == 7);
    gpt2::options late = drawing(5);
    late.until.deadline = std::chrono::steady_clock::now();
    CHECK(text.generate(late).why == gpt2::finish::cancelled);
    CHECK(text.generate(drawing(5)).tokens.size() == 5);  // still usable
}

TEST_CASE("an end-of-text token ends the text, or does not", "[session]") {
    auto c = small_config();
    gpt2::session source(parts(c));
    source.feed("x");
    const auto full = source.generate(drawing(30)).tokens;
    c.end_of_text = {full[20]};
    const auto first = std::find(full.begin(), full.end(), full[20]);
    gpt2::session text(parts(c)), other(parts(c));
    text.feed("x");
    other.feed("x");
    auto how = drawing(30);
    const auto done = text.generate(how);
    CHECK(done.why == gpt2::finish::end_of_text);
    CHECK(done.tokens == std::vector<gpt2::token_id>(full.begin(), first));
    how.at_end_of_text = gpt2::end_rule::go_on;
    CHECK(other.generate(how).tokens == full);
}

TEST_CASE("an empty session begins with the begin-of-text token", "[session]") {  // 210
    auto c = small_config();
    gpt2::session empty(parts(c)), begun(parts(c));
    begun.feed(std::vector<gpt2::token_id>{10});
    CHECK(empty.generate(drawing(10)).tokens == begun.generate(drawing(10)).tokens);
    c.begin_of_text.reset();
    gpt2::session none(parts(c));
    CHECK_ERROR(gpt2::errc::empty_prompt, none.generate(drawing(10)));
    // Stopped before its prompt was read, a text has none, and says that it was stopped.
    gpt2::options stopped;
    stopped.until.deadline = std::chrono::steady_clock::time_point::min();
    std::vector<gpt2::session> unread;
    unread.emplace_back(parts(c));
    CHECK(gpt2::session::generate(unread, stopped)[0].why == gpt2::finish::cancelled);
}

TEST_CASE("a prompt that ends within a character", "[session]") {  // 190
    gpt2::detail::text_stream stream({});
    stream.skip("caf\xC3");
    CHECK(stream.push("\xA9!") == "\xC3\xA9!");
    CHECK(stream.push("\xE4\xBD").empty());
    CHECK(stream.finish() == "\xEF\xBF\xBD");
}

TEST_CASE("stop texts: the first complete one wins, the longest of two that end together",
          "[session]") {
    gpt2::detail::text_stream stream({"aab", "ab", "abcd"});
    CHECK(stream.push("xaa") == "x");
    CHECK(stream.push("bcd").empty());
    CHECK(stream.stopped());
    gpt2::detail::text_stream held({"abac"});
    CHECK(held.push("ab").empty());
    CHECK(held.push("ab") == "ab");
    CHECK(held.push("ax") == "abax");
    CHECK(held.push("aba").empty());
    CHECK(held.finish() == "aba");
}

TEST_CASE("a session that was moved from says so", "[session]") {  // 270
    gpt2::session a(parts());
    a.feed("abc");
    gpt2::session b(std::move(a));
    CHECK(b.size() == 3);
    CHECK_ERROR(gpt2::errc::invalid_argument, a.feed("x"));
    CHECK_ERROR(gpt2::errc::invalid_argument, a.logits());
    CHECK_ERROR(gpt2::errc::invalid_argument, a.fork());
    CHECK_ERROR(gpt2::errc::invalid_argument, a.generate());
}

TEST_CASE("moving a session onto itself or over another", "[session]") {  // 270
    const auto model = parts();
    gpt2::session a(model), b(parts(small_config(), 2));
    a.feed("abc");
    b.feed("abcdef");
    const auto fork = a.fork();
    auto& same = a;
    a = std::move(same);
    CHECK(a.size() == 3);
    b = std::move(a);  // another model's session: its cache and its pool go with it
    CHECK(b.size() == 3);
    CHECK(b.generate(drawing(10)).tokens == fork.fork().generate(drawing(10)).tokens);
}

TEST_CASE("a fork and its origin do not share a past", "[session]") {  // 257
    const auto model = parts();
    gpt2::session origin(model);
    origin.feed("abcdef");
    auto fork = origin.fork();
    origin.rewind(2);
    origin.feed("wxyz");
    fork.feed("gh");
    for (const auto& [text, spelled] :
         {std::pair{&origin, "abwxyz"}, std::pair{&fork, "abcdefgh"}}) {
        gpt2::session fresh(model);
        fresh.feed(spelled);
        const auto a = text->logits(), b = fresh.logits();
        CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
}

TEST_CASE("cancelling from another thread", "[session][threads]") {  // 281
    const auto model = parts();
    for (int round = 0; round < 20; ++round) {
        std::stop_source source;
        gpt2::session text(model);
        text.feed("abc");
        std::jthread other([&source, round] {
            std::this_thread::sleep_for(std::chrono::microseconds(round * 100));
            source.request_stop();
            source.request_stop();  // twice is once
        });
        auto how = drawing(3);
        how.until.token = source.get_token();
        auto last = gpt2::finish::length;
        while (last == gpt2::finish::length) {
            text.rewind(3);
            last = text.generate(how).why;
        }
        CHECK(last == gpt2::finish::cancelled);
        CHECK(text.generate(how).why == gpt2::finish::cancelled);
        text.rewind(3);
        CHECK(text.generate(drawing(3)).why == gpt2::finish::length);
    }
}

TEST_CASE("models come and go while others write", "[session][threads]") {  // 276, 279
    std::vector<char> equal(3, 0);
    const auto expected = gpt2::session(parts()).generate(drawing(8)).tokens;
    std::vector<std::thread> threads;
    for (auto& good : equal)
        threads.emplace_back([&good, &expected] {
            good = 1;
            for (int round = 0; round < 10; ++round)
                good &= gpt2::session(parts()).generate(drawing(8)).tokens == expected;
        });
    for (auto& thread : threads) thread.join();
    for (const char good : equal) CHECK(good);
}

TEST_CASE("logits that are no numbers end in a typed error with step and token", "[session]") {
    auto c = small_config();
    test::random_weights weights(c);
    for (float& x : weights.find("ln_f.weight").values) x = 1e38f;
    for (float& x : weights.find("wte.weight").values) x *= 1e30f;
    gpt2::session text(std::make_shared<const gpt2::language_parts>(
        weights.model(c), bytes_tokenizer(), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(1)));
    text.feed("abc");
    const auto problem = test::error_of([&] { text.generate(); });
    REQUIRE(problem);
    CHECK(problem->code() == gpt2::errc::not_finite);
    CHECK(std::string(problem->what()).find("step 3") != std::string::npos);
    CHECK(std::string(problem->what()).find("token") != std::string::npos);

    test::random_weights overflowing(c);  // 213, 214: scores beyond float, so weights of NaN
    for (float& x : overflowing.find("h.0.attn.c_attn.weight").values) x *= 1e25f;
    gpt2::session other(std::make_shared<const gpt2::language_parts>(
        overflowing.model(c), bytes_tokenizer(), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(1)));
    other.feed("abc");
    CHECK_ERROR(gpt2::errc::not_finite, other.generate());
    CHECK(other.size() == 3);
}

TEST_CASE("sessions of one model in many threads", "[session][threads]") {  // 274
    const auto model = parts();
    gpt2::session alone(model);
    alone.feed("abc");
    const auto expected = alone.generate(drawing(20)).tokens;
    std::vector<char> equal(8, 0);
    std::vector<std::thread> threads;
    for (auto& good : equal)
        threads.emplace_back([&] {
            good = 1;
            for (int round = 0; round < (test::sanitized ? 5 : 50); ++round) {  // 1,000 tokens
                gpt2::session text(model);
                text.feed("abc");
                good &= text.generate(drawing(20)).tokens == expected;
            }
        });
    for (auto& thread : threads) thread.join();
    for (const char good : equal) CHECK(good);
}
