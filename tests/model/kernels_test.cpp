// Every kernel gives the bits of the portable one, over shapes that are multiples of nothing.
#include "../support/catch.hpp"

#include <gpt2/detail/kernels/dispatch.hpp>

#include <cstring>
#include <random>
#include <vector>

using namespace gpt2::detail::kernels;

TEST_CASE("kernels agree to the bit", "[kernels]") {
    std::mt19937 engine(1);
    std::normal_distribution<float> spread;
    const auto random = [&](std::size_t size) {
        std::vector<float> values(size);
        for (float& x : values) x = spread(engine);
        return values;
    };
    for (const auto& kernel : available())
        for (const std::size_t rows : {1u, 2u, 3u, 5u, 8u, 13u, 31u})
            for (const std::size_t depth : {0u, 1u, 17u, 130u})
                for (const std::size_t outputs : {1u, 15u, 16u, 17u, 50u, 161u}) {
                    INFO(kernel.name << ": " << rows << " rows, K " << depth << ", N " << outputs);
                    const auto panels = (outputs + panel_width - 1) / panel_width;
                    const auto x = random(rows * (depth + 3));  // rows lie apart
                    const auto w = random(panels * depth * panel_width);
                    const auto bias = random(panels * panel_width);
                    const float untouched = 12345;
                    std::vector<float> expected(rows * (outputs + 5), untouched), found = expected;
                    panel_product job{x.data(),
                                      depth + 3,
                                      w.data(),
                                      depth * panel_width,
                                      rows % 2 ? bias.data() : nullptr,
                                      expected.data(),
                                      outputs + 5,
                                      rows,
                                      depth,
                                      outputs,
                                      0,
                                      panels};
                    portable_product(job);
                    job.y = found.data();
                    kernel.product(job);
                    REQUIRE(std::memcmp(expected.data(), found.data(),
                                        expected.size() * sizeof(float)) == 0);
                    for (std::size_t r = 0; r < rows; ++r)
                        REQUIRE(found[r * (outputs + 5) + outputs] == untouched);
                }
    CHECK(available().back().name == "portable");
}
