// Grammars in EBNF, read into an automaton.
//
//     root   ::= "[" (value ("," value)*)? "]"     # the rule named root, or else the first
//     value  ::= root | number | 'null'
//     number ::= "-"? [0-9]+ ("." [0-9]{1,3})?
//
// Strings in either quotes and sets in brackets have the escapes of regular expressions, and so
// have ? * + {m,n}. A rule ends where the next begins, or at a semicolon; `=` is as good as `::=`.
// Names are letters, digits, - and _.
//
// Before: detail/regex_reader.hpp. Used by: grammar.hpp.
#pragma once

#include "../error.hpp"
#include "automaton_draft.hpp"
#include "regex_reader.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Reads all rules into a draft; groups nest no deeper than in regular expressions.
class ebnf_reader {
public:
    ebnf_reader(std::string_view source, automaton_draft& made)
        : text_(source, made.where()), made_(made) {}

    void read() {
        skip_space();
        std::string first;
        while (!text_.done()) {
            const std::string name = rule();
            if (first.empty()) first = name;
        }
        if (first.empty()) text_.wrong("a rule");
        for (const auto& [name, rule] : rules_)
            if (!rule.defined)
                fail(errc::invalid_argument, made_.where(), {"a rule ", printable(name, 60)},
                     "none");
        const auto root = rules_.find("root");
        const rule_id start = root == rules_.end() ? rules_.at(first).id : root->second.id;
        made_.define(0, made_.call(start));
    }

private:
    struct known_rule {
        rule_id id;
        bool defined = false;
    };

    static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    }
    void skip_space() {
        for (;;) {
            const std::size_t space = text_.rest().find_first_not_of(" \t\r\n");
            text_.go_to(text_.position() + std::min(space, text_.rest().size()));
            if (!text_.sees("#")) return;
            const std::size_t line = text_.rest().find('\n');
            text_.go_to(text_.position() + std::min(line, text_.rest().size()));
        }
    }
    std::string name() {
        std::string found;
        while (!text_.done() && is_name(text_.rest().front())) {
            found += text_.rest().front();
            text_.go_to(text_.position() + 1);
        }
        if (found.empty()) text_.wrong("the name of a rule");
        if (found.size() > 256) text_.too_many(" bytes of a name", 256);
        skip_space();
        return found;
    }
    bool takes_definition() { return text_.take("::=") || text_.take("="); }
    /// Whether the next rule begins here.
    bool sees_rule() {
        if (text_.done() || !is_name(text_.rest().front())) return false;
        const std::size_t before = text_.position();
        name();
        const bool found = takes_definition();
        text_.go_to(before);
        return found;
    }
    known_rule& rule_named(const std::string& name) {
        const auto [known, fresh] = rules_.try_emplace(name);
        if (fresh) known->second.id = made_.add_rule(name);
        return known->second;
    }

    std::string rule() {
        const std::string found = name();
        if (!takes_definition()) text_.wrong("\"::=\"");
        known_rule& rule = rule_named(found);
        if (rule.defined) fail(errc::invalid_argument, made_.where(), {"a second rule ", found});
        rule.defined = true;
        skip_space();
        made_.define(rule.id, alternatives());
        if (text_.take(";")) skip_space();
        if (!text_.done() && !sees_rule()) text_.wrong("a rule, or more of this one");
        return found;
    }

    fragment alternatives() {
        if (depth_ > grammar_text::most_depth)
            text_.too_many(" groups within groups", grammar_text::most_depth);
        ++depth_;
        fragment all = made_.open();
        std::vector<fragment> branches;
        bool more = true;
        while (more) {
            branches.push_back(sequence());
            more = text_.take("|");
            if (more) skip_space();
        }
        --depth_;
        made_.branch(all, branches);
        return all;
    }

    fragment sequence() {
        fragment all = made_.open();
        while (!text_.done() && !text_.sees("|") && !text_.sees(")") && !text_.sees(";") &&
               !sees_rule())
            made_.append(all, repeated());
        return all;
    }

    fragment repeated() {
        fragment all = atom();
        skip_space();
        while (const auto count = text_.quantifier()) {
            all = made_.repeated(all, count->least, count->most);
            skip_space();
        }
        return all;
    }

    fragment atom() {
        if (text_.take("(")) {
            skip_space();
            const fragment inside = alternatives();
            text_.expect(")");
            return inside;
        }
        if (text_.take("[")) return made_.one_of(text_.set());
        if (text_.take("\"")) return quoted("\"");
        if (text_.take("'")) return quoted("'");
        if (text_.take(".")) return made_.one_of(code_set(U'\n').opposite());
        if (text_.done() || !is_name(text_.rest().front()))
            text_.wrong("a string, a set, a group or a rule");
        return made_.call(rule_named(name()).id);
    }

    fragment quoted(std::string_view quote) {
        fragment all = made_.open();
        while (!text_.take(quote)) {
            if (text_.done()) text_.wrong("the end of the string");
            made_.append(all,
                         made_.one_of(text_.take("\\") ? text_.escape() : code_set(text_.point())));
        }
        return all;
    }

    grammar_text text_;
    automaton_draft& made_;
    std::map<std::string, known_rule> rules_;
    std::size_t depth_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
