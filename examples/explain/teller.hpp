// How a walk is told in a terminal: two languages, numbers, tokens that show and do nothing else.
#pragma once

#include <gpt2/detail/visible_text.hpp>
#include <gpt2/walk.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iomanip>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

namespace explain {

enum class language { english, spanish };

/// A sentence in both languages.
struct words {
    std::string_view english, spanish;
};

class teller {
public:
    teller(const gpt2::walk& of, language in) : of_(of), language_(in) {}

    const gpt2::walk& walk() const { return of_; }

    std::string_view say(const words& both) const {
        return language_ == language::spanish ? both.spanish : both.english;
    }
    /// "7 · LayerNorm" and a line below it.
    void title(int number, const words& name) {
        out_ << "\n" << number << " · " << say(name) << "\n";
    }
    void line(std::string_view text) {
        out_ << "  " << text.substr(0, text.find_last_not_of(' ') + 1) << "\n";
    }
    void tell(const words& both) { line(say(both)); }

    std::ostream& out() { return out_; }
    std::string take() const { return out_.str(); }

    /// A number with so many digits behind the point.
    static std::string fixed(double value, int digits) {
        std::ostringstream text;
        text << std::fixed << std::setprecision(digits) << value;
        return text.str();
    }
    static std::string percent(double share) { return fixed(100 * share, 1) + " %"; }
    /// The first few of some numbers: "[0.12, -0.30, …]".
    template <class Number>
    static std::string few(std::span<const Number> values, std::size_t most = 5) {
        std::string text = "[";
        for (const auto x : values.first(std::min(most, values.size())))
            text += (text.size() > 1 ? ", " : "") + fixed(static_cast<double>(x), 3);
        return text + (values.size() > most ? ", …]" : "]");
    }
    /// A bar of at most `full` marks for a share of 1.
    static std::string bar(double share, std::size_t full = 30) {
        if (!(share > 0)) return "";
        const auto marks = std::lround(std::min(share, 1.0) * static_cast<double>(full));
        return std::string(static_cast<std::size_t>(marks), '#');
    }
    /// At least as wide as that many columns.
    static std::string padded(std::string_view text, std::size_t columns) {
        const auto taken = gpt2::detail::columns_of(text);
        return std::string(text) + std::string(columns - std::min(columns, taken), ' ');
    }
    static std::string right(std::string_view text, std::size_t columns) {
        return std::string(columns - std::min(columns, text.size()), ' ') + std::string(text);
    }

    /// Any text: what would do something to a screen is an escape.
    static std::string shown(std::string_view bytes) { return gpt2::detail::visible(bytes); }
    /// A token: its text in quotes, or its id where there is no text.
    std::string token(gpt2::token_id id) const {
        const auto known = of_.vocabulary.find(id);
        if (known == of_.vocabulary.end()) return "#" + std::to_string(id);
        return "\"" + shown(known->second) + "\"";
    }

    /// The place, among the positions that are shown, of the last token of the prompt.
    std::size_t last_of_prompt() const {
        const auto last = of_.prompt_tokens - 1;
        return last < of_.first ? 0 : last - of_.first;
    }

private:
    const gpt2::walk& of_;
    language language_;
    std::ostringstream out_;
};

/// Row t of numbers (…, size) that lie row by row.
inline std::span<const float> row(const gpt2::walk_array& of, std::size_t t) {
    const auto size = of.shape.back();
    return std::span(of.values).subspan(t * size, size);
}

}  // namespace explain
