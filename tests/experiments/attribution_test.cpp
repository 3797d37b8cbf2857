// Shares in a logit: those that PyTorch finds in the weights, and their sum, however weights are
// kept and wherever the head is.
#include "references.hpp"

#include <gpt2/attribution.hpp>

namespace {

using gpt2::errc;
using gpt2::logit_origin;
using test::ids;
using test::model_named;

/// Shares of token k, part by part.
std::vector<double> shares(const gpt2::attribution& found, std::size_t k) {
    std::vector<double> list;
    for (const auto& one : found.parts) list.push_back(one.logits[k]);
    return list;
}

/// How far the sum of all shares is from the logit, as a part of the largest share.
double departure(const gpt2::attribution& found, std::size_t k) {
    double largest = 0;
    for (const double share : shares(found, k)) largest = std::max(largest, std::abs(share));
    return std::abs(found.total(k) - found.logits[k]) / largest;
}

}  // namespace

TEST_CASE("shares in a logit are those of the weights", "[experiments]") {
    for (const auto& expected : test::experiments("attribution")) {
        const auto& model = model_named(expected["model"]);
        const auto text = expected["ids"].get<ids>();
        gpt2::attribution_options how;
        CHECK(gpt2::attribute(model, text).tokens == ids{expected["tokens"][0]});
        how.tokens = expected["tokens"].get<ids>();
        for (const std::string prefix : {"", "centred_"}) {
            how.from = prefix.empty() ? logit_origin::zero : logit_origin::mean;
            const auto found = gpt2::attribute(model, text, how);
            const auto& parts = expected[prefix + "parts"];
            REQUIRE(found.parts.size() == parts.size());
            CHECK(test::largest_difference(found.logits, expected[prefix + "logits"]) < 1e-4);
            for (std::size_t k = 0; k < how.tokens.size(); ++k) {
                std::vector<double> wanted;
                for (const auto& row : parts) wanted.push_back(row[k]);
                CHECK(test::largest_difference(shares(found, k), wanted) < 1e-4);
                CHECK(departure(found, k) < 1e-4);
            }
        }
        // The same behind a token within a longer text.
        auto longer = text;
        longer.push_back(1);
        how.position = text.size() - 1;
        const auto again = gpt2::attribute(model, longer, how);
        how.position.reset();
        CHECK(shares(again, 0) == shares(gpt2::attribute(model, text, how), 0));
    }
}

TEST_CASE("shares add up for any model, whatever its weights are kept in", "[experiments]") {
    for (const bool tied : {true, false})
        for (const auto kept :
             {gpt2::storage::f32, gpt2::storage::bf16, gpt2::storage::f16, gpt2::storage::int8}) {
            auto c = test::odd_config();
            c.tied_head = tied;
            const gpt2::language_model model(std::make_shared<const gpt2::language_parts>(
                test::random_weights(c).model(c, kept), std::nullopt, gpt2::audit{},
                std::make_shared<gpt2::thread_pool>(2)));
            const auto text = test::random_ids(c, 40);
            const auto found = gpt2::attribute(model, text, {.tokens = {0, 52, 7}});
            CHECK(found.parts.size() == 3 + c.layers * (c.heads + 2));
            // int8 rounds what it multiplies, a part on its own unlike the sum.
            const double bound = kept == gpt2::storage::int8 ? 0.15 : 1e-4;
            for (std::size_t k = 0; k < 3; ++k) CHECK(departure(found, k) < bound);
        }
}

TEST_CASE("parts have names, in the order of the pass", "[experiments]") {
    const auto found = gpt2::attribute(model_named("base"), ids{3});
    std::vector<std::string> names;
    for (const auto& one : found.parts) names.push_back(name(one));
    CHECK(names == std::vector<std::string>{"token", "position", "h.0.head.0", "h.0.head.1",
                                            "h.0.attn.bias", "h.0.mlp", "h.1.head.0", "h.1.head.1",
                                            "h.1.attn.bias", "h.1.mlp", "ln_f.bias"});
}

TEST_CASE("what cannot be attributed is refused", "[experiments]") {
    const auto& model = model_named("base");
    CHECK_ERROR(errc::empty_prompt, gpt2::attribute(model, ids{}));
    CHECK_ERROR(errc::not_found, gpt2::attribute(model, "text"));
    CHECK_ERROR(errc::token_out_of_range, gpt2::attribute(model, ids{1}, {.tokens = {17}}));
    CHECK_ERROR(errc::token_out_of_range, gpt2::attribute(model, ids{17}));
    CHECK_ERROR(errc::context_full, gpt2::attribute(model, test::random_ids(model.config(), 33)));
    const auto problem = test::error_of([&] {
        gpt2::attribute(model, ids{1, 2}, {.position = 2});
    });
    REQUIRE(problem);
    CHECK(std::string(problem->what()) == "attribute: position: expected below 2, found 2");
    CHECK_ERROR(errc::not_finite, gpt2::attribute(test::overflowing_model(), ids{1, 2}));
    CHECK_ERROR(errc::not_finite,
                gpt2::attribute(test::overflowing_model(), ids{1, 2}, {.tokens = {3}}));
}
