// Lines for a terminal, with colours where there are to be any: codes stand only where a colour
// changes, and every line ends as it began.
//
// Before: detail/colour.hpp, detail/visible_text.hpp. Next: detail/plot_terminal.hpp,
// picture_terminal.hpp.
#pragma once

#include "../error.hpp"
#include "colour.hpp"
#include "visible_text.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {

enum class terminal_colours { none, xterm_256 };

namespace detail {

inline std::string padded(std::string text, std::size_t columns) {
    const auto taken = columns_of(text);
    if (taken < columns) text.append(columns - taken, ' ');
    return text;
}

class terminal_lines {
public:
    explicit terminal_lines(terminal_colours colours)
        : coloured_(colours != terminal_colours::none) {}

    void add(std::string_view text) { add(text, no_colour, no_colour); }
    void add_padded(std::string text, std::size_t columns) {
        add(padded(std::move(text), columns));
    }
    /// On a background, in black or white. Colours are numbers from 16 to 255.
    void add_on(unsigned background, std::string_view text) {
        add(text, is_light(terminal_rgb(background)) ? black : white, background);
    }
    void add_coloured(std::string_view text, unsigned colour) { add(text, colour, no_colour); }
    /// Two halves of a block.
    void add_halves(unsigned top, unsigned bottom) { add("▀", top, bottom); }
    /// A bar of so many eighths of a column.
    void add_bar(std::size_t eighths, unsigned colour) {
        constexpr std::string_view parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
        std::string text;
        for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
        text += parts[eighths % 8];
        add_coloured(text, colour);
    }

    /// Blanks at the end of a line go, but those that are coloured.
    void end_line() {
        set(no_colour, no_colour);
        while (text_.ends_with(' ')) text_.pop_back();
        text_ += '\n';
    }

    std::string take() { return std::move(text_); }

private:
    static constexpr unsigned no_colour = 256, black = 16, white = 231;

    void add(std::string_view text, unsigned foreground, unsigned background) {
        if (text.empty()) return;
        if (coloured_) set(foreground, background);
        text_ += text;
    }
    void set(unsigned foreground, unsigned background) {
        if (foreground == foreground_ && background == background_) return;
        if (foreground == no_colour || background == no_colour) text_ += "\x1b[0m";
        if (foreground != no_colour) text_ += text_of({"\x1b[38;5;", foreground, "m"});
        if (background != no_colour) text_ += text_of({"\x1b[48;5;", background, "m"});
        foreground_ = foreground;
        background_ = background;
    }

    bool coloured_;
    std::string text_;
    unsigned foreground_ = no_colour, background_ = no_colour;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
