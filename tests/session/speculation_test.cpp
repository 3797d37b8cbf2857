// Guessing ahead saves passes and changes nothing; batches of requests are the requests alone.
#include "../support/catch.hpp"
#include "../support/small_session.hpp"

#include <gpt2/session.hpp>
#include <gpt2/speculation.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace {

using gpt2::token_id;
using ids = std::vector<token_id>;

gpt2::completion written(const std::shared_ptr<const gpt2::language_parts>& model,
                         std::span<const token_id> prompt, const gpt2::options& how) {
    gpt2::session text(model);
    text.feed(prompt);
    return text.generate(how);
}

void check_same(const gpt2::completion& one, const gpt2::completion& other) {
    CHECK(one.tokens == other.tokens);
    CHECK(one.log_probs == other.log_probs);
    CHECK(one.text == other.text);
    CHECK(one.why == other.why);
}

const ids repeating{5, 6, 7, 8, 5, 6, 7, 8, 5, 6};

}  // namespace

TEST_CASE("n-grams of the text say what followed them", "[speculation]") {
    const gpt2::prompt_lookup guess(3, 2);
    CHECK(guess(ids{1, 2, 3, 4, 1, 2}, 5) == ids{3, 4, 1, 2});
    CHECK(guess(ids{1, 2, 3, 4, 1, 2}, 2) == ids{3, 4});
    CHECK(guess(ids{1, 2, 9, 1, 2, 8, 1, 2}, 1) == ids{8});        // the last place
    CHECK(guess(ids{0, 1, 2, 9, 1, 2, 8, 0, 1, 2}, 1) == ids{9});  // the longest n-gram
    CHECK(guess(ids{7, 7, 7}, 4) == ids{7});
    CHECK(guess(ids{1, 2, 3}, 4).empty());
    CHECK(guess(ids{}, 4).empty());
    CHECK_THROWS_AS(gpt2::prompt_lookup(2, 3), gpt2::error);
    CHECK_THROWS_AS(gpt2::prompt_lookup(2, 0), gpt2::error);
}

TEST_CASE("whatever is guessed, the same is written, to the bit", "[speculation]") {
    const auto model = test::small_parts();
    const auto right = [&](std::span<const token_id> prompt, const gpt2::options& how) {
        auto plain = how;
        plain.draft = {};
        return written(model, prompt, plain).tokens;
    };
    for (const bool greedy : {true, false})
        for (std::uint64_t seed = 0; seed < 6; ++seed) {
            auto how = test::drawing(40, seed);
            if (greedy) how.sampling = gpt2::greedy();
            const auto plain = written(model, repeating, how);
            const auto all = right(repeating, how);
            const auto known = [&](std::span<const token_id> tokens, std::size_t most) {
                const auto done = std::min(tokens.size() - repeating.size(), all.size());
                const auto rest = std::span(all).subspan(done);
                return ids(rest.begin(),
                           rest.begin() + static_cast<std::ptrdiff_t>(std::min(most, rest.size())));
            };
            const std::vector<gpt2::drafter> guessers{
                gpt2::prompt_lookup(),
                gpt2::prompt_lookup(1, 1),
                gpt2::draft_model(model, how.sampling, how.seed),
                gpt2::draft_model(test::small_parts(test::small_config(), 2), how.sampling),
                known,
                [&](auto tokens, std::size_t most) {
                    auto some = known(tokens, most);
                    if (some.size() > 2) some[2] ^= 1;
                    return some;
                },
                [](auto, std::size_t most) { return ids(most + 3, 0); },
                [](auto, std::size_t most) { return ids(most, 1000); },  // no tokens at all
            };
            for (std::size_t i = 0; i < guessers.size(); ++i) {
                CAPTURE(i, seed, greedy);
                how.draft = guessers[i];
                const auto done = written(model, repeating, how);
                check_same(done, plain);
                CHECK(done.stats.guessed_right <= done.stats.guessed);
                if (i == 2 || i == 4) {  // always right
                    CHECK(done.stats.guessed_right == done.stats.guessed);
                    CHECK(done.stats.passes < plain.stats.passes / 3);
                }
            }
        }
}

TEST_CASE("a session that guessed goes on as one that did not", "[speculation]") {
    const auto model = test::small_parts();
    gpt2::session plain(model), ahead(model);
    plain.feed(repeating);
    ahead.feed(repeating);
    for (int part = 0; part < 4; ++part) {
        auto how = test::drawing(7, 11);
        const auto expected = plain.generate(how);
        how.draft = gpt2::draft_model(model, how.sampling, how.seed);
        check_same(ahead.generate(how), expected);
        CHECK(std::ranges::equal(ahead.logits(), plain.logits()));
    }
    // The end of the context, and a callback that raises between right guesses.
    auto how = test::drawing(100, 11);
    how.draft = gpt2::draft_model(model, how.sampling, how.seed);
    int left = 3;
    CHECK_THROWS_AS(ahead.generate(how,
                                   [&](const gpt2::piece&) {
                                       if (--left == 0) throw std::runtime_error("enough");
                                       return gpt2::flow::go_on;
                                   }),
                    std::runtime_error);
    auto three = test::drawing(3, 11);
    plain.generate(three);
    CHECK(std::ranges::equal(ahead.tokens(), plain.tokens()));
    CHECK(std::ranges::equal(ahead.logits(), plain.logits()));
    const auto rest = test::drawing(100, 11);
    const auto expected = plain.generate(rest);
    CHECK(expected.why == gpt2::finish::context_full);
    check_same(ahead.generate(how), expected);
}

TEST_CASE("a batch of requests is each request alone", "[batch]") {
    const auto model = test::small_parts();
    // What a user wrote is called on the thread that asked for the batch.
    const auto only_odd = [caller = std::this_thread::get_id()](std::span<float> scores,
                                                                std::span<const token_id>) {
        if (std::this_thread::get_id() != caller) throw std::logic_error("another thread");
        for (std::size_t id = 0; id < scores.size(); id += 2) scores[id] = -INFINITY;
    };
    std::vector<gpt2::request> requests;
    for (std::size_t i = 0; i < 11; ++i) {
        gpt2::request one{{static_cast<token_id>(i), 3, 4}, test::drawing(3 + 5 * (i % 4), i)};
        one.prompt.resize(1 + 2 * i % 7, 9);
        if (i == 3) one.options.draft = gpt2::prompt_lookup(1, 1);
        if (i == 4) one.options.max_new_tokens = 0;
        if (i == 5) one.prompt = {1000};  // no token
        if (i == 6) one.samples = 4;
        if (i == 7) one.samples = 0;
        if (i == 8) one.options.sampling.temperature = -1;
        if (i == 9) one.callback = [](const gpt2::piece&) { return gpt2::flow::stop; };
        if (i == 2) one.options.sampling.custom = {{"only odd", only_odd}};
        if (i == 10) one.callback = [](const gpt2::piece&) -> gpt2::flow { throw 7; };
        requests.push_back(one);
    }
    for (const std::size_t at_once : {1u, 2u, 5u, 50u}) {
        CAPTURE(at_once);
        std::vector<std::size_t> heard(requests.size());
        std::size_t taken = 0;
        gpt2::detail::write_all(
            model,
            [&] {
                return taken < requests.size() ? std::optional(requests[taken++]) : std::nullopt;
            },
            [&](std::size_t i, std::size_t sample, gpt2::outcome&& end) {
                CAPTURE(i, sample);
                ++heard[i];
                if (i == 5 || i == 8) {
                    CHECK_THROWS_AS(end.take(), gpt2::error);
                } else if (i == 10) {
                    CHECK_THROWS_AS(end.take(), int);
                } else {
                    auto how = requests[i].options;
                    how.sequence += sample;
                    if (i == 9) how.max_new_tokens = 1;
                    const auto alone = written(model, requests[i].prompt, how);
                    const auto done = end.take();
                    CHECK(done.tokens == alone.tokens);
                    CHECK(done.log_probs == alone.log_probs);
                }
            },
            at_once);
        for (std::size_t i = 0; i < requests.size(); ++i) CHECK(heard[i] == requests[i].samples);
    }
}

TEST_CASE("one text of a batch is cancelled, the others are written", "[batch]") {
    const auto model = test::small_parts();
    const auto cancelled = GENERATE(std::size_t{0}, std::size_t{1});
    std::stop_source stop;
    std::vector<gpt2::request> requests(3, gpt2::request{{1, 2}, test::drawing(20)});
    requests[cancelled].options.until.token = stop.get_token();
    requests[cancelled].callback = [&, left = 3](const gpt2::piece&) mutable {
        if (--left == 0) stop.request_stop();
        return gpt2::flow::go_on;
    };
    std::size_t taken = 0, finished = 0;
    gpt2::detail::write_all(
        model, [&] { return taken < 3 ? std::optional(requests[taken++]) : std::nullopt; },
        [&](std::size_t i, std::size_t, gpt2::outcome&& end) {
            const auto done = end.take();
            const bool stops = i == cancelled;
            CHECK(done.why == (stops ? gpt2::finish::cancelled : gpt2::finish::length));
            CHECK(done.tokens.size() == (stops ? 3u : 20u));
            ++finished;
        },
        2);
    CHECK(finished == 3);
}
