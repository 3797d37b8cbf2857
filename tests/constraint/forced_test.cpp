// Forced stretches: what is emitted is the text that must come, cut as the tokenizer cuts that
// stretch by itself; only where it would write another text, by the longest tokens.
#include "walk.hpp"

#include <gpt2/session.hpp>

#include "../support/small_session.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using ids = std::vector<gpt2::token_id>;
constexpr gpt2::token_id bc = 256, ab = 257, abc = 258, cd = 259, end = 260;

/// All bytes, then tokens that merge in this order: "bc" before "ab", so that "abc" is "a" and
/// "bc".
gpt2::vocabulary merging() {
    gpt2::vocabulary parts;
    for (int byte = 0; byte < 256; ++byte)
        parts.tokens.push_back(std::string(1, static_cast<char>(byte)));
    for (const char* token : {"bc", "ab", "abc", "cd"}) parts.tokens.push_back(token);
    parts.merges = {{'b', 'c', bc}, {'a', 'b', ab}, {ab, 'c', abc}, {'c', 'd', cd}};
    parts.added = {{"<end>", end, true}};
    parts.cuts = gpt2::cuts::none;
    return parts;
}

std::shared_ptr<const gpt2::tokenizer> made(gpt2::vocabulary parts) {
    return std::make_shared<const gpt2::tokenizer>(std::move(parts));
}

/// The one text of a constraint, written without a question.
ids forced(const std::shared_ptr<const gpt2::tokenizer>& words, const std::string& text) {
    const gpt2::constraint only(gpt2::one_of({text}), gpt2::constraint_tokens(words, {end}));
    auto at = only.start();
    const ids all = at.forced();
    for (const gpt2::token_id id : all) at.advance(id);
    CHECK(at.is_complete());
    CHECK(words->decode(all) == text);
    return all;
}

}  // namespace

TEST_CASE("a forced stretch is cut as the tokenizer cuts it, not by the longest tokens",
          "[constraint]") {
    const auto words = made(merging());
    CHECK(forced(words, "abc") == ids{'a', bc});  // though there is a token "abc"
    CHECK(forced(words, "abcdab") == ids{'a', bc, 'd', ab});
    for (const std::string text : {"abc", "xabcdabcx", "cdcdab", "bcbcd", "\xC3\xA9 abc"})
        CHECK(forced(words, text) == words->encode(text));
}

TEST_CASE("a forced stretch knows nothing of what stands before and behind it", "[constraint]") {
    const auto words = made(merging());
    const gpt2::constraint form(gpt2::matching("(?:x|a)bc(?:d|e)"),
                                gpt2::constraint_tokens(words, {end}));
    auto at = form.start();
    at.advance('a');
    const ids stretch = at.forced();
    CHECK(stretch == ids{bc});
    at.advance(bc);
    at.advance('d');
    CHECK(at.is_complete());
    // The model chose "a" and "d"; the whole text, cut anew, need not be these tokens.
    auto other = form.start();
    other.advance(ab);  // a token that begins the stretch by itself
    CHECK(other.forced() == ids{'c'});
    CHECK(words->encode("abcd") == ids{'a', bc, 'd'});
    other.advance(cd);
    CHECK(other.is_complete());
}

TEST_CASE("where the tokenizer would write another text, the longest tokens come", "[constraint]") {
    auto parts = merging();
    parts.prefix = gpt2::prefix::space;
    const auto spaced = made(parts);
    REQUIRE(spaced->decode(spaced->encode("abc")) != "abc");
    CHECK(forced(spaced, "abc") == ids{abc});
    CHECK(forced(spaced, "abcd") == ids{abc, 'd'});
    // The text of a special token is text.
    const auto words = made(merging());
    const ids spelled = forced(words, "ab<end>");
    CHECK(std::ranges::find(spelled, end) == spelled.end());
    CHECK(spelled.front() == ab);
}

TEST_CASE("a generation writes forced stretches as they are", "[constraint]") {
    auto shape = test::small_config();
    shape.vocabulary_size = 261;
    shape.end_of_text = {end};
    const auto words = made(merging());
    const auto model = std::make_shared<const gpt2::language_parts>(
        test::random_weights(shape).model(shape), *words, gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(1));
    auto how = test::drawing(40);
    how.constraint = gpt2::constraint(gpt2::matching("abcabcd(?:x|y)bcdab[0-9]{2}abcd"),
                                      gpt2::constraint_tokens(words, {end}));
    for (how.seed = 0; how.seed < 10; ++how.seed) {
        gpt2::session text(model);
        text.feed("q");
        const auto done = text.generate(how);
        CHECK(done.why == gpt2::finish::complete);
        CHECK(done.text == words->decode(done.tokens));
        const ids head(done.tokens.begin(), done.tokens.begin() + 5);
        CHECK(head == words->encode("abcabcd"));
        const ids tail(done.tokens.end() - 3, done.tokens.end());
        CHECK(tail == words->encode("abcd"));
        // The model is asked for x or y, and for the two digits, at most.
        CHECK(done.stats.passes == 3);
    }
}
