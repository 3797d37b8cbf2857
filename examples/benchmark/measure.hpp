// How fast a model decodes, reads a prompt and serves a batch: each `round` measures all three
// once, on memory that is already there, after one run to warm up.
#pragma once

#include "median.hpp"

#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#if __has_include(<sys/resource.h>)
#include <sys/resource.h>
#endif

namespace bench {

/// The most memory this process has had at once, in bytes; 0 where the system does not say.
inline std::uint64_t peak_rss_bytes() {
#if __has_include(<sys/resource.h>)
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
#if defined(__APPLE__)
    return static_cast<std::uint64_t>(used.ru_maxrss);
#else
    return static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
#endif
#else
    return 0;
#endif
}

/// How many tokens each measurement takes.
struct amounts {
    std::size_t decode = 128;      ///< new tokens, from one token on
    std::size_t prefill = 512;     ///< tokens of a prompt
    std::size_t batch = 8;         ///< texts
    std::size_t batch_steps = 64;  ///< new tokens for each of them

    /// The same, as far as a context reaches.
    amounts within(std::size_t context) const {
        return {std::min(decode, context), std::min(prefill, context), batch,
                std::min(batch_steps, context)};
    }
};

/// Tokens per second.
struct speeds {
    double decode = 0, prefill = 0, batch = 0;
};

class speed_meter {
public:
    speed_meter(const gpt2::language_model& loaded, const amounts& wanted)
        : loaded_(loaded),
          model_(loaded.model()),
          amounts_(wanted.within(model_.config().context_length)),
          logits_(wanted.batch * model_.config().vocabulary_size) {
        texts_.push_back(loaded.state());
    }

    const amounts& taken() const { return amounts_; }

    /// One text: decoding, then a prompt.
    void round_of_one() {
        if (decode_.empty()) decode(std::min<std::size_t>(amounts_.decode, 16));
        decode_.push_back(decode(amounts_.decode));
        if (prefill_.empty()) prefill(amounts_.prefill);
        prefill_.push_back(prefill(amounts_.prefill));
    }

    /// Several texts, each of one token to begin with.
    void round_of_batch() {
        while (texts_.size() < amounts_.batch) texts_.push_back(loaded_.state());
        if (batch_.empty()) batch(std::min<std::size_t>(amounts_.batch_steps, 8));
        batch_.push_back(batch(amounts_.batch_steps));
    }

    /// The medians of the rounds so far.
    speeds result() const { return {median(decode_), median(prefill_), median(batch_)}; }

private:
    double decode(std::size_t steps) {
        auto& text = texts_.front();
        text.kv.resize(0);
        const auto logits = rows(1);
        gpt2::token_id token = random_token();
        const double took = seconds_of([&] {
            for (std::size_t i = 0; i < steps; ++i) {
                model_.forward({&token, 1}, text, logits);
                token = best(logits.row(0));
            }
        });
        return static_cast<double>(steps) / took;
    }

    /// New tokens each time, and the logits of the last one.
    double prefill(std::size_t length) {
        std::vector<gpt2::token_id> ids(length);
        for (auto& id : ids) id = random_token();
        texts_.front().kv.resize(0);
        const double took = seconds_of([&] { model_.forward(ids, texts_.front(), rows(1)); });
        return static_cast<double>(length) / took;
    }

    double batch(std::size_t steps) {
        std::vector<gpt2::token_id> tokens;
        std::vector<gpt2::state<float>*> states;
        for (auto& text : texts_) {
            text.kv.resize(0);
            states.push_back(&text);
            tokens.push_back(random_token());
        }
        const auto logits = rows(tokens.size());
        const double took = seconds_of([&] {
            for (std::size_t i = 0; i < steps; ++i) {
                model_.forward_batch(tokens, states, logits);
                for (std::size_t t = 0; t < tokens.size(); ++t) tokens[t] = best(logits.row(t));
            }
        });
        return static_cast<double>(steps * tokens.size()) / took;
    }

    gpt2::view<float> rows(std::size_t count) {
        return {logits_.data(), count, model_.config().vocabulary_size};
    }

    static gpt2::token_id best(std::span<const float> logits) {
        return gpt2::detail::best_token(logits, 0);
    }

    gpt2::token_id random_token() {
        const double u = gpt2::philox{7, 0}.uniform(drawn_++);
        return static_cast<gpt2::token_id>(u *
                                           static_cast<double>(model_.config().vocabulary_size));
    }

    const gpt2::language_model& loaded_;
    const gpt2::model& model_;
    amounts amounts_;
    gpt2::buffer<float> logits_;  // (batch, V)
    std::deque<gpt2::state<float>> texts_;
    std::vector<double> decode_, prefill_, batch_;
    std::uint64_t drawn_ = 0;
};

/// Operations for one token in the matrices of all blocks.
inline double block_flops(const gpt2::config& c) {
    const auto width = static_cast<double>(c.width), inner = static_cast<double>(c.inner_width);
    return 2 * static_cast<double>(c.layers) * (4 * width * width + 2 * width * inner);
}

/// Operations for the logits of one position; in a prompt only the last one's are computed.
inline double head_flops(const gpt2::config& c) {
    return 2 * static_cast<double>(c.width) * static_cast<double>(c.vocabulary_size);
}

}  // namespace bench
