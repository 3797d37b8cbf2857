// The logit lens: as transformers' layers give it, and at its last depth the model's own answer.
#include "../support/catch.hpp"
#include "watched.hpp"

#include <gpt2/logit_lens.hpp>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

using gpt2::errc;
using gpt2::stage;

/// The logits (T, V) of every depth, from a recording of embedding and block.
template <class Scalar>
std::vector<std::vector<Scalar>> lens_of(const gpt2::basic_model<Scalar>& model,
                                         const gpt2::basic_recording<Scalar>& seen) {
    const auto& c = model.config();
    gpt2::thread_pool pool(2);
    gpt2::state<Scalar> scratch(c, pool);
    std::vector<std::vector<Scalar>> depths;
    for (std::size_t depth = 0; depth <= c.layers; ++depth) {
        const auto x = depth == 0 ? seen.at(stage::embedding) : seen.at(stage::block, depth - 1);
        auto& logits = depths.emplace_back(x.rows() * c.vocabulary_size);
        model.unembed(x, scratch, {logits.data(), x.rows(), c.vocabulary_size});
    }
    return depths;
}

gpt2::language_model bundled() {
    static const auto model = gpt2::load(GPT2_BUNDLED_MODEL, {.threads = 2});
    return model;
}

}  // namespace

TEMPLATE_TEST_CASE("every depth answers as in transformers", "[observers][reference]", float,
                   double) {
    for (const std::string name : {"base", "head_untied"}) {
        INFO(name);
        const test::referenced_model<TestType> of(name);
        gpt2::basic_recording<TestType> seen({.stages = {stage::embedding, stage::block}});
        test::watched(of.model, of.ids, 3, seen);
        const auto depths = lens_of(of.model, seen);
        REQUIRE(depths.size() == of.known["lens"].size());
        for (std::size_t depth = 0; depth < depths.size(); ++depth)
            CHECK(test::departure(of.known["lens"][depth], depths[depth]) <= test::bound<TestType>);
    }
}

TEMPLATE_TEST_CASE("the last depth is the model's own answer to the bit", "[observers]", float,
                   double) {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model<TestType>(c);
    const auto ids = test::random_ids(c, 100);  // beyond one chunk of scratch memory
    gpt2::basic_recording<TestType> seen({.stages = {stage::embedding, stage::block}});
    const auto logits = test::watched(model, ids, seen);
    const auto last = lens_of(model, seen).back();
    REQUIRE(last.size() == logits.size());
    CHECK(std::memcmp(last.data(), logits.data(), logits.size() * sizeof(TestType)) == 0);

    gpt2::thread_pool pool(1);
    gpt2::state<TestType> state(c, pool);
    std::vector<TestType> room(2 * c.vocabulary_size);
    const auto two = seen.at(stage::embedding).row_block(0, 2);
    CHECK_ERROR(errc::wrong_shape, model.unembed(two, state, {room.data(), 1, c.vocabulary_size}));
    CHECK_ERROR(errc::wrong_shape,
                model.unembed(two, state, {room.data(), 2, c.vocabulary_size - 1}));
    CHECK_ERROR(errc::wrong_shape,
                model.unembed(two.column_block(0, 3), state, {room.data(), 2, c.vocabulary_size}));
}

TEST_CASE("the lens of a text ends with what the model writes", "[observers]") {
    const auto model = bundled();
    const std::string text = "Once upon a time there was a";
    const auto seen = gpt2::logit_lens(model, text, {.alternatives = 3});
    const auto ids = model.tokenizer().encode(text);
    const auto& c = model.config();
    CHECK(seen.depths == c.layers + 1);
    REQUIRE(seen.positions == ids.size());
    const auto next = model.generate(text, {.max_new_tokens = 1});
    const auto& end = seen.at(c.layers, ids.size() - 1);
    REQUIRE(end.best.size() == 3);
    CHECK(end.best[0].token == next.tokens[0]);
    CHECK(end.best[0].log_prob == Approx(next.log_probs[0]));
    CHECK(end.rank == 0);  // nothing comes next
    CHECK(seen.at(c.layers, 0).rank >= 1);
    // " upon a" is so common that the last layer expects " time"; the embedding knows nothing yet.
    CHECK(seen.at(c.layers, 2).rank == 1);
    CHECK(seen.at(c.layers, 2).best[0].token == ids[3]);
    CHECK(seen.at(0, 2).rank > 1);

    CHECK_ERROR(errc::empty_prompt, gpt2::logit_lens(model, ""));
    CHECK_ERROR(errc::invalid_argument,
                gpt2::logit_lens(model, text, {.alternatives = c.vocabulary_size + 1}));
    CHECK_ERROR(errc::context_full,
                gpt2::logit_lens(model, std::vector<gpt2::token_id>(c.context_length + 1)));
    CHECK_ERROR(errc::token_out_of_range, gpt2::logit_lens(model, std::vector<gpt2::token_id>{-1}));
}

TEST_CASE("the lens has no answer where there is no number", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 4);
    auto seen = gpt2::lens_recording();
    const auto spoil = [](stage s, std::size_t layer, gpt2::view<float> values) {
        if (s == stage::block && layer == 1) values(2, 3) = std::nanf("");
    };
    test::watched(model, ids, gpt2::together(spoil, seen));
    gpt2::thread_pool pool(1);
    gpt2::state<float> scratch(c, pool);
    const auto table = gpt2::read_lens(model, seen, scratch, std::span(ids).subspan(1));
    CHECK(table.at(1, 2).best.size() == 5);
    CHECK(table.at(2, 2).best.empty());
    CHECK(table.at(2, 2).rank == 0);
    CHECK(table.at(2, 1).rank >= 1);
    CHECK(table.at(3, 2).best.empty());
}
