// Searches on a small random model: what holds for any weights.
#include "../support/random_model.hpp"
#include "../support/catch.hpp"

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

namespace {

using ids = std::vector<gpt2::token_id>;
const ids start = {3, 1, 4};

gpt2::config small_config() {
    auto c = test::odd_config();
    c.vocabulary_size = 40;
    c.context_length = 24;
    c.layers = 2;
    c.end_of_text = {1};
    return c;
}

/// A token for every letter, so that texts can be read.
gpt2::tokenizer letters(std::size_t count) {
    gpt2::vocabulary words;
    for (std::size_t i = 0; i < count; ++i)
        words.tokens.push_back(std::string(1, static_cast<char>('0' + i)));
    return gpt2::tokenizer(std::move(words));
}

gpt2::language_model random_model(const gpt2::config& c = small_config(), unsigned threads = 2,
                                  unsigned seed = 1) {
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        test::random_weights(c, seed).model(c), letters(c.vocabulary_size), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(threads)));
}

gpt2::options length(std::size_t tokens) {
    gpt2::options how;
    how.max_new_tokens = tokens;
    return how;
}

gpt2::options drawing(std::size_t tokens, std::uint64_t seed) {
    auto how = length(tokens);
    how.sampling = gpt2::temperature(1.5f);
    how.seed = seed;
    return how;
}

bool same(const std::vector<gpt2::hypothesis>& a, const std::vector<gpt2::hypothesis>& b) {
    const auto equal = [](const gpt2::hypothesis& x, const gpt2::hypothesis& y) {
        return x.tokens == y.tokens && x.log_probs == y.log_probs && x.log_prob == y.log_prob &&
               x.score == y.score && x.text == y.text && x.why == y.why;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
}

/// The log-probability of `tokens` behind `prompt`, one pass per token.
double log_prob_of(const gpt2::language_model& model, const ids& prompt, const ids& tokens) {
    auto text = model.start();
    text.feed(prompt);
    double sum = 0;
    for (const auto id : tokens) {
        const auto logits = text.logits();
        const float best = *std::max_element(logits.begin(), logits.end());
        double total = 0;
        for (const float x : logits) total += std::exp(static_cast<double>(x - best));
        sum += static_cast<double>(logits[static_cast<std::size_t>(id)] - best) - std::log(total);
        text.feed(std::span(&id, 1));
    }
    return sum;
}

std::string text_of(const ids& tokens) {
    std::string text;
    for (const auto id : tokens) text += static_cast<char>('0' + id);
    return text;
}

/// Lets tokens of one parity follow those of the other, and no more than so many.
class alternating : public gpt2::guide {
public:
    explicit alternating(std::size_t most) : most_(most) {}

    std::span<const std::uint64_t> allowed(std::size_t) override {
        mask_ = written_ % 2 == 0 ? 0xAAAAAAAAAAAAAAA8 : 0x5555555555555555;  // end: token 1
        return {&mask_, 1};
    }
    std::vector<gpt2::token_id> forced(std::size_t) override { return {}; }
    void advance(gpt2::token_id token) override {
        CHECK(token % 2 == (written_ % 2 == 0 ? 1 : 0));
        ++written_;
    }
    bool is_complete() const override { return written_ == most_; }

private:
    std::size_t most_, written_ = 0;
    std::uint64_t mask_ = 0;
};

}  // namespace

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
