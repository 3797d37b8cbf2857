// What a test can see of its own process: open descriptors, CPU time, memory.
#pragma once

#include "sanitized.hpp"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <time.h>

namespace test {

/// File descriptors open in this process.
inline std::size_t open_descriptors() {
    const auto all = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Seconds of CPU that this thread spends in `action`, whatever else the machine does meanwhile;
/// under a sanitizer a tenth of them, roughly what the plain program takes.
template <class Action>
double cpu_seconds(Action&& action) {
    const auto now = [] {
        timespec spent{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
        return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
    };
    const double start = now();
    action();
    return (now() - start) / (sanitized ? 10 : 1);
}

/// By how many bytes `action` raises the most memory that this process has had resident at once; 0
/// where the system does not say or a sanitizer would be counted too.
template <class Action>
std::size_t peak_growth(Action&& action) {
    const auto peak = [] {
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with("VmHWM:")) return std::size_t{1024} * std::stoul(line.substr(6));
        return std::size_t{0};
    };
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
    const std::size_t before = peak();
    action();
    return sanitized ? 0 : peak() - before;
}

}  // namespace test
