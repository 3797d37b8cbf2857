// Keys and values of texts that were read before, for texts that begin like them.
//
// A tree of pages: each node is one page with its tokens, a child goes on where its parent's page
// ends. A text takes over the pages of its longest known beginning, to the token, and computes the
// rest; since a page depends on the tokens up to it alone, its logits are the same to the bit. The
// pages held never pass the budget: those unused for longest go first, a page before those it goes
// on from.
//
// Before: kv_cache.hpp. After: session.hpp.
#pragma once

#include "config.hpp"
#include "core.hpp"
#include "kv_cache.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What a prefix cache did and holds.
struct prefix_statistics {
    std::uint64_t lookups = 0, hits = 0;  ///< a hit saves at least one token
    std::uint64_t tokens_saved = 0;       ///< that were not computed again
    std::uint64_t evictions = 0;          ///< pages given up for others
    std::size_t pages = 0, bytes = 0;     ///< held now

    bool operator==(const prefix_statistics&) const = default;
};

/// For texts of one model with caches of one format. Threads may share it: each call is alone.
class prefix_cache {
public:
    using format = detail::kernels::format;

    /// Holds at most `budget` bytes of pages; none when that is less than a page.
    prefix_cache(const config& shape, format stored, std::size_t budget)
        : page_(kv_cache<float>::page_positions(shape)),
          page_bytes_(kv_cache<float>::bytes(shape, stored, 1)),
          most_pages_(budget / page_bytes_) {}
    ~prefix_cache() {
        while (!used_.empty()) remove(*used_.back());  // children first, however deep they lie
    }
    prefix_cache(const prefix_cache&) = delete;
    prefix_cache& operator=(const prefix_cache&) = delete;

    /// Gives `kv`, which is of that model and format, the known beginning of the text when it is
    /// longer than what kv holds already, which is a beginning of the text too; at least the last
    /// token is left to compute. Returns how many positions that adds. O(tokens · log pages).
    std::size_t find(std::span<const token_id> text, kv_cache<float>& kv);

    /// Remembers the positions that kv holds of the text. O(tokens · log pages).
    void insert(std::span<const token_id> text, const kv_cache<float>& kv);

    prefix_statistics statistics() const {
        const std::lock_guard lock(mutex_);
        auto now = statistics_;
        now.pages = used_.size();
        now.bytes = now.pages * page_bytes_;
        return now;
    }

private:
    struct node;
    using tokens = std::vector<token_id>;
    /// By tokens, none of which is a beginning of another.
    using branches = std::map<tokens, std::unique_ptr<node>>;
    using recency = std::list<node*>;
    struct node {
        detail::shared_page page;
        branches* home;
        branches::iterator place = {};
        recency::iterator used = {};
        branches next = {};  // of a whole page only
    };
    struct match {
        node* found = nullptr;
        std::size_t length = 0;  // how many tokens it begins like
    };

    tokens part(std::span<const token_id> text, std::size_t first, std::size_t end) const {
        const auto some = text.subspan(first, std::min(page_, end - first));
        return {some.begin(), some.end()};
    }
    branches& below(node* parent) { return parent ? parent->next : roots_; }
    static match longest(branches& from, const tokens& wanted);
    /// Before all nodes but `parent` and those it goes on from, which were put there just now.
    recency::iterator behind(node* parent) {
        return parent ? std::next(parent->used) : used_.begin();
    }
    node* add(node* parent, tokens key, const detail::shared_page& page);
    void remove(node& one) {
        used_.erase(one.used);
        one.home->erase(one.place);
    }

    mutable std::mutex mutex_;
    std::size_t page_, page_bytes_, most_pages_;
    branches roots_;
    recency used_;  // the last used first; before its children, each node
    prefix_statistics statistics_;
};

/// The node whose tokens begin like those wanted for longest: in their order it is a neighbour.
inline prefix_cache::match prefix_cache::longest(branches& from, const tokens& wanted) {
    match best;
    const auto consider = [&](branches::iterator at) {
        const auto& known = at->first;
        const auto differ = std::mismatch(known.begin(), known.end(), wanted.begin(), wanted.end());
        const auto length = static_cast<std::size_t>(differ.first - known.begin());
        if (length > best.length) best = {at->second.get(), length};
    };
    const auto after = from.lower_bound(wanted);
    if (after != from.end()) consider(after);
    if (after != from.begin()) consider(std::prev(after));
    return best;
}

inline prefix_cache::node* prefix_cache::add(node* parent, tokens key,
                                             const detail::shared_page& page) {
    auto& home = below(parent);
    auto made = std::make_unique<node>(node{page, &home});
    node* const one = made.get();
    recency entry{one};
    one->place = home.emplace(std::move(key), std::move(made)).first;
    one->used = entry.begin();
    used_.splice(behind(parent), entry);
    return one;
}

inline std::size_t prefix_cache::find(std::span<const token_id> text, kv_cache<float>& kv) {
    const std::lock_guard lock(mutex_);
    ++statistics_.lookups;
    const auto most = text.empty() ? 0 : text.size() - 1, before = kv.size();
    std::vector<detail::shared_page> pages;
    std::size_t known = 0;
    for (node* parent = nullptr; known == pages.size() * page_ && known < most;) {
        const auto [found, length] = longest(below(parent), part(text, known, most));
        if (!found) break;
        pages.push_back(found->page);
        known += length;
        used_.splice(behind(parent), used_, found->used);
        parent = found;
    }
    if (known <= before) return 0;
    kv.assign(std::move(pages), known);
    ++statistics_.hits;
    statistics_.tokens_saved += known - before;
    return known - before;
}

inline void prefix_cache::insert(std::span<const token_id> text, const kv_cache<float>& kv) {
    const std::lock_guard lock(mutex_);
    const auto end = std::min(text.size(), kv.size());
    node* parent = nullptr;
    for (std::size_t page = 0; page * page_ < end; ++page) {
        auto wanted = part(text, page * page_, end);
        const auto [found, length] = longest(below(parent), wanted);
        if (found && length == wanted.size()) {
            used_.splice(behind(parent), used_, found->used);
            parent = found;
            continue;
        }
        // A page that this one goes on with gives way to it.
        if (found && length == found->place->first.size()) remove(*found);
        if (used_.size() == most_pages_) {
            if (page == most_pages_) return;  // all are of this text
            remove(*used_.back());
            ++statistics_.evictions;
        }
        parent = add(parent, std::move(wanted), kv.page(page));
    }
}

}  // namespace gpt2::inline GPT2_ABI
