// A network crossed with a vocabulary: which tokens may come next, which can only come next, and
// how many it takes to an end.
//
// Masks are found by one walk through all tokens (detail/token_trie.hpp) and kept by state. All
// that is kept can be found again: it is dropped when it grows too large, or when memory runs out.
// A mutex guards it, so threads may share an engine.
//
// Before: detail/network_reader.hpp, detail/token_trie.hpp, tokenizer.hpp. Next: constraint.hpp.
#pragma once

#include "../error.hpp"
#include "../tokenizer.hpp"
#include "network_product.hpp"
#include "network_reader.hpp"
#include "token_trie.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The tokens of a tokenizer by their bytes; special tokens stand for no text.
struct token_table {
    static constexpr std::size_t longest_token = 1024;  ///< bytes; longer ones are never allowed

    std::shared_ptr<const tokenizer> from;
    std::vector<token_id> ends;         ///< tokens that end a text
    std::array<char, 256> single = {};  ///< whether the byte is a token by itself
    token_trie plain;                   ///< tokens all of whose bytes are tokens too
    token_trie bound;                   ///< the others

    token_table(std::shared_ptr<const tokenizer> tokens, std::vector<token_id> end_tokens);

    std::size_t words() const { return (from->size() + 63) / 64; }
    bool is_end(token_id id) const { return std::find(ends.begin(), ends.end(), id) != ends.end(); }
    bool is_plain(std::string_view bytes) const {
        return std::all_of(bytes.begin(), bytes.end(),
                           [&](char c) { return single[static_cast<unsigned char>(c)] != 0; });
    }
    /// An automaton that reads what tokens can write, and the end of each that is bound.
    network_parts writable() const;
};

inline token_table::token_table(std::shared_ptr<const tokenizer> tokens,
                                std::vector<token_id> end_tokens)
    : from(std::move(tokens)), ends(std::move(end_tokens)) {
    if (!from) fail(errc::invalid_argument, "constraint", "a tokenizer", "none");
    for (const token_id id : ends) (void)from->bytes(id);
    std::vector<token_trie::token> usable[2];
    const auto each = [&](auto visit) {
        for (std::size_t i = 0; i < from->size(); ++i) {
            const auto id = static_cast<token_id>(i);
            const std::string_view bytes = from->bytes(id);
            if (!bytes.empty() && bytes.size() <= longest_token && !from->is_special(id) &&
                !is_end(id))
                visit(bytes, id);
        }
    };
    each([&](std::string_view bytes, token_id) {
        if (bytes.size() == 1) single[static_cast<unsigned char>(bytes.front())] = 1;
    });
    each([&](std::string_view bytes, token_id id) {
        usable[is_plain(bytes)].push_back({bytes, id});
    });
    plain = token_trie(std::move(usable[1]));
    bound = token_trie(std::move(usable[0]));
}

inline network_parts token_table::writable() const {
    network_parts made;
    for (std::size_t byte = 0; byte < 256; ++byte)
        made.class_of[byte] = static_cast<std::uint8_t>(byte);
    made.classes = 256;
    made.boundaries = true;
    const std::string_view where = "constraint";
    const state_id start = made.add_state(where), end = made.add_state(where);
    made.final[start] = 1;
    const auto row = [&](state_id at) { return at * made.symbols(); };
    made.next[row(end) + 256] = start;  // where a token without continuations ends
    for (std::size_t byte = 0; byte < 256; ++byte)
        if (single[byte]) made.next[row(start) + byte] = end;
    std::vector<state_id> path(bound.longest() + 1, start);
    for (std::size_t i = 0; i < bound.size(); ++i) {
        const token_trie::node& node = bound[i];
        const auto [first, last] = bound.tokens_at(i);
        const std::size_t cell = row(path[node.depth - std::size_t{1}]) + node.byte;
        if (node.beyond == i + 1) {  // a leaf
            made.next[cell] = end;
            continue;
        }
        const state_id at = made.add_state(where);
        if (first != last || made.next[cell] == end) made.next[row(at) + 256] = start;
        made.next[cell] = at;
        path[node.depth] = at;
    }
    return made;
}

/// Const calls may be shared by threads.
class constraint_engine {
    /// What `action` gives; threads take turns. Where memory runs out, what was kept is given back.
    template <class Action>
    auto guarded(Action action) const {
        const std::lock_guard lock(mutex_);
        try {
            // Without recursion the states are few, and counted tokens are worth keeping.
            if (!grammar_.regular() && reader_.bytes() > most_state_bytes) clear();
            return action();
        } catch (const std::bad_alloc&) {
            clear();
            fail(errc::out_of_memory, "constraint", "too large for memory");
        }
    }

public:
    using mask = std::vector<std::uint64_t>;
    static constexpr std::size_t most_mask_bytes = std::size_t{32} << 20;
    static constexpr std::size_t most_state_bytes = std::size_t{64} << 20;
    static constexpr std::size_t most_steps = std::size_t{1} << 26;  ///< to count tokens exactly
    static constexpr std::size_t longest_forced = 4096;              ///< bytes of one stretch
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    constraint_engine(const network& grammar, std::shared_ptr<const token_table> tokens)
        : tokens_(std::move(tokens)), grammar_(restricted(grammar)), reader_(grammar_) {}

    const token_table& tokens() const { return *tokens_; }
    reading_ptr start() const {
        return guarded([&] { return reader_.what(reader_.start()); });
    }
    std::shared_ptr<const mask> allowed(const reading_ptr& at, std::size_t left) const {
        return guarded([&] { return mask_within(reader_.intern(at), left); });
    }
    /// What the token leads to; none when it is not allowed.
    reading_ptr advanced(const reading_ptr& at, token_id token) const {
        return guarded([&]() -> reading_ptr {
            const state to = after(reader_.intern(at), token);
            return to == dead ? nullptr : reader_.what(to);
        });
    }
    std::vector<token_id> forced(const reading_ptr& at, std::size_t left) const {
        return guarded([&] {
            const state from = reader_.intern(at);
            return bounded() ? only_tokens(from, left) : cut_forced(from, left);
        });
    }
    std::uint64_t tokens_left(const reading_ptr& at) const {
        return guarded([&] { return count_of(reader_.intern(at)); });
    }

private:
    using state = network_reader::state;
    static constexpr state dead = network_reader::dead;
    static constexpr std::uint64_t not_counted = ~std::uint64_t{0};

    /// What is known of a state beside its steps.
    struct known {
        std::shared_ptr<const mask> allowed = {};
        std::uint64_t most_left = 0;  // of bytes, after any token that is allowed
        std::uint64_t tokens = not_counted;
    };

    network restricted(const network& grammar) const;

    /// Whether the network reads ends of tokens.
    bool bounded() const { return grammar_.parts().boundaries; }

    void clear() const noexcept {
        reader_.clear();
        known_.clear();
        mask_bytes_ = 0;
        counted_ = false;
    }
    known& of(state at) const {
        if (known_.size() < reader_.size()) known_.resize(reader_.size());
        return known_[at];
    }

    state after(state at, token_id token) const;
    state after_byte(state at, unsigned char byte, bool ends) const {
        state to = reader_.step_byte(at, byte);
        if (to != dead && ends) to = reader_.step(to, grammar_.parts().classes);
        return to;
    }
    template <class Visit>
    void walk(const token_trie& tokens, state from, Visit visit) const;
    template <class Visit>
    void walk_all(state from, Visit visit) const {
        walk(tokens_->plain, from, visit);
        if (bounded()) walk(tokens_->bound, from, visit);
    }

    std::shared_ptr<const mask> whole_mask(state at) const;
    std::shared_ptr<const mask> mask_within(state at, std::size_t left) const;
    void add_ends(state at, mask& to) const {
        if (reader_.accepts(at))
            for (const token_id id : tokens_->ends) set(to, id);
    }
    static void set(mask& to, token_id id) {
        to[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
    }

    std::uint64_t count_of(state at) const;
    bool count_exactly() const;
    void spread_counts(const std::vector<std::vector<state>>& before) const;
    std::uint64_t count_shortest(state at) const;

    static constexpr int no_byte = -1, several = 256;
    int only_byte(state at) const;
    std::vector<token_id> cut_forced(state at, std::size_t left) const;
    std::vector<token_id> only_tokens(state at, std::size_t left) const;

    std::shared_ptr<const token_table> tokens_;
    network grammar_;
    mutable std::mutex mutex_;
    mutable network_reader reader_;
    mutable std::vector<known> known_;
    mutable std::size_t mask_bytes_ = 0, steps_ = 0;
    mutable bool counted_ = false, exact_ = false;
};

/// The part of a grammar that the vocabulary can write.
inline network constraint_engine::restricted(const network& grammar) const {
    bool complete = true;
    for (std::size_t byte = 0; byte < 256; ++byte)
        for (state_id at = 0; at < grammar.states() && !tokens_->single[byte]; ++at)
            if (grammar.step(at, grammar.parts().class_of[byte]) != no_state) complete = false;
    if (complete) return grammar;
    return network_product(grammar, tokens_->writable(), "constraint").run();
}

/// Where a token leads. A plain one counts as so many tokens of a byte each.
inline constraint_engine::state constraint_engine::after(state at, token_id token) const {
    const std::string_view bytes = tokens_->from->bytes(token);
    if (bytes.empty() || bytes.size() > token_table::longest_token ||
        tokens_->from->is_special(token) || tokens_->is_end(token))
        return dead;
    const bool plain = tokens_->is_plain(bytes);
    if (!plain && !bounded()) return dead;  // it has a byte that the grammar never reads
    for (std::size_t i = 0; i < bytes.size() && at != dead; ++i)
        at = after_byte(at, static_cast<unsigned char>(bytes[i]),
                        bounded() && (plain || i + 1 == bytes.size()));
    return at;
}

/// Calls visit(place of the id, state behind it) for each token that is allowed.
template <class Visit>
void constraint_engine::walk(const token_trie& tokens, state from, Visit visit) const {
    const bool plain = &tokens == &tokens_->plain;
    const bool each_ends = bounded() && plain, last_ends = bounded() && !plain;
    std::vector<state> path(tokens.longest() + 1, from);
    for (std::size_t i = 0; i < tokens.size(); ++steps_) {
        const token_trie::node node = tokens[i];
        state at = after_byte(path[node.depth - std::size_t{1}], node.byte, each_ends);
        if (at == dead) {
            i = node.beyond;
            continue;
        }
        path[node.depth] = at;
        const auto [first, last] = tokens.tokens_at(i++);
        if (first == last) continue;
        if (last_ends) at = reader_.step(at, grammar_.parts().classes);
        if (at == dead) continue;
        for (std::uint32_t place = first; place < last; ++place) visit(tokens.ids()[place], at);
    }
}

inline std::shared_ptr<const constraint_engine::mask> constraint_engine::whole_mask(
    state at) const {
    if (of(at).allowed) return of(at).allowed;
    const auto made = std::make_shared<mask>(tokens_->words());
    std::uint64_t most = 0;
    walk_all(at, [&](token_id id, state to) {
        set(*made, id);
        most = std::max(most, reader_.bytes_left(to));
    });
    add_ends(at, *made);
    const std::size_t bytes = made->size() * sizeof(std::uint64_t);
    if (mask_bytes_ + bytes > most_mask_bytes) {
        for (known& one : known_) one.allowed = nullptr;
        mask_bytes_ = 0;
    }
    mask_bytes_ += bytes;
    of(at).most_left = most;
    return of(at).allowed = made;
}

/// The tokens after which the text can still be completed with what is left then.
inline std::shared_ptr<const constraint_engine::mask> constraint_engine::mask_within(
    state at, std::size_t left) const {
    if (left == unlimited) return whole_mask(at);
    if (reader_.bytes_left(at) > left && count_of(at) > left)
        fail(errc::invalid_argument, "constraint",
             {"at least ", count_of(at), " tokens to complete the text"}, {left, " left"});
    if (left > 0) {
        const auto all = whole_mask(at);
        if (of(at).most_left <= left - 1) return all;
    }
    const auto made = std::make_shared<mask>(tokens_->words());
    if (left > 0)
        walk_all(at, [&](token_id id, state to) {
            if (reader_.bytes_left(to) <= left - 1 || count_of(to) <= left - 1) set(*made, id);
        });
    add_ends(at, *made);
    return made;
}

/// The fewest tokens to an end. Exact without recursion (unless that takes most_steps); else what
/// the shortest text takes, so that there is always a token that brings the end nearer.
inline std::uint64_t constraint_engine::count_of(state at) const {
    if (of(at).tokens == not_counted && !count_exactly()) of(at).tokens = count_shortest(at);
    return of(at).tokens;
}

/// Counts the tokens of all states at once, backwards from the ends; whether it could.
inline bool constraint_engine::count_exactly() const {
    if (std::exchange(counted_, true)) return exact_;
    exact_ = false;
    if (!grammar_.regular()) return false;
    std::vector<std::vector<state>> before(1);
    std::vector<state> order{reader_.start()}, marks;
    const auto grow = [&] {
        before.resize(reader_.size());
        marks.resize(reader_.size(), dead);
    };
    std::vector<char> met;
    steps_ = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const state from = order[i];
        walk_all(from, [&](token_id, state to) {
            if (to >= marks.size()) grow();
            if (std::exchange(marks[to], from) == from) return;
            before[to].push_back(from);
            met.resize(std::max(met.size(), marks.size()));
            if (to != order.front() && !std::exchange(met[to], 1)) order.push_back(to);
        });
        if (steps_ > most_steps) return false;
    }
    before.resize(reader_.size());
    spread_counts(before);
    return exact_ = true;
}

/// Breadth first from the states that accept, by what leads to each with one token.
inline void constraint_engine::spread_counts(const std::vector<std::vector<state>>& before) const {
    std::vector<state> order;
    for (state at = 0; at < before.size(); ++at)
        if (reader_.accepts(at)) {
            of(at).tokens = 0;
            order.push_back(at);
        }
    for (std::size_t i = 0; i < order.size(); ++i)
        for (const state from : before[order[i]])
            if (of(from).tokens == not_counted) {
                of(from).tokens = of(order[i]).tokens + 1;
                order.push_back(from);
            }
}

/// The tokens that the shortest text takes, of several such texts the first by its bytes: what is
/// left of it after a token is the text of the state there, so the count goes down with it.
inline std::uint64_t constraint_engine::count_shortest(state at) const {
    const std::uint64_t bytes = reader_.bytes_left(at);
    if (bounded() || bytes > longest_forced) return bytes;
    std::string text;
    std::vector<state> path{at};
    while (reader_.bytes_left(path.back()) > 0) {
        const std::uint64_t wanted = reader_.bytes_left(path.back()) - 1;
        state next = dead;
        unsigned byte = 0;
        for (; byte < 256; ++byte) {
            next = reader_.step_byte(path.back(), static_cast<unsigned char>(byte));
            if (next != dead && reader_.bytes_left(next) == wanted) break;
        }
        if (byte == 256) return bytes;  // ways were dropped: the bytes are a bound all the same
        text += static_cast<char>(byte);
        path.push_back(next);
    }
    std::vector<std::uint64_t> counts(text.size() + 1);
    for (std::size_t i = text.size(); i-- > 0;) {
        counts[i] = text.size() - i;
        tokens_->plain.each_prefix(std::string_view(text).substr(i),
                                   [&](std::size_t size, token_id) {
                                       counts[i] = std::min(counts[i], counts[i + size] + 1);
                                   });
        of(path[i]).tokens = counts[i];
    }
    return counts.front();
}

/// The byte that must come next; `several` of them, or no_byte where the text may end.
inline int constraint_engine::only_byte(state at) const {
    int found = no_byte;
    for (int byte = 0; byte < 256 && !reader_.accepts(at); ++byte) {
        if (reader_.step_byte(at, static_cast<unsigned char>(byte)) == dead) continue;
        if (found != no_byte) return several;
        found = byte;
    }
    return found;
}

inline std::vector<token_id> constraint_engine::cut_forced(state at, std::size_t left) const {
    std::string text;
    for (int byte = only_byte(at);
         byte != no_byte && byte != several && text.size() < longest_forced; byte = only_byte(at)) {
        text += static_cast<char>(byte);
        at = reader_.step_byte(at, static_cast<unsigned char>(byte));
    }
    std::vector<token_id> ids;
    if (text.empty()) return ids;
    try {
        ids = tokens_->from->encode(text);
    } catch (const error&) {
        // a tokenizer may have no token for a character of which it has the bytes
    }
    std::string joined;
    for (const token_id id : ids)
        joined += tokens_->from->is_special(id) || tokens_->is_end(id) ? std::string_view()
                                                                       : tokens_->from->bytes(id);
    if (joined != text) {  // it changes texts; so the longest token first
        ids.clear();
        std::size_t size = 0;
        for (std::size_t done = 0; done < text.size(); done += size) {
            ids.push_back(-1);
            tokens_->plain.each_prefix(std::string_view(text).substr(done),
                                       [&](std::size_t longer, token_id id) {
                                           size = longer;
                                           ids.back() = id;
                                       });
        }
    }
    const bool fits =
        left == unlimited || (ids.size() <= left && count_of(at) <= left - ids.size());
    return fits ? ids : std::vector<token_id>();
}

/// Where ends of tokens matter: as long as only one token is allowed, that one.
inline std::vector<token_id> constraint_engine::only_tokens(state at, std::size_t left) const {
    std::vector<token_id> ids;
    while (!reader_.accepts(at) && ids.size() < std::min(left, longest_forced)) {
        token_id only = -1;
        bool one = true;
        walk_all(at, [&](token_id id, state) {
            one = only < 0;
            only = one ? id : only;
        });
        if (!one || only < 0) break;
        ids.push_back(only);
        at = after(at, only);
    }
    return ids;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
