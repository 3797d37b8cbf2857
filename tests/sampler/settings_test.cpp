// What a user may ask for: ranges, chains, words.
#include "../support/catch.hpp"

#include <gpt2/sampler.hpp>

#include <limits>
#include <span>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::greedy;
using gpt2::sampler;
using gpt2::sampling;
using gpt2::temperature;
using gpt2::top_k;
using gpt2::top_p;
using gpt2::validate;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

std::string message_of(const sampling& how) {
    const auto problem = test::error_of([&] { validate(how); });
    return problem ? problem->what() : "";
}

}  // namespace

TEST_CASE("sampling: values outside their ranges are refused by name", "[sampler]") {
    for (const float t : {-1.0f, -1e-45f, not_a_number, infinity, -infinity})
        CHECK_ERROR(errc::invalid_argument, validate(temperature(t)));
    for (const double p : {-0.1, 1.1, -1e-300, 1.0000001, static_cast<double>(not_a_number),
                           static_cast<double>(infinity)})
        CHECK_ERROR(errc::invalid_argument, validate(top_p(p)));
    CHECK_ERROR(errc::invalid_argument, validate(top_k(static_cast<std::size_t>(-1))));
    CHECK_ERROR(errc::invalid_argument, sampler(temperature(-1)));

    CHECK(message_of(temperature(-1)) ==
          "sampling.temperature: expected a finite number, 0 (greedy) or more, found -1");
    CHECK(message_of(top_p(1.1)) ==
          "sampling.top_p: expected a number from 0 to 1 (off), found 1.1");
    CHECK(message_of(top_k(static_cast<std::size_t>(-5))) ==
          "sampling.top_k: expected a count, 0 (off) or more, found -5");
}

TEST_CASE("sampling: values at the ends of their ranges are taken", "[sampler]") {
    for (const float t : {0.0f, -0.0f, 1e-45f, 1e-38f, 1e38f})
        CHECK(message_of(temperature(t)).empty());
    for (const double p : {0.0, -0.0, 1e-300, 1.0}) CHECK(message_of(top_p(p)).empty());
    for (const std::size_t k : {0u, 1u, 50257u, 2147483647u}) CHECK(message_of(top_k(k)).empty());
}

TEST_CASE("sampling: every setting outside its range is refused by name", "[sampler]") {
    using kind = gpt2::mirostat_control::kind;
    const auto minus_two = static_cast<std::size_t>(-2);
    const auto refused = [](const sampling& how, const std::string& begin, const std::string& end) {
        INFO(begin);
        const std::string message = message_of(how);
        CHECK(message.starts_with("sampling." + begin + ": expected "));
        CHECK(message.ends_with(", found " + end));
    };
    refused({.min_p = -0.1}, "min_p", "-0.1");
    refused({.min_p = 1.5}, "min_p", "1.5");
    refused({.typical_p = 0}, "typical_p", "0");
    refused({.typical_p = 1.25}, "typical_p", "1.25");
    refused({.epsilon_cutoff = 1}, "epsilon_cutoff", "1");
    refused({.eta_cutoff = not_a_number}, "eta_cutoff", "nan");
    refused({.top_h = 2}, "top_h", "2");
    refused({.top_n_sigma = -1}, "top_n_sigma", "-1");
    refused({.dynamic = {.range = infinity}}, "dynamic.range", "inf");
    refused({.dynamic = {.range = 1, .exponent = -1}}, "dynamic.exponent", "-1");
    refused({.xtc = {.probability = 2}}, "xtc.probability", "2");
    refused({.xtc = {.probability = 1, .threshold = -1}}, "xtc.threshold", "-1");
    refused({.mirostat = {.version = kind::version_2, .target = -1}}, "mirostat.target", "-1");
    refused({.mirostat = {.rate = not_a_number}}, "mirostat.rate", "nan");
    refused({.mirostat = {.estimate = 1}}, "mirostat.estimate", "1");
    refused({.min_tokens_to_keep = 0}, "min_tokens_to_keep", "0");
    for (const float bad : {0.0f, -1.0f, infinity, not_a_number})
        CHECK_ERROR(errc::invalid_argument, validate({.repetition_penalty = bad}));
    refused({.presence_penalty = infinity}, "presence_penalty", "inf");
    refused({.frequency_penalty = not_a_number}, "frequency_penalty", "nan");
    refused({.penalty_last_n = minus_two}, "penalty_last_n", "-2");
    refused({.dry = {.multiplier = -1}}, "dry.multiplier", "-1");
    refused({.dry = {.base = 0.5f}}, "dry.base", "0.5");
    refused({.dry = {.breakers = {{}}}}, "dry.breakers", "none");
    refused({.no_repeat_ngram = minus_two}, "no_repeat_ngram", "-2");
    refused({.logit_bias = {{0, infinity}}}, "logit_bias", "inf");
    refused({.logit_bias = {{0, not_a_number}}}, "logit_bias", "nan");
    refused({.logit_bias = {{0, 1}, {5, 1}, {0, 1}}}, "logit_bias", "token 0 twice");
    refused({.sequence_bias = {{{0}, not_a_number}}}, "sequence_bias", "nan");
    refused({.sequence_bias = {{{}, 1}}}, "sequence_bias", "none");
    refused({.bad_words = {{1}, {}}}, "bad_words", "none");
    refused({.decay = {.factor = 0}}, "decay.factor", "0");
    refused({.min_length = 5, .max_length = 4}, "min_length", "5");
    refused({.min_new_tokens = 5, .max_length = 4}, "min_new_tokens", "5");
    refused({.forced_end = {1}}, "forced_end", "0");
    refused({.custom = {{"empty", nullptr}}}, "custom", "none");
    CHECK_ERROR(errc::token_out_of_range, validate({.suppress = {-1}}));
    CHECK_ERROR(errc::token_out_of_range, validate({.bad_words = {{1, -7}}}));
    CHECK_ERROR(errc::token_out_of_range, validate({.forced_begin = -1}));
    CHECK(message_of({.logit_bias = {{0, -infinity}}}).empty());
    CHECK(message_of({.min_p = 1, .typical_p = 1, .top_h = 1}).empty());
}

/// Every setting at a value of its own.
sampling everything() {
    using kind = gpt2::mirostat_control::kind;
    return {.temperature = 0.8f,
            .top_k = 40,
            .top_p = 0.95,
            .dialect = gpt2::dialect::llama_cpp,
            .min_p = 0.05,
            .typical_p = 0.9,
            .epsilon_cutoff = 0.001,
            .eta_cutoff = 0.002,
            .top_h = 0.5,
            .top_n_sigma = 2,
            .dynamic = {.range = 0.5f},
            .xtc = {.probability = 0.5f},
            .mirostat = {.version = kind::version_2},
            .min_tokens_to_keep = 2,
            .repetition_penalty = 1.2f,
            .presence_penalty = 0.5f,
            .frequency_penalty = 0.25f,
            .penalty_last_n = 64,
            .dry = {.multiplier = 0.8f},
            .no_repeat_ngram = 3,
            .logit_bias = {{1, 2}},
            .sequence_bias = {{{1, 2}, 3}},
            .bad_words = {{7}, {8, 9}},
            .suppress = {4},
            .begin_suppress = {5},
            .end_of_text = {0},
            .min_length = 6,
            .min_new_tokens = 5,
            .decay = {3, 1.5},
            .forced_end = {0},
            .forced_begin = 1,
            .max_length = 100,
            .scores = gpt2::normalisation::log_softmax,
            .custom = {{"own", [](std::span<float>, std::span<const gpt2::token_id>) {}}}};
}

TEST_CASE("sampling: a chain carries every setting over", "[sampler]") {
    CHECK((sampling{} | everything()) == everything());
    CHECK((everything() | sampling{}) == everything());
    CHECK((everything() | everything()).custom.size() == 2);
    CHECK(message_of(everything()).empty());
}

TEST_CASE("sampling: the order of every filter, by dialect", "[sampler]") {
    const std::string processors =
        "sequence bias 1, logit bias 1, repetition penalty 1.2, presence and frequency penalty 0.5 "
        "and 0.25, dry 0.8 from 2, no-repeat n-gram 3, bad words 2, min length 6, min new tokens "
        "5, forced begin 1, forced end at 100, exponential length penalty 1.5 from 3, suppress 1, "
        "suppress at begin 1, custom own, ";
    CHECK(describe(everything()) ==
          "llama_cpp: " + processors +
              "top-n-sigma 2, top-k 40, typical 0.9, top-p 0.95, min-p 0.05, top-h 0.5, epsilon "
              "0.001, eta 0.002, xtc 0.5 at 0.1, temperature 0.8 ± 0.5, mirostat 2 at 5, "
              "log-softmax, at least 2 tokens");
    sampling how = everything();
    how.dialect = gpt2::dialect::hf;
    CHECK(describe(how) ==
          processors +
              "temperature 0.8 ± 0.5, top-n-sigma 2, top-h 0.5, top-k 40, top-p 0.95, min-p 0.05, "
              "typical 0.9, epsilon 0.001, eta 0.002, xtc 0.5 at 0.1, mirostat 2 at 5, "
              "log-softmax, at least 2 tokens");
    CHECK(describe(sampling{.suppress = {1, 2}} | greedy()) == "suppress 2, greedy");
    CHECK(describe(sampling{.dialect = gpt2::dialect::openai2019} | top_k(4)) ==
          "openai2019: top-k 4");
}

TEST_CASE("sampling: a chain means the same in any written order", "[sampler]") {
    const sampling all{.temperature = 0.8f, .top_k = 40, .top_p = 0.95};
    CHECK((temperature(0.8f) | top_k(40) | top_p(0.95)) == all);
    CHECK((top_p(0.95) | top_k(40) | temperature(0.8f)) == all);
    CHECK((top_k(40, 0.8f) | top_p(0.95)) == all);
    CHECK((sampling{} | all) == all);
    CHECK((all | sampling{}) == all);
    CHECK((greedy() | top_k(5)).temperature == 0);
}

TEST_CASE("sampling: of a setting said twice the right one wins", "[sampler]") {
    CHECK((temperature(0.8f) | temperature(0.5f)) == temperature(0.5f));
    CHECK((top_k(3) | top_k(7)).top_k == 7);
    CHECK((top_p(0.3) | top_p(0.7)).top_p == 0.7);
    CHECK((temperature(0.8f) | greedy()) == greedy());
}

TEST_CASE("sampling: in words, in the order it runs", "[sampler]") {
    CHECK(describe(greedy()) == "greedy");
    CHECK(describe(temperature(-0.0f) | top_k(4)) == "greedy");
    CHECK(describe(sampling{}) == "the model's own distribution");
    CHECK(describe(top_p(0.95) | top_k(40) | temperature(0.8f)) ==
          "temperature 0.8, top-k 40, top-p 0.95");
    CHECK(describe(top_p(0.95f)) == "top-p 0.95");
    CHECK(describe(top_k(7)) == "top-k 7");
}
