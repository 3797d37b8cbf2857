// Choices behind a context: every rule held to transformers, contexts read once, tokens that join
// context and choice, contexts that are too long, what is refused, JSON.
#include "scored.hpp"

#include <gpt2/rank.hpp>
#include <gpt2/score_report.hpp>

#include <algorithm>

namespace {

using gpt2::ranking_rule;
using test::model_named;
using ids = std::vector<gpt2::token_id>;

bool same(const gpt2::ranking& a, const gpt2::ranking& b) {
    return a.order == b.order &&
           std::ranges::equal(a.choices, b.choices, [](const auto& x, const auto& y) {
               return x.log_prob == y.log_prob && x.value == y.value &&
                      x.given_domain == y.given_domain && x.tokens.size() == y.tokens.size() &&
                      x.bytes == y.bytes && x.characters == y.characters;
           });
}

constexpr ranking_rule rules[] = {ranking_rule::log_prob, ranking_rule::per_token,
                                  ranking_rule::per_byte, ranking_rule::per_character,
                                  ranking_rule::pointwise};

std::vector<gpt2::question> questions() {
    std::vector<gpt2::question> list;
    for (const auto& one : test::references()["rankings"])
        list.push_back({one["context"], one["choices"].get<std::vector<std::string>>()});
    return list;
}

}  // namespace

TEST_CASE("choices are compared as transformers' numbers compare them", "[rank]") {
    const auto& model = model_named("tales");
    const auto all = questions();
    for (const auto rule : rules) {
        CAPTURE(name(rule));
        const auto found = gpt2::rank(model, all, {.by = rule});
        REQUIRE(found.size() == all.size());
        for (std::size_t q = 0; q < all.size(); ++q) {
            const auto& expected = test::references()["rankings"][q];
            const auto values = expected[std::string(name(rule))].get<std::vector<double>>();
            std::vector<double> got, log_probs;
            std::vector<bool> greedy;
            for (const auto& choice : found[q].choices) {
                got.push_back(choice.value);
                log_probs.push_back(choice.log_prob);
                greedy.push_back(choice.greedy());
            }
            CHECK(test::largest_difference(got, values) < 1e-4);
            CHECK(test::largest_difference(log_probs, expected["log_prob"]) < 1e-4);
            CHECK(greedy == expected["greedy"].get<std::vector<bool>>());
            const auto best = std::max_element(values.begin(), values.end()) - values.begin();
            CHECK(found[q].best() == static_cast<std::size_t>(best));
            CHECK(std::ranges::is_sorted(found[q].order, std::greater{},
                                         [&](std::size_t i) { return values[i]; }));
            // Together with others or alone: the same bits.
            CHECK(same(found[q], gpt2::rank(model, all[q], {.by = rule})));
        }
    }
}

TEST_CASE("a choice is scored as the end of a text is", "[rank]") {
    const auto& model = model_named("tales");
    const std::string context = "The wolf came to the door, and the little", choice = " goat said:";
    const auto found = gpt2::rank(model, {context, {choice}}, {.alternatives = 2}).choices[0];
    const auto whole = gpt2::score(model, context + choice, {.alternatives = 2});
    const auto first = whole.tokens.size() - found.tokens.size();
    std::size_t end = 0;
    for (std::size_t i = 0; i < found.tokens.size(); ++i) {
        const auto& one = whole.tokens[first + i];
        CHECK(found.tokens[i].log_prob == one.log_prob);
        CHECK(found.tokens[i].rank == one.rank);
        CHECK(found.tokens[i].alternatives.size() == 2);
        CHECK(found.tokens[i].bytes.begin == end);
        end = found.tokens[i].bytes.end;
        CHECK(end + context.size() == one.bytes.end);
    }
    CHECK(end == choice.size());
    // A token that holds the end of the context belongs to the choice, as " goat" here.
    const auto spaced = gpt2::rank(model, {context + " ", {"goat said:"}}).choices[0];
    CHECK(spaced.log_prob == found.log_prob);
    CHECK(spaced.tokens[0].bytes.begin == 0);
    CHECK(spaced.tokens[0].bytes.end == found.tokens[0].bytes.end - 1);
    CHECK(found.bytes == choice.size());
    CHECK(gpt2::rank(model, {context, {" caf\u00e9"}}).choices[0].characters == 5);
}

TEST_CASE("ids behind ids", "[rank]") {
    const auto model = test::random_language_model();
    const auto context = test::random_ids(model.config(), 20);
    const std::vector<ids> choices = {{4, 5, 6}, {4}, {7, 7}};
    for (const auto rule : {ranking_rule::log_prob, ranking_rule::per_token}) {
        const auto found = gpt2::rank(model, context, choices, {.by = rule});
        for (std::size_t i = 0; i < choices.size(); ++i) {
            auto text = context;
            text.insert(text.end(), choices[i].begin(), choices[i].end());
            const auto whole = gpt2::score(model, text);
            double sum = 0;
            for (std::size_t t = context.size(); t < text.size(); ++t)
                sum += whole.tokens[t].log_prob;
            CHECK(found.choices[i].log_prob == sum);
            const auto length = rule == ranking_rule::per_token ? choices[i].size() : 1;
            CHECK(found.choices[i].value == sum / static_cast<double>(length));
        }
    }
    // Without a context the choice follows begin-of-text: that is also what pointwise divides by.
    gpt2::ranking_options how{.before = gpt2::opening::begin_of_text};
    const auto alone = gpt2::rank(model, ids{}, choices, how);
    const auto pointwise = gpt2::rank(model, context, choices, {.by = ranking_rule::pointwise});
    for (std::size_t i = 0; i < choices.size(); ++i)
        CHECK(pointwise.choices[i].given_domain == alone.choices[i].log_prob);
    CHECK_ERROR(gpt2::errc::not_found,
                gpt2::rank(model, context, choices, {.by = ranking_rule::per_byte}));
    // With a tokenizer, ids have lengths in text.
    const auto& tales = model_named("tales");
    const auto words = tales.tokenizer().encode(" wolf");
    const auto measured = gpt2::rank(tales, tales.tokenizer().encode("The"),
                                     std::vector<ids>{words}, {.by = ranking_rule::per_byte});
    CHECK(measured.choices[0].bytes == 5);
    CHECK(measured.choices[0].value == measured.choices[0].log_prob / 5);
}

TEST_CASE("a domain stands in the place of the context", "[rank]") {
    const auto& model = model_named("tales");
    const gpt2::question asked{"The king had three", {" sons", " daughters"}};
    const auto found =
        gpt2::rank(model, asked, {.by = ranking_rule::pointwise, .domain = "There was"});
    const auto domain = gpt2::rank(model, {"There was", asked.choices});
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(found.choices[i].given_domain == domain.choices[i].log_prob);
        CHECK(found.choices[i].value == found.choices[i].log_prob - domain.choices[i].log_prob);
    }
}

TEST_CASE("a context that is too long is refused, or loses its front", "[rank]") {
    using gpt2::errc;
    const auto model = test::random_language_model();  // 150 positions
    const auto text = test::random_ids(model.config(), 160);
    const auto context = std::span(text).first(155);
    const std::vector<ids> choices = {{text.begin() + 155, text.end()}};
    const auto problem = test::error_of([&] { gpt2::rank(model, context, choices); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::context_full);
    CHECK(std::string(problem->what()) ==
          "choices[0]: expected at most 151 tokens in all, found 160");
    // The last token is never fed: 151 fit.
    const auto exact = gpt2::rank(model, std::span(text).subspan(9, 146), choices);
    const gpt2::ranking_options cut{.too_long = gpt2::overlong::cut_front};
    CHECK(same(gpt2::rank(model, context, choices, cut), exact));
    const std::vector<ids> longest = {ids(150, 3)}, longer = {ids(151, 3)};
    CHECK(gpt2::rank(model, context, longest, cut).choices[0].tokens.size() == 150);
    CHECK_ERROR(errc::context_full, gpt2::rank(model, context, longer, cut));
}

TEST_CASE("what cannot be ranked is refused", "[rank]") {
    using gpt2::errc;
    const auto& model = model_named("tales");
    CHECK_ERROR(errc::invalid_argument, gpt2::rank(model, {"The", {}}));
    CHECK_ERROR(errc::invalid_argument, gpt2::rank(model, ids{1}, std::vector<ids>{}));
    CHECK_ERROR(errc::invalid_argument, gpt2::rank(model, ids{1}, std::vector<ids>{{2}, {}}));
    const auto problem = test::error_of([&] { gpt2::rank(model, {"The", {" wolf", ""}}); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::invalid_argument);
    CHECK_THAT(problem->what(), test::mentions("choices[1]"));
    CHECK_ERROR(errc::empty_prompt, gpt2::rank(model, {"", {"The"}}));
    CHECK_ERROR(errc::empty_prompt, gpt2::rank(model, {"Th", {"e"}}));  // one token, "The"
    CHECK(gpt2::rank(model, {"", {"The"}}, {.before = gpt2::opening::begin_of_text})
              .choices[0]
              .tokens.size() == 1);
    CHECK_ERROR(errc::empty_prompt, gpt2::rank(model_named("base"), ids{1}, std::vector<ids>{{2}},
                                               {.by = ranking_rule::pointwise}));
    CHECK_ERROR(errc::token_out_of_range,
                gpt2::rank(model_named("base"), ids{1}, std::vector<ids>{{17}}));
    CHECK_ERROR(errc::not_finite,
                gpt2::rank(test::overflowing_model(), ids{1}, std::vector<ids>{{2}}));
    CHECK_ERROR(errc::invalid_argument, gpt2::rank(model, {"The", {" a"}}, {.alternatives = 4097}));
    CHECK_ERROR(errc::not_found, gpt2::rank(model_named("base"), {"The", {" a"}}));
}

TEST_CASE("equal choices keep their order, and JSON says all", "[rank]") {
    const auto& model = model_named("tales");
    const auto found = gpt2::rank(model, {"The", {" goat", " wolf", " goat"}},
                                  {.by = ranking_rule::pointwise, .alternatives = 1});
    CHECK(std::ranges::find(found.order, 0u) < std::ranges::find(found.order, 2u));
    const auto parsed = nlohmann::json::parse(gpt2::ranking_json(model, found));
    CHECK(parsed["by"] == "pointwise");
    CHECK(parsed["best"] == found.best());
    CHECK(parsed["order"].get<std::vector<std::size_t>>() == found.order);
    REQUIRE(parsed["choices"].size() == 3);
    const auto& one = parsed["choices"][1];
    CHECK(one["log_prob"] == found.choices[1].log_prob);
    CHECK(one["value"] == found.choices[1].value);
    CHECK(one["given_domain"] == *found.choices[1].given_domain);
    CHECK(one["bytes"] == 5);
    CHECK(one["characters"] == 5);
    CHECK(one["greedy"] == found.choices[1].greedy());
    CHECK(one["tokens"][0]["text"] == " wolf");
    CHECK(one["tokens"][0]["alternatives"].size() == 1);
}
