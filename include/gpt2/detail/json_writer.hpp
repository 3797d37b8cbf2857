// JSON as a text, value by value: what is written here, detail/json.hpp reads.
//
// Members stand in the order in which they come; strings are kept as UTF-8, and only what JSON
// must escape is escaped.
//
// Before: detail/utf8.hpp, detail/json.hpp. Next: detail/safetensors_writer.hpp,
// detail/hf_writer.hpp.
#pragma once

#include "../error.hpp"
#include "utf8.hpp"

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Where the next value stands: in one line with the last, or in a line of its own.
enum class json_layout { compact, lines };

/// Calls must nest as the value does: open, key and value (or open) for each member, close.
class json_writer {
public:
    explicit json_writer(json_layout layout = json_layout::compact)
        : lines_(layout == json_layout::lines) {}

    json_writer& open(char bracket) {  ///< '{' or '['
        begin_value();
        text_ += bracket;
        closing_ += bracket == '{' ? '}' : ']';
        first_ = true;
        return *this;
    }
    json_writer& close() {
        const char bracket = closing_.back();
        closing_.pop_back();
        if (!first_) break_line();
        text_ += bracket;
        first_ = false;
        return *this;
    }
    /// Throws errc::unsupported for what is no UTF-8, as `value` does.
    json_writer& key(std::string_view name) {
        begin_value();
        append_quoted(name);
        text_ += lines_ ? ": " : ":";
        after_key_ = true;
        return *this;
    }

    json_writer& value(std::string_view text) {
        begin_value();
        append_quoted(text);
        return *this;
    }
    json_writer& value(const char* text) { return value(std::string_view(text)); }
    json_writer& value(const std::string& text) { return value(std::string_view(text)); }
    json_writer& value(bool truth) { return plain(truth ? "true" : "false"); }
    json_writer& value(std::nullptr_t) { return plain("null"); }
    /// The shortest digits that mean this number, which is finite.
    template <class Number>
    requires std::integral<Number> || std::floating_point<Number> json_writer& value(
        Number number) {
        std::array<char, 32> digits;
        const auto [end, status] =
            std::to_chars(digits.data(), digits.data() + digits.size(), number);
        return plain({digits.data(), static_cast<std::size_t>(end - digits.data())});
    }

    /// `key` and `value` at once.
    template <class Value>
    json_writer& member(std::string_view name, const Value& content) {
        return key(name).value(content);
    }

    /// The text, when everything is closed.
    std::string take() {
        if (lines_) text_ += '\n';
        return std::move(text_);
    }

private:
    json_writer& plain(std::string_view text) {
        begin_value();
        text_ += text;
        return *this;
    }
    void begin_value() {
        if (std::exchange(after_key_, false)) return;
        if (closing_.empty()) return;
        if (!std::exchange(first_, false)) text_ += ',';
        break_line();
    }
    void break_line() {
        if (!lines_) return;
        text_ += '\n';
        text_.append(2 * closing_.size(), ' ');
    }

    void append_quoted(std::string_view text) {
        static constexpr char digits[] = "0123456789abcdef";
        text_ += '"';
        const char* const end = text.data() + text.size();
        for (const char* at = text.data(); at != end;) {
            const utf8_step step = read_utf8(at, end);
            if (step.what != utf8_step::kind::whole)
                fail(errc::unsupported, "JSON", "a text in UTF-8",
                     printable({at, static_cast<std::size_t>(end - at)}, 20));
            if (step.point == '"' || step.point == '\\') {
                text_ += '\\';
                text_ += *at;
            } else if (step.point == '\n') {
                text_ += "\\n";
            } else if (step.point < 0x20) {
                text_ += "\\u00";
                text_ += digits[step.point >> 4];
                text_ += digits[step.point & 15];
            } else {
                text_.append(at, step.size);
            }
            at += step.size;
        }
        text_ += '"';
    }

    std::string text_;
    std::string closing_;  // the brackets to come, the next one last
    bool lines_;
    bool first_ = true;  // nothing yet behind the last opening bracket
    bool after_key_ = false;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
