// Pictures of models: the numbers are those that Hugging Face found, whatever the passes and the
// window; labels are tokens, or their ids.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/hf_reference.hpp"
#include "../support/random_model.hpp"

#include <gpt2/lens_picture.hpp>
#include <gpt2/model_pictures.hpp>

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace {

const gpt2::language_model& tales() {
    static const auto model = gpt2::load(GPT2_BUNDLED_MODEL, {.threads = 2});
    return model;
}

std::vector<gpt2::token_id> ids_of(const std::string& text) {
    return tales().tokenizer().encode(text);
}

gpt2::language_model random_model(gpt2::config c, bool overflowing = false) {
    test::random_weights weights(c);
    for (const char* const name : {"h.1.attn.c_proj.bias", "h.1.mlp.c_proj.bias"})
        if (overflowing)  // the sum of both
            for (auto& x : weights.find(name).values) x = std::numeric_limits<float>::max();
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        weights.model(c), std::nullopt, gpt2::audit{}, std::make_shared<gpt2::thread_pool>(1)));
}

}  // namespace

TEST_CASE("attention maps are what Hugging Face computes", "[picture][reference]") {
    const auto folder = test::source_folder() / "tests/reference/models/base";
    const auto expected = test::read_arrays(folder / "expect.safetensors");
    const auto ids = test::ids_of(expected.at("ids"));
    const auto model = gpt2::load(folder, {.threads = 1});
    const auto& c = model.config();
    const auto all = gpt2::attention_maps(model, ids);
    REQUIRE(all.maps.size() == c.layers * c.heads);
    CHECK(all.beside == c.heads);
    const auto t = ids.size();
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
        const auto& weights = expected.at("h." + std::to_string(layer) + ".weights");
        for (std::size_t head = 0; head < c.heads; ++head) {
            const auto map = gpt2::attention_map(model, ids, {layer, head});
            const auto tail = gpt2::attention_map(model, ids, {layer, head}, 4);
            CHECK(map.values == all.maps[layer * c.heads + head].values);
            CHECK(map.values == gpt2::attention_maps(model, ids, layer).maps[head].values);
            REQUIRE(tail.values.size() == 16);
            for (std::size_t i = 0; i < t * t; ++i)
                CHECK(std::abs(map.values[i] - weights[head * t * t + i]) < 1e-6);
            for (std::size_t i = 0; i < 16; ++i)
                CHECK(tail.values[i] == map.value(t - 4 + i / 4, t - 4 + i % 4));
            const auto bars = gpt2::attention_bars(model, ids, {layer, head}, 5);
            REQUIRE(bars.bars.size() == 6);
            for (std::size_t i = 0; i < 6; ++i) CHECK(bars.bars[i].value == map.value(5, i));
            CHECK(tail.title == "attention: layer " + std::to_string(layer) + ", head " +
                                    std::to_string(head) + " (the last 4 of 11 tokens)");
        }
    }
    CHECK(all.maps[0].rows[1] == "#" + std::to_string(ids[1]));
}

TEST_CASE("a map is the same whether a text is read at once or in parts", "[picture]") {
    const auto model = random_model(test::odd_config());
    const auto ids = test::random_ids(model.config(), 40);
    const auto whole = gpt2::attention_map(model, ids, {2, 1}, 30);
    gpt2::detail::attention_recorder seen(model.config(), {ids.size(), 30}, 2);
    auto state = model.state();
    for (std::size_t first = 0; first < ids.size(); first += 7) {
        const auto count = std::min<std::size_t>(7, ids.size() - first);
        model.model().forward(std::span(ids).subspan(first, count), state, {}, seen);
    }
    CHECK(seen.map(2, 1) == whole.values);
    for (std::size_t row = 0; row < 30; ++row)
        for (std::size_t column = row + 1; column < 30; ++column)
            if (whole.value(row, column) != 0) FAIL("a weight of what comes later");
}

TEST_CASE("what may come next is the softmax of the logits", "[picture]") {
    const auto ids = ids_of("The king said to the wolf, who was");
    const auto chart = gpt2::next_tokens(tales(), ids, 4096);
    double sum = 0;
    for (const auto& one : chart.bars) sum += static_cast<double>(one.value);
    CHECK(std::abs(sum - 1) < 1e-5);
    auto text = tales().start();
    text.feed(ids);
    const auto logits = text.logits();
    const auto best = std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const float x : logits) total += std::exp(static_cast<double>(x - *best));
    CHECK(std::abs(static_cast<double>(chart.bars[0].value) - 1 / total) < 1e-6);
    const auto id = static_cast<gpt2::token_id>(best - logits.begin());
    CHECK(chart.bars[0].label == tales().tokenizer().bytes(id));
    CHECK(chart.full == chart.bars[0].value);
    CHECK(chart.bars[0].note.ends_with(" %"));
    CHECK(gpt2::next_tokens(tales(), ids, 3).bars.size() == 3);
}

TEST_CASE("a coloured text has the surprisal of its tokens", "[picture]") {
    const auto scored = gpt2::score(tales(), "The wolf came to the door.");
    const auto text = gpt2::surprisal_text(tales(), scored);
    REQUIRE(text.parts.size() == scored.tokens.size());
    CHECK(std::isnan(text.parts[0].value));
    std::string joined;
    double bits = 0;
    for (const auto& part : text.parts) {
        joined += part.text;
        if (!std::isnan(part.value)) bits += static_cast<double>(part.value);
    }
    CHECK(joined == "The wolf came to the door.");
    CHECK(std::abs(bits + scored.log_prob() / std::log(2.0)) < 1e-4);
    CHECK(text.scale.high == 10);  // " wolf" has 9.75 bits
}

TEST_CASE("the lens as a table", "[picture]") {
    const auto ids = ids_of("The king said to the wolf");
    const auto seen = gpt2::logit_lens(tales(), ids);
    const auto map = gpt2::lens_map(tales(), ids);
    REQUIRE(map.rows.size() == 7);
    REQUIRE(map.columns.size() == ids.size());
    CHECK(map.rows[0] == "embedding");
    CHECK(map.rows[6] == "layer 5");
    for (std::size_t depth = 0; depth < 7; ++depth)
        for (std::size_t t = 0; t < ids.size(); ++t) {
            const auto& best = seen.at(depth, t).best[0];
            CHECK(map.text(depth, t) == tales().tokenizer().bytes(best.token));
            CHECK(map.value(depth, t) == static_cast<float>(std::exp(best.log_prob)));
        }
    const auto next = gpt2::next_tokens(tales(), ids, 1);
    CHECK(map.text(6, ids.size() - 1) == next.bars[0].label);
    const auto tail = gpt2::lens_map(tales(), ids, 2);
    CHECK(tail.columns.size() == 2);
    CHECK(tail.text(3, 1) == map.text(3, ids.size() - 1));
    CHECK_ERROR(gpt2::errc::wrong_shape, gpt2::lens_map(tales(), seen, std::span(ids).first(2)));
}

TEST_CASE("numbers that are none are seen in pictures", "[picture]") {
    const auto broken = random_model(test::odd_config(), true);
    const auto ids = test::random_ids(broken.config(), 6);
    const auto map = gpt2::attention_map(broken, ids, {2, 0});
    CHECK(std::isnan(map.value(5, 5)));
    CHECK(!std::isnan(gpt2::attention_map(broken, ids, {1, 0}).value(5, 5)));
    const auto lens = gpt2::lens_map(broken, ids);
    CHECK(lens.text(1, 0).starts_with('#'));
    CHECK(lens.text(2, 0) == "NaN");
    CHECK(std::isnan(lens.value(3, 5)));
    CHECK_ERROR(gpt2::errc::not_finite, gpt2::next_tokens(broken, ids));
}

TEST_CASE("pictures of what is not there are refused", "[picture]") {
    using gpt2::errc;
    const auto ids = ids_of("The king");
    const std::vector<gpt2::token_id> none;
    CHECK_ERROR(errc::invalid_argument, gpt2::attention_map(tales(), ids, {6, 0}));
    CHECK_ERROR(errc::invalid_argument, gpt2::attention_map(tales(), ids, {0, 4}));
    CHECK_ERROR(errc::invalid_argument, gpt2::attention_maps(tales(), ids, 6));
    CHECK_ERROR(errc::invalid_argument, gpt2::attention_bars(tales(), ids, {0, 0}, 2));
    CHECK_ERROR(errc::empty_prompt, gpt2::attention_map(tales(), none, {0, 0}));
    CHECK_ERROR(errc::empty_prompt, gpt2::next_tokens(tales(), none));
    const std::vector<gpt2::token_id> full(512, 5), beyond(513, 5);
    CHECK_ERROR(errc::limit_exceeded, gpt2::attention_maps(tales(), full));
    CHECK_ERROR(errc::context_full, gpt2::attention_map(tales(), beyond, {0, 0}, 8));
    CHECK_ERROR(errc::token_out_of_range, gpt2::next_tokens(tales(), std::vector{4096}));
}
