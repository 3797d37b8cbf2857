// Observers that change a pass: as transformers computes it with hooks, and what must hold for any
// weights.
#include "../support/catch.hpp"
#include "watched.hpp"

#include <gpt2/edits.hpp>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using gpt2::errc;
using gpt2::stage;

constexpr const char* models[] = {"base", "head_untied"};

template <class Scalar>
bool same_bits(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Scalar)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE("a silenced head is that of transformers", "[observers][reference]", float,
                   double) {
    for (const std::string name : models) {
        INFO(name);
        const test::referenced_model<TestType> of(name);
        const auto& known = of.known["head"];
        const gpt2::head_place at{known["layer"], known["head"]};
        gpt2::head_ablation<TestType> zero(of.model.config(), at);
        CHECK(test::departure(known["zero"], test::watched(of.model, of.ids, zero)) <=
              test::bound<TestType>);
        gpt2::basic_recording<TestType> seen({.stages = {stage::heads}});
        test::watched(of.model, of.ids, seen);
        gpt2::head_ablation<TestType> mean(of.model.config(), at, gpt2::mean_output(seen, at));
        CHECK(test::departure(known["mean"], test::watched(of.model, of.ids, 4, mean)) <=
              test::bound<TestType>);
    }
}

TEMPLATE_TEST_CASE("a patched row is that of transformers", "[observers][reference]", float,
                   double) {
    for (const std::string name : models) {
        INFO(name);
        const test::referenced_model<TestType> of(name);
        const auto& known = of.known["patch"];
        const gpt2::stage_place at{stage::block, known["layer"]};
        const std::vector<gpt2::token_id> other(of.ids.rbegin(), of.ids.rend());
        gpt2::basic_recording<TestType> seen;
        test::watched(of.model, other, 3, seen);
        for (const std::size_t chunk : {11, 4, 1}) {
            gpt2::activation_patch<TestType> patch(at, seen,
                                                   {.rows = {{known["to"], known["row"]}}});
            CHECK(test::departure(known["logits"], test::watched(of.model, of.ids, chunk, patch)) <=
                  test::bound<TestType>);
        }
    }
}

TEMPLATE_TEST_CASE("a steered pass is that of transformers", "[observers][reference]", float,
                   double) {
    for (const std::string name : models) {
        INFO(name);
        const test::referenced_model<TestType> of(name);
        const auto& known = of.known["steer"];
        std::vector<TestType> direction(of.model.config().width);
        const gpt2::token_id token = known["token"];
        of.model.vectors(std::span(&token, 1), {direction.data(), 1, direction.size()});
        for (const std::size_t chunk : {11, 3}) {
            gpt2::steering<TestType> steer({stage::block, known["layer"]}, direction,
                                           {.scale = known["scale"], .first = known["first"]});
            CHECK(test::departure(known["logits"], test::watched(of.model, of.ids, chunk, steer)) <=
                  test::bound<TestType>);
        }
    }
}

TEST_CASE("what is written to any stage changes what follows, and nothing before", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 6);
    gpt2::recording plain;
    const auto logits = test::watched(model, ids, plain);
    for (const auto& at : plain.places()) {
        INFO(gpt2::name(at));
        const auto push = [&](stage s, std::size_t layer, gpt2::view<float> values) {
            if (gpt2::stage_place{s, layer} == at) values(values.rows() - 1, 0) += 1;
        };
        gpt2::recording seen;
        // keys and values of the last position matter to it alone: its own row shows them
        const auto changed = test::watched(model, ids, gpt2::together(push, seen));
        CHECK_FALSE(same_bits(logits, changed));
        const auto before_last = logits.size() - c.vocabulary_size;
        CHECK(std::memcmp(logits.data(), changed.data(), before_last * sizeof(float)) == 0);
        const auto row = plain.at(stage::embedding).row(5), same = seen.at(stage::embedding).row(5);
        CHECK(std::ranges::equal(row, same) == (at.stage > stage::embedding));
    }
}

TEST_CASE("edits that change nothing leave the same bits", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 9);
    gpt2::recording plain;
    const auto logits = test::watched(model, ids, plain);
    for (const auto& at : plain.places()) {
        if (plain.is_map(at.stage)) continue;
        INFO(gpt2::name(at));
        gpt2::activation_patch<float> own(at, plain);
        CHECK(same_bits(test::watched(model, ids, 4, own), logits));
    }
    gpt2::activation_patch<float> head({stage::q, 1}, plain, {.head = 1});
    gpt2::steering<float> still({stage::block, 1}, std::vector<float>(c.width, 1), {.scale = 0});
    gpt2::steering<float> late({stage::block, 1}, std::vector<float>(c.width, 1), {.first = 9});
    CHECK(same_bits(test::watched(model, ids, 2, gpt2::together(head, still, late)), logits));
}

TEST_CASE("observers in a row see what those before them changed", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 5);
    gpt2::recording before, after;
    gpt2::head_ablation<float> silent(c, {.layer = 1, .head = 0});
    test::watched(model, ids, gpt2::together(before, silent, after));
    CHECK(before.head(stage::heads, 1, 0)(2, 3) != 0);
    CHECK(after.head(stage::heads, 1, 0)(2, 3) == 0);
    CHECK(after.head(stage::heads, 1, 1)(2, 3) == before.head(stage::heads, 1, 1)(2, 3));

    // One that asks for the stream alone is shown that alone, whoever it is together with.
    struct stream_watcher {
        using stream_only = void;
        std::set<stage> seen = {};
        void operator()(stage s, std::size_t, gpt2::view<float>) { seen.insert(s); }
    } stream, other;
    const std::set<stage> expected = {stage::token_embedding,
                                      stage::position_embedding,
                                      stage::embedding,
                                      stage::block,
                                      stage::ln_f,
                                      stage::logits};
    test::watched(model, ids, gpt2::together(stream, after));
    CHECK(stream.seen == expected);
    STATIC_REQUIRE(gpt2::observes_stream<decltype(gpt2::together(stream, other))>);
    STATIC_REQUIRE_FALSE(gpt2::observes_stream<decltype(gpt2::together(stream, after))>);
}

TEST_CASE("edits refuse what does not fit", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 5);
    gpt2::recording seen({.stages = {stage::block, stage::weights, stage::heads, stage::q}});
    test::watched(model, ids, seen);
    using ablation = gpt2::head_ablation<float>;
    using patch = gpt2::activation_patch<float>;
    CHECK_ERROR(errc::invalid_argument, ablation(c, {.layer = 3}));
    CHECK_ERROR(errc::invalid_argument, ablation(c, {.head = 2}));
    CHECK_ERROR(errc::wrong_shape, ablation(c, {}, std::vector<float>(3)));
    CHECK_ERROR(errc::not_found, patch({stage::mlp, 0}, seen));
    CHECK_ERROR(errc::invalid_argument, patch({stage::weights, 0}, seen));
    CHECK_ERROR(errc::invalid_argument, patch({stage::weights, 0}, seen, {.head = 0}));
    CHECK_ERROR(errc::invalid_argument, patch({stage::block, 0}, seen, {.head = 0}));
    CHECK_ERROR(errc::invalid_argument, patch({stage::block, 0}, seen, {.rows = {{0, 5}}}));
    CHECK_ERROR(errc::invalid_argument, gpt2::steering<float>({stage::weights, 0}, {1.0f}));
    CHECK_ERROR(errc::not_found, gpt2::mean_output(gpt2::recording(), {0, 0}));
    // found while the pass runs: the text is then as before it
    gpt2::steering<float> short_one({stage::block, 1}, std::vector<float>(3));
    gpt2::thread_pool pool(1);
    gpt2::state<float> state(c, pool);
    CHECK_ERROR(errc::wrong_shape, model.forward(ids, state, {}, short_one));
    CHECK(state.kv.size() == 0);
}
