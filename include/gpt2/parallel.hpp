// Work on several cores, and the wish to stop early.
//
// `thread_pool` splits a range into as many contiguous parts as it has threads. No thread exists
// before it is needed. Nothing of this library adds numbers across parts, so a result never
// depends on how many threads there are, or on whether the pool happened to be busy.
//
// Before: error.hpp. After: ops.hpp, where ranges of outputs are handed to the pool.
#pragma once

#include "error.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// When to stop before the work is done: on request, or at a point in time. Asked between layers.
struct interruption {
    std::stop_token token = {};
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();

    /// True once either has come.
    bool requested() const {
        return token.stop_requested() ||
               (deadline != std::chrono::steady_clock::time_point::max() &&
                std::chrono::steady_clock::now() >= deadline);
    }
};

/// A persistent pool of threads; the calling thread is one of them. Safe to share: a caller that
/// finds the pool busy, or that runs inside it, does its work alone.
class thread_pool {
public:
    /// `threads`: how many work at once, the caller included; 0 for one per core. At most 1024.
    explicit thread_pool(unsigned threads = 0)
        : size_(std::clamp(threads ? threads : std::thread::hardware_concurrency(), 1u, 1024u)) {}

    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;

    ~thread_pool() {
        stopping_.store(true, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    unsigned size() const noexcept { return size_; }

    /// Calls task(first, last) for disjoint ranges that together make [0, count), at most one per
    /// thread, and returns when all are done. The first exception of a task is raised again here.
    template <class Task>
    void run(std::size_t count, Task&& task) {
        const auto parts = std::min<std::size_t>(count, size_);
        if (parts == 0) return;
        std::unique_lock lock(busy_, std::defer_lock);
        if (parts == 1 || inside_ || !lock.try_lock()) {
            task(std::size_t{0}, count);
            return;
        }
        start_threads();
        job_ = {parts, count, std::addressof(task),
                [](void* context, std::size_t a, std::size_t b) {
                    (*static_cast<std::remove_reference_t<Task>*>(context))(a, b);
                }};
        failure_ = nullptr;
        pending_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
        work(0);
        wait_for_others();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    struct job {
        std::size_t parts = 0, count = 0;
        void* context = nullptr;
        void (*call)(void*, std::size_t, std::size_t) = nullptr;
    };

    void start_threads() {
        while (workers_.size() + 1 < size_) {
            const auto part = workers_.size() + 1;
            const auto seen = round_.load(std::memory_order_relaxed);
            workers_.emplace_back([this, part, seen] { serve(part, seen); });
        }
    }

    /// A worker's life: wait for a round, do its part, report.
    void serve(std::size_t part, std::uint32_t seen) {
        for (;;) {
            await(round_, seen);
            seen = round_.load(std::memory_order_acquire);
            if (stopping_.load(std::memory_order_relaxed)) return;
            work(part);
            if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
        }
    }

    /// Part `part` of the job: the part-th of `parts` nearly equal ranges.
    void work(std::size_t part) {
        if (part >= job_.parts) return;
        inside_ = true;
        try {
            const auto cut = [&](std::size_t i) {
                return job_.count / job_.parts * i + std::min(i, job_.count % job_.parts);
            };
            job_.call(job_.context, cut(part), cut(part + 1));
        } catch (...) {
            const std::lock_guard lock(failure_mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
        inside_ = false;
    }

    void wait_for_others() {
        for (auto left = pending_.load(std::memory_order_acquire); left != 0;
             left = pending_.load(std::memory_order_acquire))
            await(pending_, left);
    }

    /// Waits until `value` is no longer `old`. The next round of a token comes within microseconds,
    /// sooner than a sleeping thread wakes (50 µs here), so it yields for a while before it sleeps.
    static void await(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
        for (int i = 0; i < 200; ++i) {
            if (value.load(std::memory_order_acquire) != old) return;
            std::this_thread::yield();
        }
        value.wait(old, std::memory_order_acquire);
    }

    inline static thread_local bool inside_ = false;

    unsigned size_;
    std::vector<std::thread> workers_;
    std::mutex busy_;
    job job_;
    alignas(64) std::atomic<std::uint32_t> round_{0};
    alignas(64) std::atomic<std::uint32_t> pending_{0};
    std::atomic<bool> stopping_{false};
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
};

}  // namespace gpt2::inline GPT2_ABI
