// What a session does with its past: saves it, shares it with other prompts, drops some of it when
// the context is full.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/small_session.hpp"

#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

namespace {

using test::drawing;
using ids = std::vector<gpt2::token_id>;

ids counting(std::size_t count) {
    ids tokens(count);
    std::iota(tokens.begin(), tokens.end(), 1);
    for (auto& token : tokens) token %= 251;
    return tokens;
}

void check_same(gpt2::session& one, gpt2::session& other) {
    CHECK(std::ranges::equal(one.tokens(), other.tokens()));
    CHECK(std::ranges::equal(one.logits(), other.logits()));
}

std::shared_ptr<const gpt2::language_parts> parts_with_prefixes(const gpt2::config& c) {
    return std::make_shared<const gpt2::language_parts>(
        test::random_weights(c, 1).model(c), test::bytes_tokenizer(), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(2), gpt2::execution{}, "", std::size_t{1} << 20);
}

/// The error that ends `call`.
template <class Call>
gpt2::errc code_of(Call call) {
    try {
        call();
    } catch (const gpt2::error& problem) {
        return problem.code();
    }
    return {};
}

}  // namespace

TEST_CASE("a session that was saved goes on to the bit", "[past]") {
    const test::scratch_folder scratch;
    const gpt2::language_model model(test::small_parts());
    auto how = drawing(9, 5);
    how.sampling.repetition_penalty = 1.3f;
    for (const std::size_t before : {0u, 1u, 7u}) {
        auto text = model.start("abc \xE2\x82");  // ends within a character
        how.max_new_tokens = before;
        text.generate(how);
        const auto file = scratch / std::to_string(before);
        text.save(file);
        auto again = model.resume(file);
        check_same(again, text);
        how.max_new_tokens = 11;
        const auto expected = text.generate(how), found = again.generate(how);
        CHECK(found.tokens == expected.tokens);
        CHECK(found.text == expected.text);
        CHECK(found.log_probs == expected.log_probs);
        check_same(again, text);
        CHECK(code_of([&] { text.save(file); }) == gpt2::errc::write_failed);
        text.save(file, gpt2::existing::replace);
        auto third = model.resume(file);
        check_same(third, text);
    }
    const gpt2::language_model other(test::small_parts(test::small_config(), 2));
    CHECK(code_of([&] { other.resume(scratch / "0"); }) == gpt2::errc::bad_session);
    CHECK(code_of([&] { model.resume(scratch / "none"); }) == gpt2::errc::not_found);
    test::write_file(scratch / "torn", test::read_file(scratch / "7").substr(0, 500));
    CHECK(code_of([&] { model.resume(scratch / "torn"); }) != gpt2::errc{});
}

TEST_CASE("a session that has dropped most of its past is saved like any other", "[past]") {
    const test::scratch_folder scratch;
    const gpt2::language_model model(test::small_parts());  // 60 positions
    auto how = drawing(300, 9);
    how.context = {gpt2::when_full::slide, 2};
    auto text = model.start("abc");
    text.generate(how);
    text.save(scratch / "far");
    auto again = model.resume(scratch / "far");
    check_same(again, text);
    how.max_new_tokens = 90;
    CHECK(again.generate(how).tokens == text.generate(how).tokens);
    check_same(again, text);
}

TEST_CASE("past the context a text is a new one of the tokens that stay", "[past]") {
    const auto model = test::small_parts();  // 60 positions
    for (const auto rule : {gpt2::when_full::truncate, gpt2::when_full::slide})
        for (const std::size_t keep : {0u, 5u}) {
            CAPTURE(static_cast<int>(rule), keep);
            auto how = drawing(100, 3);
            how.context = {rule, keep};
            gpt2::session text(model);
            const auto prompt = counting(10);
            text.feed(prompt);
            const auto done = text.generate(how);
            CHECK(done.tokens.size() == 100);
            CHECK(done.why == gpt2::finish::length);
            CHECK(text.size() <= 61);
            CHECK(std::ranges::equal(text.tokens().first(keep), counting(keep)));
            CHECK(std::ranges::equal(text.tokens().last(20), std::span(done.tokens).last(20)));
            if (rule == gpt2::when_full::truncate)
                CHECK(done.stats.computed_again > 49 * (58 - keep));
            else
                CHECK(done.stats.computed_again < 4 * 60);
            text.feed(ids{7}, {}, how.context);
            gpt2::session fresh(model);
            fresh.feed(text.tokens());
            check_same(fresh, text);
            // The same in a batch, and with guesses ahead.
            const gpt2::language_model whole(model);
            const std::vector<gpt2::request> two(2, gpt2::request{prompt, how});
            for (const auto& one : whole.generate(two)) CHECK(one.tokens == done.tokens);
            how.draft = gpt2::prompt_lookup(1, 1);
            CHECK(whole.generate(std::span<const gpt2::token_id>(prompt), how).tokens ==
                  done.tokens);
        }
}

TEST_CASE("a prompt that is too long is cut where the policy says so", "[past]") {
    const auto model = test::small_parts();
    const auto long_prompt = counting(150);
    gpt2::session text(model);
    CHECK(code_of([&] { text.feed(long_prompt); }) == gpt2::errc::context_full);
    CHECK(text.size() == 0);
    text.feed(long_prompt, {}, {gpt2::when_full::truncate, 4});
    CHECK(text.size() == 60);
    CHECK(text.tokens()[3] == 4);
    CHECK(text.tokens()[4] == 95);
    gpt2::session fresh(model);
    fresh.feed(text.tokens());
    check_same(fresh, text);
    CHECK(code_of([&] { text.feed(ids{1000}, {}, {gpt2::when_full::slide}); }) ==
          gpt2::errc::token_out_of_range);
    check_same(fresh, text);
    CHECK(code_of([&] {
              text.feed(ids{1}, {}, {gpt2::when_full::slide, 99});
          }) == gpt2::errc::invalid_argument);
    check_same(fresh, text);
}

TEST_CASE("prompts that begin alike compute what is new", "[past]") {
    auto shape = test::small_config();
    shape.context_length = 300;
    const auto plain = test::small_parts(shape), sharing = parts_with_prefixes(shape);
    const auto beginning = counting(250);
    for (int end = 0; end < 4; ++end) {
        auto prompt = beginning;
        prompt.push_back(end);
        gpt2::session one(plain), other(sharing);
        one.feed(prompt);
        other.feed(prompt);
        check_same(one, other);
        CHECK(one.generate(drawing(30)).tokens == other.generate(drawing(30)).tokens);
    }
    const auto statistics = sharing->prefixes->statistics();
    CHECK(statistics.hits == 3);
    CHECK(statistics.tokens_saved >= 3 * 128);
    CHECK(statistics.bytes <= std::size_t{1} << 20);
}

TEST_CASE("a feed that fails leaves the session as it was, with a prefix cache too", "[past]") {
    auto shape = test::small_config();
    shape.context_length = 300;
    const auto sharing = parts_with_prefixes(shape);
    gpt2::session first(sharing), second(sharing), fresh(sharing);
    first.feed(counting(280));
    second.feed(counting(140));
    second.rewind(135);  // whose last token is to be computed again
    auto rest = counting(280);
    rest.erase(rest.begin(), rest.begin() + 135);
    rest.push_back(1000);  // no token
    CHECK(code_of([&] { second.feed(rest); }) == gpt2::errc::token_out_of_range);
    fresh.feed(counting(135));
    check_same(fresh, second);
}
