// A text under way, below the session: which tokens it has, which of them are computed, and the
// logits behind the last of these.
//
// Whatever raises leaves the text as it was.
//
// Before: model.hpp, tokenizer.hpp. Next: generation.hpp, which writes texts on.
#pragma once

#include "../context_policy.hpp"
#include "../model.hpp"
#include "../prefix_cache.hpp"
#include "../snapshot.hpp"
#include "../tokenizer.hpp"
#include "identity.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What a language model is made of; const and shared by all its sessions.
struct language_parts {
    language_parts(gpt2::model model_, std::optional<gpt2::tokenizer> tokenizer_,
                   gpt2::audit audit_, std::shared_ptr<thread_pool> pool_,
                   const execution& how_ = {}, std::filesystem::path source_ = {},
                   std::size_t prefix_bytes = 0)
        : model(std::move(model_)),
          tokenizer(std::move(tokenizer_)),
          audit(std::move(audit_)),
          pool(std::move(pool_)),
          how(how_),
          source(std::move(source_)) {
        if (prefix_bytes > 0)
            prefixes = std::make_unique<prefix_cache>(model.config(), how.cache, prefix_bytes);
    }

    gpt2::model model;
    std::optional<gpt2::tokenizer> tokenizer;  ///< none: ids in, ids out
    gpt2::audit audit;
    std::shared_ptr<thread_pool> pool;
    execution how;
    std::filesystem::path source;  ///< what was loaded; empty: no file

    /// What prompts have in common, kept for the next ones; null: nothing is.
    std::unique_ptr<prefix_cache> prefixes;
    detail::lazy_identity lazy_identity;

    /// What a saved text belongs to. The first call reads all weights.
    const detail::identity& identity() const {
        return lazy_identity.of(model, tokenizer ? &*tokenizer : nullptr);
    }

    /// Raises not_found when the model came without tokenizer files.
    const gpt2::tokenizer& text() const {
        if (!tokenizer)
            throw error(errc::not_found, "this model came without a tokenizer: feed it ids");
        return *tokenizer;
    }
};

namespace detail {

/// One thread at a time may use it.
class running_text {
public:
    /// Raises out_of_memory.
    explicit running_text(std::shared_ptr<const language_parts> parts)
        : parts_(std::move(parts)),
          state_(parts_->model.config(), *parts_->pool, parts_->how),
          logits_(parts_->model.config().vocabulary_size) {}

    const language_parts& parts() const { return *parts_; }
    const std::shared_ptr<const language_parts>& shared_parts() const { return parts_; }
    const config& shape() const { return parts_->model.config(); }
    std::span<const token_id> tokens() const { return tokens_; }
    std::size_t size() const { return tokens_.size(); }
    std::size_t capacity() const { return state_.kv.capacity(); }
    /// A token beyond the last position can be drawn, but nothing can follow it.
    bool full() const { return size() > capacity(); }
    /// Tokens that are not computed yet.
    std::span<const token_id> waiting() const { return tokens().subspan(state_.kv.size()); }

    /// Adds tokens, which then wait to be computed, and makes room as the policy says. Raises
    /// context_full, token_out_of_range.
    void add(std::span<const token_id> ids, const context_policy& policy = {}) {
        parts_->model.check_ids(ids);
        const auto before = size();
        tokens_.insert(tokens_.end(), ids.begin(), ids.end());
        try {
            drop(policy);
        } catch (...) {
            tokens_.resize(before);
            throw;
        }
    }

    /// The same, and computes them. Raises cancelled as well.
    void feed(std::span<const token_id> ids, const interruption& until,
              const context_policy& policy = {}) {
        if (ids.empty()) return;
        auto before = tokens_;
        const auto dropped = dropped_, computed = state_.kv.size();
        try {
            add(ids, policy);
            if (parts_->prefixes) parts_->prefixes->find(tokens_, state_.kv);
            catch_up(until);
        } catch (...) {
            tokens_ = std::move(before);
            // What was dropped is computed again; what a prefix cache brought has no logits.
            const auto kept = dropped_ != dropped ? 0 : std::min(computed, state_.kv.size());
            state_.kv.resize(kept);
            dropped_ = dropped;
            throw;
        }
        if (parts_->prefixes) remember();
    }

    /// Drops tokens as the policy says, so that all others have a position; those behind them then
    /// wait to be computed again: returns how many. Raises context_full, invalid_argument.
    std::size_t drop(const context_policy& policy) {
        if (!full()) return 0;
        const auto gone = make_room(policy, size() - 1, 1, capacity());
        const auto first = tokens_.begin() + static_cast<std::ptrdiff_t>(gone.first);
        tokens_.erase(first, first + static_cast<std::ptrdiff_t>(gone.count));
        if (state_.kv.size() > gone.first) state_.kv.resize(gone.first);
        dropped_ += gone.count;
        return gone.cost(size() + gone.count - 1);
    }
    /// How many tokens were dropped.
    std::size_t dropped() const { return dropped_; }

    /// Adds a token of the vocabulary, for which there is room.
    void append(token_id id) { tokens_.push_back(id); }

    /// Computes the tokens that wait.
    void catch_up(const interruption& until) {
        if (waiting().empty()) return;
        state_.stop = until;
        parts_->model.forward(waiting(), state_, logits_row());
    }

    /// (V): behind the last token, once all are computed.
    std::span<const float> logits() const { return logits_.span(); }

    /// Computes what waits, and the guesses after it as if they stood in the text: logits behind
    /// the last token and behind each guess, (1 + guesses, V). `keep_computed` must follow. Raises
    /// what feed raises.
    void look_ahead(std::span<const token_id> guesses, view<float> logits,
                    const interruption& until) {
        const auto before = size();
        if (waiting().empty()) {
            std::ranges::copy(this->logits(), logits.row(0).begin());
            logits = logits.row_block(1, guesses.size());
        }
        tokens_.insert(tokens_.end(), guesses.begin(), guesses.end());
        try {
            state_.stop = until;
            parts_->model.forward(waiting(), state_, logits);
        } catch (...) {
            tokens_.resize(before);
            throw;
        }
        tokens_.resize(before);
    }

    /// Forgets what was computed behind the first `length` tokens, and of the last token in any
    /// case, which is computed anew for the logits behind it.
    void keep_computed(std::size_t length) {
        if (size() == 0) return;
        const auto kept = std::min({length, size() - 1, state_.kv.size()});
        if (kept < state_.kv.size()) state_.kv.resize(kept);
    }

    /// Forgets all but the first `length` tokens, at most size().
    void rewind(std::size_t length) {
        tokens_.resize(length);
        if (state_.kv.size() > length) state_.kv.resize(length == 0 ? 0 : length - 1);
    }

    /// The same text once more. O(size).
    std::unique_ptr<running_text> fork() const {
        auto other = std::make_unique<running_text>(parts_);
        other->tokens_ = tokens_;
        other->dropped_ = dropped_;
        other->state_.kv.copy_from(state_.kv);
        std::copy_n(logits_.data(), logits_.size(), other->logits_.data());
        return other;
    }

    /// The text at this moment; it shares what is computed.
    text_snapshot snapshot() const {
        text_snapshot taken{tokens_, kv_cache<float>(shape(), state_.kv.stored()), {}};
        taken.kv.copy_from(state_.kv);
        if (waiting().empty() && size() > 0)
            taken.logits.assign(logits_.data(), logits_.data() + logits_.size());
        taken.dropped = dropped_;
        return taken;
    }
    /// The text of a snapshot of this model.
    static std::unique_ptr<running_text> restore(std::shared_ptr<const language_parts> parts,
                                                 const text_snapshot& from) {
        auto text = std::make_unique<running_text>(std::move(parts));
        text->tokens_ = from.tokens;
        text->dropped_ = from.dropped;
        text->state_.kv.copy_from(from.kv);
        if (from.logits.size() == text->logits_.size())
            std::ranges::copy(from.logits, text->logits_.data());
        else
            text->keep_computed(text->size());
        return text;
    }

    /// Computes what waits in several texts, a token or more in each and at most `most_at_once` in
    /// all: row i of logits (B, V) is behind the last token of text i, which keeps none itself.
    /// Raises what forward_ragged raises; no text is changed then.
    static void step(std::span<running_text* const> texts, view<float> logits,
                     const interruption& until) {
        std::vector<continuation<float>> steps;
        for (auto* text : texts) steps.push_back({&text->state_, text->waiting()});
        texts[0]->state_.stop = until;
        texts[0]->parts_->model.forward_ragged(steps, logits);
    }
    /// The logits behind the last token, where `step` computed it and none came after it.
    void keep_logits(std::span<const float> logits) { std::ranges::copy(logits, logits_.data()); }
    /// How many tokens `step` takes at once.
    std::size_t most_at_once() { return state_.work.rows(); }

private:
    /// For the prompts that begin like this text. Where there is no memory for that, the text is
    /// fed all the same.
    void remember() const {
        try {
            parts_->prefixes->insert(tokens_, state_.kv);
        } catch (const std::bad_alloc&) {
        }
    }

    view<float> logits_row() { return {logits_.data(), 1, logits_.size()}; }

    std::shared_ptr<const language_parts> parts_;
    gpt2::state<float> state_;
    std::vector<token_id> tokens_;  // all of them; the first state_.kv.size() are computed
    buffer<float> logits_;          // (V), behind the last computed token
    std::size_t dropped_ = 0;       // tokens that stood before or between these
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
