// Out of memory at any allocation of what a session does: it holds the tokens that it shows, goes
// on as if nothing had happened, and a file is whole or not there.
#include "../support/catch.hpp"
#include "../support/failing_allocations.hpp"
#include "../support/files.hpp"
#include "../support/small_session.hpp"

#include <gpt2/constraint.hpp>
#include <gpt2/session.hpp>
#include <gpt2/speculation.hpp>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace {

using test::drawing, test::fail_each;
using ids = std::vector<gpt2::token_id>;

/// A model on one thread, so that this thread makes all allocations; with a prefix cache of so many
/// bytes, and room for more than a page of keys and values.
std::shared_ptr<const gpt2::language_parts> alone(std::size_t prefix_bytes = 0) {
    auto c = test::small_config();
    c.context_length = 300;
    return std::make_shared<const gpt2::language_parts>(
        test::random_weights(c).model(c), test::bytes_tokenizer(), gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(1), gpt2::execution{}, "", prefix_bytes);
}

ids tokens_of(const gpt2::session& text) { return {text.tokens().begin(), text.tokens().end()}; }

/// Whether the logits are those of a new session with the same tokens.
bool is_fresh(const gpt2::session& text, const std::shared_ptr<const gpt2::language_parts>& model) {
    gpt2::session fresh(model);
    fresh.feed(text.tokens());
    return std::ranges::equal(text.logits(), fresh.logits());
}

/// Writes on behind "abc" with every allocation failing in turn: each time the text has the first
/// of the tokens that it gets in the end, and the logits behind them.
void check_writing(const gpt2::options& how) {
    const auto model = alone();
    gpt2::session plain(model), text(model);
    plain.feed("abcabc");
    text.feed("abcabc");
    const auto expected = plain.generate(how);
    REQUIRE(!expected.tokens.empty());
    gpt2::completion done;
    const auto failed =
        fail_each([&] { done = text.generate(how); },
                  [&] {
                      const auto now = text.tokens();
                      REQUIRE(now.size() <= plain.size());
                      CHECK(std::ranges::equal(now, plain.tokens().first(now.size())));
                      CHECK(is_fresh(text, model));
                      text.rewind(6);
                  });
    CHECK(failed > 10);
    CHECK(done.tokens == expected.tokens);
    CHECK(done.text == expected.text);
    CHECK(done.log_probs == expected.log_probs);
    CHECK(std::ranges::equal(text.tokens(), plain.tokens()));
}

gpt2::constraint of_form(const gpt2::grammar& form) {
    const auto words = std::make_shared<const gpt2::tokenizer>(test::bytes_tokenizer());
    return gpt2::constraint(form, gpt2::constraint_tokens(words));
}

}  // namespace

TEST_CASE("out of memory while a session is fed", "[session][memory]") {  // 302
    const auto model = alone();
    gpt2::session text(model);
    text.feed("ab");
    CHECK(fail_each([&] { text.feed(std::string(140, 'x')); },
                    [&] {
                        CHECK(tokens_of(text) == ids{'a', 'b'});
                        CHECK(is_fresh(text, model));
                    }) >= 4);
    CHECK(text.size() == 142);
    CHECK(is_fresh(text, model));
    text.rewind(130);
    CHECK(fail_each([&] { (void)text.logits(); }, [&] { CHECK(text.size() == 130); }) >= 0);
    CHECK(is_fresh(text, model));
}

TEST_CASE("out of memory while a session is fed, with a prefix cache", "[session][memory]") {
    const auto model = alone(std::size_t{1} << 20), plain = alone();
    gpt2::session first(model), text(model);
    first.feed(std::string(150, 'x'));
    CHECK(fail_each([&] { text.feed(std::string(149, 'x') + std::string(140, 'y')); },
                    [&] {
                        CHECK(text.size() == 0);
                        text.feed("x");  // the logits behind a text are its own
                        CHECK(is_fresh(text, plain));
                        text.rewind(0);
                    }) >= 4);
    CHECK(text.size() == 289);
    CHECK(is_fresh(text, plain));
}

TEST_CASE("out of memory where the oldest tokens go", "[session][memory]") {
    const auto model = alone();
    const gpt2::context_policy policy{gpt2::when_full::slide, 4};
    gpt2::session text(model);
    text.feed(std::string(300, 'x'));
    const auto before = tokens_of(text);
    CHECK(fail_each([&] { text.feed("abc", gpt2::specials::as_text, {}, policy); },
                    [&] {
                        CHECK(tokens_of(text) == before);
                        CHECK(is_fresh(text, model));
                    }) >= 3);
    CHECK(text.size() < 300);
    CHECK(is_fresh(text, model));
}

TEST_CASE("out of memory while a session writes", "[session][memory]") {
    auto how = drawing(12);
    check_writing(how);
    how.sampling.top_k = 20;
    how.sampling.repetition_penalty = 1.3f;
    how.sampling.no_repeat_ngram = 2;
    how.sampling.mirostat.version = gpt2::mirostat_control::kind::version_2;
    how.stop = {"never", "at all"};
    check_writing(how);
    how.context = {gpt2::when_full::slide, 2};
    check_writing(how);
}

TEST_CASE("out of memory while a session guesses ahead", "[session][memory]") {
    auto how = drawing(12);
    how.draft = gpt2::prompt_lookup(1, 1);
    check_writing(how);
    how.draft = gpt2::draft_model(alone(), how.sampling, how.seed);
    check_writing(how);
}

TEST_CASE("out of memory while a session keeps to a form", "[session][memory]") {
    auto how = drawing(20);
    how.constraint = of_form(gpt2::matching("[a-d]{3} and (so on|so forth)[0-9]+;"));
    check_writing(how);
    how.constraint = of_form(gpt2::ebnf("v ::= '[' (v (',' v)*)? ']' | [0-9]+"));
    check_writing(how);
    how.draft = gpt2::prompt_lookup(1, 1);
    check_writing(how);
}

TEST_CASE("out of memory while several sessions write", "[session][memory]") {
    const auto model = alone();
    std::vector<gpt2::session> texts;
    for (int i = 0; i < 3; ++i) {
        texts.emplace_back(model);
        texts.back().feed(std::string(static_cast<std::size_t>(i + 2), 'q'));
    }
    const auto how = drawing(6);
    std::vector<gpt2::session> plain;
    for (const auto& text : texts) plain.push_back(text.fork());
    const auto expected = gpt2::session::generate(plain, how);
    std::vector<gpt2::completion> done;
    CHECK(fail_each([&] { done = gpt2::session::generate(texts, how); },
                    [&] {
                        for (std::size_t i = 0; i < texts.size(); ++i) {
                            const auto now = texts[i].tokens();
                            REQUIRE(now.size() <= plain[i].size());
                            CHECK(std::ranges::equal(now, plain[i].tokens().first(now.size())));
                            CHECK(is_fresh(texts[i], model));
                            texts[i].rewind(i + 2);
                        }
                    }) > 20);
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(done[i].tokens == expected[i].tokens);
}

TEST_CASE("out of memory while a session is forked, saved, resumed", "[session][memory]") {
    const auto model = alone();
    gpt2::session text(model);
    text.feed("abcdef");
    const auto before = tokens_of(text);
    const auto unchanged = [&] {
        CHECK(tokens_of(text) == before);
        CHECK(is_fresh(text, model));
    };
    CHECK(fail_each([&] { (void)text.fork(); }, unchanged) > 2);
    const test::scratch_folder folder;
    const auto path = folder / "text";
    const auto entries = [&] {
        const std::filesystem::directory_iterator all(folder.path());
        return std::distance(begin(all), end(all));
    };
    CHECK(fail_each([&] { text.save(path); },
                    [&] {
                        unchanged();
                        CHECK(entries() == 0);  // nor anything half written
                    }) > 4);
    const auto bytes = test::read_file(path);
    CHECK(fail_each([&] { text.save(path, gpt2::existing::replace); },
                    [&] { CHECK(test::read_file(path) == bytes); }) > 4);
    CHECK(fail_each(
              [&] {
                  const auto again = gpt2::session::resume(model, path);
                  if (again.size() != 6) throw std::logic_error("other tokens");
              },
              [] {}) > 4);
    CHECK(is_fresh(gpt2::session::resume(model, path), model));
}

TEST_CASE("out of memory while a constraint is made and asked", "[session][memory]") {
    const auto words = std::make_shared<const gpt2::tokenizer>(test::bytes_tokenizer());
    const gpt2::constraint_tokens tokens(words, {0});
    const auto made = [&] { return gpt2::ebnf("v ::= '[' (v (',' v)*)? ']' | 'x'{2} | [0-9]+"); };
    fail_each([&] { gpt2::constraint_tokens{words}; }, [] {});
    CHECK(fail_each([&] { (void)made(); }, [] {}) > 50);
    CHECK(fail_each([&] { (void)gpt2::matching("(a|bc)*[\\s\\S]{3}"); }, [] {}) > 50);
    CHECK(fail_each([&] { (void)(gpt2::without({"ab"}) & gpt2::containing({"b"})); }, [] {}) > 20);
    const auto form = made();
    CHECK(fail_each([&] { gpt2::constraint(form, tokens); }, [] {}) > 1);

    // A cursor stays where it was, and all that was known is found again.
    const gpt2::constraint reference(form, tokens), fails(form, tokens);
    auto right = reference.start(), at = fails.start();
    for (const gpt2::token_id token : {'[', 'x', 'x', ',', '7', ']'}) {
        const auto same = [&] {
            CHECK(std::ranges::equal(at.allowed(), right.allowed()));
            CHECK(at.forced() == right.forced());
        };
        fail_each([&] { (void)at.allowed(30); }, same);
        fail_each([&] { (void)at.forced(); }, same);
        fail_each([&] { (void)at.tokens_needed(); }, same);
        fail_each([&] { at.advance(token); }, same);
        right.advance(token);
        CHECK(std::ranges::equal(at.allowed(9), right.allowed(9)));
    }
    CHECK(at.is_complete());
    // The same with an engine that knows nothing yet.
    CHECK(fail_each(
              [&] {
                  const gpt2::constraint fresh(form, tokens);
                  auto here = fresh.start();
                  here.advance('[');
                  if (!std::ranges::equal(here.allowed(9), [&] {
                          auto there = reference.start();
                          there.advance('[');
                          const auto mask = there.allowed(9);
                          return std::vector(mask.begin(), mask.end());
                      }()))
                      throw std::logic_error("another mask");
              },
              [] {}) > 20);
}
