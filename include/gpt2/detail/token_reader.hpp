// Runs a model over texts one after another, for the logits of many rows: by which a scored token
// was to be chosen, and what they say of it.
//
// What a text has in common with the one before it is kept and not computed again. Neither that nor
// the number of rows at once changes a bit of the result.
//
// Before: gpt2.hpp, detail/vocabulary_loops.hpp. After: score.hpp, rank.hpp.
#pragma once

#include "../gpt2.hpp"
#include "exp_log.hpp"
#include "vocabulary_loops.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A token that could stand in the place of another.
struct alternative {
    token_id token = 0;
    double log_prob = 0;  ///< natural logarithm
};

namespace detail {

/// What a row of logits (V) says, in double. Valid as long as the row is.
class distribution {
public:
    /// `weights`: scratch memory, at least as long as the row. Raises not_finite and no_candidate,
    /// which name the position.
    distribution(std::span<const float> logits, std::span<double> weights, std::size_t position)
        : logits_(logits) {
        const auto [best, bad] = widest<highest_lanes>(logits);
        if (bad) {
            const auto found = std::ranges::find_if(
                logits, [](float x) { return !(x < std::numeric_limits<float>::infinity()); });
            fail(errc::not_finite, {"token ", position}, "logits that are numbers",
                 {std::isnan(*found) ? "NaN" : "+infinity", " for id ", found - logits.begin()});
        }
        if (best == -std::numeric_limits<float>::infinity())
            fail(errc::no_candidate, {"token ", position}, "a logit above -infinity", "none");
        best_ = static_cast<double>(best);
        log_total_ = log_of(widest<weigh_lanes>(logits, best, weights));
    }

    double log_prob(token_id id) const { return static_cast<double>(at(id)) - best_ - log_total_; }

    /// 1 for the most likely token; of equal ones the lower id comes first. O(V).
    std::size_t rank(token_id id) const {
        const auto place = static_cast<std::size_t>(id);
        const float own = logits_[place];
        std::size_t before = 0;
        for (const float x : logits_) before += x > own;
        for (const float x : logits_.first(place)) before += x == own;
        return before + 1;
    }

    /// The `count` most likely tokens in the order of rank. O(V log count).
    std::vector<alternative> best(std::size_t count) const {
        std::vector<alternative> list(std::min(count, logits_.size()));
        if (list.empty()) return list;
        const auto before = [&](token_id a, token_id b) {
            return at(a) > at(b) || (at(a) == at(b) && a < b);
        };
        std::vector<token_id> heap;  // its front is the least likely
        for (std::size_t i = 0; i < logits_.size(); ++i) {
            const auto id = static_cast<token_id>(i);
            if (heap.size() == list.size()) {
                if (!before(id, heap.front())) continue;
                std::ranges::pop_heap(heap, before);
                heap.pop_back();
            }
            heap.push_back(id);
            std::ranges::push_heap(heap, before);
        }
        std::ranges::sort_heap(heap, before);
        for (std::size_t i = 0; i < heap.size(); ++i) list[i] = {heap[i], log_prob(heap[i])};
        return list;
    }

private:
    float at(token_id id) const { return logits_[static_cast<std::size_t>(id)]; }

    std::span<const float> logits_;
    double best_, log_total_;
};

/// A model at work on one text after another. One thread at a time.
class token_reader {
public:
    token_reader(const language_model& model, const interruption& until)
        : model_(model),
          state_(model.state()),
          logits_(rows_at_once * vocabulary()),
          weights_(vocabulary()) {
        state_.stop = until;
    }

    /// Calls use(i, distribution) for every i from `first` ≥ 1 on, in order: the distribution by
    /// which ids[i] was to be chosen. Raises context_full where ids are more than one beyond
    /// the model's positions, cancelled, not_finite, no_candidate, and what `use` raises.
    template <class Use>
    void read(std::span<const token_id> ids, std::size_t first, Use use) {
        model_.model().check_ids(ids);
        keep(ids.first(first - 1));
        if (const auto done = held_.size(); done < first - 1)
            feed(ids.subspan(done, first - 1 - done), {});
        while (first < ids.size()) {
            const auto rows = std::min(rows_at_once, ids.size() - first);
            feed(ids.subspan(first - 1, rows), {logits_.data(), rows, vocabulary()});
            for (std::size_t i = 0; i < rows; ++i)
                use(first + i, distribution(logits_.span().subspan(i * vocabulary(), vocabulary()),
                                            weights_.span(), first + i));
            first += rows;
        }
    }

private:
    /// 64 rows of the 124M model's logits are 13 MB, and already as many operations for each byte
    /// of weights as 512 need for full speed.
    static constexpr std::size_t rows_at_once = 64;

    std::size_t vocabulary() const { return model_.config().vocabulary_size; }

    /// Forgets all but what the beginning of a new text has in common with the last one.
    void keep(std::span<const token_id> beginning) {
        const auto common = std::ranges::mismatch(held_, beginning).in1 - held_.begin();
        held_.resize(static_cast<std::size_t>(common));
        state_.kv.resize(held_.size());
    }

    void feed(std::span<const token_id> ids, view<float> logits) {
        held_.reserve(held_.size() + ids.size());
        model_.model().forward(ids, state_, logits);
        held_.insert(held_.end(), ids.begin(), ids.end());
    }

    language_model model_;
    gpt2::state<float> state_;
    std::vector<token_id> held_;  // the text that is in state_
    buffer<float> logits_;        // (rows_at_once, V)
    buffer<double> weights_;      // (V)
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
