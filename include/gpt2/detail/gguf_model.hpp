// A GGUF file of architecture gpt2: config, tensors under the checkpoint's names, tokenizer.
//
// Names and keys are those that llama.cpp's converter writes. It stores matrices by output, (out,
// in), where GPT-2's Conv1D has (in, out); nothing is copied for that, the tensor says so
// (stored_tensor::by_column). What the format cannot say is GPT-2's own: gelu_new, scores divided
// by √D. The token embedding says how many tokens there are.
//
// Before: detail/gguf.hpp, detail/tokenizer_builder.hpp. Next: open.hpp.
#pragma once

#include "../stored_model.hpp"
#include "gguf.hpp"
#include "tokenizer_builder.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A name of llama.cpp and the checkpoint's, both without `.weight` or `.bias`.
struct gguf_name {
    std::string_view theirs, ours;
    bool linear = false;  ///< a weight that is stored (out, in)
};

inline constexpr std::array<gguf_name, 4> gguf_root_names{{
    {"token_embd", "wte"},
    {"position_embd", "wpe"},
    {"output_norm", "ln_f"},
    {"output", "lm_head"},
}};
/// Behind `blk.N.` and `h.N.`.
inline constexpr std::array<gguf_name, 6> gguf_block_names{{
    {"attn_norm", "ln_1"},
    {"attn_qkv", "attn.c_attn", true},
    {"attn_output", "attn.c_proj", true},
    {"ffn_norm", "ln_2"},
    {"ffn_up", "mlp.c_fc", true},
    {"ffn_down", "mlp.c_proj", true},
}};

/// The tensor as the model knows it; one of a name that llama.cpp has not keeps it.
[[gnu::cold]] inline stored_tensor checkpoint_tensor(stored_tensor stored) {
    const std::string name = stored.name();
    std::string_view stem = name;
    const auto dot = stem.rfind('.');
    if (dot == stem.npos) return stored;
    const std::string_view kind = stem.substr(dot);  // ".weight", ".bias"
    stem = stem.substr(0, dot);
    const auto known = [&](std::span<const gguf_name> names, std::string_view prefix) {
        const auto found = std::find_if(names.begin(), names.end(),
                                        [&](const gguf_name& each) { return each.theirs == stem; });
        if (found == names.end()) return std::move(stored);
        if (found->linear && kind == ".weight" && stored.shape().size() == 2)
            stored = stored.transposed();
        return std::move(stored).renamed(text_of({prefix, found->ours, kind}));
    };
    constexpr std::string_view block = "blk.";
    if (!stem.starts_with(block)) return known(gguf_root_names, "");
    stem.remove_prefix(block.size());
    const std::string_view number = stem.substr(0, stem.find('.'));
    if (number.empty() || number.size() == stem.size()) return stored;
    stem.remove_prefix(number.size() + 1);
    return known(gguf_block_names, text_of({"h.", number, "."}));
}

/// A token id under a key. Throws errc::bad_config when the vocabulary has none such.
[[gnu::cold]] inline std::optional<token_id> gguf_token(const gguf_metadata& metadata,
                                                        std::string_view key,
                                                        std::size_t vocabulary_size) {
    const auto id = metadata.integer(key, 0, vocabulary_size - 1);
    return id ? std::optional(static_cast<token_id>(*id)) : std::nullopt;
}

/// Throws errc::unsupported unless the file is a whole GPT-2.
[[gnu::cold]] inline void refuse_foreign_gguf(const gguf_metadata& metadata) {
    const auto architecture = metadata.text("general.architecture");
    if (!architecture) fail(errc::unsupported, metadata.where(), "general.architecture is missing");
    if (*architecture != "gpt2")
        fail(errc::unsupported, metadata.where(),
             {"architecture ", printable(*architecture, 40), " is not GPT-2"});
    if (metadata.integer("split.count", 0, 65535).value_or(0) > 1)
        fail(errc::unsupported, metadata.where(),
             "it is one of several parts of a split GGUF: merge them first");
}

/// The value that stands under a key, which must be there.
template <class Value>
Value required(const std::optional<Value>& value, const gguf_metadata& metadata,
               std::string_view key) {
    if (!value) fail(errc::bad_config, metadata.where(), {key, " is missing"});
    return *value;
}

/// The double that has a float's own digits: 1e-5, which config.json says, for 1e-5f, which stands
/// for it here. Other numbers are what they are.
inline double with_digits_of_float(double value) {
    const auto narrow = static_cast<float>(value);
    if (static_cast<double>(narrow) != value) return value;
    std::array<char, 32> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), narrow);
    std::from_chars(digits.data(), written.ptr, value);
    return value;
}

/// The config that keys and tensors say, checked. Throws errc::unsupported for other models,
/// errc::bad_config for keys that are missing, of the wrong type or out of range.
[[gnu::cold]] inline config read_gguf_config(const gguf_metadata& metadata,
                                             const weight_store& weights) {
    using limits = config_limits;
    refuse_foreign_gguf(metadata);
    config sizes;
    const auto size = [&](std::string_view key, std::uint64_t most) {
        return static_cast<std::size_t>(required(metadata.integer(key, 1, most), metadata, key));
    };
    sizes.layers = size("gpt2.block_count", limits::layers);
    sizes.context_length = size("gpt2.context_length", limits::context_length);
    sizes.width = size("gpt2.embedding_length", limits::width);
    sizes.heads = size("gpt2.attention.head_count", limits::width);
    sizes.inner_width = metadata.given("gpt2.feed_forward_length")
                            ? size("gpt2.feed_forward_length", limits::inner_width)
                            : 4 * sizes.width;
    constexpr std::string_view epsilon = "gpt2.attention.layer_norm_epsilon";
    sizes.layer_norm_epsilon =
        with_digits_of_float(required(metadata.positive_real(epsilon), metadata, epsilon));

    const stored_tensor* tokens = weights.find("wte.weight");
    if (tokens == nullptr)
        fail(errc::missing_tensor, metadata.where(), "token_embd.weight is not there");
    sizes.vocabulary_size = tokens->rows();
    // Older files repeat the embedding as `output.weight`: the model compares the two and keeps a
    // head of its own only where they differ.
    sizes.tied_head = true;
    sizes.biases = std::any_of(weights.tensors().begin(), weights.tensors().end(),
                               [](const auto& tensor) { return tensor.name().ends_with(".bias"); });
    sizes.begin_of_text = std::nullopt;
    sizes.end_of_text.clear();
    sizes.validate();
    const auto token = [&](std::string_view key) {
        return gguf_token(metadata, key, sizes.vocabulary_size);
    };
    sizes.begin_of_text = token("tokenizer.ggml.bos_token_id");
    for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"})
        if (const auto id = token(key);
            id && std::find(sizes.end_of_text.begin(), sizes.end_of_text.end(), *id) ==
                      sizes.end_of_text.end())
            sizes.end_of_text.push_back(*id);
    return sizes;
}

/// What tokenizer.ggml.token_type says of a token.
enum class gguf_token_kind : std::int32_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6,
};

/// Throws errc::unsupported for tokenizers that are not GPT-2's byte-level BPE, by name.
[[gnu::cold]] inline void refuse_foreign_tokenizer(const gguf_metadata& metadata) {
    const auto kind = metadata.text("tokenizer.ggml.model");
    if (!kind || *kind != "gpt2")
        fail(errc::unsupported, metadata.where(), "tokenizer.ggml.model \"gpt2\"",
             kind ? printable(*kind, 40) : "none");
    // Files from before 2024 lack it; of this architecture they were all cut as GPT-2 does.
    const auto cuts = metadata.text("tokenizer.ggml.pre");
    if (cuts && *cuts != "gpt-2")
        fail(errc::unsupported, metadata.where(), "tokenizer.ggml.pre \"gpt-2\"",
             printable(*cuts, 40));
    for (const std::string_view key :
         {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"})
        if (metadata.boolean(key).value_or(false))
            fail(errc::unsupported, metadata.where(), {key, " is set"});
}

/// The kinds of all tokens: normal where the file does not say.
[[gnu::cold]] inline std::vector<gguf_token_kind> gguf_token_kinds(const gguf_metadata& metadata,
                                                                   std::size_t tokens) {
    constexpr std::string_view key = "tokenizer.ggml.token_type";
    std::vector<gguf_token_kind> kinds(tokens, gguf_token_kind::normal);
    const auto numbers = metadata.integers(key);
    if (!numbers) return kinds;
    const std::string where = text_of({metadata.where(), ": ", key});
    if (numbers->size() != tokens)
        fail(errc::bad_tokenizer, where, {"a kind for each of ", tokens, " tokens"},
             numbers->size());
    for (std::size_t id = 0; id < tokens; ++id) {
        if ((*numbers)[id] < 1 || (*numbers)[id] > 6)
            fail(errc::bad_tokenizer, where, "kinds from 1 to 6", (*numbers)[id]);
        kinds[id] = static_cast<gguf_token_kind>((*numbers)[id]);
        if (kinds[id] == gguf_token_kind::byte)
            fail(errc::unsupported, where, {"token ", id, " is a byte of its own kind"});
    }
    return kinds;
}

/// The tokenizer in the metadata; nothing when there is none. Tokens at the end that are marked
/// unused only fill up rows of the embedding and are left out. Throws errc::bad_tokenizer,
/// errc::unsupported by name, errc::bad_config for keys of the wrong type, errc::limit_exceeded.
[[gnu::cold]] inline std::optional<tokenizer> read_gguf_tokenizer(const gguf_metadata& metadata,
                                                                  std::size_t vocabulary_size) {
    constexpr std::string_view key = "tokenizer.ggml.tokens";
    const auto tokens = metadata.texts(key);
    if (!tokens) return std::nullopt;
    refuse_foreign_tokenizer(metadata);
    const std::string where = text_of({metadata.where(), ": ", key});
    if (tokens->size() != vocabulary_size)
        fail(errc::bad_tokenizer, where, {vocabulary_size, " tokens, as the embedding has"},
             tokens->size());
    if (tokens->size() > most_tokens)
        fail(errc::limit_exceeded, where, "at most 2^20 tokens", tokens->size());
    const auto kinds = gguf_token_kinds(metadata, tokens->size());
    std::size_t used = tokens->size();
    while (used > 0 && kinds[used - 1] == gguf_token_kind::unused) --used;

    tokenizer_builder builder(metadata.where());
    builder.reserve(used);
    for (std::size_t id = 0; id < used; ++id) {
        const bool special =
            kinds[id] == gguf_token_kind::control || kinds[id] == gguf_token_kind::unknown;
        const auto number = static_cast<token_id>(id);
        builder.take((*tokens)[id], number, where);
        if (special || kinds[id] == gguf_token_kind::user_defined)
            builder.add({.content = std::string((*tokens)[id]), .id = number, .special = special},
                        where);
    }
    const std::string line = text_of({metadata.where(), ": tokenizer.ggml.merges "});
    std::vector<symbol_merge> merges;
    if (const auto lines = metadata.texts("tokenizer.ggml.merges"))
        for (std::size_t i = 0; i < std::min(lines->size(), most_tokens + 1); ++i)
            merges.push_back(split_merge((*lines)[i], i, line));
    builder.take_merges(merges, line);
    for (const std::string_view name : {"bos", "eos", "unknown"})
        if (const auto id = gguf_token(metadata, text_of({"tokenizer.ggml.", name, "_token_id"}),
                                       vocabulary_size);
            id && static_cast<std::size_t>(*id) < used)
            builder.mark_special(
                {.content = std::string((*tokens)[static_cast<std::size_t>(*id)])});
    if (metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(false))
        builder.prefix = prefix::space;
    return builder.finish(where);
}

/// Opens a GGUF file of a GPT-2. Throws what read_gguf throws, errc::unsupported for other models
/// by name, errc::bad_config, errc::missing_tensor. Milliseconds: no weight is read before the
/// model asks for it.
[[gnu::cold]] inline stored_model open_gguf(const std::shared_ptr<const byte_source>& file) {
    gguf_file contents = read_gguf(file);
    refuse_foreign_gguf(contents.metadata);
    auto store = std::make_shared<weight_store>();
    for (stored_tensor& tensor : contents.tensors) {
        if (tensor.name() == "pos_embd.weight")
            fail(errc::bad_weights, file->name(), "position_embd.weight", tensor.name());
        store->add(checkpoint_tensor(std::move(tensor)));
    }
    stored_model model;
    model.config = read_gguf_config(contents.metadata, *store);
    model.weights = std::move(store);
    model.format = "GGUF";
    model.read_tokenizer =
        [metadata = std::make_shared<gguf_metadata>(std::move(contents.metadata)),
         tokens = model.config.vocabulary_size] { return read_gguf_tokenizer(*metadata, tokens); };
    return model;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
