// Observers that measure: moments as transformers has them, lengths as a plain loop has them, and
// the first number that is none, wherever it is put.
#include "../support/catch.hpp"
#include "watched.hpp"

#include <gpt2/observers.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace {

using gpt2::errc;
using gpt2::stage;

std::vector<double> means(std::span<const gpt2::moments> of) {
    std::vector<double> list;
    for (const auto& one : of) list.push_back(one.mean);
    return list;
}
std::vector<double> variances(std::span<const gpt2::moments> of) {
    std::vector<double> list;
    for (const auto& one : of) list.push_back(one.variance);
    return list;
}

}  // namespace

TEMPLATE_TEST_CASE("what LayerNorm is given has the moments of transformers",
                   "[observers][reference]", float, double) {
    for (const std::string name : {"base", "head_untied"}) {
        INFO(name);
        const test::referenced_model<TestType> of(name);
        const auto layers = of.model.config().layers;
        gpt2::norm_moments seen(layers);
        test::watched(of.model, of.ids, 4, seen);
        std::size_t compared = 0;
        const auto compare = [&](stage norm, std::size_t layer) {
            const auto key = gpt2::name(gpt2::stage_place{norm, layer});
            INFO(key);
            const auto& known = of.known["moments"][key];
            CHECK(test::departure(known["mean"], means(seen.at(norm, layer))) <=
                  test::bound<TestType>);
            CHECK(test::departure(known["variance"], variances(seen.at(norm, layer))) <=
                  test::bound<TestType>);
            ++compared;
        };
        for (std::size_t layer = 0; layer < layers; ++layer) {
            compare(stage::ln_1, layer);
            compare(stage::ln_2, layer);
        }
        compare(stage::ln_f, 0);
        CHECK(compared == of.known["moments"].size());
        CHECK_ERROR(errc::not_found, seen.at(stage::ln_1, layers));
        CHECK_ERROR(errc::not_found, seen.at(stage::block, 0));
    }
}

TEST_CASE("norms are the lengths of rows", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 7);
    gpt2::recording seen;
    gpt2::stage_norms norms;
    test::watched(model, ids, 3, gpt2::together(norms, seen));
    const auto length = [](std::span<const float> row) {
        long double square = 0;
        for (const float x : row) square += static_cast<long double>(x) * x;
        return static_cast<double>(std::sqrt(square));
    };
    for (const auto& [s, layer] : seen.places()) {
        if (seen.is_map(s)) continue;
        INFO(gpt2::name(gpt2::stage_place{s, layer}));
        REQUIRE(norms.at(s, layer).size() == 7);
        for (std::size_t t = 0; t < 7; ++t)
            CHECK(norms.at(s, layer)[t] == Approx(length(seen.at(s, layer).row(t))));
    }
    REQUIRE(norms.of_heads(2).size() == 7 * c.heads);
    CHECK(norms.of_heads(2)[5 * c.heads + 1] ==
          Approx(length(seen.head(stage::heads, 2, 1).row(5))));
    CHECK_ERROR(errc::not_found, norms.at(stage::weights, 0));
    gpt2::stage_norms some({.stages = {stage::mlp}, .layers = {1}});
    test::watched(model, ids, some);
    CHECK(some.at(stage::mlp, 1)[4] == norms.at(stage::mlp, 1)[4]);
    CHECK_ERROR(errc::not_found, some.at(stage::mlp, 0));
    CHECK_ERROR(errc::not_found, some.of_heads(1));
}

TEST_CASE("the first number that is none is found wherever it arises", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 8);
    gpt2::recording plain;
    test::watched(model, ids, plain);
    for (const auto& at : plain.places())
        for (const std::size_t chunk : {8, 3}) {
            INFO(gpt2::name(at) << " in pieces of " << chunk);
            std::size_t first = 0;
            // Position 5, head 1 of maps, column 2, and a later one that is to be ignored.
            const auto spoil = [&](stage s, std::size_t layer, gpt2::view<float> values) {
                if (gpt2::stage_place{s, layer} != at) return;
                const bool map = plain.is_map(s);
                const auto rows = map ? values.rows() / c.heads : values.rows();
                if (first <= 5 && 5 < first + rows) {
                    const auto head = map ? rows : 0;
                    values(head + 5 - first, 2) = std::numeric_limits<float>::quiet_NaN();
                    if (first + rows > 6)
                        values(6 - first, 1) = std::numeric_limits<float>::infinity();
                }
            };
            gpt2::non_finite_finder finder;
            gpt2::thread_pool pool(1);
            gpt2::state<float> state(c, pool);
            std::vector<float> logits(8 * c.vocabulary_size);
            for (; first < ids.size(); first += chunk) {
                const auto count = std::min(chunk, ids.size() - first);
                model.forward(std::span(ids).subspan(first, count), state,
                              gpt2::view<float>(logits.data(), count, c.vocabulary_size),
                              gpt2::together(spoil, finder));
            }
            REQUIRE(finder.found().has_value());
            CHECK(finder.found()->at == at);
            CHECK(finder.found()->position == 5);
            CHECK(finder.found()->head == (plain.is_map(at.stage) ? 1 : 0));
            CHECK(finder.found()->column == 2);
            CHECK(std::isnan(finder.found()->value));
        }
    gpt2::non_finite_finder nothing;
    test::watched(model, ids, nothing);
    CHECK_FALSE(nothing.found().has_value());
}
