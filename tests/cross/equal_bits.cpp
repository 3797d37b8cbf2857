// Prints a hash of the logits of a small model for every kind of weights, and of draws from them.
// equal_bits.sh builds this in several ways and wants the same lines from all.
//
// All kernels of this machine run, at one thread and several, in one chunk and in small ones; a
// hash that is not the same for all of these is an error here already (status 1).
#include "../support/fingerprint.hpp"
#include "../support/random_model.hpp"

#include <gpt2/sampler.hpp>

#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

namespace {

using test::fingerprint;

/// Weights in integer steps, which no library or compiler computes in its own way.
test::random_weights exact_weights(const gpt2::config& c) {
    test::random_weights weights(c);
    const gpt2::philox random{1, 0};
    std::uint64_t step = 0;
    for (auto& tensor : weights.tensors)
        for (float& x : tensor.values)
            x = static_cast<float>(static_cast<std::int32_t>(random.bits(step++) >> 32)) * 0x1p-32f;
    return weights;
}

struct hashes {
    std::uint64_t logits, draws;
    friend bool operator==(const hashes&, const hashes&) = default;
};

hashes hashes_of(const gpt2::config& c, const std::vector<float>& logits) {
    fingerprint all, drawn;
    gpt2::sampler sampler(gpt2::temperature(0.8f) | gpt2::top_p(0.9), 7);
    for (const float x : logits) all.add(x);
    for (std::size_t at = 0; at < logits.size(); at += c.vocabulary_size) {
        const auto draw = sampler.next(std::span(logits).subspan(at, c.vocabulary_size), at);
        drawn.add(draw.token);
        drawn.add(draw.log_prob);
    }
    return {all.value(), drawn.value()};
}

}  // namespace

int main() {
    auto c = test::odd_config();
    c.context_length = 300;  // more than a block of keys
    const auto weights = exact_weights(c);
    std::vector<gpt2::token_id> ids(200);
    const gpt2::philox random{2, 0};
    for (std::size_t t = 0; t < ids.size(); ++t)
        ids[t] = static_cast<gpt2::token_id>(random.bits(t) % c.vocabulary_size);
    using gpt2::storage;
    for (const auto& [name, kept] :
         {std::pair{"f32", storage::f32}, std::pair{"bf16", storage::bf16},
          std::pair{"f16", storage::f16}, std::pair{"int8", storage::int8},
          std::pair{"int4", storage::int4}}) {
        const auto model = weights.model(c, kept);
        const auto found = hashes_of(c, test::logits_of(model, ids, ids.size()));
        for (const auto& kernels : gpt2::detail::kernels::available())
            if (hashes_of(c, test::logits_of(model, ids, 7, 3, {&kernels})) != found) {
                std::printf("%s: %.*s differs\n", name, static_cast<int>(kernels.name.size()),
                            kernels.name.data());
                return 1;
            }
        std::printf("%s logits %016llx draws %016llx\n", name,
                    static_cast<unsigned long long>(found.logits),
                    static_cast<unsigned long long>(found.draws));
    }
}
