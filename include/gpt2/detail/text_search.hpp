// What tokenizers look for in a text, to replace it or to cut there: a literal, characters of a
// kind, a pattern, or GPT-2's words.
//
// A search gives the first match at or behind a place; no match is empty. Const calls are
// thread-safe.
//
// Before: detail/pattern.hpp. Next: detail/normalizer.hpp, detail/pre_tokenizer.hpp.
#pragma once

#include "../error.hpp"
#include "pattern.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {
namespace detail {

using text_search =
    std::function<std::optional<text_span>(std::string_view text, std::size_t from)>;

/// The matches of a search in one text, one after another. Raises errc::limit_exceeded where a
/// pattern from a stranger looks so far beyond its matches that it would take quadratic time.
class matches_in {
public:
    matches_in(const text_search& search, std::string_view text) : search_(search), text_(text) {}

    std::optional<text_span> next() {
        const auto found = search_(text_, done_);
        if (!found) return found;
        done_ = found->end;
        beyond_ += found->beyond;
        if (beyond_ > 16 * text_.size() + 65536)
            fail(errc::limit_exceeded, "encode", "a pattern that looks far beyond what it finds");
        return found;
    }

private:
    const text_search& search_;
    std::string_view text_;
    std::size_t done_ = 0, beyond_ = 0;
};

/// Looks for a text that is not empty.
inline text_search literal_search(std::string wanted) {
    return [wanted = std::move(wanted)](std::string_view text,
                                        std::size_t from) -> std::optional<text_span> {
        const std::size_t at = text.find(wanted, from);
        if (at == text.npos) return std::nullopt;
        return text_span{at, at + wanted.size()};
    };
}

/// Looks for one character of a kind.
inline text_search character_search(bool (*kind)(char32_t)) {
    return [kind](std::string_view text, std::size_t from) -> std::optional<text_span> {
        for (std::size_t at = from; at < text.size();) {
            const text_character next = character_at(text, at);
            if (kind(next.point)) return text_span{at, at + next.size};
            at += next.size;
        }
        return std::nullopt;
    };
}

/// Looks for the longest run of characters of a kind.
inline text_search run_search(bool (*kind)(char32_t)) {
    return [one = character_search(kind), kind](std::string_view text,
                                                std::size_t from) -> std::optional<text_span> {
        auto found = one(text, from);
        while (found && found->end < text.size()) {
            const text_character next = character_at(text, found->end);
            if (!kind(next.point)) break;
            found->end += next.size;
        }
        return found;
    };
}

/// Looks for a regular expression. Raises what pattern raises.
inline text_search pattern_search(std::string_view source, std::string_view where) {
    const auto compiled = std::make_shared<const pattern>(source, where);
    return
        [compiled](std::string_view text, std::size_t from) { return compiled->find(text, from); };
}

/// The pieces of GPT-2's own pattern, which leave nothing between them.
inline text_search word_search() {
    return [](std::string_view text, std::size_t from) -> std::optional<text_span> {
        if (from == text.size()) return std::nullopt;
        const char* const end = piece_end(text.data() + from, text.data() + text.size());
        return text_span{from, static_cast<std::size_t>(end - text.data())};
    };
}

/// Looks for what Whitespace keeps: runs of \w, and of what is neither that nor white space.
inline text_search word_run_search() {
    return [](std::string_view text, std::size_t from) -> std::optional<text_span> {
        enum class kind { space, word, other };
        const auto kind_at = [&](std::size_t at, std::size_t& size) {
            const text_character next = character_at(text, at);
            size = next.size;
            if (class_of(next.point) == char_class::space) return kind::space;
            return is_word(next.point) ? kind::word : kind::other;
        };
        std::size_t size = 0;
        while (from < text.size() && kind_at(from, size) == kind::space) from += size;
        if (from == text.size()) return std::nullopt;
        text_span found{from, from};
        const kind wanted = kind_at(from, size);
        while (found.end < text.size() && kind_at(found.end, size) == wanted) found.end += size;
        return found;
    };
}

inline bool is_white_space(char32_t point) { return class_of(point) == char_class::space; }
inline bool is_numeric(char32_t point) { return class_of(point) == char_class::number; }

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
