// Contrasts at their neutral settings, ranges, bans and constraints in searches.
#include "../support/catch.hpp"
#include "small_search.hpp"

#include <gpt2/contrast.hpp>
#include <gpt2/search.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace small_search;

TEST_CASE("neutral settings of every contrast are plain generation", "[search]") {
    const auto model = random_model(), other = random_model(small_config(), 2, 7);
    for (const auto& how : {length(12), drawing(12, 4)}) {
        const auto plain = model.generate(start, how);
        CHECK(gpt2::generate_guided(model, start, {.scale = 1}, length(12)).tokens ==
              model.generate(start, length(12)).tokens);
        const auto alone = gpt2::generate_contrasted(
            model, start, {.model = other, .plausibility = 0, .weight = 0}, how);
        CHECK(alone.tokens == plain.tokens);
        CHECK(alone.text == plain.text);
        CHECK(alone.why == plain.why);
        for (std::size_t i = 0; i < plain.log_probs.size(); ++i)
            CHECK(alone.log_probs[i] == Approx(plain.log_probs[i]).margin(1e-5));
    }
    CHECK(gpt2::contrastive_search(model, start, {.penalty = 0}, length(12)).tokens ==
          model.generate(start, length(12)).tokens);
    // A negative prompt that is the prompt itself takes nothing away.
    CHECK(gpt2::generate_guided(model, start, {.negative = start, .scale = 3}, length(12)).tokens ==
          model.generate(start, length(12)).tokens);
}

TEST_CASE("contrasts stream what they write", "[search]") {
    const auto model = random_model();
    std::string shown;
    ids tokens;
    const gpt2::on_piece watch = [&](const gpt2::piece& piece) {
        shown += piece.text;
        tokens.push_back(piece.token);
        return tokens.size() == 4 ? gpt2::flow::stop : gpt2::flow::go_on;
    };
    auto how = length(12);
    how.at_end_of_text = gpt2::end_rule::go_on;
    const auto done = gpt2::contrastive_search(model, start, {}, how, watch);
    CHECK(done.why == gpt2::finish::callback);
    CHECK(done.tokens == tokens);
    CHECK(done.text == shown);
    CHECK(tokens.size() == 4);
    CHECK(done.stats.prompt_tokens == 3);
    CHECK(done.stats.new_tokens == 4);
}

TEST_CASE("what is out of range is named", "[search]") {
    const auto model = random_model();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto refused = [](const std::string& name, const std::string& value,
                            const std::function<void()>& action) {
        const auto problem = test::error_of(action);
        INFO(name);
        REQUIRE(problem);
        CHECK(problem->code() == gpt2::errc::invalid_argument);
        CHECK_THAT(problem->what(), test::mentions(name + ": expected"));
        CHECK_THAT(problem->what(), test::mentions("found " + value));
    };
    const auto beams = [&](const gpt2::beams& how) {
        return [&model, how] { gpt2::beam_search(model, start, how, length(2)); };
    };
    refused("beams.count", "0", beams({.count = 0}));
    refused("beams.count", "1025", beams({.count = 1025}));
    refused("beams.n_best", "0", beams({.n_best = 0}));
    refused("beams.n_best", "5", beams({.count = 4, .n_best = 5}));
    refused("beams.groups", "0", beams({.groups = 0}));
    refused("beams.groups", "3", beams({.count = 4, .groups = 3}));
    refused("beams.length_penalty", "nan", beams({.length_penalty = nan}));
    refused("beams.length_penalty", "-21", beams({.length_penalty = -21}));
    refused("beams.diversity_penalty", "-1", beams({.diversity_penalty = -1}));
    refused("beams.groups", "2",
            [&] { gpt2::beam_search(model, start, {.groups = 2}, drawing(2, 1)); });
    const auto samples = [&](const gpt2::best_of& how) {
        return [&model, how] { gpt2::sample_best(model, start, how, length(2)); };
    };
    refused("best_of.count", "0", samples({.count = 0}));
    refused("best_of.count", "1025", samples({.count = 1025}));
    refused("best_of.n_best", "9", samples({.count = 8, .n_best = 9}));
    const auto contrastive = [&](const gpt2::contrastive& how) {
        return [&model, how] { gpt2::contrastive_search(model, start, how, length(2)); };
    };
    refused("contrastive.penalty", "2", contrastive({.penalty = 2}));
    refused("contrastive.penalty", "nan", contrastive({.penalty = nan}));
    refused("contrastive.top_k", "0", contrastive({.top_k = 0}));
    refused("guidance.scale", "inf", [&] {
        gpt2::generate_guided(model, start, {.scale = std::numeric_limits<double>::infinity()});
    });
    CHECK_ERROR(gpt2::errc::empty_prompt,
                gpt2::generate_guided(model, start, {.negative = gpt2::prompt("")}));
    const auto against = [&](double alpha, double beta, float temperature) {
        return [&, alpha, beta, temperature] {
            gpt2::generate_contrasted(model, start, {model, alpha, beta, temperature}, length(2));
        };
    };
    refused("amateur.plausibility", "1.5", against(1.5, 1, 1));
    refused("amateur.weight", "-1", against(0.1, -1, 1));
    refused("amateur.temperature", "0", against(0.1, 1, 0));
    auto c = small_config();
    c.vocabulary_size = 41;
    const auto foreign = random_model(c);
    refused("amateur.model", "41",
            [&] { gpt2::generate_contrasted(model, start, {foreign}, length(2)); });
    auto how = length(2);
    how.sampling.temperature = -1;
    refused("sampling.temperature", "-1", [&] { gpt2::beam_search(model, start, {}, how); });
}

TEST_CASE("with every token banned a search says so", "[search]") {
    auto c = small_config();
    c.vocabulary_size = 5;
    c.end_of_text = {};
    const auto model = random_model(c);
    auto how = length(4);
    how.sampling.suppress = {0, 1, 2, 3, 4};
    CHECK_ERROR(gpt2::errc::no_candidate, gpt2::beam_search(model, ids{2}, {}, how));
    CHECK_ERROR(gpt2::errc::no_candidate, gpt2::contrastive_search(model, ids{2}, {}, how));
    CHECK_ERROR(gpt2::errc::no_candidate, gpt2::sample_best(model, ids{2}, {}, how));
    CHECK_ERROR(gpt2::errc::no_candidate, gpt2::generate_guided(model, ids{2}, {}, how));
    how.sampling.suppress = {0, 1, 3, 4};  // one way to go on, for any number of beams
    const auto only = gpt2::beam_search(model, ids{2}, {.count = 3, .n_best = 3}, how);
    REQUIRE(only.size() == 1);
    CHECK(only[0].tokens == ids{2, 2, 2, 2});
}

TEST_CASE("every text of a search keeps to the constraint", "[search]") {
    const auto model = random_model();
    auto how = length(12);
    how.constraint = [] { return std::make_unique<alternating>(5); };
    const auto check = [](const ids& tokens, gpt2::finish why) {
        CHECK(why == gpt2::finish::complete);
        CHECK(tokens.size() == 5);
        for (std::size_t i = 0; i < tokens.size(); ++i) CHECK((tokens[i] % 2 == 1) == (i % 2 == 0));
    };
    const auto found = gpt2::beam_search(model, start, {.count = 6, .n_best = 6}, how);
    REQUIRE(found.size() == 6);
    for (const auto& one : found) check(one.tokens, one.why);
    for (const auto& one : {gpt2::contrastive_search(model, start, {}, how),
                            gpt2::generate_guided(model, start, {.scale = 2}, how),
                            gpt2::generate_contrasted(model, start, {model}, how)})
        check(one.tokens, one.why);
    // The best under the constraint is what greedy writes under it, followed alone.
    const auto greedy = model.generate(start, how);
    CHECK(gpt2::beam_search(model, start, {.count = 1}, how)[0].tokens == greedy.tokens);
    how.constraint = [] { return std::make_unique<alternating>(0); };
    CHECK(gpt2::beam_search(model, start, {}, how)[0].why == gpt2::finish::complete);
}
