// A text while it is being written: its tokens, what of it can be shown, and whether it is over.
// A plain value, so that a search may go on with copies of it.
//
// Before: options.hpp; generation.hpp, whose rules for ends and stop texts these are. After:
// search.hpp.
#pragma once

#include "../guide.hpp"
#include "../options.hpp"
#include "text_stream.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What all passages of a search share; outlives them.
struct passage_rules {
    const tokenizer* words = nullptr;       ///< none: ids without a text
    std::span<const token_id> end_of_text;  ///< ids that end a text
    std::size_t most = 0;                   ///< new tokens at most
    finish at_most = finish::length;        ///< why it ends there
    std::size_t prompt_length = 0;
    guides constraint = {};  ///< what texts must be like; none: anything

    bool ends(token_id id) const {
        return std::find(end_of_text.begin(), end_of_text.end(), id) != end_of_text.end();
    }
};

/// The guide of one passage. Guides cannot be copied: a copy begins without one.
struct own_guide {
    own_guide() = default;
    own_guide(const own_guide&) {}
    own_guide(own_guide&&) = default;
    own_guide& operator=(const own_guide&) {
        guide.reset();
        return *this;
    }
    own_guide& operator=(own_guide&&) = default;

    std::unique_ptr<gpt2::guide> guide;
};

class passage {
public:
    /// Raises what text_stream raises for stop texts.
    passage(const passage_rules& rules, std::span<const token_id> prompt,
            const std::vector<std::string>& stop)
        : rules_(&rules),
          tokens_(prompt.begin(), prompt.end()),
          words_(rules.words),
          stream_(stop) {
        stream_.skip(words_.skip(prompt));
        if (rules.most == 0)
            why_ = rules.at_most;
        else if (is_complete())
            why_ = finish::complete;
    }

    /// The prompt and what was written.
    std::span<const token_id> tokens() const { return tokens_; }
    std::size_t written() const { return tokens_.size() - rules_->prompt_length; }
    /// The same with the token that ended the text.
    std::size_t length() const { return written() + (why_ == finish::end_of_text ? 1 : 0); }
    const std::string& text() const { return text_; }
    /// Of all tokens written, the end of text included, under the model itself.
    double log_prob() const { return log_prob_; }
    std::span<const float> log_probs() const { return log_probs_; }

    bool over() const { return why_.has_value(); }
    std::optional<finish> why() const { return why_; }
    void end(finish why) { why_ = why; }

    /// The tokens that the constraint lets follow; empty without one. Valid until the next call.
    token_mask allowed(std::size_t vocabulary) {
        if (!rules_->constraint) return {};
        return allowed_by(guided(), rules_->most - written(), vocabulary, mask_);
    }

    /// Continues by a token; returns what can be shown now.
    std::string take(const draw& next) {
        log_prob_ += static_cast<double>(next.log_prob);
        std::string shown;
        if (rules_->ends(next.token)) {
            shown = stream_.finish();
            why_ = finish::end_of_text;
        } else {
            if (rules_->constraint) guided().advance(next.token);
            tokens_.push_back(next.token);
            log_probs_.push_back(next.log_prob);
            shown = stream_.push(words_.push(next.token));
            if (written() == rules_->most) why_ = rules_->at_most;
            if (is_complete()) why_ = finish::complete;
            if (why_ && !stream_.stopped()) shown += stream_.finish();
            if (stream_.stopped()) why_ = finish::stop_text;
        }
        text_ += shown;
        return shown;
    }

private:
    /// The guide, which a copy has to lead through the text again.
    guide& guided() {
        auto& own = guide_.guide;
        if (!own) {
            own = rules_->constraint();
            for (const token_id id : tokens().last(written())) own->advance(id);
        }
        return *own;
    }
    bool is_complete() { return rules_->constraint && guided().is_complete(); }

    const passage_rules* rules_;
    std::vector<token_id> tokens_;  // with the prompt
    std::vector<float> log_probs_;  // of the new ones
    double log_prob_ = 0;
    token_stream words_;
    text_stream stream_;
    std::string text_;
    std::optional<finish> why_;
    own_guide guide_;
    std::vector<std::uint64_t> mask_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
