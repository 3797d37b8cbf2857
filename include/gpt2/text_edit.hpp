// A text that was changed, and where: what each step of post-processing gives.
//
// Changes stand in the order of the text and do not overlap; applied to the text before they give
// the text after. Places are bytes. Bytes that are no UTF-8 are bytes like any other.
//
// Before: core.hpp. Next: post_process.hpp.
#pragma once

#include "core.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// `from`, at begin..end of the text before, became `to`, at begin_after..end_after of the text
/// after. One of the two may be empty.
struct text_change {
    std::size_t begin = 0, end = 0;
    std::size_t begin_after = 0, end_after = 0;
    std::string from, to;
};

struct edited_text {
    std::string text;
    std::vector<text_change> changes;
};

namespace detail {

/// Copies a text from left to right with changes on the way. What it reads outlives it.
class text_editor {
public:
    explicit text_editor(std::string_view before) : before_(before) {}

    /// Puts `by` in the place of begin..end, which lies behind all earlier changes.
    void replace(std::size_t begin, std::size_t end, std::string_view by) {
        if (before_.substr(begin, end - begin) == by) return;
        std::string& text = made_.text;
        text += before_.substr(done_, begin - done_);
        auto& changes = made_.changes;
        if (changes.empty() || changes.back().end != begin)
            changes.push_back({begin, begin, text.size(), text.size(), {}, {}});
        text_change& change = changes.back();
        change.end = done_ = end;
        change.from += before_.substr(begin, end - begin);
        change.to += by;
        text += by;
        change.end_after = text.size();
    }
    void remove(std::size_t begin, std::size_t end) { replace(begin, end, {}); }

    edited_text take() {
        made_.text += before_.substr(done_);
        return std::move(made_);
    }

private:
    std::string_view before_;
    std::size_t done_ = 0;  // bytes of it that are in the text after
    edited_text made_;
};

/// How many bytes two texts have in common at their beginnings and then at their ends, in whole
/// characters of both.
inline std::pair<std::size_t, std::size_t> common_ends(std::string_view a, std::string_view b) {
    const auto inside = [](std::string_view text, std::size_t at) {  // of a character
        return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    };
    const std::size_t most = std::min(a.size(), b.size());
    std::size_t front = 0, back = 0;
    while (front < most && a[front] == b[front]) ++front;
    while (front > 0 && (inside(a, front) || inside(b, front))) --front;
    while (back < most - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
    while (back > 0 && inside(a, a.size() - back)) --back;
    return {front, back};
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
