// What tokenizers make of a text before they cut it: normal forms, case, accents, white space.
//
// A normalizer is a list of steps, each a function of the whole text; they do what the normalizers
// of Hugging Face tokenizers with the same names do. Bytes that are no UTF-8 stay as they are.
//
// Before: detail/normalization.hpp, detail/text_search.hpp. Next: detail/text_pipeline.hpp.
#pragma once

#include "../error.hpp"
#include "byte_alphabet.hpp"
#include "normalization.hpp"
#include "text_search.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A text on its way.
struct normal_text {
    std::string text;
    std::size_t first;  ///< bytes at its beginning that come from the whole text's first character

    /// Replaces the text by what `change` makes of it.
    template <class Change>
    void become(Change change) {
        const std::size_t size = first == 0 ? 0 : change(text.substr(0, first)).size();
        text = change(text);
        first = std::min(size, text.size());
    }
    /// Calls put(out, point, bytes) for each character, which appends what takes its place.
    template <class Put>
    void replace_each(Put put);
};

/// Steps that follow one another. Const calls are thread-safe.
class normalizer {
public:
    using step = std::function<void(normal_text&)>;
    static constexpr std::size_t most_bytes = std::size_t{512} << 20;

    void add(step next) { steps_.push_back(std::move(next)); }
    bool empty() const { return steps_.empty(); }

    /// Raises errc::limit_exceeded when the text becomes longer than most_bytes.
    normal_text apply(std::string_view text, bool at_start) const {
        normal_text out{std::string(text), 0};
        if (at_start && !text.empty()) out.first = character_at(text, 0).size;
        for (const step& next : steps_) {
            next(out);
            require_size(out.text);
        }
        return out;
    }

    static void require_size(const std::string& text) {
        if (text.size() > most_bytes)
            fail(errc::limit_exceeded, "encode",
                 {"a normalised text above ", most_bytes, " bytes"});
    }

private:
    std::vector<step> steps_;
};

/// Calls take(point, bytes) for each character.
template <class Take>
void for_each_character(std::string_view text, Take take) {
    for (std::size_t at = 0; at < text.size();) {
        const text_character next = character_at(text, at);
        take(next.point, text.substr(at, next.size));
        at += next.size;
    }
}

template <class Put>
void normal_text::replace_each(Put put) {
    std::string out;
    out.reserve(text.size());
    std::size_t from_first = 0, done = 0;
    for_each_character(text, [&](char32_t point, std::string_view bytes) {
        put(out, point, bytes);
        if (done < first) from_first = out.size();
        done += bytes.size();
    });
    text = std::move(out);
    first = from_first;
}

/// Keeps the characters of a kind.
template <class Keep>
void keep_characters(normal_text& in, Keep keep) {
    in.replace_each([&](std::string& out, char32_t point, std::string_view bytes) {
        if (keep(point)) out += bytes;
    });
}

inline normalizer::step form_step(normal_form form) {
    return [form](normal_text& in) {
        in.become([&](std::string_view text) { return normalized(text, form); });
    };
}

inline normalizer::step lowercase_step() {
    return [](normal_text& in) { in.become(lowercased); };
}

inline normalizer::step strip_accents_step() {
    return [](normal_text& in) {
        keep_characters(in, [](char32_t point) { return !is_mark(point); });
    };
}

inline normalizer::step replace_step(text_search search, std::string content) {
    return [search = std::move(search), content = std::move(content)](normal_text& in) {
        std::string out;
        std::size_t done = 0, first = in.first;
        matches_in matches(search, in.text);
        while (const auto found = matches.next()) {
            out.append(in.text, done, found->begin - done);
            out += content;
            normalizer::require_size(out);
            if (found->begin < in.first)  // what is not replaced of the first counts as well
                first = out.size() + (in.first > found->end ? in.first - found->end : 0);
            done = found->end;
        }
        out.append(in.text, done);
        in.text = std::move(out);
        in.first = first;
    };
}

inline normalizer::step prepend_step(std::string content) {
    return [content = std::move(content)](normal_text& in) {
        if (in.text.empty()) return;
        in.text.insert(0, content);
        if (in.first > 0) in.first += content.size();
    };
}

/// Which ends of a text are meant.
struct text_ends {
    bool left, right;
};

inline normalizer::step strip_step(text_ends ends) {
    return [ends](normal_text& in) {
        const char* begin = in.text.data();
        const char* end = begin + in.text.size();
        if (ends.left) begin = skip_run(begin, end, char_class::space);
        while (ends.right && end != begin) {
            const utf8_step last = read_utf8_before(begin, end);
            const bool space = last.what == utf8_step::kind::whole && is_white_space(last.point);
            if (!space) break;
            end -= last.size;
        }
        in.first -= std::min(in.first, static_cast<std::size_t>(begin - in.text.data()));
        in.text = std::string(begin, end);
    };
}

/// What SentencePiece's rule "nmt" does: some controls go, others become spaces.
inline normalizer::step nmt_step() {
    return [](normal_text& in) {
        keep_characters(in, [](char32_t c) {
            const bool gone = (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) ||
                              c == 0x7F || c == 0x8F || c == 0x9F;
            return !gone;
        });
        in.replace_each([](std::string& out, char32_t c, std::string_view bytes) {
            const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                               (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                               c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
            out += space ? std::string_view(" ") : bytes;
        });
    };
}

/// What BertNormalizer is told to do.
struct bert_rules {
    bool clean_text, chinese, strip_accents, lowercase;
};

inline void clean_for_bert(normal_text& in) {
    keep_characters(in, [](char32_t c) {
        return c == '\t' || c == '\n' || c == '\r' || (c != 0 && c != 0xFFFD && !is_control(c));
    });
    in.replace_each([](std::string& out, char32_t c, std::string_view bytes) {
        out += is_white_space(c) ? std::string_view(" ") : bytes;
    });
}

inline normalizer::step bert_step(bert_rules rules) {
    return [rules](normal_text& in) {
        if (rules.clean_text) clean_for_bert(in);
        if (rules.chinese)
            in.replace_each([](std::string& out, char32_t c, std::string_view bytes) {
                const std::string_view apart = is_chinese(c) ? " " : "";
                out.append(apart).append(bytes).append(apart);
            });
        if (rules.strip_accents) {
            form_step(normal_form::nfd)(in);
            keep_characters(in, [](char32_t point) { return !is_nonspacing_mark(point); });
        }
        if (rules.lowercase) in.become(lowercased);
    };
}

inline normalizer::step byte_level_step() {
    return [](normal_text& in) { in.become(byte_symbols); };
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
