// SentencePiece's precompiled character map: texts that are replaced, and what by.
//
// The bytes are the size of a double-array trie, its units of 32 bits (Darts-clone's layout), and
// the replacements, each ended by a zero. Every place that a unit may lead to is checked, once for
// values and at each step for children, so a map from a stranger is refused or harmless. Texts that
// are replaced have at most 256 bytes (real ones 20), replacements 1024 (33).
//
// SentencePiece replaces the longest text at each place. Hugging Face tokenizers' "Precompiled"
// differs: it looks at a character with its accents, takes the shortest text that it begins with,
// and lets that stand for all of it. Models were trained behind either, so both are here.
//
// Before: detail/graphemes.hpp. Next: detail/sentencepiece_model.hpp.
#pragma once

#include "../error.hpp"
#include "graphemes.hpp"
#include "utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Threads may share it.
class charsmap {
public:
    /// Takes a map; an empty one replaces nothing. Throws errc::bad_tokenizer when its parts do not
    /// fit together, or replacements are no UTF-8.
    explicit charsmap(std::string_view map = {}, std::string_view where = "charsmap") {
        if (map.empty()) return;
        if (map.size() <= 4) refuse(where, "a size and a trie", map.size());
        const std::uint32_t size = unit_at(map, 0);
        map.remove_prefix(4);
        if (size % 4 != 0 || size == 0 || size >= map.size())
            refuse(where, "the size of a trie within the map", size);
        units_.reserve(size / 4);
        for (std::size_t at = 0; at < size; at += 4) units_.push_back(unit_at(map, at));
        texts_ = map.substr(size);
        check_texts(where);
        for (std::size_t at = 0; at < units_.size(); ++at) check_unit(at, where);
    }

    bool empty() const noexcept { return units_.empty(); }

    struct match {
        std::size_t size = 0;  ///< bytes replaced; 0: none
        std::string_view text;
    };

    /// The longest text that is replaced at the front.
    match longest(std::string_view text) const {
        match found;
        walk(text, [&](std::size_t size, std::string_view by) {
            found = {size, by};
            return true;
        });
        return found;
    }

    /// The shortest.
    match shortest(std::string_view text) const {
        match found;
        walk(text, [&](std::size_t size, std::string_view by) {
            found = {size, by};
            return false;
        });
        return found;
    }

    /// The text with all replaced, as tokenizers' "Precompiled" does it. O(n · longest key).
    std::string apply_by_grapheme(std::string_view text) const {
        if (empty()) return std::string(text);
        std::string out;
        out.reserve(text.size());
        while (!text.empty()) {
            std::string_view cluster = text.substr(0, grapheme_size(text));
            text.remove_prefix(cluster.size());
            if (cluster.size() < 6) {
                if (const match found = shortest(cluster); found.size != 0) {
                    out += found.text;
                    continue;
                }
            }
            append_by_character(cluster, out);
        }
        return out;
    }

private:
    static constexpr std::size_t longest_key = 256, longest_text = 1024;

    // A unit: 8 bits the byte that leads here (bit 31: a value instead), bit 8: a value lies at the
    // offset, bit 9: the offset counts in 256s, and from bit 10 the offset to its children.
    static bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
    static std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FFu; }
    static std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }
    static std::size_t offset(std::uint32_t unit) {
        return std::size_t{unit >> 10} << ((unit >> 9 & 1) * 8);
    }

    static std::uint32_t unit_at(std::string_view bytes, std::size_t at) {
        std::uint32_t unit = 0;
        for (std::size_t i = 0; i < 4; ++i)
            unit |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
        return unit;
    }

    [[noreturn, gnu::cold]] static void refuse(std::string_view where, const char* expected,
                                               std::size_t found) {
        fail(errc::bad_tokenizer, where, expected, found);
    }

    void check_texts(std::string_view where) const {
        for (const char *at = texts_.data(), *end = at + texts_.size(); at != end;) {
            const utf8_step step = read_utf8(at, end);
            if (step.what != utf8_step::kind::whole)
                fail(errc::bad_tokenizer, where, "replacements in UTF-8", "other bytes");
            at += step.size;
        }
    }

    void check_unit(std::size_t at, std::string_view where) const {
        const std::uint32_t unit = units_[at];
        if ((unit >> 31) != 0 || !has_value(unit)) return;
        const std::size_t place = at ^ offset(unit);
        if (place >= units_.size()) refuse(where, "a value within the trie", place);
        const std::uint32_t text = value(units_[place]);
        if (text >= texts_.size()) refuse(where, "a replacement within the map", text);
        if ((static_cast<unsigned char>(texts_[text]) & 0xC0) == 0x80)
            refuse(where, "a replacement that begins with a character", text);
        const std::string_view start = std::string_view(texts_).substr(text, longest_text + 1);
        if (start.size() > longest_text && start.find('\0') == start.npos)
            refuse(where, "a replacement of at most 1024 bytes", text);
    }

    /// Calls `take(bytes, replacement)` for the keys that the text begins with, the shortest first,
    /// until it says false.
    template <class Take>
    void walk(std::string_view text, Take&& take) const {
        if (units_.empty()) return;
        std::size_t at = offset(units_[0]);
        text = text.substr(0, longest_key);  // a trie from a stranger may run in circles
        for (std::size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
            const auto byte = static_cast<unsigned char>(text[i]);
            at ^= byte;
            if (at >= units_.size() || label(units_[at]) != byte) return;
            const std::uint32_t unit = units_[at];
            at ^= offset(unit);
            if (has_value(unit) && !take(i + 1, text_at(value(units_[at])))) return;
        }
    }

    std::string_view text_at(std::size_t at) const {
        const std::string_view rest = std::string_view(texts_).substr(at);
        return rest.substr(0, rest.find('\0'));
    }

    void append_by_character(std::string_view cluster, std::string& out) const {
        for (const char *at = cluster.data(), *end = at + cluster.size(); at != end;) {
            const utf8_step step = read_utf8(at, end);
            const bool whole = step.what == utf8_step::kind::whole;
            const std::string_view part(at, whole ? step.size : std::size_t{1});
            const match found = shortest(part);
            out += found.size != 0 ? found.text : part;
            at += part.size();
        }
    }

    std::vector<std::uint32_t> units_;
    std::string texts_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
