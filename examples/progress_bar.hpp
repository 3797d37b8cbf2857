// One line on a terminal that says how far a long work is, drawn again as it goes on and wiped away
// at the end. Where standard error is no terminal nothing is drawn.
#pragma once

#include <cstddef>
#include <iomanip>
#include <iostream>
#include <string>
#include <utility>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace cli {

inline bool errors_on_a_terminal() {
#if __has_include(<unistd.h>)
    return isatty(STDERR_FILENO) != 0;
#else
    return false;
#endif
}

class progress_bar {
public:
    explicit progress_bar(bool shown) : shown_(shown && errors_on_a_terminal()) {}
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;
    ~progress_bar() {
        if (!drawn_.empty())
            std::cerr << '\r' << std::string(drawn_.size(), ' ') << '\r' << std::flush;
    }

    /// `share`: from 0 to 1.
    void show(double share, const std::string& note = "") {
        if (!shown_) return;
        constexpr double width = 50;
        const auto full = static_cast<std::size_t>(share * width);
        const auto percent = std::to_string(static_cast<int>(100 * share));
        draw('[' + std::string(full, '#') + std::string(50 - full, ' ') + "] " +
             std::string(3 - percent.size(), ' ') + percent + '%' + (note.empty() ? "" : "  ") +
             note);
    }
    /// Where nobody knows how much there is.
    void show(const std::string& note) {
        if (shown_) draw(note);
    }

private:
    void draw(std::string line) {
        if (line == drawn_) return;
        const auto longer = drawn_.size() > line.size() ? drawn_.size() - line.size() : 0;
        std::cerr << '\r' << line << std::string(longer, ' ') << std::flush;
        drawn_ = std::move(line);
    }

    bool shown_;
    std::string drawn_;
};

}  // namespace cli
