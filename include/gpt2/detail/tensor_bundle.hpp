// TensorFlow's checkpoints ("tensor bundles"): an index, which is a table of messages in protocol
// buffers' wire format, and one to some data files with the values.
//
// The key of a tensor is its name, the value says type, shape, file, offset and size; the empty key
// comes first and says how many data files there are. Every entry is checked (product, bytes, end
// of file) before the first is handed out. Checksums of values are not verified: that would read
// them all. Partitioned variables are refused by name.
//
// Before: weights.hpp, detail/leveldb_table.hpp. Next: detail/openai_folder.hpp.
#pragma once

#include "../weights.hpp"
#include "leveldb_table.hpp"
#include "protobuf.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

struct bundle_limits {
    static constexpr std::uint64_t shards = 256;  ///< all of them stay open
    static constexpr std::size_t rank = 8;
};

/// The kind of value that TensorFlow numbers so; nothing for those that are no plain numbers.
inline std::optional<dtype> tensorflow_dtype(std::uint64_t number) noexcept {
    switch (number) {
        case 1:
            return dtype::f32;
        case 2:
            return dtype::f64;
        case 3:
            return dtype::i32;
        case 4:
            return dtype::u8;
        case 5:
            return dtype::i16;
        case 6:
            return dtype::i8;
        case 9:
            return dtype::i64;
        case 10:
            return dtype::boolean;
        case 14:
            return dtype::bf16;
        case 19:
            return dtype::f16;
        default:
            return std::nullopt;
    }
}

/// What the index says of one tensor.
struct bundle_entry {
    std::string name;
    std::uint64_t type = 0;
    std::vector<std::size_t> shape;
    std::uint64_t shard = 0, offset = 0, size = 0;
};

inline std::size_t read_bundle_extent(std::string_view bytes, std::string_view where) {
    std::uint64_t extent = 0;
    for (message_reader dimension(bytes, where, errc::bad_weights); dimension.next();)
        if (dimension.field() == 1) extent = dimension.number();
    if (extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail(errc::bad_weights, where, "dimensions that are known", "one that is not");
    return static_cast<std::size_t>(extent);
}

inline std::vector<std::size_t> read_bundle_shape(std::string_view bytes, std::string_view where) {
    std::vector<std::size_t> shape;
    for (message_reader fields(bytes, where, errc::bad_weights); fields.next();) {
        if (fields.field() == 3 && fields.number() != 0)
            fail(errc::bad_weights, where, "a shape that is known", "one that is not");
        if (fields.field() != 2) continue;
        if (shape.size() == bundle_limits::rank)
            fail(errc::limit_exceeded, where, {"at most ", bundle_limits::rank, " dimensions"},
                 "more");
        shape.push_back(read_bundle_extent(fields.bytes(), where));
    }
    return shape;
}

/// BundleEntryProto: 1 type, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum, 7 slices.
[[gnu::cold]] inline bundle_entry read_bundle_entry(std::string_view name, std::string_view bytes,
                                                    const std::string& file) {
    const std::string where = text_of({file, ": ", shown_name(name)});
    bundle_entry entry;
    entry.name = name;
    for (message_reader fields(bytes, where, errc::bad_weights); fields.next();) {
        if (fields.field() == 1) entry.type = fields.number();
        if (fields.field() == 2) entry.shape = read_bundle_shape(fields.bytes(), where);
        if (fields.field() == 3) entry.shard = fields.number();
        if (fields.field() == 4) entry.offset = fields.number();
        if (fields.field() == 5) entry.size = fields.number();
        if (fields.field() == 7)
            fail(errc::unsupported, where, "it is partitioned into slices: not supported");
    }
    return entry;
}

/// BundleHeaderProto: 1 number of data files, 2 order of bytes (0: little-endian), 3 version.
[[gnu::cold]] inline std::uint64_t read_bundle_header(std::string_view bytes,
                                                      std::string_view where) {
    std::uint64_t shards = 0;
    for (message_reader fields(bytes, where, errc::bad_weights); fields.next();) {
        if (fields.field() == 1) shards = fields.number();
        if (fields.field() == 2 && fields.number() != 0)
            fail(errc::unsupported, where, "little-endian values", "big-endian ones");
    }
    if (shards == 0) fail(errc::bad_weights, where, "the number of data files", "none");
    if (shards > bundle_limits::shards)
        fail(errc::limit_exceeded, where, {"at most ", bundle_limits::shards, " data files"},
             shards);
    return shards;
}

/// Opens data file `number` of `count`.
using open_shard =
    std::function<std::shared_ptr<const byte_source>(std::uint64_t number, std::uint64_t count)>;

/// The tensor of an entry. Throws errc::bad_weights where size and shape disagree.
[[gnu::cold]] inline stored_tensor tensor_of_entry(bundle_entry entry, dtype type,
                                                   std::shared_ptr<const byte_source> data) {
    stored_tensor tensor(std::move(entry.name), type, std::move(entry.shape), std::move(data),
                         entry.offset);
    if (tensor.bytes() != entry.size)
        fail(errc::bad_weights, {tensor.file(), ": ", shown_name(tensor.name())},
             {tensor.bytes(), " bytes for ", shown_shape(tensor.shape())}, entry.size);
    return tensor;
}

/// All tensors of numbers, in ascending order of names; tensors of text and the like, which hold no
/// weights, are passed over. Throws what reading the table throws, and errc::bad_weights,
/// errc::truncated, errc::limit_exceeded, errc::unsupported.
[[gnu::cold]] inline std::vector<stored_tensor> read_tensor_bundle(const byte_source& index,
                                                                   const open_shard& open_data) {
    std::vector<bundle_entry> entries;
    std::uint64_t count = 0;
    bool first = true;
    read_table(index, [&](std::string_view key, std::string_view value) {
        if (std::exchange(first, false)) {
            if (!key.empty()) fail(errc::bad_weights, index.name(), "a header", printable(key));
            count = read_bundle_header(value, index.name());
        } else {
            entries.push_back(read_bundle_entry(key, value, index.name()));
        }
    });
    if (count == 0) fail(errc::bad_weights, index.name(), "a header", "an empty table");
    std::vector<std::shared_ptr<const byte_source>> shards(static_cast<std::size_t>(count));
    std::vector<stored_tensor> tensors;
    for (bundle_entry& entry : entries) {
        const auto type = tensorflow_dtype(entry.type);
        if (!type) continue;
        if (entry.shard >= count)
            fail(errc::bad_weights, {index.name(), ": ", shown_name(entry.name)},
                 {"one of ", count, " data files"}, entry.shard);
        auto& data = shards[static_cast<std::size_t>(entry.shard)];
        if (!data) data = open_data(entry.shard, count);
        tensors.push_back(tensor_of_entry(std::move(entry), *type, data));
    }
    return tensors;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
