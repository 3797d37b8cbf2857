// The stages of the walk, one test each, in their order: what a walk says of the stage against what
// is known without it, and that the account tells it in both languages.
#include "walked.hpp"

#include <explain/account.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace {

using gpt2::stage;

const std::string prompt = "Once upon a time there was a king";

gpt2::walk_options drawing() {
    gpt2::walk_options how;
    how.sampling = gpt2::temperature(0.8f) | gpt2::top_k(40) | gpt2::top_p(0.9);
    how.seed = 3;
    how.post = {gpt2::write_measures({.to = gpt2::language::spanish})};
    return how;
}

/// The walk that these tests look at, and every number of the same pass.
struct walked {
    const gpt2::language_model& model = test::tales();
    gpt2::walk walk = gpt2::explain(model, prompt, drawing());
    std::vector<float> logits = {};
    gpt2::recording seen = [this] {
        gpt2::recording all;
        auto state = model.state();
        std::vector<gpt2::token_id> ids;
        for (const auto& token : walk.tokens) ids.push_back(token.id);
        logits.resize(ids.size() * model.config().vocabulary_size);
        model.model().forward(ids, state,
                              {logits.data(), ids.size(), model.config().vocabulary_size}, all);
        return all;
    }();
    std::string english = explain::account(walk, explain::language::english),
                spanish = explain::account(walk, explain::language::spanish);

    std::size_t w() const { return walk.shown(); }
    std::span<const float> logits_of(std::size_t t) const {
        const auto v = model.config().vocabulary_size;
        return std::span(logits).subspan(t * v, v);
    }
};

const walked& all() {
    static const walked one;
    return one;
}

/// The account has this stage, in both languages.
void check_told(int number, const std::string& english, const std::string& spanish) {
    const auto mark = "\n" + std::to_string(number) + " · ";
    CHECK_THAT(all().english, test::mentions(mark + english + "\n"));
    CHECK_THAT(all().spanish, test::mentions(mark + spanish + "\n"));
}

bool same(gpt2::cview<float> expected, const gpt2::walk_array& found) {
    std::vector<float> numbers;
    for (std::size_t t = 0; t < expected.rows(); ++t)
        numbers.insert(numbers.end(), expected.row(t).begin(), expected.row(t).end());
    return numbers == found.values;
}

double sum(std::span<const float> values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

TEST_CASE("stage 1: normalisation, which byte-level BPE has none of", "[walk][stages]") {
    CHECK(all().walk.text == prompt);
    CHECK(all().walk.normalised == prompt);
    check_told(1, "Normalisation", "Normalización");
    CHECK_THAT(all().english, test::mentions("\"" + prompt + "\""));
}

TEST_CASE("stage 2: the cuts are the text, and merges make each token", "[walk][stages]") {
    std::string text;
    for (const auto& token : all().walk.tokens) {
        CHECK(token.place.begin == text.size());
        text += token.bytes;
        CHECK(token.place.end == text.size());
        REQUIRE(token.merges.size() + 1 == token.bytes.size());  // each merge joins two
        const auto& [left, right] =
            token.merges.empty() ? gpt2::detail::merge_step{token.bytes, ""} : token.merges.back();
        CHECK(left + right == token.bytes);
    }
    CHECK(text == prompt + all().walk.continuation);
    check_told(2, "Tokens", "Tokens");
    CHECK_THAT(all().english, test::mentions("Once| upon| a| time"));
}

TEST_CASE("stages 2 and 3: Juan es muy, with GPT-2's own vocabulary", "[walk][stages]") {
    const auto folder = test::shared_data("data/tokenizer/gpt2");
    if (folder.empty()) return;
    const auto words = gpt2::load_tokenizer(folder);
    const gpt2::detail::merge_steps merges(words);
    const auto ids = words.encode("Juan es muy");
    CHECK(ids == std::vector<gpt2::token_id>{41, 7258, 1658, 285, 4669});
    CHECK(merges.of(41).empty());
    using steps = std::vector<gpt2::detail::merge_step>;
    CHECK(merges.of(7258) == steps{{"a", "n"}, {"u", "an"}});
    CHECK(merges.of(1658) == steps{{"e", "s"}, {" ", "es"}});
    CHECK(merges.of(50256).empty());  // <|endoftext|> is never merged
    CHECK(words.encode(" feliz") == std::vector<gpt2::token_id>{10756, 528});
}

TEST_CASE("stage 3: ids are those of the tokenizer", "[walk][stages]") {
    const auto ids = all().model.tokenizer().encode(prompt);
    REQUIRE(all().walk.prompt_tokens == ids.size());
    for (std::size_t t = 0; t < all().w(); ++t) {
        CHECK(all().walk.tokens[t].written == (t >= ids.size()));
        if (t < ids.size()) CHECK(all().walk.tokens[t].id == ids[t]);
        CHECK(all().walk.vocabulary.at(all().walk.tokens[t].id) == all().walk.tokens[t].bytes);
    }
    check_told(3, "Ids", "Ids");
}

TEST_CASE("stage 4: token embeddings are rows of wte", "[walk][stages]") {
    std::vector<float> rows(all().w() * all().model.config().width);
    std::vector<gpt2::token_id> ids;
    for (const auto& token : all().walk.tokens) ids.push_back(token.id);
    all().model.model().vectors(ids, {rows.data(), ids.size(), all().model.config().width});
    CHECK(rows == all().walk.token_embedding.values);
    check_told(4, "Token embedding", "Vector del token");
}

TEST_CASE("stage 5: positions, learned and by the formula", "[walk][stages]") {
    // The same position has the same vector in any text.
    const auto other = gpt2::explain(all().model, "A wolf and a fox", {.new_tokens = 0});
    CHECK(std::equal(other.position_embedding.values.begin(), other.position_embedding.values.end(),
                     all().walk.position_embedding.values.begin()));
    // sin and cos in turns, of position / 10000^(2i / C)
    const auto width = all().model.config().width;
    for (const std::size_t t : {0, 3, 9})
        for (const std::size_t i : {0, 1, 2, 63, 128, 255}) {
            const double angle =
                static_cast<double>(t) *
                std::pow(10000.0, -static_cast<double>(i - i % 2) / static_cast<double>(width));
            CHECK(static_cast<double>(all().walk.sinusoidal.values[t * width + i]) ==
                  Approx(i % 2 == 0 ? std::sin(angle) : std::cos(angle)).margin(1e-6));
        }
    check_told(5, "Position embedding", "Vector de la posición");
}

TEST_CASE("stage 6: their sum goes into the first layer", "[walk][stages]") {
    const auto& of = all().walk;
    for (std::size_t i = 0; i < of.sum.values.size(); ++i)
        CHECK(of.sum.values[i] == of.token_embedding.values[i] + of.position_embedding.values[i]);
    CHECK(same(all().seen.at(stage::embedding), of.sum));
    check_told(6, "Sum", "Suma");
}

TEST_CASE("stage 7: LayerNorm brings what it is given to mean 0, variance 1", "[walk][stages]") {
    for (std::size_t layer = 0; layer < all().walk.layers.size(); ++layer)
        for (const auto norm : {stage::ln_1, stage::ln_2}) {
            const auto& given =
                norm == stage::ln_1 ? all().walk.layers[layer].ln_1 : all().walk.layers[layer].ln_2;
            const auto into = norm == stage::ln_2 ? all().seen.at(stage::attention_residual, layer)
                              : layer == 0        ? all().seen.at(stage::embedding)
                                                  : all().seen.at(stage::block, layer - 1);
            REQUIRE(given.size() == all().w());
            for (std::size_t t = 0; t < given.size(); ++t) {
                const auto row = into.row(t);
                const double mean = sum(row) / static_cast<double>(row.size());
                double square = 0;
                for (const float x : row) square += static_cast<double>(x) * x;
                CHECK(given[t].mean == Approx(mean).margin(1e-6));
                CHECK(given[t].variance ==
                      Approx(square / static_cast<double>(row.size()) - mean * mean).margin(1e-6));
            }
        }
    check_told(7, "LayerNorm", "LayerNorm");
}

TEST_CASE("stage 8: queries, keys and values, head by head", "[walk][stages]") {
    const auto& c = all().model.config();
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
        const auto& of = all().walk.layers[layer];
        CHECK(of.q.shape == std::vector<std::size_t>{all().w(), c.heads, c.head_size()});
        CHECK(same(all().seen.at(stage::q, layer), of.q));
        CHECK(same(all().seen.at(stage::k, layer), of.k));
        CHECK(same(all().seen.at(stage::v, layer), of.v));
    }
    check_told(8, "Queries, keys, values", "Consultas, claves, valores");
}

TEST_CASE("stage 9: scores are q·k/√D, weights their softmax over what is seen", "[walk][stages]") {
    const auto& c = all().model.config();
    const auto& of = all().walk.layers[2];
    const auto size = c.head_size();
    for (std::size_t h = 0; h < c.heads; ++h)
        for (std::size_t t = 0; t < all().w(); ++t) {
            const auto scores = explain::triangle_row(of.scores, h, t),
                       weights = explain::triangle_row(of.weights, h, t);
            double total = 0;
            for (std::size_t k = 0; k <= t; ++k) {
                double product = 0;
                for (std::size_t d = 0; d < size; ++d)
                    product += static_cast<double>(of.q.values[(t * c.heads + h) * size + d]) *
                               of.k.values[(k * c.heads + h) * size + d];
                CHECK(scores[k] ==
                      Approx(product / std::sqrt(static_cast<double>(size))).margin(1e-4));
                total += std::exp(static_cast<double>(scores[k]));
            }
            for (std::size_t k = 0; k <= t; ++k)
                CHECK(weights[k] ==
                      Approx(std::exp(static_cast<double>(scores[k])) / total).margin(1e-6));
            CHECK(sum(weights) == Approx(1).margin(1e-5));
        }
    check_told(9, "Attention", "Atención");
    CHECK_THAT(all().spanish, test::mentions("\" king\""));
}

TEST_CASE("stage 10: heads mix values by weight, and are joined", "[walk][stages]") {
    const auto& c = all().model.config();
    const auto& of = all().walk.layers[1];
    const auto size = c.head_size(), t = all().w() - 1;
    for (std::size_t h = 0; h < c.heads; ++h) {
        const auto weights = explain::triangle_row(of.weights, h, t);
        double square = 0, bits = 0;
        for (std::size_t d = 0; d < size; ++d) {
            double mixed = 0;
            for (std::size_t k = 0; k <= t; ++k)
                mixed +=
                    static_cast<double>(weights[k]) * of.v.values[(k * c.heads + h) * size + d];
            CHECK(all().seen.head(stage::heads, 1, h)(t, d) == Approx(mixed).margin(1e-4));
            square += mixed * mixed;
        }
        for (const float x : weights)
            if (x > 0) bits -= static_cast<double>(x) * std::log2(static_cast<double>(x));
        CHECK(explain::row(of.head_norms, h)[t] == Approx(std::sqrt(square)).epsilon(1e-4));
        CHECK(explain::row(of.entropy, h)[t] == Approx(bits).margin(1e-4));
    }
    CHECK(of.attention_norm[t] == Approx(gpt2::norm_of(all().seen.at(stage::attention, 1).row(t))));
    check_told(10, "Heads joined", "Cabezas unidas");
}

TEST_CASE("stage 11: the residual stream grows by what is added", "[walk][stages]") {
    const auto layers = all().model.config().layers;
    for (std::size_t layer = 0; layer < layers; ++layer) {
        const auto& of = all().walk.layers[layer];
        const auto before =
            layer == 0 ? all().seen.at(stage::embedding) : all().seen.at(stage::block, layer - 1);
        const auto attention = all().seen.at(stage::attention, layer),
                   middle = all().seen.at(stage::attention_residual, layer),
                   mlp = all().seen.at(stage::mlp, layer),
                   after = all().seen.at(stage::block, layer);
        for (std::size_t t = 0; t < all().w(); ++t) {
            for (std::size_t i = 0; i < before.columns(); i += 17) {
                CHECK(middle(t, i) == before(t, i) + attention(t, i));
                CHECK(after(t, i) == middle(t, i) + mlp(t, i));
            }
            CHECK(of.middle_norm[t] == Approx(gpt2::norm_of(middle.row(t))));
            CHECK(of.mlp_norm[t] == Approx(gpt2::norm_of(mlp.row(t))));
            CHECK(of.residual_norm[t] == Approx(gpt2::norm_of(after.row(t))));
        }
    }
    check_told(11, "Residual stream", "Flujo residual");
}

TEST_CASE("stage 12: the share of active units, and the strongest", "[walk][stages]") {
    for (std::size_t layer = 0; layer < all().walk.layers.size(); ++layer) {
        const auto& of = all().walk.layers[layer];
        const auto active = all().seen.at(stage::activation, layer);
        const auto inner = all().seen.at(stage::c_fc, layer);
        for (std::size_t t = 0; t < all().w(); ++t) {
            std::size_t above = 0;
            for (std::size_t i = 0; i < active.columns(); ++i) {
                above += active(t, i) > 0;
                if (i % 97 == 0)
                    CHECK(
                        active(t, i) ==
                        Approx(gpt2::ops::gelu_new(static_cast<double>(inner(t, i)))).margin(1e-4));
            }
            CHECK(of.active_share[t] ==
                  static_cast<double>(above) / static_cast<double>(active.columns()));
            REQUIRE(of.top_units[t].size() == 8);
            for (const auto& [unit, value] : of.top_units[t]) CHECK(active(t, unit) == value);
            std::size_t larger = 0;  // than the eighth
            for (const float x : active.row(t))
                larger += std::abs(x) > std::abs(of.top_units[t][7].value);
            CHECK(larger == 7);
        }
    }
    check_told(12, "Feed-forward", "Red feed-forward");
}

TEST_CASE("stage 13: the lens, and its last layer is the model", "[walk][stages]") {
    const auto& of = all().walk;
    REQUIRE(of.lens.size() == all().model.config().layers + 1);
    for (std::size_t t = 0; t < all().w(); ++t) {
        const auto logits = all().logits_of(t);
        const auto best = std::ranges::max_element(logits) - logits.begin();
        CHECK(of.lens.back()[t].best[0].token == best);
        if (t + 1 == all().w()) continue;
        const auto next = logits[static_cast<std::size_t>(of.tokens[t + 1].id)];
        const auto above = std::ranges::count_if(logits, [&](float x) { return x > next; });
        CHECK(of.lens.back()[t].rank == static_cast<std::size_t>(above) + 1);
    }
    CHECK(of.lens[0].back().rank == 0);
    check_told(13, "Layer by layer", "Capa por capa");
}

TEST_CASE("stage 14: the last LayerNorm and the logits", "[walk][stages]") {
    const auto& of = all().walk;
    const auto last = all().seen.at(stage::block, all().model.config().layers - 1);
    CHECK(of.ln_f[3].mean == Approx(sum(last.row(3)) / static_cast<double>(last.columns())));
    REQUIRE(of.steps.size() == 5);
    for (const auto& step : of.steps) {
        const auto logits = all().logits_of(step.position);
        REQUIRE(step.candidates.size() == 1024);
        std::size_t others = 0;
        for (const auto& bar : step.rest) others += bar.count;
        CHECK(others + 1024 == logits.size());
        for (std::size_t i = 0; i < 1024; i += 31) {
            CHECK(step.candidates[i].logit ==
                  logits[static_cast<std::size_t>(step.candidates[i].id)]);
            if (i > 0) CHECK(step.candidates[i].logit <= step.candidates[i - 1].logit);
        }
        CHECK(step.rest.front().logit <= static_cast<double>(step.candidates.back().logit));
    }
    check_told(14, "Logits", "Logits");
}

TEST_CASE("stage 15: softmax, whose sum the bars of the rest complete", "[walk][stages]") {
    for (const auto& step : all().walk.steps) {
        const auto logits = all().logits_of(step.position);
        double total = 0, told = 0;
        for (const float x : logits) total += std::exp(static_cast<double>(x));
        for (const auto& one : step.candidates) {
            CHECK(one.probability ==
                  Approx(std::exp(static_cast<double>(one.logit)) / total).epsilon(1e-6));
            told += std::exp(static_cast<double>(one.logit));
        }
        for (const auto& bar : step.rest)
            told += static_cast<double>(bar.count) * std::exp(bar.logit);
        CHECK(told == Approx(total).epsilon(1e-6));
    }
    check_told(15, "Softmax", "Softmax");
}

TEST_CASE("stage 16: what each filter removed, and the draw", "[walk][stages]") {
    for (const auto& step : all().walk.steps) {
        REQUIRE(step.filters.size() == 2);
        CHECK(step.filters[0].filter == "top-k 40");
        CHECK(step.filters[0].removed == all().model.config().vocabulary_size - 40);
        CHECK(step.filters[1].filter == "top-p 0.9");
        CHECK(step.survivors + step.filters[1].removed == 40);
        // The nucleus by hand: temperature, the forty best, and those that make up nine tenths.
        double total = 0, taken = 0;
        const auto weight = [&](std::size_t i) {
            return std::exp(static_cast<double>(step.candidates[i].logit) / 0.8);
        };
        for (std::size_t i = 0; i < 40; ++i) total += weight(i);
        std::size_t kept = 0;
        while (taken < 0.9 * total) taken += weight(kept++);
        CHECK(step.survivors == kept);
        const auto chosen =
            std::ranges::find(step.candidates, step.chosen, &gpt2::walk_step::candidate::id);
        const auto place = static_cast<std::size_t>(chosen - step.candidates.begin());
        REQUIRE(place < kept);
        CHECK(step.chosen_probability == Approx(weight(place) / taken).epsilon(1e-4));
        REQUIRE(step.draw.has_value());
        CHECK(*step.draw == gpt2::philox{3, 0}.uniform(step.position + 1));
    }
    check_told(16, "Choice", "Elección");
    CHECK_THAT(all().english, test::mentions("temperature 0.8, top-k 40, top-p 0.9"));
    CHECK_THAT(all().spanish, test::mentions("top-k 40 quita 4056:"));
}

TEST_CASE("stage 17: what was chosen is the next token, and the text grows", "[walk][stages]") {
    const auto& of = all().walk;
    std::string text;
    for (std::size_t i = 0; i < of.steps.size(); ++i) {
        CHECK(of.steps[i].position + 1 == of.prompt_tokens + i);
        CHECK(of.tokens[of.prompt_tokens + i].id == of.steps[i].chosen);
        text += of.tokens[of.prompt_tokens + i].bytes;
    }
    CHECK(of.continuation == text);
    check_told(17, "The text grows", "El texto crece");
    CHECK_THAT(all().english, test::mentions(prompt + text + "\n"));
}

TEST_CASE("stage 18: what each step behind the model changed", "[walk][stages]") {
    REQUIRE(all().walk.post_processing.size() == 1);
    CHECK(all().walk.post_processing[0].before == prompt + all().walk.continuation);
    check_told(18, "After the model", "Después del modelo");
    gpt2::walk_options how{.new_tokens = 0};
    how.post = {gpt2::write_measures({.to = gpt2::language::spanish})};
    const auto seen = gpt2::explain(all().model, "El sensor mide 5.4cm y pesa 8gr", how);
    REQUIRE(seen.post_processing.size() == 1);
    CHECK(seen.post_processing[0].after == "El sensor mide 5,4 centímetros y pesa 8 gramos");
    const auto json = test::json_of(seen)["post_processing"][0];
    REQUIRE(json["changes"].size() == 2);
    CHECK(json["changes"][0] ==
          test::json{{"begin", 15}, {"end", 20}, {"from", "5.4cm"}, {"to", "5,4 centímetros"}});
    CHECK_THAT(explain::account(seen, explain::language::spanish),
               test::mentions("\"8gr\" → \"8 gramos\""));
}
