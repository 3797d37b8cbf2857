// The numbers that say which GPT-2 this is: sizes, constants, end tokens. A plain value.
//
// It knows no file format; whoever reads one fills a `config` and calls `validate()`, after which
// every product of its sizes fits 64 bits. Names in parentheses in messages are those of Hugging
// Face's config.json.
//
// Before: core.hpp, error.hpp. Next: weights.hpp, layers.hpp.
#pragma once

#include "core.hpp"
#include "error.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// The non-linearity of the feed-forward layer: every function of Hugging Face's activation table
/// that has no parameters of its own.
enum class activation {
    gelu_new,       ///< x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))): GPT-2's own
    gelu,           ///< x/2 (1 + erf(x/√2))
    gelu_10,        ///< gelu, clipped to [−10, 10]
    gelu_fast,      ///< x/2 (1 + tanh(0.7978845608 x (1 + 0.044715 x²)))
    quick_gelu,     ///< x σ(1.702 x)
    relu,           ///< max(x, 0)
    relu2,          ///< max(x, 0)²
    relu6,          ///< min(max(x, 0), 6)
    leaky_relu,     ///< x, or 0.01 x where x < 0
    silu,           ///< x σ(x)
    mish,           ///< x tanh(log(1 + eˣ))
    sigmoid,        ///< σ(x) = 1 / (1 + e⁻ˣ)
    tanh,           ///< tanh(x)
    linear,         ///< x
    hardswish,      ///< x min(max(x + 3, 0), 6) / 6
    laplace,        ///< (1 + erf((x − 0.707107) / (0.282095 √2))) / 2
    sqrt_softplus,  ///< √log(1 + eˣ)
};

namespace detail {

struct activation_name {
    std::string_view text;
    activation function;
};

/// Every spelling of every activation; the first of each is its own name.
inline constexpr std::array<activation_name, 22> activation_names{{
    {"gelu_new", activation::gelu_new},
    {"gelu_pytorch_tanh", activation::gelu_new},
    {"gelu_python_tanh", activation::gelu_new},
    {"gelu_accurate", activation::gelu_new},
    {"gelu", activation::gelu},
    {"gelu_python", activation::gelu},
    {"gelu_10", activation::gelu_10},
    {"gelu_fast", activation::gelu_fast},
    {"quick_gelu", activation::quick_gelu},
    {"relu", activation::relu},
    {"relu2", activation::relu2},
    {"relu6", activation::relu6},
    {"leaky_relu", activation::leaky_relu},
    {"silu", activation::silu},
    {"swish", activation::silu},
    {"mish", activation::mish},
    {"sigmoid", activation::sigmoid},
    {"tanh", activation::tanh},
    {"linear", activation::linear},
    {"hardswish", activation::hardswish},
    {"laplace", activation::laplace},
    {"sqrtsoftplus", activation::sqrt_softplus},
}};

}  // namespace detail

/// The name under which checkpoints know an activation.
constexpr std::string_view name(activation function) noexcept {
    for (const auto& [text, known] : detail::activation_names)
        if (known == function) return text;
    return "unknown";
}

/// The activation of that name or alias; nothing when there is none.
constexpr std::optional<activation> activation_named(std::string_view text) noexcept {
    for (const auto& [known, function] : detail::activation_names)
        if (known == text) return function;
    return std::nullopt;
}

/// One line of the parameter table.
struct parameter_row {
    std::string name;
    std::uint64_t count = 0;
};

/// Where the parameters are. `tied` counts distinct numbers when the head shares the token
/// embedding, `untied` when it has its own.
struct parameter_counts {
    std::vector<parameter_row> rows;  ///< without the head; their sum is `tied`
    std::uint64_t head = 0;           ///< V · C, a row of its own in the untied model
    std::uint64_t tied = 0;
    std::uint64_t untied = 0;
};

/// Sizes and constants of one model; the defaults are GPT-2's smallest.
struct config {
    std::size_t vocabulary_size = 50257;  ///< V (vocab_size)
    std::size_t context_length = 1024;    ///< T_max (n_positions)
    std::size_t width = 768;              ///< C (n_embd), a multiple of heads
    std::size_t layers = 12;              ///< L (n_layer)
    std::size_t heads = 12;               ///< H (n_head)
    std::size_t inner_width = 3072;       ///< of the feed-forward layer (n_inner)
    double layer_norm_epsilon = 1e-5;
    gpt2::activation activation = gpt2::activation::gelu_new;
    bool scale_attention = true;                    ///< scores / √D (scale_attn_weights)
    bool scale_attention_by_inverse_layer = false;  ///< scores / (layer + 1)
    bool tied_head = true;                          ///< the head is the token embedding
    bool biases = true;  ///< linear layers and norms add a bias; nanoGPT can leave all of them out
    std::optional<token_id> begin_of_text = 50256;
    std::vector<token_id> end_of_text = {50256};  ///< any of them ends a text; may be empty

    /// D = C / H.
    std::size_t head_size() const noexcept { return heads == 0 ? 0 : width / heads; }

    /// What attention scores of `layer` (from 0) are multiplied by.
    double attention_scale(std::size_t layer) const noexcept {
        const double by_head = scale_attention ? std::sqrt(static_cast<double>(head_size())) : 1.0;
        const double by_layer =
            scale_attention_by_inverse_layer ? static_cast<double>(layer + 1) : 1.0;
        return 1.0 / by_head / by_layer;
    }

    /// Keys and values of one position, all layers: 2 · L · C · bytes_per_value.
    std::uint64_t kv_bytes_per_token(std::size_t bytes_per_value = sizeof(float)) const noexcept {
        return std::uint64_t{2} * layers * width * bytes_per_value;
    }

    parameter_counts parameter_table() const;

    /// The numbers this model has: tied or untied as `tied_head` says.
    std::uint64_t parameter_count() const {
        const auto table = parameter_table();
        return tied_head ? table.tied : table.untied;
    }

    /// Throws errc::bad_config naming the field, its value and the rule it breaks.
    void validate() const;
};

namespace detail {

/// The largest sizes accepted: far beyond any GPT-2, small enough that no product of them, nor a
/// sum over the layers, leaves 64 bits.
struct config_limits {
    static constexpr std::uint64_t vocabulary_size = 1u << 24, context_length = 1u << 24,
                                   width = 1u << 20, layers = 1024, inner_width = 1u << 24;
};

[[gnu::cold]] inline void check_size(std::string_view field, std::uint64_t value,
                                     std::uint64_t largest) {
    if (value >= 1 && value <= largest) return;
    fail(errc::bad_config, {"config: ", field}, {"1 to ", largest}, value);
}

}  // namespace detail

[[gnu::cold]] inline void config::validate() const {
    using limits = detail::config_limits;
    detail::check_size("vocabulary_size (vocab_size)", vocabulary_size, limits::vocabulary_size);
    detail::check_size("context_length (n_positions)", context_length, limits::context_length);
    detail::check_size("width (n_embd)", width, limits::width);
    detail::check_size("layers (n_layer)", layers, limits::layers);
    detail::check_size("heads (n_head)", heads, width);
    detail::check_size("inner_width (n_inner)", inner_width, limits::inner_width);
    if (width % heads != 0)
        detail::fail(errc::bad_config, "config: heads (n_head)",
                     {"a divisor of width (n_embd) ", width}, heads);
    if (!(layer_norm_epsilon > 0) || !std::isfinite(layer_norm_epsilon))
        detail::fail(errc::bad_config, "config: layer_norm_epsilon", "a positive number",
                     std::to_string(layer_norm_epsilon));
    if (name(activation) == "unknown")
        detail::fail(errc::bad_config, "config: activation", "one of the enumerators",
                     static_cast<int>(activation));
    const auto check_token = [&](std::string_view field, token_id id) {
        if (id >= 0 && static_cast<std::size_t>(id) < vocabulary_size) return;
        detail::fail(errc::bad_config, {"config: ", field},
                     {"an id below vocabulary_size ", vocabulary_size}, id);
    };
    if (begin_of_text) check_token("begin_of_text (bos_token_id)", *begin_of_text);
    for (const token_id id : end_of_text) check_token("end_of_text (eos_token_id)", id);
}

[[gnu::cold]] inline parameter_counts config::parameter_table() const {
    const std::uint64_t v = vocabulary_size, t = context_length, c = width, l = layers,
                        f = inner_width;
    const std::uint64_t norms = 2 * l + 1;
    parameter_counts table;
    table.rows = {
        {"token embedding", v * c},
        {"position embedding", t * c},
        {"attention", l * (c * 3 * c + c * c)},
        {"feed-forward", l * (c * f + f * c)},
        {"layer norms", norms * c * (biases ? 2 : 1)},
        {"biases", biases ? l * (3 * c + c + f + c) : 0},
    };
    table.head = v * c;
    for (const auto& row : table.rows) table.tied += row.count;
    table.untied = table.tied + table.head;
    return table;
}

namespace detail {
inline config published(std::size_t layers, std::size_t width, std::size_t heads) {
    config sizes;
    sizes.layers = layers;
    sizes.width = width;
    sizes.heads = heads;
    sizes.inner_width = 4 * width;
    return sizes;
}
}  // namespace detail

/// The published sizes.
namespace presets {
inline config gpt2() { return {}; }
inline config medium() { return detail::published(24, 1024, 16); }
inline config large() { return detail::published(36, 1280, 20); }
inline config xl() { return detail::published(48, 1600, 25); }
inline config distil() { return detail::published(6, 768, 12); }
}  // namespace presets

}  // namespace gpt2::inline GPT2_ABI
