// Several running texts of one model, computed together: a prompt is fed once, branches off into
// any number of continuations, and each step reads the weights once for all of them.
//
// Before: model.hpp. After: search.hpp, which decides what goes on.
#pragma once

#include "../model.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The texts, numbered from 0, and the logits behind each: those of a lone pass, to the bit.
class branches {
public:
    /// A text of the next step: which one of this step it continues, by what.
    struct growth {
        std::size_t parent;
        token_id token;
    };

    /// `fresh` gives empty texts of the model, which must outlive this.
    branches(const model& network, std::function<state<float>()> fresh, const interruption& until)
        : network_(network), fresh_(std::move(fresh)), until_(until) {}

    std::size_t size() const { return texts_.size(); }

    /// (V) behind text i.
    std::span<const float> logits(std::size_t i) const {
        return std::span(logits_).subspan(i * width(), width());
    }

    /// Another text. Raises what forward raises. The observer, if there is one, sees ln_f of every
    /// position, for which the logits have to be computed too.
    template <class Trace = no_trace>
    void start(std::span<const token_id> prompt, Trace&& trace = {}) {
        auto text = spare();
        text->stop = until_;
        logits_.resize((size() + 1) * width());
        float* const last = logits_.data() + size() * width();
        if constexpr (observes<Trace>) {
            constexpr std::size_t most = 64;
            std::vector<float> every(std::min(most, prompt.size()) * width());  // (T, V)
            for (std::size_t first = 0; first < prompt.size(); first += most) {
                const auto part = prompt.subspan(first, std::min(most, prompt.size() - first));
                network_.forward(part, *text, {every.data(), part.size(), width()}, trace);
                std::copy_n(every.data() + (part.size() - 1) * width(), width(), last);
            }
        } else {
            network_.forward(prompt, *text, {last, 1, width()});
        }
        texts_.push_back(std::move(text));
    }

    /// One step: the texts are now those of `next`, in its order. A text may go on in several ways
    /// or in none. Raises context_full, cancelled, out_of_memory; then these are no longer of use.
    template <class Trace = no_trace>
    void grow(std::span<const growth> next, Trace&& trace = {}) {
        branch_off(next);
        logits_.resize(next.size() * width());
        std::vector<token_id> ids;
        std::vector<state<float>*> some;
        for (std::size_t first = 0; first < next.size(); first += some.size()) {
            ids.clear();
            some.clear();
            const auto most = texts_[first]->work.rows();
            for (auto i = first; i < std::min(next.size(), first + most); ++i) {
                ids.push_back(next[i].token);
                some.push_back(texts_[i].get());
            }
            some[0]->stop = until_;
            network_.forward_batch(ids, some,
                                   {logits_.data() + first * width(), some.size(), width()}, trace);
        }
    }

    /// Drops all texts but one, which becomes number 0.
    void keep(std::size_t chosen) {
        std::swap(texts_[0], texts_[chosen]);
        std::copy_n(logits_.begin() + static_cast<std::ptrdiff_t>(chosen * width()), width(),
                    logits_.begin());
        while (size() > 1) {
            retire(std::move(texts_.back()));
            texts_.pop_back();
        }
    }

private:
    using running = std::unique_ptr<state<float>>;

    std::size_t width() const { return network_.config().vocabulary_size; }

    running spare() {
        if (spares_.empty()) return running(new state<float>(fresh_()));
        auto one = std::move(spares_.back());
        spares_.pop_back();
        return one;
    }
    void retire(running one) {
        one->kv.resize(0);
        spares_.push_back(std::move(one));
    }

    /// Gives every text of the next step a state: the first that continues a parent takes over the
    /// parent's, others get a copy.
    void branch_off(std::span<const growth> next) {
        std::vector<running> grown(next.size());
        std::vector<state<float>*> heir(size());
        for (std::size_t i = 0; i < next.size(); ++i) {
            auto& parent = texts_[next[i].parent];
            if (parent) {
                heir[next[i].parent] = parent.get();
                grown[i] = std::move(parent);
            } else {
                grown[i] = spare();
                grown[i]->kv.copy_from(heir[next[i].parent]->kv);
            }
        }
        for (auto& left : texts_)
            if (left) retire(std::move(left));
        texts_ = std::move(grown);
    }

    const model& network_;
    std::function<state<float>()> fresh_;
    interruption until_;
    std::vector<running> texts_, spares_;
    std::vector<float> logits_;  // (texts, V)
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
