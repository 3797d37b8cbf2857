// Catch2 in either of its majors (Debian 12 ships 2.13), and the checks every test file needs.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <gpt2/error.hpp>

#include <optional>
#include <string>

namespace test {

/// The error that `action` raises, or nothing when it raises none; other exceptions pass through.
template <class Action>
std::optional<gpt2::error> error_of(Action&& action) {
    try {
        action();
    } catch (const gpt2::error& problem) {
        return problem;
    }
    return std::nullopt;
}

/// Matches a text that contains `part`.
inline auto mentions(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
    return Catch::Matchers::ContainsSubstring(part);
#else
    return Catch::Matchers::Contains(part);
#endif
}

}  // namespace test

/// Checks that `action` raises a gpt2::error of this code, and shows the message when it does not.
#define CHECK_ERROR(expected_code, ...)                                                   \
    do {                                                                                  \
        const auto problem_ = test::error_of([&] { (void)(__VA_ARGS__); });               \
        INFO((problem_ ? std::string(problem_->what()) : std::string("no error")));       \
        CHECK(problem_.has_value());                                                      \
        if (problem_)                                                                     \
            CHECK(static_cast<int>(problem_->code()) == static_cast<int>(expected_code)); \
    } while (false)
