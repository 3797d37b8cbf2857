// The front of a binary file, read in order: numbers, and stretches of bytes that are kept.
//
// Every count is compared with what is left of the file before memory is taken, and memory grows
// with what is read, never beyond twice the file's size. Numbers are little-endian, at any address.
//
// Before: detail/byte_source.hpp, detail/byte_reader.hpp. Next: detail/gguf.hpp.
#pragma once

#include "byte_reader.hpp"
#include "byte_source.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {
namespace detail {

class header_reader {
public:
    /// Reads `file`, which outlives it, but never more than `most` bytes of it.
    header_reader(const byte_source& file, std::size_t most) : file_(file), most_(most) {}

    std::size_t position() const noexcept { return at_; }
    std::uint64_t left() const noexcept { return file_.size() - at_; }  ///< bytes of the file

    /// Steps over `count` bytes, which are kept; where they begin. `what` they are is for messages.
    /// Throws errc::truncated when the file has fewer, errc::limit_exceeded.
    std::size_t take(std::uint64_t count, std::string_view what) {
        if (count > left())
            fail(errc::truncated, file_.name(), {count, " bytes of ", what, " at offset ", at_},
                 {left(), " until the end"});
        if (count > most_ - at_)
            fail(errc::limit_exceeded, file_.name(), {"a header of at most ", most_, " bytes"},
                 {count, " bytes of ", what, " at offset ", at_});
        const std::size_t begin = at_;
        at_ += static_cast<std::size_t>(count);
        if (at_ > bytes_.size()) fetch();
        return begin;
    }

    template <class Number>
    Number number(std::string_view what) {
        return number_at<Number>(bytes_, take(sizeof(Number), what));
    }

    /// What was taken, until the next `take`.
    std::string_view bytes(std::size_t begin, std::size_t count) const {
        return std::string_view(bytes_).substr(begin, count);
    }

    /// All bytes taken, by their offset in the file.
    std::string release() && {
        bytes_.resize(at_);
        return std::move(bytes_);
    }

private:
    /// Reads on to the position, and as far again in one go.
    void fetch() {
        constexpr std::size_t least = std::size_t{64} << 10;
        const std::uint64_t ahead = std::max({at_, 2 * bytes_.size(), least});
        const auto wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>({ahead, file_.size(), most_}));
        const std::size_t known = bytes_.size();
        bytes_.resize(wanted);
        file_.read(known, std::as_writable_bytes(std::span(bytes_).subspan(known)));
    }

    const byte_source& file_;
    std::size_t most_;
    std::size_t at_ = 0;
    std::string bytes_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
