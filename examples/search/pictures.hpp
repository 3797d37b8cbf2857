// What a search looks like in a terminal: texts in columns side by side, and the tree of beams.
#pragma once

#include <gpt2/search.hpp>

#include <algorithm>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pictures {

/// Places on a screen that a text takes: its characters, each taken for one column wide.
inline std::size_t width_of(std::string_view text) {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

/// Up to `width` characters of a text, and the bytes they take.
inline std::size_t bytes_of(std::string_view text, std::size_t width) {
    std::size_t at = 0;
    for (; at < text.size() && width > 0; --width) do
            ++at;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    return at;
}

/// The text in lines of at most `width` characters, cut between words where that is possible.
inline std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    std::istringstream paragraphs{std::string(text)};
    for (std::string paragraph; std::getline(paragraphs, paragraph);) {
        std::string line;
        std::istringstream words(paragraph);
        for (std::string word; words >> word;) {
            if (!line.empty() && width_of(line) + 1 + width_of(word) > width)
                lines.push_back(std::exchange(line, ""));
            if (!line.empty()) line += ' ';
            line += word;
            while (width_of(line) > width) {
                const auto cut = bytes_of(line, width);
                lines.push_back(line.substr(0, cut));
                line.erase(0, cut);
            }
        }
        lines.push_back(line);
    }
    return lines;
}

/// A column: its head, and the text below.
struct column {
    std::vector<std::string> head;
    std::string text;
};

/// Prints columns side by side, as many in a row as `screen` characters allow.
inline void print(const std::vector<column>& columns, std::size_t screen) {
    constexpr std::size_t least = 26, gap = 2;
    const auto fit = std::clamp<std::size_t>((screen + gap) / (least + gap), 1, columns.size());
    const auto width = std::max((screen + gap) / fit, least + gap) - gap;
    for (std::size_t first = 0; first < columns.size(); first += fit) {
        std::vector<std::vector<std::string>> shown;
        std::size_t height = 0;
        for (auto i = first; i < std::min(columns.size(), first + fit); ++i) {
            auto lines = columns[i].head;
            lines.push_back(std::string(width, '-'));
            for (auto& line : wrapped(columns[i].text, width)) lines.push_back(std::move(line));
            height = std::max(height, lines.size());
            shown.push_back(std::move(lines));
        }
        if (first > 0) std::cout << '\n';
        for (std::size_t row = 0; row < height; ++row) {
            std::string line;
            for (std::size_t i = 0; i < shown.size(); ++i) {
                const auto& part = row < shown[i].size() ? shown[i][row] : std::string();
                line += part;
                if (i + 1 < shown.size())
                    line.append(width + gap - std::min(width_of(part), width), ' ');
            }
            std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
        }
    }
}

/// The beams of a search as a tree that grows by one level a step.
class tree {
public:
    /// Takes what the callback of beam_search is given.
    void add(const gpt2::beam_step& step) {
        std::vector<std::size_t> now;
        for (const auto& one : step.running) now.push_back(node_of(one));
        for (const auto& one : step.finished) node_of(one);
        running_ = std::move(now);
    }

    /// Prints it. A branch that nobody followed is marked with ×, a text that ended with its score.
    void print(const gpt2::tokenizer* words) const { print(0, "", words); }

private:
    struct node {
        gpt2::token_id token = 0;
        double score = 0;
        std::optional<gpt2::finish> why = {};
        std::vector<std::size_t> next = {};
    };

    std::size_t node_of(const gpt2::beam_view& one) {
        const auto made = nodes_.size();
        nodes_.push_back({one.token, one.score, one.why});
        nodes_[running_[one.parent]].next.push_back(made);
        return made;
    }

    void print(std::size_t at, const std::string& indent, const gpt2::tokenizer* words) const {
        const auto& next = nodes_[at].next;
        for (std::size_t i = 0; i < next.size(); ++i) {
            const bool last = i + 1 == next.size();
            const auto end = print_branch(next[i], indent + (last ? "└ " : "├ "), words);
            print(end, indent + (last ? "  " : "│ "), words);
        }
    }

    /// Prints one line, up to where it branches; returns the node there.
    std::size_t print_branch(std::size_t at, const std::string& indent,
                             const gpt2::tokenizer* words) const {
        std::vector<gpt2::token_id> ids;
        for (;; at = nodes_[at].next[0]) {
            ids.push_back(nodes_[at].token);
            if (nodes_[at].next.size() != 1) break;
        }
        const node& last = nodes_[at];
        std::cout << indent << text_of(ids, words) << "  " << std::fixed << std::setprecision(2)
                  << last.score;
        if (last.why) std::cout << " [" << gpt2::name(*last.why) << ']';
        if (!last.why && last.next.empty()) std::cout << " ×";
        std::cout << '\n';
        return at;
    }

    /// What the ids stand for, line breaks made visible; the ids where that is not known.
    static std::string text_of(const std::vector<gpt2::token_id>& ids,
                               const gpt2::tokenizer* words) {
        std::string text;
        if (!words) {
            for (const auto id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
            return text;
        }
        gpt2::utf8_stream stream;
        text = stream.push(words->decode(ids));
        text += stream.finish();
        for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos;) text.replace(at, 1, "↵");
        return text;
    }

    std::vector<node> nodes_ = {{}};  // the prompt first
    std::vector<std::size_t> running_ = {0};
};

}  // namespace pictures
