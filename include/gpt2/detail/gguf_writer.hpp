// A GPT-2 as a GGUF file that llama.cpp loads: F32, F16 or Q8_0 matrices, the rest in F32.
//
// Names, keys and rounding are those of llama.cpp's converter and of ggml's reference, so the same
// weights give the same bytes of values. What the format cannot say (another activation, other
// scales of attention) is refused by name, and absent biases are written as zeros. The file goes to
// a sink piece by piece; memory is that of the largest matrix.
//
// Before: detail/gguf_model.hpp, which reads what is written here.
#pragma once

#include "gguf_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// How matrices are written; rows that are no whole blocks of Q8_0 are written as F16.
enum class gguf_matrices { f32, f16, q8_0 };

/// Takes the next bytes of the file.
using byte_sink = std::function<void(std::string_view)>;

/// What a file is made of. Without a vocabulary it has no tokenizer: ids in, ids out.
struct gguf_source {
    const gpt2::config& config;
    const weight_store& weights;  ///< by the checkpoint's names
    const vocabulary* tokens = nullptr;
    gguf_matrices matrices = gguf_matrices::f32;
};

/// The block of 32 values as ggml's reference rounds it.
inline q8_0_block quantised_q8_0(std::span<const float, q8_0_block::values> values) noexcept {
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::abs(value));
    const float scale = largest / 127, inverse = scale == 0 ? 0 : 1 / scale;
    const std::uint16_t half = narrow_half(scale);
    q8_0_block block{
        {{static_cast<std::uint8_t>(half & 0xff), static_cast<std::uint8_t>(half >> 8)}}, {}};
    for (std::size_t i = 0; i < values.size(); ++i)
        block.q[i] = static_cast<std::int8_t>(std::round(values[i] * inverse));
    return block;
}

/// The symbols of GPT-2's byte alphabet for some bytes.
[[gnu::cold]] inline std::string symbols_of(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        const auto found = std::find(byte_of_symbol.begin(), byte_of_symbol.end(),
                                     static_cast<int>(static_cast<unsigned char>(byte)));
        const auto point = static_cast<unsigned>(found - byte_of_symbol.begin());
        if (point < 0x80) {
            text += static_cast<char>(point);
        } else {
            text += static_cast<char>(0xC0 | point >> 6);
            text += static_cast<char>(0x80 | (point & 0x3F));
        }
    }
    return text;
}

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
        std::array<char, sizeof number> raw;
        std::memcpy(raw.data(), &number, sizeof number);
        bytes_.append(raw.data(), raw.size());
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

/// Writes one file; used once.
class gguf_writer {
public:
    gguf_writer(const gguf_source& from, const byte_sink& sink) : from_(from), sink_(sink) {}

    void write() {
        refuse_what_has_no_key();
        plan();
        add_keys();
        gguf_pairs head;
        for (const char letter : std::string_view("GGUF")) head.add_number(letter);
        head.add_number(std::uint32_t{3});
        head.add_number(std::uint64_t{planned_.size()});
        head.add_number(keys_.count());
        gguf_pairs entries;
        std::uint64_t offset = 0;
        for (const planned& each : planned_) {
            entries.add_text(each.name);
            entries.add_number(static_cast<std::uint32_t>(each.shape.size()));
            for (std::size_t i = each.shape.size(); i-- > 0;)
                entries.add_number(std::uint64_t{each.shape[i]});
            entries.add_number(each.number);
            entries.add_number(offset);
            offset += padded(bytes_of(each));
        }
        for (const gguf_pairs* part : {&head, &keys_, &entries}) put(part->bytes());
        pad();
        for (const planned& each : planned_) write_values(each);
    }

private:
    struct planned {
        std::string name;
        const stored_tensor* values;     // none: zeros
        std::vector<std::size_t> shape;  // as written, (out, in)
        std::uint32_t number;            // of its type: F32, F16 or Q8_0
        bool turned = false;             // the store has it as (in, out)

        stored_tensor source() const { return turned ? values->transposed() : *values; }
    };
    static constexpr std::uint32_t f32 = 0, f16 = 1, q8_0 = 8;

    static std::uint64_t padded(std::uint64_t size) { return (size + 31) / 32 * 32; }

    static std::uint64_t count_of(const planned& each) {
        std::uint64_t count = 1;  // validate() bounds it
        for (const std::size_t extent : each.shape) count *= extent;
        return count;
    }
    static std::uint64_t bytes_of(const planned& each) {
        const std::uint64_t count = count_of(each);
        return each.number == f32   ? 4 * count
               : each.number == f16 ? 2 * count
                                    : count / q8_0_block::values * sizeof(q8_0_block);
    }

    void put(std::string_view bytes) {
        sink_(bytes);
        written_ += bytes.size();
    }
    /// Zeros up to the next multiple of 32.
    void pad() { put(std::string(static_cast<std::size_t>(padded(written_) - written_), '\0')); }

    void refuse_what_has_no_key() const {
        const gpt2::config& c = from_.config;
        c.validate();
        if (c.activation != activation::gelu_new)
            fail(errc::unsupported, "GGUF",
                 {"it cannot say activation ", gpt2::name(c.activation)});
        if (!c.scale_attention || c.scale_attention_by_inverse_layer)
            fail(errc::unsupported, "GGUF", "it cannot say how this model scales attention");
    }

    void plan() {
        const gpt2::config& c = from_.config;
        const auto add = [&](std::string_view theirs, std::string_view ours,
                             std::vector<std::size_t> shape) {
            planned_.push_back({std::string(theirs), find(ours, shape), std::move(shape), f32});
        };
        add("token_embd.weight", "wte.weight", {c.vocabulary_size, c.width});
        planned_.back().number = matrix_type(c.width);
        add("position_embd.weight", "wpe.weight", {c.context_length, c.width});
        add_norm("output_norm", "ln_f");
        if (from_.weights.find("lm_head.weight") != nullptr) {
            add("output.weight", "lm_head.weight", {c.vocabulary_size, c.width});
            planned_.back().number = matrix_type(c.width);
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
        planned_.push_back({theirs, find(ours, {size}), {size}, f32});
    }
    void add_norm(const std::string& theirs, const std::string& ours) {
        add_vector(theirs + ".weight", ours + ".weight", from_.config.width);
        add_vector(theirs + ".bias", ours + ".bias", from_.config.width);
    }
    void add_linear(const std::string& theirs, const std::string& ours, std::size_t in,
                    std::size_t out) {
        planned_.push_back({theirs + ".weight",
                            find(ours + ".weight", {in, out}),
                            {out, in},
                            matrix_type(in),
                            true});
        add_vector(theirs + ".bias", ours + ".bias", out);
    }

    /// The tensor of that shape; none for a bias that is not there.
    const stored_tensor* find(std::string_view name, const std::vector<std::size_t>& shape) const {
        const stored_tensor* found = from_.weights.find(name);
        if (found == nullptr) {
            if (name.ends_with(".bias")) return nullptr;
            fail(errc::missing_tensor, name, "the model needs it, the store has none");
        }
        const auto has = found->shape();
        const bool longer =
            name == "wpe.weight" && has.size() == 2 && has[0] >= shape[0] && has[1] == shape[1];
        if (!longer && !std::equal(has.begin(), has.end(), shape.begin(), shape.end()))
            fail(errc::wrong_shape, name, shown_shape(shape), shown_shape(has));
        return found;
    }
    std::uint32_t matrix_type(std::size_t columns) const {
        if (from_.matrices == gguf_matrices::f32) return f32;
        const bool blocks = columns % q8_0_block::values == 0;
        return from_.matrices == gguf_matrices::q8_0 && blocks ? q8_0 : f16;
    }

    void add_keys() {
        const gpt2::config& c = from_.config;
        const auto number = [&](std::string_view key, std::size_t value) {
            keys_.add(key, static_cast<std::uint32_t>(value));  // validate() bounds it
        };
        keys_.add("general.architecture", std::string_view("gpt2"));
        number("general.file_type", from_.matrices == gguf_matrices::f32   ? 0
                                    : from_.matrices == gguf_matrices::f16 ? 1
                                                                           : 7);
        number("general.quantization_version", 2);
        number("gpt2.block_count", c.layers);
        number("gpt2.context_length", c.context_length);
        number("gpt2.embedding_length", c.width);
        number("gpt2.feed_forward_length", c.inner_width);
        number("gpt2.attention.head_count", c.heads);
        keys_.add("gpt2.attention.layer_norm_epsilon", static_cast<float>(c.layer_norm_epsilon));
        number("gpt2.vocab_size", c.vocabulary_size);
        if (c.begin_of_text)
            number("tokenizer.ggml.bos_token_id", static_cast<std::size_t>(*c.begin_of_text));
        if (!c.end_of_text.empty())
            number("tokenizer.ggml.eos_token_id", static_cast<std::size_t>(c.end_of_text.front()));
        if (from_.tokens != nullptr)
            add_tokenizer(*from_.tokens);
        else
            keys_.add("tokenizer.ggml.model", std::string_view("none"));
    }

    void add_tokenizer(const vocabulary& from) {
        const std::size_t count = from_.config.vocabulary_size;
        if (from.tokens.size() > count)
            fail(errc::bad_tokenizer, "GGUF", {"at most ", count, " tokens"}, from.tokens.size());
        std::vector<std::string> tokens(count);
        std::vector<std::int32_t> kinds(count, static_cast<std::int32_t>(gguf_token_kind::normal));
        for (std::size_t id = 0; id < from.tokens.size(); ++id)
            tokens[id] = symbols_of(from.tokens[id]);
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
        keys_.add("tokenizer.ggml.model", std::string_view("gpt2"));
        keys_.add("tokenizer.ggml.pre", std::string_view("gpt-2"));
        keys_.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
        keys_.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
        keys_.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
    }

    void write_values(const planned& each) {
        const std::size_t columns = each.shape.back();
        const auto rows = static_cast<std::size_t>(count_of(each)) / columns;
        // What is stored by column is read at once: each of its rows needs all of it.
        const bool whole = each.values == nullptr || each.source().by_column();
        const std::size_t step = whole ? rows : std::max<std::size_t>((1u << 18) / columns, 1);
        std::vector<float> values;
        for (std::size_t row = 0; row < rows; row += step) {
            const std::size_t count = std::min(step, rows - row);
            values.assign(count * columns, 0.0f);
            if (each.values != nullptr) each.source().read_rows<float>(row, count, values);
            put_values(each.number, values);
        }
        pad();
    }

    /// The numbers in the type they are written in.
    void put_values(std::uint32_t type, std::span<const float> values) {
        const auto put_all = [&](const auto& stored) {
            put({reinterpret_cast<const char*>(stored.data()), stored.size() * sizeof stored[0]});
        };
        if (type == f32) {
            put_all(values);
        } else if (type == f16) {
            std::vector<std::uint16_t> halves(values.size());
            for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = narrowed(values[i]);
            put_all(halves);
        } else {
            std::vector<q8_0_block> blocks(values.size() / q8_0_block::values);
            for (std::size_t i = 0; i < blocks.size(); ++i)
                blocks[i] = quantised_q8_0(
                    values.subspan(i * q8_0_block::values).first<q8_0_block::values>());
            put_all(blocks);
        }
    }
    static std::uint16_t narrowed(float value) {
        const std::uint16_t half = narrow_half(value);
        if ((half & 0x7FFF) == 0x7C00)
            fail(errc::unsupported, "GGUF", "a weight beyond 65504 cannot be written as F16");
        return half;
    }

    const gguf_source& from_;
    const byte_sink& sink_;
    gguf_pairs keys_;
    std::vector<planned> planned_;
    std::uint64_t written_ = 0;
};

/// Writes the file into `sink`. Throws errc::unsupported (see above), errc::missing_tensor,
/// errc::wrong_shape, errc::bad_tokenizer, and what reading the weights throws.
[[gnu::cold]] inline void write_gguf(const gguf_source& from, const byte_sink& sink) {
    gguf_writer(from, sink).write();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
