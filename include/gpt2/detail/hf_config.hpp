// config.json and generation_config.json of a Hugging Face folder → config.
//
// Every key that changes what GPT-2 computes is honoured or refused by name; keys of other
// architectures that merely lie around (intermediate_size, hidden_act, afn, …) mean nothing, as
// they mean nothing there. Other architectures are refused by their own name before any weight is
// read.
//
// Before: config.hpp, detail/json.hpp. Next: detail/hf_folder.hpp.
#pragma once

#include "../config.hpp"
#include "json.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Throws errc::unsupported unless the file describes a GPT-2 with a language model's head (or the
/// bare body, whose head is the token embedding).
[[gnu::cold]] inline void refuse_foreign_model(const json_fields& file) {
    static constexpr std::string_view known[] = {"GPT2LMHeadModel", "GPT2Model",
                                                 "GPT2DoubleHeadsModel"};
    const bool named = file.given("model_type");
    if (named && *file.text("model_type") != "gpt2")
        fail(errc::unsupported, file.where(),
             {"model_type ", printable(*file.text("model_type"), 40), " is not GPT-2"});
    if (!named && file.given("afn"))  // its name for activation_function, with the sizes' names
        fail(errc::unsupported, file.where(), "a GPT-1 (afn), not a GPT-2");
    if (!file.given("architectures")) {
        if (!named && !file.given("n_layer") && !file.given("n_embd") && !file.given("n_head"))
            fail(errc::unsupported, file.where(), "model_type \"gpt2\" or GPT-2's own keys",
                 "neither");
        return;
    }
    const auto& list = *file.find("architectures");
    if (!list.items()) file.refuse("architectures", list, "a list of names");
    for (const auto& item : *list.items()) {
        if (!item.text()) file.refuse("architectures", item, "names");
        std::string_view architecture = *item.text();
        for (const std::string_view framework : {"TF", "Flax"})
            if (architecture.starts_with(framework)) architecture.remove_prefix(framework.size());
        if (!is_one_of(known, architecture))
            fail(errc::unsupported, file.where(),
                 {"architecture ", printable(architecture, 60), " is not a GPT-2 language model"});
    }
}

/// Whether it is {} or [].
inline bool is_empty(const json_value& value) {
    if (const auto* members = value.members()) return members->empty();
    return value.items() != nullptr && value.items()->empty();
}

/// Throws errc::unsupported for what would change the numbers and is not computed here.
[[gnu::cold]] inline void refuse_features(const json_fields& file) {
    static constexpr std::array<std::string_view, 3> switches = {
        "add_cross_attention", "is_encoder_decoder", "multi_query"};
    for (const std::string_view key : switches)
        if (file.given(key) && *file.boolean(key))
            fail(errc::unsupported, file.where(), {key, " is not supported"});
    for (const std::string_view key : {"quantization_config", "compression_config"})
        if (file.given(key)) {
            const json_fields inner(*file.find(key), text_of({file.where(), ": ", key}),
                                    errc::bad_config);
            std::string name;
            if (inner.given("quant_method"))
                name = text_of({" ", printable(*inner.text("quant_method"), 40)});
            fail(errc::unsupported, file.where(),
                 {key, name, " is not supported: only weights in F64, F32, F16 or BF16 are"});
        }
    if (file.given("pruned_heads") && !is_empty(*file.find("pruned_heads")))
        fail(errc::unsupported, file.where(), "pruned_heads are not supported");
}

/// The size that stands under any of the names; two names that disagree are refused.
[[gnu::cold]] inline std::optional<std::size_t> read_size(
    const json_fields& file, std::initializer_list<std::string_view> names, std::uint64_t most) {
    std::optional<std::uint64_t> size;
    for (const std::string_view name : names) {
        const auto here = file.integer(name, {1, most});
        if (here && size && *here != *size)
            file.refuse(name, *file.find(name), {*names.begin(), " ", *size});
        if (here) size = here;
    }
    return size ? std::optional(static_cast<std::size_t>(*size)) : std::nullopt;
}

/// The tokens of a member that is an id, a list of ids or null, each once; ids that name no token
/// of the vocabulary, as some published configs have them, are dropped.
[[gnu::cold]] inline std::vector<token_id> read_tokens(const json_fields& file,
                                                       std::string_view key,
                                                       std::size_t vocabulary_size) {
    std::vector<token_id> ids;
    if (!file.given(key)) return ids;
    const json_value& value = *file.find(key);
    std::vector<char> seen(vocabulary_size);
    for (const json_value& item :
         value.items() ? std::span(*value.items()) : std::span(&value, 1)) {
        const auto* id = item.whole_number();
        if (!id && !item.negative_number()) file.refuse(key, item, "a token id");
        if (!id || *id >= vocabulary_size || seen[*id]) continue;
        seen[*id] = 1;
        ids.push_back(static_cast<token_id>(*id));
    }
    return ids;
}

/// Sets the begin and end tokens that `file` gives: in config.json an absent key stands for
/// GPT-2's 50256 (null for none), in generation_config.json it leaves things as they are.
enum class absent_token { default_id, unchanged };
[[gnu::cold]] inline void read_special_tokens(const json_fields& file, absent_token absent,
                                              config& sizes) {
    constexpr token_id published = 50256;
    const auto fallback = [&] {
        std::vector<token_id> ids;
        if (sizes.vocabulary_size > static_cast<std::size_t>(published)) ids = {published};
        return ids;
    };
    const auto read = [&](std::string_view key) {
        return file.find(key) == nullptr ? fallback()
                                         : read_tokens(file, key, sizes.vocabulary_size);
    };
    const bool always = absent == absent_token::default_id;
    if (always || file.given("eos_token_id")) sizes.end_of_text = read("eos_token_id");
    if (always || file.given("bos_token_id")) {
        const auto ids = read("bos_token_id");
        sizes.begin_of_text = ids.empty() ? std::nullopt : std::optional(ids.front());
    }
}

[[gnu::cold]] inline activation read_activation(const json_fields& file) {
    const auto text = file.text("activation_function");
    if (!text) return activation::gelu_new;
    if (const auto known = activation_named(*text)) return *known;
    fail(errc::unsupported, file.where(),
         {"activation_function ", printable(*text, 40), " is not supported"});
}

/// The config in config.json, checked. Two names of one size must agree, but for n_ctx, which only
/// serves where n_positions is absent. Throws errc::unsupported for other models and features,
/// errc::bad_config for values of the wrong type or range.
[[gnu::cold]] inline config read_hf_config(const json_value& document, const std::string& where) {
    using limits = config_limits;
    const json_fields file(document, where, errc::bad_config);
    refuse_foreign_model(file);
    refuse_features(file);
    config sizes;
    const auto size = [&](std::initializer_list<std::string_view> names, std::uint64_t most,
                          std::size_t& field) {
        field = read_size(file, names, most).value_or(field);
    };
    size({"vocab_size"}, limits::vocabulary_size, sizes.vocabulary_size);
    size({"n_embd", "hidden_size"}, limits::width, sizes.width);
    size({"n_layer", "num_hidden_layers"}, limits::layers, sizes.layers);
    size({"n_head", "num_attention_heads"}, limits::width, sizes.heads);
    size({"n_ctx"}, limits::context_length, sizes.context_length);
    size({"n_positions", "max_position_embeddings"}, limits::context_length, sizes.context_length);
    sizes.inner_width = 4 * sizes.width;
    if (file.given("n_inner")) size({"n_inner"}, limits::inner_width, sizes.inner_width);
    sizes.layer_norm_epsilon = file.positive_real("layer_norm_epsilon").value_or(1e-5);
    sizes.activation = read_activation(file);
    sizes.scale_attention = file.boolean("scale_attn_weights").value_or(true);
    sizes.scale_attention_by_inverse_layer =
        file.boolean("scale_attn_by_inverse_layer_idx").value_or(false);
    sizes.tied_head = file.boolean("tie_word_embeddings").value_or(true);
    file.boolean("reorder_and_upcast_attn");  // changes rounding in half precision, nothing here
    read_special_tokens(file, absent_token::default_id, sizes);
    sizes.validate();
    return sizes;
}

/// generation_config.json says last which tokens begin and end a text.
[[gnu::cold]] inline void read_hf_generation_config(const json_value& document,
                                                    const std::string& where, config& sizes) {
    read_special_tokens(json_fields(document, where, errc::bad_config), absent_token::unchanged,
                        sizes);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
