// Bytes compressed as zlib does it (RFC 1950, RFC 1951), for pictures: runs of what stood one pixel
// or one row before become short, everything else stays. One block with the fixed code.
//
// Before: core.hpp. Next: picture_png.hpp.
#pragma once

#include "../core.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The checksum at the end of a zlib stream (RFC 1950, section 8.2).
inline std::uint32_t adler32(std::string_view bytes) {
    constexpr std::uint32_t base = 65521;
    std::uint32_t a = 1, b = 0;
    for (const char c : bytes) {
        a = (a + static_cast<unsigned char>(c)) % base;
        b = (b + a) % base;
    }
    return b << 16 | a;
}

/// A number with the most significant byte first.
inline std::string big_endian(std::uint32_t number) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 255);
    return bytes;
}

class deflater {
public:
    /// `distances`: how far back a run may lie; each from 1 to 32768.
    explicit deflater(std::span<const std::size_t> distances) : distances_(distances) {}

    /// The whole zlib stream. O(bytes · distances).
    std::string compress(std::string_view bytes) {
        out_ = "\x78\x01";  // deflate with a window of 32 KiB, the fastest kind
        put(1, 1);          // the last block
        put(1, 2);          // with the fixed code
        for (std::size_t at = 0; at < bytes.size();) {
            const auto [length, distance] = longest_run(bytes, at);
            if (length < shortest) {
                put_symbol(static_cast<unsigned char>(bytes[at++]));
                continue;
            }
            put_length(length);
            put_distance(distance);
            at += length;
        }
        put_symbol(256);
        if (held_ > 0) put(0, 8 - held_);
        return std::move(out_) + big_endian(adler32(bytes));
    }

private:
    static constexpr std::size_t shortest = 3, longest = 258;

    std::pair<std::size_t, std::size_t> longest_run(std::string_view bytes, std::size_t at) const {
        std::pair<std::size_t, std::size_t> best{0, 0};
        const auto most = std::min(longest, bytes.size() - at);
        for (const auto distance : distances_) {
            if (distance > at) continue;
            std::size_t length = 0;
            while (length < most && bytes[at + length] == bytes[at + length - distance]) ++length;
            if (length > best.first) best = {length, distance};
        }
        return best;
    }

    /// `count` bits, the lowest first.
    void put(std::uint32_t bits, unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            byte_ |= (bits >> i & 1) << held_;
            if (++held_ < 8) continue;
            out_ += static_cast<char>(byte_);
            byte_ = held_ = 0;
        }
    }
    /// A word of a code, the highest bit first.
    void put_code(std::uint32_t word, unsigned count) {
        for (unsigned i = count; i-- > 0;) put(word >> i & 1, 1);
    }
    /// A literal or length in the fixed code (RFC 1951, section 3.2.6).
    void put_symbol(unsigned symbol) {
        if (symbol < 144)
            put_code(0x30 + symbol, 8);
        else if (symbol < 256)
            put_code(0x190 + symbol - 144, 9);
        else if (symbol < 280)
            put_code(symbol - 256, 7);
        else
            put_code(0xC0 + symbol - 280, 8);
    }

    /// Lengths and distances share one scheme (section 3.2.5): after a few single values, each
    /// power of two is cut into `parts` symbols, and the rest of the value follows as bits.
    struct symbol_and_rest {
        unsigned symbol;
        std::uint32_t rest;
        unsigned bits;
    };
    static symbol_and_rest split(std::size_t value, unsigned parts) {
        if (value < 2 * parts) return {static_cast<unsigned>(value), 0, 0};
        unsigned bits = 0;
        while (value >> bits >= 2 * parts) ++bits;
        const auto top = static_cast<unsigned>(value >> bits);  // parts … 2·parts - 1
        const auto rest = static_cast<std::uint32_t>(value & ((std::size_t{1} << bits) - 1));
        return {bits * parts + top, rest, bits};
    }
    void put_length(std::size_t length) {
        if (length == longest) return put_symbol(285);  // the one that breaks the scheme
        const auto [symbol, rest, bits] = split(length - 3, 4);
        put_symbol(257 + symbol);
        put(rest, bits);
    }
    void put_distance(std::size_t distance) {
        const auto [symbol, rest, bits] = split(distance - 1, 2);
        put_code(symbol, 5);
        put(rest, bits);
    }

    std::span<const std::size_t> distances_;
    std::string out_;
    std::uint32_t byte_ = 0;
    unsigned held_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
