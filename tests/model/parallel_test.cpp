// The thread pool: threads exist only once they are needed, sleep when they are not, give way to
// others, and do not follow a fork. (That every index is covered once: ops_test.cpp.)
#include "../support/catch.hpp"
#include "../support/sanitized.hpp"

#include <gpt2/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <csignal>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

using gpt2::thread_pool;

std::size_t threads_of_this_process() {
    const auto all = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

double now(clockid_t clock) {
    timespec at{};
    ::clock_gettime(clock, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
}

/// Work for `count` indices, about as long as a matrix of a small model takes.
void work(thread_pool& pool, std::size_t count) {
    std::vector<double> sums(count);
    pool.run(count, 1, [&](std::size_t first, std::size_t last, std::size_t) {
        for (std::size_t i = first; i < last; ++i)
            for (int k = 1; k < 100; ++k) sums[i] += 1 / std::sqrt(double(k) + double(i));
    });
    if (!(sums[0] > 1)) FAIL("nothing was added");
}

/// The sum of 0 … 999, by the pool.
std::size_t sum_of_many(thread_pool& pool) {
    std::atomic<std::size_t> sum = 0;
    pool.run(1000, 1, [&](std::size_t first, std::size_t last, std::size_t) {
        for (std::size_t i = first; i < last; ++i) sum += i;
    });
    return sum;
}

/// A process that computes and never waits, while this object lives.
class busy_process {
public:
    busy_process() : id_(::fork()) {
        if (id_ == 0)
            for (std::atomic<unsigned> turns = 0;;) ++turns;
        REQUIRE(id_ > 0);
    }
    busy_process(const busy_process&) = delete;
    busy_process& operator=(const busy_process&) = delete;
    ~busy_process() {
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }

private:
    pid_t id_;
};

/// Two cores for this process and the children of its life, wherever they may run otherwise.
class two_cores {
public:
    two_cores() {
        ::sched_getaffinity(0, sizeof all_, &all_);
        cpu_set_t two;
        CPU_ZERO(&two);
        for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&two) < 2; ++i)
            if (CPU_ISSET(i, &all_)) CPU_SET(i, &two);
        there_ = CPU_COUNT(&two) == 2 && ::sched_setaffinity(0, sizeof two, &two) == 0;
    }
    two_cores(const two_cores&) = delete;
    two_cores& operator=(const two_cores&) = delete;
    ~two_cores() { ::sched_setaffinity(0, sizeof all_, &all_); }

    bool there() const { return there_; }

private:
    cpu_set_t all_;
    bool there_ = false;
};

}  // namespace

TEST_CASE("no thread exists before it is needed, or after", "[parallel]") {
    std::thread([] {}).join();  // a sanitizer may start one of its own with the first
    const auto before = threads_of_this_process();
    {
        thread_pool pool(4);
        pool.run(0, 1, [](auto, auto, auto) {});
        pool.run(1, 1, [](auto, auto, auto) {});
        pool.run(100, 100, [](auto, auto, auto) {});
        CHECK(threads_of_this_process() == before);
        work(pool, 100);
        CHECK(threads_of_this_process() == before + 3);
        work(pool, 100);
        CHECK(threads_of_this_process() == before + 3);
        thread_pool alone(1);
        work(alone, 100);
        CHECK(threads_of_this_process() == before + 3);
    }
    for (int i = 0; i < 100 && threads_of_this_process() > before; ++i)  // the system tidies up
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(threads_of_this_process() == before);
}

TEST_CASE("an idle pool takes no time", "[parallel]") {
    thread_pool pool(8);
    work(pool, 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until all have gone to sleep
    const double before = now(CLOCK_PROCESS_CPUTIME_ID);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - before < (test::sanitized ? 0.03 : 0.003));
}

TEST_CASE("pools of any number of threads", "[parallel]") {
    CHECK(thread_pool(0).size() == std::max(1u, std::thread::hardware_concurrency()));
    CHECK(thread_pool().size() == thread_pool(0).size());
    CHECK(thread_pool(1).size() == 1);
    CHECK(thread_pool(1000).size() == 1000);
    CHECK(thread_pool(4'000'000'000u).size() == 1024);
    for (const unsigned threads : {0u, 1u, 2u, 1000u}) {
        thread_pool pool(threads);
        for (int i = 0; i < 3; ++i) CHECK(sum_of_many(pool) == 499500);
    }
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a pool after a fork: the child has no threads of it, the parent keeps them",
          "[parallel]") {
    thread_pool pool(3);
    REQUIRE(sum_of_many(pool) == 499500);
    for (int i = 0; i < 3; ++i) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(sum_of_many(pool) == 499500 && sum_of_many(pool) == 499500 ? 0 : 1);
        REQUIRE(child > 0);
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
        CHECK(sum_of_many(pool) == 499500);
    }
}
#endif

// bench/busy_neighbour.sh measures the same with a whole model.
TEST_CASE("beside a busy process two threads are not slower than one", "[parallel]") {
    const two_cores cores;
    if (test::sanitized || !cores.there()) return;
    const auto seconds = [](unsigned threads) {
        thread_pool pool(threads);
        work(pool, 1000);
        const double start = now(CLOCK_MONOTONIC);
        for (int i = 0; i < 1000; ++i) work(pool, 1000);
        return now(CLOCK_MONOTONIC) - start;
    };
    const busy_process neighbour;
    double best = 10;  // of several rounds, since other programs run here as well
    for (int round = 0; round < 8 && best > 1.1; ++round)
        best = std::min(best, seconds(2) / seconds(1));
    INFO("two threads take " << best << " times as long as one");
    CHECK(best <= 1.1);
}
#endif
