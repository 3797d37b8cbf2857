// Source files as text: listing them, cutting them into lines, and telling code from comments and
// literals. Enough for this repository's own sources, no more.
#pragma once

#include "../support/files.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace test {

struct source {
    std::string name;  ///< path below the folder listed, with forward slashes
    std::string text;
};

/// The files below `folder` whose extension is one of `extensions`, sorted by name.
inline std::vector<source> listing(const std::filesystem::path& folder,
                                   const std::set<std::string>& extensions) {
    std::vector<source> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && extensions.contains(entry.path().extension().string()))
            files.push_back({entry.path().lexically_relative(folder).generic_string(),
                             read_file(entry.path())});
    std::sort(files.begin(), files.end(),
              [](const source& a, const source& b) { return a.name < b.name; });
    return files;
}

inline std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    return lines;
}

/// `text` without comments and without the insides of string and character literals.
inline std::string code_of(std::string_view text) {
    std::string code;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == "//") {
            i = std::min(text.find('\n', i), text.size()) - 1;
        } else if (text.substr(i, 2) == "/*") {
            i = std::min(text.find("*/", i + 2), text.size() - 2) + 1;
        } else if (text[i] == '"' ||
                   (text[i] == '\'' &&
                    (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) {
            const char quote = text[i];
            while (++i < text.size() && text[i] != quote && text[i] != '\n')
                if (text[i] == '\\') ++i;
            code += ' ';
        } else {
            code += text[i];
        }
    }
    return code;
}

/// Whether `word` stands in `text` as a whole identifier.
inline bool has_word(std::string_view text, std::string_view word) {
    const auto in_name = [&](std::size_t i) {
        return i < text.size() &&
               (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_');
    };
    for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1))
        if ((at == 0 || !in_name(at - 1)) && !in_name(at + word.size())) return true;
    return false;
}

/// The number of code points in a line of UTF-8.
inline std::size_t columns(std::string_view line) {
    return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

}  // namespace test
