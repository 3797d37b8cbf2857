// Byte-pair merging: from the bytes of one piece to the ids of its tokens.
//
// The rule: while two neighbours can be merged, merge the pair of lowest rank, among equals the
// leftmost. It holds for any table of merges, in training order or not. A piece falls into parts
// between bytes that no merge joins. A short part is a scan over an array; a long one takes a heap,
// O(n log n); neither recurses. Tables answer in a bounded number of steps whatever ids a file has.
//
// Before: core.hpp. Next: tokenizer.hpp.
#pragma once

#include "../core.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Ids and ranks stay below this, so a pair and its rank fit one 64-bit word.
inline constexpr std::size_t most_tokens = std::size_t{1} << 20;
inline constexpr std::uint32_t no_rank = 0xFFFFFF;

/// Spreads the bits of `x` over the top of the result (Fibonacci hashing).
constexpr std::uint64_t spread(std::uint64_t x) {
    x ^= x >> 32;
    return x * 0x9E3779B97F4A7C15u;
}

/// Slots for `count` entries at a load of at most one half, as a shift for `spread`.
inline int table_shift(std::size_t count) {
    return 64 - std::max(6, static_cast<int>(std::bit_width(2 * count)));
}

/// (left, right) → rank. Open addressing; an entry that finds no slot within `most_probes` goes to
/// an ordered map, so that ids chosen to collide cost a binary search and no more.
class pair_table {
public:
    explicit pair_table(std::size_t count = 0)
        : shift_(table_shift(count)),
          slots_((std::size_t{1} << (64 - shift_)) + most_probes, empty) {}

    /// Adds a pair that is not there yet.
    void insert(token_id left, token_id right, std::uint32_t rank) {
        const std::uint64_t entry = key(left, right) << 24 | rank;
        for (std::size_t i = 0, at = slot(entry >> 24); i < most_probes; ++i)
            if (slots_[at + i] == empty) {
                slots_[at + i] = entry;
                return;
            }
        overflow_.emplace(entry >> 24, rank);
    }

    /// The rank of the pair, or no_rank.
    std::uint32_t find(token_id left, token_id right) const {
        const std::uint64_t wanted = key(left, right);
        for (std::size_t i = 0, at = slot(wanted); i < most_probes; ++i) {
            const std::uint64_t entry = slots_[at + i];
            if (entry >> 24 == wanted || entry == empty) return entry & no_rank;
        }
        const auto entry = overflow_.find(wanted);
        return entry == overflow_.end() ? no_rank : entry->second;
    }

    /// Calls visit(left, right, rank) for every pair, in no order.
    template <class Visit>
    void for_each(Visit visit) const {
        const auto tell = [&](std::uint64_t pair, std::uint32_t rank) {
            visit(static_cast<token_id>(pair >> 20), static_cast<token_id>(pair & 0xFFFFF), rank);
        };
        for (const std::uint64_t entry : slots_)
            if (entry != empty) tell(entry >> 24, static_cast<std::uint32_t>(entry & no_rank));
        for (const auto& [pair, rank] : overflow_) tell(pair, rank);
    }

private:
    static constexpr std::size_t most_probes = 16;
    static constexpr std::uint64_t empty = ~std::uint64_t{0};  // its rank reads no_rank

    static std::uint64_t key(token_id left, token_id right) {
        return static_cast<std::uint64_t>(left) << 20 | static_cast<std::uint64_t>(right);
    }
    std::size_t slot(std::uint64_t pair) const {
        return static_cast<std::size_t>(spread(pair) >> shift_);
    }

    int shift_;
    std::vector<std::uint64_t> slots_;
    std::map<std::uint64_t, std::uint32_t> overflow_;
};

/// A piece of at most 15 bytes as two words: its bytes, zeros, its length.
struct word_key {
    std::uint64_t low = 0, high = 0;
    bool operator==(const word_key&) const = default;
};
inline constexpr std::size_t longest_word = 15;

/// The key of the `size` ≤ longest_word bytes at `at`, in a text that ends at `end`.
inline word_key read_word(const char* at, std::size_t size, const char* end) {
    std::array<char, 16> bytes{};
    std::array<std::uint64_t, 2> words;
    if constexpr (std::endian::native == std::endian::little) {
        if (end - at >= 16) {  // two loads and two masks where a copy would have to loop
            std::memcpy(words.data(), at, 16);
            const unsigned bits = 8 * static_cast<unsigned>(size);
            const std::uint64_t mask = (std::uint64_t{1} << (bits & 63)) - 1;
            if (bits < 64) return {words[0] & mask, std::uint64_t{size} << 56};
            return {words[0], (words[1] & mask) | std::uint64_t{size} << 56};
        }
    }
    std::copy_n(at, size, bytes.begin());
    bytes[15] = static_cast<char>(size);
    std::memcpy(words.data(), bytes.data(), 16);
    return {words[0], words[1]};
}

/// Short pieces that are one token. It may leave any piece out: what is not found here is merged.
class word_table {
public:
    explicit word_table(std::size_t count = 0)
        : shift_(table_shift(count)), slots_((std::size_t{1} << (64 - shift_)) + most_probes) {}

    void insert(const word_key& key, token_id id) {
        for (std::size_t i = 0, at = slot(key); i < most_probes; ++i)
            if (slots_[at + i].id < 0) {
                slots_[at + i] = {key, id};
                return;
            }
    }

    /// The id of the piece, or -1.
    token_id find(const word_key& key) const {
        for (std::size_t i = 0, at = slot(key); i < most_probes; ++i) {
            const entry& there = slots_[at + i];
            if (there.key == key || there.id < 0) return there.id;
        }
        return -1;
    }

private:
    static constexpr std::size_t most_probes = 8;
    struct entry {
        word_key key;
        token_id id = -1;
    };

    std::size_t slot(const word_key& key) const {
        return static_cast<std::size_t>(spread(spread(key.low) ^ key.high) >> shift_);
    }

    int shift_;
    std::vector<entry> slots_;
};

/// What two bytes that stand side by side can become: the rank of their merge, no_rank when only
/// longer tokens join across them, or a seam, which no merge ever closes. Both sides of a seam
/// merge as if the other were not there, so a long piece is mostly many short parts.
class byte_pairs {
public:
    static constexpr std::uint32_t seam = no_rank + 1;

    std::uint32_t find(char left, char right) const { return ranks_[place(left, right)]; }

    /// Takes the merge of two tokens that end and begin so.
    void join(char left, char right) {
        std::uint32_t& there = ranks_[place(left, right)];
        there = std::min(there, no_rank);
    }
    /// Takes the merge of two bytes.
    void insert(char left, char right, std::uint32_t rank) { ranks_[place(left, right)] = rank; }

private:
    static std::size_t place(char left, char right) {
        return std::size_t{static_cast<unsigned char>(left)} << 8 |
               static_cast<unsigned char>(right);
    }
    std::vector<std::uint32_t> ranks_ = std::vector<std::uint32_t>(256 * 256, seam);
};

/// The merges of a vocabulary: which pairs merge, and into what.
struct pair_rules {
    pair_table ranks;
    std::vector<token_id> results;  // by rank
};

/// With them, for a vocabulary of bytes: what each byte begins as, which bytes never join.
struct merge_rules : pair_rules {
    std::array<token_id, 256> byte_ids;  // -1: no token for this byte
    byte_pairs bytes;

    token_id byte_id(char byte) const { return byte_ids[static_cast<unsigned char>(byte)]; }
};

/// The longest part that is merged by scanning: up to here a scan beats a heap.
inline constexpr std::size_t short_part = 64;

/// Appends the tokens of a part without seams, 1 to short_part bytes. O(size²).
inline void merge_short(const merge_rules& rules, std::string_view part,
                        std::vector<token_id>& out) {
    std::array<token_id, short_part> ids;
    std::array<std::uint32_t, short_part> ranks;  // ranks[i]: of the pair (i, i + 1)
    std::size_t count = part.size();
    for (std::size_t i = 0; i < count; ++i) {
        ids[i] = rules.byte_id(part[i]);
        ranks[i] = i + 1 < count ? rules.bytes.find(part[i], part[i + 1]) : no_rank;
    }
    while (count > 1) {
        std::uint32_t best = ~0u;  // rank << 8 | position: of equals the leftmost
        for (std::uint32_t i = 0; i + 1 < count; ++i) best = std::min(best, ranks[i] << 8 | i);
        const std::uint32_t rank = best >> 8, i = best & 0xFF;
        if (rank == no_rank) break;
        ids[i] = rules.results[rank];
        for (std::size_t j = i + 1; j + 1 < count; ++j)
            ids[j] = ids[j + 1], ranks[j] = ranks[j + 1];
        --count;
        if (i > 0) ranks[i - 1] = rules.ranks.find(ids[i - 1], ids[i]);
        if (i + 1 < count) ranks[i] = rules.ranks.find(ids[i], ids[i + 1]);
    }
    out.resize(out.size() + count);
    std::copy_n(ids.data(), count, out.data() + out.size() - count);
}

/// Merges long parts in O(n log n): a list of what is left, linked both ways, and a heap of pairs
/// to merge. Its buffers serve one piece after another.
class long_merger {
public:
    /// Appends the tokens of a part without seams, below 2³² bytes.
    void merge(const merge_rules& rules, std::string_view part, std::vector<token_id>& out) {
        begin(part.size());
        for (std::size_t i = 0; i < part.size(); ++i) ids_[i] = rules.byte_id(part[i]);
        for (std::size_t i = 0; i + 1 < part.size(); ++i)
            ranks_[i] = rules.bytes.find(part[i], part[i + 1]);
        run(rules, out);
    }

    /// Appends what becomes of `ids`, fewer than 2³².
    void merge(const pair_rules& rules, std::span<const token_id> ids, std::vector<token_id>& out) {
        begin(ids.size());
        std::copy(ids.begin(), ids.end(), ids_.begin());
        for (std::size_t i = 0; i + 1 < ids.size(); ++i)
            ranks_[i] = rules.ranks.find(ids[i], ids[i + 1]);
        run(rules, out);
    }

private:
    void begin(std::size_t size) {
        const auto count = static_cast<std::uint32_t>(size);
        ids_.resize(count);
        next_.resize(count);
        before_.resize(count);
        ranks_.assign(count, no_rank);
        for (std::uint32_t i = 0; i < count; ++i) {
            next_[i] = i + 1;
            before_[i] = i - 1;
        }
    }

    void run(const pair_rules& rules, std::vector<token_id>& out) {
        heap_.clear();
        for (std::uint32_t i = 0; i < ids_.size(); ++i)
            if (ranks_[i] != no_rank) heap_.push_back(std::uint64_t{ranks_[i]} << 32 | i);
        std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
        while (!heap_.empty()) {
            const auto rank = static_cast<std::uint32_t>(heap_.front() >> 32);
            const auto i = static_cast<std::uint32_t>(heap_.front());
            std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
            heap_.pop_back();
            if (ranks_[i] != rank) continue;  // this pair is no more
            const std::uint32_t gone = next_[i];
            ids_[i] = rules.results[rank];
            next_[i] = next_[gone];
            if (next_[i] < ids_.size()) before_[next_[i]] = i;
            ranks_[gone] = no_rank;
            if (rate(rules, i)) std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
            if (i > 0 && rate(rules, before_[i]))
                std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
        }
        for (std::uint32_t i = 0; i < ids_.size(); i = next_[i]) out.push_back(ids_[i]);
    }

    /// Finds the rank of the pair that begins at `i`; true when it has one, which then stands at
    /// the end of heap_.
    bool rate(const pair_rules& rules, std::uint32_t i) {
        const std::uint32_t right = next_[i];
        ranks_[i] = right < ids_.size() ? rules.ranks.find(ids_[i], ids_[right]) : no_rank;
        if (ranks_[i] == no_rank) return false;
        heap_.push_back(std::uint64_t{ranks_[i]} << 32 | i);
        return true;
    }

    std::vector<token_id> ids_;
    std::vector<std::uint32_t> next_, before_, ranks_;  // ranks_[i]: of the pair that begins at i
    std::vector<std::uint64_t> heap_;  // rank << 32 | position: lowest rank, then leftmost
};

/// Appends the tokens of a piece. Every byte of it must have a token.
inline void merge_piece(const merge_rules& rules, std::string_view piece, long_merger& merger,
                        std::vector<token_id>& out) {
    while (!piece.empty()) {
        std::size_t size = 1;
        while (size < piece.size() &&
               rules.bytes.find(piece[size - 1], piece[size]) != byte_pairs::seam)
            ++size;
        if (size == 1)
            out.push_back(rules.byte_id(piece[0]));
        else if (size <= short_part)
            merge_short(rules, piece.substr(0, size), out);
        else
            merger.merge(rules, piece.substr(0, size), out);
        piece.remove_prefix(size);
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
