// Guessing ahead: what may follow a text, so that one pass over the weights checks several tokens.
//
// A guess changes nothing that is written, to the bit: every token is drawn from the logits that
// the model itself gives behind the tokens before it, with the random number of its own step. Right
// guesses save passes, wrong ones cost little, since a pass over a few tokens takes hardly longer
// than one over a single one. (Leviathan, Kalman & Matias 2023, "Fast inference from transformers
// via speculative decoding", accept by a rule of their own; numbered random numbers need none.)
//
//     options how{.draft = gpt2::prompt_lookup()};
//
// Before: options.hpp, detail/running_text.hpp. After: session.hpp.
#pragma once

#include "detail/running_text.hpp"
#include "options.hpp"
#include "sampler.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Guesses that a text repeats itself: what followed the last place where its last tokens stood
/// before (Saxena 2023, "Prompt lookup decoding"). For summaries, code, and texts with names.
/// O(size) per guess.
class prompt_lookup {
public:
    /// Looks for the last `longest` tokens first, then for fewer, down to `shortest`.
    explicit prompt_lookup(std::size_t longest = 4, std::size_t shortest = 2)
        : longest_(longest), shortest_(shortest) {
        if (shortest == 0 || longest < shortest)
            detail::fail(errc::invalid_argument, "prompt_lookup", "1 ≤ shortest ≤ longest",
                         {shortest, " and ", longest});
    }

    std::vector<token_id> operator()(std::span<const token_id> tokens, std::size_t most) const {
        for (auto length = longest_; length >= shortest_; --length) {
            if (tokens.size() <= length) continue;
            const auto wanted = tokens.last(length), past = tokens.first(tokens.size() - 1);
            const auto found =
                std::find_end(past.begin(), past.end(), wanted.begin(), wanted.end());
            if (found == past.end()) continue;
            const auto rest =
                tokens.subspan(static_cast<std::size_t>(found - past.begin()) + length);
            const auto guesses = rest.first(std::min(most, rest.size()));
            return {guesses.begin(), guesses.end()};
        }
        return {};
    }

private:
    std::size_t longest_, shortest_;
};

/// Lets a smaller model write ahead; its vocabulary must be that of the model it guesses for. With
/// the sampling, seed and sequence of the generation it draws with the same random numbers, so that
/// it is right wherever the two models all but agree. Copies begin with an empty text; one thread
/// at a time may use one. Raises out_of_memory.
class draft_model {
public:
    explicit draft_model(std::shared_ptr<const language_parts> parts,
                         const sampling& how = greedy(), std::uint64_t seed = 0,
                         std::uint64_t sequence = 0)
        : parts_(std::move(parts)), sampler_(how, seed, sequence) {}
    draft_model(const draft_model& other) : parts_(other.parts_), sampler_(other.sampler_) {}
    draft_model& operator=(const draft_model&) = delete;

    std::vector<token_id> operator()(std::span<const token_id> tokens, std::size_t most) {
        if (!text_) text_ = std::make_unique<detail::running_text>(parts_);
        if (tokens.size() > text_->capacity()) return {};
        if (!prompt_length_) prompt_length_ = tokens.size();
        take_over(tokens);
        std::vector<token_id> guesses;
        while (guesses.size() < most && !text_->full()) {
            text_->catch_up({});
            const history past{text_->tokens(), *prompt_length_};
            guesses.push_back(sampler_.next(text_->logits(), past).token);
            text_->append(guesses.back());
        }
        return guesses;
    }

private:
    /// Makes the text `tokens`, of which it mostly has the beginning.
    void take_over(std::span<const token_id> tokens) {
        const auto known = text_->tokens();
        const auto same = std::mismatch(known.begin(), known.end(), tokens.begin(), tokens.end());
        text_->rewind(static_cast<std::size_t>(same.first - known.begin()));
        for (const token_id id : tokens.subspan(text_->size())) text_->append(id);
    }

    std::shared_ptr<const language_parts> parts_;
    gpt2::sampler sampler_;
    std::unique_ptr<detail::running_text> text_;
    std::optional<std::size_t> prompt_length_;  // tokens there were when it was first asked
};

}  // namespace gpt2::inline GPT2_ABI
