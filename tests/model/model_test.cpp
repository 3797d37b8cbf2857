// What a model refuses: tensors that are missing or of another shape, ids and lengths out of range.
#include "../support/catch.hpp"
#include "../support/random_model.hpp"
#include "../support/sanitized.hpp"

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#include <malloc.h>
#define GPT2_TEST_COUNTS_MEMORY
#endif

TEST_CASE("each missing tensor is named", "[model]") {  // 057
    const auto c = test::odd_config();
    const test::random_weights complete(c);
    for (std::size_t i = 0; i < complete.tensors.size(); ++i) {
        auto weights = complete;
        const auto name = weights.tensors[i].name;
        weights.tensors.erase(weights.tensors.begin() + static_cast<std::ptrdiff_t>(i));
        if (name.ends_with(".bias")) {
            CHECK_FALSE(test::error_of([&] { weights.model(c); }));  // biases may be absent
            continue;
        }
        const auto problem = test::error_of([&] { weights.model(c); });
        REQUIRE(problem);
        CHECK(problem->code() == gpt2::errc::missing_tensor);
        CHECK_THAT(problem->what(), test::mentions(name));
    }
}

TEST_CASE("each wrong shape is named with both shapes", "[model]") {  // 055, 056
    const auto c = test::odd_config();
    const test::random_weights complete(c);
    for (std::size_t i = 0; i < complete.tensors.size(); ++i) {
        auto weights = complete;
        auto& tensor = weights.tensors[i];
        tensor.values.resize(tensor.values.size() / tensor.shape[0] * (tensor.shape[0] - 1));
        --tensor.shape[0];
        const auto problem = test::error_of([&] { weights.model(c); });
        REQUIRE(problem);
        CHECK(problem->code() == gpt2::errc::wrong_shape);
        CHECK_THAT(problem->what(), test::mentions(tensor.name) && test::mentions("expected") &&
                                        test::mentions(std::to_string(tensor.shape[0])) &&
                                        test::mentions(std::to_string(tensor.shape[0] + 1)));
    }
}

TEST_CASE("more position vectors than the config uses are left alone", "[model]") {
    auto c = test::odd_config();
    const test::random_weights weights(c);
    const auto ids = test::random_ids(c, 30);
    const auto expected = test::logits_of(weights.model(c), ids, ids.size());
    c.context_length = 40;  // 273: a smaller context is honoured
    const auto shorter = weights.model(c);
    CHECK(test::logits_of(shorter, ids, ids.size()) == expected);
    gpt2::thread_pool pool(1);
    gpt2::state<float> state(c, pool);
    CHECK_ERROR(gpt2::errc::context_full, shorter.forward(test::random_ids(c, 41), state, {}));
}

TEST_CASE("a stored head that differs wins, an equal one is tied", "[model]") {  // 054
    auto c = test::odd_config();
    c.tied_head = false;
    test::random_weights weights(c);
    const auto ids = test::random_ids(c, 5);
    const auto untied = test::logits_of(weights.model(c), ids, 5);
    c.tied_head = true;
    CHECK_FALSE(weights.model(c).tied_head());
    CHECK(test::logits_of(weights.model(c), ids, 5) == untied);

    weights.find("lm_head.weight").values = weights.find("wte.weight").values;
    CHECK(weights.model(c).tied_head());
    weights.tensors.pop_back();
    CHECK(weights.model(c).tied_head());
    c.tied_head = false;  // 143
    CHECK_ERROR(gpt2::errc::missing_tensor, weights.model(c));
}

#ifdef GPT2_TEST_COUNTS_MEMORY
TEST_CASE("a tied head takes no memory of its own", "[model]") {  // 207
    if (test::sanitized) return;  // a sanitizer's own allocator keeps no such count
    const auto held = [](gpt2::config c, bool tied) {
        c.vocabulary_size = 10000;
        c.tied_head = tied;
        const test::random_weights weights(c);
        const auto in_use = [] {
            const auto figures = mallinfo2();
            return figures.uordblks + figures.hblkhd;
        };
        const auto before = in_use();
        const auto model = weights.model(c);
        CHECK(model.tied_head() == tied);
        return in_use() - before;
    };
    const auto c = test::odd_config();
    const std::size_t embedding = 10000 * c.width * sizeof(float);
    const auto tied = held(c, true), untied = held(c, false);
    CHECK(tied >= embedding);
    CHECK(tied < 2 * embedding);
    CHECK(untied + 4096 >= tied + embedding);  // but for what the heap rounds
}
#endif

TEST_CASE("a weight that is no number is refused by name", "[model]") {  // 218
    const auto c = test::odd_config();
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        test::random_weights weights(c);
        weights.find("h.1.mlp.c_fc.weight").values[3 * 37 + 5] = bad;
        const auto problem = test::error_of([&] { weights.model(c); });
        REQUIRE(problem);
        CHECK(problem->code() == gpt2::errc::not_finite);
        CHECK_THAT(problem->what(),
                   test::mentions("h.1.mlp.c_fc.weight") && test::mentions("row 3, column 5"));
    }
}

TEST_CASE("ids and lengths are checked before any work", "[model]") {  // 209, 260
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    gpt2::thread_pool pool(1);
    gpt2::state<float> state(c, pool);
    const auto feed = [&](std::vector<gpt2::token_id> ids) { model.forward(ids, state, {}); };
    CHECK_ERROR(gpt2::errc::token_out_of_range, feed({0, 53}));
    CHECK_ERROR(gpt2::errc::token_out_of_range, feed({-1}));
    CHECK_ERROR(gpt2::errc::token_out_of_range, feed({2147483647}));
    CHECK_ERROR(gpt2::errc::invalid_argument, feed({}));
    CHECK(state.kv.size() == 0);
    feed({0, 52});
    CHECK_ERROR(gpt2::errc::context_full, feed(test::random_ids(c, 149)));
    CHECK(state.kv.size() == 2);
    feed(test::random_ids(c, 148));  // exactly full
    CHECK(state.kv.size() == 150);
    CHECK_ERROR(gpt2::errc::context_full, feed({0}));
    CHECK(state.kv.size() == 150);
    state.kv.resize(149);
    feed({0});

    std::vector<float> logits(2 * c.vocabulary_size);
    state.kv.resize(0);
    const std::vector<gpt2::token_id> one{0};
    CHECK_ERROR(gpt2::errc::invalid_argument,
                model.forward(one, state, {logits.data(), 2, c.vocabulary_size}));
    CHECK_ERROR(gpt2::errc::invalid_argument, model.forward(one, state, {logits.data(), 1, 52}));
}

TEST_CASE("a pass that is stopped, or whose observer raises, leaves the state", "[model]") {  // 272
    auto c = test::odd_config();
    c.context_length = gpt2::workspace<float>::chunk + 22;
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, gpt2::workspace<float>::chunk + 12);
    const auto expected = test::logits_of(model, ids, ids.size());
    gpt2::thread_pool pool(2);
    gpt2::state<float> state(c, pool);
    model.forward(std::span(ids).first(1), state, {});
    std::stop_source source;
    state.stop.token = source.get_token();
    std::size_t blocks = 0;
    const auto stop_in_second_chunk = [&](gpt2::stage s, std::size_t, gpt2::view<float>) {
        if (s == gpt2::stage::block && ++blocks == c.layers + 2) source.request_stop();
    };
    const auto rest = std::span(ids).subspan(1);
    CHECK_ERROR(gpt2::errc::cancelled, model.forward(rest, state, {}, stop_in_second_chunk));
    CHECK(blocks == c.layers + 2);  // heeded before the next layer
    CHECK(state.kv.size() == 1);
    state.stop = {};
    const auto raise = [](gpt2::stage s, std::size_t layer, gpt2::view<float>) {
        if (s == gpt2::stage::mlp && layer == 2) throw std::runtime_error("injected");
    };
    CHECK_THROWS_AS(model.forward(rest, state, {}, raise), std::runtime_error);
    CHECK(state.kv.size() == 1);
    std::vector<float> logits(c.vocabulary_size);
    model.forward(rest, state, {logits.data(), 1, logits.size()});
    CHECK(std::equal(logits.begin(), logits.end(),
                     expected.end() - static_cast<std::ptrdiff_t>(logits.size())));
}
