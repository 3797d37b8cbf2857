// The tokens of a JSON text, exactly as RFC 8259 has them: no comments, no other numbers, escapes
// or white space, and strings only of well-formed UTF-8.
//
// Whole numbers of 64 bits are exact; all other numbers are the nearest double, in any locale.
// After a mistake `position` tells where reading stopped; what follows is not read. The text holds
// no NUL. Nothing is allocated but what a string or a number with a fraction takes.
//
// Before: detail/utf8.hpp. Next: detail/json.hpp, the grammar.
#pragma once

#include "utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The double nearest to a number of JSON: zero below the range of doubles, infinite above.
[[gnu::cold]] inline double nearest_double(std::string_view number) {
    double value = 0;
    const char* const end = number.data() + number.size();
    if (std::from_chars(number.data(), end, value).ec == std::errc{}) return value;
    // Out of range, but on which side? The power of ten of the first digit that is not zero says.
    const std::size_t mark = std::min(number.find_first_of("eE"), number.size());
    const std::size_t point = std::min(number.find('.'), mark);
    const std::size_t first = number.find_first_of("123456789");
    auto power = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
    if (mark < number.size()) {
        const char* const digits = number.data() + mark + (number[mark + 1] == '+' ? 2 : 1);
        std::int64_t exponent = 0;
        if (std::from_chars(digits, end, exponent).ec != std::errc{})
            exponent = (*digits == '-' ? -1 : 1) * (std::int64_t{1} << 62);
        power += exponent;
    }
    const double size = power > 0 ? std::numeric_limits<double>::infinity() : 0.0;
    return number.front() == '-' ? -size : size;
}

enum class json_token : unsigned char {
    end,
    begin_object,
    end_object,
    begin_array,
    end_array,
    colon,
    comma,
    null,
    yes,
    no,
    string,           ///< its bytes: text()
    whole_number,     ///< whole()
    negative_number,  ///< negative(); also -0
    real_number,      ///< real(): with a fraction, an exponent or beyond 64 bits
    mistake,
};

class json_lexer {
public:
    explicit json_lexer(std::string_view text) : text_(text) {}

    /// The next token.
    json_token scan() {
        while (is_space(peek())) ++at_;
        switch (peek()) {
            case '{':
                return punctuation(json_token::begin_object);
            case '}':
                return punctuation(json_token::end_object);
            case '[':
                return punctuation(json_token::begin_array);
            case ']':
                return punctuation(json_token::end_array);
            case ':':
                return punctuation(json_token::colon);
            case ',':
                return punctuation(json_token::comma);
            case '"':
                return scan_string();
            case 'n':
                return scan_word("null", json_token::null);
            case 't':
                return scan_word("true", json_token::yes);
            case 'f':
                return scan_word("false", json_token::no);
            case '\0':
                return punctuation(json_token::end);
            default:
                return scan_number();
        }
    }

    /// What the token just scanned stands for. The string may be taken.
    std::string& text() noexcept { return string_; }
    std::uint64_t whole() const noexcept { return whole_; }
    std::int64_t negative() const noexcept { return negative_; }
    double real() const noexcept { return real_; }

    /// The bytes read so far. The one that is a mistake counts, and so does the end of the text.
    std::size_t position() const noexcept { return at_; }

private:
    static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static bool is_plain(char c) { return c >= ' ' && c != '"' && c != '\\'; }  // one of ASCII

    /// The byte here, NUL at the end.
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    /// Goes behind `wanted` if it stands here.
    bool take(char wanted) {
        if (peek() != wanted) return false;
        ++at_;
        return true;
    }
    json_token punctuation(json_token kind) {
        ++at_;
        return kind;
    }
    /// The byte here does not belong.
    json_token mistake() {
        ++at_;
        return json_token::mistake;
    }

    json_token scan_word(std::string_view word, json_token kind) {
        for (const char c : word)
            if (!take(c)) return mistake();
        return kind;
    }

    /// Takes the digits here; whether there is one.
    bool take_digits() {
        const std::size_t first = at_;
        while (is_digit(peek())) ++at_;
        return at_ != first;
    }

    json_token scan_number() {
        const char* const first = text_.data() + at_;
        const bool below_zero = take('-');
        bool real = false;
        if (!take('0') && !take_digits()) return mistake();
        if (take('.')) {
            real = true;
            if (!take_digits()) return mistake();
        }
        if (take('e') || take('E')) {
            real = true;
            if (!take('+')) take('-');
            if (!take_digits()) return mistake();
        }
        const char* const last = text_.data() + at_;
        if (!real && !below_zero && std::from_chars(first, last, whole_).ec == std::errc{})
            return json_token::whole_number;
        if (!real && below_zero && std::from_chars(first, last, negative_).ec == std::errc{})
            return json_token::negative_number;
        real_ = nearest_double({first, last});
        return json_token::real_number;
    }

    json_token scan_string() {
        string_.clear();
        for (++at_; !take('"');) {
            const std::size_t first = at_;
            while (is_plain(peek())) ++at_;
            string_.append(text_, first, at_ - first);
            if (peek() == '\\') {
                if (!take_escape()) return mistake();
            } else if (peek() != '"') {
                if (!take_character()) return mistake();
            }
        }
        return json_token::string;
    }

    /// Takes one character that is not ASCII.
    bool take_character() {
        const auto lead = static_cast<unsigned char>(peek());
        if (lead < 0xC2 || lead > 0xF4) return false;
        const char* const here = text_.data() + at_;
        const utf8_step step = read_utf8(here, text_.data() + text_.size());
        at_ += step.size;
        if (step.what != utf8_step::kind::whole) return false;
        string_.append(here, step.size);
        return true;
    }

    /// Takes what begins with the backslash here.
    bool take_escape() {
        constexpr std::string_view names = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        ++at_;
        if (const std::size_t i = names.find(peek()); i != names.npos) {
            ++at_;
            string_ += meanings[i];
            return true;
        }
        char32_t point = 0, low = 0;
        if (!take('u') || !take_hex(point)) return false;
        if (point >= 0xD800 && point < 0xDC00) {
            if (!take('\\') || !take('u') || !take_hex(low)) return false;
            if (low < 0xDC00 || low > 0xDFFF) return refuse_surrogate();
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        } else if (point >= 0xDC00 && point <= 0xDFFF) {
            return refuse_surrogate();
        }
        append_utf8(string_, point);
        return true;
    }
    /// The escape just taken is a mistake: back on its last digit.
    bool refuse_surrogate() {
        --at_;
        return false;
    }

    /// Takes four digits.
    bool take_hex(char32_t& value) {
        constexpr std::string_view digits = "0123456789abcdefABCDEF";
        for (int i = 0; i < 4; ++i, ++at_) {
            const std::size_t digit = digits.find(peek());
            if (digit == digits.npos) return false;
            value = value << 4 | static_cast<char32_t>(digit < 16 ? digit : digit - 6);
        }
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string string_;
    std::uint64_t whole_ = 0;
    std::int64_t negative_ = 0;
    double real_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
