// From logits to the next token: a chain of filters, and the draw.
//
// The same logits, seed, sequence and step give the same token from every compiler, standard
// library and instruction set. Filters follow HF transformers (float32, ties at a top-k border
// stay, the token that crosses top-p stays), or the dialect that is asked for; nothing is allocated
// once a vocabulary was seen.
//
// Before: sampling.hpp, random.hpp, detail/chain.hpp. Next: session.hpp, which calls
// `sampler::next`.
#pragma once

#include "core.hpp"
#include "detail/chain.hpp"
#include "detail/exp_log.hpp"
#include "detail/processors.hpp"
#include "detail/shortlist.hpp"
#include "detail/vocabulary_loops.hpp"
#include "error.hpp"
#include "random.hpp"
#include "sampling.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A token, and its log-probability under the model itself: the log-softmax of the logits as they
/// came, at temperature 1 and before any filter.
struct draw {
    token_id token;
    float log_prob;
};

/// A set of tokens: bit i % 64 of word i / 64 is token i. Empty: all tokens.
using token_mask = std::span<const std::uint64_t>;

/// What one filter made impossible.
struct removal {
    std::string filter;
    std::vector<token_id> ids;  ///< ascending
};

/// A draw, taken apart.
struct explanation {
    std::vector<removal> removed;       ///< in the order of the chain, filters that removed some
    std::vector<token_id> survivors;    ///< ascending
    std::vector<double> probabilities;  ///< of the survivors, adding up to 1
};

/// What outlives a draw, for a session that is saved: small, and equal where samplers go on alike
/// (but for filters of the user's own that keep state).
struct sampler_state {
    double surprise = 0;  ///< mirostat's limit, in bits

    friend bool operator==(const sampler_state&, const sampler_state&) = default;
};

namespace detail {

/// The id of the highest logit, the lowest id on a tie. Raises invalid_argument for no logits,
/// not_finite for NaN or +infinity anywhere, no_candidate when all are -infinity.
inline token_id best_token(std::span<const float> logits, std::size_t step,
                           std::string_view whose = "") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const auto where = [step] { return text_of({"step ", step}); };
    if (logits.empty()) fail(errc::invalid_argument, where(), "there are no logits to choose from");
    const auto [best, bad] = widest<highest_lanes>(logits);
    if (bad) {
        const auto found =
            std::find_if(logits.begin(), logits.end(), [](float x) { return !(x < infinity); });
        fail(errc::not_finite, where(),
             {"the logit of token ", found - logits.begin(), " is ",
              std::isnan(*found) ? "NaN" : "+infinity", whose});
    }
    if (best == -infinity) fail(errc::no_candidate, where(), "every token is banned (-infinity)");
    return static_cast<token_id>(widest<first_lanes>(logits, best));
}

/// The tokens that can still be drawn.
inline std::vector<token_id> survivors_of(const shortlist& list) {
    std::vector<token_id> ids;
    for (std::size_t i = 0; i < list.scores.size(); ++i)
        if (list.scores[i] != banned && (!list.sparse || list.weights[i] != 0))
            ids.push_back(list.id(i));
    return ids;
}

/// Watches a chain at work, and notes what each filter removes.
class chain_trace {
public:
    explicit chain_trace(const shortlist& list) : list_(&list), before_(survivors_of(list)) {}

    void operator()(std::string_view filter) {
        auto after = survivors_of(*list_);
        std::vector<token_id> gone;
        std::set_difference(before_.begin(), before_.end(), after.begin(), after.end(),
                            std::back_inserter(gone));
        if (!gone.empty()) removed.push_back({std::string(filter), std::move(gone)});
        before_ = std::move(after);
    }

    std::vector<removal> removed;

private:
    const shortlist* list_;
    std::vector<token_id> before_;
};

}  // namespace detail

/// Chooses tokens. A draw depends on the logits, the tokens so far, the seed, the sequence and the
/// step alone, never on the draws before it, but for mirostat and for filters of the user's own
/// that keep state (`state`, `reset`). The object holds scratch memory, so each thread needs its
/// own; a copy goes on as the original would.
class sampler {
public:
    /// Raises what `validate` raises.
    explicit sampler(sampling how, std::uint64_t seed = 0, std::uint64_t sequence = 0)
        : how_(std::move(how)), random_{seed, sequence} {
        validate(how_);
        biases_ = detail::in_order(how_.sequence_bias);
        bad_words_ = detail::bad_words_of(how_);
        reset();
    }

    /// The token after the tokens of `past`, from `logits` (V), where -infinity bans a token. The
    /// number of tokens so far, forgotten ones too, is the step, which picks the random number.
    /// O(V), and O(tokens) for filters that look at them. Raises invalid_argument (V = 0, a prompt
    /// longer than the text, a mask that is too short), not_finite (NaN or +infinity anywhere),
    /// token_out_of_range (a setting names an id ≥ V), no_candidate (all banned; it names the
    /// filters that did it), each naming the step.
    draw next(std::span<const float> logits, const history& past, token_mask allowed = {}) {
        return draw_from({logits, past, allowed, past.dropped + past.tokens.size()});
    }

    /// The same for a chain that needs no tokens: `step` is their number. Raises invalid_argument
    /// where a filter needs them.
    draw next(std::span<const float> logits, std::size_t step) {
        for (const detail::filter& filter : detail::chain_of(how_.dialect))
            if ((filter.kind == detail::filter_kind::processor_of_text ||
                 filter.kind == detail::filter_kind::users) &&
                filter.is_on(how_))
                detail::fail(errc::invalid_argument, {"sampler::next, ", filter.name},
                             "the tokens so far", "only their number");
        return draw_from({logits, {}, {}, step});
    }

    /// Applies to `scores` (V), in place, what HF's beam search applies to log-probabilities: the
    /// processors, unless greedy the filters of a draw, and the log-softmax where it is asked for.
    /// Removed tokens get -infinity, which may be all. Raises as `next`, but never no_candidate.
    void process(std::span<float> scores, const history& past, token_mask allowed = {}) {
        const request asked{scores, past, allowed, past.tokens.size()};
        check(asked);
        list_.start(scores, 0);
        const auto ignore = [](std::string_view) {};
        run_processors(asked, ignore);
        if (!all_banned()) {
            settle(asked);
            if (!detail::is_greedy(how_)) run_truncations(asked, ignore);
            list_.tidy();
            if (how_.scores == normalisation::log_softmax) normalise();
        }
        std::fill(scores.begin(), scores.end(), detail::banned);
        for (std::size_t i = 0; i < list_.scores.size(); ++i)
            scores[static_cast<std::size_t>(list_.id(i))] = list_.scores[i];
    }

    /// What `next` would do, filter by filter; changes nothing. Raises as `next`.
    explanation explain(std::span<const float> logits, const history& past,
                        token_mask allowed = {}) const {
        sampler copy(*this);
        const request asked{logits, past, allowed, past.dropped + past.tokens.size()};
        copy.check(asked);
        copy.list_.start(logits, detail::best_token(logits, asked.step));
        detail::chain_trace trace(copy.list_);
        copy.run_processors(asked, trace);
        copy.settle(asked);
        if (detail::is_greedy(how_)) {
            copy.list_.keep_best(1);
            trace("greedy");
        } else {
            copy.run_truncations(asked, trace);
        }
        explanation result{std::move(trace.removed), detail::survivors_of(copy.list_), {}};
        copy.list_.tidy();
        const double total = copy.list_.weigh();
        for (std::size_t i = 0; i < copy.list_.scores.size(); ++i)
            if (copy.list_.scores[i] != detail::banned)
                result.probabilities.push_back(copy.list_.weights[i] / total);
        return result;
    }

    const sampling& settings() const noexcept { return how_; }

    sampler_state state() const noexcept { return state_; }
    /// Goes on where a sampler with the same settings had this state.
    void restore(const sampler_state& state) noexcept { state_ = state; }
    /// As before the first draw, filters of the user's own too.
    void reset() {
        state_.surprise = 2 * static_cast<double>(how_.mirostat.target);
        custom_ = how_.custom;
    }

private:
    struct request {
        std::span<const float> logits;
        history past;
        token_mask allowed;
        std::size_t step;
    };
    static constexpr std::string_view after_filters = " after the filters";

    void check(const request& asked) {
        const std::size_t vocabulary = asked.logits.size();
        if (vocabulary == 0) detail::best_token(asked.logits, asked.step);
        const auto where = [&] { return detail::text_of({"step ", asked.step}); };
        if (asked.past.prompt_length > asked.past.tokens.size())
            detail::fail(errc::invalid_argument, where(),
                         {"a prompt of at most ", asked.past.tokens.size(), " tokens"},
                         asked.past.prompt_length);
        if (!asked.allowed.empty() && asked.allowed.size() * 64 < vocabulary)
            detail::fail(errc::invalid_argument, where(),
                         {"a mask of ", (vocabulary + 63) / 64, " words"}, asked.allowed.size());
        if (vocabulary == checked_) return;
        detail::check_ids(how_, vocabulary);
        checked_ = vocabulary;
    }

    draw draw_from(const request& asked) {
        const std::span<const float> logits = asked.logits;
        check(asked);
        const token_id best_id = detail::best_token(logits, asked.step);
        list_.reserve(logits.size());
        const float best = logits[static_cast<std::size_t>(best_id)];
        const double total =
            detail::widest<detail::weigh_lanes>(logits, best, std::span(list_.weights));
        const bool filtered = has_processors(asked);
        token_id token = best_id;
        if (filtered || !detail::is_greedy(how_)) {
            list_.start(logits, best_id, total);
            if (filtered) {
                run_processors(asked, [](std::string_view) {});
                token = settle(asked);
            }
            if (!detail::is_greedy(how_)) token = choose(asked);
        }
        const double above = static_cast<double>(logits[static_cast<std::size_t>(token)]) - best;
        return {token, static_cast<float>(above - detail::log_of(total))};
    }

    token_id choose(const request& asked) {
        run_truncations(asked, [](std::string_view) {});
        const std::size_t place = detail::pick(list_, random_.uniform(asked.step));
        if (how_.mirostat.version != mirostat_control::kind::off) {
            constexpr double ln2 = 0x1.62e42fefa39efp-1;
            const double bits = -detail::log_of(list_.weights[place] / list_.weigh()) / ln2;
            const double error = bits - static_cast<double>(how_.mirostat.target);
            state_.surprise =
                std::fma(-static_cast<double>(how_.mirostat.rate), error, state_.surprise);
        }
        return list_.id(place);
    }

    bool has_processors(const request& asked) const {
        const auto chain = detail::chain_of(how_.dialect);
        return std::any_of(chain.begin(), chain.end(), [&](const detail::filter& filter) {
            return detail::is_processor(filter) && detail::is_on(filter, how_, asked.allowed);
        });
    }

    detail::turn turn_of(const request& asked) {
        return {how_,           biases_,
                bad_words_,     list_,
                memory_,        asked.past,
                asked.allowed,  random_.uniform(asked.step, philox::use::exclusion),
                state_.surprise};
    }

    template <class Watch>
    void run_processors(const request& asked, Watch&& watch) {
        detail::turn now = turn_of(asked);
        for (const detail::filter& filter : detail::chain_of(how_.dialect)) {
            if (!detail::is_processor(filter) || !detail::is_on(filter, how_, asked.allowed))
                continue;
            if (filter.kind == detail::filter_kind::users) {
                for (custom_filter& own : custom_) {
                    own.apply(list_.scores, asked.past.tokens);
                    watch(own.name);
                }
            } else {
                filter.apply(now);
                watch(filter.name);
            }
        }
    }

    template <class Watch>
    void run_truncations(const request& asked, Watch&& watch) {
        detail::turn now = turn_of(asked);
        for (const detail::filter& filter : detail::chain_of(how_.dialect)) {
            if (filter.kind != detail::filter_kind::truncation || !filter.is_on(how_)) continue;
            list_.tidy();
            filter.apply(now);
            watch(filter.name);
        }
    }

    /// After the processors: the best token, and the error where there is none.
    token_id settle(const request& asked) {
        if (all_banned()) complain(asked);
        const token_id best_id = detail::best_token(list_.scores, asked.step, after_filters);
        list_.find_best();
        return best_id;
    }

    bool all_banned() const {
        const auto [best, bad] =
            detail::widest<detail::highest_lanes>(std::span<const float>(list_.scores));
        return best == detail::banned && !bad;
    }

    /// Raises no_candidate with the names of the filters that banned tokens.
    [[noreturn, gnu::noinline, gnu::cold]] void complain(const request& asked) const {
        sampler copy(*this);
        copy.custom_.clear();  // called once per token, and not again
        copy.list_.start(asked.logits, 0);
        detail::chain_trace trace(copy.list_);
        copy.run_processors(asked, trace);
        std::string names;
        const auto add = [&](const std::string& name) {
            names += (names.empty() ? "" : ", ") + name;
        };
        for (const removal& one : trace.removed) add(one.filter);
        if (copy.list_.count() != 0)
            for (const custom_filter& own : how_.custom) add(own.name);
        detail::fail(errc::no_candidate, {"step ", asked.step},
                     {"every token is banned, by ", names});
    }

    /// Scores to log-probabilities.
    void normalise() {
        const auto log_total = static_cast<float>(detail::log_of(list_.weigh()));
        for (float& score : list_.scores) score = (score - list_.best) - log_total;
    }

    sampling how_;
    std::vector<sequence_bias> biases_, bad_words_;
    std::vector<custom_filter> custom_;
    philox random_;
    sampler_state state_;
    detail::shortlist list_;
    detail::processor_memory memory_;
    std::size_t checked_ = 0;  // the vocabulary that the ids of the settings were checked for
};

}  // namespace gpt2::inline GPT2_ABI
