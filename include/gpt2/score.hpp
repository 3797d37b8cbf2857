// How likely a model finds a text, token by token:
//
//     const auto found = gpt2::score(model, "The wolf came to the door.");
//     found.perplexity(), found.tokens[3].log_prob, found.sum({4, 8}).log_prob
//
// Logarithms are natural unless a name says bits. A token is scored by those before it; a text
// longer than the model's context is read in windows, as Hugging Face documents perplexity with a
// stride: windows of `window` tokens begin every `stride` tokens, and each scores those of its
// tokens that none before it has scored, but never its first.
//
// Before: gpt2.hpp, detail/token_reader.hpp. After: rank.hpp (choices), score_report.hpp (CSV,
// JSON).
#pragma once

#include "detail/token_offsets.hpp"
#include "detail/token_reader.hpp"
#include "detail/unicode.hpp"
#include "detail/utf8.hpp"
#include "gpt2.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What the first token of a text follows.
enum class opening {
    nothing,        ///< nothing: the first token has no score
    begin_of_text,  ///< the model's begin-of-text token
};

/// How to score a text.
struct score_options {
    std::size_t alternatives = 0;  ///< how many of the most likely tokens to list at each place
    opening before = opening::nothing;
    /// Tokens of a window, from 1 to the model's context; 0: the whole context.
    std::size_t window = 0;
    /// Tokens from window to window, from 1 to `window`; none: half a window.
    std::optional<std::size_t> stride = std::nullopt;
    specials text = specials::as_text;  ///< whether "<|endoftext|>" in a text is a token
    interruption until = {};
};

/// A token in its text.
struct token_score {
    token_id token = 0;
    /// The bytes of the caller's text that it stands for: exactly its own with byte-level BPE; for
    /// tokenizers that change a text, detail/token_offsets.hpp says where. Of ids, the bytes that
    /// they decode to; empty without a tokenizer.
    byte_range bytes = {};
    double log_prob = 0;   ///< of this token behind those before it; 0 where it has no score
    std::size_t rank = 0;  ///< 1: no other was more likely; 0: it has no score
    std::vector<alternative> alternatives = {};  ///< the most likely tokens in its place, in order
};

/// A stretch of a text with its tokens.
struct span_score {
    byte_range bytes;
    std::size_t first_token = 0, tokens = 0;
    double log_prob = 0;  ///< the sum over those that have a score
};

/// A text with the scores of its tokens.
struct text_score {
    std::vector<token_score> tokens;

    /// How many of the tokens have a score.
    std::size_t scored() const {
        const auto is_scored = [](const token_score& one) { return one.rank > 0; };
        return static_cast<std::size_t>(std::ranges::count_if(tokens, is_scored));
    }
    /// Of the whole text, as far as it has a score.
    double log_prob() const {
        double sum = 0;
        for (const auto& one : tokens) sum += one.log_prob;
        return sum;
    }
    /// e to the mean of -log_prob over the tokens that have a score. Raises invalid_argument where
    /// none has.
    double perplexity() const {
        require(scored(), "perplexity", "a scored token");
        return std::exp(-log_prob() / static_cast<double>(scored()));
    }
    /// -log2 of the probability, per byte of the tokens that have a score. Raises invalid_argument
    /// where there is no such byte.
    double bits_per_byte() const {
        std::size_t bytes = 0, end = 0;  // bytes that several tokens share count once
        for (const auto& one : tokens) {
            if (one.rank > 0 && one.bytes.end > end)
                bytes += one.bytes.end - std::max(end, one.bytes.begin);
            end = std::max(end, one.bytes.end);
        }
        require(bytes, "bits_per_byte", "a scored byte");
        return -log_prob() / std::numbers::ln2 / static_cast<double>(bytes);
    }
    /// All tokens that hold a byte of `bytes`. Raises invalid_argument for bytes that end before
    /// they begin. O(tokens).
    span_score sum(const byte_range& bytes) const {
        if (bytes.end < bytes.begin)
            detail::fail(errc::invalid_argument, "sum: bytes", {"an end from ", bytes.begin, " on"},
                         bytes.end);
        span_score found{bytes};
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (!tokens[i].bytes.overlaps(bytes)) continue;
            if (found.tokens == 0) found.first_token = i;
            found.tokens = i + 1 - found.first_token;
            found.log_prob += tokens[i].log_prob;
        }
        return found;
    }

private:
    static void require(std::size_t count, std::string_view where, std::string_view wanted) {
        if (count == 0) detail::fail(errc::invalid_argument, where, wanted, "none");
    }
};

namespace detail {

/// Windows of a text, checked against the model.
struct window_rule {
    std::size_t size, stride;

    window_rule(const score_options& how, const config& c)
        : size(how.window == 0 ? c.context_length : how.window),
          stride(how.stride.value_or(std::max<std::size_t>(size / 2, 1))) {
        if (size > c.context_length)
            fail(errc::invalid_argument, "window",
                 {"at most the model's context, ", c.context_length}, size);
        if (stride == 0 || stride > size)
            fail(errc::invalid_argument, "stride", {"from 1 to the window, ", size}, stride);
    }
};

/// The id that stands before a text, if one is to. Raises empty_prompt where the model has none.
inline std::optional<token_id> opening_token(opening before, const config& c) {
    if (before == opening::nothing) return std::nullopt;
    if (!c.begin_of_text)
        fail(errc::empty_prompt, "opening::begin_of_text", "a model with a begin-of-text token",
             "none");
    return c.begin_of_text;
}

inline void require_alternatives(std::size_t count, const config& c) {
    if (count > c.vocabulary_size)
        fail(errc::invalid_argument, "alternatives",
             {"at most the vocabulary, ", c.vocabulary_size}, count);
}

/// Writes what a distribution says of a token.
inline void take_score(token_score& to, const distribution& from, std::size_t alternatives) {
    to.log_prob = from.log_prob(to.token);
    to.rank = from.rank(to.token);
    to.alternatives = from.best(alternatives);
}

/// Tokens with their places, and no score yet.
inline text_score unscored(std::span<const token_id> ids, std::span<const byte_range> ranges) {
    text_score made;
    for (std::size_t i = 0; i < ids.size(); ++i)
        made.tokens.push_back({ids[i], ranges.empty() ? byte_range{} : ranges[i]});
    return made;
}

/// Ids that came without a text.
inline text_score unscored(const language_model& model, std::span<const token_id> ids) {
    model.model().check_ids(ids);
    if (!model.has_tokenizer()) return unscored(ids, std::span<const byte_range>());
    return unscored(ids, token_ranges(model.tokenizer(), ids));
}

}  // namespace detail

/// Scores texts with one model, one after another, in the same memory. One thread at a time.
class scorer {
public:
    /// Raises invalid_argument naming the option, empty_prompt where the model has no begin-of-text
    /// token and it was asked for, out_of_memory.
    scorer(const language_model& with, const score_options& how)
        : model_(with),
          how_(how),
          rule_(how, with.config()),
          before_(detail::opening_token(how.before, with.config())),
          reader_(with, how.until) {
        detail::require_alternatives(how.alternatives, with.config());
    }

    /// As the functions below, but for the options.
    text_score score(std::string_view text) {
        const auto& words = model_.tokenizer();
        const auto ids = words.encode(text, how_.text);
        return score(ids, detail::unscored(ids, detail::token_ranges(words, text, ids)));
    }
    text_score score(std::span<const token_id> ids) {
        return score(ids, detail::unscored(model_, ids));
    }

private:
    text_score score(std::span<const token_id> ids, text_score found) {
        if (ids.empty()) throw error(errc::empty_prompt, "score: the text has no tokens");
        std::vector<token_id> all(ids.begin(), ids.end());
        if (before_) all.insert(all.begin(), *before_);
        const auto skipped = all.size() - ids.size();
        std::size_t done = 0;  // where the last window ended
        for (std::size_t begin = 0; done < all.size(); begin += rule_.stride) {
            const auto end = std::min(begin + rule_.size, all.size());
            const auto first = std::max(done, begin + 1);
            done = end;
            if (first >= end) continue;
            reader_.read(std::span(all).subspan(begin, end - begin), first - begin,
                         [&](std::size_t i, const detail::distribution& by) {
                             detail::take_score(found.tokens[begin + i - skipped], by,
                                                how_.alternatives);
                         });
        }
        return found;
    }

    language_model model_;
    score_options how_;
    detail::window_rule rule_;
    std::optional<token_id> before_;
    detail::token_reader reader_;
};

/// The scores of a text's tokens. Raises empty_prompt (no tokens, or no begin-of-text token where
/// it was asked for), invalid_argument naming the option, cancelled, not_finite, no_candidate,
/// token_out_of_range, and not_found for a model without a tokenizer. O(tokens · (parameters +
/// V log alternatives)), and as often again as windows overlap. Threads may share the model.
inline text_score score(const language_model& with, std::string_view text,
                        const score_options& how = {}) {
    return scorer(with, how).score(text);
}

/// The same for ids.
inline text_score score(const language_model& with, std::span<const token_id> ids,
                        const score_options& how = {}) {
    return scorer(with, how).score(ids);
}

/// Several texts: item i is score(with, texts[i], how), to the bit.
inline std::vector<text_score> score(const language_model& with, std::span<const std::string> texts,
                                     const score_options& how = {}) {
    scorer all(with, how);
    std::vector<text_score> found;
    for (const auto& text : texts) found.push_back(all.score(text));
    return found;
}

/// The words of the text that was scored: its runs of anything but white space (Unicode's). A token
/// belongs to the word that holds the first of its bytes that is in one, and one of white space
/// alone to the word that follows it, behind the last word to that; so words sum to the text.
/// O(bytes).
inline std::vector<span_score> words(const text_score& score, std::string_view text) {
    std::vector<span_score> found;
    bool inside = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto step = detail::read_utf8(text.data() + at, text.data() + text.size());
        const bool space = step.what == detail::utf8_step::kind::whole &&
                           detail::class_of(step.point) == detail::char_class::space;
        if (!space && !inside) found.push_back({{at, at}});
        at += step.size;
        if (!space) found.back().bytes.end = at;
        inside = !space;
    }
    std::size_t word = 0;
    for (std::size_t i = 0; !found.empty() && i < score.tokens.size(); ++i) {
        const auto& one = score.tokens[i];
        while (word + 1 < found.size() && found[word].bytes.end <= one.bytes.begin) ++word;
        auto& to = found[word];
        if (to.tokens == 0) to.first_token = i;
        ++to.tokens;
        to.log_prob += one.log_prob;
    }
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
