// Normal forms, lower case and marks against Hugging Face tokenizers on every code point and on
// strings; what holds whatever the tables say; hostile texts.
#include "../support/sanitized.hpp"
#include "reference_cases.hpp"

#include <gpt2/detail/graphemes.hpp>
#include <gpt2/detail/normalization.hpp>

#include <chrono>
#include <functional>
#include <map>

using namespace gpt2::detail;

namespace {

using function = std::function<std::string(std::string_view)>;

function form(normal_form to) {
    return [to](std::string_view text) { return normalized(text, to); };
}

const std::map<std::string, function>& functions() {
    static const std::map<std::string, function> all = {
        {"nfc", form(normal_form::nfc)},
        {"nfd", form(normal_form::nfd)},
        {"nfkc", form(normal_form::nfkc)},
        {"nfkd", form(normal_form::nfkd)},
        {"lowercased", lowercased},
        {"without_marks", without_marks},
        {"bert_accents",
         [](std::string_view text) {
             return without_nonspacing_marks(normalized(text, normal_form::nfd));
         }},
    };
    return all;
}

/// The code points of a block, each on a line: alone, then with a letter before and an accent
/// behind.
std::string block(char32_t first) {
    std::string alone, among;
    for (char32_t point = first; point < first + 0x1000; ++point) {
        if (point >= 0xD800 && point < 0xE000) continue;
        append_utf8(alone, point);
        alone += '\n';
        among += 'a';
        append_utf8(among, point);
        among += "\u0301\n";
    }
    return alone + among;
}

double seconds(const std::function<void()>& action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("every code point is normalised as Hugging Face tokenizers does it") {
    for (const auto& [name, expected] : test::reference_cases().at("forms").items()) {
        const auto blocks = expected.at("blocks").get<std::string>();
        REQUIRE(blocks.size() == 0x110 * 8);
        for (unsigned i = 0; i < 0x110; ++i) {
            if (test::sanitized && i > 0x33 && i < 0xE0) continue;  // without characters, and slow
            INFO(name << ", block " << i);
            char hash[9];
            const std::string text = functions().at(name)(block(char32_t{i * 0x1000}));
            std::snprintf(hash, sizeof hash, "%08x", static_cast<unsigned>(test::fnv(text)));
            REQUIRE(blocks.substr(i * 8, 8) == hash);
        }
    }
}

TEST_CASE("strings are normalised as Hugging Face tokenizers does it") {
    for (const auto& [name, expected] : test::reference_cases().at("forms").items()) {
        INFO(name);
        test::check_hashes(test::reference_texts(), expected.at("strings"), functions().at(name));
    }
}

TEST_CASE("normal forms: the examples of the standard") {
    CHECK(normalized("e\u0301", normal_form::nfc) == "é");
    CHECK(normalized("\u212B", normal_form::nfc) == "Å");
    CHECK(normalized("\u1E69", normal_form::nfd) == "s\u0323\u0307");
    CHECK(normalized("\u1E0B\u0323", normal_form::nfc) == "\u1E0D\u0307");
    CHECK(normalized("\u0958", normal_form::nfc) == "\u0915\u093C");  // never composed
    CHECK(normalized("한글", normal_form::nfd) == "\u1112\u1161\u11AB\u1100\u1173\u11AF");
    CHECK(normalized("\u1112\u1161\u11AB\u1100\u1173\u11AF", normal_form::nfc) == "한글");
    CHECK(normalized("ﬁ①ﷺ", normal_form::nfkc) == "fi1صلى الله عليه وسلم");
    CHECK(normalized("\u1E9B\u0323", normal_form::nfkc) == "\u1E69");
    CHECK(normalized("\u1E9B\u0323", normal_form::nfd) == "\u017F\u0323\u0307");
}

TEST_CASE("normal forms are stable, and composing undoes nothing that decomposing did") {
    for (const std::string& text : test::reference_texts())
        for (const bool compatible : {false, true}) {
            const auto composed = compatible ? normal_form::nfkc : normal_form::nfc;
            const auto apart = compatible ? normal_form::nfkd : normal_form::nfd;
            const std::string one = normalized(text, composed), two = normalized(text, apart);
            REQUIRE(normalized(one, composed) == one);
            REQUIRE(normalized(two, apart) == two);
            REQUIRE(normalized(two, composed) == one);
            REQUIRE(normalized(one, apart) == two);
        }
}

TEST_CASE("bytes that are no UTF-8 stay, and nothing passes them") {
    for (const auto& [name, act] : functions()) {
        INFO(name);
        CHECK(act("\xFF\xC3") == "\xFF\xC3");
        CHECK(act("\xED\xA0\x80\xF4\x90\x80\x80") == "\xED\xA0\x80\xF4\x90\x80\x80");
    }
    CHECK(normalized("e\xFF\u0301", normal_form::nfc) == "e\xFF\u0301");
    CHECK(normalized("\u0301\xC3\u0323", normal_form::nfd) == "\u0301\xC3\u0323");
    CHECK(lowercased("A\xC3") == "a\xC3");
}

TEST_CASE("lower case looks at one character") {
    CHECK(lowercased("ΑΣ İ ẞ Ǆ") == "ασ i\u0307 ß ǆ");  // no final sigma
    CHECK(lowercased(std::string("\0Z", 2)) == std::string("\0z", 2));
}

TEST_CASE("classes of characters") {
    for (const char32_t point : {U'!', U'$', U'~', U'«', U'。', U'\u2014'})
        CHECK(is_punctuation(point));
    for (const char32_t point : {U'a', U'0', U' ', U'€', U'\u0301'})
        CHECK_FALSE(is_punctuation(point));
    for (const char32_t point : {U'\0', U'\n', U'\u00AD', U'\u200B', U'\uE000'})
        CHECK(is_control(point));
    for (const char32_t point : {U' ', U'a', U'\uFFFD', U'\u0378'}) CHECK_FALSE(is_control(point));
    CHECK((is_chinese(U'漢') && is_chinese(0x20000) && !is_chinese(U'の') && !is_chinese(U'한')));
    CHECK((is_mark(0x301) && is_mark(0x903) && is_nonspacing_mark(0x301)));
    CHECK((!is_nonspacing_mark(0x903) && !is_mark(U'a')));
}

TEST_CASE("a million marks on one letter take a moment") {
    std::string text = "a";
    for (int i = 0; i < 500000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
    for (const auto to : {normal_form::nfc, normal_form::nfd}) {
        std::string out;
        CHECK(seconds([&] { out = normalized(text, to); }) < 5);
        CHECK(out.starts_with(to == normal_form::nfc ? "\u1EA1\u0323" : "a\u0323\u0323"));
        CHECK(out.ends_with("\u0301\u0301"));
    }
    text.clear();
    for (int i = 0; i < 500000; ++i) text += "\u1100\u1161\u11A8";
    CHECK(seconds([&] { (void)normalized(text, normal_form::nfc); }) < 5);
}

TEST_CASE("grapheme clusters end where the standard has them end") {
    const auto sizes = [](std::string_view text) {
        std::vector<std::size_t> out;
        for (; !text.empty(); text.remove_prefix(out.back())) out.push_back(grapheme_size(text));
        return out;
    };
    using list = std::vector<std::size_t>;
    CHECK(sizes("ab") == list{1, 1});
    CHECK(sizes("a\u0301\u0323b") == list{5, 1});
    CHECK(sizes("\r\n\n\r") == list{2, 1, 1});
    CHECK(sizes("\n\u0301") == list{1, 2});
    CHECK(sizes("\u1100\u1161\u11A8\u1100") == list{9, 3});
    CHECK(sizes("각\u11A8가") == list{6, 3});
    CHECK(sizes("\U0001F1E6\U0001F1E7\U0001F1E8") == list{8, 4});
    CHECK(sizes("❤\u200D\u2764a\u200D❤") == list{9, 4, 3});
    CHECK(sizes("\u0915\u094D\u0915\u0915") == list{9, 3});
    CHECK(sizes("\u0600a\u0600\n") == list{3, 2, 1});
    CHECK(sizes("a\xFF\u0301") == list{1, 1, 2});
}
