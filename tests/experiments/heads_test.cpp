// Heads of attention: what their absence costs, what is moved from one prompt to another, and what
// they look at; held to PyTorch.
#include "references.hpp"

#include <gpt2/ablation.hpp>
#include <gpt2/attention_measures.hpp>
#include <gpt2/patching.hpp>

#include <numeric>

namespace {

using gpt2::errc;
using gpt2::stage;
using test::experiments;
using test::flat;
using test::ids;
using test::largest_difference;
using test::model_named;

stage stage_named(const std::string& name) {
    const auto found = std::ranges::find(gpt2::stage_names, name);
    return static_cast<stage>(found - gpt2::stage_names.begin());
}

/// Rows of weights, each of which adds up to 1.
gpt2::cview<float> map_of(const std::vector<float>& weights, std::size_t rows) {
    return {weights.data(), rows, rows};
}

}  // namespace

TEST_CASE("losses without a head are PyTorch's", "[experiments]") {
    for (const auto& expected : experiments("ablation")) {
        const auto& model = model_named(expected["model"]);
        const auto text = expected["ids"].get<ids>();
        const auto zero = gpt2::importance(model, text);
        CHECK(zero.loss == Approx(expected["loss"].get<double>()).epsilon(1e-5));
        CHECK(largest_difference(zero.changes.values, flat(expected["zero"])) < 2e-5);
        const auto mean = gpt2::importance(model, text, {.by = gpt2::ablation::mean});
        CHECK(largest_difference(mean.changes.values, flat(expected["mean"])) < 2e-5);
        CHECK(mean.loss == zero.loss);
    }
    CHECK_ERROR(errc::empty_prompt, gpt2::importance(model_named("tales"), ""));
    CHECK_ERROR(errc::invalid_argument, gpt2::importance(model_named("base"), ids{1}));
    CHECK_ERROR(errc::not_found, gpt2::importance(model_named("base"), "text"));
}

TEST_CASE("patched answers are PyTorch's", "[experiments]") {
    for (const auto& expected : experiments("patching")) {
        const auto& model = model_named(expected["model"]);
        const auto clean = expected["clean_ids"].get<ids>(),
                   corrupted = expected["corrupted_ids"].get<ids>();
        gpt2::patching_options how;
        how.stage = stage_named(expected["stage"]);
        if (expected["heads"]) how.unit = gpt2::patch_unit::heads;
        const auto found = gpt2::patch(model, clean, corrupted, how);
        CHECK(found.answers.clean == expected["answers"][0]);
        CHECK(found.answers.corrupted == expected["answers"][1]);
        CHECK(found.clean == Approx(expected["clean"].get<double>()).margin(1e-4));
        CHECK(found.corrupted == Approx(expected["corrupted"].get<double>()).margin(1e-4));
        CHECK(largest_difference(found.differences, flat(expected["differences"])) < 1e-4);
        CHECK(found.layers == model.config().layers);
        CHECK(found.differences.size() == found.layers * found.columns);
        // The other two tokens: the same from the other side.
        how.answers = {found.answers.corrupted, found.answers.clean};
        const auto other = gpt2::patch(model, clean, corrupted, how);
        for (std::size_t layer = 0; layer < found.layers; ++layer)
            for (std::size_t i = 0; i < found.columns; ++i)
                CHECK(other.recovered(layer, i) == found.recovered(layer, i));
    }
}

TEST_CASE("all of a text's values make another text its own, to the bit", "[experiments]") {
    const auto& model = model_named("tales");
    const auto& c = model.config();
    const auto a = model.tokenizer().encode("Then the king was glad that"),
               b = model.tokenizer().encode("Then the queen was glad that");
    gpt2::experiment lab(model);
    for (const auto at : {gpt2::stage_place{stage::embedding, 0},
                          {stage::block, 2},
                          {stage::block, c.layers - 1}}) {
        gpt2::recording seen({.stages = {at.stage}});
        const auto logits = lab.read(b, 1, seen);
        const std::vector<float> expected(logits.data(), logits.data() + c.vocabulary_size);
        gpt2::activation_patch<float> all(at, seen);
        CHECK(std::ranges::equal(lab.read(a, 1, all).row(0), expected));
        CHECK_FALSE(std::ranges::equal(lab.read(a, 1).row(0), expected));
    }
    // The last position of the last layer is all that the answer hangs on.
    const auto found = gpt2::patch(model, b, a);
    CHECK(found.recovered(c.layers - 1, a.size() - 1) == 1);
    CHECK(found.recovered(c.layers - 1, 0) == 0);
    CHECK(found.recovered(0, 0) == 0);  // before the prompts differ
}

TEST_CASE("prompts that cannot be compared are refused", "[experiments]") {
    const auto& model = model_named("tales");
    const auto problem = test::error_of([&] { gpt2::patch(model, "The king", "The old king"); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::invalid_argument);
    CHECK(std::string(problem->what()) ==
          "patch: corrupted prompt: expected as many tokens as the clean one, 2, found 3");
    CHECK_ERROR(errc::invalid_argument, gpt2::patch(model, "The king", "The king"));
    CHECK_ERROR(errc::empty_prompt, gpt2::patch(model, "", "The king"));
    for (const auto at : {stage::embedding, stage::logits, stage::weights, stage::scores})
        CHECK_ERROR(errc::invalid_argument,
                    gpt2::patch(model, "The king", "The queen", {.stage = at}));
    CHECK_ERROR(errc::token_out_of_range, gpt2::patch(model, "The king", "The queen",
                                                      {.answers = gpt2::answer_pair{1, 4096}}));
    CHECK_ERROR(errc::not_found, gpt2::patch(model_named("base"), "a", "b"));
    CHECK_ERROR(errc::not_finite, gpt2::patch(test::overflowing_model(), ids{1, 2}, ids{1, 3},
                                              {.answers = gpt2::answer_pair{1, 4}}));
}

TEST_CASE("measures of attention on maps made by hand", "[experiments]") {
    // Only itself; only the position before; evenly over all.
    const std::vector<float> itself = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    CHECK(gpt2::attention_distance(map_of(itself, 3)) == 0);
    CHECK(gpt2::attention_entropy(map_of(itself, 3)) == 0);
    CHECK(gpt2::attention_to(map_of(itself, 3), 0, 0) == 1);
    const std::vector<float> before = {1, 0, 0, 1, 0, 0, 0, 1, 0};
    CHECK(gpt2::attention_distance(map_of(before, 3)) == Approx(2.0 / 3));
    CHECK(gpt2::attention_to(map_of(before, 3), 1, 1) == 1);
    CHECK(gpt2::attention_to(map_of(before, 3), 2, 2) == 0);
    const std::vector<float> even = {1,    0,    0,   0, .5f,  .5f,  0,    0,
                                     .25f, .25f, .5f, 0, .25f, .25f, .25f, .25f};
    CHECK(gpt2::attention_distance(map_of(even, 4)) == Approx((0 + .5 + .75 + 1.5) / 4));
    CHECK(gpt2::attention_entropy(map_of(even, 4)) == Approx((0 + 1 + 1.5 + 2) / 4));
    CHECK(gpt2::attention_to(map_of(even, 4), 2, 2) == .25);
    CHECK_ERROR(errc::invalid_argument, gpt2::attention_to(map_of(even, 4), 3, 2));
    CHECK_ERROR(errc::invalid_argument, gpt2::attention_to(map_of(even, 4), 3, 4));
}

TEST_CASE("what heads look at is what PyTorch says", "[experiments]") {
    for (const auto& expected : experiments("attention")) {
        const auto& model = model_named(expected["model"]);
        const auto found = gpt2::measure_attention(model, expected["ids"].get<ids>());
        CHECK(largest_difference(found.distance.values, flat(expected["distance"])) < 1e-4);
        CHECK(largest_difference(found.entropy.values, flat(expected["entropy"])) < 1e-4);
        CHECK(largest_difference(found.previous.values, flat(expected["previous"])) < 1e-5);
        const auto row = expected["distance"][1].get<std::vector<double>>();
        const auto sum = std::accumulate(row.begin(), row.end(), 0.0);
        CHECK(found.of_layer(found.distance, 1) ==
              Approx(sum / static_cast<double>(row.size())).epsilon(1e-5));
    }
    CHECK_ERROR(errc::invalid_argument, gpt2::measure_attention(model_named("base"), ids{1}));
    CHECK_ERROR(errc::empty_prompt, gpt2::measure_attention(model_named("tales"), ""));
}

TEST_CASE("a repeated stretch without sense: ids, losses and heads are PyTorch's",
          "[experiments]") {
    for (const auto& expected : experiments("induction")) {
        const auto& model = model_named(expected["model"]);
        const auto found =
            gpt2::induction(model, {.length = expected["length"], .seed = expected["seed"]});
        CHECK(found.ids == expected["ids"].get<ids>());
        CHECK(largest_difference(found.scores.values, flat(expected["scores"])) < 1e-5);
        CHECK(found.first_loss == Approx(expected["losses"][0].get<double>()).epsilon(1e-5));
        CHECK(found.second_loss == Approx(expected["losses"][1].get<double>()).epsilon(1e-5));
    }
    const auto& model = model_named("base");  // 32 positions, no begin-of-text token
    CHECK(gpt2::induction(model, {.length = 16}).ids.size() == 32);
    const auto problem = test::error_of([&] { gpt2::induction(model, {.length = 17}); });
    REQUIRE(problem);
    CHECK(std::string(problem->what()) == "induction: length: expected from 2 to 16, found 17");
    CHECK_ERROR(errc::invalid_argument, gpt2::induction(model, {.length = 1}));
}
