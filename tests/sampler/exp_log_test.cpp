// The error bounds that exp_log.hpp states, against the C library in long double, and what the
// sampler needs of them exactly.
#include "../support/catch.hpp"

#include <gpt2/detail/exp_log.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

using gpt2::detail::exp_of_negative;
using gpt2::detail::log_of;

TEST_CASE("exp: within 2e-8 for floats from -87 to 0", "[sampler][exp]") {
    double worst = 0;
    float at = 0;
    const auto look = [&](float x) {
        const long double right = std::exp(static_cast<long double>(x));
        const auto error = static_cast<double>(std::abs(exp_of_negative(x) / right - 1));
        if (error > worst) worst = error, at = x;
    };
    for (std::uint32_t bits = 0; bits <= std::bit_cast<std::uint32_t>(87.0f); bits += 1531)
        look(-std::bit_cast<float>(bits));
    for (int i = 0; i < 8700; ++i) look(static_cast<float>(-i) / 100);
    INFO("worst at " << at << ": " << worst);
    CHECK(worst < 2e-8);
    CHECK(worst > 1e-10);  // else this test looks at nothing
}

TEST_CASE("exp: exact at its ends", "[sampler][exp]") {
    CHECK(exp_of_negative(0.0) == 1.0);
    CHECK(exp_of_negative(-0.0) == 1.0);
    CHECK(exp_of_negative(-87.0) > 0);
    CHECK(exp_of_negative(-87.0000076) == 0);
    CHECK(exp_of_negative(-1e30) == 0);
    CHECK(exp_of_negative(-static_cast<double>(std::numeric_limits<float>::max())) == 0);
    CHECK(exp_of_negative(-std::numeric_limits<double>::infinity()) == 0);
    CHECK(exp_of_negative(-1e-30) == 1.0);
}

TEST_CASE("exp: never above 1", "[sampler][exp]") {
    for (std::uint32_t bits = 0; bits < std::bit_cast<std::uint32_t>(0.01f); bits += 4099)
        if (!(exp_of_negative(-std::bit_cast<float>(bits)) <= 1.0)) FAIL("above 1 at " << bits);
}

TEST_CASE("log: within 1e-15 of max(1, ln x)", "[sampler][exp]") {
    double worst = 0, at = 0;
    const auto look = [&](double x) {
        const long double right = std::log(static_cast<long double>(x));
        const auto error =
            static_cast<double>(std::abs(log_of(x) - right) / std::max(1.0L, std::abs(right)));
        if (error > worst) worst = error, at = x;
    };
    for (double x = 1; x < 3e6; x *= 1.00037) look(x);
    for (double x = 0.5; x < 2; x += 0.00017) look(x);
    look(std::sqrt(0.5));
    look(std::nextafter(std::sqrt(0.5), 0.0));
    look(std::numeric_limits<double>::max());
    look(std::numeric_limits<double>::min());
    INFO("worst at " << at << ": " << worst);
    CHECK(worst < 1e-15);
    CHECK(log_of(1.0) == 0.0);
}

TEST_CASE("exp and log: the same bits from every compiler", "[sampler][exp]") {
    // Committed from one build (gcc 12 -O1); every other compiler and flag must meet it.
    std::uint64_t hash = 0;
    for (std::uint32_t bits = 0; bits <= std::bit_cast<std::uint32_t>(88.0f); bits += 7919)
        hash =
            hash * 31 + std::bit_cast<std::uint64_t>(exp_of_negative(-std::bit_cast<float>(bits)));
    CHECK(hash == 0x573ca38add8e6fc5);
    hash = 0;
    for (double x = 1; x < 3e6; x *= 1.0009765625)
        hash = hash * 31 + std::bit_cast<std::uint64_t>(log_of(x));
    CHECK(hash == 0x199173a9711e87ac);
}
