// A cursor over bytes in memory that come from outside: numbers, varints and runs of bytes, each
// taken only when it is there.
//
// The one reader of the binary formats; no parser does pointer arithmetic of its own.
//
// Before: error.hpp. Next: detail/header_reader.hpp, detail/zip.hpp, detail/leveldb_table.hpp.
#pragma once

#include "../error.hpp"

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace gpt2::inline GPT2_ABI {
namespace detail {

static_assert(std::endian::native == std::endian::little);

/// The little-endian number whose bytes lie at `at` in `bytes`, which reach far enough.
template <class Number>
Number number_at(std::string_view bytes, std::size_t at) {
    static_assert(std::is_arithmetic_v<Number>);
    Number value{};
    std::memcpy(&value, bytes.substr(at, sizeof value).data(), sizeof value);
    return value;
}

/// Appends a number, little-endian: the way back.
template <class Number>
void append_number(std::string& bytes, Number number) {
    std::array<char, sizeof number> raw;
    std::memcpy(raw.data(), &number, sizeof number);
    bytes.append(raw.data(), raw.size());
}

/// Reads from the front. The bytes and the text of `where` must outlive it. Every function throws
/// errc::truncated, naming the place, when fewer bytes are left than it takes.
class byte_reader {
public:
    /// `malformed` is thrown for bytes that are there and break the rules.
    byte_reader(std::string_view bytes, std::string_view where, errc malformed)
        : bytes_(bytes), where_(where), size_(bytes.size()), malformed_(malformed) {}

    bool empty() const noexcept { return bytes_.empty(); }
    std::size_t left() const noexcept { return bytes_.size(); }
    std::size_t position() const noexcept { return size_ - bytes_.size(); }

    /// The next `count` bytes, a view into those read.
    std::string_view take(std::uint64_t count) {
        if (count > bytes_.size())
            fail(errc::truncated, where_, {count, " bytes at byte ", position()},
                 {"an end after ", size_});
        const std::string_view taken = bytes_.substr(0, static_cast<std::size_t>(count));
        bytes_.remove_prefix(taken.size());
        return taken;
    }

    /// A little-endian number of that width.
    template <std::unsigned_integral Number>
    Number number() {
        return number_at<Number>(take(sizeof(Number)), 0);
    }

    /// Seven bits a byte, the lowest first, at most 64 in all, in as few bytes as it takes.
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = number<std::uint8_t>();
            if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) break;
            value |= std::uint64_t{byte & 0x7Fu} << shift;
            if (byte < 0x80) return value;
        }
        refuse("a varint of 64 bits at most", "a longer one");
    }

    /// Throws `malformed` at this place.
    [[noreturn, gnu::noinline, gnu::cold]] void refuse(const phrase& expected,
                                                       const phrase& found) const {
        fail(malformed_, {where_, ": byte ", position()}, expected, found);
    }

private:
    std::string_view bytes_, where_;
    std::size_t size_;
    errc malformed_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
