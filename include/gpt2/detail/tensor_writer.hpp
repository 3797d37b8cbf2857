// Tensors on their way into a file: read a block of rows at a time, rounded, handed on.
//
// Nothing is held but that block (a few MiB), however large the tensor. A number that the wanted
// type cannot hold is an error, never an infinity; a type that the tensor is stored in already
// loses nothing.
//
// Before: weights.hpp, detail/file_sink.hpp. Next: detail/safetensors_writer.hpp,
// detail/gguf_writer.hpp.
#pragma once

#include "../config.hpp"
#include "../stored_tensor.hpp"
#include "../weights.hpp"
#include "file_sink.hpp"
#include "gguf_blocks.hpp"
#include "widen.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A tensor as a file is to have it. `shape` is that of `values`, which may have more rows.
struct written_tensor {
    std::string name;
    dtype type;  ///< F32, F16, BF16, Q8_0, or what blocks are stored in already
    std::vector<std::size_t> shape;
    std::optional<stored_tensor> values = {};  ///< none: zeros
};

/// The bytes of its values; the shape is one that config::validate() bounds.
inline std::uint64_t bytes_of(const written_tensor& tensor) {
    std::uint64_t count = 1;
    for (const std::size_t extent : tensor.shape) count *= extent;
    return count / block_values(tensor.type) * bits(tensor.type) / 8;
}

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

/// Hands on numbers in the type they are written in. Throws errc::unsupported for a number beyond
/// that type.
class value_writer {
public:
    value_writer(const written_tensor& tensor, const byte_sink& sink)
        : tensor_(tensor), sink_(sink) {}

    void put(std::span<const float> values) const {
        switch (tensor_.type) {
            case dtype::f32:
                return put_bytes(values);
            case dtype::f16:
                return put_halves(values, narrow_half, 0x7C00);
            case dtype::bf16:
                return put_halves(values, narrow_bfloat, 0x7F80);
            case dtype::q8_0:
                return put_blocks(values);
            default:
                fail(errc::unsupported, shown_name(tensor_.name), "F32, F16, BF16 or Q8_0",
                     gpt2::name(tensor_.type));
        }
    }

private:
    template <class Stored>
    void put_bytes(std::span<const Stored> stored) const {
        const auto bytes = std::as_bytes(stored);
        sink_({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }

    /// `infinite`: the exponent that no finite number has.
    void put_halves(std::span<const float> values, std::uint16_t (*narrow)(float),
                    unsigned infinite) const {
        std::vector<std::uint16_t> halves(values.size());
        for (std::size_t i = 0; i < halves.size(); ++i) {
            halves[i] = narrow(values[i]);
            if ((halves[i] & infinite) == infinite)
                fail(errc::unsupported, shown_name(tensor_.name),
                     {"it has a weight beyond what can be written as ", gpt2::name(tensor_.type)});
        }
        put_bytes(std::span<const std::uint16_t>(halves));
    }

    void put_blocks(std::span<const float> values) const {
        constexpr std::size_t each = q8_0_block::values;
        std::vector<q8_0_block> blocks(values.size() / each);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            blocks[i] = quantised_q8_0(values.subspan(i * each).first<each>());
            if (!std::isfinite(blocks[i].d.value()))
                fail(errc::unsupported, shown_name(tensor_.name),
                     "it has a weight beyond what can be written as Q8_0");
        }
        put_bytes(std::span<const q8_0_block>(blocks));
    }

    const written_tensor& tensor_;
    const byte_sink& sink_;
};

/// The values into `sink`. Throws errc::unsupported for numbers that the type cannot hold, and what
/// reading them throws.
[[gnu::cold]] inline void write_values(const written_tensor& tensor, const byte_sink& sink) {
    const auto& values = tensor.values;
    const bool by_column = values && values->by_column();
    if (values && !by_column && values->type() == tensor.type && block_values(tensor.type) > 1) {
        std::vector<std::byte> part(std::size_t{1} << 20);
        const std::uint64_t all = bytes_of(tensor);
        for (std::uint64_t at = 0; at < all; at += part.size()) {
            const auto size =
                static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), all - at));
            values->read_stored(at, std::span(part).first(size));
            sink({reinterpret_cast<const char*>(part.data()), size});
        }
        return;
    }
    const value_writer writer(tensor, sink);
    const std::size_t columns = tensor.shape.back();
    const std::size_t rows = tensor.shape.size() < 2 ? 1 : tensor.shape.front();
    // Each row of what is stored by column needs all of it: fewer readings, larger blocks.
    const std::size_t at_once = std::size_t{1} << (by_column ? 22 : 18);
    const std::size_t step = std::max<std::size_t>(at_once / columns, 1);
    std::vector<float> block;
    for (std::size_t row = 0; row < rows; row += step) {
        const std::size_t count = std::min(step, rows - row);
        block.assign(count * columns, 0.0f);
        if (values) values->read_rows<float>(row, count, block);
        writer.put(block);
    }
}

/// The tensor of a model that has this name and shape; none for a bias that is not there. Throws
/// errc::missing_tensor, errc::wrong_shape.
[[gnu::cold]] inline std::optional<stored_tensor> tensor_to_write(
    const weight_store& weights, std::string_view name, const std::vector<std::size_t>& shape) {
    const stored_tensor* found = weights.find(name);
    if (found == nullptr) {
        if (name.ends_with(".bias")) return std::nullopt;
        fail(errc::missing_tensor, name, "the model needs it, the file has none");
    }
    const auto has = found->shape();
    const bool longer =
        name == "wpe.weight" && has.size() == 2 && has[0] >= shape[0] && has[1] == shape[1];
    if (!longer && !std::equal(has.begin(), has.end(), shape.begin(), shape.end()))
        fail(errc::wrong_shape, name, shown_shape(shape), shown_shape(has));
    return *found;
}

/// Whether the head is another matrix than the token embedding: one that differs counts even where
/// the config says tied, and equal numbers stored again do not. Throws errc::wrong_shape and what
/// reading throws.
[[gnu::cold]] inline bool has_own_head(const config& c, const weight_store& weights) {
    if (!c.tied_head) return true;
    if (weights.find("lm_head.weight") == nullptr) return false;
    const std::vector<std::size_t> shape = {c.vocabulary_size, c.width};
    const auto head = tensor_to_write(weights, "lm_head.weight", shape);
    const auto tokens = tensor_to_write(weights, "wte.weight", shape);
    return !same_numbers<float>(*head, *tokens);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
