// Steps in a row, their reports, steps of one's own, and what must hold for any text at all.
#include "../support/process.hpp"
#include "steps.hpp"

#include <random>
#include <stdexcept>

using gpt2::post_process;
using gpt2::text_step;
using gpt2::verdict;

namespace {

std::vector<text_step> all_steps() {
    const std::vector<std::string> terms = {"wolf", "a", "ab", "\xC3", "."};
    return {
        gpt2::ban_terms(terms, {.replacement = "x", .where = gpt2::term_place::anywhere}),
        gpt2::ban_terms(terms),
        gpt2::remove_repeats(1),
        gpt2::remove_loops(),
        gpt2::repair_punctuation(),
        gpt2::write_measures(),
        gpt2::write_measures({.to = gpt2::language::english, .units = gpt2::unit_form::symbols}),
        gpt2::judge_sentences("short ones",
                              [](std::string_view sentence) {
                                  return sentence.size() < 9 ? verdict::drop : verdict::keep;
                              }),
        gpt2::cut_at_sentence()};
}

}  // namespace

TEST_CASE("each step works on what the one before it left", "[post_process]") {
    const std::vector<std::string> banned = {"horrible"};
    const std::vector<text_step> steps = {gpt2::ban_terms(banned), gpt2::repair_punctuation(),
                                          gpt2::remove_loops(), gpt2::write_measures(),
                                          gpt2::cut_at_sentence()};
    const auto done =
        post_process("El lobo horrible , mide 1.5m y y y y pesa 8gr. Un rey vino y", steps);
    CHECK(done.text == "El lobo, mide 1,5 metros y pesa 8 gramos.");
    REQUIRE(done.steps.size() == 5);
    CHECK(done.steps[0].step == "banned terms");
    CHECK(done.steps[0].before == "El lobo horrible , mide 1.5m y y y y pesa 8gr. Un rey vino y");
    CHECK(done.steps[0].changes.size() == 1);
    for (std::size_t i = 1; i < 5; ++i) {
        CHECK(done.steps[i].before == done.steps[i - 1].after);
        CHECK(!done.steps[i].changes.empty());
    }
    CHECK(done.steps[4].after == done.text);
    CHECK(done.steps[4].changes[0].from == " Un rey vino y");
    CHECK(post_process("a", {}).text == "a");
    CHECK(post_process("a", {}).steps.empty());
}

TEST_CASE("a rewriter of one's own reports what it changed", "[post_process]") {
    const auto to = [](const char* after) {
        return gpt2::rewrite("mine", [=](std::string_view) { return std::string(after); });
    };
    const auto change = to("a fox came").run("a wolf came").changes.at(0);
    CHECK(change.begin == 2);
    CHECK(change.from == "wolf");
    CHECK(change.to == "fox");
    CHECK(test::run(to("same"), "same") == "same");
    CHECK(test::run(to(""), "all gone") == "");
    CHECK(test::run(to("new"), "") == "new");
    CHECK(to("aba").run("a").changes.size() == 1);
    CHECK(test::run(to("aaa"), "aa") == "aaa");
    // Characters of which some bytes are the same are changed whole.
    CHECK(to("canción").run("canciún").changes[0].from == "ú");
    CHECK(to("x\u0105y").run("x\u0205y").changes[0].from == "\u0205");
    CHECK(test::run(to("\x80\xFF"), "\x80\xFE\x80") == "\x80\xFF");
}

TEST_CASE("a classifier of one's own is asked for every sentence", "[post_process]") {
    std::vector<std::string> asked;
    const auto without = [&](const std::string& word) {
        return gpt2::judge_sentences("classifier", [&asked, word](std::string_view sentence) {
            asked.emplace_back(sentence);
            return sentence.find(word) == sentence.npos ? verdict::keep : verdict::drop;
        });
    };
    CHECK(test::run(without("wolf"), "A wolf came. A king slept. The wolf left. Fin.") ==
          "A king slept. Fin.");
    CHECK(asked ==
          std::vector<std::string>{"A wolf came.", "A king slept.", "The wolf left.", "Fin."});
    CHECK(test::run(without("wolf"), " A wolf. A wolf.\n\nA king.\n") == " A king.\n");
    CHECK(test::run(without("wolf"), "A king. A wolf.\n") == "A king.\n");
    CHECK(test::run(without("wolf"), "A wolf.") == "");
    const auto fails = gpt2::judge_sentences(
        "fails", [](std::string_view) -> verdict { throw std::runtime_error("no verdict"); });
    const std::vector<text_step> steps = {fails};
    CHECK_THROWS_AS(post_process("a", steps), std::runtime_error);
    const std::vector<text_step> none = {{"nothing", {}}};
    CHECK_ERROR(gpt2::errc::invalid_argument, post_process("a", none));
}

TEST_CASE("reports are true and steps settle whatever the text", "[post_process]") {
    const std::vector<std::string> parts = {"a",        "B",
                                            "wolf",     " ",
                                            "  ",       "\n",
                                            "\n\n",     "\r\n",
                                            "\t",       ",",
                                            ".",        "...",
                                            "!",        "?",
                                            "¿",        "¡",
                                            "\"",       "'",
                                            "(",        ")",
                                            "«",        "»",
                                            "…",        "5",
                                            "3.5",      "cm",
                                            "é",        "e\u0301",
                                            "\xC3",     "\xFF",
                                            "\xE2\x80", "n't",
                                            "’s",       ":",
                                            ";",        "/",
                                            "。",       "1,2",
                                            "a. B",     " , ",
                                            " . ",      "%",
                                            "°C",       "\u00A0",
                                            "-",        std::string(1, '\0')};
    std::mt19937 random(7);
    const auto steps = all_steps();
    for (int round = 0; round < 4000; ++round) {
        std::string text;
        for (std::size_t size = random() % 24; size > 0; --size)
            text += parts[random() % parts.size()];
        for (const text_step& step : steps) {
            const auto once = step.run(text);
            CAPTURE(step.name, text, once.text);
            if (!test::is_true(text, once)) CHECK(test::is_true(text, once));
            if (step.name != "punctuation" && step.name != "sentence end") continue;
            const auto twice = step.run(once.text);
            if (twice.text != once.text) CHECK(twice.text == once.text);
        }
    }
}

TEST_CASE("time is linear whatever the text", "[post_process]") {
    const auto repeated = [](std::string_view unit, std::size_t bytes) {
        std::string text;
        while (text.size() < bytes) text += unit;
        return text;
    };
    for (const char* const unit : {"a",      "a ",     ". ",       ".",       " ",
                                   "\n",     "A. ",    "((",       "\" ",     "1.1.",
                                   "1 ",     "5 cm ",  ", ",       "¿",       "é. ",
                                   "x.\n\n", "\xFF",   "\xE2\x80", "e\u0301", "a b c d e f g h ",
                                   "Sr. ",   "1\u00A0"}) {
        const std::string text = repeated(unit, 1 << 18);
        for (const text_step& step : all_steps()) {
            CAPTURE(unit, step.name);
            const double seconds = test::cpu_seconds([&] { (void)step.run(text); });
            CHECK(seconds < 2);  // quadratic time would take minutes
        }
    }
}
