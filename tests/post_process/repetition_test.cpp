// Sentences that come again, and phrases that go round.
#include "steps.hpp"

using gpt2::remove_loops;
using gpt2::remove_repeats;

TEST_CASE("sentences that stood before go", "[post_process]") {
    test::check_all(
        remove_repeats(),
        {{"The king slept. The queen sang. The king slept. All was well.",
          "The king slept. The queen sang. All was well."},
         {"The king slept. THE  KING, slept! The king slept", "The king slept."},
         {"El rey dormía.\n\nEl rey dormía.\n\nLa reina no.", "El rey dormía.\n\nLa reina no."},
         {"Vino el rey. Se fue el rey.\n\nVino el rey. Cayó el rey al mar.",
          "Vino el rey. Se fue el rey.\n\nCayó el rey al mar."},
         {"Vino el rey.\n\nVino el rey. Vino el rey. Cayó el rey.", "Vino el rey.\n\nCayó el rey."},
         {"Vino el rey. Vino el rey.\n", "Vino el rey.\n"},
         {"ÉL ESTABA ALLÍ. Él estaba allí.", "ÉL ESTABA ALLÍ."}});
    test::check_kept(remove_repeats(), {"Yes. Yes. No. No. Oh no. Oh no.", "", " ", "* * *\n* * *",
                                        "The king slept. The king slept well.", "... ... ..."});
    CHECK(test::run(remove_repeats(1), "Yes. Yes. No.") == "Yes. No.");
    CHECK(test::run(remove_repeats(0), "... ... Yes. Yes") == "... ... Yes.");
}

TEST_CASE("of a loop one round stays", "[post_process]") {
    test::check_all(remove_loops(),
                    {{"the cat and the cat and the cat and a dog", "the cat and a dog"},
                     {"no, no, No, he said", "no, he said"},
                     {"very very very very good", "very good"},
                     {"they went home they went home they went home they", "they went home"},
                     {"go home go home go home go away", "go home go away"},
                     {"He was very happy. He was very happy. He", "He was very happy."},
                     {"no yes, no yes, no yes, no", "no yes,"},
                     {"He was very happy! He was very happy.", "He was very happy."},
                     {"a b b b a b b b a b b b c", "a b c"},
                     {"el lobo vino el lobo vino\nel lobo vino y", "el lobo vino y"},
                     {"¡Ay! ¡ay! ¡AY! dijo", "¡Ay! dijo"}});
    test::check_kept(remove_loops(),
                     {"", "a", "no no", "very, very good", "the king and the king", "* * * * * *",
                      "1 1 1 1 1 1", ". . . . . .", "row row your boat row row"});
}

TEST_CASE("what counts as a loop is one's own", "[post_process]") {
    CHECK(test::run(remove_loops({.times = 2}), "no no yes yes") == "no yes");
    CHECK(test::run(remove_loops({.times = 5}), "no no no no") == "no no no no");
    CHECK(test::run(remove_loops({.long_phrase = 2}), "the king the king") == "the king");
    CHECK(test::run(remove_loops({.longest = 1}), "a b a b a b c c c") == "a b a b a b c");
    CHECK_ERROR(gpt2::errc::invalid_argument, remove_loops({.times = 1}));
    CHECK_ERROR(gpt2::errc::invalid_argument, remove_loops({.longest = 0}));
    CHECK_ERROR(gpt2::errc::invalid_argument, remove_loops({.longest = 1025}));
    std::string phrase, text;
    for (int i = 0; i < 64; ++i) phrase += "w" + std::to_string(i) + ' ';
    for (int i = 0; i < 5; ++i) text += phrase;
    CHECK(test::run(remove_loops(), text) == phrase);
}

TEST_CASE("bytes that are no text repeat like any other", "[post_process]") {
    CHECK(test::run(remove_loops(), "a\xFF a\xFF a\xFF b") == "a\xFF b");
    CHECK(test::run(remove_repeats(1), "\xC3 a. \xC3 a. \x80 b") == "\xC3 a. \x80 b");
}
