// Vectors between the layers: held to transformers' hidden_states, pooled and of length one, in
// batches; and vectors in the place of tokens.
#include "scored.hpp"

#include <gpt2/embed.hpp>

#include <stop_token>

namespace {

using gpt2::pooling;
using gpt2::vector_length;
using test::model_named;
using ids = std::vector<gpt2::token_id>;

/// Departure relative to the largest expected magnitude.
double departure(const std::vector<float>& found, const std::vector<double>& expected) {
    double largest = 0;
    for (const double x : expected) largest = std::max(largest, std::abs(x));
    return test::largest_difference(found, expected) / largest;
}

std::vector<float> rows_of_wte(const gpt2::language_model& model, const ids& text) {
    const auto width = model.config().width;
    std::vector<float> vectors(text.size() * width);
    model.model().vectors(text, {vectors.data(), text.size(), width});
    return vectors;
}

using rows = std::map<std::pair<gpt2::stage, std::size_t>, std::vector<float>>;

/// Keeps what it is shown, which is not what happens within the layers.
struct watcher {
    using stream_only = void;
    rows* seen;
    void operator()(gpt2::stage s, std::size_t layer, gpt2::view<float> x) const {
        auto& to = (*seen)[{s, layer}];
        for (std::size_t t = 0; t < x.rows(); ++t)
            to.insert(to.end(), x.row(t).begin(), x.row(t).end());
    }
};

}  // namespace

TEST_CASE("hidden states are those of transformers, in every layer", "[embed]") {
    for (const auto& expected : test::references()["hidden"]) {
        const auto& model = model_named(expected["model"]);
        const auto text = expected["ids"].get<ids>();
        REQUIRE(expected["means"].size() == model.config().layers + 1);
        for (std::size_t layer = 0; layer <= model.config().layers; ++layer) {
            CAPTURE(layer);
            gpt2::embedding_options how{.layer = layer};
            const auto mean = gpt2::embed(model, text, how);
            CHECK((mean.rows == 1 && mean.width == model.config().width));
            CHECK(departure(mean.values, expected["means"][layer]) < 1e-5);
            how.length = vector_length::one;
            CHECK(departure(gpt2::embed(model, text, how).values, expected["unit_means"][layer]) <
                  1e-5);
            how.pooling = pooling::last;
            CHECK(departure(gpt2::embed(model, text, how).values, expected["unit_lasts"][layer]) <
                  1e-5);
            how = {.layer = layer, .pooling = pooling::none};
            const auto all = gpt2::embed(model, text, how);
            CHECK(all.rows == text.size());
            CHECK(all.values.size() == all.rows * all.width);
            if (!expected["layers"].empty())
                CHECK(departure(all.values, expected["layers"][layer]) < 1e-5);
            how.pooling = pooling::last;
            CHECK(
                std::ranges::equal(gpt2::embed(model, text, how).row(0), all.row(text.size() - 1)));
        }
        // The default is what has passed all layers and ln_f.
        CHECK(gpt2::embed(model, text).values ==
              gpt2::embed(model, text, {.layer = model.config().layers}).values);
    }
}

TEST_CASE("watching the stream alone changes no bit", "[embed]") {
    auto c = test::odd_config();
    c.context_length = gpt2::workspace<float>::chunk + 60;
    const auto model = test::random_weights(c).model(c);
    gpt2::thread_pool pool(2);
    const auto text = test::random_ids(c, gpt2::workspace<float>::chunk + 40);  // two chunks
    rows all, stream;
    gpt2::state<float> state(c, pool);
    model.forward(text, state, {nullptr, text.size(), 0}, [&](auto s, auto layer, auto x) {
        if (s == gpt2::stage::block || s == gpt2::stage::ln_f || s == gpt2::stage::embedding)
            watcher{&all}(s, layer, x);
    });
    state.kv.resize(0);
    model.forward(text, state, {nullptr, text.size(), 0}, watcher{&stream});
    CHECK(all.size() == 1 + c.layers + 1);
    for (const auto& [place, values] : all) CHECK(stream[place] == values);
    CHECK(all.at({gpt2::stage::ln_f, 0}).size() == text.size() * c.width);
    // Nothing within the layers, and no logits.
    CHECK_FALSE(stream.contains({gpt2::stage::q, 0}));
    CHECK_FALSE(stream.contains({gpt2::stage::mlp, 0}));
    CHECK_FALSE(stream.contains({gpt2::stage::logits, 0}));
}

TEST_CASE("a batch of embeddings is its texts one by one, to the bit", "[embed]") {
    const auto& model = model_named("tales");
    const std::vector<std::string> texts = {"The wolf came to the door", "a", "The wolf", "\xff"};
    for (const auto pooled : {pooling::mean, pooling::last, pooling::none}) {
        const gpt2::embedding_options how{.layer = 4, .pooling = pooled};
        const auto batch = gpt2::embed(model, texts, how);
        REQUIRE(batch.size() == texts.size());
        for (std::size_t i = 0; i < texts.size(); ++i)
            CHECK(batch[i].values == gpt2::embed(model, texts[i], how).values);
    }
    const auto one = gpt2::embed(model, "a wolf", {.length = vector_length::one});
    double square = 0;
    for (const float x : one.values) square += static_cast<double>(x) * static_cast<double>(x);
    CHECK(square == Approx(1).epsilon(1e-6));
}

TEST_CASE("vectors in the place of tokens", "[embed]") {
    for (const auto& expected : test::references()["inputs"]) {
        const auto& model = model_named(expected["model"]);
        const auto width = model.config().width, vocabulary = model.config().vocabulary_size;
        const auto vectors = expected["vectors"].get<std::vector<float>>();
        const auto rows = vectors.size() / width;
        std::vector<float> logits(rows * vocabulary);
        auto state = model.state();
        model.model().forward(gpt2::cview<float>(vectors.data(), rows, width), state,
                              {logits.data(), rows, vocabulary});
        CHECK(departure(logits, expected["logits"]) < 1e-5);
        CHECK(state.kv.size() == rows);
    }
}

TEST_CASE("rows of wte give the bits of their tokens", "[embed]") {
    for (const auto kept : {gpt2::storage::f32, gpt2::storage::bf16, gpt2::storage::int8}) {
        auto c = test::odd_config();
        c.context_length = 600;
        const gpt2::language_model model(std::make_shared<const gpt2::language_parts>(
            test::random_weights(c).model(c, kept), std::nullopt, gpt2::audit{},
            std::make_shared<gpt2::thread_pool>(2)));
        const auto text = test::random_ids(c, 590);
        const auto vectors = rows_of_wte(model, text);
        const gpt2::cview<float> all(vectors.data(), text.size(), c.width);
        const auto expected = test::logits_of(model.model(), text, 590);
        // In one go, and tokens and vectors by turns.
        std::vector<float> logits(text.size() * c.vocabulary_size), mixed(c.vocabulary_size);
        auto state = model.state();
        model.model().forward(all, state, {logits.data(), text.size(), c.vocabulary_size});
        CHECK(logits == expected);
        state.kv.resize(0);
        model.model().forward(all.row_block(0, 300), state, {});
        model.model().forward(std::span(text).subspan(300, 150), state, {});
        model.model().forward(all.row_block(450, 140), state, {mixed.data(), 1, c.vocabulary_size});
        CHECK(std::equal(mixed.rbegin(), mixed.rend(), expected.rbegin()));
        CHECK(gpt2::embed(model, all, {.layer = 2}).values ==
              gpt2::embed(model, text, {.layer = 2}).values);
    }
}

TEST_CASE("what cannot be embedded is refused", "[embed]") {
    using gpt2::errc;
    const auto model = test::random_language_model();
    const auto& c = model.config();
    CHECK_ERROR(errc::empty_prompt, gpt2::embed(model, ids{}));
    CHECK_ERROR(errc::empty_prompt, gpt2::embed(model_named("tales"), ""));
    CHECK_ERROR(errc::not_found, gpt2::embed(model, "text"));
    CHECK_ERROR(errc::token_out_of_range, gpt2::embed(model, ids{53}));
    CHECK_ERROR(errc::context_full, gpt2::embed(model, test::random_ids(c, 151)));
    CHECK(gpt2::embed(model, test::random_ids(c, 150)).rows == 1);
    const auto problem = test::error_of([&] { gpt2::embed(model, ids{1}, {.layer = 4}); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::invalid_argument);
    CHECK(std::string(problem->what()) == "layer: expected from 0 to 3, found 4");
    std::stop_source stop;
    stop.request_stop();
    CHECK_ERROR(errc::cancelled,
                gpt2::embed(model, ids{1}, {.until = {.token = stop.get_token()}}));

    std::vector<float> memory(3 * c.width);
    auto state = model.state();
    using matrix = gpt2::cview<float>;
    const auto& network = model.model();
    CHECK_ERROR(errc::wrong_shape,
                network.forward(matrix(memory.data(), 2, c.width - 1), state, {}));
    CHECK_ERROR(errc::invalid_argument,
                network.forward(matrix(memory.data(), 0, c.width), state, {}));
    CHECK_ERROR(errc::wrong_shape, network.vectors(ids{1}, {memory.data(), 2, c.width}));
    CHECK_ERROR(errc::token_out_of_range, network.vectors(ids{53}, {memory.data(), 1, c.width}));
    network.forward(test::random_ids(c, 148), state, {});
    CHECK_ERROR(errc::context_full, network.forward(matrix(memory.data(), 3, c.width), state, {}));
    CHECK(state.kv.size() == 148);
}
