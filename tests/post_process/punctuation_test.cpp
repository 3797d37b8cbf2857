// White space and punctuation put right, and what must not be touched.
#include "steps.hpp"

using gpt2::repair_punctuation;

TEST_CASE("spaces around marks", "[post_process]") {
    test::check_all(repair_punctuation(), {{"Hello , world !", "Hello, world!"},
                                           {"Hello,world;yes", "Hello, world; yes"},
                                           {"one  two\t three", "one two three"},
                                           {"the end.Then he", "the end. Then he"},
                                           {"( a ) and [ b ]", "(a) and [b]"},
                                           {"a ,, b , , c ,. d", "a, b, c. d"},
                                           {"the end . . He", "the end. He"},
                                           {"the end.. He", "the end. He"},
                                           {"Wait . . . what", "Wait ... what"},
                                           {"What ? !", "What?!"},
                                           {"He is : tall", "He is: tall"},
                                           {"do n't , he 's and I 'll", "don't, he's and I'll"},
                                           {"he ’s", "he’s"},
                                           {"I saw , and", "I saw, and"}});
}

TEST_CASE("Spanish marks stay, and stand where they belong", "[post_process]") {
    test::check_all(repair_punctuation(), {{"¿ Qué hora es ?", "¿Qué hora es?"},
                                           {"Hola ,¿qué tal ?¡Bien !", "Hola, ¿qué tal? ¡Bien!"},
                                           {"hola¿qué", "hola ¿qué"},
                                           {"« Ven » , dijo", "«Ven», dijo"},
                                           {"¡¿ Qué ?!", "¡¿Qué?!"}});
    test::check_kept(repair_punctuation(), {"¿Qué? ¡No!", "—¿Quién eres? —dijo.", "¡Ay!, dijo."});
}

TEST_CASE("quotes in pairs lose their inner spaces", "[post_process]") {
    test::check_all(repair_punctuation(),
                    {{"\" Come , \" said he , \" now . \"", "\"Come,\" said he, \"now.\""},
                     {"( \" Yes \" )", "(\"Yes\")"},
                     {"a \" b\n\nc \" d \" e", "a \" b\n\nc \"d\" e"}});
    test::check_kept(repair_punctuation(), {"a \" b", "5\" pipe", "said\" a \"and"});
}

TEST_CASE("lines lose their tails and keep their indentation", "[post_process]") {
    test::check_all(repair_punctuation(), {{"a  \nb\t", "a\nb"},
                                           {"a\n\n\n\n\nb", "a\n\nb"},
                                           {"a \n \n\t\n  b  c", "a\n\n  b c"},
                                           {"a \r\n\r\n\r\nb \r\n", "a\r\n\r\nb\r\n"},
                                           {" a b  ", " a b"}});
    test::check_kept(repair_punctuation(), {"", " ", "\n\n\n", "  a\n    b", "\ta", "a\n, b\n. c"});
}

TEST_CASE("names, numbers and code stay", "[post_process]") {
    test::check_kept(repair_punctuation(), {"see http://a.b/c,d and x@y.es",
                                            "1,234.5 and 10:30",
                                            "example.com",
                                            "e.g. this",
                                            "U.S.A.",
                                            "the .txt file of .NET",
                                            "std::map<a,b>",
                                            "a :) b ;-) :(",
                                            "f(x)",
                                            "!important ?x=1",
                                            "a [ ] b",
                                            "and ... then",
                                            "and...then",
                                            "Node.js 3.5",
                                            "C++ C# *a ,b*",
                                            "- item\n* item",
                                            "etc., and",
                                            "a,5",
                                            "no. ,5",
                                            "...",
                                            "? !x",
                                            "What ?No .Yes"});
}

TEST_CASE("bytes that are no UTF-8 are letters", "[post_process]") {
    test::check_all(repair_punctuation(),
                    {{"\xFF , \xC3 .", "\xFF, \xC3."}, {"\xE2\x80 ( \x80 )", "\xE2\x80 (\x80)"}});
}
