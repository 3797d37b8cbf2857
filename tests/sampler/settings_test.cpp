// What a user may ask for: ranges, chains, words.
#include "../support/catch.hpp"

#include <gpt2/sampler.hpp>

#include <limits>
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
