// A model of any shape without a download: its weights are numbers hashed from their place, made
// while the model is packed, so that the largest shape takes no more memory than its packed form.
#pragma once

#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// A file of floats that no disk holds: the i-th is hashed from i. They are spread like GPT-2's
/// initial weights, mean 0 and standard deviation 0.02: a sum of four uniform numbers.
class hashed_floats final : public gpt2::detail::byte_source {
public:
    explicit hashed_floats(std::uint64_t count)
        : byte_source("random weights", count * sizeof(float)) {}

private:
    static float at(std::uint64_t i) {
        std::uint64_t x = (i + 1) * 0x9e3779b97f4a7c15;  // splitmix64 (Steele et al. 2014)
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        x ^= x >> 31;
        const auto sum = (x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48);
        constexpr float scale = 0.02f * 1.7320508f / 65536;  // the sum deviates by 65536/√3
        return (static_cast<float>(static_cast<std::int64_t>(sum)) - 131070.0f) * scale;
    }

    std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override {
        for (std::size_t done = 0; done < out.size();) {
            const auto place = offset + done, within = place % sizeof(float);
            const auto bytes =
                std::bit_cast<std::array<std::byte, sizeof(float)>>(at(place / sizeof(float)));
            const auto count = std::min<std::size_t>(sizeof(float) - within, out.size() - done);
            std::memcpy(out.data() + done, bytes.data() + within, count);
            done += count;
        }
        return out.size();
    }
};

/// The tensors of that shape: hashed matrices, norms that change nothing, no biases.
inline gpt2::weight_store random_weights(const gpt2::config& c) {
    struct matrix {
        std::string name;
        std::size_t rows, columns;
    };
    std::vector<matrix> matrices = {{"wte.weight", c.vocabulary_size, c.width},
                                    {"wpe.weight", c.context_length, c.width}};
    std::vector<std::string> norms = {"ln_f.weight"};
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
        const auto h = "h." + std::to_string(layer) + ".";
        matrices.push_back({h + "attn.c_attn.weight", c.width, 3 * c.width});
        matrices.push_back({h + "attn.c_proj.weight", c.width, c.width});
        matrices.push_back({h + "mlp.c_fc.weight", c.width, c.inner_width});
        matrices.push_back({h + "mlp.c_proj.weight", c.inner_width, c.width});
        norms.push_back(h + "ln_1.weight");
        norms.push_back(h + "ln_2.weight");
    }
    std::uint64_t count = 0;
    for (const auto& m : matrices) count += m.rows * m.columns;
    const auto numbers = std::make_shared<hashed_floats>(count);
    std::vector<std::byte> one_bytes(c.width * sizeof(float));
    const std::vector<float> one_values(c.width, 1.0f);
    std::memcpy(one_bytes.data(), one_values.data(), one_bytes.size());
    const auto ones =
        std::make_shared<gpt2::detail::memory_source>("norm weights", std::move(one_bytes));

    gpt2::weight_store store;
    std::uint64_t offset = 0;
    for (const auto& m : matrices) {
        store.add({m.name, gpt2::dtype::f32, {m.rows, m.columns}, numbers, offset});
        offset += m.rows * m.columns * sizeof(float);
    }
    for (const auto& name : norms) store.add({name, gpt2::dtype::f32, {c.width}, ones, 0});
    return store;
}

/// A model of that shape, the same at every call; it has no tokenizer.
inline gpt2::language_model random_model(const gpt2::config& c, const gpt2::load_options& how) {
    const auto store = random_weights(c);
    gpt2::audit audit;
    gpt2::model model(c, gpt2::weight_scope(store, audit, how.weights, how.pool.get()));
    audit.finish(store);
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        std::move(model), std::nullopt, std::move(audit), how.pool,
        gpt2::detail::execution_of(how)));
}

}  // namespace bench
