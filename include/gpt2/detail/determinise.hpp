// From the draft of a grammar to its network.
//
// Rules that do not call themselves, not even through others, are written out where they are
// called, as long as that is short: without recursion there is then a finite automaton. Then the
// states that a reader may be in at once become one (the subset construction), rule by rule.
//
// Before: detail/network.hpp. Used by: grammar.hpp, detail/json_schema.hpp.
#pragma once

#include "automaton_draft.hpp"
#include "network.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The edges of a draft by the state they leave.
class draft_edges {
public:
    explicit draft_edges(const automaton_draft& of) : begins_(of.states() + 1) {
        for (const draft_edge& edge : of.edges()) ++begins_[edge.from + 1];
        for (std::size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
        std::vector<std::size_t> next = begins_;
        sorted_.resize(of.edges().size());
        for (const draft_edge& edge : of.edges()) sorted_[next[edge.from]++] = edge;
    }
    std::span<const draft_edge> from(state_id at) const {
        return std::span(sorted_).subspan(begins_[at], begins_[at + 1] - begins_[at]);
    }

private:
    std::vector<std::size_t> begins_;
    std::vector<draft_edge> sorted_;
};

/// Writes rules out where they are called.
class rule_inliner {
public:
    static constexpr std::size_t longest = 4096;  ///< states of a rule written out more than once

    explicit rule_inliner(const automaton_draft& from)
        : from_(from), edges_(from), made_(from.where()), copies_(from.states(), no_state) {}

    automaton_draft run() {
        measure();
        for (rule_id rule = 1; rule < inlined_.size(); ++rule)
            kept_.push_back(inlined_[rule] ? 0 : made_.add_rule(from_.rules()[rule].name));
        for (rule_id rule = 0; rule < inlined_.size(); ++rule) {
            if (inlined_[rule] || from_.rules()[rule].start == no_state) continue;
            const fragment body = made_.open();
            const state_id end = made_.add_state();
            made_.define(kept_[rule], {body.start, end, 0, 0});
            waiting_.push_back({rule, body.start, end});
            while (!waiting_.empty()) {
                const site next = waiting_.back();
                waiting_.pop_back();
                write(next);
            }
        }
        return std::move(made_);
    }

private:
    struct site {
        rule_id rule;
        state_id from, to;
    };

    /// Visits the body of a rule: its states once, in a fixed order.
    template <class Visit>
    void walk(rule_id rule, Visit visit) const {
        std::vector<state_id> waiting{from_.rules()[rule].start};
        std::unordered_set<state_id> met{waiting.front()};
        while (!waiting.empty()) {
            const state_id at = waiting.back();
            waiting.pop_back();
            visit(at);
            for (const draft_edge& edge : edges_.from(at))
                if (met.insert(edge.to).second) waiting.push_back(edge.to);
        }
    }

    /// Decides which rules to write out: leaves first, then what calls only those.
    void measure() {
        const std::size_t count = from_.rules().size();
        std::vector<std::vector<rule_id>> callers(count);
        std::vector<std::size_t> open(count), sizes(count);
        std::vector<std::vector<rule_id>> callees(count);
        std::vector<rule_id> ready;
        inlined_.assign(count, 0);
        for (rule_id rule = 0; rule < count; ++rule) {
            if (from_.rules()[rule].start == no_state) continue;
            walk(rule, [&](state_id at) {
                ++sizes[rule];
                for (const draft_edge& edge : edges_.from(at))
                    if (edge.does == draft_edge::kind::calls) callees[rule].push_back(edge.rule);
            });
            open[rule] = callees[rule].size();
            for (const rule_id callee : callees[rule]) callers[callee].push_back(rule);
            if (open[rule] == 0) ready.push_back(rule);
        }
        while (!ready.empty()) {
            const rule_id rule = ready.back();
            ready.pop_back();
            for (const rule_id callee : callees[rule])
                if (inlined_[callee])
                    sizes[rule] =
                        std::min(sizes[rule] + sizes[callee], automaton_draft::most_states);
            inlined_[rule] = rule != 0 && (sizes[rule] <= longest || callers[rule].size() == 1);
            for (const rule_id caller : callers[rule])
                if (--open[caller] == 0) ready.push_back(caller);
        }
    }

    /// A copy of a rule between two states.
    void write(const site& at) {
        std::vector<state_id> met;
        walk(at.rule, [&](state_id state) {
            met.push_back(state);
            copies_[state] = made_.add_state();
        });
        for (const state_id state : met)
            for (draft_edge edge : edges_.from(state)) {
                edge.from = copies_[edge.from];
                edge.to = copies_[edge.to];
                if (edge.does == draft_edge::kind::calls) {
                    if (inlined_[edge.rule]) {
                        waiting_.push_back({edge.rule, edge.from, edge.to});
                        continue;
                    }
                    edge.rule = kept_[edge.rule];
                }
                made_.add_edge(edge);
            }
        const automaton_draft::rule& body = from_.rules()[at.rule];
        made_.connect(at.from, copies_[body.start]);
        if (copies_[body.end] != no_state) made_.connect(copies_[body.end], at.to);
        for (const state_id state : met) copies_[state] = no_state;
    }

    const automaton_draft& from_;
    draft_edges edges_;
    automaton_draft made_;
    std::vector<char> inlined_;
    std::vector<rule_id> kept_{0};
    std::vector<state_id> copies_;
    std::vector<site> waiting_;
};

/// The subset construction.
class determiniser {
public:
    static constexpr std::size_t most_work = std::size_t{1} << 23;  ///< states in all subsets

    explicit determiniser(const automaton_draft& from)
        : from_(from), edges_(from), marks_(from.states()), ends_(from.states()) {
        for (const auto& rule : from.rules())
            if (rule.end != no_state) ends_[rule.end] = 1;
        find_classes();
    }

    network run() {
        std::vector<state_id> starts;
        for (const auto& rule : from_.rules()) {
            const state_id at =
                rule.start == no_state ? made_.add_state(from_.where()) : subset({rule.start});
            starts.push_back(at);
            made_.names.emplace(at, rule.name);
        }
        for (state_id at = 0; at < made_.states(); ++at) expand(at, starts);
        return network(std::move(made_), from_.where());
    }

private:
    using members = std::u32string;  // states, sorted

    /// Bytes between two places where any edge begins or ends are alike.
    void find_classes() {
        std::array<char, 257> cuts{};
        for (const draft_edge& edge : from_.edges())
            if (edge.does == draft_edge::kind::bytes) {
                cuts[edge.bytes.low] = 1;
                cuts[edge.bytes.high + std::size_t{1}] = 1;
            }
        std::uint8_t symbol = 0;
        for (std::size_t byte = 0; byte < 256; ++byte) {
            if (byte > 0 && cuts[byte]) ++symbol;
            made_.class_of[byte] = symbol;
        }
        made_.classes = symbol + std::size_t{1};
    }

    /// The state for all that can be reached from these without a byte.
    state_id subset(std::vector<state_id> open) {
        ++mark_;
        members key;
        char ends = 0;
        while (!open.empty()) {
            const state_id at = open.back();
            open.pop_back();
            if (std::exchange(marks_[at], mark_) == mark_) continue;
            bool matters = ends_[at];
            ends = ends || ends_[at];
            for (const draft_edge& edge : edges_.from(at)) {
                if (edge.does == draft_edge::kind::nothing)
                    open.push_back(edge.to);
                else
                    matters = true;
            }
            if (matters) key += static_cast<char32_t>(at);
            if (++work_ > most_work)
                fail(errc::limit_exceeded, from_.where(),
                     {"at most ", most_work, " steps to an automaton"}, "more");
        }
        std::sort(key.begin(), key.end());
        const auto [known, fresh] = subsets_.try_emplace(key, no_state);
        if (fresh) {
            known->second = made_.add_state(from_.where());
            made_.final.back() = ends;
            keys_.resize(made_.states());
            keys_.back() = std::move(key);
        }
        return known->second;
    }

    void expand(state_id at, const std::vector<state_id>& starts) {
        if (at >= keys_.size()) return;  // of a rule without a body
        std::vector<std::vector<state_id>> targets(made_.classes);
        std::map<rule_id, std::vector<state_id>> called;
        for (const char32_t member : keys_[at])
            for (const draft_edge& edge : edges_.from(static_cast<state_id>(member))) {
                if (edge.does == draft_edge::kind::calls) called[edge.rule].push_back(edge.to);
                if (edge.does != draft_edge::kind::bytes) continue;
                const std::size_t last = made_.class_of[edge.bytes.high];
                for (std::size_t c = made_.class_of[edge.bytes.low]; c <= last; ++c)
                    targets[c].push_back(edge.to);
            }
        state_id to = no_state;
        for (std::size_t c = 0; c < targets.size(); ++c) {
            if (targets[c].empty()) continue;
            if (c == 0 || targets[c] != targets[c - 1]) to = subset(targets[c]);
            made_.next[at * made_.symbols() + c] = to;
        }
        for (const auto& [rule, after] : called) {
            const state_id then = subset(after);
            made_.calls[at].push_back({starts[rule], then});
        }
    }

    const automaton_draft& from_;
    draft_edges edges_;
    network_parts made_;
    std::vector<std::size_t> marks_;
    std::vector<char> ends_;
    std::size_t mark_ = 0, work_ = 0;
    std::unordered_map<members, state_id> subsets_;
    std::vector<members> keys_;  // of each state
};

/// The network of a finished draft. Raises what `network` raises, and errc::limit_exceeded above
/// network::most_states states or determiniser::most_work steps.
inline network determinised(const automaton_draft& from) {
    return determiniser(rule_inliner(from).run()).run();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
