// TensorFlow checkpoints for tests: messages, tables and whole folders, well-formed ones and, part
// by part, broken ones. Checksums are the library's, which has test vectors of its own.
#pragma once

#include "safetensors_builder.hpp"

#include <gpt2/detail/openai_folder.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace test {

template <class Number>
std::string little(Number number) {
    std::string bytes(sizeof number, '\0');
    std::memcpy(bytes.data(), &number, sizeof number);
    return bytes;
}
inline std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}

/// Fields of a message.
inline std::string number_field(std::uint64_t field, std::uint64_t value) {
    return varint(field << 3) + varint(value);
}
inline std::string bytes_field(std::uint64_t field, const std::string& bytes) {
    return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}

/// The value of an index entry: type 1 is f32.
struct bundle_tensor {
    std::uint64_t type = 1;
    std::vector<std::uint64_t> shape = {};
    std::uint64_t shard = 0, offset = 0, size = 0;

    std::string message() const {
        std::string dimensions;
        for (const auto extent : shape) dimensions += bytes_field(2, number_field(1, extent));
        return number_field(1, type) + bytes_field(2, dimensions) + number_field(3, shard) +
               number_field(4, offset) + number_field(5, size);
    }
};
inline std::string bundle_header(std::uint64_t shards = 1) {
    return number_field(1, shards) + bytes_field(3, number_field(1, 1));
}

using table_entries = std::vector<std::pair<std::string, std::string>>;

/// One entry of a block: how many bytes of the key before it are kept, the rest, the value.
inline std::string block_entry(std::uint64_t shared, const std::string& rest,
                               const std::string& value) {
    return varint(shared) + varint(rest.size()) + varint(value.size()) + rest + value;
}
/// A block of these entries, whose first key alone is written whole.
inline std::string block(const std::string& entries) {
    return entries + little(std::uint32_t{0}) + little(std::uint32_t{1});
}
inline std::string block(const table_entries& entries) {
    std::string bytes;
    for (const auto& [key, value] : entries) bytes += block_entry(0, key, value);
    return block(bytes);
}

/// A table whose data blocks are given; their last keys do not matter to a reader that reads all.
class table_builder {
public:
    /// Adds a data block; `type` says how it is compressed.
    table_builder& add(const std::string& contents, char type = 0) {
        index_ += block_entry(0, std::to_string(bytes_.size()), place(contents, type));
        return *this;
    }
    /// Adds an index entry alone.
    table_builder& point_to(std::uint64_t offset, std::uint64_t size) {
        index_ += block_entry(0, "z", varint(offset) + varint(size));
        return *this;
    }
    std::string finish() {
        std::string footer = place(block(std::string()), 0);
        footer += place(block(index_), 0);
        footer.resize(40);
        return bytes_ + footer + little(gpt2::detail::table_magic);
    }

private:
    std::string place(const std::string& contents, char type) {
        const std::string where = varint(bytes_.size()) + varint(contents.size());
        const std::string sealed = contents + type;
        bytes_ += sealed + little(gpt2::detail::masked(gpt2::detail::crc32c(sealed)));
        return where;
    }

    std::string bytes_, index_;
};

inline std::string table(const table_entries& entries) {
    return table_builder().add(block(entries)).finish();
}

/// The tensors of an index whose data files all hold `data`.
inline std::vector<gpt2::stored_tensor> bundle_of(std::string_view index,
                                                  const std::string& data = {}) {
    return gpt2::detail::read_tensor_bundle(
        *in_memory(index), [&](std::uint64_t, std::uint64_t) { return in_memory(data); });
}

/// The tensors of an index of one entry, `t`, with 16 bytes of data.
inline std::vector<gpt2::stored_tensor> entry_of(const std::string& value,
                                                 std::uint64_t shards = 1) {
    return bundle_of(table({{"", bundle_header(shards)}, {"t", value}}), std::string(16, '\0'));
}

}  // namespace test
