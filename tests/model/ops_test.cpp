// The mathematics at its edges: huge, tiny and equal numbers, every activation against its formula.
#include "../support/catch.hpp"

#include <gpt2/ops.hpp>

#include <cfenv>
#include <numeric>

namespace {

gpt2::thread_pool one_thread(1);
const gpt2::ops::machine here{&gpt2::detail::kernels::best(), &one_thread};

std::vector<float> softmax(std::vector<float> scores) {
    gpt2::ops::softmax(std::span(scores), 1.0f, here);
    return scores;
}

std::vector<float> layer_norm(std::vector<float> row) {
    std::vector<float> out(row.size());
    const std::vector<float> gain(row.size(), 1), bias(row.size(), 0);
    gpt2::ops::layer_norm<float>({row.data(), 1, row.size()}, gain, bias, 1e-5,
                                 {out.data(), 1, out.size()}, here);
    return out;
}

}  // namespace

TEST_CASE("softmax of extremes is finite and sums to one", "[ops]") {  // 212, 216
    for (const auto& scores : std::vector<std::vector<float>>{{1e4f, -1e4f},
                                                              std::vector<float>(1000, 88.8f),
                                                              {-1e38f, -1e38f},
                                                              {-INFINITY, 0},
                                                              {1e5f, -1e5f, 99999},
                                                              {3}}) {
        const auto weights = softmax(scores);
        for (const float w : weights) CHECK((w >= 0 && w <= 1));
        CHECK(std::accumulate(weights.begin(), weights.end(), 0.0) == Approx(1).margin(1e-6));
    }
}

TEST_CASE("layer_norm of constant, shifted and huge rows", "[ops]") {  // 204
    for (const float x : layer_norm(std::vector<float>(7, 4.0f))) CHECK(x == 0);
    for (const float scale : {1e-3f, 1.0f, 1e19f}) {
        const auto out = layer_norm({-scale, scale, -scale, scale});
        CHECK(out[1] == Approx(1 / std::sqrt(1 + 1e-5 / (double(scale) * double(scale)))));
        CHECK(out[0] == -out[1]);
    }
    const auto out = layer_norm({10000.25f, 10000.75f});  // variance 1/16, mean 10000.5
    CHECK(out[1] == Approx(0.25 / std::sqrt(0.0625 + 1e-5)).epsilon(1e-6));
}

TEST_CASE("gelu_new at the edges", "[ops]") {  // 203
    using gpt2::ops::gelu_new;
    for (const float x : {0.0f, 1e-8f, -1e-8f, 1.0f, -1.0f, 5.0f, -5.0f, 50.0f, -50.0f, 1e4f, -1e4f,
                          1e13f, -1e13f}) {
        const double d = x;
        const double want =
            d / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (d + 0.044715 * d * d * d)));
        CHECK(std::abs(gelu_new(x) - want) <= 1e-6 * std::max(1.0, std::abs(d)));
    }
    CHECK(std::isnan(gelu_new(NAN)));
}

TEST_CASE("every activation in float follows its double, and none overflows", "[ops]") {
    for (const auto& [name, f] : gpt2::detail::activation_names) {
        INFO(name);
        for (float x = -30; x <= 30; x += 0.37f) {
            const double want = gpt2::ops::activate<double>(x, f);
            CHECK(gpt2::ops::activate(x, f) == Approx(want).epsilon(1e-5).margin(1e-6));
            float in_place = x;
            gpt2::ops::activate(gpt2::view<float>(&in_place, 1, 1), f, here);
            CHECK(in_place == Approx(want).epsilon(1e-5).margin(1e-6));
        }
        for (float x : {-1e4f, -200.0f, 200.0f, 1e4f}) {
            CHECK(std::isfinite(gpt2::ops::activate(x, f)));
            gpt2::ops::activate(gpt2::view<float>(&x, 1, 1), f, here);
            CHECK(std::isfinite(x));
        }
    }
}

TEST_CASE("a pass leaves the floating-point environment as it was", "[ops]") {  // 220
    std::fenv_t before{}, after{};
    std::fegetenv(&before);
    const int rounding = std::fegetround();
    layer_norm({1, 2, 3});
    softmax({1, 2, 3});
    std::fegetenv(&after);
    CHECK(std::fegetround() == rounding);
    CHECK(gpt2::ops::activate(1e-40f, gpt2::activation::linear) == 1e-40f);  // no flush to zero
}

TEST_CASE("a pool covers each index once, and passes an exception on", "[parallel]") {  // 277-280
    for (const unsigned threads : {1u, 2u, 3u, 8u}) {
        gpt2::thread_pool pool(threads);
        for (const std::size_t count : {0u, 1u, 2u, 3u, 7u, 100u}) {
            std::vector<std::atomic<int>> hits(count);
            pool.run(count, 1, [&](std::size_t first, std::size_t last, std::size_t worker) {
                for (auto i = first; i < last; ++i) hits[i] += worker < pool.size() ? 1 : 100;
                pool.run(1, 1, [](auto, auto, auto) {});  // from inside: runs in place
            });
            for (const auto& hit : hits) CHECK(hit == 1);
        }
        for (int i = 0; i < 50; ++i)
            CHECK_THROWS_AS(pool.run(8, 1, [](auto, auto, auto) { throw 1; }), int);
        pool.run(1, 1, [](auto, auto, auto) {});
    }
    gpt2::thread_pool many(1000);  // or as many as the system gives
    std::atomic<std::size_t> sum = 0;
    for (int i = 0; i < 3; ++i)
        many.run(5000, 1, [&](std::size_t first, std::size_t last, auto) { sum += last - first; });
    CHECK(sum == 15000);
    gpt2::thread_pool idle(4);  // destroyed without ever having started a thread
    CHECK(gpt2::thread_pool(100000).size() == 1024);
}
