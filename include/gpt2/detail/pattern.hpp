// Regular expressions of tokenizer files: a small language, matched in linear time for each match.
//
// What is known: literals, `.`, sets, \s \d \w \p{L} \p{N} \p{Nd} and their opposites, groups,
// (?i:…) around letters, alternatives, ? * + {m,n} as far as they take all they can, (?!x) and
// (?=x) of one character. The first alternative that leads to a match wins, as in Oniguruma. All
// threads of the match walk the text together (Pike's machine), so nothing recurses or goes back.
// Anything else, and what could match nothing, is refused by name.
//
// Before: detail/character_set.hpp. Next: detail/pre_tokenizer.hpp.
#pragma once

#include "../error.hpp"
#include "character_set.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// One step of a compiled pattern. Places to go on at are relative, so that code can be repeated.
struct pattern_step {
    enum class what : unsigned char { character, jump, either, ahead, not_ahead };
    what does;
    std::ptrdiff_t first = 1, second = 1;  ///< jump: where to; either: both, the better one first
    std::size_t set = 0;                   ///< of the character taken or looked at
};

/// A compiled pattern. Const calls are thread-safe.
class pattern {
public:
    static constexpr std::size_t most_steps = 400;

    /// Raises errc::unsupported, naming what is not known, and errc::bad_tokenizer for a pattern
    /// that is none.
    pattern(std::string_view source, std::string_view where);

    /// The leftmost match at or behind `from`. O(bytes looked at · steps).
    std::optional<text_span> find(std::string_view text, std::size_t from) const;

private:
    friend class pattern_reader;
    class machine;

    std::vector<pattern_step> steps_;
    std::vector<character_set> sets_;
};

/// Reads a pattern by descent; groups nest at most 8 deep.
class pattern_reader {
public:
    using code = std::vector<pattern_step>;

    pattern_reader(std::string_view source, std::string_view where, pattern& made)
        : source_(source), where_(where), made_(made) {}

    code read() {
        part whole = alternatives();
        if (!rest().empty()) refuse();
        if (whole.empty_too) fail(errc::unsupported, where_, "a pattern that matches nothing");
        return std::move(whole.steps);
    }

private:
    struct part {
        code steps;
        bool empty_too = true;  // whether it can match nothing
    };

    std::string_view rest() const { return source_.substr(at_); }
    bool take(std::string_view text) {
        if (!rest().starts_with(text)) return false;
        at_ += text.size();
        return true;
    }
    [[noreturn]] void refuse() const {
        fail(errc::unsupported, where_,
             {"the pattern ", printable(source_), " is not known from byte ", at_});
    }
    char32_t next_point() {
        if (rest().empty()) refuse();
        const text_character found = character_at(source_, at_);
        if (found.point == text_character::ill_formed) refuse();
        at_ += found.size;
        return found.point;
    }
    void append(code& to, const code& more) const {
        if (to.size() + more.size() > pattern::most_steps)
            fail(errc::limit_exceeded, where_, {"a pattern above ", pattern::most_steps, " steps"});
        to.insert(to.end(), more.begin(), more.end());
    }
    static std::ptrdiff_t length(const code& of) { return static_cast<std::ptrdiff_t>(of.size()); }

    part alternatives();
    part sequence();
    part repeated(part once);
    part atom();
    part group();
    part look(pattern_step::what kind);
    part one_of(character_set set);
    character_set set();
    character_set single();
    bool take_class(character_set& to);
    char32_t escaped();
    character_set literal(char32_t point) const;

    std::string_view source_, where_;
    pattern& made_;
    std::size_t at_ = 0, depth_ = 0;
    bool any_case_ = false;
};

inline pattern::pattern(std::string_view source, std::string_view where) {
    if (source.size() > 1000) fail(errc::limit_exceeded, where, "a pattern above 1000 bytes");
    steps_ = pattern_reader(source, where, *this).read();
}

inline pattern_reader::part pattern_reader::alternatives() {
    using enum pattern_step::what;
    if (++depth_ > 8) refuse();
    std::vector<part> branches(1, sequence());
    while (take("|")) branches.push_back(sequence());
    --depth_;
    part all = std::move(branches.back());
    while (branches.pop_back(), !branches.empty()) {  // either(first, either(second, third))
        const part& better = branches.back();
        code joined{{either, 1, length(better.steps) + 2}};
        append(joined, better.steps);
        append(joined, {{jump, length(all.steps) + 1}});
        append(joined, all.steps);
        all = {std::move(joined), all.empty_too || better.empty_too};
    }
    return all;
}

inline pattern_reader::part pattern_reader::sequence() {
    part all;
    while (!rest().empty() && rest().front() != '|' && rest().front() != ')') {
        const part next = repeated(atom());
        append(all.steps, next.steps);
        all.empty_too = all.empty_too && next.empty_too;
    }
    return all;
}

/// What `once` becomes by the quantifier that follows it, if any.
inline pattern_reader::part pattern_reader::repeated(part once) {
    using enum pattern_step::what;
    constexpr std::size_t forever = ~std::size_t{0};
    std::size_t least = 1, most = 1;
    const auto number = [&]() -> std::optional<std::size_t> {
        std::size_t value = 0, digits = 0;
        for (; !rest().empty() && rest().front() >= '0' && rest().front() <= '9'; ++at_, ++digits)
            value = 10 * value + static_cast<std::size_t>(rest().front() - '0');
        if (digits > 3) refuse();
        return digits ? std::optional(value) : std::nullopt;
    };
    if (take("*")) {
        least = 0, most = forever;
    } else if (take("+")) {
        most = forever;
    } else if (take("?")) {
        least = 0;
    } else if (take("{")) {
        const auto low = number();
        const bool range = take(",");
        const auto high = range ? number() : low;
        if (!low || !take("}") || (high && *high < *low)) refuse();
        least = *low, most = high ? *high : forever;
    } else {
        return once;
    }
    if (once.empty_too) refuse();
    if (!rest().empty() && std::string_view("?+*{").find(rest().front()) != std::string_view::npos)
        refuse();  // lazy, possessive, or repeated again
    part all{{}, least == 0};
    for (std::size_t i = 0; i < least; ++i) append(all.steps, once.steps);
    code tail;
    if (most == forever) {
        tail.push_back({either, 1, length(once.steps) + 2});
        append(tail, once.steps);
        append(tail, {{jump, -length(once.steps) - 1}});
    } else {
        for (std::size_t i = least; i < most; ++i) {  // each is optional, with all behind it
            const auto left = static_cast<std::ptrdiff_t>(most - i);
            append(tail, {{either, 1, left * (length(once.steps) + 1)}});
            append(tail, once.steps);
        }
    }
    append(all.steps, tail);
    return all;
}

inline pattern_reader::part pattern_reader::atom() {
    if (take("(?!")) return look(pattern_step::what::not_ahead);
    if (take("(?=")) return look(pattern_step::what::ahead);
    if (take("(")) return group();
    return one_of(single());
}

inline pattern_reader::part pattern_reader::group() {
    const bool before = any_case_;
    if (take("?i:"))
        any_case_ = true;
    else if (!take("?:") && !rest().empty() && rest().front() == '?')
        refuse();
    part inside = alternatives();
    if (!take(")")) refuse();
    any_case_ = before;
    return inside;
}

inline pattern_reader::part pattern_reader::look(pattern_step::what kind) {
    const part inside = one_of(single());
    if (!take(")")) refuse();
    return {{{kind, 1, 1, inside.steps.front().set}}, true};
}

inline pattern_reader::part pattern_reader::one_of(character_set set) {
    made_.sets_.push_back(std::move(set));
    return {{{pattern_step::what::character, 1, 1, made_.sets_.size() - 1}}, false};
}

/// The characters that one place accepts: a set, a class, a dot or a literal.
inline character_set pattern_reader::single() {
    character_set found;
    if (take("[")) return set();
    const bool words = rest().starts_with("\\w"), others = rest().starts_with("\\W");
    if (take_class(found)) {
        if (others) found = character_set(), found.add(character_set::kind::word, false);
        // Outside of sets Oniguruma has these numbers of Latin-1 among the words.
        for (const char32_t point : {U'\xB2', U'\xB3', U'\xB9', U'\xBC', U'\xBD', U'\xBE'})
            if (words || others) found.add(point, point);
        if (others) found.invert();
        return found;
    }
    if (take("\\")) return literal(escaped());
    if (take(".")) {
        found.add(U'\n', U'\n');
        found.invert();
        return found;
    }
    if (rest().empty() || std::string_view("*+?{})^$|").find(rest().front()) != rest().npos)
        refuse();
    return literal(next_point());
}

/// What stands behind `[`.
inline character_set pattern_reader::set() {
    character_set found;
    const bool inverted = take("^");
    bool any = false;
    for (; !take("]"); any = true) {
        if (rest().starts_with("[") || rest().starts_with("&&")) refuse();
        if (take_class(found)) continue;
        const auto point = [&] { return take("\\") ? escaped() : next_point(); };
        const char32_t first = point();
        const bool range = rest().starts_with("-") && !rest().starts_with("-]");
        if (range) take("-");
        if (range && rest().starts_with("[")) refuse();
        const char32_t last = range ? point() : first;
        if (last < first) refuse();
        if (any_case_) refuse();
        found.add(first, last);
    }
    if (!any) refuse();
    if (inverted) found.invert();
    return found;
}

/// Takes \s, \p{L} and their like into `to`, if one stands here.
inline bool pattern_reader::take_class(character_set& to) {
    using enum character_set::kind;
    struct name {
        std::string_view text;
        character_set::kind kind;
        bool opposite;
    };
    constexpr name names[] = {
        {"\\s", space, false},     {"\\S", space, true},      {"\\d", digit, false},
        {"\\D", digit, true},      {"\\w", word, false},      {"\\W", word, true},
        {"\\p{L}", letter, false}, {"\\P{L}", letter, true},  {"\\p{N}", number, false},
        {"\\P{N}", number, true},  {"\\p{Nd}", digit, false}, {"\\P{Nd}", digit, true},
        {"\\p{^L}", letter, true}, {"\\p{^N}", number, true},
    };
    for (const name& known : names)
        if (take(known.text)) {
            to.add(known.kind, known.opposite);
            return true;
        }
    return false;
}

/// The character behind a backslash.
inline char32_t pattern_reader::escaped() {
    const char32_t point = next_point();
    if (point == U'n') return U'\n';
    if (point == U'r') return U'\r';
    if (point == U't') return U'\t';
    const bool plain = point < 0x80 && !(point >= U'0' && point <= U'9') &&
                       !(point >= U'a' && point <= U'z') && !(point >= U'A' && point <= U'Z');
    if (!plain) refuse();
    return point;
}

/// One character; within (?i:…) an ASCII letter in both cases and what folds to it.
inline character_set pattern_reader::literal(char32_t point) const {
    character_set found;
    found.add(point, point);
    if (!any_case_) return found;
    if (point >= 0x80) refuse();
    const char32_t lower = point | 0x20;
    if (lower < U'a' || lower > U'z') return found;
    found.add(lower, lower);
    found.add(lower ^ 0x20, lower ^ 0x20);
    if (lower == U's') found.add(0x17F, 0x17F);
    if (lower == U'k') found.add(0x212A, 0x212A);
    return found;
}

/// The threads of one match. All of them stand at the same place of the text, best first; each
/// remembers where its match began.
class pattern::machine {
public:
    machine(const pattern& of, std::string_view text) : of_(of), text_(text) {}

    std::optional<text_span> run(std::size_t at) {
        for (;;) {
            const bool ended = at == text_.size();
            const text_character next =
                ended ? text_character{text_character::ill_formed, 0} : character_at(text_, at);
            ++mark_;
            waiting_ = 0;
            bool matched = false;  // what is worse than a match is dropped
            for (std::size_t i = 0; i < arrived_ && !matched; ++i)
                matched = follow(arrivals_[i], at, next);
            if (!found_ && !ended) follow({0, at}, at, next);
            if (ended || (waiting_ == 0 && found_)) {
                if (found_) found_->beyond = at - found_->end;
                return found_;
            }
            advance(next.point);
            at += next.size;
        }
    }

private:
    struct thread {
        std::size_t place, begin;
    };

    /// Follows all that needs no character; what needs one waits for it. Whether it matches.
    bool follow(thread from, std::size_t at, const text_character& next) {
        std::size_t depth = 0;
        stack_[depth++] = from.place;
        while (depth > 0) {
            const std::size_t place = stack_[--depth];
            if (marks_[place] == mark_) continue;  // a better thread was here
            marks_[place] = mark_;
            if (place == of_.steps_.size()) {
                found_ = text_span{from.begin, at};
                return true;
            }
            const pattern_step& step = of_.steps_[place];
            const auto go = [&](std::ptrdiff_t by) {
                stack_[depth++] = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(place) + by);
            };
            const auto looks = [&] {
                return next.size > 0 && of_.sets_[step.set].holds(next.point);
            };
            switch (step.does) {
                case pattern_step::what::character:
                    waiting_threads_[waiting_++] = {place, from.begin};
                    break;
                case pattern_step::what::either:
                    go(step.second);
                    go(step.first);
                    break;
                case pattern_step::what::jump:
                    go(step.first);
                    break;
                case pattern_step::what::ahead:
                    if (looks()) go(1);
                    break;
                case pattern_step::what::not_ahead:
                    if (!looks()) go(1);
                    break;
            }
        }
        return false;
    }

    void advance(char32_t point) {
        arrived_ = 0;
        for (std::size_t i = 0; i < waiting_; ++i) {
            const auto [place, begin] = waiting_threads_[i];
            if (of_.sets_[of_.steps_[place].set].holds(point))
                arrivals_[arrived_++] = {place + 1, begin};
        }
    }

    const pattern& of_;
    std::string_view text_;
    std::optional<text_span> found_;
    std::size_t arrived_ = 0, waiting_ = 0;
    std::size_t mark_ = 0;
    std::array<std::size_t, most_steps + 1> marks_{};  // by place: the last time it was followed
    std::array<thread, most_steps> arrivals_, waiting_threads_;
    std::array<std::size_t, 2 * most_steps> stack_;
};

inline std::optional<text_span> pattern::find(std::string_view text, std::size_t from) const {
    return machine(*this, text).run(from);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
