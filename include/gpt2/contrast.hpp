// Ways to write one text in which scores are set against something else: against what another
// prompt makes likely (classifier-free guidance), against a smaller model (contrastive decoding),
// or against what the text has already said (contrastive search).
//
// Before: prompt.hpp; search.hpp, which finds several texts.
#pragma once

#include "detail/log_softmax.hpp"
#include "prompt.hpp"
#include "sampler.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What to steer away from, or with a scale below 1 towards.
struct guidance {
    std::optional<prompt> negative = {};  ///< none: the prompt's last token alone, as HF has it
    double scale = 1.5;                   ///< 1: the prompt's own scores
};

/// Continues a prompt by scale · (c - u) + u, where c and u are the log-probabilities behind the
/// prompt and behind the negative prompt, each continued by what was written (Sanchez et al.,
/// arXiv:2306.17806; HF's guidance_scale and negative_prompt_ids). The sampling follows on that.
/// completion::log_probs are c. Raises what generate raises; empty_prompt for an empty negative.
inline completion generate_guided(const language_model& with, const prompt& begin,
                                  const guidance& how, const options& writing = {},
                                  const on_piece& callback = {});

/// What a larger model, the expert, is set against.
struct amateur {
    const language_model& model;  ///< of the same vocabulary; outlives the call
    double plausibility = 0.1;    ///< alpha, 0 to 1
    double weight = 1;            ///< beta, 0 or more
    float temperature = 1;        ///< of the amateur, above 0
};

/// Continues a prompt by log p_expert - beta · log p_amateur, among the tokens whose p_expert is
/// at least alpha times the highest (Li et al., arXiv:2210.15097, equations 2 and 3, where beta is
/// 1). The sampling follows on that. completion::log_probs are the expert's. Raises what generate
/// raises; invalid_argument for models of different vocabularies.
inline completion generate_contrasted(const language_model& expert, const prompt& begin,
                                      const amateur& how, const options& writing = {},
                                      const on_piece& callback = {});

/// How much a text should differ from what it said before.
struct contrastive {
    double penalty = 0.6;   ///< alpha, 0 to 1; 0 is greedy
    std::size_t top_k = 4;  ///< candidates, 1 or more; all those of probability 0 are left out
};

/// Continues a prompt, of the top_k likeliest tokens v, by the one of the highest
/// (1 - alpha) p(v) - alpha · max cos(h_v, h_j), where h are the vectors behind ln_f and j goes
/// over all positions before (Su et al., arXiv:2202.06417; HF's penalty_alpha up to version 4.49).
/// p is the softmax after options::sampling's processors; there is no draw, so temperature should
/// stay 0. Candidates need positions too: the text ends one token earlier than others where the
/// context is full. Raises what generate raises.
inline completion contrastive_search(const language_model& with, const prompt& begin,
                                     const contrastive& how = {}, const options& writing = {},
                                     const on_piece& callback = {});

// ------------------------------------------------------------------------------------------------

namespace detail {

/// A single text and its rules: what is left to say is how to choose, and what to compute then.
class writer {
public:
    /// `room`: the tokens that there is room for.
    writer(const language_model& model, std::span<const token_id> ids, std::size_t room,
           const options& writing)
        : rules_(rules_for(model, ids.size(), room, writing)), text_(rules_, ids, writing.stop) {}
    writer(const writer&) = delete;  // the text refers to the rules

    history past() const { return {text_.tokens(), rules_.prompt_length}; }
    /// What the constraint lets follow, of so many tokens.
    token_mask allowed(std::size_t vocabulary) { return text_.allowed(vocabulary); }

    /// feed() computes the prompt; choose() gives the next token, follow(token) computes it.
    template <class Feed, class Choose, class Follow>
    completion run(Feed&& feed, Choose&& choose, Follow&& follow, const on_piece& callback) {
        using clock = std::chrono::steady_clock;
        const auto begun = clock::now();
        auto fed = begun;
        const auto write = [&] {
            feed();
            fed = clock::now();
            for (; !text_.over(); ++passes_) {
                const draw next = choose();
                take(next, callback);
                if (!text_.over()) follow(next.token);
            }
        };
        if (is_cancelled(write)) text_.end(finish::cancelled);
        return result(fed - begun, clock::now() - fed);
    }

private:
    void take(const draw& next, const on_piece& callback) {
        const auto shown = text_.take(next);
        const auto why = text_.why();
        if (why == finish::end_of_text && shown.empty()) return;
        const auto wish = callback ? callback({shown, next.token, next.log_prob}) : flow::go_on;
        if (wish == flow::stop && why != finish::end_of_text && why != finish::stop_text)
            text_.end(finish::callback);
    }

    completion result(std::chrono::duration<double> prompt,
                      std::chrono::duration<double> decode) const {
        const auto tokens = text_.tokens().last(text_.written());
        completion done;
        done.text = text_.text();
        done.tokens.assign(tokens.begin(), tokens.end());
        done.log_probs.assign(text_.log_probs().begin(), text_.log_probs().end());
        done.why = *text_.why();
        done.stats.prompt_tokens = rules_.prompt_length;
        done.stats.new_tokens = tokens.size();
        done.stats.passes = passes_;
        done.stats.prompt_seconds = prompt.count();
        done.stats.decode_seconds = decode.count();
        return done;
    }

    passage_rules rules_;
    passage text_;
    std::size_t passes_ = 0;
};

/// The vectors of a text's positions, each of length 1.
class directions {
public:
    explicit directions(std::size_t width) : width_(width) {}

    void add(std::span<const float> vector) {
        double square = 0;
        for (const float x : vector) square += static_cast<double>(x) * static_cast<double>(x);
        const double length = std::sqrt(square);
        for (const float x : vector)
            values_.push_back(static_cast<float>(static_cast<double>(x) / length));
    }
    void clear() { values_.clear(); }
    std::size_t size() const { return values_.size() / width_; }
    std::span<const float> operator[](std::size_t i) const {
        return std::span(values_).subspan(i * width_, width_);
    }

    /// The highest cosine between `vector`, of length 1, and one of these.
    double nearest(std::span<const float> vector) const {
        double most = -1;
        for (std::size_t i = 0; i < size(); ++i) {
            const auto other = (*this)[i];
            double sum = 0;
            for (std::size_t c = 0; c < width_; ++c)
                sum += static_cast<double>(vector[c]) * static_cast<double>(other[c]);
            most = std::max(most, sum);
        }
        return most;
    }

private:
    std::size_t width_;
    std::vector<float> values_;  // (T, C)
};

/// Gathers the vectors behind ln_f.
inline auto watch(directions& into) {
    return [&into](gpt2::stage s, std::size_t, view<float> x) {
        if (s != gpt2::stage::ln_f) return;
        for (std::size_t t = 0; t < x.rows(); ++t) into.add(x.row(t));
    };
}

/// One call of contrastive_search.
class contrastive_searcher {
public:
    contrastive_searcher(const language_model& model, std::vector<token_id> ids,
                         const contrastive& how, const options& writing)
        : how_(how),
          ids_(std::move(ids)),
          text_(model, ids_, room_behind(model, ids_.size()) - 1, writing),
          texts_(branches_of(model, writing.until)),
          sampler_(sampler_for(model, writing)),
          past_(model.config().width),
          candidates_(model.config().width) {}

    completion run(const on_piece& callback) {
        return text_.run([&] { texts_.start(ids_, watch(past_)); }, [&] { return choose(); },
                         [](token_id) {}, callback);
    }

private:
    /// Computes all candidates, and keeps the chosen one.
    draw choose() {
        const auto own = own_(texts_.logits(0));
        scores_.assign(texts_.logits(0).begin(), texts_.logits(0).end());
        sampler_.process(scores_, text_.past(), text_.allowed(scores_.size()));
        const auto log_probs = processed_(scores_);
        const auto ids = likeliest(log_probs);
        std::vector<branches::growth> next;
        for (const token_id id : ids) next.push_back({0, id});
        candidates_.clear();
        texts_.grow(next, watch(candidates_));
        std::size_t best = 0;
        double highest = -std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const double p = std::exp(static_cast<double>(log_probs[index(ids[i])]));
            const double score =
                (1 - how_.penalty) * p - how_.penalty * past_.nearest(candidates_[i]);
            if (score > highest) highest = score, best = i;
        }
        texts_.keep(best);
        past_.add(candidates_[best]);
        return {ids[best], own[index(ids[best])]};
    }

    static std::size_t index(token_id id) { return static_cast<std::size_t>(id); }

    /// The top_k best, the best first, of equals the lower id; none of probability 0.
    std::vector<token_id> likeliest(std::span<const float> log_probs) const {
        std::vector<token_id> ids(log_probs.size());
        std::iota(ids.begin(), ids.end(), 0);
        const auto count = std::min(how_.top_k, ids.size());
        const auto end = ids.begin() + static_cast<std::ptrdiff_t>(count);
        std::partial_sort(ids.begin(), end, ids.end(), [&](token_id a, token_id b) {
            const float x = log_probs[index(a)], y = log_probs[index(b)];
            return x != y ? x > y : a < b;
        });
        ids.erase(end, ids.end());
        std::erase_if(ids, [&](token_id id) {
            return log_probs[index(id)] == -std::numeric_limits<float>::infinity();
        });
        return ids;
    }

    const contrastive& how_;
    std::vector<token_id> ids_;
    writer text_;
    branches texts_;
    sampler sampler_;
    class log_softmax own_, processed_;
    std::vector<float> scores_;
    directions past_, candidates_;
};

}  // namespace detail

inline completion generate_guided(const language_model& with, const prompt& begin,
                                  const guidance& how, const options& writing,
                                  const on_piece& callback) {
    detail::require(std::isfinite(how.scale), "guidance.scale", "a finite number",
                    detail::number(how.scale));
    const auto ids = detail::first_ids(with, begin, writing);
    const auto against = how.negative ? detail::ids_of(with, *how.negative, writing)
                                      : std::vector<token_id>{ids.back()};
    if (against.empty())
        throw error(errc::empty_prompt, "guidance.negative: expected a token or more, found none");
    const auto longer = std::max(ids.size(), against.size());
    detail::writer text(with, ids, detail::room_behind(with, longer), writing);
    auto texts = detail::branches_of(with, writing.until);
    sampler choice = detail::sampler_for(with, writing);
    class detail::log_softmax of_prompt, of_negative;
    std::vector<float> scores;
    const auto scale = static_cast<float>(how.scale);
    return text.run(
        [&] {
            texts.start(ids);
            texts.start(against);
        },
        [&] {
            const auto c = of_prompt(texts.logits(0)), u = of_negative(texts.logits(1));
            scores.resize(c.size());
            for (std::size_t i = 0; i < c.size(); ++i) scores[i] = scale * (c[i] - u[i]) + u[i];
            const auto token = choice.next(scores, text.past(), text.allowed(scores.size())).token;
            return draw{token, c[static_cast<std::size_t>(token)]};
        },
        [&](token_id token) {
            const detail::branches::growth both[] = {{0, token}, {1, token}};
            texts.grow(both);
        },
        callback);
}

inline completion generate_contrasted(const language_model& expert, const prompt& begin,
                                      const amateur& how, const options& writing,
                                      const on_piece& callback) {
    using detail::number, detail::require;
    require(how.plausibility >= 0 && how.plausibility <= 1, "amateur.plausibility",
            "a number from 0 to 1", number(how.plausibility));
    require(std::isfinite(how.weight) && how.weight >= 0, "amateur.weight",
            "a finite number, 0 or more", number(how.weight));
    require(std::isfinite(how.temperature) && how.temperature > 0, "amateur.temperature",
            "a finite number above 0", number(how.temperature));
    const auto size = expert.config().vocabulary_size;
    require(how.model.config().vocabulary_size == size, "amateur.model",
            {"a vocabulary of ", size, ", the expert's"}, how.model.config().vocabulary_size);
    const auto ids = detail::first_ids(expert, begin, writing);
    const auto room = std::min(detail::room_behind(expert, ids.size()),
                               detail::room_behind(how.model, ids.size()));
    detail::writer text(expert, ids, room, writing);
    auto strong = detail::branches_of(expert, writing.until);
    auto weak = detail::branches_of(how.model, writing.until);
    sampler choice = detail::sampler_for(expert, writing);
    class detail::log_softmax of_strong, of_weak;
    std::vector<float> scores(size);
    const auto beta = static_cast<float>(how.weight);
    return text.run(
        [&] {
            strong.start(ids);
            weak.start(ids);
        },
        [&] {
            const auto e = of_strong(strong.logits(0));
            const auto a = of_weak(weak.logits(0), how.temperature);
            const double least = std::log(how.plausibility) + *std::max_element(e.begin(), e.end());
            for (std::size_t i = 0; i < size; ++i)
                scores[i] =
                    e[i] >= least ? e[i] - beta * a[i] : -std::numeric_limits<float>::infinity();
            const auto token = choice.next(scores, text.past(), text.allowed(scores.size())).token;
            return draw{token, e[static_cast<std::size_t>(token)]};
        },
        [&](token_id token) {
            const detail::branches::growth one[] = {{0, token}};
            strong.grow(one);
            weak.grow(one);
        },
        callback);
}

inline completion contrastive_search(const language_model& with, const prompt& begin,
                                     const contrastive& how, const options& writing,
                                     const on_piece& callback) {
    detail::require(how.penalty >= 0 && how.penalty <= 1, "contrastive.penalty",
                    "a number from 0 to 1", detail::number(how.penalty));
    detail::require(how.top_k >= 1, "contrastive.top_k", "1 or more", how.top_k);
    return detail::contrastive_searcher(with, detail::first_ids(with, begin, writing), how, writing)
        .run(callback);
}

}  // namespace gpt2::inline GPT2_ABI
