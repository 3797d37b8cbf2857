// Many texts at once: the weights are read once per step for all, and every text comes out as if it
// were written alone, to the bit.
//
// A fixed number of texts are under way; when one is finished the next takes its place. Each has
// its own options, seed and callback, and an error ends only the one that raised it.
//
// Before: detail/generation.hpp. Next: session.hpp, gpt2.hpp, whose generate(prompts) is this.
#pragma once

#include "detail/generation.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A text to be written on, in a batch.
struct request {
    std::vector<token_id> prompt;  ///< empty: the model's begin-of-text token
    gpt2::options options = {};
    /// How many continuations; they share the prompt's keys and values. Number j draws as one with
    /// options::sequence + j would alone.
    std::size_t samples = 1;
    on_piece callback = {};  ///< for each token of each continuation
};

/// How one text of a batch ended.
struct outcome {
    completion result;
    std::exception_ptr problem;  ///< what it raised instead; null when all is well

    /// The result. Raises the problem where there is one.
    completion take() {
        if (problem) std::rethrow_exception(problem);
        return std::move(result);
    }
};

/// Called as texts finish: the number of the request, that of the sample, and how it ended.
using on_outcome = std::function<void(std::size_t request, std::size_t sample, outcome&&)>;

namespace detail {

/// Continuations under way, at most `places` of them.
class batch {
public:
    explicit batch(std::size_t places) : places_(places) {}

    bool has_room() const { return active_.size() < places_; }
    bool is_empty() const { return active_.empty(); }

    /// Takes a text that somebody else owns, and says through `done` how it ended.
    void add(running_text& text, const options& how, on_piece callback,
             std::function<void(outcome&&)> done) {
        auto one = std::make_unique<member>();
        one->done = std::move(done);
        one->run([&] {
            one->writing.emplace(text, how, std::move(callback));
            one->writing->guarded([&] { one->writing->begin(); });
        });
        active_.push_back(std::move(one));
    }
    /// The same with a text that is the batch's own.
    void add(std::unique_ptr<running_text> text, const options& how, on_piece callback,
             std::function<void(outcome&&)> done) {
        add(*text, how, std::move(callback), std::move(done));
        active_.back()->own = std::move(text);
    }

    /// Writes a token, or more, of every text; those that are finished leave.
    void step() {
        std::vector<member*> together;
        for (auto& one : active_) {
            if (!one->goes_on()) continue;
            if (one->writing->joins_a_batch())
                together.push_back(one.get());
            else
                one->advance();
        }
        step(together);
        std::erase_if(active_, [](const auto& one) {
            if (one->goes_on()) return false;
            one->leave();
            return true;
        });
    }

private:
    struct member {
        std::unique_ptr<running_text> own;
        std::optional<generation> writing;
        std::function<void(outcome&&)> done;
        std::exception_ptr problem;
        draw chosen{};

        template <class Step>
        void run(Step step) {
            try {
                step();
            } catch (...) {
                problem = std::current_exception();
            }
        }
        void advance() {
            run([&] { writing->guarded([&] { writing->advance(); }); });
        }
        bool goes_on() { return !problem && writing->goes_on(); }
        void leave() {
            outcome end;
            end.problem = problem;
            if (!problem) end.result = writing->result();
            done(std::move(end));
        }
    };

    /// What waits in each of these and the token after it, in as few passes as they fit in.
    void step(std::span<member* const> together) {
        while (!together.empty()) {
            const auto most = together[0]->writing->text().most_at_once();
            std::size_t count = 0, rows = 0;
            while (count < together.size()) {
                rows += together[count]->writing->text().waiting().size();
                if (rows > most) break;
                ++count;
            }
            pass(together.first(count));
            together = together.subspan(count);
        }
    }

    /// One pass.
    void pass(std::span<member* const> some) {
        const auto& parts = some[0]->writing->text().parts();
        const auto width = parts.model.config().vocabulary_size;
        if (logits_.size() < some.size() * width) logits_ = buffer<float>(some.size() * width);
        const view<float> logits(logits_.data(), some.size(), width);  // (B, V)
        std::vector<running_text*> texts;
        for (auto* one : some) texts.push_back(&one->writing->text());
        try {
            running_text::step(texts, logits, some[0]->writing->until());
        } catch (...) {
            // Each meets the problem, or its absence, alone.
            for (auto* one : some) one->advance();
            return;
        }
        const auto choose = [&](std::size_t i) {
            some[i]->run([&] { some[i]->chosen = some[i]->writing->choose(logits.row(i)); });
        };
        parts.pool->run(some.size(), 1, [&](std::size_t first, std::size_t last, std::size_t) {
            for (auto i = first; i < last; ++i)
                if (!some[i]->writing->chooses_alone()) choose(i);
        });
        for (std::size_t i = 0; i < some.size(); ++i) {
            if (some[i]->writing->chooses_alone()) choose(i);
            if (!some[i]->problem) some[i]->run([&] { some[i]->writing->take(some[i]->chosen); });
            if (texts[i]->waiting().empty()) texts[i]->keep_logits(logits.row(i));
        }
    }

    std::size_t places_;
    std::vector<std::unique_ptr<member>> active_;
    buffer<float> logits_;  // (B, V) of a pass
};

/// Gives the next request, or nothing when there are no more.
using request_source = std::function<std::optional<request>()>;

/// The continuations of a row of requests, one after the other as a batch has room for them.
class continuations {
public:
    continuations(std::shared_ptr<const language_parts> parts, request_source next)
        : parts_(std::move(parts)), next_(std::move(next)) {}

    /// Whether there is another; a prompt that several samples share is computed then.
    bool fetch() {
        while (sample_ == samples_) {
            auto given = next_();
            if (!given) return false;
            request_ = std::move(*given);
            samples_ = request_.samples;
            sample_ = 0;
            ++number_;
            read_prompt();
        }
        return true;
    }

    /// Hands it to the batch.
    void add_to(batch& under_way, const on_outcome& done) {
        const auto number = number_ - 1, sample = sample_++;
        const auto tell = [&done, number, sample, waited = seconds_](outcome&& end) {
            end.result.stats.prompt_seconds += waited;
            done(number, sample, std::move(end));
        };
        if (!prompt_) return tell(outcome(end_));
        auto how = request_.options;
        how.sequence += sample;
        auto text = sample_ == samples_ ? std::move(prompt_) : prompt_->fork();
        under_way.add(std::move(text), how, request_.callback, tell);
    }

private:
    void read_prompt() {
        const auto begun = std::chrono::steady_clock::now();
        end_ = {};
        try {
            prompt_ = std::make_unique<running_text>(parts_);
            const auto& how = request_.options;
            // Nobody shares a single text's prompt: it may wait for a pass with others.
            if (samples_ == 1 && !parts_->prefixes)
                prompt_->add(request_.prompt, how.context);
            else
                prompt_->feed(request_.prompt, how.until, how.context);
        } catch (const error& problem) {
            prompt_.reset();
            if (problem.code() == errc::cancelled)
                end_.result.why = finish::cancelled;
            else
                end_.problem = std::current_exception();
        } catch (...) {
            prompt_.reset();
            end_.problem = std::current_exception();
        }
        seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    }

    std::shared_ptr<const language_parts> parts_;
    request_source next_;
    request request_;
    std::size_t number_ = 0, sample_ = 0, samples_ = 0;
    std::unique_ptr<running_text> prompt_;  // null: it could not be computed, `end_` says why
    outcome end_;
    double seconds_ = 0;
};

/// Writes the continuations of all requests, at most `at_once` at a time, and tells of each as it
/// is finished.
inline void write_all(const std::shared_ptr<const language_parts>& parts, request_source next,
                      const on_outcome& done, std::size_t at_once) {
    continuations rest(parts, std::move(next));
    batch under_way(std::max<std::size_t>(at_once, 1));
    for (;;) {
        while (under_way.has_room() && rest.fetch()) rest.add_to(under_way, done);
        if (under_way.is_empty()) return;
        under_way.step();
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
