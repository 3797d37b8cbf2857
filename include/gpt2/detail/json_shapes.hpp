// The texts of JSON values as parts of an automaton.
//
// Each string has one text: characters stand as they are, but quotes, backslashes and controls,
// which have their short escape or \u00XX. White space is as Python's json.dumps puts it: one space
// behind each comma and colon, none elsewhere. Integers have at most 18 digits, so that they fit 64
// bits; other numbers up to 18 before the point, 17 behind it, and two in the exponent.
//
// Before: detail/automaton_draft.hpp, detail/json.hpp. Next: detail/schema_reader.hpp.
#pragma once

#include "automaton_draft.hpp"
#include "code_set.hpp"
#include "json.hpp"
#include "network.hpp"
#include "regex_reader.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The order in which an object's members were written is kept in it, as an array of their names,
/// under a key that no text of JSON can have.
inline constexpr std::string_view order_field = "\xFF";

class ordered_json_builder final : public json_builder {
public:
    using json_builder::json_builder;

    void start_object() override {
        names_.emplace_back();
        json_builder::start_object();
    }
    void key(std::string& name) override {
        names_.back().push_back(name);
        json_builder::key(name);
    }
    void end_object() override {
        std::string key(order_field);
        json_builder::key(key);
        json_builder::start_array();
        for (std::string& name : names_.back()) json_builder::string(name);
        json_builder::end_array();
        names_.pop_back();
        json_builder::end_object();
    }

private:
    std::vector<std::vector<std::string>> names_;
};

/// The names of an object's members, as they were written.
inline const json_value::array& names_in_order(const json_value::object& of) {
    return *of.find(order_field)->second.items();
}

/// A character as it stands in a string.
inline std::string escaped_character(char32_t point) {
    constexpr std::string_view signs = "\"\\\b\f\n\r\t", names = "\"\\bfnrt";
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    if (point >= 0x20 && point != U'"' && point != U'\\') {
        append_utf8(text, point);
        return text;
    }
    const auto known = signs.find(static_cast<char>(point));
    if (known != signs.npos) return {'\\', names[known]};
    return {'\\', 'u', '0', '0', digits[point >> 4], digits[point & 15]};
}

inline std::string quoted_string(std::string_view text) {
    std::string made = "\"";
    for (const char c : text) {  // only ASCII is ever escaped
        if (static_cast<unsigned char>(c) < 0x80)
            made += escaped_character(static_cast<char32_t>(c));
        else
            made += c;
    }
    return made + '"';
}

/// A value as a text, its members in the order of `names_in_order`; 2.0 as 2.
inline std::string written(const json_value& value) {
    if (const auto* text = value.text()) return quoted_string(*text);
    if (const auto* real = value.real_number()) {
        if (std::abs(*real) < 1e15 && *real == std::floor(*real))
            return std::to_string(static_cast<std::int64_t>(*real));
        char text[32];
        return {text, std::to_chars(text, text + sizeof text, *real).ptr};
    }
    std::string made;
    const auto part = [&] { made += made.size() > 1 ? ", " : ""; };
    if (const auto* members = value.members()) {
        made = "{";
        for (const json_value& name : names_in_order(*members)) {
            part();
            made += quoted_string(*name.text()) + ": " + written(members->at(*name.text()));
        }
        return made + "}";
    }
    if (const auto* items = value.items()) {
        made = "[";
        for (const json_value& item : *items) {
            part();
            made += written(item);
        }
        return made + "]";
    }
    return described(value);  // null, true, false, whole numbers
}

/// One character of a set, as it stands in a string.
inline fragment string_character(automaton_draft& to, const code_set& set) {
    code_set special(0, 0x1F);
    special.add('"', '"');
    special.add('\\', '\\');
    code_set letters, digits[2];  // behind a backslash; last digits, by the one before
    for (const code_set::range& range : set.without(special.opposite()).ranges())
        for (char32_t point = range.first; point <= range.last; ++point) {
            const std::string text = escaped_character(point);
            code_set& last = text.size() == 2 ? letters : digits[point >> 4];
            last.add(code_set(static_cast<unsigned char>(text.back())));
        }
    fragment all = to.open();
    std::vector<fragment> branches{to.one_of(set.without(special))};
    const auto add = [&](std::string_view begin, const code_set& end) {
        if (end.empty()) return;
        fragment escape = to.text(begin);
        to.append(escape, to.one_of(end));
        branches.push_back(escape);
    };
    add("\\", letters);
    add("\\u000", digits[0]);
    add("\\u001", digits[1]);
    to.branch(all, branches);
    return all;
}

/// A regular expression for whole numbers of one length, from `low` to `high`, digit by digit.
inline std::string digits_between(std::string_view low, std::string_view high) {
    if (low.empty()) return "";
    const std::string_view low_rest = low.substr(1), high_rest = high.substr(1);
    const std::string first(1, low.front()), last(1, high.front());
    if (first == last) return first + digits_between(low_rest, high_rest);
    const std::string zeros(low_rest.size(), '0'), nines(low_rest.size(), '9');
    if (low == "0" + zeros && high == "9" + nines)
        return "[0-9]{" + std::to_string(low.size()) + "}";
    std::string made = "(?:" + first + digits_between(low_rest, nines) + "|";
    if (high.front() - low.front() > 1)
        made += "[" + std::string(1, static_cast<char>(low.front() + 1)) + "-" +
                std::string(1, static_cast<char>(high.front() - 1)) + "][0-9]{" +
                std::to_string(low_rest.size()) + "}|";
    return made + last + digits_between(zeros, high_rest) + ")";
}

inline constexpr std::int64_t most_integer = 999'999'999'999'999'999;

/// A regular expression for whole numbers, 0 ≤ low ≤ high ≤ most_integer.
inline std::string integers_between(std::int64_t low, std::int64_t high) {
    std::string made;
    for (std::int64_t least = low; least <= high;) {
        std::string digits = std::to_string(least);
        const std::int64_t most =
            std::min<std::int64_t>(high, std::stoll(std::string(digits.size(), '9')));
        made += (made.empty() ? "" : "|") + digits_between(digits, std::to_string(most));
        least = most + 1;
    }
    return "(?:" + made + ")";
}

/// A regular expression for integers, -most_integer ≤ low ≤ high ≤ most_integer.
inline std::string integer_pattern(std::int64_t low, std::int64_t high) {
    std::string made;
    if (low < 0) made = "-" + integers_between(high < 0 ? -high : 1, -low);
    if (high >= 0)
        made += (made.empty() ? "" : "|") + integers_between(std::max<std::int64_t>(low, 0), high);
    return made;
}

/// An automaton without calls, as a part of a draft.
inline fragment spliced(automaton_draft& to, const network& from) {
    const fragment all = to.open();
    std::vector<state_id> names;
    for (state_id at = 0; at < from.states(); ++at) names.push_back(to.add_state());
    const state_id end = to.add_state();
    to.connect(all.start, names[0]);
    for (state_id at = 0; at < from.states(); ++at) {
        if (from.is_final(at)) to.connect(names[at], end);
        for (std::size_t low = 0; low < 256;) {
            const state_id next = from.step(at, from.parts().class_of[low]);
            std::size_t high = low;
            while (high < 255 && from.step(at, from.parts().class_of[high + 1]) == next) ++high;
            if (next != no_state)
                to.add_edge({names[at],
                             names[next],
                             0,
                             {static_cast<unsigned char>(low), static_cast<unsigned char>(high)},
                             draft_edge::kind::bytes});
            low = high + 1;
        }
    }
    return {all.start, end, all.first_state, all.first_edge};
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
