// What a pass costs: operations as PyTorch counts them, GPT-2's numbers worked out by hand, and the
// bytes of the weights that a loaded model says it reads.
#include "../support/catch.hpp"
#include "../support/files.hpp"

#include <gpt2/cost.hpp>
#include <gpt2/load.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace {

using gpt2::pass_part;
using gpt2::storage;

gpt2::config shape_named(const std::string& name) {
    if (name == "distil") return gpt2::presets::distil();
    return name == "medium" ? gpt2::presets::medium() : gpt2::presets::gpt2();
}

/// GPT-2's smallest as float32: no size but the vocabulary's needs padding to panels of 16.
gpt2::memory_plan base_plan() {
    gpt2::memory_plan plan{gpt2::presets::gpt2(), {}};
    auto& bytes = plan.weight_bytes[static_cast<std::size_t>(storage::f32)];
    bytes = gpt2::detail::vector_bytes(plan.config);
    bytes.vocabulary = 4ull * 50272 * 768;
    bytes.attention += 4ull * 28'311'552;
    bytes.feed_forward += 4ull * 56'623'104;
    return plan;
}

}  // namespace

TEST_CASE("operations are what PyTorch's flop counter counts", "[model][cost][reference]") {
    const auto cases = nlohmann::json::parse(
        test::read_file(test::source_folder() / "tests/reference/costs.json"));
    CHECK(cases.size() == 21);
    for (const auto& one : cases) {
        CAPTURE(one.dump());
        const auto c = shape_named(one["shape"]);
        const gpt2::pass_size size{one["before"], one["tokens"], 1};
        const auto cost = gpt2::operations_of(c, size);
        CHECK(cost[pass_part::embedding].operations == 0);
        CHECK(cost[pass_part::projections].operations == one["projections"].get<double>());
        CHECK(cost[pass_part::feed_forward].operations == one["feed_forward"].get<double>());
        CHECK(cost[pass_part::head].operations == one["head"].get<double>());
        // PyTorch multiplies with all T + before keys; a row needs those up to itself.
        double hidden = 0;
        for (std::size_t i = 0; i < size.tokens; ++i)
            hidden += 4.0 * static_cast<double>(c.layers * c.width * (size.tokens - 1 - i));
        CHECK(cost[pass_part::scores].operations + hidden == one["scores"].get<double>());
    }
}

TEST_CASE("GPT-2's costs worked out by hand", "[model][cost]") {
    const auto decode = gpt2::cost_of(base_plan(), {.before = 511, .tokens = 1}, storage::f32);
    CHECK(decode[pass_part::projections].operations == 12 * 8.0 * 768 * 768);
    CHECK(decode[pass_part::projections].operations == 56'623'104);
    CHECK(decode[pass_part::scores].operations == 512 * 36'864.0);
    CHECK(decode[pass_part::feed_forward].operations == 113'246'208);
    CHECK(decode[pass_part::head].operations == 77'194'752);
    CHECK(decode.total().operations == 2 * 123'532'032.0 + 512 * 36'864.0);

    CHECK(decode[pass_part::embedding].bytes == 4 * 768 + 4 * 768);  // 3,072.9 of wte, rounded down
    // 12 layers: 768·2304 + 768·768 weights, 2304 + 768 biases, 2·768 of ln_1
    CHECK(decode[pass_part::projections].bytes == 4ull * 12 * (2'359'296 + 3'072 + 1'536));
    CHECK(decode[pass_part::scores].bytes == 512ull * 73'728);
    CHECK(decode[pass_part::feed_forward].bytes == 4ull * 12 * (4'718'592 + 3'840 + 1'536));
    CHECK(decode[pass_part::head].bytes == 4ull * (50'272 * 768 + 1'536));
    // All parameters, the padding of the vocabulary instead of the positions, and the cache
    CHECK(decode.total().bytes - decode[pass_part::scores].bytes ==
          4ull * (124'439'808 - 786'432 + 15 * 768 + 2 * 768));
    CHECK(decode.total().intensity() > 0.4);
    CHECK(decode.total().intensity() < 0.6);

    const auto prefill = gpt2::cost_of(base_plan(), {.tokens = 512}, storage::f32, storage::f16);
    CHECK(prefill[pass_part::scores].operations == 512.0 * 513 / 2 * 36'864);
    CHECK(prefill[pass_part::scores].bytes == 512ull * 36'864);
    CHECK(prefill[pass_part::feed_forward].bytes == decode[pass_part::feed_forward].bytes);
    CHECK(prefill[pass_part::feed_forward].operations == 512 * 113'246'208.0);
    CHECK(prefill[pass_part::head].operations == 77'194'752);
    const auto silent = gpt2::cost_of(base_plan(), {.tokens = 4, .logits = 0}, storage::f32);
    CHECK(silent[pass_part::head].bytes == 0);
    CHECK(silent[pass_part::head].intensity() == 0);
}

TEST_CASE("reading a text in any parts takes the same operations", "[model][cost]") {
    const auto c = gpt2::presets::distil();
    const auto whole = gpt2::operations_of(c, {0, 100, 0}).total().operations;
    double sum = 0;
    for (std::size_t before = 0; before < 100; before += 25)
        sum += gpt2::operations_of(c, {before, 25, 0}).total().operations;
    CHECK(sum == whole);
}

TEST_CASE("the bytes of a decoded token's weights are those a model names", "[model][cost]") {
    const auto models = test::source_folder() / "tests/reference/models";
    for (const auto& folder : {std::filesystem::path(GPT2_BUNDLED_MODEL), models / "head_untied",
                               models / "odd_sizes", models / "no_biases"}) {
        INFO(folder.string());
        const auto plan = gpt2::plan(folder);
        for (const auto kept : gpt2::memory_plan::storages) {
            const auto loaded = gpt2::load_model<float>(folder, kept);
            const auto cost = gpt2::cost_of(plan, {.before = 7}, kept);
            CHECK(cost.total().bytes - cost[pass_part::embedding].bytes -
                      cost[pass_part::scores].bytes ==
                  loaded.model.weight_bytes());
        }
    }
    CHECK_ERROR(gpt2::errc::invalid_argument,
                gpt2::cost_of(base_plan(), {}, storage::f32, storage::int8));
}

TEST_CASE("the roof over a machine", "[model][cost]") {
    const gpt2::machine_roof roof{20e9, 200e9};
    CHECK(roof.ridge() == 10);
    CHECK(roof.at(1) == 20e9);
    CHECK(roof.at(10) == 200e9);
    CHECK(roof.at(100) == 200e9);
    CHECK(roof.seconds({200e9, 1}) == 1);
    CHECK(roof.seconds({1, 10'000'000'000}) == 0.5);
}
