// Masks held to what trying every sequence of tokens finds; walks, budgets, forced stretches.
#include "../support/files.hpp"
#include "walk.hpp"

#include <gpt2/tokenizer_files.hpp>

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

using gpt2::errc;
using gpt2::token_id;
using test::mentions;
using predicate = std::function<bool(const std::string&)>;

namespace {

/// The fewest tokens that make a text of the language of what is there, tried one by one.
class by_force {
public:
    static constexpr int never = 99;

    by_force(std::vector<std::string> tokens, predicate in)
        : tokens_(std::move(tokens)), in_(std::move(in)) {}

    int needed(const std::string& text, int most) {
        if (in_(text)) return 0;
        if (most == 0) return never;
        const auto known = known_.find({text, most});
        if (known != known_.end()) return known->second;
        int best = never;
        for (const std::string& token : tokens_)
            best = std::min(best, 1 + needed(text + token, most - 1));
        return known_[{text, most}] = std::min(best, never);
    }

    /// Compares all masks behind `text`, to `depth` more tokens.
    void compare(const gpt2::constraint_cursor& at, const std::string& text, int depth) {
        CAPTURE(text);
        const int left = needed(text, 4);
        REQUIRE(left < never);  // no dead end
        CHECK(at.may_end() == in_(text));
        for (const std::size_t budget :
             {std::size_t{1}, std::size_t{2}, std::size_t{3}, gpt2::constraint_cursor::unlimited}) {
            const bool enough = budget > 3 || left <= static_cast<int>(budget);
            if (!enough) {
                CHECK_ERROR(errc::invalid_argument, at.allowed(budget));
                continue;
            }
            const auto mask = at.allowed(budget);
            const int most = budget > 3 ? 4 : static_cast<int>(budget) - 1;
            for (std::size_t i = 0; i < tokens_.size(); ++i) {
                const bool wanted = needed(text + tokens_[i], most) <= most;
                if (test::is_set(mask, static_cast<token_id>(i)) == wanted) continue;
                CAPTURE(budget, tokens_[i], wanted);
                CHECK(test::is_set(mask, static_cast<token_id>(i)) == wanted);
            }
            CHECK(test::is_set(mask, static_cast<token_id>(tokens_.size())) == in_(text));
        }
        if (depth == 0) return;
        for (const token_id id : test::ids_of(at.allowed())) {
            if (id == static_cast<token_id>(tokens_.size())) continue;
            auto next = at;
            next.advance(id);
            compare(next, text + tokens_[static_cast<std::size_t>(id)], depth - 1);
        }
    }

private:
    std::vector<std::string> tokens_;
    predicate in_;
    std::map<std::pair<std::string, int>, int> known_;
};

void check_by_force(const std::vector<std::string>& tokens, const gpt2::grammar& of,
                    const predicate& in, int depth = 3) {
    const gpt2::constraint made(of, test::tokens_of(tokens));
    by_force(tokens, in).compare(made.start(), "", depth);
}

bool lacks(const std::string& text, const std::string& part) {
    return text.find(part) == text.npos;
}

/// A random walk to an end, forced stretches and all; the text.
std::string walk(const gpt2::constraint& of, const gpt2::tokenizer& tokens, unsigned seed,
                 std::size_t left = 60) {
    std::mt19937 dice(seed);
    auto at = of.start();
    std::string text;
    const auto take = [&](token_id id) {
        REQUIRE(at.allows(id));
        at.advance(id);
        text += tokens.bytes(id);
        --left;
    };
    while (!at.is_complete()) {
        for (const token_id id : at.forced(left)) take(id);
        const auto ids = test::ids_of(at.allowed(left));
        if (ids.empty()) break;
        const token_id id = ids[dice() % ids.size()];
        if (tokens.is_special(id)) break;
        take(id);
    }
    CHECK(at.may_end());
    return text;
}

std::shared_ptr<const gpt2::tokenizer> bundled() {
    static const auto made =
        std::make_shared<const gpt2::tokenizer>(gpt2::load_tokenizer(GPT2_BUNDLED_MODEL));
    return made;
}
gpt2::constraint_tokens bundled_tokens() {
    const token_id end = bundled()->find("<|endoftext|>").value();
    return gpt2::constraint_tokens(bundled(), {end});
}

}  // namespace

TEST_CASE("masks are those of trying every sequence of tokens", "[constraint]") {
    const std::vector<std::string> tokens = {"a", "b", "ab", "ba", "aab", "bbb"};
    check_by_force(tokens, gpt2::without({"aba", "bbb"}), [](const std::string& text) {
        return lacks(text, "aba") && lacks(text, "bbb");
    });
    check_by_force(tokens, gpt2::containing({"bab"}),
                   [](const std::string& text) { return !lacks(text, "bab"); });
    check_by_force(tokens, gpt2::one_of({"abbb", "aabaab", "b", "ababab"}),
                   [](const std::string& text) {
                       return text == "abbb" || text == "aabaab" || text == "b" || text == "ababab";
                   });
    check_by_force(tokens, gpt2::matching("(ab|b{3})*"), [](const std::string& text) {
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t before = at;
            if (text.compare(at, 2, "ab") == 0) at += 2;
            if (text.compare(at, 3, "bbb") == 0) at += 3;
            if (at == before) return false;
        }
        return true;
    });
    check_by_force(tokens,
                   gpt2::matching("[ab]*a") & gpt2::without({"aa"}) & gpt2::containing({"b"}),
                   [](const std::string& text) {
                       return text.ends_with('a') && lacks(text, "aa") && !lacks(text, "b");
                   });
}

TEST_CASE("masks of vocabularies that cannot write every byte", "[constraint]") {
    const std::vector<std::string> tokens = {"ab", "b", "cd", "c", "bcd", "abab"};
    const auto any = [](const std::string&) { return true; };
    check_by_force(tokens, gpt2::matching("[a-d]*"), any);
    check_by_force(tokens, gpt2::matching("[a-z]*(?:b|x)"),
                   [](const std::string& text) { return text.ends_with('b'); });
    check_by_force(tokens, gpt2::one_of({"abcd", "acd", "bcdb", "bab", "ad", "cb"}),
                   [](const std::string& text) {
                       return text == "abcd" || text == "bcdb" || text == "bab" || text == "cb";
                   });
    // Rules that end inside of a token, behind which another one must go on.
    check_by_force(
        tokens, gpt2::ebnf("s ::= x s y | 'b'  x ::= 'a' | 'c'  y ::= 'b' | 'd'"),
        [](const std::string& text) {
            const std::size_t half = text.size() / 2;
            if (text.size() % 2 == 0 || text[half] != 'b') return false;
            for (std::size_t i = 0; i < half; ++i)
                if ((text[i] != 'a' && text[i] != 'c') ||
                    (text[half + 1 + i] != 'b' && text[half + 1 + i] != 'd'))
                    return false;
            return true;
        },
        2);
    CHECK_ERROR(errc::invalid_argument,
                gpt2::constraint(gpt2::one_of({"ad", "a"}), test::tokens_of(tokens)));
}

TEST_CASE("a cursor: copies, ends, refusals", "[constraint]") {
    const auto tokens = test::tokens_of({"a", "b", "ab"});
    const gpt2::constraint made(gpt2::matching("ab|abb"), tokens);
    auto at = made.start();
    CHECK(tokens.size() == 4);
    CHECK(test::ids_of(at.allowed()) == std::vector<token_id>{0, 2});
    CHECK(at.tokens_needed() == 1);
    CHECK_FALSE(at.may_end());
    CHECK_ERROR(errc::invalid_argument, at.advance(1));
    CHECK_ERROR(errc::invalid_argument, at.advance(3));
    CHECK_ERROR(errc::token_out_of_range, at.advance(4));
    const auto start = at;
    at.advance(2);
    CHECK(at.may_end());
    CHECK_FALSE(at.is_complete());
    CHECK(test::ids_of(at.allowed()) == std::vector<token_id>{1, 3});
    CHECK(test::ids_of(at.allowed(0)) == std::vector<token_id>{3});
    auto other = at;
    other.advance(3);
    CHECK(other.is_complete());
    CHECK(test::ids_of(other.allowed()).empty());
    CHECK(other.forced().empty());
    at.advance(1);
    CHECK(at.is_complete());
    CHECK(test::ids_of(at.allowed()) == std::vector<token_id>{3});
    CHECK(test::ids_of(start.allowed()) == std::vector<token_id>{0, 2});
    CHECK_THAT(test::refusal([&] { (void)start.allowed(0); }),
               mentions("expected at least 1 tokens to complete the text, found 0 left"));
}

TEST_CASE("forced stretches are cut as the tokenizer cuts them", "[constraint]") {
    const auto tokens = bundled_tokens();
    const std::string head = "Once upon a time there was a ";
    const gpt2::constraint made(gpt2::matching(head + "(?:cat|dog)\\."), tokens);
    auto at = made.start();
    const auto forced = at.forced();
    CHECK(forced == bundled()->encode(head));
    CHECK(at.forced(forced.size()).empty());  // then nothing would be left for the rest
    for (const token_id id : forced) at.advance(id);
    CHECK(at.forced().empty());
    at.advance(bundled()->encode("d").front());
    CHECK(bundled()->decode(at.forced()) == "og.");
    const gpt2::constraint only(gpt2::one_of({"Once upon a time"}), tokens);
    CHECK(bundled()->decode(only.start().forced()) == "Once upon a time");
    const gpt2::constraint odd(gpt2::matching("xxa(?:b|c)?"),
                               test::tokens_of({"xx", "xa", "a", "b"}));
    CHECK(odd.start().forced() == std::vector<token_id>{0, 2});
}

TEST_CASE("random walks always end in a match", "[constraint]") {
    const auto tokens = bundled_tokens();
    const auto bytes = test::all_bytes();
    const std::vector<gpt2::grammar> grammars = {
        gpt2::matching("[A-Z][a-z]+(?: [a-z]+){2,6}[.!?]"),
        gpt2::matching("\\d{4}-\\d{2}-\\d{2}|[^\\x00-\\x7f]{1,4}"),
        gpt2::one_of({"yes", "no", "Lily and Tom went to the park."}),
        gpt2::without({"the", "a", "\n"}) & gpt2::matching(".{3,40}"),
        gpt2::matching("[a-z ]{0,60}") & gpt2::containing({"happy", "sad"}),
        gpt2::ebnf("v ::= '[' (v (', ' v)*)? ']' | [0-9]+ | '\"' [^\"\\n]* '\"'"),
        gpt2::ebnf("v ::= '(' v ')' | 'a'") & gpt2::containing({"((((("}),
    };
    for (const gpt2::grammar& grammar : grammars) {
        const gpt2::constraint made(grammar, tokens), judge(grammar, bytes);
        for (unsigned seed = 0; seed < 12; ++seed) {
            const std::string text = walk(made, *bundled(), seed);
            INFO(text);
            CHECK(test::matches(judge, text));
        }
    }
}

TEST_CASE("with just enough tokens left there is always an end", "[constraint]") {
    const auto tokens = bundled_tokens();
    const std::vector<gpt2::grammar> grammars = {
        gpt2::one_of({"zqx", "Once upon a time there was"}),
        gpt2::matching("[a-z]{5,9}(?:, [a-z]{3}){2}"),
        gpt2::ebnf("v ::= '{' v (';' v)? '}' | 'little girl'"),
        gpt2::containing({"little girl", "happy"}),
    };
    for (const gpt2::grammar& grammar : grammars) {
        const gpt2::constraint made(grammar, tokens);
        const auto least = static_cast<std::size_t>(made.start().tokens_needed());
        CHECK(least > 0);
        CHECK_ERROR(errc::invalid_argument, made.start().allowed(least - 1));
        for (unsigned seed = 0; seed < 6; ++seed)
            for (const std::size_t more : {0, 1, 5}) walk(made, *bundled(), seed, least + more);
    }
    // The text with the fewest tokens is not the one with the fewest bytes.
    const auto few = test::all_bytes({"longest"});
    CHECK(gpt2::constraint(gpt2::one_of({"longest", "abc"}), few).start().tokens_needed() == 1);
}

TEST_CASE("a vocabulary of letters writes what it can", "[constraint]") {
    const auto folder = test::shared_data("data/models/slm4096");
    if (folder.empty()) return;
    const auto letters = std::make_shared<const gpt2::tokenizer>(gpt2::load_tokenizer(folder));
    const gpt2::constraint_tokens tokens(letters);
    const gpt2::constraint made(gpt2::matching("[A-Z0-9][\\w\\xe9 ]{10,20}[.!]"), tokens);
    for (unsigned seed = 0; seed < 10; ++seed) {
        const std::string text = walk(made, *letters, seed);
        CHECK(text.ends_with('.'));  // it has no exclamation mark
    }
    CHECK_ERROR(errc::invalid_argument, gpt2::constraint(gpt2::one_of({"{}"}), tokens));
}

TEST_CASE("threads share a constraint", "[constraint]") {
    const auto tokens = bundled_tokens();
    const gpt2::constraint made(gpt2::ebnf("v ::= '[' (v (',' v)*)? ']' | [0-9]{1,3}"), tokens);
    std::vector<std::string> texts(4);
    const auto run = [&](std::size_t i) {
        auto at = made.start();
        std::mt19937 dice(static_cast<unsigned>(i / 2));
        for (std::size_t left = 40; !at.is_complete(); --left) {
            const auto ids = test::ids_of(at.allowed(left));
            if (ids.empty()) break;
            const token_id id = ids[dice() % ids.size()];
            at.advance(id);
            texts[i] += bundled()->bytes(id);
        }
    };
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < texts.size(); ++i) threads.emplace_back(run, i);
    }
    CHECK(texts[0] == texts[1]);
    CHECK(texts[2] == texts[3]);
}
