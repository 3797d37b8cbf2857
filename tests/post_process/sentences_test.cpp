// Where sentences end, and a text that is cut there.
#include "steps.hpp"

using gpt2::cut_at_sentence;

namespace {

std::vector<std::string> sentences(std::string_view text) {
    std::vector<std::string> found;
    for (const auto& one : gpt2::detail::sentences_in(text))
        found.emplace_back(text.substr(one.begin, one.end - one.begin));
    return found;
}

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("a sentence ends at a stop before white space and no small letter", "[post_process]") {
    CHECK(sentences("One. Two! Three? Four") == list{"One.", "Two!", "Three?", "Four"});
    CHECK(sentences(" One.  \n Two.\n") == list{"One.", "Two."});
    CHECK(sentences("It is 3.14 or so. Yes.") == list{"It is 3.14 or so.", "Yes."});
    CHECK(sentences("Wait... what? No… yes") == list{"Wait... what?", "No… yes"});
    CHECK(sentences("Wait... What?! No!!! \"Oh.\"") ==
          list{"Wait...", "What?!", "No!!!", "\"Oh.\""});
    CHECK(sentences("See example.com now.Or never. A.") ==
          list{"See example.com now.Or never.", "A."});
    CHECK(sentences("我来了。他走了！谁？") == list{"我来了。", "他走了！", "谁？"});
    CHECK(sentences("").empty());
    CHECK(sentences(" \n\t ").empty());
    CHECK(sentences("...") == list{"..."});
    CHECK(sentences("In 1999. Then") == list{"In 1999.", "Then"});
}

TEST_CASE("quotes and brackets close behind a stop, and speech goes on", "[post_process]") {
    CHECK(sentences("\"Come.\" He came. 'Go!' (So.) «Ya.» Fin.") ==
          list{"\"Come.\"", "He came.", "'Go!'", "(So.)", "«Ya.»", "Fin."});
    CHECK(sentences("“Who?” said he. «¿Quién?» dijo él. —¡Ven! —gritó.") ==
          list{"“Who?” said he.", "«¿Quién?» dijo él.", "—¡Ven! —gritó."});
    CHECK(sentences("¡Hola! ¿qué tal? Bien.") == list{"¡Hola!", "¿qué tal?", "Bien."});
    CHECK(sentences("Ella vino. Él no. Ñandú.") == list{"Ella vino.", "Él no.", "Ñandú."});
    CHECK(sentences("Vino ella. él no.") == list{"Vino ella. él no."});
}

TEST_CASE("abbreviations, initials and lists end nothing", "[post_process]") {
    CHECK(sentences("Dr. Who met Mrs. Hudson, e.g. Here. So.") ==
          list{"Dr. Who met Mrs. Hudson, e.g. Here.", "So."});
    CHECK(sentences("El Sr. Gómez y la Dra. Ruiz. Fin.") ==
          list{"El Sr. Gómez y la Dra. Ruiz.", "Fin."});
    CHECK(sentences("Vive en EE. UU. desde 2001. Sí.") ==
          list{"Vive en EE. UU. desde 2001.", "Sí."});
    CHECK(sentences("J. R. R. Tolkien. J.R.R. Tolkien. It was I. He") ==
          list{"J. R. R. Tolkien.", "J.R.R. Tolkien.", "It was I.", "He"});
    CHECK(sentences("Véase pág. 5 y núm. 7. Dijo que no. Fin.") ==
          list{"Véase pág. 5 y núm. 7.", "Dijo que no.", "Fin."});
    CHECK(sentences("Gatos, perros, etc. Todo. Lobos, etc. y más.") ==
          list{"Gatos, perros, etc.", "Todo.", "Lobos, etc. y más."});
    CHECK(sentences("1. First one. 2. Second.") == list{"1. First one.", "2. Second."});
    CHECK(sentences("A title\n\nThe text. At 5 p.m. He came.") ==
          list{"A title", "The text.", "At 5 p.m.", "He came."});
}

TEST_CASE("a text is cut behind its last finished sentence", "[post_process]") {
    const auto cut = [](const char* text) { return test::run(cut_at_sentence(), text); };
    CHECK(cut("The wolf came. The king was") == "The wolf came.");
    CHECK(cut("The wolf came. \"Who is") == "The wolf came.");
    CHECK(cut("The wolf came.") == "The wolf came.");
    CHECK(cut("The wolf came.\n") == "The wolf came.\n");
    CHECK(cut(" Vino. Habló con el Sr.") == " Vino.");
    CHECK(cut("Vino.\n\nUn título\n\nY") == "Vino.");
    CHECK(cut("no end in sight") == "no end in sight");
    CHECK(cut("") == "");
    CHECK(test::run(cut_at_sentence(2), "A b. C d. E f. G") == "A b. C d.");
    CHECK(test::run(cut_at_sentence(9), "A b. C d. E") == "A b. C d.");
    CHECK(test::run(cut_at_sentence(1), "\xFF\xFE. \xC3 Go") == "\xFF\xFE.");
    CHECK_ERROR(gpt2::errc::invalid_argument, cut_at_sentence(0));
}
