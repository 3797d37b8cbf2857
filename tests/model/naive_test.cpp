// A GPT-2 written down once more, as plainly as can be, in double: no cache, no panels, no threads.
// It stands beside the Hugging Face references for shapes that would be large as files.
#include "../support/catch.hpp"
#include "../support/random_model.hpp"

#include <cfenv>
#include <cmath>

namespace {

using matrix = std::vector<std::vector<double>>;  // rows

/// The last position's logits, from the formulas of the paper.
class naive_model {
public:
    naive_model(const gpt2::config& c, const test::random_weights& weights)
        : c_(c), weights_(weights) {}

    std::vector<double> logits(const std::vector<gpt2::token_id>& ids) {
        matrix x(ids.size(), std::vector<double>(c_.width));
        for (std::size_t t = 0; t < ids.size(); ++t)
            for (std::size_t i = 0; i < c_.width; ++i)
                x[t][i] =
                    at("wte.weight", static_cast<std::size_t>(ids[t]), i) + at("wpe.weight", t, i);
        for (std::size_t layer = 0; layer < c_.layers; ++layer) {
            const auto h = "h." + std::to_string(layer) + ".";
            add(x, linear(attention(linear(normed(x, h + "ln_1"), h + "attn.c_attn"), layer),
                          h + "attn.c_proj"));
            auto inner = linear(normed(x, h + "ln_2"), h + "mlp.c_fc");
            for (auto& row : inner)
                for (double& v : row)
                    v = v / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
            add(x, linear(inner, h + "mlp.c_proj"));
        }
        const auto last = normed({x.back()}, "ln_f")[0];
        std::vector<double> out(c_.vocabulary_size);
        for (std::size_t v = 0; v < out.size(); ++v)
            for (std::size_t i = 0; i < c_.width; ++i) out[v] += last[i] * at("wte.weight", v, i);
        return out;
    }

private:
    double at(const std::string& name, std::size_t row, std::size_t column) {
        const auto& tensor = weights_.find(name);
        return static_cast<double>(tensor.values[row * tensor.shape.back() + column]);
    }
    const std::vector<float>& values(const std::string& name) { return weights_.find(name).values; }

    static void add(matrix& x, const matrix& y) {
        for (std::size_t t = 0; t < x.size(); ++t)
            for (std::size_t i = 0; i < x[t].size(); ++i) x[t][i] += y[t][i];
    }

    matrix normed(const matrix& x, const std::string& name) {
        const auto &gain = values(name + ".weight"), &bias = values(name + ".bias");
        auto out = x;
        for (auto& row : out) {
            double mean = 0, variance = 0;
            for (const double v : row) mean += v / static_cast<double>(row.size());
            for (const double v : row)
                variance += (v - mean) * (v - mean) / static_cast<double>(row.size());
            for (std::size_t i = 0; i < row.size(); ++i)
                row[i] = (row[i] - mean) / std::sqrt(variance + c_.layer_norm_epsilon) *
                             static_cast<double>(gain[i]) +
                         static_cast<double>(bias[i]);
        }
        return out;
    }

    matrix linear(const matrix& x, const std::string& name) {
        const auto &w = values(name + ".weight"), &bias = values(name + ".bias");
        matrix y(x.size(), std::vector<double>(bias.begin(), bias.end()));
        for (std::size_t t = 0; t < x.size(); ++t)
            for (std::size_t i = 0; i < x[t].size(); ++i)
                for (std::size_t o = 0; o < bias.size(); ++o)
                    y[t][o] += x[t][i] * static_cast<double>(w[i * bias.size() + o]);
        return y;
    }

    matrix attention(const matrix& qkv, std::size_t layer) const {
        const std::size_t width = c_.width, size = width / c_.heads;
        matrix y(qkv.size(), std::vector<double>(width));
        for (std::size_t t = 0; t < qkv.size(); ++t)
            for (std::size_t head = 0; head < width; head += size) {
                std::vector<double> weights(t + 1);
                double top = -INFINITY, sum = 0;
                for (std::size_t s = 0; s <= t; ++s) {
                    for (std::size_t d = head; d < head + size; ++d)
                        weights[s] += qkv[t][d] * qkv[s][width + d];
                    weights[s] /= std::sqrt(static_cast<double>(size));
                    if (c_.scale_attention_by_inverse_layer)
                        weights[s] /= static_cast<double>(layer + 1);
                    top = std::max(top, weights[s]);
                }
                for (double& w : weights) sum += w = std::exp(w - top);
                for (std::size_t s = 0; s <= t; ++s)
                    for (std::size_t d = head; d < head + size; ++d)
                        y[t][d] += weights[s] / sum * qkv[s][2 * width + d];
            }
        return y;
    }

    gpt2::config c_;
    test::random_weights weights_;
};

template <class Scalar>
double deviation(const std::vector<double>& expected, const std::vector<Scalar>& logits) {
    double worst = 0, largest = 0;
    const auto* last = logits.data() + logits.size() - expected.size();
    for (std::size_t i = 0; i < expected.size(); ++i) {
        worst = std::max(worst, std::abs(expected[i] - static_cast<double>(last[i])));
        largest = std::max(largest, std::abs(expected[i]));
    }
    return std::isfinite(last[0]) ? worst / largest : INFINITY;
}

gpt2::config shaped(std::size_t heads, std::size_t head_size, std::size_t context) {
    auto c = test::odd_config();
    c.heads = heads;
    c.width = heads * head_size;
    c.context_length = context;
    c.layers = 2;
    return c;
}

}  // namespace

TEST_CASE("the model equals its formulas", "[model][naive]") {  // 200, 205
    struct shape {
        std::size_t heads, head_size, context, tokens;
    };
    for (const auto& [heads, head_size, context, tokens] :
         {shape{2, 4, 17, 17}, shape{2, 80, 40, 1}, shape{2, 80, 40, 40}, shape{5, 1, 33, 33},
          shape{1, 3, 1024, 1024}}) {
        INFO(heads << " heads of " << head_size << ", " << tokens << " tokens");
        auto c = shaped(heads, head_size, context);
        c.scale_attention_by_inverse_layer = head_size == 4;
        c.layer_norm_epsilon = heads == 5 ? 0.1 : 1e-5;
        const test::random_weights weights(c);
        const auto ids = test::random_ids(c, tokens);
        const auto expected = naive_model(c, weights).logits(ids);
        CHECK(deviation(expected, test::logits_of(weights.model<double>(c), ids, tokens)) < 1e-11);
        CHECK(deviation(expected, test::logits_of(weights.model<float>(c), ids, tokens)) < 1e-5);
        CHECK(deviation(expected, test::logits_of(weights.model<float>(c), ids, 7)) < 1e-5);
    }
}

TEST_CASE("scores of ±1e5 give weights that sum to one", "[model][naive]") {  // 216
    const auto c = test::odd_config();
    test::random_weights weights(c);
    for (float& x : weights.find("h.1.attn.c_attn.weight").values) x *= 300;
    const auto model = weights.model(c);
    const auto ids = test::random_ids(c, 40);
    gpt2::thread_pool pool(1);
    gpt2::state<float> state(c, pool);
    float largest = 0;
    const auto watch = [&](gpt2::stage s, std::size_t, gpt2::view<float> values) {
        if (s != gpt2::stage::scores && s != gpt2::stage::weights) return;
        for (std::size_t r = 0; r < values.rows(); ++r) {
            double sum = 0;
            for (const float x : values.row(r)) {
                sum += static_cast<double>(x);
                if (s == gpt2::stage::scores) largest = std::max(largest, std::abs(x));
            }
            if (s == gpt2::stage::weights) CHECK(std::abs(sum - 1) < 1e-6);
        }
    };
    std::vector<float> logits(c.vocabulary_size);
    model.forward(ids, state, {logits.data(), 1, logits.size()}, watch);
    CHECK(largest > 1e5f);
    for (const float x : logits) CHECK(std::isfinite(x));
}

TEST_CASE("subnormal weights count, and the floating-point environment stays", "[model]") {  // 220
    const auto c = test::odd_config();
    test::random_weights weights(c);
    // Logits near 1e-39, which would be 0 where subnormals are flushed.
    for (float& x : weights.find("wte.weight").values) x = x * 1e-30f * 1e-9f;
    const auto model = weights.model(c);
    const auto ids = test::random_ids(c, 6);
    const auto expected = naive_model(c, weights).logits(ids);
    REQUIRE(std::fegetround() == FE_TONEAREST);
    std::feclearexcept(FE_ALL_EXCEPT);
    const auto found = test::logits_of(model, ids, 6, 2);
    CHECK(std::fegetround() == FE_TONEAREST);
    volatile float tiny = 1e-39f;
    CHECK(tiny * 0.5f > 0);  // nothing turned flushing on
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
        worst = std::max(
            worst,
            std::abs(expected[i] - static_cast<double>(found[found.size() - expected.size() + i])));
    CHECK(worst < 1e-42);  // subnormals lie 1.4e-45 apart
    CHECK(std::any_of(found.begin(), found.end(), [](float x) { return x != 0; }));
}

TEST_CASE("another rounding mode moves last bits and nothing else", "[model]") {  // 221
    const auto c = test::odd_config();
    const test::random_weights weights(c);
    const auto model = weights.model(c);
    const auto ids = test::random_ids(c, 20);
    const auto expected = test::logits_of(model, ids, 20);
    for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
        std::fesetround(mode);
        const auto found = test::logits_of(model, ids, 20);
        CHECK(std::fegetround() == mode);
        std::fesetround(FE_TONEAREST);
        double worst = 0;
        for (std::size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, static_cast<double>(std::abs(found[i] - expected[i])));
        CHECK(worst < 1e-3);
    }
}
