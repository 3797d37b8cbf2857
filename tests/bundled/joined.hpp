// The held-out tales as the bundled model reads them.
#pragma once

#include <algorithm>
#include <string>

namespace test {

/// Joins hard-wrapped lines into paragraphs, by the rule of examples/models/prepare.py.
inline std::string joined(const std::string& text) {
    const auto strip = [](std::string line) {
        const auto first = line.find_first_not_of(" \t\r");
        if (first == line.npos) return std::string();
        return line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    };
    std::string out, before;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = strip(text.substr(at, end - at));
        if (!line.empty() && !out.empty())
            out += before.empty() ? "\n\n" : before.size() >= 60 ? " " : "\n";
        out += line;
        before = line;
        at = end + 1;
    }
    return out;
}

}  // namespace test
