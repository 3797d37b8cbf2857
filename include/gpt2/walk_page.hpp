// A walk as one self-contained page: HTML, style, script and data in one string.
//
// The page opens from a file, asks no server and no network, and shows every text as text: nothing
// in the walk can end the script or run. Its parts lie in detail/page/, each a raw string.
//
// Before: core.hpp. The walk's JSON comes from walk_json.hpp, its schema is gpt2-walk/1.
#pragma once

#include "core.hpp"

#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// The language in which a page opens; the reader can switch.
enum class page_language { english, spanish };

struct page_options {
    page_language language = page_language::english;
    std::string title = "gpt2";  ///< of the window, UTF-8
};

namespace detail {

namespace page {

inline constexpr std::string_view style =
#include "detail/page/style.inl"
    ;
inline constexpr std::string_view body =
#include "detail/page/body.inl"
    ;

/// The scripts in the order in which they build on each other.
inline constexpr std::string_view scripts[] = {
#include "detail/page/words_en.inl"
    ,
#include "detail/page/words_es.inl"
    ,
#include "detail/page/data.inl"
    ,
#include "detail/page/parts.inl"
    ,
#include "detail/page/charts.inl"
    ,
#include "detail/page/tokens.inl"
    ,
#include "detail/page/attention.inl"
    ,
#include "detail/page/depth.inl"
    ,
#include "detail/page/choice.inl"
    ,
#include "detail/page/main.inl"
};

/// The page may run what stands in it and load nothing.
inline constexpr std::string_view head =
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'\">\n";

}  // namespace page

/// `text` with `c` written as `other`.
inline std::string replaced(std::string_view text, char c, std::string_view other) {
    std::string out;
    out.reserve(text.size());
    for (const char each : text)
        if (each == c)
            out += other;
        else
            out += each;
    return out;
}

}  // namespace detail

/// The page of a walk, UTF-8, from its JSON, which is not looked into: inside JSON `<` only stands
/// in strings, where \u003c means the same. O(bytes).
inline std::string page_of(std::string_view walk_json, const page_options& how = {}) {
    const std::string_view language = how.language == page_language::spanish ? "es" : "en";
    const std::string title =
        detail::replaced(detail::replaced(how.title, '&', "&amp;"), '<', "&lt;");
    const std::string data = detail::replaced(walk_json, '<', "\\u003c");
    std::string page = "<!doctype html>\n<html lang=\"";
    const auto append = [&page](auto... parts) { (page.append(parts), ...); };
    append(language, "\" data-lang=\"", language, "\">\n<head>\n", detail::page::head);
    append("<title>", title, "</title>\n<style>", detail::page::style, "</style>\n</head>\n<body>");
    append(detail::page::body, "<script type=\"application/json\" id=\"walk\">", data);
    append("</script>\n<script>\n\"use strict\";\n(() => {");
    for (const std::string_view script : detail::page::scripts) page.append(script);
    append("})();\n</script>\n</body>\n</html>\n");
    return page;
}

}  // namespace gpt2::inline GPT2_ABI
