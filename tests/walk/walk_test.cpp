// Walks in unusual places: windows, full contexts, models without tokenizer, numbers that are none,
// texts that are no texts; and that each row is what a shorter pass saw.
#include "walked.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace {

using gpt2::errc;
using gpt2::stage;

std::vector<std::string> notes(const gpt2::walk& of) { return gpt2::detail::notes_of(of); }

bool all_finite(const gpt2::walk_array& of) {
    return std::ranges::all_of(of.values, [](float x) { return std::isfinite(x); });
}

}  // namespace

TEST_CASE("each row is what a pass over the text up to it saw, to the bit", "[walk]") {
    const auto model = test::tales();
    const auto longer = gpt2::explain(model, "The wolf came", {.new_tokens = 4});
    const auto shorter = gpt2::explain(model, "The wolf came", {.new_tokens = 2});
    REQUIRE(shorter.total + 2 == longer.total);
    for (std::size_t layer = 0; layer < shorter.layers.size(); ++layer) {
        const auto &a = shorter.layers[layer], &b = longer.layers[layer];
        CHECK(std::equal(a.q.values.begin(), a.q.values.end(), b.q.values.begin()));
        CHECK(std::equal(a.residual_norm.begin(), a.residual_norm.end(), b.residual_norm.begin()));
        const auto short_row = a.weights.shape[1], long_row = b.weights.shape[1];
        for (std::size_t h = 0; h < model.config().heads; ++h)
            CHECK(std::equal(
                a.weights.values.begin() + static_cast<std::ptrdiff_t>(h * short_row),
                a.weights.values.begin() + static_cast<std::ptrdiff_t>((h + 1) * short_row),
                b.weights.values.begin() + static_cast<std::ptrdiff_t>(h * long_row)));
    }
    REQUIRE(longer.steps.size() == 4);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(longer.steps[i].chosen == shorter.steps[i].chosen);
        CHECK(longer.steps[i].candidates[9].logit == shorter.steps[i].candidates[9].logit);
    }
}

TEST_CASE("what is written is what generate writes", "[walk]") {
    const auto& model = test::tales();
    gpt2::walk_options how{.new_tokens = 12};
    gpt2::options same;
    same.max_new_tokens = 12;
    CHECK(gpt2::explain(model, "The wolf", how).continuation ==
          model.generate("The wolf", same).text);
    how.sampling = same.sampling = gpt2::top_k(20, 0.9f) | gpt2::top_p(0.9);
    how.seed = same.seed = 7;
    const auto drawn = gpt2::explain(model, "The wolf", how);
    const auto expected = model.generate("The wolf", same);
    CHECK(drawn.continuation == expected.text);
    REQUIRE(drawn.steps.size() == expected.tokens.size());
    for (std::size_t i = 0; i < drawn.steps.size(); ++i) {
        CHECK(drawn.steps[i].chosen == expected.tokens[i]);
        REQUIRE(drawn.steps[i].draw.has_value());
        CHECK(*drawn.steps[i].draw < 1);
        const auto& all = drawn.steps[i].candidates;
        const auto own =
            std::ranges::find(all, expected.tokens[i], &gpt2::walk_step::candidate::id);
        REQUIRE(own != all.end());
        CHECK(std::log(own->probability) ==
              Approx(static_cast<double>(expected.log_probs[i])).margin(1e-5));
    }
}

TEST_CASE("a long text is shown by its end, and says so", "[walk]") {
    const auto& model = test::tales();
    std::string text;
    for (int i = 0; i < 20; ++i) text += "The wolf came to the door. ";
    const auto whole = gpt2::explain(model, text, {.new_tokens = 3, .window = 400});
    const auto seen = gpt2::explain(model, text, {.new_tokens = 3});
    CHECK(whole.first == 0);
    CHECK(notes(whole).empty());
    CHECK(whole.shown() == whole.total);
    CHECK(seen.total == whole.total);
    CHECK(seen.first == seen.total - 32);
    CHECK(seen.shown() == 32);
    REQUIRE(notes(seen).size() == 1);
    CHECK_THAT(notes(seen)[0], test::mentions("Only the last 32 of "));
    CHECK(seen.tokens.back().place == whole.tokens.back().place);
    CHECK(seen.tokens[0].id == whole.tokens[seen.first].id);
    // The same numbers; and the weights of the window and those before it add up to one.
    const auto& layer = seen.layers[2];
    CHECK(layer.residual_norm.back() == whole.layers[2].residual_norm.back());
    CHECK(seen.lens[3][5].rank == whole.lens[3][seen.first + 5].rank);
    for (std::size_t h = 0; h < model.config().heads; ++h)
        for (std::size_t t = 0; t < 32; ++t) {
            double sum = static_cast<double>(layer.earlier.values[h * 32 + t]);
            for (std::size_t k = 0; k <= t; ++k)
                sum += static_cast<double>(
                    layer.weights.values[h * layer.weights.shape[1] + t * (t + 1) / 2 + k]);
            CHECK(sum == Approx(1).margin(1e-5));
            CHECK(layer.entropy.values[h * 32 + t] ==
                  whole.layers[2].entropy.values[h * whole.total + seen.first + t]);
        }
    CHECK(gpt2::explain(model, text, {.new_tokens = 0, .window = 1}).shown() == 1);
    const auto found = test::json_of(seen);
    CHECK(found["window"] ==
          test::json{{"first", seen.first}, {"count", 32}, {"total", seen.total}});
}

TEST_CASE("a walk ends where the context does, and where the model ends the text", "[walk]") {
    const auto model = test::nameless_model();
    const auto length = model.config().context_length;
    const auto ids = test::random_ids(model.config(), length - 2);
    const auto seen = gpt2::explain(model, ids, {.new_tokens = 5});
    CHECK(seen.total <= length);
    if (seen.why == gpt2::walk_end::context_full) {
        CHECK(seen.total == length);
        CHECK(seen.steps.size() == 2);
        CHECK_THAT(notes(seen).back(), test::mentions("no more positions"));
    }
    CHECK(seen.why != gpt2::walk_end::length);
    CHECK_ERROR(errc::context_full,
                gpt2::explain(model, test::random_ids(model.config(), length + 1)));

    // Token 1 ends a text: a bias that makes it the likeliest token of all.
    gpt2::walk_options how;
    how.sampling.logit_bias = {{1, 1000}};
    const auto ended = gpt2::explain(model, test::random_ids(model.config(), 4), how);
    CHECK(ended.why == gpt2::walk_end::end_of_text);
    CHECK(ended.steps.size() == 1);
    CHECK(ended.tokens.back().id == 1);
}

TEST_CASE("a model without a tokenizer shows ids", "[walk]") {
    const auto model = test::nameless_model();
    const auto seen = gpt2::explain(model, test::random_ids(model.config(), 4));
    CHECK_FALSE(seen.has_tokenizer);
    CHECK(seen.vocabulary.empty());
    CHECK(seen.continuation.empty());
    const auto found = test::json_of(seen);
    CHECK(found["text"].is_null());
    CHECK(found["tokens"][0]["text"].is_null());
    CHECK(found["tokens"][0]["merges"].empty());
    CHECK(found["vocabulary"] == test::json::object());
    CHECK(found["model"]["name"] == "model");
    CHECK_ERROR(errc::not_found, gpt2::explain(model, "text"));
}

TEST_CASE("where a number is none the walk says where it first arose", "[walk]") {
    // The residual stream overflows in layer 1, at every position; then with a token that alone
    // does it, before the window and in it.
    const auto overflow = test::nameless_model([](test::random_weights& weights) {
        for (auto& x : weights.find("h.1.mlp.c_fc.weight").values) x = 3e38f;
    });
    const auto ids = test::random_ids(overflow.config(), 5);
    const auto seen = gpt2::explain(overflow, ids);
    CHECK(seen.why == gpt2::walk_end::not_finite);
    CHECK(seen.steps.empty());
    REQUIRE(seen.first_non_finite.has_value());
    CHECK(seen.first_non_finite->at == gpt2::stage_place{stage::c_fc, 1});
    CHECK(seen.first_non_finite->position == 0);
    CHECK(all_finite(seen.layers[1].weights));
    CHECK_FALSE(std::isfinite(seen.layers[1].residual_norm[0]));
    CHECK_FALSE(seen.lens[1][0].best.empty());
    CHECK(seen.lens[2][0].best.empty());
    const auto found = test::json_of(seen);
    CHECK(found["first_non_finite"] ==
          test::json{{"stage", "c_fc"}, {"layer", 1}, {"position", 0}});
    CHECK(found["layers"][1]["residual_norm"][0].is_string());
    CHECK(found["notes"].size() == 2);

    const auto poisoned = test::nameless_model([](test::random_weights& weights) {
        auto& wte = weights.find("wte.weight").values;
        std::fill_n(wte.begin() + 9 * 34, 34, 0.0f);
        wte[9 * 34] = 3e38f;
        wte[9 * 34 + 1] = -3e38f;
        for (auto& x : weights.find("wpe.weight").values) x *= 0.1f;
        for (auto& x : weights.find("h.0.ln_1.weight").values) x = 3e38f;
    });
    for (const std::size_t window : {32, 2}) {
        std::vector<gpt2::token_id> text = {3, 4, 9, 5, 6, 7};
        const auto late = gpt2::explain(poisoned, text, {.window = window});
        REQUIRE(late.first_non_finite.has_value());
        CHECK(late.first_non_finite->position <= 2);
        const auto whole = gpt2::explain(poisoned, text, {.window = 32});
        CHECK(late.first_non_finite->at == whole.first_non_finite->at);
        CHECK(late.first_non_finite->position == whole.first_non_finite->position);
    }
}

TEST_CASE("texts that are no texts are valid JSON", "[walk]") {
    const auto& model = test::tales();
    const std::string hostile =
        "</script><script>alert(1)</script>\x1b[2J\xE2\x80\xAE abc \xFF\xC3(\xF0\x9F\x98";
    const auto seen = gpt2::explain(model, hostile, {.new_tokens = 2, .window = 200});
    CHECK(seen.text == hostile);
    const auto found = test::json_of(seen);
    std::string bytes;
    for (const auto& token : found["tokens"]) {
        const auto hex = token["hex"].get<std::string>();
        for (std::size_t i = 0; i < hex.size(); i += 2)
            bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
        CHECK(token["begin"].get<std::size_t>() + hex.size() / 2 ==
              token["end"].get<std::size_t>());
    }
    CHECK(bytes.starts_with(hostile));
    const auto half = std::ranges::find_if(
        found["tokens"], [](const auto& token) { return token["text"].is_null(); });
    REQUIRE(half != found["tokens"].end());
    const auto name = found["vocabulary"][std::to_string((*half)["id"].template get<int>())];
    CHECK_THAT(name.get<std::string>(), test::mentions("<0x"));
}

TEST_CASE("walks refuse what cannot be", "[walk]") {
    const auto& model = test::tales();
    CHECK_ERROR(errc::invalid_argument, gpt2::explain(model, "a", {.window = 0}));
    CHECK_ERROR(errc::token_out_of_range, gpt2::explain(model, std::vector<gpt2::token_id>{4096}));
    gpt2::walk_options how;
    how.sampling.temperature = -1;
    CHECK_ERROR(errc::invalid_argument, gpt2::explain(model, "a", how));
    how = {};
    std::stop_source stop;
    stop.request_stop();
    how.until = gpt2::interruption(stop.get_token());
    CHECK_ERROR(errc::cancelled, gpt2::explain(model, "a", how));
    // An empty prompt begins with the begin-of-text token.
    const auto empty = gpt2::explain(model, "", {.new_tokens = 2});
    CHECK(empty.prompt_tokens == 1);
    CHECK(empty.tokens[0].id == *model.config().begin_of_text);
}
