// The same bits whatever the chunks, the threads, the cache and the company.
#include "../support/catch.hpp"
#include "../support/random_blocks.hpp"
#include "../support/random_model.hpp"

#include <cmath>
#include <cstring>
#include <memory>
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
    c.context_length = gpt2::workspace<TestType>::chunk + 22;
    c.tied_head = GENERATE(true, false);
    const auto model = test::random_weights(c).model<TestType>(c);
    const auto ids = test::random_ids(c, c.context_length);  // longer than one chunk of the model
    const auto whole = test::logits_of(model, ids, ids.size());
    for (const std::size_t chunk : {1u, 7u, 64u, 512u, 513u})
        for (const unsigned threads : {1u, 2u, 3u, 8u}) {
            INFO("chunk " << chunk << ", threads " << threads);
            CHECK(same_bits(whole, test::logits_of(model, ids, chunk, threads)));
        }
}

TEST_CASE("every storage: the same bits for any chunks, threads and kernels", "[model]") {
    auto c = test::odd_config();
    c.heads = 2, c.width = 2 * 33, c.inner_width = 131;
    const test::random_weights weights(c);
    const auto ids = test::random_ids(c, 90);
    using gpt2::storage;
    for (const storage kept :
         {storage::f32, storage::f16, storage::bf16, storage::int8, storage::int4}) {
        const auto model = weights.model(c, kept);
        const auto whole = test::logits_of(model, ids, ids.size());
        for (const std::size_t chunk : {1u, 2u, 7u, 16u, 64u, 90u})
            for (const unsigned threads : {1u, 2u, 3u, 8u}) {
                INFO("storage " << int(kept) << ", chunk " << chunk << ", threads " << threads);
                CHECK(same_bits(whole, test::logits_of(model, ids, chunk, threads)));
            }
        for (const auto& set : gpt2::detail::kernels::available()) {
            INFO("storage " << int(kept) << ", kernels " << set.name);
            CHECK(same_bits(whole, test::logits_of(model, ids, 7, 2, {&set})));
        }
    }
}

TEST_CASE("a model kept in blocks has the bits of one in f32", "[model]") {
    auto c = test::odd_config();
    c.heads = 2, c.width = 256, c.inner_width = 512, c.layers = 2;
    const auto ids = test::random_ids(c, 45);
    for (const auto& kind : test::kept_blocks) {
        c.tied_head = kind.type != gpt2::dtype::q4_0;
        const auto store = test::store_of_blocks(c, kind);
        gpt2::audit used;
        const auto build = [&](gpt2::storage kept) {
            return gpt2::basic_model<float>(c, gpt2::weight_scope(store, used, kept));
        };
        const auto floats = build(gpt2::storage::f32), model = build(gpt2::storage::as_stored);
        CHECK(model.weight_bytes() < floats.weight_bytes() / 2);
        const auto whole = test::logits_of(floats, ids, ids.size());
        for (const std::size_t chunk : {1u, 2u, 7u, 16u, 45u})
            for (const unsigned threads : {1u, 2u, 3u}) {
                INFO(name(kind.type) << ", chunk " << chunk << ", threads " << threads);
                CHECK(same_bits(whole, test::logits_of(model, ids, chunk, threads)));
            }
        for (const auto& set : gpt2::detail::kernels::available())
            for (const auto rule : {gpt2::arithmetic::reproducible, gpt2::arithmetic::fast}) {
                INFO(name(kind.type) << ", kernels " << set.name);
                CHECK(same_bits(whole, test::logits_of(model, ids, 23, 2, {&set, rule})));
            }
    }
}

TEST_CASE("fast arithmetic and small caches: the same bits for any chunks and threads", "[model]") {
    auto c = test::odd_config();
    c.heads = 2, c.width = 2 * 33, c.inner_width = 131;
    const test::random_weights weights(c);
    const auto ids = test::random_ids(c, 90);
    using gpt2::arithmetic, gpt2::storage, gpt2::detail::kernels::format;
    for (const storage kept : {storage::f32, storage::bf16, storage::int8}) {
        const auto model = weights.model(c, kept);
        const auto exact = test::logits_of(model, ids, 90);
        for (const auto& set : gpt2::detail::kernels::available())
            for (const auto rule : {arithmetic::reproducible, arithmetic::fast})
                for (const format cache : {format::f32, format::f16, format::bf16}) {
                    INFO(set.name << ", storage " << int(kept) << ", fast " << int(rule)
                                  << ", cache " << int(cache));
                    const gpt2::execution how{&set, rule, cache};
                    const auto whole = test::logits_of(model, ids, 90, 1, how);
                    CHECK(same_bits(whole, exact) ==
                          (cache == format::f32 && (rule == arithmetic::reproducible ||
                                                    kept != storage::bf16 || !set.bfloat_product)));
                    double off = 0, square = 0;
                    for (std::size_t i = 0; i < whole.size(); ++i)
                        off += std::pow(whole[i] - exact[i], 2), square += std::pow(exact[i], 2);
                    CHECK(std::sqrt(off / square) < 0.05);
                    for (const std::size_t chunk : {1u, 2u, 7u, 31u, 33u})
                        CHECK(same_bits(whole, test::logits_of(model, ids, chunk,
                                                               unsigned(1 + chunk % 3), how)));
                }
    }
}

TEST_CASE("a batch: each text has the bits that it has alone", "[model]") {
    const auto c = test::odd_config();
    const test::random_weights weights(c);
    using gpt2::storage;
    for (const storage kept : {storage::f32, storage::bf16, storage::int8, storage::int4})
        for (const std::size_t size : {1u, 3u, 8u}) {
            const auto model = weights.model(c, kept);
            gpt2::thread_pool pool(2);
            std::vector<std::unique_ptr<gpt2::state<float>>> states;
            std::vector<gpt2::state<float>*> texts;
            std::vector<std::vector<gpt2::token_id>> ids;
            for (std::size_t i = 0; i < size; ++i) {
                states.push_back(std::make_unique<gpt2::state<float>>(c, pool));
                texts.push_back(states.back().get());
                ids.push_back(test::random_ids(c, 5 * i + 12, static_cast<unsigned>(i)));
                model.forward(std::span(ids[i]).first(ids[i].size() - 10), *texts[i], {});
            }
            std::vector<float> logits(size * c.vocabulary_size);
            for (std::size_t step = 0; step < 10; ++step) {
                std::vector<gpt2::token_id> next;
                for (const auto& text : ids) next.push_back(text[text.size() - 10 + step]);
                model.forward_batch(next, texts, {logits.data(), size, c.vocabulary_size});
            }
            for (std::size_t i = 0; i < size; ++i) {
                INFO("storage " << int(kept) << ", " << size << " texts, text " << i);
                const auto alone = test::logits_of(model, ids[i], 4);
                CHECK(std::memcmp(&logits[i * c.vocabulary_size],
                                  &alone[alone.size() - c.vocabulary_size],
                                  c.vocabulary_size * sizeof(float)) == 0);
                CHECK(texts[i]->kv.size() == ids[i].size());
            }
        }
}

TEST_CASE("texts that go on by different numbers of tokens have the bits that they have alone",
          "[model]") {
    const auto c = test::odd_config();
    const test::random_weights weights(c);
    using gpt2::storage;
    for (const storage kept : {storage::f32, storage::bf16, storage::int8}) {
        const auto model = weights.model(c, kept);
        gpt2::thread_pool pool(2);
        std::vector<std::unique_ptr<gpt2::state<float>>> states;
        std::vector<std::vector<gpt2::token_id>> ids;
        std::vector<gpt2::continuation<float>> steps;
        // Within and beyond a block of queries; after a text of other lengths each.
        const std::vector<std::size_t> counts = {1, 40, 7, 1, 33};
        for (std::size_t i = 0; i < counts.size(); ++i) {
            states.push_back(std::make_unique<gpt2::state<float>>(c, pool));
            ids.push_back(test::random_ids(c, 11 * i + counts[i], static_cast<unsigned>(i)));
            const auto past = std::span(ids[i]).first(11 * i);
            if (i > 0) model.forward(past, *states[i], {});
        }
        for (std::size_t i = 0; i < counts.size(); ++i)
            steps.push_back({states[i].get(), std::span(ids[i]).last(counts[i])});
        const auto v = c.vocabulary_size;
        std::vector<float> logits(counts.size() * v);
        model.forward_ragged(steps, {logits.data(), counts.size(), v});
        for (std::size_t i = 0; i < counts.size(); ++i) {
            INFO("storage " << int(kept) << ", text " << i);
            const auto alone = test::logits_of(model, ids[i], 4);
            CHECK(std::memcmp(&logits[i * v], &alone[alone.size() - v], v * sizeof(float)) == 0);
            CHECK(states[i]->kv.size() == ids[i].size());
        }
        const gpt2::view<float> rows(logits.data(), counts.size(), v);
        const std::vector<gpt2::token_id> too_many(states[0]->work.rows() + 1);
        steps[0].ids = too_many;
        CHECK_ERROR(gpt2::errc::invalid_argument, model.forward_ragged(steps, rows));
        steps[0].ids = {};
        CHECK_ERROR(gpt2::errc::invalid_argument, model.forward_ragged(steps, rows));
    }
}

TEST_CASE("a batch refuses what does not fit together", "[model]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    gpt2::thread_pool pool(1);
    gpt2::state<float> a(c, pool), b(c, pool);
    std::vector<gpt2::state<float>*> both{&a, &b}, twice{&a, &a};
    std::vector<float> logits(2 * c.vocabulary_size);
    const gpt2::view<float> rows(logits.data(), 2, c.vocabulary_size);
    const std::vector<gpt2::token_id> ids{1, 2}, one{1}, wild{1, 53};
    CHECK_ERROR(gpt2::errc::invalid_argument, model.forward_batch(ids, twice, rows));
    CHECK_ERROR(gpt2::errc::invalid_argument, model.forward_batch(one, both, rows));
    CHECK_ERROR(gpt2::errc::invalid_argument, model.forward_batch({}, {}, rows));
    CHECK_ERROR(gpt2::errc::token_out_of_range, model.forward_batch(wild, both, rows));
    CHECK(a.kv.size() == 0);
    model.forward_batch(ids, both, rows);
    CHECK(b.kv.size() == 1);
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
    auto c = test::odd_config();
    c.context_length = gpt2::workspace<float>::chunk + 22;
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, gpt2::workspace<float>::chunk + 12);
    const auto whole = test::logits_of(model, ids, ids.size());
    gpt2::thread_pool pool(2);
    for (const std::size_t rows : {0u, 1u, 11u, 12u, 13u, 523u, 524u}) {  // 12 lie in chunk two
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
    state.kv.reserve(size);
    for (std::size_t layer = 0; layer < c.layers; ++layer)
        for (std::size_t head = 0; head < c.heads; ++head) {
            const auto part = rows.column_block(head * c.head_size(), c.head_size());
            state.kv.write(layer, head, part, part);
        }
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
