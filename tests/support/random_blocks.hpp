// Matrices in the blocks of GGUF files, with random numbers, made in memory.
#pragma once

#include "random_model.hpp"

#include <gpt2/weights.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace test {

/// The blocks that a model keeps, each with the offsets of its halves.
struct block_kind {
    gpt2::dtype type;
    std::vector<std::size_t> halves;
};
inline const std::vector<block_kind> kept_blocks = {
    {gpt2::dtype::q8_0, {0}},    {gpt2::dtype::q4_0, {0}},    {gpt2::dtype::q5_0, {0}},
    {gpt2::dtype::q4_k, {0, 2}}, {gpt2::dtype::q5_k, {0, 2}}, {gpt2::dtype::q6_k, {208}}};

/// Blocks of any bytes, but finite halves m·2ᵉ, low ≤ e ≤ high ≤ 15.
inline std::vector<std::byte> random_blocks(const block_kind& kind, std::size_t count, int low,
                                            int high, std::mt19937& engine) {
    const std::size_t size = bits(kind.type) / 8;
    std::vector<std::byte> bytes(count * size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(engine() >> 8);
    for (std::size_t at = 0; at < bytes.size(); at += size)
        for (const std::size_t offset : kind.halves) {
            const auto spread = static_cast<unsigned>(high - low + 1);
            const auto exponent = static_cast<unsigned>(low + 15) + engine() % spread;
            const auto half = (engine() & 0x83FF) | exponent << 10;
            bytes[at + offset] = static_cast<std::byte>(half & 255);
            bytes[at + offset + 1] = static_cast<std::byte>(half >> 8);
        }
    return bytes;
}

/// Rows of blocks: a tensor as a file offers it.
inline gpt2::stored_tensor stored_blocks(std::string name, gpt2::dtype type, std::size_t rows,
                                         std::size_t columns, std::vector<std::byte> bytes) {
    const auto source = std::make_shared<gpt2::detail::memory_source>("memory", std::move(bytes));
    return {std::move(name), type, {rows, columns}, source, 0};
}

/// Rows of random blocks, values of the size of a model's weights.
inline gpt2::stored_tensor random_stored(const block_kind& kind, std::size_t rows,
                                         std::size_t columns, std::mt19937& engine,
                                         std::string name = "t") {
    const auto count = rows * columns / block_values(kind.type);
    return stored_blocks(std::move(name), kind.type, rows, columns,
                         random_blocks(kind, count, -14, -8, engine));
}

/// The tensors of a model, all its matrices but the positions in blocks along their inputs.
inline gpt2::weight_store store_of_blocks(const gpt2::config& c, const block_kind& kind) {
    std::mt19937 engine(3);
    gpt2::weight_store result;
    const auto floats = random_weights(c).store();
    for (const auto& tensor : floats.tensors())
        if (tensor.shape().size() < 2 || tensor.name() == "wpe.weight")
            result.add(tensor);
        else if (tensor.name() == "wte.weight" || tensor.name() == "lm_head.weight")
            result.add(random_stored(kind, tensor.rows(), tensor.columns(), engine, tensor.name()));
        else
            result.add(random_stored(kind, tensor.columns(), tensor.rows(), engine, tensor.name())
                           .transposed());
    return result;
}

}  // namespace test
