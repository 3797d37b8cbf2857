// Pickles: what each instruction makes, and that nothing else is taken. The pickles are written
// by hand, with the letters that Python's pickletools gives the instructions.
#include "../support/catch.hpp"
#include "safetensors_builder.hpp"

#include <gpt2/detail/pickle.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>

using gpt2::errc;
using gpt2::detail::pickle_document;
using gpt2::detail::pickle_kind;
using gpt2::detail::pickle_limits;
using namespace std::string_literals;

namespace {

constexpr std::array<std::string_view, 2> known = {"some.thing", "other.thing"};

pickle_document parsed(const std::string& bytes) {
    return gpt2::detail::pickle_reader(std::make_shared<const std::string>(bytes), 0, "test.pkl",
                                       known)
        .read();
}
std::string message_of(const std::string& bytes) {
    return test::message_of([&] { parsed(bytes); });
}

}  // namespace

TEST_CASE("constants", "[files][pickle]") {
    CHECK(parsed("N.").root().is(pickle_kind::none));
    CHECK(parsed("\x80\x02\x88.").root().boolean() == true);
    CHECK(parsed("\x89.").root().boolean() == false);
    CHECK(parsed("K\xff.").root().integer() == 255);
    CHECK(parsed("M\xff\xff.").root().integer() == 65535);
    CHECK(parsed("J\xff\xff\xff\xff.").root().integer() == -1);
    CHECK(parsed("\x8a\x00."s).root().integer() == 0);
    CHECK(parsed("\x8a\x01\xff.").root().integer() == -1);
    CHECK(parsed("\x8a\x02\xff\x00."s).root().integer() == 255);
    CHECK(parsed("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."s).root().integer() == INT64_MIN);
    const auto big = parsed(
        "\x8a\x09"
        "123456789.");
    CHECK(big.root().is(pickle_kind::big_integer));
    CHECK(big.root().raw() == "123456789");
    CHECK(parsed("G\xbf\xf8\x00\x00\x00\x00\x00\x00."s).root().real() == -1.5);
    CHECK(parsed("N.").root().integer() == std::nullopt);
}

TEST_CASE("texts and bytes", "[files][pickle]") {
    for (const auto& bytes :
         {"X\x02\x00\x00\x00hi."s, "\x8c\x02hi."s, "U\x02hi."s, "T\x02\x00\x00\x00hi."s,
          "\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."s}) {
        const auto document = parsed(bytes);
        CHECK(document.root().text() == "hi");
        CHECK(document.end == bytes.size());
    }
    for (const auto& bytes :
         {"B\x02\x00\x00\x00hi."s, "C\x02hi."s, "\x8e\x02\x00\x00\x00\x00\x00\x00\x00hi."s}) {
        const auto document = parsed(bytes);
        CHECK(document.root().is(pickle_kind::bytes));
        CHECK(document.root().raw() == "hi");
    }
}

TEST_CASE("containers", "[files][pickle]") {
    for (const char* bytes : {"(K\x01K\x02t.", "K\x01K\x02\x86.", "(K\x01K\x02l.",
                              "](K\x01K\x02"
                              "e.",
                              "]K\x01"
                              "aK\x02"
                              "a."}) {
        const auto document = parsed(bytes);
        REQUIRE(document.root().size() == 2);
        CHECK(document.root()[0].integer() == 1);
        CHECK(document.root()[1].integer() == 2);
    }
    for (const char* bytes : {"}(\x8c\x01"
                              "aK\x01\x8c\x01"
                              "bK\x02u.",
                              "(\x8c\x01"
                              "aK\x01\x8c\x01"
                              "bK\x02"
                              "d.",
                              "}\x8c\x01"
                              "aK\x01s\x8c\x01"
                              "bK\x02s.",
                              "ccollections\nOrderedDict\n)R(\x8c\x01"
                              "aK\x01\x8c\x01"
                              "bK\x02u}b."}) {
        const auto document = parsed(bytes);
        REQUIRE(document.root().is(pickle_kind::dict));
        CHECK(document.root().size() == 4);
        CHECK(document.root().find("a")->integer() == 1);
        CHECK(document.root().find("b")->integer() == 2);
        CHECK_FALSE(document.root().find("c"));
    }
    CHECK(parsed("}(\x8c\x01"
                 "aK\x01\x8c\x01"
                 "aK\x02u.")
              .root()
              .find("a")
              ->integer() == 2);
}

TEST_CASE("memo, marks and what is dropped", "[files][pickle]") {
    CHECK(parsed("K\x05q\x00"
                 "0h\x00."s)
              .root()
              .integer() == 5);
    CHECK(parsed("K\x05\x94K\x06\x94"
                 "0h\x00."s)
              .root()
              .integer() == 5);
    CHECK(parsed("K\x05r\x00\x00\x00\x00"
                 "0j\x00\x00\x00\x00."s)
              .root()
              .integer() == 5);
    CHECK(parsed("K\x05(K\x06K\x07"
                 "1.")
              .root()
              .integer() == 5);
    CHECK(parsed("K\x05"
                 "2\x86.")
              .root()[1]
              .integer() == 5);
    const auto circle = parsed(
        "]q\x00h\x00"
        "a."s);
    CHECK(circle.root()[0][0][0].size() == 1);  // a list that holds itself
}

TEST_CASE("names are noted, never looked up", "[files][pickle]") {
    for (const auto& bytes : {"cother\nthing\n."s, "\x8c\x05other\x8c\x05thing\x93."s})
        CHECK(parsed(bytes).root().name() == std::size_t{1});
    const auto document = parsed("csome\nthing\nK\x07\x85R.");
    CHECK(document.root().is(pickle_kind::call));
    CHECK(document.root()[0].name() == std::size_t{0});
    CHECK(document.root()[1][0].integer() == 7);
    CHECK(parsed("K\x07Q.").root().is(pickle_kind::persistent));
    for (const char* bytes :
         {"cposix\nsystem\n(X\x02\x00\x00\x00lst", "c__builtin__\neval\n.", "cbuiltins\nexec\n.",
          "csome\nthing2\n.", "csome.thing\n\n.", "cother.\nthing\n.", "ctorch\nload\n."})
        CHECK_ERROR(errc::unsupported, parsed(bytes));
    CHECK_THAT(message_of("cposix\nsystem\n."), test::mentions("\"posix.system\""));
    CHECK_THAT(message_of("\x8c\x02os\x8c\x06system\x93."), test::mentions("\"os.system\""));
    CHECK_ERROR(errc::bad_weights, parsed("K\x01)R."));
    CHECK_ERROR(errc::bad_weights, parsed("csome\nthing\n]R."));
    CHECK_ERROR(errc::bad_weights, parsed("K\x01K\x02\x93."));
    CHECK_ERROR(errc::unsupported, parsed("ccollections\nOrderedDict\n]\x85R."));
    CHECK_ERROR(errc::unsupported, parsed("]}b."));
    CHECK_ERROR(errc::unsupported, parsed("csome\nthing\n)R}b."));
}

TEST_CASE("every other instruction is refused by its number", "[files][pickle]") {
    const std::string taken =
        "\x80\x95N\x88\x89KMJ\x8aG\x8cUCXTB\x8d\x8e()\x85\x86\x87t]l}d"
        "aesu012qr\x94hjc\x93RbQ.";
    for (int code = 0; code < 256; ++code) {
        if (taken.find(static_cast<char>(code)) != taken.npos) continue;
        const std::string bytes(20, static_cast<char>(code));
        CHECK_ERROR(errc::unsupported, parsed(bytes));
        CHECK_THAT(message_of(bytes), test::mentions("instruction " + std::to_string(code) + " ("));
    }
    CHECK_THAT(message_of("\x81"), test::mentions("NEWOBJ"));
    CHECK_THAT(message_of("ios\nsystem\n"), test::mentions("INST"));
    for (const char version : {'\0', '\1', '\5', '\xff'})
        CHECK_ERROR(errc::unsupported, parsed("\x80"s + version + "N."));
}

TEST_CASE("a machine that cannot be broken", "[files][pickle]") {
    for (const auto& bytes : {"."s,
                              "0."s,
                              "2."s,
                              "t."s,
                              "(."s,
                              "1."s,
                              "\x85."s,
                              "K\x01\x86."s,
                              "K\x01("s + "0."s,
                              "a."s,
                              "K\x01K\x02"
                              "a."s,
                              "]K\x01s."s,
                              "}K\x01"
                              "a."s,
                              "}(K\x01u."s,
                              "(K\x01"
                              "d."s,
                              "h\x00."s,
                              "K\x01q\x01."s,
                              "K\x01r\xff\xff\xff\xff."s,
                              "j\xff\xff\xff\xff."s,
                              "q\x00."s,
                              "R."s,
                              "b."s,
                              "Q."s,
                              "\x93."s,
                              "K\x01(\x85."s,
                              "K\x01(q\x00."s,
                              "e."s,
                              "]e."s})
        CHECK_ERROR(errc::bad_weights, parsed(bytes));
    for (const auto& bytes : {""s, "N"s, "\x80"s, "K"s, "M\x01"s, "J\x01\x02\x03"s, "\x8a"s,
                              "\x8a\x05"
                              "1234"s,
                              "G1234567"s,
                              "X\x05\x00\x00\x00"
                              "1234"s,
                              "X\xff\xff\xff\xffx"s, "\x8d\xff\xff\xff\xff\xff\xff\xff\xffx"s,
                              "\x8e\x00\x00\x00\x00\x00\x00\x00\x80x"s,
                              "\x8c\x05"
                              "1234"s,
                              "q"s, "\x95\x01\x02"s})
        CHECK_ERROR(errc::truncated, parsed(bytes));
    CHECK_ERROR(errc::bad_weights, parsed("cno end of line"));
    CHECK_ERROR(errc::bad_weights, parsed("c" + std::string(300, 'x') + "\nx\n."));
}

TEST_CASE("instructions are counted", "[files][pickle]") {
    const std::string most(pickle_limits::instructions - 1, 'N');
    CHECK(parsed(most + ".").nodes.size() == most.size());
    CHECK_ERROR(errc::limit_exceeded, parsed(most + "N."));
    CHECK_ERROR(errc::limit_exceeded, parsed(std::string(pickle_limits::instructions + 1, '(')));
}
