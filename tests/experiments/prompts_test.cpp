// What stands before a text, or pushes it: examples, directions, observers of a generation.
#include "references.hpp"

#include <gpt2/in_context.hpp>
#include <gpt2/steering.hpp>

namespace {

using gpt2::errc;
using test::ids;
using test::largest_difference;
using test::model_named;

gpt2::demonstration demonstration_of(const nlohmann::json& pair) { return {pair[0], pair[1]}; }

}  // namespace

TEST_CASE("an answer behind more and more examples, as PyTorch finds it", "[experiments]") {
    const auto& model = model_named("tales");
    for (const auto& expected : test::experiments("in_context")) {
        gpt2::in_context_task task{{}, demonstration_of(expected["asked"]), expected["between"]};
        for (const auto& pair : expected["examples"])
            task.examples.push_back(demonstration_of(pair));
        const auto found = gpt2::in_context(model, task);
        REQUIRE(found.size() == task.examples.size() + 1);
        for (std::size_t i = 0; i < found.size(); ++i) {
            const double wanted = expected["log_probs"][i];
            CHECK(found[i].examples == i);
            CHECK(found[i].answer.log_prob == Approx(wanted).epsilon(1e-5));
            CHECK(found[i].probability() == Approx(std::exp(wanted)).epsilon(1e-4));
            CHECK(found[i].answer.tokens[0].alternatives.size() == 1);
        }
        CHECK(found.back().probability() > 10 * found.front().probability());
    }
    CHECK(gpt2::in_context(model, {{}, {"The king", " said"}}).size() == 1);
    CHECK_ERROR(errc::invalid_argument, gpt2::in_context(model, {{}, {"The king", ""}}));
    CHECK_ERROR(errc::empty_prompt, gpt2::in_context(model, {{}, {"", "king"}}));
    CHECK_ERROR(errc::not_found, gpt2::in_context(model_named("base"), {{}, {"a", "b"}}));
}

TEST_CASE("an observer of a generation changes nothing by looking", "[experiments]") {
    const auto& model = model_named("tales");
    gpt2::options how;
    how.max_new_tokens = 20;
    how.sampling = gpt2::top_k(40, 0.8f);
    how.seed = 5;
    const auto expected = model.generate("The wolf", how);
    std::size_t rows = 0;
    std::string pieces;
    const auto found = gpt2::generate_observed(
        model, "The wolf",
        [&](auto s, auto, auto x) {
            if (s == gpt2::stage::embedding) rows += x.rows();
        },
        how,
        [&](const gpt2::piece& one) {
            pieces += one.text;
            return gpt2::flow::go_on;
        });
    CHECK(found.text == expected.text);
    CHECK(found.tokens == expected.tokens);
    CHECK(found.log_probs == expected.log_probs);
    CHECK(found.why == expected.why);
    CHECK(pieces == found.text);
    CHECK(rows == 2 + 19);  // the last token need not be computed
    how.stop = {expected.text.substr(10, 6)};
    CHECK(gpt2::generate_observed(model, "The wolf", gpt2::no_trace{}, how).text ==
          model.generate("The wolf", how).text);
}

TEST_CASE("directions, and what is written along them, are PyTorch's", "[experiments]") {
    const auto& model = model_named("tales");
    for (const auto& expected : test::experiments("steering")) {
        const std::string toward = expected["toward"], away = expected["away"];
        gpt2::steering_place where{.layer = expected["layer"]};
        const auto last = gpt2::direction_between(model, toward, away, where);
        CHECK(largest_difference(last.values, expected["last"]) < 1e-4);
        where.pooling = gpt2::pooling::mean;
        const auto mean = gpt2::direction_between(model, toward, away, where);
        CHECK(largest_difference(mean.values, expected["mean"]) < 1e-4);
        gpt2::options how;
        how.max_new_tokens = 20;
        const std::string prompt = expected["prompt"];
        const auto found =
            gpt2::generate_steered(model, prompt, mean, {.scale = expected["scale"]}, how);
        CHECK(found.tokens == expected["greedy"].get<ids>());
        // Nothing added, or nowhere, is the model's own text.
        const auto own = model.generate(prompt, how);
        CHECK(found.tokens != own.tokens);
        CHECK(gpt2::generate_steered(model, prompt, mean, {.scale = 0}, how).tokens == own.tokens);
        CHECK(gpt2::generate_steered(model, prompt, mean, {.scale = 1, .last = 0}, how).log_probs ==
              own.log_probs);
    }
    const auto none = gpt2::direction_between(model, "The sea", "The sea", {.layer = 2});
    CHECK(none.length() == 0);
    CHECK(gpt2::steering_direction{{}, {3, 4}}.length() == 5);
}

TEST_CASE("directions that cannot be are refused", "[experiments]") {
    const auto& model = model_named("tales");
    const auto problem =
        test::error_of([&] { gpt2::direction_between(model, "a", "b", {.layer = 6}); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::invalid_argument);
    CHECK(std::string(problem->what()) == "steering: layer: expected below 6, found 6");
    CHECK_ERROR(errc::invalid_argument,
                gpt2::direction_between(model, "a", "b", {.pooling = gpt2::pooling::none}));
    CHECK_ERROR(errc::empty_prompt, gpt2::direction_between(model, "", "b"));
    const gpt2::steering_direction narrow{{gpt2::stage::block, 2}, {1, 2}};
    CHECK_ERROR(errc::wrong_shape, gpt2::generate_steered(model, "a", narrow, {}));
}
