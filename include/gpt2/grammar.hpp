// Which texts may come: regular expressions, choices, EBNF, texts that must not come or must.
//
//     const auto answer = one_of({"yes", "no"});
//     const auto date = matching("\\d{4}-\\d{2}-\\d{2}");
//     const auto mild = matching("[^\n]{1,200}") & without({"damn"}) & containing({"sorry"});
//
// A grammar is a set of texts: a whole output is in it or not. It knows no tokens, so it holds over
// every way of cutting a text into them. Not empty, immutable, cheap to copy, may be shared by
// threads. JSON by schema is in json_schema.hpp.
//
// Before: detail/network.hpp for what it is inside. Next: constraint.hpp.
#pragma once

#include "error.hpp"
#include "detail/automaton_draft.hpp"
#include "detail/determinise.hpp"
#include "detail/ebnf_reader.hpp"
#include "detail/network.hpp"
#include "detail/network_product.hpp"
#include "detail/regex_reader.hpp"
#include "detail/text_automata.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A set of texts. O(1) to copy.
class grammar {
public:
    /// For the functions below.
    explicit grammar(detail::network from)
        : network_(std::make_shared<const detail::network>(std::move(from))) {}

    /// Whether rules call themselves, so that brackets of any depth can match.
    bool recursive() const noexcept { return !network_->regular(); }

    const detail::network& automaton() const noexcept { return *network_; }

private:
    std::shared_ptr<const detail::network> network_;
};

/// The most texts that one_of, without and containing take, and the longest one in bytes.
inline constexpr std::size_t most_grammar_texts = 4096, longest_grammar_text = 4096;

namespace detail {

inline void check_texts(std::span<const std::string> texts, std::string_view where) {
    if (texts.empty()) fail(errc::invalid_argument, where, "at least one text", "none");
    if (texts.size() > most_grammar_texts)
        fail(errc::limit_exceeded, where, {"at most ", most_grammar_texts, " texts"}, texts.size());
    for (const std::string& text : texts) {
        if (text.empty()) fail(errc::invalid_argument, where, "an empty text");
        if (text.size() > longest_grammar_text)
            fail(errc::limit_exceeded, where, {"at most ", longest_grammar_text, " bytes"},
                 text.size());
    }
}

}  // namespace detail

/// The texts that match as a whole; detail/regex_reader.hpp says what is known, `.` is any
/// character but a line feed. Raises errc::invalid_argument for what is no regular expression or
/// matches nothing, errc::unsupported naming what is not known, errc::limit_exceeded (64 KiB, 64
/// groups within groups, 65,535 repetitions, 2¹⁵ states).
inline grammar matching(std::string_view pattern) {
    detail::automaton_draft draft("regex");
    draft.define(0, detail::regex_reader(pattern, draft).read());
    return grammar(detail::determinised(draft));
}

/// These texts. Raises errc::invalid_argument for none or an empty one, errc::limit_exceeded.
inline grammar one_of(const std::vector<std::string>& texts) {
    detail::check_texts(texts, "one_of");
    detail::automaton_draft draft("one_of");
    detail::fragment all = draft.open();
    std::vector<detail::fragment> branches;
    for (const std::string& text : texts) branches.push_back(draft.text(text));
    draft.branch(all, branches);
    draft.define(0, all);
    return grammar(detail::determinised(draft));
}

/// The texts of a grammar in EBNF; detail/ebnf_reader.hpp says how it is written. Rules may call
/// themselves, but not as the first thing they do. Raises what `matching` raises, and
/// errc::invalid_argument for a rule that is not there, or there twice.
inline grammar ebnf(std::string_view rules) {
    detail::automaton_draft draft("ebnf");
    detail::ebnf_reader(rules, draft).read();
    return grammar(detail::determinised(draft));
}

/// Any bytes in which none of the texts occurs. Raises as one_of.
inline grammar without(const std::vector<std::string>& texts) {
    detail::check_texts(texts, "without");
    return grammar(detail::texts_absent(texts, "without"));
}

/// What both grammars hold. Raises errc::invalid_argument when that is nothing, errc::unsupported
/// when both are recursive, errc::limit_exceeded when it takes too many states.
inline grammar operator&(const grammar& left, const grammar& right) {
    return grammar(detail::common(left.automaton(), right.automaton(), "grammar &"));
}

/// Any bytes in which each of the texts occurs. Raises as one_of and as `&`.
inline grammar containing(const std::vector<std::string>& texts) {
    detail::check_texts(texts, "containing");
    detail::network all = detail::text_present(texts.front(), "containing");
    for (const std::string& text : std::span(texts).subspan(1))
        all = detail::common(all, detail::text_present(text, "containing"), "containing");
    return grammar(std::move(all));
}

}  // namespace gpt2::inline GPT2_ABI
