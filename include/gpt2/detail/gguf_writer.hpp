// A GPT-2 as a GGUF file that llama.cpp loads: matrices in F32, F16, BF16, Q8_0 or as they were,
// the rest in F32.
//
// Names, keys and rounding are those of llama.cpp's converter and of ggml's reference, so the same
// weights give the same bytes of values. What the format cannot say (another activation, other
// scales of attention) is refused by name, and absent biases are written as zeros. The file goes to
// a sink piece by piece.
//
// Before: detail/tensor_writer.hpp; detail/gguf_model.hpp, which reads what is written here.
// Next: save.hpp.
#pragma once

#include "gguf_model.hpp"
#include "tensor_writer.hpp"
#include "tokenizer_writer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a file is made of. Without a vocabulary it has no tokenizer: ids in, ids out.
struct gguf_source {
    const gpt2::config& config;
    const weight_store& weights;  ///< by the checkpoint's names
    const vocabulary* tokens = nullptr;
    storage matrices = storage::f32;  ///< f32, f16, bf16, int8 (Q8_0, F16 where rows are no whole
                                      ///< blocks) or as they are, where that is one of GGUF's types
};

/// Keys and values in their order, counted.
class gguf_pairs {
public:
    void add(std::string_view key, std::string_view text) {
        begin(key, gguf_type::text);
        add_text(text);
    }
    void add(std::string_view key, std::uint32_t value) {
        begin(key, gguf_type::u32);
        add_number(value);
    }
    void add(std::string_view key, float value) {
        begin(key, gguf_type::f32);
        add_number(value);
    }
    void add(std::string_view key, std::span<const std::string> texts) {
        begin_array(key, gguf_type::text, texts.size());
        for (const std::string& text : texts) add_text(text);
    }
    void add(std::string_view key, std::span<const std::int32_t> numbers) {
        begin_array(key, gguf_type::i32, numbers.size());
        for (const std::int32_t number : numbers) add_number(number);
    }

    std::uint64_t count() const noexcept { return count_; }
    const std::string& bytes() const noexcept { return bytes_; }

    template <class Number>
    void add_number(Number number) {
        append_number(bytes_, number);
    }
    void add_text(std::string_view text) {
        add_number(std::uint64_t{text.size()});
        bytes_ += text;
    }

private:
    void begin(std::string_view key, gguf_type type) {
        add_text(key);
        add_number(type);
        ++count_;
    }
    void begin_array(std::string_view key, gguf_type type, std::size_t count) {
        begin(key, gguf_type::array);
        add_number(type);
        add_number(std::uint64_t{count});
    }

    std::string bytes_;
    std::uint64_t count_ = 0;
};

/// One file, planned when it is made and written once.
class gguf_writer {
public:
    /// Throws errc::unsupported (see above), errc::missing_tensor, errc::wrong_shape,
    /// errc::bad_tokenizer.
    explicit gguf_writer(const gguf_source& from) : from_(from) {
        refuse_what_has_no_key();
        plan();
        gguf_pairs keys = planned_keys(), entries;
        std::uint64_t offset = 0;
        for (const written_tensor& each : planned_) {
            entries.add_text(each.name);
            entries.add_number(static_cast<std::uint32_t>(each.shape.size()));
            for (std::size_t i = each.shape.size(); i-- > 0;)
                entries.add_number(std::uint64_t{each.shape[i]});
            entries.add_number(facts_of(each.type).number);
            entries.add_number(offset);
            offset += padded(bytes_of(each));
        }
        gguf_pairs head;
        for (const char letter : std::string_view("GGUF")) head.add_number(letter);
        head.add_number(std::uint32_t{3});
        head.add_number(std::uint64_t{planned_.size()});
        head.add_number(keys.count());
        head_ = head.bytes() + keys.bytes() + entries.bytes();
        head_.resize(static_cast<std::size_t>(padded(head_.size())), '\0');
        bytes_ = head_.size() + offset;
    }

    /// Of the whole file.
    std::uint64_t bytes() const noexcept { return bytes_; }

    /// Throws errc::unsupported for a number that its type cannot hold, and what reading the
    /// weights throws.
    void write(const byte_sink& sink) const {
        sink(head_);
        for (const written_tensor& each : planned_) {
            write_values(each, sink);
            const std::uint64_t size = bytes_of(each), gap = padded(size) - size;
            if (gap > 0) sink(std::string(static_cast<std::size_t>(gap), '\0'));
        }
    }

private:
    static std::uint64_t padded(std::uint64_t size) { return (size + 31) / 32 * 32; }

    static const ggml_number& facts_of(dtype type) {
        return *std::find_if(ggml_numbers.begin(), ggml_numbers.end(),
                             [&](const ggml_number& each) { return each.type == type; });
    }

    void refuse_what_has_no_key() const {
        const gpt2::config& c = from_.config;
        c.validate();
        if (c.activation != activation::gelu_new)
            fail(errc::unsupported, "GGUF",
                 {"it cannot say activation ", gpt2::name(c.activation)});
        if (!c.scale_attention || c.scale_attention_by_inverse_layer)
            fail(errc::unsupported, "GGUF", "it cannot say how this model scales attention");
        if (from_.matrices == storage::int4)
            fail(errc::unsupported, "GGUF", "weights as f32, f16, bf16, int8 or as stored", "int4");
    }

    void plan() {
        const gpt2::config& c = from_.config;
        const auto add = [&](std::string_view theirs, std::string_view ours, std::size_t rows) {
            const std::vector<std::size_t> shape = {rows, c.width};
            planned_.push_back({std::string(theirs), dtype::f32, shape,
                                tensor_to_write(from_.weights, ours, shape)});
        };
        const auto as_matrix = [&] {
            planned_.back().type = matrix_type(*planned_.back().values, c.width);
        };
        add("token_embd.weight", "wte.weight", c.vocabulary_size);
        as_matrix();
        add("position_embd.weight", "wpe.weight", c.context_length);
        add_norm("output_norm", "ln_f");
        if (has_own_head(c, from_.weights)) {
            add("output.weight", "lm_head.weight", c.vocabulary_size);
            as_matrix();
        }
        for (std::size_t layer = 0; layer < c.layers; ++layer) {
            const std::string theirs = text_of({"blk.", layer, "."});
            const std::string ours = text_of({"h.", layer, "."});
            add_norm(theirs + "attn_norm", ours + "ln_1");
            add_linear(theirs + "attn_qkv", ours + "attn.c_attn", c.width, 3 * c.width);
            add_linear(theirs + "attn_output", ours + "attn.c_proj", c.width, c.width);
            add_norm(theirs + "ffn_norm", ours + "ln_2");
            add_linear(theirs + "ffn_up", ours + "mlp.c_fc", c.width, c.inner_width);
            add_linear(theirs + "ffn_down", ours + "mlp.c_proj", c.inner_width, c.width);
        }
    }
    void add_vector(const std::string& theirs, const std::string& ours, std::size_t size) {
        planned_.push_back(
            {theirs, dtype::f32, {size}, tensor_to_write(from_.weights, ours, {size})});
    }
    void add_norm(const std::string& theirs, const std::string& ours) {
        add_vector(theirs + ".weight", ours + ".weight", from_.config.width);
        add_vector(theirs + ".bias", ours + ".bias", from_.config.width);
    }
    void add_linear(const std::string& theirs, const std::string& ours, std::size_t in,
                    std::size_t out) {
        const auto stored = tensor_to_write(from_.weights, ours + ".weight", {in, out});
        const auto turned = stored->transposed();
        planned_.push_back({theirs + ".weight", matrix_type(turned, in), {out, in}, turned});
        add_vector(theirs + ".bias", ours + ".bias", out);
    }

    /// The type that a matrix of rows of `columns` is written in.
    dtype matrix_type(const stored_tensor& values, std::size_t columns) const {
        switch (from_.matrices) {
            case storage::f16:
                return dtype::f16;
            case storage::bf16:
                return dtype::bf16;
            case storage::int8:
                return columns % q8_0_block::values == 0 ? dtype::q8_0 : dtype::f16;
            case storage::as_stored: {
                const dtype type = values.type();
                const bool halves = type == dtype::f16 || type == dtype::bf16;
                const bool blocks = block_values(type) > 1 && !values.by_column();
                return halves || blocks ? type : dtype::f32;
            }
            default:
                return dtype::f32;
        }
    }

    gguf_pairs planned_keys() const {
        const gpt2::config& c = from_.config;
        gguf_pairs keys;
        const auto number = [&](std::string_view key, std::size_t value) {
            keys.add(key, static_cast<std::uint32_t>(value));  // validate() bounds it
        };
        keys.add("general.architecture", std::string_view("gpt2"));
        number("general.file_type", facts_of(planned_.front().type).file_type);
        number("general.quantization_version", 2);
        number("gpt2.block_count", c.layers);
        number("gpt2.context_length", c.context_length);
        number("gpt2.embedding_length", c.width);
        number("gpt2.feed_forward_length", c.inner_width);
        number("gpt2.attention.head_count", c.heads);
        keys.add("gpt2.attention.layer_norm_epsilon", static_cast<float>(c.layer_norm_epsilon));
        number("gpt2.vocab_size", c.vocabulary_size);
        if (c.begin_of_text)
            number("tokenizer.ggml.bos_token_id", static_cast<std::size_t>(*c.begin_of_text));
        if (!c.end_of_text.empty())
            number("tokenizer.ggml.eos_token_id", static_cast<std::size_t>(c.end_of_text.front()));
        if (from_.tokens != nullptr)
            add_tokenizer(*from_.tokens, keys);
        else
            keys.add("tokenizer.ggml.model", std::string_view("none"));
        return keys;
    }

    void add_tokenizer(const vocabulary& from, gguf_pairs& keys) const {
        const std::size_t count = from_.config.vocabulary_size;
        if (from.tokens.size() > count)
            fail(errc::bad_tokenizer, "GGUF", {"at most ", count, " tokens"}, from.tokens.size());
        std::vector<std::string> tokens(count);
        std::vector<std::int32_t> kinds(count, static_cast<std::int32_t>(gguf_token_kind::normal));
        for (std::size_t id = 0; id < from.tokens.size(); ++id)
            tokens[id] = byte_symbols(from.tokens[id]);
        for (const added_token& token : from.added) {
            const auto id = static_cast<std::size_t>(token.id);
            if (id >= count)
                fail(errc::bad_tokenizer, "GGUF", {"added tokens below ", count}, token.id);
            tokens[id] = token.content;
            kinds[id] = static_cast<std::int32_t>(token.special ? gguf_token_kind::control
                                                                : gguf_token_kind::user_defined);
        }
        for (std::size_t id = 0; id < count; ++id)
            if (tokens[id].empty()) {
                tokens[id] = text_of({"[PAD", id, "]"});
                kinds[id] = static_cast<std::int32_t>(gguf_token_kind::unused);
            }
        std::vector<std::string> merges;
        for (const merge& each : from.merges)
            merges.push_back(tokens.at(static_cast<std::size_t>(each.left)) + " " +
                             tokens.at(static_cast<std::size_t>(each.right)));
        keys.add("tokenizer.ggml.model", std::string_view("gpt2"));
        keys.add("tokenizer.ggml.pre", std::string_view("gpt-2"));
        keys.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
        keys.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
        keys.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
    }

    gguf_source from_;
    std::vector<written_tensor> planned_;  // the token embedding is the first
    std::string head_;                     // all before the values
    std::uint64_t bytes_ = 0;
};

/// Writes the file into `sink`. Throws what making and using a gguf_writer throws.
[[gnu::cold]] inline void write_gguf(const gguf_source& from, const byte_sink& sink) {
    gguf_writer(from).write(sink);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
