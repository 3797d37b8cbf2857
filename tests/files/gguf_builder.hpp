// GGUF files for tests, byte by byte: well-formed ones from pairs and tensors, broken ones by
// replacing any of their parts.
#pragma once

#include "safetensors_builder.hpp"

#include <gpt2/detail/gguf.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace test {

using gpt2::detail::gguf_type;

/// A number as it lies in a file.
template <class Number>
std::string raw(Number number) {
    std::string out(sizeof number, '\0');
    std::memcpy(out.data(), &number, sizeof number);
    return out;
}

/// A string as GGUF writes it.
inline std::string sized(std::string_view text) {
    return raw(std::uint64_t{text.size()}) + std::string(text);
}

inline std::string pair(std::string_view key, gguf_type type, std::string_view value) {
    return sized(key) + raw(type) + std::string(value);
}
inline std::string pair(std::string_view key, std::uint32_t value) {
    return pair(key, gguf_type::u32, raw(value));
}
inline std::string pair(std::string_view key, float value) {
    return pair(key, gguf_type::f32, raw(value));
}
inline std::string pair(std::string_view key, const char* value) {
    return pair(key, gguf_type::text, sized(value));
}
inline std::string array(std::string_view key, gguf_type type, std::uint64_t count,
                         std::string_view values) {
    return pair(key, gguf_type::array, raw(type) + raw(count) + std::string(values));
}
inline std::string array(std::string_view key, const std::vector<std::string>& texts) {
    std::string values;
    for (const std::string& text : texts) values += sized(text);
    return array(key, gguf_type::text, texts.size(), values);
}

/// A tensor's entry; the extents as the file has them, fastest first.
inline std::string entry(std::string_view name, const std::vector<std::uint64_t>& extents,
                         std::uint32_t type, std::uint64_t offset) {
    std::string out = sized(name) + raw(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) out += raw(extent);
    return out + raw(type) + raw(offset);
}

/// A file by its parts; counts are those of the parts unless set.
struct gguf_parts {
    std::vector<std::string> pairs = {};
    std::vector<std::string> entries = {};
    std::string values = {};
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint64_t alignment = 32;
    std::optional<std::uint64_t> pair_count = {}, entry_count = {};

    std::string bytes() const {
        std::string out = magic + raw(version) + raw(entry_count.value_or(entries.size())) +
                          raw(pair_count.value_or(pairs.size()));
        for (const std::string& part : pairs) out += part;
        for (const std::string& part : entries) out += part;
        if (!values.empty()) out.resize((out.size() + alignment - 1) / alignment * alignment);
        return out + values;
    }

    /// Adds a tensor behind those there are; the type is F32 unless named.
    void add(std::string_view name, const std::vector<std::uint64_t>& extents,
             std::string_view bytes, std::uint32_t type = 0) {
        values.resize((values.size() + alignment - 1) / alignment * alignment);
        entries.push_back(entry(name, extents, type, values.size()));
        values += bytes;
    }
};

inline gpt2::detail::gguf_file parsed_gguf(std::string_view bytes) {
    return gpt2::detail::read_gguf(in_memory(bytes));
}

/// A file of `count` floats 0, 1/8, ….
inline std::string ramp_bytes(std::size_t count) { return ramp("", {count}).bytes; }

}  // namespace test
