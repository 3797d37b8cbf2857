// What post-processing changed, as a text for people and as JSON for programs.
//
// Both are UTF-8 whatever the texts are: bytes that are none are U+FFFD in JSON and, as controls
// are, escapes in the text for people. Places count bytes of the text before the step.
//
// Before: post_process.hpp, detail/json_writer.hpp, detail/visible_text.hpp.
#pragma once

#include "detail/json_writer.hpp"
#include "detail/utf8_stream.hpp"
#include "detail/visible_text.hpp"
#include "post_process.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// The text with U+FFFD for what is no UTF-8.
inline std::string as_utf8(std::string_view text) {
    utf8_stream whole;
    std::string shown = whole.push(text);
    return shown += whole.finish();
}

/// The reports as an array of objects: step, before, after, changes with begin, end, from, to.
inline void write_reports(json_writer& json, std::span<const step_report> reports) {
    json.open('[');
    for (const step_report& one : reports) {
        json.open('{').member("step", one.step);
        json.member("before", as_utf8(one.before)).member("after", as_utf8(one.after));
        json.key("changes").open('[');
        for (const text_change& change : one.changes) {
            json.open('{').member("begin", change.begin).member("end", change.end);
            json.member("from", as_utf8(change.from)).member("to", as_utf8(change.to)).close();
        }
        json.close().close();
    }
    json.close();
}

}  // namespace detail

/// One object: the text at the end, and what each step did.
inline std::string to_json(const processed_text& done) {
    detail::json_writer json;
    json.open('{').member("text", detail::as_utf8(done.text)).key("steps");
    detail::write_reports(json, done.steps);
    return json.close().take();
}

/// A line for each step and each change.
inline std::string to_text(const processed_text& done) {
    std::string text;
    for (const step_report& one : done.steps) {
        const std::size_t count = one.changes.size();
        text += detail::as_utf8(one.step) + ": " + (count == 0 ? "no" : std::to_string(count)) +
                (count == 1 ? " change\n" : " changes\n");
        for (const text_change& change : one.changes)
            text += "  " + std::to_string(change.begin) + ".." + std::to_string(change.end) +
                    " \"" + detail::visible(change.from) + "\" -> \"" + detail::visible(change.to) +
                    "\"\n";
    }
    return text;
}

}  // namespace gpt2::inline GPT2_ABI
