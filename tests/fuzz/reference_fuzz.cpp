// Any bytes as reference.json: a typed error, or a verification of a tiny model that compares no
// more stages than the model has.
#include "../support/random_model.hpp"

#include <gpt2/verify.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const gpt2::config shape = [] {
        auto c = test::odd_config();
        c.width = 6;
        c.layers = 1;
        c.inner_width = 5;
        return c;
    }();
    static const auto network = test::random_weights(shape).model(shape);
    static gpt2::thread_pool pool(1);
    static gpt2::state<float> text(shape, pool);
    try {
        const auto expected =
            gpt2::reference::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
        const auto found = gpt2::verify(network, text, expected);
        if (found.stages.size() > expected.stages.size() + 1) std::abort();
        if (found.passed() != !(found.largest() > found.tolerance)) std::abort();
    } catch (const gpt2::error&) {
        return 0;
    }
    return 0;
}
