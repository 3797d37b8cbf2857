// One text that is being written on: draws tokens, shows their text, knows when to stop.
//
// Alone it computes as it goes; in a batch somebody else computes the texts, and it only draws.
// Guesses of what follows (speculation.hpp) save passes and change nothing that is written.
//
// Before: options.hpp, running_text.hpp, text_stream.hpp. Next: batch.hpp, session.hpp.
#pragma once

#include "../guide.hpp"
#include "../options.hpp"
#include "running_text.hpp"
#include "text_stream.hpp"

#include <algorithm>
#include <chrono>
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

class generation {
public:
    /// The text must outlive it. Raises invalid_argument (options).
    generation(running_text& text, options how, on_piece callback)
        : text_(text),
          how_(std::move(how)),
          callback_(std::move(callback)),
          sampler_(filled(how_.sampling, text.shape()), how_.seed, how_.sequence),
          words_(text.parts().tokenizer ? &*text.parts().tokenizer : nullptr),
          stream_(how_.stop),
          guide_(how_.constraint ? how_.constraint() : nullptr) {
        // The prompt may end within a character, of at most 4 bytes, that the first token
        // completes.
        stream_.skip(words_.skip(text.tokens()));
    }

    /// All of it, alone.
    completion run() {
        guarded([&] {
            begin();
            while (goes_on()) advance();
        });
        return result();
    }

    /// Calls a step; cancelling ends the generation and is no error.
    template <class Step>
    void guarded(Step step) {
        try {
            step();
        } catch (const error& problem) {
            if (problem.code() != errc::cancelled) throw;
            why_ = finish::cancelled;
        }
    }

    /// An empty text begins with the model's begin-of-text token. Raises empty_prompt.
    void begin() {
        if (text_.size() == 0) {
            if (how_.until.requested())
                throw error(errc::cancelled, "generate: stopped before it began");
            const auto& first = text_.shape().begin_of_text;
            if (!first)
                throw error(errc::empty_prompt,
                            "generate: an empty prompt, and the model names no begin-of-text "
                            "token");
            text_.add({&*first, 1});
        }
        result_.stats.prompt_tokens = text_.size();
        write_forced();
    }

    /// Whether another token is to be drawn.
    bool goes_on() {
        if (!why_ && result_.tokens.size() >= how_.max_new_tokens) why_ = finish::length;
        if (!why_ && text_.full()) {
            if (how_.context.rule == when_full::stop)
                why_ = finish::context_full;
            else
                result_.stats.computed_again += text_.drop(how_.context);
        }
        if (!why_ && guide_ && guide_->is_complete()) why_ = finish::complete;
        return !why_;
    }

    /// Whether what waits is better computed in a pass with other texts: a long prompt fills one
    /// by itself.
    bool joins_a_batch() const {
        const auto count = text_.waiting().size();
        return count > 0 && count <= most_shared && !how_.draft && !how_.until.requested();
    }
    /// How many tokens are computed with others: the matrices take 1.5 times as long for 8 alone as
    /// for 8 of 512, 1.3 times for 16, and no longer for 32 (124M, f32, two threads).
    static constexpr std::size_t most_shared = 32;

    /// Computes, and draws one token, or several where guesses were right.
    void advance() {
        const auto guesses = guessed();
        if (guesses.empty()) {
            text_.catch_up(how_.until);
            draw_one();
        } else {
            try_out(guesses);
        }
    }

    /// Draws the next token from the logits behind the last one, all tokens being computed.
    void draw_one() { take(choose(text_.logits())); }

    /// The two halves of that: the choice, and what becomes of it. Several texts may choose at once
    /// on threads of their own, but for those that call what a user wrote.
    draw choose(std::span<const float> logits) {
        if (result_.tokens.empty()) prompted_ = clock::now();
        const auto tokens = text_.tokens();
        const auto prompt = tokens.size() - std::min(tokens.size(), result_.tokens.size());
        return sampler_.next(logits, {tokens, prompt, text_.dropped()}, allowed(logits.size()));
    }
    void take(const draw& next) {
        ++result_.stats.passes;
        go_on_with(next);
    }
    bool chooses_alone() const { return guide_ || !how_.sampling.custom.empty(); }

    completion result() {
        if (result_.tokens.empty()) prompted_ = clock::now();
        const std::chrono::duration<double> prompt = prompted_ - begun_,
                                            decode = clock::now() - prompted_;
        result_.why = *why_;
        result_.stats.new_tokens = result_.tokens.size();
        result_.stats.prompt_seconds = prompt.count();
        result_.stats.decode_seconds = decode.count();
        return std::move(result_);
    }

    running_text& text() { return text_; }
    const interruption& until() const { return how_.until; }

private:
    using clock = std::chrono::steady_clock;

    /// Tokens that may follow, as many as there is use and room for.
    std::vector<token_id> guessed() {
        if (!how_.draft) return {};
        const auto room = text_.capacity() - std::min(text_.size(), text_.capacity());
        const auto most = std::min({left() - 1, room, ahead_});
        if (most == 0) return {};
        auto guesses = how_.draft(text_.tokens(), most);
        guesses.resize(std::min(guesses.size(), most));
        const auto known = [&](token_id id) {
            return id >= 0 && static_cast<std::size_t>(id) < text_.shape().vocabulary_size;
        };
        guesses.erase(std::find_if_not(guesses.begin(), guesses.end(), known), guesses.end());
        return guesses;
    }

    /// One pass over the guesses. Each token is drawn from the logits behind the tokens before it,
    /// as without guesses; the first that is not the guess makes the others void.
    void try_out(std::span<const token_id> guesses) {
        const auto width = text_.shape().vocabulary_size, before = text_.size();
        if (ahead_logits_.size() < (guesses.size() + 1) * width)
            ahead_logits_ = buffer<float>((most_ahead + 1) * width);
        text_.look_ahead(guesses, {ahead_logits_.data(), guesses.size() + 1, width}, how_.until);
        ++result_.stats.passes;
        std::size_t right = 0;
        struct settle {
            running_text& text;
            const std::size_t &before, &right;
            ~settle() { text.keep_computed(before + right); }
        } const settled{text_, before, right};
        for (;;) {
            go_on_with(choose({ahead_logits_.data() + right * width, width}));
            const auto written = text_.tokens().subspan(before);
            if (why_ || written.size() > guesses.size()) break;
            if (!std::ranges::equal(written, guesses.first(written.size()))) break;
            right = written.size();
        }
        result_.stats.guessed += guesses.size();
        result_.stats.guessed_right += right;
        // Twice as far as it went well, at least a little.
        ahead_ = std::clamp(2 * right, least_ahead, most_ahead);
    }

    void go_on_with(const draw& next) {
        if (ends(next.token)) {
            if (const auto rest = stream_.finish(); !rest.empty()) emit(rest, next);
            why_ = finish::end_of_text;
            return;
        }
        if (guide_) guide_->advance(next.token);
        write(next);
        write_forced();
    }

    /// Adds a token to the text and shows what can be shown of it.
    void write(const draw& next) {
        text_.append(next.token);
        result_.tokens.push_back(next.token);
        result_.log_probs.push_back(next.log_prob);
        auto shown = stream_.push(words_.push(next.token));
        const bool last = left() == 0 || (guide_ && guide_->is_complete());
        if (last && !stream_.stopped()) shown += stream_.finish();
        const auto wish = emit(shown, next);
        if (stream_.stopped())
            why_ = finish::stop_text;
        else if (wish == flow::stop)
            why_ = finish::callback;
    }

    /// What the guide leaves no choice about. The model reads it with the next token it is asked
    /// for.
    void write_forced() {
        if (!guide_ || why_ || left() == 0) return;
        for (const token_id id : guide_->forced(left())) {
            guide_->advance(id);
            write({id, 0});
            if (why_) return;
        }
    }

    /// How many tokens may still be written: a token beyond the last position can be drawn, but
    /// nothing can follow it.
    std::size_t left() const {
        const auto wanted = how_.max_new_tokens - result_.tokens.size();
        if (how_.context.rule != when_full::stop) return wanted;
        return std::min(wanted,
                        text_.capacity() + 1 - std::min(text_.size(), text_.capacity() + 1));
    }

    token_mask allowed(std::size_t vocabulary) {
        return guide_ ? allowed_by(*guide_, left(), vocabulary, mask_) : token_mask();
    }

    bool ends(token_id id) const {
        if (how_.at_end_of_text == end_rule::go_on) return false;
        const auto& ends = text_.shape().end_of_text;
        return std::find(ends.begin(), ends.end(), id) != ends.end();
    }

    flow emit(const std::string& shown, const draw& next) {
        result_.text += shown;
        return callback_ ? callback_({shown, next.token, next.log_prob}) : flow::go_on;
    }

    /// The ends of text that filters speak of are the model's, unless others are named.
    static sampling filled(sampling how, const config& shape) {
        if (how.end_of_text.empty()) how.end_of_text = shape.end_of_text;
        return how;
    }

    static constexpr std::size_t least_ahead = 2, most_ahead = 15;

    running_text& text_;
    const options how_;
    const on_piece callback_;
    gpt2::sampler sampler_;
    token_stream words_;
    text_stream stream_;
    std::unique_ptr<guide> guide_;  // null: anything may be written
    std::vector<std::uint64_t> mask_;
    completion result_;
    std::optional<finish> why_;
    std::size_t ahead_ = 4;       // how many guesses are asked for
    buffer<float> ahead_logits_;  // (guesses + 1, V)
    clock::time_point begun_ = clock::now(), prompted_ = begun_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
