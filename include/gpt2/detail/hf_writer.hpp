// A model as the folder that Hugging Face transformers loads: config.json, generation_config.json,
// model.safetensors, tokenizer files.
//
// Tensors have the names of GPT2LMHeadModel and lie as its Conv1D keeps them, whatever they came
// from; a head that only repeats the token embedding is left out, and biases that are not there
// are written as zeros, which is what they mean.
//
// Before: detail/safetensors_writer.hpp, detail/tokenizer_writer.hpp; detail/hf_folder.hpp reads
// what is written here. Next: save.hpp.
#pragma once

#include "../stored_model.hpp"
#include "json_writer.hpp"
#include "safetensors_writer.hpp"
#include "tokenizer_writer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The tensors of a model under the names of GPT2LMHeadModel.
class hf_tensors {
public:
    /// Matrices are written as `matrices` says, all else as it is stored; every type but F16 and
    /// BF16 becomes F32, which holds the numbers of every block exactly. Throws errc::unsupported
    /// for int8 and int4, errc::missing_tensor, errc::wrong_shape.
    hf_tensors(const config& sizes, const weight_store& weights, storage matrices)
        : weights_(weights), matrices_(matrices) {
        if (matrices == storage::int8 || matrices == storage::int4)
            fail(errc::unsupported, "safetensors", "weights as f32, f16, bf16 or as stored",
                 matrices == storage::int8 ? "int8" : "int4");
        const std::size_t width = sizes.width;
        add("transformer.", "wte.weight", {sizes.vocabulary_size, width}, kind::matrix);
        add("transformer.", "wpe.weight", {sizes.context_length, width}, kind::vector);
        for (std::size_t layer = 0; layer < sizes.layers; ++layer) {
            const std::string h = text_of({"h.", layer, "."});
            add_norm(h + "ln_1", width);
            add_linear(h + "attn.c_attn", width, 3 * width);
            add_linear(h + "attn.c_proj", width, width);
            add_norm(h + "ln_2", width);
            add_linear(h + "mlp.c_fc", width, sizes.inner_width);
            add_linear(h + "mlp.c_proj", sizes.inner_width, width);
        }
        add_norm("ln_f", width);
        tied_ = !has_own_head(sizes, weights);
        if (!tied_) add("", "lm_head.weight", {sizes.vocabulary_size, width}, kind::matrix);
    }

    bool tied_head() const noexcept { return tied_; }

    /// The one type that holds all matrices.
    dtype matrix_type() const noexcept { return matrix_type_; }

    std::vector<written_tensor> take() { return std::move(tensors_); }

private:
    enum class kind { matrix, vector };

    void add(std::string_view prefix, const std::string& name, std::vector<std::size_t> shape,
             kind what) {
        auto values = tensor_to_write(weights_, name, shape);
        const bool halves =
            values && (values->type() == dtype::f16 || values->type() == dtype::bf16);
        dtype type = halves ? values->type() : dtype::f32;
        if (matrices_ == storage::f32) type = dtype::f32;
        if (what == kind::matrix) {
            if (matrices_ == storage::f16) type = dtype::f16;
            if (matrices_ == storage::bf16) type = dtype::bf16;
            const bool first = tensors_.empty();
            matrix_type_ = first || type == matrix_type_ ? type : dtype::f32;
        } else if (!values) {
            type = matrix_type_;  // zeros
        }
        tensors_.push_back({text_of({prefix, name}), type, std::move(shape), std::move(values)});
    }
    void add_norm(const std::string& name, std::size_t width) {
        add("transformer.", name + ".weight", {width}, kind::vector);
        add("transformer.", name + ".bias", {width}, kind::vector);
    }
    void add_linear(const std::string& name, std::size_t in, std::size_t out) {
        add("transformer.", name + ".weight", {in, out}, kind::matrix);
        add("transformer.", name + ".bias", {out}, kind::vector);
    }

    const weight_store& weights_;
    storage matrices_;
    std::vector<written_tensor> tensors_;
    dtype matrix_type_ = dtype::f32;
    bool tied_ = true;
};

/// A token id, a list of several, or null.
[[gnu::cold]] inline void write_token_ids(json_writer& out, std::string_view key,
                                          const std::vector<token_id>& ids) {
    if (ids.empty()) {
        out.member(key, nullptr);
    } else if (ids.size() == 1) {
        out.member(key, ids.front());
    } else {
        out.key(key).open('[');
        for (const token_id id : ids) out.value(id);
        out.close();
    }
}

/// What begins and what ends a text.
[[gnu::cold]] inline void write_special_tokens(json_writer& out, const config& sizes) {
    std::vector<token_id> begin;
    if (sizes.begin_of_text) begin.push_back(*sizes.begin_of_text);
    write_token_ids(out, "bos_token_id", begin);
    write_token_ids(out, "eos_token_id", sizes.end_of_text);
}

/// config.json: all that says what the model computes. `type` is that of the matrices.
[[gnu::cold]] inline std::string hf_config_json(const config& sizes, bool tied_head, dtype type) {
    json_writer out(json_layout::lines);
    out.open('{').member("activation_function", gpt2::name(sizes.activation));
    out.key("architectures").open('[').value("GPT2LMHeadModel").close();
    write_special_tokens(out, sizes);
    out.member("layer_norm_epsilon", sizes.layer_norm_epsilon).member("model_type", "gpt2");
    out.member("n_ctx", sizes.context_length).member("n_embd", sizes.width);
    out.member("n_head", sizes.heads);
    if (sizes.inner_width == 4 * sizes.width)
        out.member("n_inner", nullptr);
    else
        out.member("n_inner", sizes.inner_width);
    out.member("n_layer", sizes.layers).member("n_positions", sizes.context_length);
    out.member("reorder_and_upcast_attn", false);
    out.member("scale_attn_by_inverse_layer_idx", sizes.scale_attention_by_inverse_layer);
    out.member("scale_attn_weights", sizes.scale_attention);
    out.member("tie_word_embeddings", tied_head);
    out.member("torch_dtype", type == dtype::f16    ? "float16"
                              : type == dtype::bf16 ? "bfloat16"
                                                    : "float32");
    out.member("use_cache", true).member("vocab_size", sizes.vocabulary_size);
    return out.close().take();
}

[[gnu::cold]] inline std::string hf_generation_config_json(const config& sizes) {
    json_writer out(json_layout::lines);
    out.open('{');
    write_special_tokens(out, sizes);
    return out.close().take();
}

/// The names of the files that a saved folder can have: only where all are of these is a folder
/// replaced.
[[gnu::cold]] inline bool is_hf_file(std::string_view name) {
    static constexpr std::array<std::string_view, 16> known = {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "spiece.model",
        "tokenizer.model",
        "sentencepiece.model",
        "sentencepiece.bpe.model",
        "spm.model",
        "sp.model",
    };
    return std::find(known.begin(), known.end(), name) != known.end();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
