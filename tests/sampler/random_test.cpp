// The generator against the known answers of its authors, and the map to [0, 1).
#include "../support/catch.hpp"

#include <gpt2/random.hpp>

#include <bit>
#include <cstdint>

using gpt2::philox;

TEST_CASE("philox: known answers of Random123", "[sampler][random]") {
    CHECK(philox::encrypt({0, 0, 0, 0}, {0, 0}) ==
          philox::block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    constexpr std::uint32_t ones = 0xffffffff;
    CHECK(philox::encrypt({ones, ones, ones, ones}, {ones, ones}) ==
          philox::block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox::encrypt({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                          {0xa4093822, 0x299f31d0}) ==
          philox::block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: seed is the key, step and sequence the counter", "[sampler][random]") {
    const philox random{.seed = 0x299f31d0a4093822, .sequence = 0x0370734413198a2e};
    CHECK(random.bits(0x85a308d3243f6a88) == 0x94fdccebd16cfe09);
    CHECK(philox{}.bits(0) == 0xe169c58d6627e8d5);
}

TEST_CASE("philox: the first uniforms of five seeds are fixed", "[sampler][random]") {
    // Folded so that one number stands for 16 bit patterns: hash = hash * 31 + bits.
    const auto folded = [](std::uint64_t seed) {
        std::uint64_t hash = 0;
        for (std::uint64_t step = 0; step < 16; ++step)
            hash = hash * 31 + std::bit_cast<std::uint64_t>(philox{.seed = seed}.uniform(step));
        return hash;
    };
    CHECK(folded(0) == 0xeed9d6c510387fac);
    CHECK(folded(1) == 0x5be46b22a0a9a2f2);
    CHECK(folded(42) == 0xc5152429c2b6a754);
    CHECK(folded(std::uint64_t{1} << 32) == 0x653a7c405f0b2739);
    CHECK(folded(~std::uint64_t{0}) == 0xa83976a96ccf7e71);
}

TEST_CASE("philox: uniforms stay below 1 and fill the interval", "[sampler][random]") {
    const philox random{.seed = 7};
    constexpr std::uint64_t draws = 1 << 20;
    double highest = 0, lowest = 1, sum = 0;
    for (std::uint64_t step = 0; step < draws; ++step) {
        const double u = random.uniform(step);
        highest = u > highest ? u : highest;
        lowest = u < lowest ? u : lowest;
        sum += u;
    }
    CHECK(lowest >= 0);
    CHECK(highest < 1);
    CHECK(highest > 1 - 1e-5);
    CHECK(lowest < 1e-5);
    CHECK(std::abs(sum / draws - 0.5) < 5 * 0.2887 / 1024);  // five standard errors
    // The map itself cannot give 1: its highest value is (2^53 - 1) / 2^53.
    CHECK(static_cast<double>(~std::uint64_t{0} >> 11) * 0x1p-53 < 1);
}

TEST_CASE("philox: sequences and seeds are independent streams", "[sampler][random]") {
    int equal = 0;
    for (std::uint64_t step = 0; step < 1000; ++step) {
        const auto base = philox{.seed = 3, .sequence = 0}.bits(step);
        equal += base == philox{.seed = 3, .sequence = 1}.bits(step);
        equal += base == philox{.seed = 4, .sequence = 0}.bits(step);
        equal += base == philox{.seed = 3, .sequence = 0}.bits(step + 1);
        equal += base == philox{.seed = 3, .sequence = std::uint64_t{1} << 32}.bits(step);
    }
    CHECK(equal == 0);
}
