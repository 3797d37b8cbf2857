// The filters that know the tokens so far: penalties, biases, bans and forced tokens. They change
// the scores of the whole vocabulary in place, before any filter of truncation.hpp.
//
// Where HF transformers has the filter, the rule is HF's, in float32; the others name their source.
// Tokens so far that are no ids of the vocabulary are passed over.
//
// Before: sampling.hpp. Next: chain.hpp, which says in which order they run.
#pragma once

#include "../core.hpp"
#include "../sampling.hpp"
#include "vocabulary_loops.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// Scratch memory of the processors.
struct processor_memory {
    std::vector<std::uint32_t> counts;  // (V), 0 between calls
    std::vector<std::size_t> matches;   // of the DRY penalty
};

/// What the processors of one draw see.
struct scored_text {
    std::span<float> scores;  // (V)
    history past;
    processor_memory& memory;

    bool knows(token_id id) const {
        return id >= 0 && static_cast<std::size_t>(id) < scores.size();
    }
    float& score(token_id id) const { return scores[static_cast<std::size_t>(id)]; }
};

/// a · b rounded to float32 before anything is added to it, whatever a compiler likes to fuse.
inline float product(float a, float b) {
    return static_cast<float>(static_cast<double>(a) * static_cast<double>(b));
}

inline void ban(const scored_text& text, std::span<const token_id> ids) {
    for (const token_id id : ids)
        if (text.knows(id)) text.score(id) = banned;
}

/// Leaves only these, each with the score 0.
inline void force(const scored_text& text, std::span<const token_id> ids) {
    std::fill(text.scores.begin(), text.scores.end(), banned);
    for (const token_id id : ids)
        if (text.knows(id)) text.score(id) = 0;
}

/// The last n of them, or all.
inline std::span<const token_id> last_of(std::span<const token_id> tokens, std::size_t n) {
    return tokens.last(std::min(n, tokens.size()));
}

/// Calls `change(score, count)` once for every distinct token.
template <class Change>
void for_each_token(const scored_text& text, std::span<const token_id> tokens,
                    const Change& change) {
    auto& counts = text.memory.counts;
    if (counts.size() < text.scores.size()) counts.resize(text.scores.size());
    for (const token_id id : tokens)
        if (text.knows(id)) ++counts[static_cast<std::size_t>(id)];
    for (const token_id id : tokens) {
        if (!text.knows(id)) continue;
        auto& count = counts[static_cast<std::size_t>(id)];
        if (count != 0) change(text.score(id), count);
        count = 0;
    }
}

/// Divides positive logits by the penalty and multiplies negative ones with it (Keskar et al.
/// 2019), once for every token of the prompt and after.
inline void penalise_repetition(const sampling& how, const scored_text& text) {
    for_each_token(
        text, last_of(text.past.tokens, how.penalty_last_n), [&](float& score, std::uint32_t) {
            score = score < 0 ? score * how.repetition_penalty : score / how.repetition_penalty;
        });
}

/// OpenAI's: logit -= count · frequency + (count > 0 ? presence : 0). Counted are the tokens that
/// were generated, with llama.cpp's rules those of the prompt too.
inline void penalise_presence(const sampling& how, const scored_text& text) {
    auto tokens = text.past.tokens;
    if (how.dialect != dialect::llama_cpp) tokens = tokens.subspan(text.past.prompt_length);
    for_each_token(text, last_of(tokens, how.penalty_last_n), [&](float& score, std::uint32_t n) {
        score -= product(static_cast<float>(n), how.frequency_penalty) + how.presence_penalty;
    });
}

/// For every place how far the text before it repeats the end of the text: matches[k] tokens, at
/// most `limit`, the k-th from the end being the last of them. Linear: the Z-algorithm, backwards.
inline void match_endings(std::span<const token_id> tokens, std::size_t limit,
                          std::vector<std::size_t>& matches) {
    const std::size_t n = tokens.size();
    const auto back = [&](std::size_t i) { return tokens[n - 1 - i]; };
    matches.assign(n, 0);
    std::size_t begin = 0, end = 0;  // the match that reaches farthest: [begin, end)
    for (std::size_t k = 1; k < n; ++k) {
        std::size_t length = k < end ? std::min(end - k, matches[k - begin]) : 0;
        while (k + length < n && back(length) == back(k + length)) ++length;
        matches[k] = length;
        if (k + length > end) begin = k, end = k + length;
    }
    for (std::size_t& length : matches) length = std::min(length, limit);
}

/// How many tokens stand behind the last sequence breaker; all where there is none.
inline std::size_t after_breaker(const dry_penalty& how, std::span<const token_id> tokens) {
    std::size_t most = tokens.size();
    for (std::size_t start = tokens.size(); start-- > 0;) {
        std::size_t longest = 0;
        for (const auto& breaker : how.breakers)
            if (breaker.size() <= tokens.size() - start && breaker.size() > longest &&
                std::equal(breaker.begin(), breaker.end(),
                           tokens.begin() + static_cast<std::ptrdiff_t>(start)))
                longest = breaker.size();
        if (longest != 0) {
            most = tokens.size() - start - longest;
            break;
        }
    }
    return most;
}

/// The DRY penalty, as llama.cpp has it: every token that followed an earlier occurrence of how the
/// text ends now pays for the longest such occurrence.
inline void penalise_dry(const dry_penalty& how, const scored_text& text) {
    const auto tokens = last_of(text.past.tokens, how.window);
    if (tokens.size() <= how.allowed_length) return;
    const std::size_t limit = after_breaker(how, tokens);
    if (limit < how.allowed_length) return;
    auto& matches = text.memory.matches;
    match_endings(tokens, limit, matches);

    const auto breaks = [&](token_id id) {
        return std::any_of(how.breakers.begin(), how.breakers.end(), [&](const auto& breaker) {
            return breaker.size() == 1 && breaker[0] == id;
        });
    };
    auto& longest = text.memory.counts;
    if (longest.size() < text.scores.size()) longest.resize(text.scores.size());
    const auto followers = [&](const auto& visit) {  // of matches that are long enough
        for (std::size_t k = 1; k < tokens.size(); ++k) {
            const token_id next = tokens[tokens.size() - k];
            if (matches[k] >= how.allowed_length && text.knows(next))
                visit(next, longest[static_cast<std::size_t>(next)], matches[k]);
        }
    };
    followers([](token_id, std::uint32_t& most, std::size_t length) {
        most = std::max(most, static_cast<std::uint32_t>(length) + 1);
    });
    constexpr double log_of_largest = 88.7228391;  // of a float, as llama.cpp
    const double log_base = std::log(static_cast<double>(how.base));
    followers([&](token_id id, std::uint32_t& most, std::size_t) {
        if (most == 0) return;
        double excess = static_cast<double>(most - 1 - how.allowed_length);
        most = 0;
        if (breaks(id)) return;
        if (how.base > 1.000001f) excess = std::min(excess, std::floor(log_of_largest / log_base));
        text.score(id) -= product(how.multiplier, static_cast<float>(std::pow(how.base, excess)));
    });
}

/// Bans every token that would complete a run of n tokens which is there already.
inline void ban_repeated_ngrams(std::size_t n, const scored_text& text) {
    const auto tokens = text.past.tokens;
    if (tokens.size() < n) return;
    const auto ending = tokens.last(n - 1);
    for (std::size_t start = 0; start + n <= tokens.size(); ++start)
        if (std::equal(ending.begin(), ending.end(),
                       tokens.begin() + static_cast<std::ptrdiff_t>(start)))
            ban(text, tokens.subspan(start + n - 1, 1));
}

/// Biases in the order in which they are added up: by their last token, for each the sequence of
/// one first. Of a sequence given twice the last one counts.
inline std::vector<sequence_bias> in_order(std::vector<sequence_bias> biases) {
    const auto by_tokens = [](const auto& a, const auto& b) { return a.tokens < b.tokens; };
    const auto same = [](const auto& a, const auto& b) { return a.tokens == b.tokens; };
    std::reverse(biases.begin(), biases.end());
    std::stable_sort(biases.begin(), biases.end(), by_tokens);
    biases.erase(std::unique(biases.begin(), biases.end(), same), biases.end());
    const auto rank = [](const sequence_bias& bias) {
        return std::pair(bias.tokens.back(), bias.tokens.size());
    };
    std::stable_sort(biases.begin(), biases.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return biases;
}

/// Adds up the biases of each token whose sequence the text would complete, and adds that to its
/// score.
inline void add_biases(std::span<const sequence_bias> biases, const scored_text& text) {
    const auto completes = [&](std::span<const token_id> sequence) {
        const auto start = sequence.first(sequence.size() - 1);
        const auto tokens = text.past.tokens;
        return start.size() <= tokens.size() &&
               std::equal(start.begin(), start.end(),
                          tokens.end() - static_cast<std::ptrdiff_t>(start.size()));
    };
    for (std::size_t i = 0; i < biases.size();) {
        const token_id last = biases[i].tokens.back();
        float sum = 0;
        for (; i < biases.size() && biases[i].tokens.back() == last; ++i)
            if (completes(biases[i].tokens)) sum += biases[i].bias;
        if (sum != 0 && text.knows(last)) text.score(last) += sum;
    }
}

/// Bad words as biases: all but a word that is one end of text.
inline std::vector<sequence_bias> bad_words_of(const sampling& how) {
    std::vector<sequence_bias> biases;
    for (const auto& word : how.bad_words) {
        const auto& ends = how.end_of_text;
        if (word.size() == 1 && std::find(ends.begin(), ends.end(), word[0]) != ends.end())
            continue;
        biases.push_back({word, banned});
    }
    return in_order(std::move(biases));
}

/// Bans every token without a bit in the mask, the lowest bit of the first word being token 0.
/// Where nothing is left HF draws among the allowed tokens that others have banned; here that is an
/// error.
inline void ban_disallowed(std::span<const std::uint64_t> allowed, const scored_text& text) {
    for (std::size_t i = 0; i < text.scores.size(); ++i)
        if ((allowed[i / 64] >> (i % 64) & 1) == 0) text.scores[i] = banned;
}

/// Makes the ends of text likelier, the more the longer the text is.
inline void press_for_end(const sampling& how, const scored_text& text) {
    const std::size_t start = text.past.prompt_length + how.decay.start;
    if (text.past.tokens.size() <= start) return;
    const auto over = static_cast<double>(text.past.tokens.size() - start);
    const auto growth = static_cast<float>(std::pow(how.decay.factor, over) - 1);
    const std::span<const token_id> ends(how.end_of_text);
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const token_id id = ends[i];
        const auto before = ends.first(i);  // each end once
        if (std::find(before.begin(), before.end(), id) == before.end() && text.knows(id) &&
            std::isfinite(text.score(id)))
            text.score(id) += product(std::abs(text.score(id)), growth);
    }
}

/// Whether the next token is the first after the prompt; after a forced begin the one after that.
inline bool at_begin(const sampling& how, const history& past) {
    const std::size_t forced = past.prompt_length <= 1 && how.forced_begin ? 1 : 0;
    return past.tokens.size() == past.prompt_length + forced;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
