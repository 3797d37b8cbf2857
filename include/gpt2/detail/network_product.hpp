// What two grammars have in common, where one of them is a finite automaton.
//
// Bar-Hillel's construction (1961): a rule of the first becomes one rule for each pair of states of
// the second between which it can lead. Only pairs that are met are made.
//
// An automaton may also read a symbol for the end of a token: where tokens end a network without
// that symbol does not move. So a vocabulary that cannot write every byte becomes an automaton, and
// what it has in common with a grammar is what the vocabulary can write.
//
// Before: detail/network.hpp. Next: detail/constraint_engine.hpp.
#pragma once

#include "../error.hpp"
#include "network.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

class network_product {
public:
    static constexpr std::size_t most_pairs = std::size_t{1} << 19;

    /// `right` makes no calls, and only it may read ends of tokens.
    network_product(const network& left, const network_parts& right, std::string_view where)
        : left_(left), right_(right), where_(where) {
        join_symbols();
        for (state_id at = 0; at < right.states(); ++at) {
            bool bytes = false;
            for (std::size_t c = 0; c < right.classes; ++c)
                bytes = bytes || right.step(at, c) != no_state;
            // Where only the end of a token leads on, it comes before anything else.
            urgent_.push_back(!bytes && right.boundaries &&
                              right.step(at, right.classes) != no_state);
        }
    }

    /// Raises what `network` raises, errc::limit_exceeded above most_pairs.
    network run() {
        explore();
        build();
        return network(std::move(made_), where_);
    }

private:
    using pair = std::pair<state_id, state_id>;
    struct pair_hash {
        std::size_t operator()(const pair& p) const {
            return std::hash<std::uint64_t>()(std::uint64_t{p.first} << 32 | p.second);
        }
    };
    struct site {
        std::size_t item;
        state_id to;
    };
    /// A rule of the left entered in a state of the right.
    struct item {
        std::unordered_map<pair, char, pair_hash> met = {};
        std::vector<state_id> exits = {};  // states of the right in which it can end
        std::vector<site> callers = {};
    };
    struct place {
        std::size_t item;
        pair at;
    };
    /// An item that must end in `last`; the whole grammar in any state that accepts: no_state.
    struct variant {
        std::size_t item;
        state_id last;
        std::unordered_map<pair, state_id, pair_hash> states = {};
    };
    struct job {
        std::size_t variant;
        pair at;
        state_id state;
    };

    void join_symbols() {
        std::map<pair, std::uint8_t> known;
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const pair both{left_.parts().class_of[byte], right_.class_of[byte]};
            const auto [at, fresh] = known.emplace(both, static_cast<std::uint8_t>(known.size()));
            if (fresh) symbols_.push_back(both);
            made_.class_of[byte] = at->second;
        }
        made_.classes = symbols_.size();
        made_.boundaries = right_.boundaries;
    }

    /// Where a symbol of the product leads.
    pair step(const pair& at, std::size_t symbol) const {
        if (symbol == symbols_.size()) return {at.first, right_.step(at.second, right_.classes)};
        return {left_.step(at.first, symbols_[symbol].first),
                right_.step(at.second, symbols_[symbol].second)};
    }

    std::size_t item_of(state_id rule, state_id entered) {
        const auto [known, fresh] = names_.emplace(pair{rule, entered}, items_.size());
        if (fresh) {
            items_.emplace_back();
            meet(known->second, {rule, entered});
        }
        return known->second;
    }
    void meet(std::size_t in, const pair& at) {
        if (at.first == no_state || at.second == no_state) return;
        if (!items_[in].met.emplace(at, 0).second) return;
        if (++pairs_ > most_pairs)
            fail(errc::limit_exceeded, where_, {"at most ", most_pairs, " pairs of states"},
                 "more");
        waiting_.push_back({in, at});
    }
    void leave(std::size_t in, state_id last) {
        auto& exits = items_[in].exits;
        if (std::find(exits.begin(), exits.end(), last) != exits.end()) return;
        exits.push_back(last);
        for (std::size_t i = 0; i < items_[in].callers.size(); ++i) {
            const site caller = items_[in].callers[i];
            meet(caller.item, {caller.to, last});
        }
    }

    /// All pairs of states that can be reached, and how each rule can end.
    void explore() {
        item_of(0, 0);
        while (!waiting_.empty()) {
            const place next = waiting_.back();
            waiting_.pop_back();
            for (std::size_t symbol = 0; symbol < made_.symbols(); ++symbol)
                meet(next.item, step(next.at, symbol));
            if (urgent_[next.at.second]) continue;
            for (const network_call& call : left_.calls(next.at.first)) {
                const std::size_t callee = item_of(call.start, next.at.second);
                items_[callee].callers.push_back({next.item, call.to});
                for (std::size_t i = 0; i < items_[callee].exits.size(); ++i)
                    meet(next.item, {call.to, items_[callee].exits[i]});
            }
            if (left_.is_final(next.at.first)) leave(next.item, next.at.second);
        }
    }

    state_id variant_start(std::size_t of, state_id last, const pair& start) {
        const auto [known, fresh] = variant_names_.emplace(std::pair{of, last}, variants_.size());
        if (fresh) variants_.push_back({of, last});
        return state_of(known->second, start);
    }
    state_id state_of(std::size_t in, const pair& at) {
        const auto [known, fresh] = variants_[in].states.emplace(at, no_state);
        if (fresh) {
            known->second = made_.add_state(where_);
            jobs_.push_back({in, at, known->second});
        }
        return known->second;
    }

    void build() {
        variant_start(0, no_state, {0, 0});
        while (!jobs_.empty()) {
            const job next = jobs_.back();
            jobs_.pop_back();
            const state_id last = variants_[next.variant].last;
            for (std::size_t symbol = 0; symbol < made_.symbols(); ++symbol) {
                const pair to = step(next.at, symbol);
                if (to.first == no_state || to.second == no_state) continue;
                const state_id named = state_of(next.variant, to);
                made_.next[next.state * made_.symbols() + symbol] = named;
            }
            if (urgent_[next.at.second]) continue;
            for (const network_call& call : left_.calls(next.at.first)) {
                const pair start{call.start, next.at.second};
                const std::size_t callee = names_.at(start);
                for (const state_id end : items_[callee].exits) {
                    const state_id called = variant_start(callee, end, start);
                    const state_id then = state_of(next.variant, {call.to, end});
                    made_.calls[next.state].push_back({called, then});
                    const auto name = left_.parts().names.find(call.start);
                    if (name != left_.parts().names.end())
                        made_.names.emplace(called, name->second);
                }
            }
            const bool ends =
                last == no_state ? right_.final[next.at.second] != 0 : next.at.second == last;
            made_.final[next.state] = left_.is_final(next.at.first) && ends;
        }
    }

    const network& left_;
    const network_parts& right_;
    std::string_view where_;
    network_parts made_;
    std::vector<pair> symbols_;  // of both sides, by symbol of the product
    std::vector<char> urgent_;   // by state of the right
    std::map<pair, std::size_t> names_;
    std::vector<item> items_;
    std::vector<place> waiting_;
    std::size_t pairs_ = 0;
    std::map<std::pair<std::size_t, state_id>, std::size_t> variant_names_;
    std::vector<variant> variants_;
    std::vector<job> jobs_;
};

/// What both match. Raises errc::unsupported where both call rules, and what network_product does.
inline network common(const network& left, const network& right, std::string_view where) {
    if (!right.regular() && !left.regular())
        fail(errc::unsupported, where, "at most one grammar with recursion", "two");
    return right.regular() ? network_product(left, right.parts(), where).run()
                           : network_product(right, left.parts(), where).run();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
