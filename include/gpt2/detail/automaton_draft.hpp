// A grammar on its way to an automaton: states joined by bytes, by nothing, or by a call of a rule.
//
// Readers of grammars build it from the parts that all of them share: a text, a set of characters,
// one thing after another, alternatives, repetition, a call. Thompson's construction, with limits:
// no count in a grammar makes it large before it is refused.
//
// Before: detail/code_set.hpp. Next: detail/network.hpp, which makes it deterministic.
#pragma once

#include "../error.hpp"
#include "code_set.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

using state_id = std::uint32_t;
using rule_id = std::uint32_t;
inline constexpr state_id no_state = ~state_id{0};

/// One way on. `calls`: through all of a rule, to `to`.
struct draft_edge {
    enum class kind : unsigned char { bytes, nothing, calls };
    state_id from, to;
    rule_id rule = 0;
    byte_interval bytes = {};
    kind does = kind::nothing;
};

/// A part of a draft, entered at `start` and left at `end`. Its states and edges lie together, so
/// that they can be copied; what is built inside of it must be built after it began.
struct fragment {
    state_id start, end;
    state_id first_state;
    std::size_t first_edge;
};

/// States and edges. Each call that would pass a limit raises errc::limit_exceeded instead.
class automaton_draft {
public:
    static constexpr std::size_t most_states = std::size_t{1} << 17;
    static constexpr std::size_t most_edges = std::size_t{1} << 19;
    static constexpr std::size_t most_rules = 4096;
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    struct rule {
        std::string name;
        state_id start = no_state, end = no_state;  ///< none until it is defined
    };

    /// `where` names the option in messages; it must outlive the draft.
    explicit automaton_draft(std::string_view where) : where_(where) { add_rule("start"); }

    std::string_view where() const { return where_; }
    std::size_t states() const { return states_; }
    const std::vector<draft_edge>& edges() const { return edges_; }
    const std::vector<rule>& rules() const { return rules_; }

    /// A rule to be defined later. Rule 0 is the whole grammar.
    rule_id add_rule(std::string name) {
        if (rules_.size() == most_rules)
            fail(errc::limit_exceeded, where_, {"at most ", most_rules, " rules"}, "more");
        rules_.push_back({std::move(name)});
        return static_cast<rule_id>(rules_.size() - 1);
    }
    void define(rule_id id, const fragment& body) {
        rules_[id].start = body.start;
        rules_[id].end = body.end;
    }

    /// Where a fragment of several parts begins.
    fragment open() {
        const auto edge = edges_.size();
        const state_id at = add_state();
        return {at, at, at, edge};
    }
    /// Goes on from where `all` ends.
    void append(fragment& all, const fragment& next) {
        add_edge({all.end, next.start});
        all.end = next.end;
    }

    fragment text(std::string_view bytes) {
        fragment all = open();
        for (const char c : bytes) {
            const auto byte = static_cast<unsigned char>(c);
            step(all.end, {byte, byte});
        }
        return all;
    }
    /// One character; of an empty set nothing comes.
    fragment one_of(const code_set& set) {
        fragment all = open();
        all.end = add_state();
        std::vector<byte_sequence> sequences;
        for (const code_set::range& range : set.ranges()) append_utf8_sequences(range, sequences);
        std::map<std::string, state_id> rests;  // where the same bytes are left to come
        for (const byte_sequence& sequence : sequences) {
            std::string rest;
            state_id to = all.end;
            for (std::size_t i = sequence.size() - 1; i > 0; --i) {
                rest += {static_cast<char>(sequence[i].low), static_cast<char>(sequence[i].high)};
                const auto [known, fresh] = rests.try_emplace(rest, no_state);
                if (fresh) {
                    known->second = add_state();
                    add_edge({known->second, to, 0, sequence[i], draft_edge::kind::bytes});
                }
                to = known->second;
            }
            add_edge({all.start, to, 0, sequence.front(), draft_edge::kind::bytes});
        }
        return all;
    }
    fragment call(rule_id id) {
        fragment all = open();
        all.end = add_state();
        add_edge({all.start, all.end, id, {}, draft_edge::kind::calls});
        return all;
    }
    /// One of the branches, which were built since `all` was opened; of none nothing comes.
    void branch(fragment& all, std::span<const fragment> branches) {
        const state_id end = add_state();
        for (const fragment& one : branches) {
            add_edge({all.end, one.start});
            add_edge({one.end, end});
        }
        all.end = end;
    }
    /// How much a fragment is, the last thing that was built; then it can be copied at any time.
    struct extent {
        std::size_t states, edges;
    };
    extent size_of(const fragment& last) const {
        return {states_ - last.first_state, edges_.size() - last.first_edge};
    }
    fragment copy(const fragment& of, const extent& size);

    /// `once`, the last thing that was built, from `least` to `most` times.
    fragment repeated(const fragment& once, std::size_t least, std::size_t most);

    void connect(state_id from, state_id to) { add_edge({from, to}); }
    state_id add_state() {
        if (states_ == most_states)
            fail(errc::limit_exceeded, where_, {"at most ", most_states, " states"}, "more");
        return static_cast<state_id>(states_++);
    }
    void add_edge(const draft_edge& edge) {
        if (edges_.size() == most_edges)
            fail(errc::limit_exceeded, where_, {"at most ", most_edges, " edges"}, "more");
        edges_.push_back(edge);
    }

private:
    void step(state_id& at, byte_interval range) {
        const state_id next = add_state();
        add_edge({at, next, 0, range, draft_edge::kind::bytes});
        at = next;
    }

    std::string_view where_;
    std::size_t states_ = 0;
    std::vector<draft_edge> edges_;
    std::vector<rule> rules_;
};

inline fragment automaton_draft::copy(const fragment& of, const extent& size) {
    if (size.states > most_states - states_ || size.edges > most_edges - edges_.size())
        fail(errc::limit_exceeded, where_,
             {"at most ", most_states, " states and ", most_edges, " edges"}, "more");
    const auto shift = static_cast<state_id>(states_) - of.first_state;
    const fragment made{of.start + shift, of.end + shift, of.first_state + shift, edges_.size()};
    states_ += size.states;
    for (std::size_t i = 0; i < size.edges; ++i) {
        draft_edge edge = edges_[of.first_edge + i];
        edge.from += shift;
        edge.to += shift;
        edges_.push_back(edge);
    }
    return made;
}

inline fragment automaton_draft::repeated(const fragment& once, std::size_t least,
                                          std::size_t most) {
    const extent size = size_of(once);
    // A ring around the first copy is made before the others, so that a copy never holds it.
    std::vector<fragment> copies{once};
    const std::size_t wanted = most == unlimited ? std::max<std::size_t>(least, 1) : most;
    while (copies.size() < wanted) copies.push_back(copy(once, size));
    const state_id start = add_state(), end = add_state();
    const fragment all{start, end, once.first_state, once.first_edge};
    state_id at = start;
    for (std::size_t i = 0; i < wanted; ++i) {
        if (i >= least) connect(at, end);
        connect(at, copies[i].start);
        at = copies[i].end;
    }
    if (most == unlimited) connect(at, copies.back().start);
    connect(at, end);
    return all;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
