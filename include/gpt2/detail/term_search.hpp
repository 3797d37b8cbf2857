// Where any of many texts occurs in another: by characters, if asked without regard to case, and as
// whole words.
//
// Characters are compared as their canonical decompositions, so that é is é however it is written.
// A match begins and ends between whole characters with their marks. O(n) for a text of n bytes,
// times at most the number of terms that end alike (Aho & Corasick 1975).
//
// Before: detail/character_set.hpp. Next: post_process.hpp.
#pragma once

#include "character_set.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

enum class letter_case { ignore, exact };

/// Where a term counts.
enum class term_place {
    whole_words,  ///< not within a longer word
    anywhere,
};

namespace detail {

class term_search {
public:
    /// Empty terms are never found.
    term_search(std::span<const std::string> terms, letter_case cases, term_place place)
        : cases_(cases), place_(place) {
        for (const std::string& term : terms) add(term);
        link();
    }

    /// Stretches that are covered by terms, overlapping ones as one.
    std::vector<text_span> find(std::string_view text) const {
        std::vector<text_span> found;
        std::vector<character> read;
        std::uint32_t state = 0;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t first = read.size();
            at = read_one(text, at, read);
            for (std::size_t i = first; i < read.size(); ++i) state = step(state, read[i].point);
            if (const auto begin = match_at(state, text, at, read)) keep(found, {*begin, at});
        }
        return found;
    }

private:
    /// A point of a decomposition, and where its character begins.
    struct character {
        char32_t point;
        std::size_t begin;
        bool starts;  // a character
    };
    struct node {
        std::map<char32_t, std::uint32_t> next;
        std::uint32_t border = 0;   // the longest other state that is an end of this one
        std::uint32_t shorter = 0;  // the next state among those that a term ends at
        std::size_t term = 0;       // points of the term that ends here, or 0
    };

    /// Appends the points of the character at `at`, gives the place behind it.
    std::size_t read_one(std::string_view text, std::size_t at, std::vector<character>& to) const {
        auto [point, size] = character_at(text, at);
        if (point == text_character::ill_formed)
            point += static_cast<unsigned char>(text[at]);  // equal to the same byte alone
        else if (cases_ == letter_case::ignore)
            point = lower_case(point);
        const std::u32string_view parts = decomposition_table::instance().find(point, false);
        if (parts.empty()) to.push_back({point, at, true});
        for (std::size_t i = 0; i < parts.size(); ++i) to.push_back({parts[i], at, i == 0});
        return at + size;
    }

    void add(std::string_view term) {
        std::vector<character> points;
        for (std::size_t at = 0; at < term.size();) at = read_one(term, at, points);
        if (points.empty()) return;
        std::uint32_t state = 0;
        for (const character& one : points) {
            const auto fresh = static_cast<std::uint32_t>(nodes_.size());
            const auto [to, is_new] = nodes_[state].next.emplace(one.point, fresh);
            state = to->second;
            if (is_new) nodes_.emplace_back();
        }
        nodes_[state].term = points.size();
    }

    /// Breadth first: the borders of each state, from those of the states before it.
    void link() {
        std::vector<std::uint32_t> order{0};
        for (std::size_t i = 0; i < order.size(); ++i)
            for (const auto& [point, to] : nodes_[order[i]].next) {
                const std::uint32_t border =
                    order[i] == 0 ? 0 : step(nodes_[order[i]].border, point);
                nodes_[to].border = border;
                nodes_[to].shorter = nodes_[border].term != 0 ? border : nodes_[border].shorter;
                order.push_back(to);
            }
    }

    std::uint32_t step(std::uint32_t state, char32_t point) const {
        for (;; state = nodes_[state].border) {
            const auto found = nodes_[state].next.find(point);
            if (found != nodes_[state].next.end()) return found->second;
            if (state == 0) return 0;
        }
    }

    /// Where the longest term that ends at `end` begins.
    std::optional<std::size_t> match_at(std::uint32_t state, std::string_view text, std::size_t end,
                                        const std::vector<character>& read) const {
        if (nodes_[state].term == 0) state = nodes_[state].shorter;
        if (state == 0) return std::nullopt;
        const char32_t behind = end == text.size() ? U' ' : character_at(text, end).point;
        if (is_mark(behind)) return std::nullopt;
        for (; state != 0; state = nodes_[state].shorter) {
            const std::size_t first = read.size() - nodes_[state].term;
            const auto& [point, begin, starts] = read[first];
            if (!starts) continue;
            const bool inside = is_word(behind) && is_word(read.back().point);
            if (place_ == term_place::anywhere) return begin;
            const bool follows = first > 0 && is_word(read[first - 1].point) && is_word(point);
            if (!inside && !follows) return begin;
        }
        return std::nullopt;
    }

    static void keep(std::vector<text_span>& found, text_span match) {
        while (!found.empty() && found.back().end > match.begin) {
            match.begin = std::min(match.begin, found.back().begin);
            found.pop_back();
        }
        found.push_back(match);
    }

    letter_case cases_;
    term_place place_;
    std::vector<node> nodes_ = std::vector<node>(1);
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
