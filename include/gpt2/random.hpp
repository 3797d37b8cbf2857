// Random numbers without state: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", 2011) turns (seed, sequence, step) into bits by integer arithmetic
// alone. The same three numbers give the same bits on any machine, in any order and in any number
// of threads, and there is nothing to save beyond the step.
//
// Before: core.hpp. Next: sampler.hpp.
#pragma once

#include "core.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace gpt2::inline GPT2_ABI {

/// A stream of random numbers: the seed is what a user gives, the sequence tells apart texts that
/// share a seed, the step is the position in the stream. Any thread may read one.
struct philox {
    using key_type = std::array<std::uint32_t, 2>;
    using block = std::array<std::uint32_t, 4>;

    std::uint64_t seed = 0;
    std::uint64_t sequence = 0;

    /// Philox4x32 with ten rounds: 128 random bits for a 128-bit counter under a 64-bit key.
    static constexpr block encrypt(block counter, key_type key) {
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t a = std::uint64_t{0xd2511f53} * counter[0];
            const std::uint64_t b = std::uint64_t{0xcd9e8d57} * counter[2];
            counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0],
                       static_cast<std::uint32_t>(b),
                       static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1],
                       static_cast<std::uint32_t>(a)};
            key = {key[0] + 0x9e3779b9u, key[1] + 0xbb67ae85u};
        }
        return counter;
    }

    /// What a number is for: each use has its own at the same step.
    enum class use : std::size_t { draw = 0, exclusion = 2 };

    /// 64 random bits: the key is the seed and the counter (step, sequence), low words first.
    constexpr std::uint64_t bits(std::uint64_t step, use what = use::draw) const {
        const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
        const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
        const block out = encrypt({low(step), high(step), low(sequence), high(sequence)},
                                  {low(seed), high(seed)});
        const auto at = static_cast<std::size_t>(what);
        return out[at] | std::uint64_t{out[at + 1]} << 32;
    }

    /// A multiple of 2^-53, evenly spread over [0, 1): never 1.
    constexpr double uniform(std::uint64_t step, use what = use::draw) const {
        return static_cast<double>(bits(step, what) >> 11) * 0x1p-53;
    }
};

}  // namespace gpt2::inline GPT2_ABI
