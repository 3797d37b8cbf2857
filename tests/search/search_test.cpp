// Searches on a small random model: what holds for any weights.
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

TEST_CASE("one beam is greedy", "[search]") {
    const auto model = random_model();
    for (gpt2::token_id first = 2; first < 12; ++first) {
        const ids prompt = {first};
        const auto greedy = model.generate(prompt, length(15));
        const auto found = gpt2::beam_search(model, prompt, {.count = 1}, length(15));
        REQUIRE(found.size() == 1);
        CHECK(found[0].tokens == greedy.tokens);
        CHECK(found[0].log_probs == greedy.log_probs);
        CHECK(found[0].text == greedy.text);
        CHECK(found[0].why == greedy.why);
    }
}

TEST_CASE("beams wide enough find the best of all texts", "[search]") {
    auto c = small_config();
    c.vocabulary_size = 5;
    c.end_of_text = {};
    const auto model = random_model(c);
    REQUIRE(model.state().work.rows() < 125);  // the last step takes more than one pass
    const auto found = gpt2::beam_search(model, ids{2}, {.count = 625, .n_best = 625}, length(4));
    REQUIRE(found.size() == 625);  // every text of four tokens
    std::set<ids> seen;
    double last = 0;
    for (const auto& one : found) {
        CHECK(seen.insert(one.tokens).second);
        CHECK(one.score <= last + 1e-12);
        last = one.score;
        CHECK(one.score == Approx(log_prob_of(model, {2}, one.tokens) / 4).margin(1e-5));
        CHECK(one.log_prob == Approx(one.score * 4).margin(1e-5));
    }
    CHECK(gpt2::beam_search(model, ids{2}, {.count = 1024, .n_best = 1024}, length(2)).size() ==
          25);
}

TEST_CASE("searches are the same for any number of threads", "[search]") {
    const auto one = random_model(small_config(), 1), many = random_model(small_config(), 5);
    const gpt2::beams plain{.count = 6, .n_best = 6},
        diverse{.count = 6, .n_best = 6, .groups = 3, .diversity_penalty = 0.5};
    CHECK(same(gpt2::beam_search(one, start, plain, length(12)),
               gpt2::beam_search(many, start, plain, length(12))));
    CHECK(same(gpt2::beam_search(one, start, diverse, length(12)),
               gpt2::beam_search(many, start, diverse, length(12))));
    CHECK(same(gpt2::beam_search(one, start, plain, drawing(12, 5)),
               gpt2::beam_search(many, start, plain, drawing(12, 5))));
    CHECK(same(gpt2::sample_best(one, start, {.count = 5, .n_best = 5}, drawing(12, 5)),
               gpt2::sample_best(many, start, {.count = 5, .n_best = 5}, drawing(12, 5))));
    CHECK(gpt2::contrastive_search(one, start, {}, length(12)).log_probs ==
          gpt2::contrastive_search(many, start, {}, length(12)).log_probs);
}

TEST_CASE("a group that is over counts as taking end of text", "[search]") {
    // The first group ends behind its 2. At the third token, where it would be the best by far,
    // an end costs the other group the diversity penalty.
    auto how = length(4);
    how.sampling =
        gpt2::greedy() | gpt2::custom("script", [](std::span<float> scores, const auto& tokens) {
            const auto allow = [&](std::size_t best, std::size_t other) {
                for (std::size_t i = 0; i < scores.size(); ++i)
                    if (i != best && i != other) scores[i] = -INFINITY;
                scores[best] += 30;
            };
            if (tokens.size() == 3) allow(2, 3);
            if (tokens.size() == 4) tokens.back() == 2 ? allow(1, 5) : allow(5, 6);
            if (tokens.size() == 5) allow(1, 7);
            if (tokens.size() == 6) allow(8, 8);
        });
    const gpt2::beams groups{.count = 2,
                             .n_best = 2,
                             .early = gpt2::early_stopping::yes,
                             .groups = 2,
                             .diversity_penalty = 50};
    const auto found = gpt2::beam_search(random_model(), start, groups, how);
    REQUIRE(found.size() == 2);
    const auto& first = found[found[0].tokens.size() == 1 ? 0 : 1];
    const auto& second = found[found[0].tokens.size() == 1 ? 1 : 0];
    CHECK(first.tokens == ids{2});
    CHECK(second.tokens == ids{3, 6, 7, 8});
}

TEST_CASE("sampled beams follow the seed and differ from the best", "[search]") {
    const auto model = random_model();
    const auto run = [&](std::uint64_t seed) {
        return gpt2::beam_search(model, start, {.count = 3, .n_best = 3}, drawing(8, seed));
    };
    CHECK(same(run(1), run(1)));
    std::set<ids> different;
    for (std::uint64_t seed = 0; seed < 10; ++seed) different.insert(run(seed)[0].tokens);
    CHECK(different.size() > 5);
}

TEST_CASE("beams are drawn in proportion to their probability", "[search]") {
    auto c = small_config();
    c.vocabulary_size = 4;
    c.end_of_text = {};
    const auto model = random_model(c);
    std::vector<double> counts(4);
    constexpr int runs = 2000;
    for (std::uint64_t seed = 0; seed < runs; ++seed) {
        auto how = drawing(1, seed);
        how.sampling = gpt2::temperature(1.0f);
        ++counts[static_cast<std::size_t>(
            gpt2::beam_search(model, ids{2}, {.count = 1}, how)[0].tokens[0])];
    }
    for (gpt2::token_id id = 0; id < 4; ++id) {
        const double p = std::exp(log_prob_of(model, {2}, {id}));
        const double spread = std::sqrt(p * (1 - p) / runs);
        CHECK(std::abs(counts[static_cast<std::size_t>(id)] / runs - p) < 4 * spread + 1e-3);
    }
}

TEST_CASE("the callback sees a tree whose branches are the texts", "[search]") {
    const auto model = random_model();
    for (const std::size_t groups : {1, 3}) {
        std::vector<std::string> before = {""};
        std::size_t steps = 0, ended = 0;
        const gpt2::beams how{
            .count = 6, .n_best = 6, .groups = groups, .diversity_penalty = groups > 1 ? 1.0 : 0};
        const auto found =
            gpt2::beam_search(model, start, how, length(10), [&](const gpt2::beam_step& step) {
                CHECK(step.length == ++steps);
                std::vector<std::string> texts;
                const auto grown = [&](const gpt2::beam_view& one) {
                    REQUIRE(one.parent < before.size());
                    return before[one.parent] + static_cast<char>('0' + one.token);
                };
                for (const auto& one : step.running) {
                    CHECK(one.text == grown(one));
                    CHECK(!one.why);
                    CHECK(one.group < groups);
                    texts.emplace_back(one.text);
                }
                for (const auto& one : step.finished) {
                    REQUIRE(one.why);
                    const bool end = one.why == gpt2::finish::end_of_text;
                    CHECK(one.text == (end ? before[one.parent] : grown(one)));
                    ++ended;
                }
                before = texts;
                return gpt2::flow::go_on;
            });
        CHECK(steps > 0);
        CHECK(ended >= found.size());
        if (groups == 1) {
            auto running = before;
            CHECK(running.empty());
        }
    }
}

TEST_CASE("a callback, a deadline and a stop token end a search as it is", "[search]") {
    const auto model = random_model();
    int calls = 0;
    const auto stopped = gpt2::beam_search(
        model, start, {.count = 4, .n_best = 4}, length(12), [&](const gpt2::beam_step&) {
            return ++calls == 3 ? gpt2::flow::stop : gpt2::flow::go_on;
        });
    REQUIRE(stopped.size() == 4);
    CHECK(calls == 3);
    for (const auto& one : stopped)
        if (one.why != gpt2::finish::end_of_text) {
            CHECK(one.why == gpt2::finish::callback);
            CHECK(one.tokens.size() == 3);
        }
    std::stop_source stop;
    auto how = length(12);
    how.until.token = stop.get_token();
    const auto cancelled = gpt2::beam_search(model, start, {.count = 4, .n_best = 4}, how,
                                             [&](const gpt2::beam_step& step) {
                                                 if (step.length == 2) stop.request_stop();
                                                 return gpt2::flow::go_on;
                                             });
    REQUIRE(cancelled.size() == 4);
    CHECK(cancelled[0].why == gpt2::finish::cancelled);
    CHECK(cancelled[0].tokens.size() == 2);
    // Stopped before it began: nothing was written, and that is said.
    const auto none = gpt2::beam_search(model, start, {}, how);
    REQUIRE(none.size() == 1);
    CHECK(none[0].why == gpt2::finish::cancelled);
    CHECK(none[0].tokens.empty());
    CHECK(gpt2::sample_best(model, start, {.n_best = 2}, how)[1].why == gpt2::finish::cancelled);
    CHECK(gpt2::contrastive_search(model, start, {}, how).why == gpt2::finish::cancelled);
    CHECK(gpt2::generate_guided(model, start, {}, how).why == gpt2::finish::cancelled);
    CHECK(gpt2::generate_contrasted(model, start, {model}, how).why == gpt2::finish::cancelled);
}

TEST_CASE("texts end where the context is full", "[search]") {
    auto c = small_config();
    c.context_length = 8;
    c.end_of_text = {};
    const auto model = random_model(c);
    const auto plain = model.generate(start, length(64));
    REQUIRE(plain.tokens.size() == 6);  // the last needs no position
    const auto found = gpt2::beam_search(model, start, {.count = 3, .n_best = 3}, length(64));
    for (const auto& one : found) {
        CHECK(one.tokens.size() == 6);
        CHECK(one.why == gpt2::finish::context_full);
    }
    CHECK(gpt2::beam_search(model, start, {}, length(6))[0].why == gpt2::finish::length);
    CHECK(gpt2::sample_best(model, start, {}, length(64))[0].tokens == plain.tokens);
    const auto contrastive = gpt2::contrastive_search(model, start, {}, length(64));
    CHECK(contrastive.why == gpt2::finish::context_full);
    CHECK(contrastive.tokens.size() == 5);
    // The negative prompt needs room as well.
    const ids longer = {1, 2, 3, 4, 5};
    const auto guided = gpt2::generate_guided(model, start, {.negative = longer}, length(64));
    CHECK(guided.why == gpt2::finish::context_full);
    CHECK(guided.tokens.size() == 4);
    const ids full(8, 2), beyond(9, 2);
    CHECK(gpt2::beam_search(model, full, {}, length(64))[0].tokens.size() == 1);
    CHECK(gpt2::contrastive_search(model, full, {}, length(64)).tokens.empty());
    CHECK_ERROR(gpt2::errc::context_full, gpt2::beam_search(model, beyond));
    CHECK_ERROR(gpt2::errc::context_full, gpt2::sample_best(model, beyond));
    CHECK_ERROR(gpt2::errc::context_full, gpt2::contrastive_search(model, beyond));
    CHECK_ERROR(gpt2::errc::context_full,
                gpt2::generate_guided(model, start, {.negative = beyond}));
    CHECK_ERROR(gpt2::errc::context_full, gpt2::generate_contrasted(model, beyond, {model}));
}

TEST_CASE("a stop text ends a beam and is not part of it", "[search]") {
    const auto model = random_model();
    const auto free = gpt2::beam_search(model, start, {.count = 4, .n_best = 4}, length(10));
    const auto stop = free[0].text.substr(2, 2);
    auto how = length(10);
    how.stop = {stop};
    const auto found = gpt2::beam_search(model, start, {.count = 4, .n_best = 4}, how);
    int stopped = 0;
    for (const auto& one : found) {
        CHECK(one.text.find(stop) == one.text.npos);
        if (one.why != gpt2::finish::stop_text) continue;
        ++stopped;
        CHECK(text_of(one.tokens) == one.text + stop);
    }
    CHECK(stopped > 0);
    how.stop = {""};
    CHECK_ERROR(gpt2::errc::invalid_argument, gpt2::beam_search(model, start, {}, how));
}

TEST_CASE("no tokens asked for, none written", "[search]") {
    const auto model = random_model();
    const auto found = gpt2::beam_search(model, start, {}, length(0));
    REQUIRE(found.size() == 1);
    CHECK(found[0].tokens.empty());
    CHECK(found[0].why == gpt2::finish::length);
    CHECK(gpt2::sample_best(model, start, {}, length(0))[0].score == 0);
    CHECK(gpt2::contrastive_search(model, start, {}, length(0)).tokens.empty());
}

TEST_CASE("prompts are texts or ids, and an empty one begins a text", "[search]") {
    const auto model = random_model();
    CHECK(same(gpt2::beam_search(model, "314", {}, length(5)),
               gpt2::beam_search(model, start, {}, length(5))));
    CHECK(same(gpt2::beam_search(model, "", {}, length(5)),
               gpt2::beam_search(model, ids{0}, {}, length(5))));
    auto c = small_config();
    c.begin_of_text = {};
    CHECK_ERROR(gpt2::errc::empty_prompt, gpt2::beam_search(random_model(c), ""));
    CHECK_ERROR(gpt2::errc::empty_prompt, gpt2::sample_best(random_model(c), ids{}));
    CHECK_ERROR(gpt2::errc::token_out_of_range, gpt2::beam_search(model, ids{40}));
    CHECK_ERROR(gpt2::errc::token_out_of_range, gpt2::contrastive_search(model, ids{-1}));
}

TEST_CASE("sample i of the best is sequence i of the seed", "[search]") {
    const auto model = random_model();
    const auto how = drawing(10, 9);
    const auto one = gpt2::sample_best(model, start, {.count = 1}, how);
    const auto plain = model.generate(start, how);
    CHECK(one[0].tokens == plain.tokens);
    CHECK(one[0].log_probs == plain.log_probs);
    CHECK(one[0].text == plain.text);
    for (const auto by : {gpt2::best_by::sum, gpt2::best_by::mean}) {
        const auto all = gpt2::sample_best(model, start, {.count = 8, .n_best = 8, .by = by}, how);
        REQUIRE(all.size() == 8);
        std::set<ids> different;
        for (std::size_t i = 0; i < all.size(); ++i) {
            different.insert(all[i].tokens);
            const auto& tokens = all[i].tokens;
            const auto count = by == gpt2::best_by::mean ? tokens.size() : 1;
            CHECK(all[i].score ==
                  Approx(log_prob_of(model, start, tokens) / static_cast<double>(count))
                      .margin(1e-4));
            if (i > 0) CHECK(all[i].score <= all[i - 1].score);
        }
        CHECK(different.size() > 4);
        // The first samples are the same whatever the number.
        const auto few = gpt2::sample_best(model, start, {.count = 3, .n_best = 3, .by = by}, how);
        for (const auto& text : few) CHECK(different.count(text.tokens) == 1);
    }
}
