// Safetensors files for tests, made as text: well-formed ones from a list of tensors, broken ones
// from a header written by hand. Sources in memory and in a file, so that every case runs on both.
#pragma once

#include "../support/catch.hpp"
#include "../support/files.hpp"

#include <gpt2/detail/byte_source.hpp>
#include <gpt2/detail/safetensors.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace test {

/// What the error that `action` raises says.
template <class Action>
std::string message_of(Action&& action) {
    const auto problem = error_of(action);
    return problem ? problem->what() : "no error";
}

/// `length` as the 8 bytes that begin a file.
inline std::string length_bytes(std::uint64_t length) {
    std::string out;
    for (int i = 0; i < 8; ++i) out += static_cast<char>(length >> (8 * i) & 0xff);
    return out;
}

/// A file of that header and those values.
inline std::string with_header(std::string_view header, std::string_view values = {}) {
    return length_bytes(header.size()) + std::string(header) + std::string(values);
}

/// The object bytes of `values`, as they lie in memory.
template <class Value>
std::string bytes_of(const std::vector<Value>& values) {
    std::string out(values.size() * sizeof(Value), '\0');
    if (!values.empty()) std::memcpy(out.data(), values.data(), out.size());
    return out;
}

struct tensor {
    std::string name;
    std::string dtype;
    std::vector<std::size_t> shape;
    std::string bytes;
};

/// float32 values 0, 1/8, 2/8, … of that shape.
inline tensor ramp(std::string name, std::vector<std::size_t> shape) {
    std::size_t count = 1;
    for (const std::size_t extent : shape) count *= extent;
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 1024) / 8;
    return {std::move(name), "F32", std::move(shape), bytes_of(values)};
}

/// A well-formed file of these tensors, in their order.
inline std::string safetensors(const std::vector<tensor>& tensors) {
    std::string header = "{", values;
    for (const tensor& t : tensors) {
        if (header.size() > 1) header += ',';
        header += '"' + t.name + R"(":{"dtype":")" + t.dtype + R"(","shape":[)";
        for (std::size_t i = 0; i < t.shape.size(); ++i) {
            if (i != 0) header += ',';
            header += std::to_string(t.shape[i]);
        }
        header += R"(],"data_offsets":[)" + std::to_string(values.size()) + ',';
        values += t.bytes;
        header += std::to_string(values.size()) + "]}";
    }
    return with_header(header + '}', values);
}

inline std::shared_ptr<gpt2::detail::memory_source> in_memory(std::string_view bytes) {
    const auto view = std::as_bytes(std::span(bytes.data(), bytes.size()));
    return std::make_shared<gpt2::detail::memory_source>(
        "test.safetensors", std::vector<std::byte>(view.begin(), view.end()));
}

/// What the parser makes of these bytes.
inline gpt2::detail::safetensors_file parsed(std::string_view bytes) {
    return gpt2::detail::read_safetensors(in_memory(bytes));
}

/// The values of a whole tensor.
template <class Scalar = float>
std::vector<Scalar> values_of(const gpt2::stored_tensor& tensor) {
    std::vector<Scalar> out(tensor.size());
    tensor.read_rows<Scalar>(0, tensor.rows(), out);
    return out;
}

}  // namespace test
