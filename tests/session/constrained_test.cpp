// Generation under a constraint: every text is of the form, whatever the model would rather say,
// alone, in a batch, and with guesses ahead.
#include "../support/catch.hpp"
#include "../support/small_session.hpp"

#include <gpt2/constraint.hpp>
#include <gpt2/session.hpp>
#include <gpt2/speculation.hpp>

#include <algorithm>
#include <memory>
#include <regex>
#include <vector>

namespace {

using test::drawing;

struct constrained_model {
    std::shared_ptr<const gpt2::language_parts> parts = test::small_parts();
    gpt2::constraint_tokens tokens{std::make_shared<const gpt2::tokenizer>(*parts->tokenizer), {0}};

    gpt2::completion write(const gpt2::options& how) const {
        gpt2::session text(parts);
        text.feed("x");
        return text.generate(how);
    }
};

}  // namespace

TEST_CASE("what is written is of the form", "[constrained]") {
    const constrained_model model;
    const std::string pattern = "(ab|cd)+ [0-9]{2,4}( and the rest)?!";
    auto how = drawing(30);
    how.constraint = gpt2::constraint(gpt2::matching(pattern), model.tokens);
    const std::regex expected(pattern);
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        how.seed = seed;
        how.draft = {};
        const auto done = model.write(how);
        CAPTURE(seed, done.text);
        CHECK(std::regex_match(done.text, expected));
        CHECK((done.why == gpt2::finish::complete || done.why == gpt2::finish::length));
        if (done.text.ends_with(" and the rest!")) {
            CHECK(done.stats.passes + 10 < done.tokens.size());  // not asked for each of them
            CHECK(std::count(done.log_probs.begin(), done.log_probs.end(), 0.0f) >= 12);
        }
        how.draft = gpt2::prompt_lookup(1, 1);
        const auto ahead = model.write(how);
        CHECK(ahead.tokens == done.tokens);
        CHECK(ahead.log_probs == done.log_probs);
    }
}

TEST_CASE("a batch under constraints is each alone", "[constrained]") {
    const constrained_model model;
    const gpt2::constraint form(gpt2::matching("[a-d]+(xyz[0-9]+)*;"), model.tokens);
    std::vector<gpt2::session> texts;
    for (int i = 0; i < 5; ++i) {
        texts.emplace_back(model.parts);
        texts.back().feed(std::string(static_cast<std::size_t>(i + 1), 'q'));
    }
    auto how = drawing(25);
    how.constraint = form;
    std::vector<gpt2::completion> alone;
    for (auto& text : texts) alone.push_back(text.fork().generate(how));
    const auto together = gpt2::session::generate(texts, how);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        CHECK(together[i].tokens == alone[i].tokens);
        CHECK(together[i].log_probs == alone[i].log_probs);
        CHECK(together[i].why == alone[i].why);
    }
}

TEST_CASE("a form that there is no room for is an error at once", "[constrained]") {
    const constrained_model model;
    auto how = drawing(5);
    how.constraint = gpt2::constraint(gpt2::matching("[a-z]{6}"), model.tokens);
    CHECK_THROWS_AS(model.write(how), gpt2::error);
    how.max_new_tokens = 6;
    CHECK(model.write(how).tokens.size() == 6);
}
