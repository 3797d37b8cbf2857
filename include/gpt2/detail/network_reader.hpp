// Reading bytes with a network: the set of ways in which what came so far can be understood, made a
// state that is computed once and then looked up.
//
// A way is a stack: the states to return to, and the state it stands in. Ways never come to a dead
// end; where one would need more than network::most_depth calls it is not taken, and beyond
// most_ways at once the deepest are dropped. That leaves texts out, and never lets a wrong one in.
//
// Before: detail/network.hpp. Next: detail/constraint_engine.hpp.
#pragma once

#include "../error.hpp"
#include "network.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// All ways to understand a text so far, and whether it may end here. It outlives the reader.
struct reading {
    std::vector<std::u32string> ways;  ///< each a stack, the state it stands in last
    bool accepts = false;
};
using reading_ptr = std::shared_ptr<const reading>;

/// Not to be shared by threads. Its states are numbers that hold until clear().
class network_reader {
public:
    using state = std::uint32_t;
    static constexpr state dead = ~state{0};
    static constexpr std::size_t most_ways = 64;
    static constexpr std::size_t most_looks = 4096;  ///< ways looked at to find them

    explicit network_reader(const network& of) : of_(of) {}

    state start() { return intern(close({std::u32string(1, U'\0')})); }

    /// Where a symbol leads; dead: nowhere.
    state step(state at, std::size_t symbol) {
        const state known = rows_[at * of_.symbols() + symbol];
        return known != unknown ? known : find_step(at, symbol);
    }
    state step_byte(state at, unsigned char byte) { return step(at, of_.parts().class_of[byte]); }

    const reading_ptr& what(state at) const { return entries_[at].what; }
    bool accepts(state at) const { return entries_[at].what->accepts; }
    /// The fewest bytes to an end.
    std::uint64_t bytes_left(state at) const { return entries_[at].bytes_left; }

    std::size_t size() const { return entries_.size(); }
    /// Roughly the memory that the states take.
    std::size_t bytes() const { return bytes_; }

    /// The state of a reading, which may have been made before the last clear().
    state intern(reading_ptr what);
    void clear() noexcept {
        entries_.clear();
        rows_.clear();
        names_.clear();
        bytes_ = 0;
    }

private:
    static constexpr state unknown = dead - 1;
    struct entry {
        reading_ptr what;
        std::uint64_t bytes_left;
    };

    state find_step(state at, std::size_t symbol);
    reading_ptr close(std::vector<std::u32string> open) const;
    void call_rules(const std::u32string& way, std::vector<std::u32string>& open) const;
    std::uint64_t bytes_of(const std::u32string& way) const {
        std::uint64_t sum = 0;
        for (const char32_t at : way)
            sum = std::min(sum + of_.bytes_left(static_cast<state_id>(at)), network::most_bytes);
        return sum;
    }
    /// Whether a way can be completed within the depth that is allowed.
    bool fits(const std::u32string& way) const {
        return way.size() - 1 + of_.depth_left(static_cast<state_id>(way.back())) <=
               network::most_depth;
    }

    const network& of_;
    std::vector<entry> entries_;
    std::vector<state> rows_;
    std::unordered_map<std::u32string, state> names_;
    std::size_t bytes_ = 0;
};

inline network_reader::state network_reader::intern(reading_ptr what) {
    std::u32string key(1, what->accepts ? U'\1' : U'\0');
    std::uint64_t left = what->accepts ? 0 : no_way;
    for (const std::u32string& way : what->ways) {
        key += way;
        key += static_cast<char32_t>(no_state);
        left = std::min(left, bytes_of(way));
    }
    const auto known = names_.find(key);
    if (known != names_.end()) return known->second;
    const auto made = static_cast<state>(entries_.size());
    rows_.resize(rows_.size() + of_.symbols(), unknown);
    bytes_ += 4 * (2 * key.size() + of_.symbols()) + 200;
    entries_.push_back({std::move(what), left});
    names_.emplace(std::move(key), made);
    return made;
}

inline network_reader::state network_reader::find_step(state at, std::size_t symbol) {
    std::vector<std::u32string> open;
    for (const std::u32string& way : what(at)->ways) {
        const state_id to = of_.step(static_cast<state_id>(way.back()), symbol);
        if (to == no_state) continue;
        open.push_back(way);
        open.back().back() = static_cast<char32_t>(to);
    }
    const state to = open.empty() ? dead : [&] {
        const reading_ptr found = close(std::move(open));
        return found->ways.empty() && !found->accepts ? dead : intern(found);
    }();
    rows_[at * of_.symbols() + symbol] = to;
    return to;
}

/// Follows calls and returns until each way waits for a byte.
inline reading_ptr network_reader::close(std::vector<std::u32string> open) const {
    const auto found = std::make_shared<reading>();
    std::unordered_set<std::u32string> seen;
    while (!open.empty() && seen.size() < most_looks) {
        const std::u32string way = std::move(open.back());
        open.pop_back();
        if (!fits(way) || !seen.insert(way).second) continue;
        const auto at = static_cast<state_id>(way.back());
        if (of_.moves(at)) found->ways.push_back(way);
        if (of_.is_final(at) && way.size() == 1) found->accepts = true;
        if (of_.is_final(at) && way.size() > 1) open.push_back(way.substr(0, way.size() - 1));
        call_rules(way, open);
    }
    if (!open.empty() && found->ways.empty() && !found->accepts)
        fail(errc::limit_exceeded, "constraint",
             {"at most ", most_looks, " ways to understand a text"}, "more");
    std::sort(found->ways.begin(), found->ways.end(), [](const auto& a, const auto& b) {
        return std::pair(a.size(), std::u32string_view(a)) <
               std::pair(b.size(), std::u32string_view(b));
    });
    if (found->ways.size() > most_ways) found->ways.resize(most_ways);
    return found;
}

inline void network_reader::call_rules(const std::u32string& way,
                                       std::vector<std::u32string>& open) const {
    for (const auto& [start, to] : of_.calls(static_cast<state_id>(way.back()))) {
        std::u32string next = way;
        next.back() = static_cast<char32_t>(to);
        if (!fits(next)) continue;
        // Where only the return is left to do, it is not waited for: lists may be of any length.
        if (of_.is_final(to) && !of_.moves(to) && of_.calls(to).empty()) next.pop_back();
        next += static_cast<char32_t>(start);
        open.push_back(std::move(next));
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
