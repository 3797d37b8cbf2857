// Regular expressions for constraints: a small common language, read into an automaton.
//
// What is known: literals, `.`, sets, \d \w \s and their opposites (of ASCII, as Python's re.ASCII
// has them), \n \r \t \f \v \0, \xHH, \uHHHH, \u{…}, groups ( ) and (?: ), alternatives, ? * + {n}
// {m,} {,n} {m,n}; a lazy `?` behind them changes nothing, since a whole text must match. So do ^
// and $ at the ends of an alternative. All else is refused by name, with its place.
//
// Before: detail/automaton_draft.hpp. Next: grammar.hpp, detail/ebnf_reader.hpp.
#pragma once

#include "../error.hpp"
#include "automaton_draft.hpp"
#include "code_set.hpp"
#include "utf8.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A cursor over the text of a grammar, and what regular expressions and EBNF have in common.
class grammar_text {
public:
    static constexpr std::size_t most_bytes = std::size_t{1} << 16;
    static constexpr std::size_t most_depth = 64;  ///< groups within groups
    static constexpr std::size_t most_repeats = 65535;

    grammar_text(std::string_view source, std::string_view where) : source_(source), where_(where) {
        if (source.size() > most_bytes)
            fail(errc::limit_exceeded, where, {"at most ", most_bytes, " bytes"}, source.size());
    }

    std::string_view rest() const { return source_.substr(at_); }
    std::size_t position() const { return at_; }
    void go_to(std::size_t at) { at_ = at; }
    bool done() const { return at_ == source_.size(); }
    bool sees(std::string_view text) const { return rest().starts_with(text); }
    bool take(std::string_view text) {
        if (!sees(text)) return false;
        at_ += text.size();
        return true;
    }
    void expect(std::string_view text) {
        if (!take(text)) wrong({"\"", text, "\""});
    }

    /// Here something else should stand.
    [[noreturn]] void wrong(const phrase& expected) const {
        fail(errc::invalid_argument, {where_, ": byte ", at_}, expected, here());
    }
    /// Here something stands that is not known.
    [[noreturn]] void refuse(const phrase& what) const {
        fail(errc::unsupported, {where_, ": byte ", at_}, {what, " is not supported"});
    }
    [[noreturn]] void too_many(const phrase& what, std::size_t most) const {
        fail(errc::limit_exceeded, {where_, ": byte ", at_}, {"at most ", most, what}, "more");
    }

    char32_t point() {
        if (done()) wrong("a character");
        const utf8_step step = read_utf8(source_.data() + at_, source_.data() + source_.size());
        if (step.what != utf8_step::kind::whole) wrong("UTF-8");
        at_ += step.size;
        return step.point;
    }

    /// The character or the class behind a backslash.
    code_set escape();
    /// What stands behind `[`.
    code_set set();

    struct repeats {
        std::size_t least, most;
    };
    /// The quantifier here, if one stands here.
    std::optional<repeats> quantifier();

private:
    std::string here() const { return done() ? "the end" : printable(rest(), 12); }
    std::optional<std::size_t> number();
    char32_t hex(std::size_t least, std::size_t most);
    std::optional<code_set> named_class();

    std::string_view source_, where_;
    std::size_t at_ = 0;
};

inline std::optional<std::size_t> grammar_text::number() {
    std::size_t value = 0, digits = 0;
    for (; !done() && rest().front() >= '0' && rest().front() <= '9'; ++at_, ++digits) {
        value = 10 * value + static_cast<std::size_t>(rest().front() - '0');
        if (value > most_repeats) too_many(" repetitions", most_repeats);
    }
    return digits ? std::optional(value) : std::nullopt;
}

inline std::optional<grammar_text::repeats> grammar_text::quantifier() {
    constexpr std::size_t forever = automaton_draft::unlimited;
    if (take("?")) return repeats{0, 1};
    if (take("*")) return repeats{0, forever};
    if (take("+")) return repeats{1, forever};
    if (!take("{")) return std::nullopt;
    const auto low = number();
    const bool range = take(",");
    const auto high = range ? number() : low;
    if (!low && !high) wrong("a number");
    expect("}");
    const repeats found{low.value_or(0), high.value_or(forever)};
    if (found.most < found.least) wrong("{m,n} with m at most n, before this");
    return found;
}

inline char32_t grammar_text::hex(std::size_t least, std::size_t most) {
    constexpr std::string_view digits = "0123456789abcdefABCDEF";
    char32_t value = 0;
    std::size_t count = 0;
    for (; count < most && !done(); ++count, ++at_) {
        const std::size_t digit = digits.find(rest().front());
        if (digit == digits.npos) break;
        value = value << 4 | static_cast<char32_t>(digit < 16 ? digit : digit - 6);
    }
    if (count < least) wrong("a hexadecimal digit");
    if (value > last_code_point || (value >= 0xD800 && value <= 0xDFFF))
        wrong("the number of a character, before this");
    return value;
}

/// \d and its like, behind the backslash.
inline std::optional<code_set> grammar_text::named_class() {
    code_set found;
    const char name = done() ? '\0' : rest().front();
    if (name == 'd' || name == 'D' || name == 'w' || name == 'W') found.add('0', '9');
    if (name == 'w' || name == 'W') {
        found.add('A', 'Z');
        found.add('_', '_');
        found.add('a', 'z');
    }
    if (name == 's' || name == 'S') {
        found.add('\t', '\r');
        found.add(' ', ' ');
    }
    if (found.empty()) return std::nullopt;
    ++at_;
    return name < 'a' ? found.opposite() : found;
}

inline code_set grammar_text::escape() {
    if (const auto found = named_class()) return *found;
    constexpr std::string_view names = "nrtfv0", meanings{"\n\r\t\f\v\0", 6};
    const std::size_t before = at_;
    const char32_t name = point();
    const auto known = name < 0x80 ? names.find(static_cast<char>(name)) : names.npos;
    if (known != names.npos) return code_set(static_cast<char32_t>(meanings[known]));
    if (name == U'x') return code_set(hex(2, 2));
    if (name == U'u' && take("{")) {
        const char32_t value = hex(1, 6);
        expect("}");
        return code_set(value);
    }
    if (name == U'u') return code_set(hex(4, 4));
    const bool letter = (name >= U'a' && name <= U'z') || (name >= U'A' && name <= U'Z') ||
                        (name >= U'0' && name <= U'9');
    if (letter) {
        at_ = before;
        if (name >= U'1' && name <= U'9') refuse("a reference to a group");
        refuse({"the escape \\", static_cast<char>(name) == 'b' ? "b" : printable(rest(), 1)});
    }
    return code_set(name);
}

inline code_set grammar_text::set() {
    code_set found;
    const bool inverted = take("^");
    for (bool first = true; first || !sees("]"); first = false) {
        if (done()) wrong("\"]\"");
        if (sees("[:") || sees("&&") || sees("--")) refuse("this in a set");
        const auto member = [&] { return take("\\") ? escape() : code_set(point()); };
        const code_set low = member();
        const auto ranges = low.ranges();
        const bool range = sees("-") && !sees("-]");
        if (!range) {
            found.add(low);
            continue;
        }
        take("-");
        const auto high = member().ranges();
        const auto single = [](const auto& r) { return r.size() == 1 && r[0].first == r[0].last; };
        if (!single(ranges) || !single(high) || high[0].first < ranges[0].first)
            wrong("a range from a lower to a higher character, before this");
        found.add(ranges[0].first, high[0].first);
    }
    expect("]");
    return inverted ? found.opposite() : found;
}

/// Reads a regular expression into a draft.
class regex_reader {
public:
    /// How characters are written: as they are, or as they stand within a string of JSON.
    using writer = std::function<fragment(automaton_draft&, const code_set&)>;
    enum class match {
        whole,  ///< a text matches as a whole
        part,   ///< something in it does: ^ and $ have a meaning
    };

    regex_reader(std::string_view source, automaton_draft& made)
        : text_(source, made.where()),
          made_(made),
          write_([](automaton_draft& to, const code_set& set) { return to.one_of(set); }) {}
    regex_reader(std::string_view source, automaton_draft& made, writer write)
        : text_(source, made.where()), made_(made), write_(std::move(write)) {}

    fragment read(match how = match::whole) {
        how_ = how;
        const fragment all = alternatives();
        if (!text_.done()) text_.wrong("the end, or an opened group");
        return all;
    }

private:
    fragment alternatives() {
        if (depth_ > grammar_text::most_depth)
            text_.too_many(" groups within groups", grammar_text::most_depth);
        ++depth_;
        fragment all = made_.open();
        std::vector<fragment> branches;
        do {
            branches.push_back(sequence());
        } while (text_.take("|"));
        --depth_;
        made_.branch(all, branches);
        return all;
    }

    fragment sequence() {
        fragment all = made_.open();
        const bool outer = depth_ == 1;
        const bool from_start = outer && text_.take("^");
        if (outer && !from_start && how_ == match::part) made_.append(all, anything());
        bool to_end = false;
        while (!text_.done() && !text_.sees("|") && !text_.sees(")")) {
            if (outer && text_.sees("$")) {
                text_.take("$");
                to_end = true;
                if (!text_.done() && !text_.sees("|")) text_.refuse("$ before the end");
                break;
            }
            made_.append(all, repeated());
        }
        if (outer && !to_end && how_ == match::part) made_.append(all, anything());
        return all;
    }

    fragment anything() {
        const fragment any = write_(made_, code_set(0, last_code_point));
        return made_.repeated(any, 0, automaton_draft::unlimited);
    }

    fragment repeated() {
        const fragment once = atom();
        const auto count = text_.quantifier();
        if (!count) return once;
        if (text_.sees("+")) text_.refuse("a possessive quantifier");
        text_.take("?");
        if (text_.sees("*") || text_.sees("?") || text_.sees("+") || text_.sees("{"))
            text_.refuse("a repetition repeated without a group");
        return made_.repeated(once, count->least, count->most);
    }

    fragment atom() {
        if (text_.take("(")) return group();
        if (text_.take("[")) return write_(made_, text_.set());
        if (text_.take(".")) return write_(made_, code_set(U'\n').opposite());
        if (text_.sees("^")) text_.refuse("^ behind the beginning");
        if (text_.sees("$")) text_.refuse("$ before the end");
        for (const std::string_view sign : {"*", "+", "?", "{"})
            if (text_.sees(sign)) text_.wrong("something to repeat");
        if (text_.sees("\\b") || text_.sees("\\B")) text_.refuse("a word boundary");
        if (text_.sees("\\A") || text_.sees("\\Z") || text_.sees("\\z"))
            text_.refuse("this anchor");
        if (text_.sees("\\p") || text_.sees("\\P")) text_.refuse("a Unicode property");
        if (text_.take("\\")) return write_(made_, text_.escape());
        return write_(made_, code_set(text_.point()));
    }

    fragment group() {
        if (text_.sees("?=") || text_.sees("?!")) text_.refuse("looking ahead");
        if (text_.sees("?<=") || text_.sees("?<!")) text_.refuse("looking behind");
        if (text_.sees("?<") || text_.sees("?P<")) text_.refuse("a named group");
        if (text_.sees("?>")) text_.refuse("an atomic group");
        if (text_.sees("?(")) text_.refuse("a condition");
        if (!text_.take("?:") && text_.sees("?")) text_.refuse("this kind of group");
        const fragment inside = alternatives();
        text_.expect(")");
        return inside;
    }

    grammar_text text_;
    automaton_draft& made_;
    writer write_;
    match how_ = match::whole;
    std::size_t depth_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
