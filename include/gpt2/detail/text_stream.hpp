// Tokens in, text that may be shown out: the bytes that decode gives, of these whole UTF-8
// characters only, nothing of a stop text, nothing that could still become one.
//
// Before: tokenizer.hpp with its `utf8_stream`. After: session.hpp.
#pragma once

#include "../error.hpp"
#include "../tokenizer.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Decodes ids as they come: what the calls return joins to decode of all of them. An id that is no
/// token adds nothing, since models pad their vocabularies.
class token_stream {
public:
    /// The tokenizer must outlive the stream; with none, no id is a token.
    explicit token_stream(const tokenizer* from) : from_(from) {}

    /// What the token adds to the text.
    std::string push(token_id id) {
        std::string text;
        if (from_ && from_->has(id)) from_->decode_one(id, so_far_, text);
        return text;
    }

    /// Takes the ids of a text that stands before; returns the end of it, 4 tokens long, in which
    /// a character may have begun. O(1).
    std::string skip(std::span<const token_id> past) {
        constexpr std::size_t most = 4;
        if (past.size() > most) {
            so_far_.begun = true;
            so_far_.stripped = ~std::size_t{0};
        }
        std::string text;
        for (const token_id id : past.last(std::min(past.size(), most))) text += push(id);
        return text;
    }

private:
    const tokenizer* from_;
    detail::decoding so_far_;
};

namespace detail {

/// Finds the end of a fixed text in a stream, a byte at a time (Knuth, Morris & Pratt 1977).
class stream_matcher {
public:
    explicit stream_matcher(std::string text) : text_(std::move(text)), back_(text_.size() + 1) {
        for (std::size_t i = 1; i < text_.size(); ++i) back_[i + 1] = next(back_[i], text_[i]);
    }

    /// Takes a byte; true when the text ends with it.
    bool push(char byte) {
        matched_ = next(matched_, byte);
        return matched_ == text_.size();
    }
    /// How many of the last bytes are a beginning of the text.
    std::size_t matched() const { return matched_; }

private:
    std::size_t next(std::size_t matched, char byte) const {
        while (matched > 0 && (matched == text_.size() || text_[matched] != byte))
            matched = back_[matched];
        return matched + (text_[matched] == byte);
    }

    std::string text_;
    std::vector<std::size_t> back_;  // [n]: the longest proper border of the first n bytes
    std::size_t matched_ = 0;
};

/// The text of one generation. Of several stop texts the one that is complete first ends it, and
/// among those that end together the longest.
class text_stream {
public:
    static constexpr std::size_t most_stops = 64, longest_stop = 65536;

    /// Raises invalid_argument for an empty stop text, limit_exceeded for too many or too long
    /// ones.
    explicit text_stream(const std::vector<std::string>& stops) {
        if (stops.size() > most_stops)
            fail(errc::limit_exceeded, "stop", {"at most ", most_stops, " texts"}, stops.size());
        for (const auto& stop : stops) {
            if (stop.empty()) throw error(errc::invalid_argument, "stop: an empty text");
            if (stop.size() > longest_stop)
                fail(errc::limit_exceeded, "stop", {"at most ", longest_stop, " bytes"},
                     stop.size());
            matchers_.emplace_back(stop);
        }
    }

    /// Takes bytes that are not shown: the end of the prompt, whose last character may be cut.
    void skip(std::string_view bytes) { characters_.push(bytes); }

    /// Takes a token's bytes and returns what can be shown now.
    std::string push(std::string_view bytes) { return release(characters_.push(bytes)); }

    /// What is still held back, at the end; an incomplete character becomes U+FFFD.
    std::string finish() {
        auto text = release(characters_.finish());
        if (!stopped_) text += held_;
        held_.clear();
        return text;
    }

    /// True once a stop text came up; what push returned then is the text before it.
    bool stopped() const { return stopped_; }

private:
    std::string release(std::string_view text) {
        for (const char byte : text) {
            if (stopped_) break;
            held_ += byte;
            for (auto& matcher : matchers_)
                if (matcher.push(byte)) cut_ = std::max(cut_, matcher.matched());
            stopped_ = cut_ > 0;
        }
        auto keep = cut_;
        if (!stopped_)
            for (const auto& matcher : matchers_) keep = std::max(keep, matcher.matched());
        std::string shown = held_.substr(0, held_.size() - keep);
        held_.erase(0, held_.size() - keep);
        return shown;
    }

    utf8_stream characters_;
    std::vector<stream_matcher> matchers_;
    std::string held_;     // not shown yet: it may begin a stop text
    std::size_t cut_ = 0;  // length of the stop text that ended it
    bool stopped_ = false;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
