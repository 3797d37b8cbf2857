// The same bits whatever the chunks, the threads, the cache and the company.
#include "../support/catch.hpp"
#include "../support/random_model.hpp"

#include <cstring>
#include <thread>

namespace {

template <class Scalar>
bool same_bits(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Scalar)) == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("logits are the same bits for any chunks and threads", "[model]", float,
                   double) {
    auto c = test::odd_config();
    c.tied_head = GENERATE(true, false);
    const auto model = test::random_weights(c).model<TestType>(c);
    const auto ids = test::random_ids(c, c.context_length);  // longer than one chunk of the model
    const auto whole = test::logits_of(model, ids, ids.size());
    for (const std::size_t chunk : {1u, 2u, 7u, 64u, 128u, 129u})
        for (const unsigned threads : {1u, 2u, 3u, 8u}) {
            INFO("chunk " << chunk << ", threads " << threads);
            CHECK(same_bits(whole, test::logits_of(model, ids, chunk, threads)));
        }
}

TEST_CASE("a prefix has the logits that it has in a longer text", "[model]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 64);
    const auto whole = test::logits_of(model, ids, ids.size());
    for (std::size_t n = 1; n <= ids.size(); ++n) {  // cache against none, at every length
        const std::vector<gpt2::token_id> prefix(ids.begin(),
                                                 ids.begin() + static_cast<std::ptrdiff_t>(n));
        const std::vector<float> expected(
            whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n * c.vocabulary_size));
        CHECK(same_bits(expected, test::logits_of(model, prefix, n)));
    }
}

TEST_CASE("logits of the last R positions are those of all positions", "[model]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 140);
    const auto whole = test::logits_of(model, ids, ids.size());
    gpt2::thread_pool pool(2);
    for (const std::size_t rows : {0u, 1u, 11u, 12u, 13u, 139u, 140u}) {  // 12 lie in chunk two
        gpt2::state<float> state(c, pool);
        std::vector<float> logits(rows * c.vocabulary_size);
        model.forward(ids, state, gpt2::view<float>(logits.data(), rows, c.vocabulary_size));
        const std::vector<float> expected(whole.end() - static_cast<std::ptrdiff_t>(logits.size()),
                                          whole.end());
        CHECK(same_bits(expected, logits));
    }
}

TEST_CASE("one const model serves many threads", "[model][threads]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 40);
    const auto expected = test::logits_of(model, ids, ids.size());
    gpt2::thread_pool shared(3);
    std::vector<char> equal(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < equal.size(); ++i)
        threads.emplace_back([&, i] {
            gpt2::state<float> state(c, shared);
            std::vector<float> logits(ids.size() * c.vocabulary_size);
            for (std::size_t t = 0; t < ids.size(); ++t)
                model.forward(
                    std::span(ids).subspan(t, 1), state,
                    gpt2::view<float>(logits.data() + t * c.vocabulary_size, 1, c.vocabulary_size));
            equal[i] = same_bits(expected, logits);
        });
    for (auto& thread : threads) thread.join();
    for (const char good : equal) CHECK(good);
}

TEST_CASE("NaN beyond the end of a cache touches nothing", "[model]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 20);
    const auto expected = test::logits_of(model, ids, ids.size());
    gpt2::thread_pool pool(1);
    gpt2::state<float> state(c, pool);
    // Fill the whole cache with NaN, then forget it all.
    const auto size = c.context_length;
    const std::vector<float> bad(size * c.width, std::numeric_limits<float>::quiet_NaN());
    const gpt2::view<const float> rows(bad.data(), size, c.width);
    for (std::size_t layer = 0; layer < c.layers; ++layer) state.kv.write(layer, rows, rows);
    std::vector<float> logits(ids.size() * c.vocabulary_size);
    model.forward(ids, state, gpt2::view<float>(logits.data(), ids.size(), c.vocabulary_size));
    CHECK(same_bits(expected, logits));
}

TEST_CASE("watching changes nothing", "[model][trace]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 20);
    const auto expected = test::logits_of(model, ids, ids.size());
    gpt2::thread_pool pool(2);
    gpt2::state<float> state(c, pool);
    std::vector<float> logits(ids.size() * c.vocabulary_size);
    std::size_t calls = 0;
    model.forward(ids, state, gpt2::view<float>(logits.data(), ids.size(), c.vocabulary_size),
                  [&](gpt2::stage, std::size_t, gpt2::view<float>) { ++calls; });
    CHECK(same_bits(expected, logits));
    CHECK(calls == 3 + c.layers * 14 + 2);
}
