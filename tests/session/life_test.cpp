// Beginnings and ends: threads after loading, a model let go while others write, a fork while the
// pool is busy, the end of the process with texts alive.
#include "../support/catch.hpp"
#include "../support/process.hpp"
#include "../support/sanitized.hpp"
#include "../support/small_session.hpp"

#include <gpt2/gpt2.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

using test::drawing;
using ids = std::vector<gpt2::token_id>;

std::size_t threads_of_this_process() {
    const auto all = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Waits until so many threads are left; the system takes a moment to tidy up.
bool comes_down_to(std::size_t threads) {
    for (int i = 0; i < 200 && threads_of_this_process() > threads; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return threads_of_this_process() == threads;
}

double cpu_seconds_of_this_process() {
    timespec spent{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

/// Whether `work` returns true in a child of a fork, within five seconds.
template <class Work>
bool true_in_a_child(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(test::sanitized ? 60 : 5);  // ends it if it hangs
        bool good = false;
        try {
            good = work();
        } catch (...) {
        }
        ::_exit(good ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

ids written(const std::shared_ptr<const gpt2::language_parts>& model, std::size_t tokens = 10) {
    gpt2::session text(model);
    text.feed("abc");
    return text.generate(drawing(tokens)).tokens;
}

}  // namespace

TEST_CASE("threads after loading: none alone, else asleep, none after the model", "[session]") {
    std::thread([] {}).join();  // a sanitizer may start one of its own with the first
    const auto before = threads_of_this_process();
    {
        const auto alone = gpt2::load(GPT2_BUNDLED_MODEL, {.threads = 1});  // 284
        CHECK(threads_of_this_process() == before);
        alone.generate("The king", drawing(2));
        CHECK(threads_of_this_process() == before);
        const auto model = gpt2::load(GPT2_BUNDLED_MODEL, {.threads = 3});
        CHECK(threads_of_this_process() <= before + 2);
        model.generate("The king", drawing(2));
        CHECK(threads_of_this_process() == before + 2);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        const double spent = cpu_seconds_of_this_process();  // 286
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        CHECK(cpu_seconds_of_this_process() - spent < (test::sanitized ? 0.03 : 0.003));
    }
    CHECK(comes_down_to(before));
}

TEST_CASE("a model is let go while its texts are written", "[session][threads]") {  // 279
    const auto expected = written(test::small_parts(), 40);
    for (int round = 0; round < 5; ++round) {
        std::optional<gpt2::language_model> model(test::small_parts());
        std::atomic<int> begun = 0, good = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&begun, &good, &expected, text = model->start("abc")]() mutable {
                ++begun;
                good += text.generate(drawing(40)).tokens == expected;
            });
        while (begun == 0) std::this_thread::yield();
        model.reset();  // the last of the texts takes the pool with it, on whichever thread
        for (auto& thread : threads) thread.join();
        CHECK(good == 4);
    }
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a fork while the pool works: the child computes alone", "[session]") {  // 283
    const auto model = test::small_parts();
    const auto expected = written(model);
    std::atomic<bool> done = false;
    std::thread busy([&] {
        while (!done) written(model, 30);
    });
    for (int i = 0; i < 5; ++i) {
        CHECK(true_in_a_child([&] { return written(model) == expected; }));  // of the old pool
        CHECK(true_in_a_child([&] { return written(test::small_parts()) == expected; }));
        CHECK(true_in_a_child([&] {  // a copy of the model, and its end
            auto other = std::make_unique<gpt2::thread_pool>(2);
            other->run(100, 1, [](auto, auto, auto) {});
            gpt2::session text(test::small_parts());
            return text.size() == 0;
        }));
    }
    done = true;
    busy.join();
    CHECK(written(model) == expected);
}

TEST_CASE("a pool goes with the child of a fork", "[session]") {
    auto model = test::small_parts();
    const auto expected = written(model);
    CHECK(true_in_a_child([&] {
        const bool same = written(model) == expected;
        model.reset();  // its threads are the parent's
        return same;
    }));
    CHECK(written(model) == expected);
}

TEST_CASE("the process may end while texts and their threads live", "[session]") {  // 285
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        static std::optional<gpt2::language_model> model(test::small_parts());
        static gpt2::session text = model->start("abc");
        const auto tokens = text.generate(drawing(10)).tokens;
        std::exit(tokens.size() == 10 ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}
#endif
#endif
