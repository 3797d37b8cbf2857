// Several continuations of a prompt, the best first: beam search, and the best of several samples.
//
//     for (const auto& found : gpt2::beam_search(model, "Once upon a time", {.count = 5}))
//         std::cout << found.score << found.text << '\n';
//
// Beam search is that of HF transformers' generate; diverse groups are those of its version 4.49,
// the last that has them. All texts of a step are computed together and read the weights once; the
// result is the same to the bit for any number of threads.
//
// Before: prompt.hpp. After: contrast.hpp, other ways to write a single text.
#pragma once

#include "detail/log_softmax.hpp"
#include "prompt.hpp"
#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A continuation that a search found.
struct hypothesis {
    std::string text;
    std::vector<token_id> tokens;  ///< new ones, without the end of text
    std::vector<float> log_probs;  ///< of these, under the model itself
    /// Their sum; where the text was found by a beam search with that of the end of text.
    double log_prob = 0;
    double score = 0;  ///< what it was ranked by
    finish why = finish::length;
};

/// When a beam search is over although its beams could go on.
enum class early_stopping {
    no,     ///< `count` texts are finished, and no beam, were it to end now, is better than all
    yes,    ///< `count` texts are finished
    never,  ///< `count` are finished, and no beam could become better, of whatever length
};

/// How to search with beams. HF's names: num_beams, num_return_sequences, length_penalty,
/// early_stopping, num_beam_groups, diversity_penalty.
struct beams {
    static constexpr std::size_t most = 1024;

    std::size_t count = 4;      ///< texts that are followed at once, 1 to `most`
    std::size_t n_best = 1;     ///< of which so many are returned, 1 to count
    double length_penalty = 1;  ///< score = sum of log-probabilities / tokens ^ length_penalty
    early_stopping early = early_stopping::no;
    /// Groups that search one after the other in each step, a divisor of count; a token loses
    /// diversity_penalty, 0 or more, for each beam of the groups before that has just taken it
    /// (Vijayakumar et al., arXiv:1610.02424). A group that is over counts as taking end of text.
    std::size_t groups = 1;
    double diversity_penalty = 0;
};

/// A beam as the callback sees it; `text` is valid during the call only.
struct beam_view {
    std::size_t group = 0;
    std::size_t parent = 0;  ///< which of the step before it continues: its place in `running`
    token_id token = 0;
    double score = 0;  ///< sum of log-probabilities; where the text is over, its final score
    std::string_view text;
    std::optional<finish> why = {};
};

/// One step of a beam search, valid during the call only.
struct beam_step {
    std::size_t length = 0;               ///< new tokens so far
    std::span<const beam_view> running;   ///< those that go on, by groups, the best of each first
    std::span<const beam_view> finished;  ///< those that this step finished, best or not
};

/// Called once per step. flow::stop ends the search: what is running is finished as it is.
using on_beam_step = std::function<flow(const beam_step&)>;

/// The best continuations of a prompt, the best first. Fewer than n_best only where the vocabulary
/// offers fewer.
///
/// Scores are log-softmax changed by the processors of options::sampling (repetition penalty, bans,
/// minimum length …). With temperature 0, which is the default, the best candidates go on; else all
/// filters apply, and candidates are drawn without replacement in proportion to e^score (HF's beam
/// sampling, by the Gumbel-max trick: Kool et al., arXiv:1903.06059).
///
/// Every text keeps to options::constraint. Texts end as in generate: by end of text, a stop text,
/// max_new_tokens, a constraint that allows nothing more, or where the model has no more positions
/// (context_full). Cancelling or the callback ends those that run as they are.
/// Raises invalid_argument, empty_prompt, context_full, token_out_of_range, not_found, not_finite,
/// no_candidate. Memory: a cache for each beam.
inline std::vector<hypothesis> beam_search(const language_model& with, const prompt& begin,
                                           const beams& how = {}, const options& writing = {},
                                           const on_beam_step& callback = {});

/// What samples are ranked by: their log-probability under the model itself.
enum class best_by { sum, mean };

/// How many texts to draw, and which to keep.
struct best_of {
    static constexpr std::size_t most = 1024;

    std::size_t count = 8;   ///< 1 to `most`
    std::size_t n_best = 1;  ///< 1 to count
    best_by by = best_by::mean;
};

/// Draws several continuations and returns those that the model finds likeliest, the best first;
/// the end of text is not counted. Sample i is what generate writes with options::sequence + i.
/// Raises what generate raises.
inline std::vector<hypothesis> sample_best(const language_model& with, const prompt& begin,
                                           const best_of& how = {}, const options& writing = {});

// ------------------------------------------------------------------------------------------------

namespace detail {

inline hypothesis hypothesis_of(const passage& from, double score) {
    hypothesis made;
    made.text = from.text();
    const auto tokens = from.tokens().last(from.written());
    made.tokens.assign(tokens.begin(), tokens.end());
    made.log_probs.assign(from.log_probs().begin(), from.log_probs().end());
    made.log_prob = from.log_prob();
    made.score = score;
    made.why = from.why().value_or(finish::length);
    return made;
}

/// Puts the best first, of equals the one that was there first, and keeps so many.
inline void keep_best(std::vector<hypothesis>& all, std::size_t count) {
    std::stable_sort(all.begin(), all.end(),
                     [](const hypothesis& a, const hypothesis& b) { return a.score > b.score; });
    if (all.size() > count) all.resize(count);
}

/// Raises invalid_argument.
inline void validate(const beams& how, const options& writing) {
    require(how.count >= 1 && how.count <= beams::most, "beams.count", {"1 to ", beams::most},
            how.count);
    require(how.n_best >= 1 && how.n_best <= how.count, "beams.n_best",
            {"1 to count = ", how.count}, how.n_best);
    require(how.groups >= 1 && how.count % how.groups == 0, "beams.groups",
            {"a divisor of count = ", how.count}, how.groups);
    require(std::abs(how.length_penalty) <= 20, "beams.length_penalty", "a number from -20 to 20",
            number(how.length_penalty));
    require(std::isfinite(how.diversity_penalty) && how.diversity_penalty >= 0,
            "beams.diversity_penalty", "a finite number, 0 or more", number(how.diversity_penalty));
    require(how.groups == 1 || is_greedy(writing.sampling), "beams.groups",
            "1 where candidates are drawn (sampling.temperature above 0)", how.groups);
}

/// Raises invalid_argument.
inline void validate(const best_of& how) {
    require(how.count >= 1 && how.count <= best_of::most, "best_of.count", {"1 to ", best_of::most},
            how.count);
    require(how.n_best >= 1 && how.n_best <= how.count, "best_of.n_best",
            {"1 to count = ", how.count}, how.n_best);
}

/// A text that is followed.
struct beam {
    passage text;
    double score = 0;        // sum of the processed log-probabilities
    std::size_t parent = 0;  // the place of what it continues
    std::size_t place = 0;   // its own among those that are computed together
};

/// A beam and a token that may follow it.
struct candidate {
    double rank = 0;  // its score, with noise where candidates are drawn
    double score = 0;
    std::size_t beam = 0;
    draw next{};

    /// The better one first; of equals that of the lower beam, then of the lower token.
    friend bool operator<(const candidate& a, const candidate& b) {
        if (a.rank != b.rank) return a.rank > b.rank;
        return a.beam != b.beam ? a.beam < b.beam : a.next.token < b.next.token;
    }
};

/// The best of all candidates that it is shown.
class best_candidates {
public:
    explicit best_candidates(std::size_t most) : most_(most) {}

    void offer(const candidate& one) {
        if (heap_.size() == most_) {
            if (!(one < heap_.front())) return;
            std::pop_heap(heap_.begin(), heap_.end());
            heap_.pop_back();
        }
        heap_.push_back(one);
        std::push_heap(heap_.begin(), heap_.end());
    }
    /// The best first.
    std::vector<candidate> take() {
        std::sort_heap(heap_.begin(), heap_.end());
        return std::move(heap_);
    }

private:
    std::size_t most_;
    std::vector<candidate> heap_;  // the worst in front
};

/// Beams that compete with each other, and the texts that they finished.
class beam_group {
public:
    /// `size`: how many beams are followed, of a text that may grow to `most` new tokens.
    beam_group(const beams& how, passage root, std::size_t most)
        : how_(how), size_(how.count / how.groups), most_(most) {
        running_.push_back({std::move(root)});
        if (running_[0].text.over()) finish_all();
    }

    std::size_t size() const { return size_; }
    std::span<beam> running() { return running_; }
    std::span<const hypothesis> finished() const { return finished_; }
    bool over() const { return running_.empty(); }

    /// Goes on with the best that are not over; of candidates that are, only those count that stand
    /// among the first `size`. Those are shown to `finished`. Returns the tokens that the best
    /// took, end of text not counted.
    template <class Finished>
    std::vector<token_id> advance(std::span<const candidate> candidates, Finished&& finished) {
        std::vector<beam> next;
        std::vector<token_id> taken;
        for (std::size_t rank = 0; rank < candidates.size() && next.size() < size_; ++rank) {
            const candidate& one = candidates[rank];
            const beam& from = running_[one.beam];
            beam grown{from.text, one.score, from.place};
            grown.text.take(one.next);
            const auto why = grown.text.why();
            if (why != finish::end_of_text && taken.size() < size_) taken.push_back(one.next.token);
            if (!why) {
                next.push_back(std::move(grown));
            } else if (rank < size_) {
                finished_.push_back(hypothesis_of(grown.text, final_score(grown)));
                finished(one.next.token, from.place, finished_.back());
            }
        }
        running_ = std::move(next);
        keep_best(finished_, size_);
        if (!over() && is_settled(best_sum(candidates))) running_.clear();
        return taken;
    }

    /// What runs is over as it is, for that reason.
    void finish_all(std::optional<finish> why = {}) {
        for (beam& one : running_) {
            if (why) one.text.end(*why);
            finished_.push_back(hypothesis_of(one.text, final_score(one)));
        }
        keep_best(finished_, size_);
        running_.clear();
    }

private:
    double final_score(const beam& of) const { return normalized(of.score, of.text.length()); }
    double normalized(double sum, std::size_t length) const {
        return length == 0 ? sum : sum / std::pow(length, how_.length_penalty);
    }

    /// The best sum that runs. A candidate that ended may be better than all of them: the groups of
    /// HF 4 look at it too.
    double best_sum(std::span<const candidate> candidates) const {
        double best = how_.groups > 1 ? candidates[0].score : running_[0].score;
        for (const beam& one : running_) best = std::max(best, one.score);
        return best;
    }

    /// Whether nothing better can be expected of a best sum.
    bool is_settled(double best) const {
        if (finished_.size() < size_) return false;
        if (how_.early == early_stopping::yes) return true;
        const bool at_most = how_.early == early_stopping::never && how_.length_penalty > 0;
        const auto length = at_most ? most_ : running_[0].text.length();
        return normalized(best, length) <= finished_.back().score;
    }

    const beams& how_;
    std::size_t size_, most_;
    std::vector<beam> running_;         // the best first
    std::vector<hypothesis> finished_;  // the best first, at most size_
};

/// One call of beam_search.
class beam_searcher {
public:
    beam_searcher(const language_model& model, std::vector<token_id> ids, const beams& how,
                  const options& writing, const on_beam_step& callback)
        : how_(how),
          writing_(writing),
          callback_(callback),
          ids_(std::move(ids)),
          rules_(rules_for(model, ids_.size(), room_behind(model, ids_.size()), writing)),
          texts_(branches_of(model, writing.until)),
          sampler_(sampler_for(model, writing)),
          taken_(model.config().vocabulary_size) {
        const passage root(rules_, ids_, writing.stop);
        for (std::size_t i = 0; i < how.groups; ++i) groups_.emplace_back(how, root, rules_.most);
    }

    std::vector<hypothesis> run() {
        std::optional<finish> why;
        if (is_cancelled([&] { why = search(); })) why = finish::cancelled;
        std::vector<hypothesis> found;
        for (auto& group : groups_) {
            group.finish_all(why);
            found.insert(found.end(), group.finished().begin(), group.finished().end());
        }
        keep_best(found, how_.n_best);
        return found;
    }

private:
    /// Returns why what still runs is over.
    std::optional<finish> search() {
        texts_.start(ids_);
        for (std::size_t length = 1; next_step(); ++length) {
            step();
            if (callback_ && callback_({length, shown_.running, shown_.finished}) == flow::stop)
                return finish::callback;
        }
        return {};
    }

    /// Computes the beams that are to go on; false when there are none.
    bool next_step() {
        std::vector<branches::growth> next;
        for (auto& group : groups_)
            for (beam& one : group.running()) {
                if (one.text.written() > 0) next.push_back({one.parent, one.text.tokens().back()});
                one.place = next.empty() ? 0 : next.size() - 1;
            }
        if (!next.empty()) texts_.grow(next);
        return !std::all_of(groups_.begin(), groups_.end(),
                            [](const beam_group& group) { return group.over(); });
    }

    /// One more token of every beam.
    void step() {
        std::fill(taken_.begin(), taken_.end(), 0.0f);
        shown_ = {};
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            auto& group = groups_[i];
            if (group.over()) {
                if (!rules_.end_of_text.empty()) take(rules_.end_of_text[0], group.size());
                continue;
            }
            const auto found = candidates(group);
            if (found.empty() && group.finished().empty())
                throw error(errc::no_candidate, "beam_search: every token is banned (-infinity)");
            const auto taken = group.advance(
                found, [&](token_id last, std::size_t parent, const hypothesis& done) {
                    shown_.texts.push_back(done.text);
                    shown_.finished.push_back(
                        {i, parent, last, done.score, shown_.texts.back(), done.why});
                });
            for (const token_id id : taken) take(id, 1);
            for (const beam& one : group.running())
                shown_.running.push_back(
                    {i, one.parent, one.text.tokens().back(), one.score, one.text.text(), {}});
        }
    }

    void take(token_id id, std::size_t times) {
        taken_[static_cast<std::size_t>(id)] += static_cast<float>(times);
    }

    /// The candidates of a group, the best first: enough that `size` of them do not end.
    std::vector<candidate> candidates(beam_group& group) {
        const auto each = std::max<std::size_t>(2, 1 + rules_.end_of_text.size());
        best_candidates best(each * group.size());
        const auto running = group.running();
        for (std::size_t i = 0; i < running.size(); ++i) {
            const auto own = log_softmax_(texts_.logits(running[i].place));
            scores_.assign(own.begin(), own.end());
            if (how_.groups > 1)
                for (std::size_t id = 0; id < scores_.size(); ++id)
                    scores_[id] -= static_cast<float>(how_.diversity_penalty) * taken_[id];
            sampler_.process(scores_, {running[i].text.tokens(), ids_.size()},
                             running[i].text.allowed(scores_.size()));
            for (std::size_t id = 0; id < scores_.size(); ++id) {
                if (scores_[id] == -std::numeric_limits<float>::infinity()) continue;
                const auto token = static_cast<token_id>(id);
                const double score = running[i].score + static_cast<double>(scores_[id]);
                best.offer({score + noise(running[i], token), score, i, {token, own[id]}});
            }
        }
        return best.take();
    }

    /// A Gumbel variate for each candidate of a step where candidates are drawn, else 0.
    double noise(const beam& of, token_id token) const {
        if (is_greedy(writing_.sampling)) return 0;
        const auto number = of.place * taken_.size() + static_cast<std::size_t>(token);
        const philox random{writing_.seed, (writing_.sequence << 40) + number};
        const double u = random.uniform(of.text.tokens().size());
        return -log_of(-log_of(u + 0x1p-54));
    }

    /// What the callback is shown of a step.
    struct shown_step {
        std::vector<beam_view> running, finished;
        std::deque<std::string> texts;  // of the finished ones
    };

    const beams& how_;
    const options& writing_;
    const on_beam_step& callback_;
    std::vector<token_id> ids_;
    passage_rules rules_;
    branches texts_;
    sampler sampler_;
    std::vector<float> taken_;  // (V): how often the groups before took each token in this step
    std::vector<beam_group> groups_;
    class log_softmax log_softmax_;
    std::vector<float> scores_;
    shown_step shown_;
};

}  // namespace detail

inline std::vector<hypothesis> beam_search(const language_model& with, const prompt& begin,
                                           const beams& how, const options& writing,
                                           const on_beam_step& callback) {
    detail::validate(how, writing);
    return detail::beam_searcher(with, detail::first_ids(with, begin, writing), how, writing,
                                 callback)
        .run();
}

inline std::vector<hypothesis> sample_best(const language_model& with, const prompt& begin,
                                           const best_of& how, const options& writing) {
    detail::validate(how);
    const request all{detail::first_ids(with, begin, writing), writing, how.count};
    std::vector<hypothesis> found;
    for (auto& done : with.generate(std::span(&all, 1))) {
        hypothesis& one = found.emplace_back();
        for (const float x : done.log_probs) one.log_prob += static_cast<double>(x);
        const auto length = how.by == best_by::mean ? done.tokens.size() : 1;
        one.score = length == 0 ? 0 : one.log_prob / static_cast<double>(length);
        one.text = std::move(done.text);
        one.tokens = std::move(done.tokens);
        one.log_probs = std::move(done.log_probs);
        one.why = done.why;
    }
    detail::keep_best(found, how.n_best);
    return found;
}

}  // namespace gpt2::inline GPT2_ABI
