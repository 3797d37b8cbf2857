// Whether a step's report is true.
#pragma once

#include <gpt2/text_edit.hpp>

#include <cstddef>
#include <string_view>

namespace test {

/// Whether the changes lie in order and apart, name what stood and what stands there, and leave
/// the rest as it was.
inline bool is_true(std::string_view before, const gpt2::edited_text& edited) {
    std::size_t read = 0, written = 0;
    const std::string_view after = edited.text;
    for (const gpt2::text_change& change : edited.changes) {
        if (change.begin < read || change.end < change.begin || change.end > before.size() ||
            change.end_after > after.size() || change.end_after < change.begin_after)
            return false;
        const std::size_t same = change.begin - read;
        if (change.begin_after != written + same ||
            before.substr(read, same) != after.substr(written, same) ||
            before.substr(change.begin, change.end - change.begin) != change.from ||
            after.substr(change.begin_after, change.end_after - change.begin_after) != change.to)
            return false;
        read = change.end;
        written = change.end_after;
    }
    return before.substr(read) == after.substr(written);
}

}  // namespace test
