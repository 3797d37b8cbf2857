// Ctrl-C as a wish to stop what is under way, not as the end of the program.
//
// A signal handler may do next to nothing; this one sets a flag. What waits for input asks the flag
// (line_reader.hpp), and what computes has a thread beside it that does.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <stop_token>
#include <thread>

namespace cli {

static_assert(std::atomic<bool>::is_always_lock_free);
inline std::atomic<bool> interrupt_flag = false;

inline bool interrupted() { return interrupt_flag; }

/// From now on Ctrl-C does nothing but that.
inline void catch_interrupts() {
    std::signal(SIGINT, [](int) { interrupt_flag = true; });
}

/// While it lives Ctrl-C asks `token()` to stop; afterwards it is forgotten.
class stop_on_interrupt {
public:
    stop_on_interrupt() = default;
    stop_on_interrupt(const stop_on_interrupt&) = delete;
    stop_on_interrupt& operator=(const stop_on_interrupt&) = delete;
    ~stop_on_interrupt() {
        watcher_.request_stop();
        watcher_.join();
        interrupt_flag = false;
    }

    std::stop_token token() const { return stop_.get_token(); }

private:
    std::stop_source stop_;
    std::jthread watcher_{[this](const std::stop_token& done) {
        while (!done.stop_requested() && !interrupted())
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        if (interrupted()) stop_.request_stop();
    }};
};

}  // namespace cli
