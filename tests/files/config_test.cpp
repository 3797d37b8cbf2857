// Sizes and constants of a model. Numbers in brackets are those of the project's list of hazards.
#include "../support/catch.hpp"

#include <gpt2/config.hpp>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>

using gpt2::activation;
using gpt2::config;
using gpt2::errc;

namespace {

gpt2::config gpt3() {
    config sizes;
    sizes.layers = 96;
    sizes.width = 12288;
    sizes.heads = 96;
    sizes.inner_width = 4 * sizes.width;
    sizes.context_length = 2048;
    return sizes;
}

template <class Change>
void check_bad(Change&& change, const std::string& named) {
    config sizes;
    change(sizes);
    CHECK_ERROR(errc::bad_config, sizes.validate());
    const auto problem = test::error_of([&] { sizes.validate(); });
    REQUIRE(problem);
    CHECK_THAT(problem->what(), Catch::Matchers::Contains(named));
}

}  // namespace

// The counts are the published ones: OpenAI's checkpoints have exactly so many numbers.
TEST_CASE("parameters of the published sizes", "[config]") {
    struct size {
        config sizes;
        std::uint64_t tied, untied;
    };
    for (const auto& [sizes, tied, untied] :
         {size{gpt2::presets::distil(), 81'912'576, 120'509'952},
          size{gpt2::presets::gpt2(), 124'439'808, 163'037'184},
          size{gpt2::presets::medium(), 354'823'168, 406'286'336},
          size{gpt2::presets::large(), 774'030'080, 838'359'040},
          size{gpt2::presets::xl(), 1'557'611'200, 1'638'022'400},
          size{gpt3(), 174'604'259'328, 175'221'817'344}}) {
        CHECK_NOTHROW(sizes.validate());
        const auto table = sizes.parameter_table();
        CHECK(table.tied == tied);
        CHECK(table.untied == untied);
        CHECK(table.head == untied - tied);
        std::uint64_t sum = 0;
        for (const auto& row : table.rows) sum += row.count;
        CHECK(sum == tied);
        CHECK(sizes.parameter_count() == tied);
        auto own_head = sizes;
        own_head.tied_head = false;
        CHECK(own_head.parameter_count() == untied);
    }
}

TEST_CASE("the rows of the parameter table", "[config]") {
    const auto rows = gpt2::presets::gpt2().parameter_table().rows;
    REQUIRE(rows.size() == 6);
    CHECK(rows[0].count == 38'597'376);
    CHECK(rows[1].count == 786'432);
    CHECK(rows[2].count == 28'311'552);
    CHECK(rows[3].count == 56'623'104);
    CHECK(rows[4].count == 38'400);
    CHECK(rows[5].count == 82'944);
    config bare = gpt2::presets::gpt2();
    bare.biases = false;  // as nanoGPT with bias=False: half of the norms is left
    CHECK(bare.parameter_count() == 124'439'808 - 82'944 - 19'200);
}

TEST_CASE("derived sizes", "[config]") {
    CHECK(gpt2::presets::gpt2().head_size() == 64);
    CHECK(gpt2::presets::xl().head_size() == 64);
    CHECK(gpt2::presets::gpt2().kv_bytes_per_token() == 73'728);
    CHECK(gpt2::presets::gpt2().kv_bytes_per_token(2) == 36'864);
    config sizes;
    sizes.heads = 0;
    CHECK(sizes.head_size() == 0);
}

TEST_CASE("the attention scale follows both flags [139]", "[config]") {
    config sizes;  // heads of 64
    CHECK(sizes.attention_scale(0) == 0.125);
    CHECK(sizes.attention_scale(11) == 0.125);
    sizes.scale_attention_by_inverse_layer = true;
    CHECK(sizes.attention_scale(0) == 0.125);
    CHECK(sizes.attention_scale(3) == 0.03125);
    sizes.scale_attention = false;
    CHECK(sizes.attention_scale(0) == 1.0);
    CHECK(sizes.attention_scale(4) == 0.2);
    sizes.scale_attention_by_inverse_layer = false;
    CHECK(sizes.attention_scale(4) == 1.0);
}

TEST_CASE("impossible sizes are refused by field [134, 138]", "[config]") {
    check_bad([](config& c) { c.vocabulary_size = 0; }, "vocab_size");
    check_bad([](config& c) { c.vocabulary_size = (1u << 24) + 1; }, "vocab_size");
    check_bad([](config& c) { c.context_length = 0; }, "n_positions");
    check_bad([](config& c) { c.context_length = (1u << 24) + 1; }, "n_positions");
    check_bad([](config& c) { c.width = 0; }, "n_embd");
    check_bad([](config& c) { c.width = std::size_t{1} << 40; }, "n_embd");
    check_bad([](config& c) { c.layers = 0; }, "n_layer");
    check_bad([](config& c) { c.layers = 1025; }, "n_layer");
    check_bad([](config& c) { c.heads = 0; }, "n_head");
    check_bad([](config& c) { c.heads = 769; }, "n_head");
    check_bad([](config& c) { c.heads = 7; }, "divisor of width (n_embd) 768, found 7");
    check_bad([](config& c) { c.inner_width = 0; }, "n_inner");
    check_bad([](config& c) { c.inner_width = std::numeric_limits<std::size_t>::max(); },
              "n_inner");
    for (const double epsilon : {0.0, -1e-5, std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()})
        check_bad([&](config& c) { c.layer_norm_epsilon = epsilon; }, "layer_norm_epsilon");
    check_bad([](config& c) { c.activation = static_cast<activation>(99); }, "activation");
    check_bad([](config& c) { c.begin_of_text = 50257; }, "bos_token_id");
    check_bad([](config& c) { c.begin_of_text = -1; }, "bos_token_id");
    check_bad([](config& c) { c.end_of_text = {0, 50257}; }, "eos_token_id");
}

TEST_CASE("the largest sizes accepted do not overflow", "[config]") {
    config sizes;
    sizes.vocabulary_size = sizes.context_length = sizes.inner_width = 1u << 24;
    sizes.width = 1u << 20;
    sizes.layers = 1024;
    sizes.heads = 1;
    sizes.begin_of_text.reset();
    sizes.end_of_text.clear();
    CHECK_NOTHROW(sizes.validate());
    const long double expected =
        2 * std::ldexp(1.0L, 44) + std::ldexp(1.0L, 52) + 2 * std::ldexp(1.0L, 54);
    const auto total = static_cast<long double>(sizes.parameter_count());
    CHECK(total > expected);
    CHECK(total < expected * 1.001L);
}

// All that ACT2CLS of transformers 5.23.0 knows and that has no parameters of its own.
TEST_CASE("activations by every name [137]", "[config]") {
    const std::vector<std::pair<std::string_view, activation>> known = {
        {"gelu", activation::gelu},
        {"gelu_10", activation::gelu_10},
        {"gelu_fast", activation::gelu_fast},
        {"gelu_new", activation::gelu_new},
        {"gelu_python", activation::gelu},
        {"gelu_pytorch_tanh", activation::gelu_new},
        {"gelu_python_tanh", activation::gelu_new},
        {"gelu_accurate", activation::gelu_new},
        {"hardswish", activation::hardswish},
        {"laplace", activation::laplace},
        {"leaky_relu", activation::leaky_relu},
        {"linear", activation::linear},
        {"mish", activation::mish},
        {"quick_gelu", activation::quick_gelu},
        {"relu", activation::relu},
        {"relu2", activation::relu2},
        {"relu6", activation::relu6},
        {"sigmoid", activation::sigmoid},
        {"silu", activation::silu},
        {"sqrtsoftplus", activation::sqrt_softplus},
        {"swish", activation::silu},
        {"tanh", activation::tanh}};
    for (const auto& [text, function] : known) {
        CHECK(gpt2::activation_named(text) == function);
        CHECK(gpt2::activation_named(name(function)) == function);
    }
    CHECK(known.size() == gpt2::detail::activation_names.size());
    for (const char* text : {"", "GELU", "gelu ", "prelu", "xielu", "unknown", "geglu"})
        CHECK_FALSE(gpt2::activation_named(text));
    CHECK(name(activation::gelu_new) == "gelu_new");
    CHECK(name(activation::silu) == "silu");
}
