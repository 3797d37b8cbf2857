// walk_page.hpp: that the parts are joined to one page, and that nothing in the data or the title
// can leave its place. What the page does in a browser: check_page.py.

#include "../support/files.hpp"

#include <gpt2/walk_page.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace {

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
    return found;
}

/// What stands between the first `open` and the next `close`.
std::string between(const std::string& text, std::string_view open, std::string_view close) {
    const auto begin = text.find(open);
    REQUIRE(begin != text.npos);
    const auto from = begin + open.size();
    const auto end = text.find(close, from);
    REQUIRE(end != text.npos);
    return text.substr(from, end - from);
}

constexpr std::string_view data_begins = "<script type=\"application/json\" id=\"walk\">";

}  // namespace

TEST_CASE("a page holds its walk, whatever its texts are", "[page]") {
    const nlohmann::json walk = {{"text", "</script><script>alert(1)</script><!--<script>"},
                                 {"more", "a < b && c > d \"quoted\" \\u003c 日本"}};
    const auto page = gpt2::page_of(walk.dump());
    CHECK(nlohmann::json::parse(between(page, data_begins, "</script>")) == walk);
    CHECK(count(page, "<script") == 2);
    CHECK(count(page, "</script>") == 2);
    CHECK(page.find("<!--") == page.npos);
}

TEST_CASE("a page's title and language", "[page]") {
    gpt2::page_options how;
    how.title = "</title><b>&amp;";
    how.language = gpt2::page_language::spanish;
    const auto page = gpt2::page_of("{}", how);
    CHECK(between(page, "<title>", "</title>") == "&lt;/title>&lt;b>&amp;amp;");
    CHECK(page.find("<html lang=\"es\" data-lang=\"es\">") != page.npos);
    CHECK(gpt2::page_of("{}").find("<html lang=\"en\" data-lang=\"en\">") != page.npos);
}

TEST_CASE("a page needs nothing from elsewhere", "[page]") {
    const auto page = gpt2::page_of("{}");
    for (const char* const word : {"https:", "url(", "@import", " src=", "innerHTML",
                                   "insertAdjacentHTML", "document.write", "eval(", "fetch("}) {
        CAPTURE(word);
        CHECK(page.find(word) == page.npos);
    }
    CHECK(count(page, "http:") == count(page, "\"http://www.w3.org/2000/svg\""));
    CHECK(page.find("default-src 'none'") != page.npos);
    CHECK(page.size() < 200'000);
}

TEST_CASE("the page has the same words in both languages", "[page]") {
    const auto page = gpt2::page_of("{}");
    const auto stages = {"normalisation", "tokens",
                         "ids",           "token_embedding",
                         "positions",     "sum",
                         "layer_norm",    "qkv",
                         "attention",     "residual",
                         "heads_joined",  "feed_forward",
                         "lens",          "logits",
                         "softmax",       "sampling",
                         "loop",          "post_processing"};
    for (const std::string stage : stages) {
        CAPTURE(stage);
        CHECK(count(page, "\n  " + stage + ": { title: ") == 2);
        CHECK(count(page, "stages.push({ key: \"" + stage + "\"") == 1);
    }
}

TEST_CASE("parts of the page keep to 500 lines of 100 columns", "[page]") {
    const auto folder = test::source_folder() / "include/gpt2/detail/page";
    std::size_t seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string text = test::read_file(entry.path());
        CAPTURE(entry.path().filename().string());
        CHECK(text.starts_with("R\"page(\n"));
        CHECK(text.ends_with("\n)page\"\n"));
        CHECK(count(text, "\n") <= 500);
        std::size_t columns = 0, widest = 0;
        for (const char c : text) {
            if (c == '\n')
                columns = 0;
            else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80)
                widest = std::max(widest, ++columns);
        }
        CHECK(widest <= 100);
        ++seen;
    }
    CHECK(seen == 12);
}
