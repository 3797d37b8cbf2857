// A sorted table of keys and values in LevelDB's format, which TensorFlow's checkpoints use for
// their index.
//
// A file is blocks and, in its last 48 bytes, where the index block lies, which names the others.
// A block is entries whose keys leave out what they share with the one before, the places where a
// key is written whole, and a checksum. Every block's checksum is verified; blocks follow each
// other without overlap and keys ascend strictly, so nothing can be there twice.
//
// Before: detail/byte_reader.hpp, detail/byte_source.hpp. Next: detail/tensor_bundle.hpp.
#pragma once

#include "byte_reader.hpp"
#include "byte_source.hpp"
#include "checked.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Far above what the index of any GPT-2 needs: xl has 580 tensors, 1,740 with an optimiser's.
struct table_limits {
    static constexpr std::uint64_t file_bytes = std::uint64_t{16} << 20;
    static constexpr std::size_t entries = 16384, key_bytes = 256;
};
inline constexpr std::size_t table_footer_bytes = 48;
inline constexpr std::uint64_t table_magic = 0xdb4775248b80fb57u;

/// CRC-32C (Castagnoli polynomial, reflected): RFC 3720, appendix B.4.
inline constexpr auto crc32c_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0u);
        table[i] = crc;
    }
    return table;
}();
inline std::uint32_t crc32c(std::string_view bytes) noexcept {
    std::uint32_t crc = ~0u;
    for (const char byte : bytes)
        crc = crc >> 8 ^ crc32c_table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
    return ~crc;
}

/// A checksum as it is stored: checksums of data that holds checksums are weak, so they are masked.
constexpr std::uint32_t masked(std::uint32_t crc) noexcept {
    return std::rotr(crc, 15) + 0xA282EAD8u;
}

/// Where a block lies, without the 5 bytes behind it: how it is compressed, and its checksum.
struct block_place {
    std::uint64_t offset = 0, size = 0;
};

inline block_place read_block_place(byte_reader& reader) {
    block_place place;
    place.offset = reader.varint();
    place.size = reader.varint();
    return place;
}

/// What is done with an entry; the views hold during the call.
using table_entry = std::function<void(std::string_view key, std::string_view value)>;

/// Reads a table that lies whole in memory.
class table_reader {
public:
    table_reader(std::string_view file, std::string_view where) : file_(file), where_(where) {}

    void read(const table_entry& take) {
        const std::size_t body = file_.size() - table_footer_bytes;
        byte_reader footer(file_.substr(body), where_, errc::bad_weights);
        const block_place filters = read_block_place(footer), index = read_block_place(footer);
        while (footer.left() > sizeof table_magic)
            if (footer.number<std::uint8_t>() != 0) footer.refuse("zeros", "something else");
        read_block(filters, [](std::string_view, std::string_view) {});  // they only speed searches
        std::uint64_t next = 0;
        std::string last;
        read_block(index, [&](std::string_view, std::string_view value) {
            byte_reader reader(value, where_, errc::bad_weights);
            const block_place place = read_block_place(reader);
            if (!reader.empty()) reader.refuse("the place of a block", "more than that");
            if (place.offset < next) refuse("blocks behind each other", "two that overlap");
            read_block(place, [&](std::string_view key, std::string_view contents) {
                if (entries_ != 0 && key <= last) refuse("keys that ascend", printable(key));
                if (++entries_ > table_limits::entries)
                    fail(errc::limit_exceeded, where_,
                         {"at most ", table_limits::entries, " entries"}, "more");
                last = key;
                take(key, contents);
            });
            next = place.offset + place.size + trailer_bytes;
        });
    }

private:
    static constexpr std::size_t trailer_bytes = 5;  // of a block

    /// The entries of a block, checked against its checksum.
    void read_block(block_place place, const table_entry& take) const {
        const std::size_t body = file_.size() - table_footer_bytes;
        const auto end = checked_add(place.offset, place.size);
        if (!end || *end > body || body - *end < trailer_bytes)
            fail(errc::truncated, where_, {place.size, " bytes at offset ", place.offset},
                 {"an end after ", body, " bytes"});
        const auto at = static_cast<std::size_t>(place.offset);
        const auto size = static_cast<std::size_t>(place.size);
        byte_reader rest(file_.substr(at + size, trailer_bytes), where_, errc::bad_weights);
        const auto type = rest.number<std::uint8_t>();
        if (masked(crc32c(file_.substr(at, size + 1))) != rest.number<std::uint32_t>())
            refuse({"the checksum of the block at offset ", place.offset}, "another");
        if (type != 0)
            fail(errc::unsupported, where_, "blocks that are not compressed",
                 {type == 1 ? "Snappy's" : "some other", " compression"});
        read_entries(file_.substr(at, size), take);
    }

    void read_entries(std::string_view block, const table_entry& take) const {
        constexpr std::size_t count_bytes = sizeof(std::uint32_t);
        if (block.size() < count_bytes) refuse("a block with its count of whole keys", "none");
        byte_reader tail(block.substr(block.size() - count_bytes), where_, errc::bad_weights);
        const std::uint64_t whole_keys = tail.number<std::uint32_t>();
        if (whole_keys > (block.size() - count_bytes) / sizeof(std::uint32_t))
            refuse("no more whole keys than fit the block", whole_keys);
        const std::size_t tail_bytes =
            count_bytes + static_cast<std::size_t>(whole_keys) * sizeof(std::uint32_t);
        byte_reader reader(block.substr(0, block.size() - tail_bytes), where_, errc::bad_weights);
        std::string key;
        while (!reader.empty()) {
            const auto shared = reader.varint(), fresh = reader.varint(), value = reader.varint();
            if (shared > key.size()) reader.refuse("a part of the key before it", shared);
            if (fresh > table_limits::key_bytes - shared)
                fail(errc::limit_exceeded, where_,
                     {"keys of at most ", table_limits::key_bytes, " bytes"}, "a longer one");
            key.resize(static_cast<std::size_t>(shared));
            key += reader.take(fresh);
            take(key, reader.take(value));
        }
    }

    [[noreturn, gnu::noinline, gnu::cold]] void refuse(const phrase& expected,
                                                       const phrase& found) const {
        fail(errc::bad_weights, where_, expected, found);
    }

    std::string_view file_, where_;
    std::size_t entries_ = 0;
};

/// Whether the last 48 bytes of a file are the end of a table.
inline bool looks_like_table(std::string_view footer) {
    return footer.size() == table_footer_bytes &&
           number_at<std::uint64_t>(footer, table_footer_bytes - 8) == table_magic;
}

/// Calls `take` with every entry, in ascending order of keys. Throws errc::limit_exceeded,
/// errc::truncated, errc::bad_weights, errc::unsupported (compressed blocks). The table is held in
/// memory meanwhile.
[[gnu::cold]] inline void read_table(const byte_source& source, const table_entry& take) {
    if (source.size() > table_limits::file_bytes)
        fail(errc::limit_exceeded, source.name(),
             {"at most ", table_limits::file_bytes, " bytes of index"}, source.size());
    if (source.size() < table_footer_bytes)
        fail(errc::truncated, source.name(), {"at least ", table_footer_bytes, " bytes"},
             source.size());
    std::string file(static_cast<std::size_t>(source.size()), '\0');
    source.read(0, std::as_writable_bytes(std::span(file)));
    if (!looks_like_table(std::string_view(file).substr(file.size() - table_footer_bytes)))
        fail(errc::bad_weights, source.name(), "the number that ends a table", "another");
    table_reader(file, source.name()).read(take);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
