// Sizes and numbers at their edges, for every kind of weights and every set of kernels: the same
// bits from all sets, right results or a typed error.
#include "../support/catch.hpp"
#include "../support/random_model.hpp"

#include <cmath>
#include <cstring>
#include <limits>

namespace {

using gpt2::storage;

constexpr storage every_storage[] = {storage::f32, storage::f16, storage::bf16, storage::int8,
                                     storage::int4};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Logits, which must be finite and have the same bits from every set of kernels.
std::vector<float> checked_logits(const gpt2::model& model,
                                  const std::vector<gpt2::token_id>& ids) {
    const auto logits = test::logits_of(model, ids, ids.size());
    for (const float x : logits) CHECK(std::isfinite(x));
    for (const auto& set : gpt2::detail::kernels::available()) {
        INFO("kernels " << set.name);
        CHECK(same_bits(logits, test::logits_of(model, ids, 3, 2, {&set})));
    }
    return logits;
}

/// The mean distance of logits from those of float32 weights, in units of their spread.
double distance(const std::vector<float>& found, const std::vector<float>& exact) {
    double mean = 0, off = 0, spread = 0;
    for (const float x : exact) mean += double(x) / double(exact.size());
    for (std::size_t i = 0; i < exact.size(); ++i) {
        off += std::pow(double(found[i]) - double(exact[i]), 2);
        spread += std::pow(double(exact[i]) - mean, 2);
    }
    return spread > 0 ? std::sqrt(off / spread) : std::sqrt(off);
}

struct sizes {
    std::size_t width, heads, inner, layers, vocabulary;
};

gpt2::config config_of(const sizes& s) {
    auto c = test::odd_config();
    c.width = s.width, c.heads = s.heads, c.inner_width = s.inner, c.layers = s.layers;
    c.vocabulary_size = s.vocabulary;
    c.end_of_text = {0};
    return c;
}

}  // namespace

TEST_CASE("sizes that are multiples of nothing, or one", "[model][edges]") {
    for (const sizes& s : {sizes{1, 1, 1, 1, 1}, sizes{2, 1, 3, 1, 2}, sizes{3, 3, 5, 2, 17},
                           sizes{17, 1, 33, 1, 15}, sizes{33, 1, 131, 1, 1},
                           sizes{35, 5, 67, 2, 50}, sizes{129, 3, 257, 1, 33}}) {
        const auto c = config_of(s);
        const test::random_weights weights(c);
        const auto ids = test::random_ids(c, 11);
        std::vector<float> exact;
        for (const storage kept : every_storage) {
            INFO("width " << s.width << ", heads " << s.heads << ", vocabulary " << s.vocabulary
                          << ", storage " << int(kept));
            const auto logits = checked_logits(weights.model(c, kept), ids);
            if (kept == storage::f32) exact = logits;
            if (s.width < 17 || s.vocabulary == 1) continue;      // too few to speak of a distance
            const double most[] = {0, 0, 0.01, 0.05, 0.05, 0.5};  // as storage counts
            CHECK(distance(logits, exact) <= most[int(kept)]);
        }
    }
}

TEST_CASE("any number of threads gives the same bits", "[model][edges]") {
    const auto c = test::odd_config();
    const test::random_weights weights(c);
    const auto ids = test::random_ids(c, 40);
    for (const storage kept : every_storage) {
        const auto model = weights.model(c, kept);
        const auto alone = test::logits_of(model, ids, 40, 1);
        for (const unsigned threads : {0u, 2u, 1000u}) {
            INFO("storage " << int(kept) << ", threads " << threads);
            CHECK(same_bits(alone, test::logits_of(model, ids, 7, threads)));
        }
    }
}

TEST_CASE("weights that are no numbers are refused, however they are kept", "[model][edges]") {
    const auto c = test::odd_config();
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const storage kept : every_storage)
        for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()})
            for (const char* name :
                 {"wte.weight", "h.2.attn.c_attn.weight", "h.0.mlp.c_proj.bias", "ln_f.weight"}) {
                test::random_weights weights(c);
                weights.find(name).values.back() = bad;
                INFO(name << ", storage " << int(kept) << ", " << bad);
                const auto problem = test::error_of([&] { weights.model(c, kept); });
                REQUIRE(problem);
                CHECK(problem->code() == gpt2::errc::not_finite);
                CHECK_THAT(problem->what(), test::mentions(name));
            }
}

TEST_CASE("weights that are subnormal, zero or huge", "[model][edges]") {
    const auto c = test::odd_config();
    const auto ids = test::random_ids(c, 9);
    for (const storage kept : every_storage) {
        INFO("storage " << int(kept));
        for (const float factor : {0.0f, 0x1p-140f, 0x1p-120f, 0x1p-100f}) {
            test::random_weights weights(c);
            for (auto& tensor : weights.tensors)
                for (float& x : tensor.values) x *= factor;
            checked_logits(weights.model(c, kept), ids);
        }
        // One matrix of huge numbers: LayerNorm brings them back.
        test::random_weights weights(c);
        for (float& x : weights.find("h.1.mlp.c_fc.weight").values) x *= 1e4f;
        for (float& x : weights.find("h.1.mlp.c_proj.weight").values) x *= 1e4f;
        checked_logits(weights.model(c, kept), ids);
        // Beyond what a half can hold.
        weights.find("h.0.mlp.c_fc.weight").values[3] = 1e6f;
        if (kept == storage::f16)
            CHECK_ERROR(gpt2::errc::unsupported, weights.model(c, kept));
        else
            checked_logits(weights.model(c, kept), ids);
    }
}
