// Small models with random weights, made in memory: for what must hold for any weights at all.
#pragma once

#include <gpt2/model.hpp>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace test {

/// A config of odd sizes: nothing is a multiple of a panel or a register.
inline gpt2::config odd_config() {
    gpt2::config c;
    c.vocabulary_size = 53;
    c.context_length = 150;
    c.width = 34;
    c.layers = 3;
    c.heads = 2;
    c.inner_width = 37;
    c.begin_of_text = 0;
    c.end_of_text = {1};
    return c;
}

/// Tensors by name, as a file would offer them, with a spread wide enough that errors show.
class random_weights {
public:
    explicit random_weights(const gpt2::config& c, unsigned seed = 1) : engine_(seed) {
        add("wte.weight", {c.vocabulary_size, c.width}, 0);
        add("wpe.weight", {c.context_length, c.width}, 0);
        for (std::size_t layer = 0; layer < c.layers; ++layer) {
            const auto h = "h." + std::to_string(layer) + ".";
            add_norm(h + "ln_1", c.width);
            add_linear(h + "attn.c_attn", c.width, 3 * c.width);
            add_linear(h + "attn.c_proj", c.width, c.width);
            add_norm(h + "ln_2", c.width);
            add_linear(h + "mlp.c_fc", c.width, c.inner_width);
            add_linear(h + "mlp.c_proj", c.inner_width, c.width);
        }
        add_norm("ln_f", c.width);
        if (!c.tied_head) add("lm_head.weight", {c.vocabulary_size, c.width}, 0);
    }

    struct tensor {
        std::string name;
        std::vector<std::size_t> shape;
        std::vector<float> values;
    };
    std::vector<tensor> tensors;

    tensor& find(const std::string& name) {
        return *std::find_if(tensors.begin(), tensors.end(),
                             [&](const tensor& t) { return t.name == name; });
    }

    gpt2::weight_store store() const {
        gpt2::weight_store result;
        for (const auto& t : tensors) {
            std::vector<std::byte> bytes(t.values.size() * sizeof(float));
            std::memcpy(bytes.data(), t.values.data(), bytes.size());
            const auto source =
                std::make_shared<gpt2::detail::memory_source>("memory", std::move(bytes));
            result.add(gpt2::stored_tensor(t.name, gpt2::dtype::f32, t.shape, source, 0));
        }
        return result;
    }

    template <class Scalar = float>
    gpt2::basic_model<Scalar> model(const gpt2::config& c,
                                    gpt2::storage kept = gpt2::storage::as_stored) const {
        const auto held = store();
        gpt2::audit audit;
        return {c, gpt2::weight_scope(held, audit, kept)};
    }

private:
    void add(const std::string& name, std::vector<std::size_t> shape, float mean) {
        std::size_t size = 1;
        for (const auto n : shape) size *= n;
        std::normal_distribution<float> spread(mean, 0.3f);
        std::vector<float> values(size);
        for (float& x : values) x = spread(engine_);
        tensors.push_back({name, std::move(shape), std::move(values)});
    }
    void add_linear(const std::string& name, std::size_t in, std::size_t out) {
        add(name + ".weight", {in, out}, 0);
        add(name + ".bias", {out}, 0);
    }
    void add_norm(const std::string& name, std::size_t width) {
        add(name + ".weight", {width}, 1);
        add(name + ".bias", {width}, 0);
    }

    std::mt19937 engine_;
};

/// Ids that fit the config, the same for the same seed.
inline std::vector<gpt2::token_id> random_ids(const gpt2::config& c, std::size_t count,
                                              unsigned seed = 7) {
    std::mt19937 engine(seed);
    std::vector<gpt2::token_id> ids(count);
    for (auto& id : ids) id = static_cast<gpt2::token_id>(engine() % c.vocabulary_size);
    return ids;
}

using gpt2::detail::kernels::kernel_set;

/// Logits (T, V) of every position, the ids fed in pieces of `chunk`.
template <class Scalar>
std::vector<Scalar> logits_of(const gpt2::basic_model<Scalar>& model,
                              const std::vector<gpt2::token_id>& ids, std::size_t chunk,
                              unsigned threads = 1, const gpt2::execution& how = {}) {
    gpt2::thread_pool pool(threads);
    gpt2::state<Scalar> state(model.config(), pool, how);
    const auto vocabulary = model.config().vocabulary_size;
    std::vector<Scalar> logits(ids.size() * vocabulary);
    for (std::size_t first = 0; first < ids.size(); first += chunk) {
        const auto count = std::min(chunk, ids.size() - first);
        model.forward(std::span(ids).subspan(first, count), state,
                      gpt2::view<Scalar>(logits.data() + first * vocabulary, count, vocabulary));
    }
    return logits;
}

}  // namespace test
