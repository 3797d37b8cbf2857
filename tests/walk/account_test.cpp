// The account in a terminal: hostile texts show and do nothing, models without tokenizer show ids,
// and what was cut or is no number is said first.
#include "walked.hpp"

#include <explain/account.hpp>

#include <array>
#include <string>
#include <vector>

namespace {

using explain::account;
using explain::language;

constexpr std::array languages = {language::english, language::spanish};

/// Whether a text has nothing in it that could do more than show: no control but the line's end, no
/// mark of direction, no byte that is no UTF-8.
bool is_harmless(const std::string& text) {
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const auto step = gpt2::detail::read_utf8(at, end);
        if (step.what != gpt2::detail::utf8_step::kind::whole) return false;
        const bool mark = (step.point >= 0x200B && step.point <= 0x200F) ||
                          (step.point >= 0x202A && step.point <= 0x202E) ||
                          (step.point >= 0x2066 && step.point <= 0x2069) || step.point == 0xFEFF;
        const bool control = step.point < 0x20 || (step.point >= 0x7F && step.point < 0xA0);
        if (mark || (control && step.point != '\n')) return false;
        at += step.size;
    }
    return true;
}

}  // namespace

TEST_CASE("an account shows hostile texts and does nothing", "[walk][account]") {
    const std::string hostile =
        "\x1b]0;title\x07\x1b[2J\r\b<b>&amp;\xE2\x80\xAE\xE2\x81\xA6txt\xEF\xBB\xBF \xC2\x9B"
        "31m \xFF\xC3( \xF0\x9F\x98";
    CHECK_FALSE(is_harmless(hostile));
    const auto seen =
        gpt2::explain(test::tales(), hostile, {.new_tokens = 2, .window = 200, .post = {}});
    for (const auto in : languages) {
        const auto text = account(seen, in);
        CHECK(is_harmless(text));
        CHECK_THAT(text, test::mentions("\\x1b") && test::mentions("\\u202e") &&
                             test::mentions("\\xff") && test::mentions("<b>&amp;"));
    }
}

TEST_CASE("an account of ids shows ids", "[walk][account]") {
    const auto model = test::nameless_model();
    const auto seen = gpt2::explain(model, std::vector<gpt2::token_id>{3, 17, 5});
    CHECK_THAT(account(seen, language::english),
               test::mentions("has no tokenizer") && test::mentions("#17"));
    CHECK_THAT(account(seen, language::spanish), test::mentions("no tiene tokenizador"));
    const auto one = gpt2::explain(model, std::vector<gpt2::token_id>{3}, {.new_tokens = 0});
    CHECK_THAT(account(one, language::english), test::mentions("(nothing was written)"));
}

TEST_CASE("an account says first what was cut and what is no number", "[walk][account]") {
    const auto model = test::nameless_model([](test::random_weights& weights) {
        for (auto& x : weights.find("h.1.mlp.c_fc.weight").values) x = 3e38f;
    });
    const auto seen = gpt2::explain(model, test::random_ids(model.config(), 40));
    CHECK_THAT(account(seen, language::english),
               test::mentions("Only the last 32 of 40 positions are shown.") &&
                   test::mentions("arises in h.1.c_fc at position 0") &&
                   test::mentions("on positions that are not shown") &&
                   test::mentions("no finite number"));
    CHECK_THAT(account(seen, language::spanish),
               test::mentions("Solo se muestran las últimas 32 de 40 posiciones.") &&
                   test::mentions("surge en h.1.c_fc, posición 0"));
}
