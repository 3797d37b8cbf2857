// Filters that know the text, forced and allowed tokens, filters of the user's own: what the
// engines' fixtures cannot say (dialects_test.cpp), errors, state, and the trace.
#include "../support/catch.hpp"

#include <gpt2/sampler.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::explanation;
using gpt2::greedy;
using gpt2::history;
using gpt2::sampler;
using gpt2::sampling;
using gpt2::token_id;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

using floats = std::vector<float>;
using ids = std::vector<token_id>;

/// What is left of four logits after a text.
explanation explained(const sampling& how, const ids& tokens = {}, std::size_t prompt = 0,
                      const floats& logits = {1, 2, 3, 4}) {
    return sampler(how).explain(logits, {tokens, prompt});
}

/// The scores of four logits after the processors.
floats processed(const sampling& how, const ids& tokens = {}, std::size_t prompt = 0,
                 floats scores = {1, 2, 3, 4}) {
    sampler(how).process(scores, {tokens, prompt});
    return scores;
}

std::string message_of(const sampling& how, const ids& tokens = {}, std::size_t prompt = 0) {
    const auto problem = test::error_of([&] { explained(how, tokens, prompt); });
    return problem ? problem->what() : "";
}

}  // namespace

TEST_CASE("penalties: what counts as there, by dialect", "[sampler]") {
    const ids text{0, 1, 1, 2, 2, 2};
    const sampling openai{.presence_penalty = 0.5f, .frequency_penalty = 0.25f};
    CHECK(processed(openai, text, 3) == floats{1, 2, 1.75f, 4});
    CHECK(processed(openai, text, 0) == floats{0.25f, 1, 1.75f, 4});
    CHECK(processed(openai, text, 6) == floats{1, 2, 3, 4});
    sampling llama = openai;
    llama.dialect = gpt2::dialect::llama_cpp;
    CHECK(processed(llama, text, 6) == floats{0.25f, 1, 1.75f, 4});
    llama.penalty_last_n = 4;
    CHECK(processed(llama, text, 6) == floats{1, 1.25f, 1.75f, 4});
    const sampling repetition{.repetition_penalty = 2};
    CHECK(processed(repetition, text, 6, {1, -2, 3, 0}) == floats{0.5f, -4, 1.5f, 0});
    CHECK(processed(repetition, {7, 3, -5, 3}, 1) == floats{1, 2, 3, 2});  // no such ids
}

TEST_CASE("dry: linear in the text, and deep repetitions do not overflow", "[sampler]") {
    const ids ones(100'000, 1);
    const sampling how{.dry = {.multiplier = 1, .base = 2, .allowed_length = 2}};
    const floats scores = processed(how, ones, 0);
    CHECK(scores[1] < -1e38f);
    CHECK(std::isfinite(scores[1]));
    CHECK(scores[0] == 1);
    ids breaks{1, 2, 3, 1, 2, 3};
    sampling broken{.dry = {.multiplier = 1, .base = 2, .allowed_length = 2, .breakers = {{2, 3}}}};
    CHECK(processed(broken, breaks)[1] == 2);  // nothing stands behind the breaker
    broken.dry.breakers = {{0}};
    CHECK(processed(broken, breaks)[1] == 0);  // 3 tokens repeat: 2 - 2^(3-2)
}

TEST_CASE("no-repeat n-gram: longer than the text, and a whole text", "[sampler]") {
    CHECK(explained({.no_repeat_ngram = 3}, {0, 1}).survivors == ids{0, 1, 2, 3});
    CHECK(explained({.no_repeat_ngram = 1}, {0, 1}).survivors == ids{2, 3});
    CHECK(explained({.no_repeat_ngram = 2}, {0, 1, 2, 0}).survivors == ids{0, 2, 3});
    CHECK(explained({.no_repeat_ngram = 3}, {0, 1, 2, 0, 1}).survivors == ids{0, 1, 3});
}

TEST_CASE("biases: of a sequence given twice the last counts, logits are added to", "[sampler]") {
    sampling how{.logit_bias = {{0, 2}, {3, -infinity}},
                 .sequence_bias = {{{1}, 9}, {{0, 2}, 1}, {{1}, 1}}};
    CHECK(processed(how, {0}) == floats{3, 3, 4, -infinity});
    CHECK(processed(how, {1}) == floats{3, 3, 3, -infinity});
}

TEST_CASE("bad words: an end of text is none, but a sequence with one is", "[sampler]") {
    const sampling how{.bad_words = {{3}, {0, 2}}, .end_of_text = {3}};
    CHECK(explained(how, {0}).survivors == ids{0, 1, 3});
    CHECK(explained(how, {1}).survivors == ids{0, 1, 2, 3});
    CHECK(explained(how, {}).survivors == ids{0, 1, 2, 3});
}

TEST_CASE("forced tokens: the second of a text of one, the last of max_length", "[sampler]") {
    CHECK(explained({.forced_begin = 2}, {0}, 1).survivors == ids{2});
    CHECK(explained({.forced_begin = 2}, {0, 1}, 1).survivors.size() == 4);
    const sampling end{.forced_end = {1, 3}, .max_length = 3};
    const auto last = explained(end, {0, 0}, 1);
    CHECK(last.survivors == ids{1, 3});
    CHECK(last.probabilities == std::vector<double>{0.5, 0.5});
    CHECK(explained(end, {0}, 1).survivors.size() == 4);
}

TEST_CASE("begin: the first new token, or the one after a forced begin", "[sampler]") {
    sampling how{.begin_suppress = {0}};
    CHECK(explained(how, {1, 1}, 2).survivors == ids{1, 2, 3});
    CHECK(explained(how, {1, 1}, 1).survivors.size() == 4);
    how.forced_begin = 2;
    CHECK(explained(how, {1}, 1).survivors == ids{2});
    CHECK(explained(how, {1, 2}, 1).survivors == ids{1, 2, 3});
}

TEST_CASE("a mask of allowed tokens bans the others", "[sampler]") {
    const floats logits{1, 2, 3, 4};
    sampler sample(greedy());
    const std::vector<std::uint64_t> mask{0b0110};
    CHECK(sample.next(logits, history{}, mask).token == 2);
    CHECK(sample.next(logits, history{}).token == 3);
    const auto found = sampler(sampling{}).explain(logits, {}, mask);
    CHECK(found.survivors == ids{1, 2});
    REQUIRE(found.removed.size() == 1);
    CHECK(found.removed[0].filter == "allowed tokens");
    CHECK(found.removed[0].ids == ids{0, 3});
    floats large(130, 0.0f);
    const std::vector<std::uint64_t> high{0, 0, 2};
    CHECK(sample.next(large, history{}, high).token == 129);
    CHECK_ERROR(errc::invalid_argument, sample.next(large, history{}, std::span(high).first(2)));
    CHECK_ERROR(errc::no_candidate, sample.next(logits, history{}, std::span(high).first(1)));
}

TEST_CASE("all tokens banned: an error with the filters that did it", "[sampler]") {
    sampling how{.no_repeat_ngram = 1, .bad_words = {{1}, {0}}, .suppress = {2, 3}};
    CHECK(message_of(how, {0}, 1) ==
          "step 1: every token is banned, by no-repeat n-gram, bad words, suppress");
    for (const sampling& base : {greedy(), gpt2::top_k(2)}) {
        sampler sample(base | how);
        const ids text{0};
        CHECK_ERROR(errc::no_candidate, sample.next(floats{1, 2, 3, 4}, history{text, 1}));
        CHECK(sample.next(floats{1, 2, 3, 4, 5}, history{text, 1}).token == 4);  // still usable
    }
    how = gpt2::custom("silence", [](std::span<float> logits, std::span<const token_id>) {
        std::fill(logits.begin(), logits.end(), -infinity);
    });
    CHECK(message_of(how) == "step 0: every token is banned, by silence");
}

TEST_CASE("ids beyond the vocabulary are refused by name", "[sampler]") {
    const auto refused = [](const sampling& how, const std::string& name) {
        const auto problem = test::error_of([&] { explained(how); });
        REQUIRE(problem.has_value());
        CHECK(problem->code() == errc::token_out_of_range);
        CHECK(std::string(problem->what()) ==
              "sampling." + name + ": expected ids from 0 to 3, found 4");
    };
    refused({.dry = {.multiplier = 1, .breakers = {{0, 4}}}}, "dry.breakers");
    refused({.logit_bias = {{4, 1}}}, "logit_bias");
    refused({.sequence_bias = {{{1, 4}, 1}}}, "sequence_bias");
    refused({.bad_words = {{4, 1}}}, "bad_words");
    refused({.suppress = {4}}, "suppress");
    refused({.begin_suppress = {4}}, "begin_suppress");
    refused({.forced_begin = 4}, "forced_begin");
    refused({.forced_end = {4}, .max_length = 9}, "forced_end");
    CHECK(explained({.end_of_text = {50256}, .min_length = 2}).survivors.size() == 4);
}

TEST_CASE("history: what contradicts itself, and chains that need it", "[sampler]") {
    const floats logits{1, 2, 3, 4};
    const ids text{0};
    CHECK_ERROR(errc::invalid_argument, sampler(greedy()).next(logits, history{text, 2}));
    for (const sampling& how :
         {sampling{.repetition_penalty = 2}, sampling{.min_new_tokens = 1},
          gpt2::custom("own", [](std::span<float>, std::span<const token_id>) {})})
        CHECK_ERROR(errc::invalid_argument, sampler(how).next(logits, 0));
    CHECK(sampler(sampling{.suppress = {3}} | greedy()).next(logits, 5).token == 2);
    const sampling plain = gpt2::top_k(3, 0.9f);
    CHECK(sampler(plain, 7).next(logits, history{text, 1}).token ==
          sampler(plain, 7).next(logits, 1).token);
}

TEST_CASE("numbers that leave the finite are errors, not silence", "[sampler]") {
    const auto fails = [](const sampling& how) {
        const ids text{0, 1, 2, 3};
        floats logits{3e38f, 1, 2, -3e38f};
        CHECK_ERROR(errc::not_finite, sampler(how).next(logits, history{text, 0}));
        CHECK_ERROR(errc::not_finite, sampler(how).process(logits, history{text, 0}));
    };
    fails({.repetition_penalty = 1e-30f});
    fails({.logit_bias = {{0, 3e38f}}});
    fails({.sequence_bias = {{{0}, 3e38f}}});
    fails(gpt2::custom("own", [](std::span<float> x, std::span<const token_id>) { x[1] = NAN; }));
}

TEST_CASE("a filter of one's own: state of its own in each sampler, and a fresh one", "[sampler]") {
    const sampling how =
        greedy() | gpt2::custom("every other", [odd = false](std::span<float> logits,
                                                             std::span<const token_id>) mutable {
            if (odd) logits[3] = -infinity;
            odd = !odd;
        });
    const floats logits{1, 2, 3, 4};
    sampler first(how), second(how);
    const auto draw = [&](sampler& sample) { return sample.next(logits, history{}).token; };
    CHECK(draw(first) == 3);
    CHECK(draw(first) == 2);
    CHECK(draw(first) == 3);
    CHECK(draw(second) == 3);
    sampler fork = first;
    CHECK(draw(fork) == 2);
    CHECK(draw(first) == 2);
    CHECK(first.explain(logits, {}).survivors == ids{3});
    CHECK(first.explain(logits, {}).survivors == ids{3});  // looking changes nothing
    first.reset();
    CHECK(draw(first) == 3);
    CHECK(describe(how) == "custom every other, greedy");
}

TEST_CASE("a filter of one's own sees the text, after the others", "[sampler]") {
    ids seen;
    floats scores;
    const sampling how =
        sampling{.suppress = {1}} |
        gpt2::custom("watch", [&](std::span<float> logits, std::span<const token_id> tokens) {
            seen.assign(tokens.begin(), tokens.end());
            scores.assign(logits.begin(), logits.end());
        });
    const ids text{3, 1};
    sampler(how).next(floats{1, 2, 3, 4}, history{text, 1});
    CHECK(seen == text);
    CHECK(scores == floats{1, -infinity, 3, 4});
}

TEST_CASE("explain: which filter removed what, and what is left", "[sampler]") {
    const sampling how = sampling{.suppress = {3}} | gpt2::top_k(2, 0.5f);
    const auto found = explained(how, {}, 0, {1, 2, 3, 4, -infinity});
    REQUIRE(found.removed.size() == 2);
    CHECK(found.removed[0].filter == "suppress");
    CHECK(found.removed[0].ids == ids{3});
    CHECK(found.removed[1].filter == "top-k");
    CHECK(found.removed[1].ids == ids{0});
    CHECK(found.survivors == ids{1, 2});
    REQUIRE(found.probabilities.size() == 2);
    CHECK(found.probabilities[1] == Approx(1 / (1 + std::exp(-2.0))));
    const auto best = explained(greedy());
    CHECK(best.survivors == ids{3});
    CHECK(best.removed.back().filter == "greedy");
    CHECK(best.probabilities == std::vector<double>{1});
}

TEST_CASE("explain: what is drawn is among the survivors", "[sampler]") {
    const sampling how = gpt2::top_p(0.8, 1.2f) |
                         sampling{.min_p = 0.05, .typical_p = 0.9, .repetition_penalty = 1.5f};
    ids text;
    sampler sample(how, 3);
    for (std::size_t step = 0; step < 200; ++step) {
        floats logits(60);
        const gpt2::philox random{step, 1};
        for (std::size_t i = 0; i < 60; ++i) logits[i] = static_cast<float>(random.uniform(i) * 8);
        const auto found = sample.explain(logits, {text, 0});
        const token_id token = sample.next(logits, history{text, 0}).token;
        CHECK(std::binary_search(found.survivors.begin(), found.survivors.end(), token));
        text.push_back(token);
    }
}

TEST_CASE("truncation: at least so many tokens stay", "[sampler]") {
    const auto left = [](sampling how) {
        how.min_tokens_to_keep = 3;
        return explained(how).survivors;
    };
    const ids best{1, 2, 3};
    CHECK(left({.top_k = 1}) == best);
    CHECK(left({.top_k = 1, .dialect = gpt2::dialect::llama_cpp}) == best);
    CHECK(left({.top_p = 0.1}) == best);
    CHECK(left({.top_p = 0.1, .dialect = gpt2::dialect::openai2019}) == best);
    CHECK(left({.min_p = 0.9}) == best);
    CHECK(left({.dialect = gpt2::dialect::llama_cpp, .min_p = 0.9}) == best);
    CHECK(left({.typical_p = 0.01}).size() == 3);
    CHECK(left({.epsilon_cutoff = 0.9}) == best);
    CHECK(left({.eta_cutoff = 0.9}) == best);
    CHECK(left({.xtc = {.probability = 1, .threshold = 0.05f}}) == ids{0, 1, 2, 3});
    CHECK(explained({.xtc = {.probability = 1, .threshold = 0.05f}}).survivors == ids{0, 1});
}

TEST_CASE("truncation: min-p at its ends and between", "[sampler]") {  // 236
    const floats logits{std::log(0.1f), std::log(0.2f), std::log(0.3f), std::log(0.4f)};
    const auto left = [&](double min_p) {
        return explained({.min_p = min_p}, {}, 0, logits).survivors;
    };
    CHECK(left(0) == ids{0, 1, 2, 3});
    CHECK(left(0.26) == ids{1, 2, 3});
    CHECK(left(0.49) == ids{1, 2, 3});
    CHECK(left(0.51) == ids{2, 3});
    CHECK(left(1) == ids{3});
    CHECK(explained({.min_p = 1}, {}, 0, {1, 3, 3, 2}).survivors == ids{1, 2});
}

TEST_CASE("truncation: any number of tokens may have to stay", "[sampler]") {  // 235
    for (std::size_t least = 1; least <= 4; ++least)
        for (std::size_t k = 1; k <= 4; ++k) {
            CAPTURE(least, k);
            const sampling how{.top_k = k, .min_tokens_to_keep = least};
            CHECK(explained(how).survivors.size() == std::max(least, k));
        }
    CHECK(explained({.top_k = 1, .min_tokens_to_keep = 9}).survivors.size() == 4);
}

TEST_CASE("process: what beam search sees", "[sampler]") {
    const sampling how = greedy() | sampling{.top_k = 1, .suppress = {3}};
    CHECK(processed(how) == floats{1, 2, 3, -infinity});  // greedy: no truncation
    CHECK(processed(sampling{.top_k = 2, .suppress = {3}}) == floats{-infinity, 2, 3, -infinity});
    CHECK(processed(gpt2::top_p(0.6)) == floats{-infinity, -infinity, -infinity, 4});
    CHECK(processed(gpt2::top_p(0.6) | sampling{.min_tokens_to_keep = 2}) ==
          floats{-infinity, -infinity, 3, 4});
    CHECK(processed({.suppress = {0, 1, 2, 3}}) == floats(4, -infinity));
    const floats normal =
        processed({.suppress = {2, 3}, .scores = gpt2::normalisation::log_softmax});
    CHECK(normal[0] == Approx(-std::log1p(std::exp(1.0))));
    CHECK(normal[1] == Approx(normal[0] + 1));
    CHECK(normal[2] == -infinity);
    floats none;
    CHECK_ERROR(errc::invalid_argument, sampler(how).process(none, {}));
}

TEST_CASE("xtc: its chance is not the draw's, and depends on the step", "[sampler]") {
    const sampling how{.xtc = {.probability = 0.25f, .threshold = 0.1f}};
    const sampler sample(how, 5);
    const floats logits{0, 0.1f, 0.2f, 0.3f};
    int times = 0;
    for (std::size_t step = 0; step < 1000; ++step) {
        const ids text(step, 0);
        const auto found = sample.explain(logits, {text, 0});
        CHECK((found.survivors == ids{0} || found.survivors.size() == 4));
        times += found.survivors.size() == 1;
        const gpt2::philox random{5, 0};
        CHECK(random.uniform(step) != random.uniform(step, gpt2::philox::use::exclusion));
    }
    CHECK(times > 200);
    CHECK(times < 300);
}

TEST_CASE("mirostat: the surprise comes near its target, and the state can be kept", "[sampler]") {
    using kind = gpt2::mirostat_control::kind;
    floats logits(1000);
    for (std::size_t i = 0; i < logits.size(); ++i)
        logits[i] = -std::log(static_cast<float>(i) + 1.0f);  // Zipf's law
    for (const kind version : {kind::version_1, kind::version_2}) {
        const sampling how{.mirostat = {.version = version, .target = 3, .rate = 0.1f}};
        sampler sample(how, 4);
        CHECK(sample.state().surprise == 6);
        const auto bits = [&](std::size_t step) {
            const auto left = sample.explain(logits, {ids(step), 0});
            const token_id token = sample.next(logits, step).token;
            const auto at = std::find(left.survivors.begin(), left.survivors.end(), token);
            return -std::log2(
                left.probabilities[static_cast<std::size_t>(at - left.survivors.begin())]);
        };
        double sum = 0;
        for (std::size_t step = 0; step < 400; ++step) {
            const double before = sample.state().surprise, surprise = bits(step);
            CHECK(sample.state().surprise == Approx(before - 0.1 * (surprise - 3)));
            sum += surprise;
        }
        CHECK(sum / 400 == Approx(3).epsilon(0.05));
        sampler later(how, 4);
        later.restore(sample.state());
        CHECK(later.state() == sample.state());
        for (std::size_t step = 400; step < 450; ++step)
            CHECK(later.next(logits, step).token == sample.next(logits, step).token);
        sample.reset();
        CHECK(sample.state().surprise == 6);
    }
}

TEST_CASE("filters: the same tokens from every compiler, library and flag", "[sampler]") {
    using kind = gpt2::mirostat_control::kind;
    const auto hash_of = [](const sampling& how) {
        std::uint64_t hash = 0;
        const ids text{1, 2, 3, 1, 2, 3, 1, 2, 9, 9};
        for (const std::size_t size : {17u, 1000u, 20000u}) {
            floats logits(size);
            for (std::size_t i = 0; i < size; ++i)
                logits[i] = (static_cast<float>((i * 10007 + 12345) % 65537) - 32768) / 8192;
            sampler sample(how, 42, 7);
            for (std::size_t step = 0; step < 10; ++step) {
                const auto past = std::span(text).first(step + 1);
                hash = hash * 31 +
                       static_cast<std::uint64_t>(sample.next(logits, history{past, 1}).token);
                hash ^= std::bit_cast<std::uint64_t>(sample.state().surprise);
                for (const double p : sample.explain(logits, {past, 1}).probabilities)
                    hash = hash * 31 + std::bit_cast<std::uint64_t>(p);
            }
        }
        return hash;
    };
    // Committed from one build (gcc 12 -O1).
    CHECK(hash_of({.min_p = 0.1, .typical_p = 0.7}) == 0x77155e62227e2e45);
    CHECK(hash_of({.epsilon_cutoff = 1e-4, .eta_cutoff = 1e-3, .top_n_sigma = 1.5f}) ==
          0xb2c733f0eb3f4049);
    CHECK(hash_of({.top_h = 0.6, .dynamic = {.range = 0.7f}}) == 0x4d60cf4109a85336);
    CHECK(hash_of({.top_p = 0.9, .dialect = gpt2::dialect::openai2019}) == 0x8f6c60f33c18b29e);
    CHECK(hash_of({.xtc = {.probability = 0.5f, .threshold = 1e-3f},
                   .mirostat = {.version = kind::version_2}}) == 0xfd29a6d9d494081a);
    CHECK(hash_of({.repetition_penalty = 1.3f,
                   .presence_penalty = 0.3f,
                   .frequency_penalty = 0.7f,
                   .sequence_bias = {{{3, 1}, 0.3f}, {{1}, 0.1f}}}) == 0xe0f02996ff0f4d29);
    CHECK(hash_of({.temperature = 0.7f,
                   .dialect = gpt2::dialect::llama_cpp,
                   .min_p = 0.03,
                   .typical_p = 0.9,
                   .dry = {.multiplier = 0.8f}}) == 0x68e591f680a75af9);
}
