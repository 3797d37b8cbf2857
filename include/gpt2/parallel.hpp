// Work on several cores, and the wish to stop early.
//
// `thread_pool` cuts a range into contiguous parts, which its threads take one after another: a
// thread that the system puts aside holds up one part, not its whole share. No thread exists
// before it is needed, none spins when there is nothing to do. Nothing of this library adds numbers
// across parts, so a result never depends on how many threads there are or on who did what.
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
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

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
/// finds the pool busy, or that runs inside it, does its work alone. Where the system refuses
/// threads, and in the child of a fork, there are fewer.
class thread_pool {
public:
    /// `threads`: how many work at once, the caller included; 0 for one per core. At most 1024.
    explicit thread_pool(unsigned threads = 0) : size_(size(threads)) {}

    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;

    ~thread_pool() {
        stopping_.store(true, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
        const bool ours = owner_ == process();
        for (auto& worker : workers_) ours ? worker.join() : worker.detach();
    }

    unsigned size() const noexcept { return size_; }
    /// How many threads that is, asked of a pool.
    static unsigned size(unsigned threads) {
        return std::clamp(threads ? threads : std::thread::hardware_concurrency(), 1u, 1024u);
    }

    /// Calls task(first, last, worker) for disjoint ranges that together make [0, count), and
    /// returns when all are done. Ranges begin at multiples of `unit`; worker < size() is a number
    /// no two calls have at the same time. The first exception of a task is raised again here.
    template <class Task>
    void run(std::size_t count, std::size_t unit, Task&& task) {
        run_call(count, unit, std::addressof(task),
                 [](void* context, std::size_t first, std::size_t last, std::size_t worker) {
                     (*static_cast<std::remove_reference_t<Task>*>(context))(first, last, worker);
                 });
    }

private:
    /// More parts than threads even out what disturbs them; each costs a tenth of a microsecond.
    static constexpr std::size_t parts_per_thread = 16;

    /// A task without its type, so that one function serves all.
    using part_call = void (*)(void* context, std::size_t first, std::size_t last,
                               std::size_t worker);
    struct job {
        std::size_t units = 0, parts = 0, count = 0, unit = 0;
        void* context = nullptr;
        part_call call = nullptr;
    };

    void run_call(std::size_t count, std::size_t unit, void* context, part_call call) {
        const auto units = (count + unit - 1) / unit;
        const auto parts = size_ == 1 ? 1 : std::min<std::size_t>(units, size_ * parts_per_thread);
        if (parts == 0) return;
        std::unique_lock lock(busy_, std::defer_lock);
        if (parts == 1 || inside_ || !lock.try_lock()) return call(context, 0, count, 0);
        start_threads();
        job_ = {units, parts, count, unit, context, call};
        failure_ = nullptr;
        pending_.store(static_cast<std::uint32_t>(parts), std::memory_order_relaxed);
        const auto round = round_.load(std::memory_order_relaxed) + 1;
        ticket_.store(std::uint64_t{round} << 32 | parts, std::memory_order_release);
        round_.store(round, std::memory_order_release);
        round_.notify_all();
        work(0);
        wait_for_others();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

    static long process() {
#if defined(__unix__) || defined(__APPLE__)
        return static_cast<long>(::getpid());
#else
        return 0;
#endif
    }

    void start_threads() {
        if (refused_ || workers_.size() + 1 >= size_) return;
        owner_ = process();
        try {
            workers_.reserve(size_ - 1);
            while (workers_.size() + 1 < size_) {
                const auto worker = workers_.size() + 1;
                const auto seen = round_.load(std::memory_order_relaxed);
                workers_.emplace_back([this, worker, seen] { serve(worker, seen); });
            }
        } catch (const std::system_error&) {
            refused_ = true;
        }
    }

    /// A worker's life: wait for a round, take parts of it.
    void serve(std::size_t worker, std::uint32_t seen) {
        for (;;) {
            await(round_, seen);
            seen = round_.load(std::memory_order_acquire);
            if (stopping_.load(std::memory_order_relaxed)) return;
            work(worker);
        }
    }

    /// Takes parts until none is left. Whoever holds a part keeps the job alive: `run` returns
    /// only when all are done.
    void work(std::size_t worker) {
        auto ticket = ticket_.load(std::memory_order_acquire);
        while ((ticket & 0xFFFFFFFF) != 0) {
            if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                               std::memory_order_acquire))
                continue;
            call_part(job_.parts - (ticket & 0xFFFFFFFF), worker);
            if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
            ticket = ticket_.load(std::memory_order_acquire);
        }
    }

    void call_part(std::size_t part, std::size_t worker) {
        const auto cut = [&](std::size_t i) {
            const auto before = job_.units / job_.parts * i + std::min(i, job_.units % job_.parts);
            return std::min(before * job_.unit, job_.count);
        };
        inside_ = true;
        try {
            job_.call(job_.context, cut(part), cut(part + 1), worker);
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
    /// sooner than a sleeping thread wakes (50 µs here), so it yields for a while before it sleeps:
    /// to whoever needs the core more, as a spinning thread would not.
    static void await(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
        for (int i = 0; i < 200; ++i) {
            if (value.load(std::memory_order_acquire) != old) return;
            std::this_thread::yield();
        }
        value.wait(old, std::memory_order_acquire);
    }

    inline static thread_local bool inside_ = false;

    const unsigned size_;
    long owner_ = 0;        // the process that has the threads
    bool refused_ = false;  // the system gave fewer
    std::vector<std::thread> workers_;
    std::mutex busy_;
    job job_;
    alignas(64) std::atomic<std::uint64_t> ticket_{0};  // round, and in the low half parts left
    alignas(64) std::atomic<std::uint32_t> round_{0};
    alignas(64) std::atomic<std::uint32_t> pending_{0};  // parts not done
    std::atomic<bool> stopping_{false};
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
};

}  // namespace gpt2::inline GPT2_ABI
