// Who gives the lesson: a model, a language to speak, and the ways in which a lesson talks.
#pragma once

#include <gpt2/detail/visible_text.hpp>
#include <gpt2/gpt2.hpp>
#include <gpt2/post_process.hpp>

#include <cstddef>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace walk {

/// A sentence of the course, and one of the kind that the bundled model has read.
struct sentence_pair {
    std::string course, tale;
};

/// A word of a text and its tokens first..last.
struct word {
    std::string text;
    std::size_t first, last;
};

class teacher {
public:
    teacher(gpt2::language_model model, gpt2::language speaks, std::ostream& out)
        : model_(std::move(model)), speaks_(speaks), out_(out) {}

    const gpt2::language_model& model() const { return model_; }
    std::ostream& out() const { return out_; }

    std::string_view say(std::string_view english, std::string_view spanish) const {
        return speaks_ == gpt2::language::english ? english : spanish;
    }
    void begin_lesson(std::string_view english, std::string_view spanish) {
        ++lessons_;
        out_ << '\n' << lessons_ << ". " << say(english, spanish) << "\n\n";
    }
    void tell(std::string_view english, std::string_view spanish) const {
        out_ << say(english, spanish) << '\n';
    }
    /// What one should have seen.
    void notice(std::string_view english, std::string_view spanish) const {
        out_ << say("  Notice: ", "  Fíjese: ") << say(english, spanish) << '\n';
    }
    void quote(std::string_view text) const { out_ << "  \"" << text << "\"\n"; }

    std::vector<gpt2::token_id> ids(std::string_view text) const {
        return model_.tokenizer().encode(text);
    }
    /// A token as it may be shown.
    std::string shown(gpt2::token_id id) const {
        return gpt2::detail::visible_label(model_.tokenizer().bytes(id));
    }
    /// The same, filled with blanks to so many columns.
    std::string shown(gpt2::token_id id, std::size_t columns) const {
        return filled(shown(id), columns);
    }
    static std::string filled(std::string text, std::size_t columns) {
        for (std::size_t i = gpt2::detail::columns_of(text); i < columns; ++i) text += ' ';
        return text;
    }

    /// The words of a text that its tokens make up, each with the space before it.
    std::vector<word> words(const std::vector<gpt2::token_id>& ids) const {
        std::vector<word> list;
        for (std::size_t t = 0; t < ids.size(); ++t) {
            const std::string bytes(model_.tokenizer().bytes(ids[t]));
            if (list.empty() || bytes.starts_with(' ')) list.push_back({"", t, t});
            list.back().text += bytes.starts_with(' ') ? bytes.substr(1) : bytes;
            list.back().last = t;
        }
        return list;
    }

private:
    gpt2::language_model model_;
    gpt2::language speaks_;
    std::ostream& out_;
    int lessons_ = 0;
};

/// A number with so many digits behind the point.
inline std::string fixed(double number, int digits) {
    std::ostringstream text;
    text.setf(std::ios::fixed);
    text.precision(digits);
    text << number;
    return text.str();
}
inline std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

/// The text with blanks before it, so many columns in all.
inline std::string right(const std::string& text, std::size_t columns) {
    const std::size_t taken = gpt2::detail::columns_of(text);
    return std::string(columns > taken ? columns - taken : 0, ' ') + text;
}

}  // namespace walk
