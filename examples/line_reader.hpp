// Standard input line by line, for programs that answer each: in bounded memory, without waiting
// for more than is there, and able to stop waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#if __has_include(<poll.h>)
#include <cerrno>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#include <iostream>
#endif

namespace cli {

class line_reader {
public:
    struct line {
        std::string text;       ///< without its end
        bool too_long = false;  ///< only the first bytes are there
    };

    static constexpr std::size_t longest = std::size_t{16} << 20;

    /// `stop` is asked while it waits for input.
    explicit line_reader(bool (*stop)() = nullptr) : stop_(stop) {}

    /// The next line, or nothing at the end of the input and when it is to stop. The last line may
    /// lack its end.
    std::optional<line> next() {
        line found;
        for (bool any = false;; any = true) {
            if (at_ == buffer_.size() && !fill()) {
                if (!any) return {};
                break;
            }
            const auto rest = std::string_view(buffer_).substr(at_);
            const auto end = rest.find('\n');
            const auto part = rest.substr(0, end);
            const auto room = longest - found.text.size();
            found.text += part.substr(0, room);
            found.too_long |= part.size() > room;
            at_ += part.size() + (end != rest.npos);
            consumed_ += part.size() + (end != rest.npos);
            if (end != rest.npos) break;
        }
        if (found.text.ends_with('\r')) found.text.pop_back();
        return found;
    }

    /// Bytes read as lines so far.
    std::uint64_t consumed() const { return consumed_; }

#if __has_include(<poll.h>)
    /// Whether there is input, or its end, to be read at once.
    bool ready() const { return at_ < buffer_.size() || comes_within(0); }

    /// Bytes of the whole input, where it is a file.
    static std::optional<std::uint64_t> size() {
        struct stat file {};
        if (::fstat(STDIN_FILENO, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size <= 0)
            return {};
        return static_cast<std::uint64_t>(file.st_size);
    }

private:
    static bool comes_within(int milliseconds) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        return ::poll(&input, 1, milliseconds) > 0;
    }

    bool fill() {
        buffer_.resize(std::size_t{1} << 16);
        at_ = 0;
        for (;;) {
            if (stop_ != nullptr && stop_()) break;
            if (stop_ != nullptr && !comes_within(100)) continue;
            const auto got = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            buffer_.resize(static_cast<std::size_t>(got));
            return true;
        }
        buffer_.clear();
        return false;
    }
#else
    bool ready() const { return true; }
    static std::optional<std::uint64_t> size() { return {}; }

private:
    bool fill() {
        at_ = 0;
        buffer_.clear();
        if ((stop_ != nullptr && stop_()) || !std::getline(std::cin, buffer_)) return false;
        if (!std::cin.eof()) buffer_ += '\n';
        return !buffer_.empty();
    }
#endif

    bool (*stop_)();
    std::string buffer_;
    std::size_t at_ = 0;
    std::uint64_t consumed_ = 0;
};

}  // namespace cli
