// How fast a model decodes, reads a prompt and writes several texts at once: each `round` measures
// once, after one run to warm up.
#pragma once

#include "median.hpp"

#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
    std::size_t batch_steps = 64;  ///< new tokens for each text of a batch

    /// The same, as far as a context reaches.
    amounts within(std::size_t context) const {
        return {std::min(decode, context), std::min(prefill, context),
                std::min(batch_steps, context)};
    }
};

/// How many texts are written at once.
inline constexpr std::array<std::size_t, 3> batch_sizes = {1, 8, 32};

/// Tokens per second.
struct speeds {
    double decode = 0, prefill = 0;
    std::array<double, batch_sizes.size()> batches = {};
};

class speed_meter {
public:
    speed_meter(const gpt2::language_model& loaded, const amounts& wanted)
        : loaded_(loaded),
          model_(loaded.model()),
          amounts_(wanted.within(model_.config().context_length)),
          text_(loaded.state()),
          logits_(model_.config().vocabulary_size) {}

    const amounts& taken() const { return amounts_; }

    /// One text: decoding, then a prompt.
    void round_of_one() {
        if (decode_.empty()) decode(std::min<std::size_t>(amounts_.decode, 16));
        decode_.push_back(decode(amounts_.decode));
        if (prefill_.empty()) prefill(amounts_.prefill);
        prefill_.push_back(prefill(amounts_.prefill));
    }

    /// Batches of every size, as a program has them written: all that a token takes.
    void round_of_batches() {
        for (std::size_t i = 0; i < batch_sizes.size(); ++i) {
            if (batches_[i].empty())
                batch(batch_sizes[i], std::min<std::size_t>(amounts_.batch_steps, 8));
            batches_[i].push_back(batch(batch_sizes[i], amounts_.batch_steps));
        }
    }

    /// The medians of the rounds so far.
    speeds result() const {
        speeds all{median(decode_), median(prefill_)};
        for (std::size_t i = 0; i < batch_sizes.size(); ++i) all.batches[i] = median(batches_[i]);
        return all;
    }

private:
    double decode(std::size_t steps) {
        text_.kv.resize(0);
        const auto logits = row();
        gpt2::token_id token = random_token();
        const double took = seconds_of([&] {
            for (std::size_t i = 0; i < steps; ++i) {
                model_.forward({&token, 1}, text_, logits);
                token = best(logits.row(0));
            }
        });
        return static_cast<double>(steps) / took;
    }

    /// New tokens each time, and the logits of the last one.
    double prefill(std::size_t length) {
        std::vector<gpt2::token_id> ids(length);
        for (auto& id : ids) id = random_token();
        text_.kv.resize(0);
        const double took = seconds_of([&] { model_.forward(ids, text_, row()); });
        return static_cast<double>(length) / took;
    }

    /// Texts that begin with one token each.
    double batch(std::size_t texts, std::size_t steps) {
        std::vector<gpt2::request> requests(texts);
        for (auto& one : requests) {
            one.prompt = {random_token()};
            one.options.max_new_tokens = steps;
            one.options.at_end_of_text = gpt2::end_rule::go_on;
        }
        const double took = seconds_of([&] { loaded_.generate(requests); });
        return static_cast<double>(texts * steps) / took;
    }

    gpt2::view<float> row() { return {logits_.data(), 1, logits_.size()}; }

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
    gpt2::state<float> text_;
    gpt2::buffer<float> logits_;  // (V)
    std::vector<double> decode_, prefill_;
    std::array<std::vector<double>, batch_sizes.size()> batches_;
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
