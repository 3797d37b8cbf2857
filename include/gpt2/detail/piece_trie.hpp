// The pieces of a vocabulary as a tree of bytes: which of them a text begins with, byte by byte.
//
// Nodes are numbered level by level, so the children of one stand side by side and in order of
// their bytes: nine bytes a node, and a step is a look into a short sorted row, whatever the pieces
// are. Neither making nor reading it recurses. Const calls may be shared by threads.
//
// Before: core.hpp. Next: detail/unigram.hpp, detail/wordpiece.hpp, detail/sentencepiece_bpe.hpp.
#pragma once

#include "../core.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A piece of a vocabulary by its id.
struct piece_entry {
    std::string_view text;
    token_id id;
};

/// All pieces together are below 2³² bytes. Of equal texts the last counts.
class piece_trie {
public:
    using node = std::uint32_t;
    static constexpr node root = 0;
    static constexpr node none = ~node{0};

    explicit piece_trie(std::vector<piece_entry> pieces = {}) {
        std::stable_sort(pieces.begin(), pieces.end(),
                         [](const auto& a, const auto& b) { return a.text < b.text; });
        std::vector<range> level{{0, pieces.size()}}, below;
        labels_.push_back('\0');
        for (std::size_t depth = 0; !level.empty(); ++depth) {
            below.clear();
            for (const range& from : level) add_children(pieces, from, depth, below);
            level.swap(below);
        }
        first_.push_back(static_cast<node>(labels_.size()));
        for (node child = first_[root]; child < first_[root + 1]; ++child)
            of_root_[static_cast<unsigned char>(labels_[child])] = child;
    }

    /// Where a byte leads from a node; none where no piece goes on so.
    node child(node from, char byte) const {
        if (from == root) return of_root_[static_cast<unsigned char>(byte)];
        node low = first_[from], high = first_[from + 1];
        while (high - low > 4) {
            const node middle = low + (high - low) / 2;
            if (value(labels_[middle]) <= value(byte))
                low = middle;
            else
                high = middle;
        }
        for (; low < high; ++low)
            if (labels_[low] == byte) return low;
        return none;
    }

    /// The id of the piece that ends here, or -1.
    token_id id(node at) const { return ids_[at]; }

    /// Where a whole text leads; none where no piece begins with it.
    node descend(std::string_view text) const {
        node at = root;
        for (std::size_t i = 0; i < text.size() && at != none; ++i) at = child(at, text[i]);
        return at;
    }

    /// The id of a piece, or -1.
    token_id find(std::string_view text) const {
        const node at = descend(text);
        return at == none ? -1 : id(at);
    }

    struct match {
        std::size_t size = 0;  ///< bytes; 0: nothing matches
        token_id id = -1;
    };

    /// The longest piece that the text begins with, reading on from a node. Empty pieces never
    /// match.
    match longest(std::string_view text, node from = root) const {
        match found;
        for (std::size_t i = 0; i < text.size() && from != none; ++i) {
            from = child(from, text[i]);
            if (from != none && ids_[from] >= 0) found = {i + 1, ids_[from]};
        }
        return found;
    }

private:
    struct range {  // of sorted pieces that begin alike
        std::size_t begin, end;
    };

    static unsigned char value(char byte) { return static_cast<unsigned char>(byte); }

    void add_children(const std::vector<piece_entry>& pieces, range from, std::size_t depth,
                      std::vector<range>& below) {
        token_id id = -1;
        for (; from.begin < from.end && pieces[from.begin].text.size() == depth; ++from.begin)
            id = pieces[from.begin].id;
        ids_.push_back(id);
        first_.push_back(static_cast<node>(labels_.size()));
        while (from.begin < from.end) {
            const char label = pieces[from.begin].text[depth];
            range child{from.begin, from.begin};
            while (child.end < from.end && pieces[child.end].text[depth] == label) ++child.end;
            labels_.push_back(label);
            below.push_back(child);
            from.begin = child.end;
        }
    }

    std::vector<node> first_;    // the first child of each node, and one past the last node
    std::vector<char> labels_;   // the byte that leads to each node
    std::vector<token_id> ids_;  // of the piece that ends at each node
    std::array<node, 256> of_root_ = [] {
        std::array<node, 256> nothing{};
        nothing.fill(none);
        return nothing;
    }();
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
