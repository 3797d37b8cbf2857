// Vectors of words, and words in another order; held to PyTorch.
#include "references.hpp"

#include <gpt2/word_order.hpp>
#include <gpt2/word_vectors.hpp>

namespace {

using gpt2::errc;
using test::ids;
using test::largest_difference;
using test::model_named;
using words = std::vector<std::string>;

}  // namespace

TEST_CASE("neighbours and analogies are PyTorch's", "[experiments]") {
    const auto& model = model_named("tales");
    for (const auto& expected : test::experiments("words")) {
        const auto plus = expected["plus"].get<words>(), minus = expected["minus"].get<words>();
        const auto found = gpt2::analogy(model, {plus, minus}, 8);
        ids tokens;
        std::vector<double> cosines;
        for (const auto& one : found) {
            tokens.push_back(one.token);
            cosines.push_back(one.cosine);
        }
        CHECK(tokens == expected["tokens"].get<ids>());
        CHECK(largest_difference(cosines, expected["cosines"]) < 1e-6);
        if (plus.size() > 1) continue;
        const auto alone = gpt2::neighbours(model, plus[0], 3);
        REQUIRE(alone.size() == 3);
        CHECK(alone[2].token == tokens[2]);
    }
}

TEST_CASE("a direction's nearest tokens", "[experiments]") {
    const auto model = test::random_language_model();
    const auto width = model.config().width;
    std::vector<float> row(width);
    model.model().vectors(ids{7}, {row.data(), 1, width});
    const std::vector<double> own(row.begin(), row.end());
    const auto all = gpt2::nearest(model, own, 1000);
    REQUIRE(all.size() == 53);
    CHECK(all[0].token == 7);
    CHECK(all[0].cosine == Approx(1));
    CHECK(std::ranges::is_sorted(all, std::ranges::greater(), &gpt2::neighbour::cosine));
    CHECK(gpt2::nearest(model, own, 1, ids{7})[0].token == all[1].token);
    CHECK(gpt2::nearest(model, own, 0).empty());
    // Zeros have no direction: all are equally far, in the order of ids.
    const auto none = gpt2::nearest(model, std::vector<double>(width), 2);
    CHECK((none[0].token == 0 && none[0].cosine == 0 && none[1].token == 1));
    CHECK_ERROR(errc::wrong_shape, gpt2::nearest(model, std::vector<double>(width + 1), 1));
}

TEST_CASE("a word is one token, with its space or without", "[experiments]") {
    const auto& model = model_named("tales");
    const auto id = [&](std::string_view text) { return model.tokenizer().encode(text).at(0); };
    CHECK(gpt2::token_of(model, "king") == id(" king"));
    CHECK(gpt2::token_of(model, " king") == id(" king"));
    CHECK(gpt2::token_of(model, "\n") == id("\n"));
    const auto problem = test::error_of([&] { gpt2::neighbours(model, "xyzzy"); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::invalid_argument);
    CHECK_THAT(problem->what(),
               test::mentions("word \"xyzzy\": expected one token of the vocabulary, found"));
    CHECK_ERROR(errc::invalid_argument, gpt2::analogy(model, {{"king", ""}, {}}));
    CHECK_ERROR(errc::invalid_argument, gpt2::analogy(model, {{}, {}}));
    CHECK_ERROR(errc::not_found, gpt2::neighbours(model_named("base"), "king"));
}

TEST_CASE("texts in another order come apart as PyTorch says", "[experiments]") {
    const auto& model = model_named("tales");
    for (const auto& expected : test::experiments("order")) {
        const std::string first = expected["first"], second = expected["second"];
        const auto found = gpt2::compare_order(model, first, second, {.alternatives = 3});
        CHECK(nlohmann::json(found.pairs) == expected["pairs"]);
        std::vector<double> same, whole;
        for (const auto& at : found.depths) {
            same.push_back(at.same_token);
            whole.push_back(at.whole);
        }
        CHECK(largest_difference(same, expected["same_token"]) < 1e-5);
        CHECK(largest_difference(whole, expected["whole"]) < 1e-5);
        CHECK(found.divergence == Approx(expected["divergence"].get<double>()).epsilon(1e-4));
        for (std::size_t i = 0; i < 2; ++i) {
            const auto& text = found.texts[i];
            CHECK(text.log_prob == Approx(expected["log_probs"][i].get<double>()).epsilon(1e-5));
            REQUIRE(text.next.size() == 3);
            for (std::size_t k = 0; k < 3; ++k) CHECK(text.next[k].token == expected["next"][i][k]);
        }
    }
    // A text beside itself.
    const auto same = gpt2::compare_order(model, "the cat and the dog", "the cat and the dog");
    CHECK(same.divergence == 0);
    for (const auto& at : same.depths) {
        CHECK(at.same_token == Approx(1));
        CHECK(at.whole == Approx(1));
    }
    // A token that comes twice is paired twice.
    const std::vector<std::pair<std::size_t, std::size_t>> pairs = {{0, 1}, {1, 2}, {2, 0}};
    CHECK(gpt2::compare_order(model_named("base"), ids{4, 4, 5}, ids{5, 4, 4}).pairs == pairs);
}

TEST_CASE("texts that cannot be compared are refused", "[experiments]") {
    const auto& model = model_named("base");
    CHECK_ERROR(errc::invalid_argument, gpt2::compare_order(model, ids{1, 2}, ids{3, 4}));
    CHECK_ERROR(errc::invalid_argument, gpt2::compare_order(model, ids{1}, ids{1, 2}));
    CHECK_ERROR(errc::empty_prompt, gpt2::compare_order(model, ids{1, 2}, ids{}));
    CHECK_ERROR(errc::invalid_argument,
                gpt2::compare_order(model, ids{1, 2}, ids{2, 1}, {.alternatives = 18}));
}
