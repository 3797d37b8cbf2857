// A grammar as an automaton over bytes: deterministic within each rule, rules calling each other.
//
// Whatever it holds leads to an end: states from which no text can be completed are taken out when
// it is made, so a reader that stands in any state, below any calls, can always go on to the end.
// Without calls it is a deterministic finite automaton. Bytes that no state tells apart are one
// symbol; one more symbol may stand for the end of a token (detail/network_product.hpp).
//
// Before: detail/automaton_draft.hpp. Next: detail/determinise.hpp, detail/network_product.hpp,
// detail/constraint_engine.hpp.
#pragma once

#include "automaton_draft.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A call made in a state: through the rule that begins at `start`, then on at `to`.
struct network_call {
    state_id start, to;
    friend auto operator<=>(const network_call&, const network_call&) = default;
};

/// What a network is made of; state 0 is where the whole grammar begins.
struct network_parts {
    std::array<std::uint8_t, 256> class_of{};  ///< the symbol of each byte
    std::size_t classes = 1;
    bool boundaries = false;                       ///< whether symbol `classes` ends a token
    std::vector<state_id> next;                    ///< by state and symbol; no_state: no way
    std::vector<std::vector<network_call>> calls;  ///< by state
    std::vector<char> final;                       ///< by state: a rule may end here
    std::map<state_id, std::string> names;         ///< of the rules, by where they start

    std::size_t symbols() const { return classes + boundaries; }
    std::size_t states() const { return final.size(); }
    state_id step(state_id at, std::size_t symbol) const { return next[at * symbols() + symbol]; }

    static constexpr std::size_t most_cells = std::size_t{1} << 23;  ///< states · symbols

    /// A new state without ways. Raises errc::limit_exceeded.
    state_id add_state(std::string_view where);
};

/// Const calls may be shared by threads.
class network {
public:
    static constexpr std::size_t most_states = std::size_t{1} << 15;
    static constexpr std::size_t most_depth = 256;  ///< of calls within calls
    static constexpr std::uint64_t most_bytes = std::uint64_t{1} << 60;

    /// Takes out what leads nowhere. Raises errc::invalid_argument when nothing can match,
    /// errc::unsupported for a rule that calls itself before it takes a byte,
    /// errc::limit_exceeded for calls that must nest too deep.
    network(network_parts parts, std::string_view where);

    const network_parts& parts() const { return parts_; }
    std::size_t states() const { return parts_.states(); }
    std::size_t symbols() const { return parts_.symbols(); }
    state_id step(state_id at, std::size_t symbol) const { return parts_.step(at, symbol); }
    std::span<const network_call> calls(state_id at) const { return parts_.calls[at]; }
    bool is_final(state_id at) const { return parts_.final[at] != 0; }
    /// Whether a byte, or the end of a token, leads on from here.
    bool moves(state_id at) const { return moves_[at] != 0; }
    bool regular() const { return regular_; }

    /// From here to the end of the rule: the fewest bytes, and the fewest calls within calls.
    std::uint64_t bytes_left(state_id at) const { return bytes_[at]; }
    std::uint64_t depth_left(state_id at) const { return depths_[at]; }

private:
    void take_live(std::string_view where);
    void refuse_left_recursion(std::string_view where) const;
    std::vector<state_id> called_first(state_id start) const;

    network_parts parts_;
    std::vector<std::uint64_t> bytes_, depths_;
    std::vector<char> moves_;
    bool regular_ = true;
};

inline constexpr std::uint64_t no_way = ~std::uint64_t{0};

/// For each state the least cost to the end of its rule, no_way where there is none: a byte costs
/// `per_byte`, `of_call` says what a call and what follows it cost together. Knuth's generalisation
/// of Dijkstra's algorithm (1977). O(edges · log states).
template <class OfCall>
std::vector<std::uint64_t> least_costs(const network_parts& parts, std::uint64_t per_byte,
                                       OfCall of_call) {
    struct source {
        state_id from;
        std::uint64_t cost;
    };
    struct call_source {
        state_id from;
        network_call call;
    };
    std::vector<std::vector<source>> before(parts.states());
    std::vector<std::vector<call_source>> calls(parts.states());
    for (state_id at = 0; at < parts.states(); ++at) {
        for (std::size_t symbol = 0; symbol < parts.symbols(); ++symbol) {
            const state_id to = parts.step(at, symbol);
            const std::uint64_t cost = symbol < parts.classes ? per_byte : 0;
            if (to != no_state && (before[to].empty() || before[to].back().from != at ||
                                   before[to].back().cost != cost))
                before[to].push_back({at, cost});
        }
        for (const network_call& call : parts.calls[at]) {
            calls[call.start].push_back({at, call});
            if (call.to != call.start) calls[call.to].push_back({at, call});
        }
    }
    using entry = std::pair<std::uint64_t, state_id>;
    std::priority_queue<entry, std::vector<entry>, std::greater<>> waiting;
    for (state_id at = 0; at < parts.states(); ++at)
        if (parts.final[at]) waiting.push({0, at});
    std::vector<std::uint64_t> costs(parts.states(), no_way);
    while (!waiting.empty()) {
        const auto [cost, at] = waiting.top();
        waiting.pop();
        if (costs[at] != no_way) continue;
        costs[at] = cost;
        for (const source& edge : before[at])
            if (costs[edge.from] == no_way)
                waiting.push({std::min(cost + edge.cost, network::most_bytes), edge.from});
        for (const auto& [from, call] : calls[at])
            if (costs[from] == no_way && costs[call.start] != no_way && costs[call.to] != no_way)
                waiting.push(
                    {std::min(of_call(costs[call.start], costs[call.to]), network::most_bytes),
                     from});
    }
    return costs;
}

inline state_id network_parts::add_state(std::string_view where) {
    if (next.size() + symbols() > most_cells)
        fail(errc::limit_exceeded, where, {"at most ", most_cells, " steps in an automaton"},
             "more");
    next.resize(next.size() + symbols(), no_state);
    calls.emplace_back();
    final.push_back(0);
    return static_cast<state_id>(states() - 1);
}

inline network::network(network_parts parts, std::string_view where) : parts_(std::move(parts)) {
    take_live(where);
    bytes_ = least_costs(parts_, 1, std::plus<>());
    depths_ = least_costs(parts_, 0, [](std::uint64_t called, std::uint64_t then) {
        return std::max(called + 1, then);
    });
    moves_.resize(states());
    for (state_id at = 0; at < states(); ++at) {
        for (std::size_t symbol = 0; symbol < symbols(); ++symbol)
            if (step(at, symbol) != no_state) moves_[at] = 1;
        regular_ = regular_ && calls(at).empty();
    }
    if (depths_[0] > most_depth)
        fail(errc::limit_exceeded, where, {"at most ", most_depth, " rules within rules"}, "more");
    if (!regular_) refuse_left_recursion(where);
}

/// Keeps the states that are on a way from the start to the end, in the order they are met.
inline void network::take_live(std::string_view where) {
    const auto costs = least_costs(parts_, 1, std::plus<>());
    if (costs.empty() || costs[0] == no_way)
        fail(errc::invalid_argument, where, "nothing can match");
    std::vector<state_id> names(parts_.states(), no_state), kept;
    const auto name = [&](state_id at) {
        if (names[at] == no_state) {
            names[at] = static_cast<state_id>(kept.size());
            kept.push_back(at);
        }
        return names[at];
    };
    network_parts live;
    live.class_of = parts_.class_of;
    live.classes = parts_.classes;
    live.boundaries = parts_.boundaries;
    name(0);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept.size() > most_states)
            fail(errc::limit_exceeded, where, {"at most ", most_states, " states"}, "more");
        const state_id at = kept[i];
        live.add_state(where);
        live.final.back() = parts_.final[at];
        for (std::size_t symbol = 0; symbol < symbols(); ++symbol) {
            const state_id to = parts_.step(at, symbol);
            if (to != no_state && costs[to] != no_way) live.next[i * symbols() + symbol] = name(to);
        }
        for (const auto& [start, to] : parts_.calls[at])
            if (costs[start] != no_way && costs[to] != no_way) {
                const state_id named = name(start);
                live.calls[i].push_back({named, name(to)});
            }
        const auto known = parts_.names.find(at);
        if (known != parts_.names.end()) live.names.emplace(i, known->second);
    }
    parts_ = std::move(live);
}

/// The rules that a rule may call before it takes a byte.
inline std::vector<state_id> network::called_first(state_id start) const {
    std::vector<state_id> seen{start}, called;
    for (std::size_t i = 0; i < seen.size(); ++i)
        for (const auto& [rule, to] : calls(seen[i])) {
            called.push_back(rule);
            if (bytes_[rule] == 0 && std::find(seen.begin(), seen.end(), to) == seen.end())
                seen.push_back(to);
        }
    std::sort(called.begin(), called.end());
    called.erase(std::unique(called.begin(), called.end()), called.end());
    return called;
}

inline void network::refuse_left_recursion(std::string_view where) const {
    std::map<state_id, std::vector<state_id>> callers;  // of each rule, as first thing
    std::map<state_id, std::size_t> open;               // rules it calls first, not yet cleared
    open[0] = 0;
    for (state_id at = 0; at < states(); ++at)
        for (const network_call& call : calls(at)) open[call.start] = 0;
    std::vector<state_id> clear;
    for (auto& [rule, count] : open) {
        const auto called = called_first(rule);
        for (const state_id other : called) callers[other].push_back(rule);
        count = called.size();
        if (count == 0) clear.push_back(rule);
    }
    while (!clear.empty()) {
        const state_id rule = clear.back();
        clear.pop_back();
        open.erase(rule);
        for (const state_id caller : callers[rule])
            if (--open.at(caller) == 0) clear.push_back(caller);
    }
    // What is left calls itself first, or calls something that does: the former is called too.
    for (const auto& [rule, count] : open)
        for (const state_id caller : callers[rule])
            if (open.contains(caller)) {
                const auto known = parts_.names.find(rule);
                fail(errc::unsupported, where,
                     {"the rule ", printable(known == parts_.names.end() ? "" : known->second, 60),
                      " begins with itself"});
            }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
