// A checksum of 64 bits that keeps pace with memory: it finds damage, not intent.
//
// Bytes in blocks of 32, little-endian words in four lanes; each lane h becomes (h ^ word) · m,
// rotated by 29; at the end lanes, rest and length are folded the same way. Its values are part of
// the packed file's format. Before: core.hpp. Next: detail/packed_file.hpp.
#pragma once

#include "../core.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The same for any division of the bytes among calls of `add`.
class checksum {
public:
    checksum& add(std::span<const std::byte> bytes) {
        length_ += bytes.size();
        if (held_ > 0) {
            const auto taken = std::min(block - held_, bytes.size());
            std::copy_n(bytes.data(), taken, rest_.data() + held_);
            held_ += taken;
            bytes = bytes.subspan(taken);
            if (held_ < block) return *this;
            take(rest_.data());
            held_ = 0;
        }
        for (; bytes.size() >= block; bytes = bytes.subspan(block)) take(bytes.data());
        std::copy(bytes.begin(), bytes.end(), rest_.begin());
        held_ = bytes.size();
        return *this;
    }
    checksum& add(std::string_view text) { return add(std::as_bytes(std::span(text))); }

    std::uint64_t value() const {
        checksum last = *this;
        std::fill(last.rest_.begin() + static_cast<std::ptrdiff_t>(held_), last.rest_.end(),
                  std::byte{0});
        last.take(last.rest_.data());
        std::uint64_t sum = mixed(length_, 0);
        for (const std::uint64_t lane : last.lanes_) sum = mixed(sum, lane);
        return mixed(sum, sum >> 32);
    }

private:
    static constexpr std::size_t block = 32;

    static std::uint64_t mixed(std::uint64_t sum, std::uint64_t word) {
        return std::rotl((sum ^ word) * 0x9E3779B97F4A7C15u, 29);
    }
    void take(const std::byte* at) {
        std::array<std::uint64_t, 4> words;
        std::memcpy(words.data(), at, block);
        for (std::size_t i = 0; i < words.size(); ++i) lanes_[i] = mixed(lanes_[i], words[i]);
    }

    std::array<std::uint64_t, 4> lanes_{1, 2, 3, 4};
    std::array<std::byte, block> rest_{};
    std::size_t held_ = 0;
    std::uint64_t length_ = 0;
};

inline std::uint64_t checksum_of(std::span<const std::byte> bytes) {
    return checksum().add(bytes).value();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
