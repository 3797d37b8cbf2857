// Out of memory at any allocation of what is asked of a model: the same question then has the same
// answer as ever.
#include "../support/catch.hpp"
#include "../support/failing_allocations.hpp"
#include "../support/small_session.hpp"

#include <gpt2/constraint.hpp>
#include <gpt2/contrast.hpp>
#include <gpt2/embed.hpp>
#include <gpt2/gpt2.hpp>
#include <gpt2/rank.hpp>
#include <gpt2/score.hpp>
#include <gpt2/search.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using test::drawing;

/// On one thread, so that this thread makes all allocations; with a prefix cache.
gpt2::language_model alone(unsigned seed = 1) {
    const auto c = test::small_config();
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        test::random_weights(c, seed).model(c), test::bytes_tokenizer(), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(1), gpt2::execution{}, "", std::size_t{1} << 20));
}

/// What `ask` gives, with every allocation failing in turn and with none.
template <class Ask>
void check_answer(Ask ask) {
    const auto expected = ask();
    auto found = decltype(ask()){};
    CHECK(test::fail_each([&] { found = ask(); }, [&] { REQUIRE(ask() == expected); }) > 10);
    CHECK(found == expected);
}

std::vector<double> numbers(const gpt2::text_score& score) {
    std::vector<double> all;
    for (const auto& one : score.tokens) {
        all.push_back(one.log_prob);
        all.push_back(static_cast<double>(one.rank));
        for (const auto& other : one.alternatives) all.push_back(other.log_prob);
    }
    return all;
}

}  // namespace

TEST_CASE("out of memory while texts are scored, ranked, embedded", "[session][memory]") {  // 302
    const auto model = alone();
    check_answer([&] { return numbers(gpt2::score(model, "a text", {.alternatives = 3})); });
    const gpt2::question asked{"a question ", {"with", "some", "answers"}};
    check_answer([&] {
        std::vector<double> all;
        for (const auto& choice : gpt2::rank(model, asked).choices) all.push_back(choice.log_prob);
        return all;
    });
    check_answer([&] { return gpt2::embed(model, "some text", {.layer = 1}).values; });
}

TEST_CASE("out of memory while continuations are searched", "[session][memory]") {
    const auto model = alone(), other = alone(2);
    const auto words = std::make_shared<const gpt2::tokenizer>(test::bytes_tokenizer());
    auto how = drawing(4), likeliest = drawing(4);
    likeliest.sampling = gpt2::greedy();
    const auto texts = [](const std::vector<gpt2::hypothesis>& found) {
        std::vector<std::vector<float>> all;
        for (const auto& one : found) all.push_back(one.log_probs);
        return all;
    };
    const std::string_view begin = "abc";
    check_answer([&] {
        return texts(
            gpt2::beam_search(model, begin, {.count = 4, .n_best = 4, .groups = 2}, likeliest));
    });
    check_answer([&] { return texts(gpt2::sample_best(model, begin, {.count = 3}, how)); });
    check_answer([&] { return gpt2::contrastive_search(model, begin, {}, how).log_probs; });
    check_answer([&] { return gpt2::generate_guided(model, begin, {}, how).log_probs; });
    check_answer(
        [&] { return gpt2::generate_contrasted(model, begin, {.model = other}, how).log_probs; });
    how.constraint = gpt2::constraint(gpt2::matching("[a-d]+;"), gpt2::constraint_tokens(words));
    check_answer([&] { return texts(gpt2::beam_search(model, begin, {.count = 2}, how)); });
}

TEST_CASE("out of memory while many requests are written", "[session][memory]") {
    const auto model = alone();
    std::vector<gpt2::request> all{{{1, 2, 3}, drawing(4), 3}, {{}, drawing(3, 9)}};
    all.push_back({{7, 8, 7, 8, 7}, drawing(5)});
    all.back().options.draft = gpt2::prompt_lookup(1, 1);
    check_answer([&] {
        std::vector<std::vector<gpt2::token_id>> tokens;
        for (const auto& one : model.generate(all)) tokens.push_back(one.tokens);
        return tokens;
    });
}
