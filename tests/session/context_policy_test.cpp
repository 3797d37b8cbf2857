// Past the context: which tokens stay, what that costs, and that the result is a new text's.
#include "../support/catch.hpp"
#include "../support/small_text.hpp"

#include <gpt2/context_policy.hpp>

#include <limits>
#include <vector>

using gpt2::context_policy, gpt2::dropped_tokens, gpt2::errc, gpt2::make_room, gpt2::when_full;

TEST_CASE("nothing goes while there is room", "[session][context]") {
    for (const auto rule : {when_full::stop, when_full::truncate, when_full::slide})
        for (const std::size_t length : {0u, 1u, 99u}) {
            CHECK(make_room({rule, 10}, length, 100 - length, 100) == dropped_tokens{});
            CHECK(make_room({rule, 10}, length, 0, 100) == dropped_tokens{});
        }
    CHECK(dropped_tokens{}.cost(70) == 0);
}

TEST_CASE("what goes when there is none", "[session][context]") {
    CHECK_ERROR(errc::context_full, make_room({}, 100, 1, 100));
    const context_policy truncate{when_full::truncate, 10}, slide{when_full::slide, 10},
        by_five{when_full::slide, 10, 5};
    CHECK(make_room(truncate, 100, 1, 100) == dropped_tokens{10, 1});
    CHECK(make_room(truncate, 100, 1, 100).cost(100) == 89);
    CHECK(make_room(truncate, 250, 4, 100) == dropped_tokens{10, 154});
    CHECK(make_room(slide, 100, 1, 100) == dropped_tokens{10, 45});
    CHECK(make_room(slide, 100, 1, 100).cost(100) == 45);
    CHECK(make_room(slide, 250, 1, 100) == dropped_tokens{10, 151});
    CHECK(make_room(by_five, 100, 1, 100) == dropped_tokens{10, 5});
    CHECK(make_room(by_five, 100, 7, 100) == dropped_tokens{10, 7});
    // One token besides those kept stays, and there is no room for more than all others.
    CHECK(make_room(truncate, 100, 89, 100) == dropped_tokens{10, 89});
    CHECK_ERROR(errc::context_full, make_room(truncate, 100, 90, 100));
    CHECK_ERROR(errc::context_full, make_room(slide, 5, 99, 100));
    CHECK_ERROR(errc::context_full,
                make_room(slide, 5, std::numeric_limits<std::size_t>::max(), 100));
    CHECK(make_room({when_full::slide, 0, 99}, 100, 1, 100) == dropped_tokens{0, 99});
}

TEST_CASE("policies that no context can keep", "[session][context]") {  // 267
    constexpr auto huge = std::numeric_limits<std::size_t>::max();
    for (const std::size_t keep : {std::size_t{99}, std::size_t{100}, huge, huge - 1}) {
        const auto problem = test::error_of([&] {
            make_room({when_full::slide, keep}, 1, 1, 100);
        });
        REQUIRE(problem);
        CHECK(problem->code() == errc::invalid_argument);
        CHECK_THAT(problem->what(), test::mentions("context.keep"));
    }
    CHECK_ERROR(errc::invalid_argument, make_room({when_full::slide, 10, 90}, 1, 1, 100));
    CHECK_ERROR(errc::invalid_argument, make_room({when_full::slide, 10, huge}, 1, 1, 100));
    CHECK_ERROR(errc::invalid_argument, make_room({when_full::truncate, 0}, 1, 1, 1));
    CHECK_NOTHROW(make_room({when_full::stop, huge, huge}, 1, 1, 100));
}

TEST_CASE("a text whose oldest tokens went is a new text", "[session][context]") {  // 263, 264
    test::small_model<float> home;
    const auto positions = home.shape.context_length;
    for (const context_policy policy :
         {context_policy{when_full::truncate, 7}, {when_full::slide}, {when_full::slide, 130, 9}}) {
        test::text<float> a(home);
        a.feed(test::random_ids(home.shape, positions));
        for (const gpt2::token_id next : {1, 2}) {
            const auto gone = make_room(policy, a.tokens.size(), 1, positions);
            CHECK(gone.count > 0);
            const auto all = a.tokens;
            a.rewind(gone.first);
            std::vector<gpt2::token_id> rest(
                all.begin() + static_cast<std::ptrdiff_t>(gone.first + gone.count), all.end());
            CHECK(rest.size() == gone.cost(all.size()));
            rest.push_back(next);
            a.feed(rest);
            test::text<float> fresh(home);
            fresh.feed(a.tokens);
            CHECK(fresh.logits == a.logits);
            if (policy.rule == when_full::slide)
                a.feed(test::random_ids(home.shape, positions - a.tokens.size()));
        }
    }
}
