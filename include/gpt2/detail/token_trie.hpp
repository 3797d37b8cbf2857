// The tokens of a vocabulary as a tree of bytes, laid out for a walk through all of it.
//
// Nodes stand in the order in which a walk meets them, each with the place behind its subtree: a
// walk is one loop over an array, and what an automaton does not allow is skipped whole.
//
// Before: core.hpp. Next: detail/constraint_engine.hpp. (detail/piece_trie.hpp is the tree for
// finding the pieces of a given text.)
#pragma once

#include "../core.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Const calls may be shared by threads.
class token_trie {
public:
    struct token {
        std::string_view bytes;  ///< at least one
        token_id id;
    };
    struct node {
        std::uint32_t beyond;    ///< the first node that does not begin with this one's bytes
        std::uint32_t first_id;  ///< in ids(); the next node's ends this node's tokens
        std::uint16_t depth;     ///< bytes that lead here, at least 1
        unsigned char byte;      ///< the last of them
    };

    token_trie() : token_trie(std::vector<token>()) {}
    explicit token_trie(std::vector<token> tokens) {
        std::sort(tokens.begin(), tokens.end(), [](const token& a, const token& b) {
            return std::pair(a.bytes, a.id) < std::pair(b.bytes, b.id);
        });
        std::vector<std::uint32_t> open;  // the nodes of the last token
        std::string_view last;
        for (const auto& [bytes, id] : tokens) {
            std::size_t same = 0;
            while (same < std::min(last.size(), bytes.size()) && last[same] == bytes[same]) ++same;
            close(open, same);
            for (std::size_t i = same; i < bytes.size(); ++i) {
                open.push_back(static_cast<std::uint32_t>(nodes_.size()));
                nodes_.push_back({0, static_cast<std::uint32_t>(ids_.size()),
                                  static_cast<std::uint16_t>(i + 1),
                                  static_cast<unsigned char>(bytes[i])});
            }
            ids_.push_back(id);
            longest_ = std::max(longest_, bytes.size());
            last = bytes;
        }
        close(open, 0);
        nodes_.push_back({0, static_cast<std::uint32_t>(ids_.size()), 0, 0});
    }

    /// Without the sentinel behind the last of them.
    std::size_t size() const { return nodes_.size() - 1; }
    const node& operator[](std::size_t i) const { return nodes_[i]; }

    /// The tokens whose bytes end at a node, as places in ids().
    std::pair<std::uint32_t, std::uint32_t> tokens_at(std::size_t i) const {
        return {nodes_[i].first_id, nodes_[i + 1].first_id};
    }
    const std::vector<token_id>& ids() const { return ids_; }
    std::size_t longest() const { return longest_; }

    /// Calls visit(size, id) for each token that the text begins with, shorter ones first.
    template <class Visit>
    void each_prefix(std::string_view text, Visit visit) const {
        std::size_t at = 0, end = size();
        for (std::size_t i = 0; i < text.size(); ++i) {
            while (at < end && nodes_[at].byte != static_cast<unsigned char>(text[i]))
                at = nodes_[at].beyond;
            if (at >= end) return;
            const auto [first, last] = tokens_at(at);
            if (first != last) visit(i + 1, ids_[first]);
            end = nodes_[at].beyond;
            ++at;
        }
    }

private:
    void close(std::vector<std::uint32_t>& open, std::size_t depth) {
        for (; open.size() > depth; open.pop_back())
            nodes_[open.back()].beyond = static_cast<std::uint32_t>(nodes_.size());
    }

    std::vector<node> nodes_;
    std::vector<token_id> ids_;
    std::size_t longest_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
