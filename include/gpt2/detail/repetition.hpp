// What a text says again: sentences that stood before, and phrases that go round in a loop.
//
// Words are what white space divides, compared by their letters and digits without regard to case
// and to the punctuation around them. O(n · longest phrase).
//
// Before: detail/sentences.hpp, text_edit.hpp. Next: post_process.hpp.
#pragma once

#include "../text_edit.hpp"
#include "sentences.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Which phrases are loops.
struct loop_rule {
    std::size_t times = 3;        ///< so often in a row is a loop, at least 2
    std::size_t long_phrase = 4;  ///< a phrase of so many words is one when it comes twice
    std::size_t longest = 64;     ///< words of a phrase; from 1 to 1024
};

namespace detail {

/// A word of a text: where its letters and digits stand, and which others are the same.
struct text_word {
    std::size_t begin, end, marks_end;  // the last: behind the punctuation
    std::uint32_t id;
    bool has_letter;
};

inline std::vector<text_word> words_in(std::string_view text) {
    std::vector<text_word> words;
    std::unordered_map<std::string, std::uint32_t> ids;
    const auto is_solid = [](char32_t point) { return !is_space(point); };
    for (std::size_t at = skip(text, 0, is_space); at < text.size();) {
        const std::size_t behind = skip(text, at, is_solid);
        std::size_t begin =
            skip(text, at, [](char32_t point) { return !is_word(point) && !is_space(point); });
        std::size_t end = behind;
        while (end > begin && !is_word(character_before(text, end).point))
            end -= character_before(text, end).size;
        if (begin == behind) begin = at, end = behind;  // signs alone
        const std::string_view word = text.substr(begin, end - begin);
        bool has_letter = false;
        for_each_character(
            word, [&](char32_t point) { has_letter = has_letter || is_letter(point); },
            [](char) {});
        const auto fresh = static_cast<std::uint32_t>(ids.size());
        const std::uint32_t id = ids.emplace(lowercased(word), fresh).first->second;
        words.push_back({begin, end, behind, id, has_letter});
        at = skip(text, behind, is_space);
    }
    return words;
}

/// The words without loops: of each, the first round stays.
class loop_finder {
public:
    loop_finder(std::vector<text_word> words, const loop_rule& rule)
        : words_(std::move(words)), rule_(rule) {}

    /// What stays; within it loops may have come together, which another look finds.
    std::vector<text_word> without_loops() {
        measure();
        std::vector<text_word> left;
        for (std::size_t i = 0; i < words_.size();) {
            const auto [phrase, again] = loops_[i];
            const std::size_t kept = std::max<std::size_t>(phrase, 1);
            left.insert(left.end(), words_.begin() + static_cast<std::ptrdiff_t>(i),
                        words_.begin() + static_cast<std::ptrdiff_t>(i + kept));
            i += kept;
            if (phrase == 0) continue;
            // At the end of the text the last round may be cut off.
            i += i + again == words_.size() ? again : again / phrase * phrase;
        }
        return left;
    }

private:
    struct loop {
        std::size_t phrase = 0, again = 0;  // words: of a round, and of all rounds behind the first
    };

    /// For each word the shortest phrase that begins there and goes round.
    void measure() {
        const std::size_t count = words_.size();
        loops_.assign(count, {});
        std::vector<std::size_t> equal(rule_.longest + 1, 0);  // words from here on, by the phrase
        std::size_t behind_letter = count + rule_.longest;     // the next word with a letter
        for (std::size_t i = count; i-- > 0;) {
            if (words_[i].has_letter) behind_letter = i;
            for (std::size_t size = std::min(rule_.longest, count - i - 1); size > 0; --size) {
                equal[size] = words_[i].id == words_[i + size].id ? equal[size] + 1 : 0;
                const std::size_t rounds = size >= rule_.long_phrase ? 1 : rule_.times - 1;
                if (equal[size] / size >= rounds && behind_letter < i + size)
                    loops_[i] = {size, equal[size]};
            }
        }
    }

    std::vector<text_word> words_;
    loop_rule rule_;
    std::vector<loop> loops_;
};

/// Takes away what goes round; the punctuation behind the last round stays, or behind the first
/// when the last is cut off.
inline edited_text without_loops(std::string_view text, const loop_rule& rule) {
    const std::vector<text_word> all = words_in(text);
    std::vector<text_word> left = all;
    constexpr int most_looks = 8;  // loops within loops within …
    for (int look = 0; look < most_looks; ++look) {
        const std::size_t before = left.size();
        left = loop_finder(std::move(left), rule).without_loops();
        if (left.size() == before) break;
    }
    text_editor editor(text);
    for (std::size_t i = 0, kept = 0; i < all.size(); ++i, ++kept) {
        const std::size_t first = i;
        while (i < all.size() && (kept == left.size() || left[kept].begin != all[i].begin)) ++i;
        if (i == first) continue;
        const text_word &before = all[first - 1], &last = all[i - 1];
        editor.remove(before.id == last.id ? before.end : before.marks_end, last.end);
    }
    return editor.take();
}

/// Words in lower case with one space between them, and how many they are.
struct sentence_key {
    std::string text;
    std::size_t words = 0;
};
inline sentence_key key_of(std::string_view sentence) {
    sentence_key key;
    bool inside = false;
    for (std::size_t at = 0; at < sentence.size();) {
        const text_character next = character_at(sentence, at);
        const bool word = is_word(next.point);
        if (word && !inside && key.words++ > 0) key.text += ' ';
        if (word) append_utf8(key.text, lower_case(next.point));
        inside = word;
        at += next.size;
    }
    return key;
}

/// Takes away sentences of at least so many words that stood before.
inline edited_text without_repeated_sentences(std::string_view text, std::size_t fewest_words) {
    std::unordered_set<std::string> known;
    return without_sentences(text, [&](std::string_view sentence) {
        sentence_key key = key_of(sentence);
        return key.words >= std::max<std::size_t>(fewest_words, 1) &&
               !known.insert(std::move(key.text)).second;
    });
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
