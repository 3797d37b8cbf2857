// Allocations that fail when a test says so. One file of the program replaces operator new
// (session/memory_test.cpp); everywhere else this is all there is to know.
#pragma once

#include "catch.hpp"

#include <new>

namespace test {

/// Allocations of this thread until one fails; -1: none does.
inline thread_local long allocations_left = -1;

/// Runs `action` with its first allocation failing, its second, … until it succeeds; beyond the
/// first hundred ever fewer of them. `check` after each failure. How many were let through.
template <class Action, class Check>
long fail_each(Action action, Check check) {
    for (long k = 0;; k += 1 + k / 100) {
        allocations_left = k;
        try {
            action();
            allocations_left = -1;
            return k;
        } catch (const std::bad_alloc&) {
            allocations_left = -1;
        } catch (const gpt2::error& problem) {
            allocations_left = -1;
            REQUIRE(problem.code() == gpt2::errc::out_of_memory);
        }
        check();
    }
}

}  // namespace test
