// Texts read under an observer: the same numbers as without one, tables of heads, what is refused.
#include "references.hpp"

#include <gpt2/score.hpp>

#include <stop_token>

namespace {

using gpt2::errc;
using test::ids;
using test::model_named;

}  // namespace

TEST_CASE("an experiment reads texts as score does", "[experiments]") {
    const auto& model = model_named("tales");
    const auto text = model.tokenizer().encode("The wolf came to the door.");
    const auto expected = gpt2::score(model, text);
    gpt2::experiment lab(model);
    const auto found = lab.log_probs(text);
    REQUIRE(found.size() + 1 == text.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        CHECK(found[i] == expected.tokens[i + 1].log_prob);
    CHECK(lab.loss(text) == Approx(std::log(expected.perplexity())));
    // An observer that changes nothing, and one text after another.
    std::size_t calls = 0;
    lab.read(ids{5, 6}, 2);
    CHECK(lab.log_probs(text, [&](auto, auto, auto) { ++calls; }) == found);
    CHECK(calls > 0);
    const auto best = lab.next(text).best(1)[0].token;
    gpt2::options one;
    one.max_new_tokens = 1;
    CHECK(model.generate(text, one).tokens == ids{best});
    CHECK(lab.read(text, 0).rows() == 0);
}

TEST_CASE("heads are ordered by their numbers", "[experiments]") {
    gpt2::config c;
    c.layers = 2;
    c.heads = 3;
    gpt2::head_table table(c);
    table.at({0, 2}) = 5;
    table.at({1, 0}) = 7;
    table.at({0, 1}) = -1;
    const auto order = table.order();
    REQUIRE(order.size() == 6);
    const auto is = [&](std::size_t i, std::size_t layer, std::size_t head) {
        return order[i].layer == layer && order[i].head == head;
    };
    CHECK((is(0, 1, 0) && is(1, 0, 2) && is(2, 0, 0) && is(3, 1, 1) && is(4, 1, 2)));
    CHECK(is(5, 0, 1));
}

TEST_CASE("what an experiment cannot read is refused", "[experiments]") {
    const auto model = test::random_language_model();
    gpt2::experiment lab(model);
    CHECK_ERROR(errc::empty_prompt, lab.read(ids{}, 0));
    CHECK_ERROR(errc::empty_prompt, lab.loss(ids{}));
    CHECK_ERROR(errc::invalid_argument, lab.loss(ids{1}));
    CHECK_ERROR(errc::invalid_argument, lab.read(ids{1}, 2));
    CHECK_ERROR(errc::token_out_of_range, lab.loss(ids{1, 53}));
    CHECK_ERROR(errc::context_full, lab.read(test::random_ids(model.config(), 151), 1));
    std::stop_source stop;
    stop.request_stop();
    gpt2::experiment stopped(model, {.token = stop.get_token()});
    CHECK_ERROR(errc::cancelled, stopped.read(ids{1}, 1));
    CHECK_ERROR(errc::not_finite, gpt2::experiment(test::overflowing_model()).loss(ids{1, 2}));
}
