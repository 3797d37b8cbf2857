// The list of a zip archive: which bytes of the file each entry is.
//
// For archives whose entries are stored as they are, as PyTorch writes them; compressed or
// encrypted entries, several disks and the like are refused by name. The central directory and the
// header before each entry must tell the same story, and entries lie apart from each other, so that
// no two readers can see different files in one archive. Values are not read here.
//
// Before: byte_source.hpp. Next: detail/pytorch.hpp.
#pragma once

#include "byte_source.hpp"
#include "checked.hpp"
#include "byte_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

struct zip_limits {
    static constexpr std::size_t directory_bytes = std::size_t{8} << 20;
    static constexpr std::size_t entries = 65536;
    static constexpr std::size_t name_bytes = 512;
};

/// Where the bytes of an entry lie.
struct zip_entry {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};
using zip_directory = std::map<std::string, zip_entry, std::less<>>;

/// Reads the list of one archive. Throws errc::bad_weights, errc::truncated, errc::limit_exceeded,
/// errc::unsupported, errc::read_failed.
class zip_reader {
public:
    explicit zip_reader(const byte_source& file) : file_(file) {}

    zip_directory read() {
        const auto place = find_directory();
        const std::string bytes = bytes_at(place.offset, static_cast<std::size_t>(place.size));
        const std::string where = text_of({file_.name(), ": zip directory"});
        byte_reader in(bytes, where, errc::bad_weights);
        zip_directory entries;
        for (std::uint64_t i = 0; i < place.entries; ++i) read_entry(in, place, entries);
        if (in.left() != 0) refuse("an end of the directory", {in.left(), " more bytes"});
        check_apart(place.offset);
        return entries;
    }

private:
    struct directory_place {
        std::uint64_t offset = 0, size = 0, entries = 0;
    };
    /// An entry of the directory as it is written, before anything is believed.
    struct stated_entry {
        std::string name;
        unsigned flags = 0;
        std::uint64_t packed = 0, size = 0, header = 0;
    };
    struct extent {
        std::uint64_t begin, end;
    };

    static constexpr std::uint32_t end_mark = 0x06054b50, end64_mark = 0x06064b50,
                                   locator_mark = 0x07064b50, entry_mark = 0x02014b50,
                                   header_mark = 0x04034b50;
    static constexpr std::size_t end_size = 22, end64_size = 56, locator_size = 20, entry_size = 46,
                                 header_size = 30;
    static constexpr std::uint64_t saturated16 = 0xffff, saturated32 = 0xffffffff;

    [[noreturn, gnu::noinline, gnu::cold]] void refuse(const phrase& expected,
                                                       const phrase& found) const {
        fail(errc::bad_weights, {file_.name(), ": zip"}, expected, found);
    }
    std::string bytes_at(std::uint64_t offset, std::size_t size) const {
        std::string bytes(size, '\0');
        file_.read(offset, std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
        return bytes;
    }

    /// Where the record that ends an archive begins: it reaches, with its comment, to the last
    /// byte.
    std::uint64_t find_end() const {
        if (file_.size() < end_size) fail_no_end();
        const auto most = std::min<std::uint64_t>(file_.size(), end_size + saturated16);
        const std::uint64_t first = file_.size() - most;
        const std::string tail = bytes_at(first, static_cast<std::size_t>(most));
        for (std::size_t at = tail.size() - end_size + 1; at-- > 0;)
            if (number_at<std::uint32_t>(tail, at) == end_mark &&
                number_at<std::uint16_t>(tail, at + 20) == tail.size() - at - end_size)
                return first + at;
        fail_no_end();
    }
    [[noreturn, gnu::noinline, gnu::cold]] void fail_no_end() const {
        fail(errc::truncated, file_.name(), "the end of a zip archive",
             {"none in ", file_.size(), " bytes (is the download complete?)"});
    }

    directory_place find_directory() const {
        std::uint64_t end = find_end();
        const std::string record = bytes_at(end + 4, end_size - 4);
        byte_reader in(record, file_.name(), errc::bad_weights);
        const auto disk = in.number<std::uint16_t>(), first_disk = in.number<std::uint16_t>();
        const auto here = in.number<std::uint16_t>();
        directory_place place;
        place.entries = in.number<std::uint16_t>();
        place.size = in.number<std::uint32_t>();
        place.offset = in.number<std::uint32_t>();
        if (here != place.entries || (disk != 0 && disk != saturated16) ||
            (first_disk != 0 && first_disk != saturated16))
            fail(errc::unsupported, file_.name(), "a zip archive on one disk", "several");
        if (const auto wide = find_wide_end(end)) {
            const auto agree = [&](std::uint64_t narrow, std::uint64_t full,
                                   std::uint64_t saturated) {
                if (narrow != saturated && narrow != full)
                    refuse({"zip64 records that agree: ", narrow}, full);
            };
            agree(place.entries, wide->entries, saturated16);
            agree(place.size, wide->size, saturated32);
            agree(place.offset, wide->offset, saturated32);
            place = *wide;
        }
        if (place.size > zip_limits::directory_bytes || place.entries > zip_limits::entries)
            fail(errc::limit_exceeded, {file_.name(), ": zip"},
                 {"at most ", zip_limits::entries, " entries in ", zip_limits::directory_bytes,
                  " bytes"},
                 {place.entries, " in ", place.size});
        if (place.entries * entry_size > place.size)
            refuse({"a directory of ", place.entries, " entries"}, {place.size, " bytes"});
        if (checked_add(place.offset, place.size) != end)
            refuse({"a directory that ends at ", end},
                   {place.size, " bytes at offset ", place.offset});
        return place;
    }

    /// The zip64 record before the end record, when there is one; `end` then moves to it.
    std::optional<directory_place> find_wide_end(std::uint64_t& end) const {
        if (end < locator_size + end64_size) return std::nullopt;
        const std::string locator = bytes_at(end - locator_size, locator_size);
        if (number_at<std::uint32_t>(locator, 0) != locator_mark) return std::nullopt;
        const auto at = number_at<std::uint64_t>(locator, 8);
        if (at != end - locator_size - end64_size)
            refuse({"a zip64 record at ", end - locator_size - end64_size}, at);
        const std::string record = bytes_at(at, end64_size);
        byte_reader in(record, file_.name(), errc::bad_weights);
        const auto mark = in.number<std::uint32_t>();
        const auto size = in.number<std::uint64_t>();
        if (mark != end64_mark || size != end64_size - 12)
            refuse({"a zip64 record of ", end64_size - 12, " bytes"}, size);
        in.take(4);  // versions
        const auto disk = in.number<std::uint32_t>(), first_disk = in.number<std::uint32_t>();
        const auto here = in.number<std::uint64_t>();
        directory_place place;
        place.entries = in.number<std::uint64_t>();
        place.size = in.number<std::uint64_t>();
        place.offset = in.number<std::uint64_t>();
        if (disk != 0 || first_disk != 0 || here != place.entries)
            fail(errc::unsupported, file_.name(), "a zip archive on one disk", "several");
        end = at;
        return place;
    }

    void read_entry(byte_reader& in, const directory_place& place, zip_directory& entries) {
        if (in.number<std::uint32_t>() != entry_mark) refuse("an entry of the directory", "none");
        in.take(4);  // versions
        stated_entry entry;
        entry.flags = in.number<std::uint16_t>();
        const unsigned method = in.number<std::uint16_t>();
        in.take(4 + 4);  // time, checksum
        entry.packed = in.number<std::uint32_t>();
        entry.size = in.number<std::uint32_t>();
        const std::size_t name = in.number<std::uint16_t>(), extra = in.number<std::uint16_t>(),
                          comment = in.number<std::uint16_t>();
        const unsigned disk = in.number<std::uint16_t>();
        in.take(2 + 4);  // attributes
        entry.header = in.number<std::uint32_t>();
        entry.name = in.take(name);
        read_wide_sizes(in.take(extra), entry);
        in.take(comment);
        const auto where = [&] {
            return text_of({file_.name(), ": zip entry ", printable(entry.name)});
        };
        if (name == 0 || name > zip_limits::name_bytes)
            fail(errc::limit_exceeded, where(), {"names of 1 to ", zip_limits::name_bytes}, name);
        if ((entry.flags & 1) != 0) fail(errc::unsupported, where(), "is encrypted");
        if (method != 0)
            fail(errc::unsupported, where(), "an entry stored as it is",
                 {"compression method ", method});
        if (disk != 0 && disk != saturated16) fail(errc::unsupported, where(), "lies elsewhere");
        if (entry.packed != entry.size)
            fail(errc::bad_weights, where(), {entry.size, " bytes"}, entry.packed);
        const zip_entry found = check_header(entry, place.offset, where());
        extents_.push_back({entry.header, found.offset + found.size});
        if (!entries.try_emplace(std::move(entry.name), found).second)
            fail(errc::bad_weights, file_.name(), "a zip entry is there twice");
    }

    /// Extra field 1 holds, in this order, what does not fit 32 bits.
    void read_wide_sizes(std::string_view extra, stated_entry& entry) const {
        const std::string where = text_of({file_.name(), ": zip extra field"});
        byte_reader in(extra, where, errc::bad_weights);
        while (in.left() >= 4) {
            const unsigned id = in.number<std::uint16_t>();
            const std::string_view field = in.take(in.number<std::uint16_t>());
            if (id != 1) continue;
            byte_reader wide(field, where, errc::bad_weights);
            for (auto* value : {&entry.size, &entry.packed, &entry.header})
                if (*value == saturated32) *value = wide.number<std::uint64_t>();
            return;
        }
    }

    /// The header before an entry's bytes must name the same entry; where its sizes follow the
    /// bytes instead (flag 8) only the directory has them.
    zip_entry check_header(const stated_entry& entry, std::uint64_t directory,
                           const std::string& where) const {
        const auto fits = checked_add<std::uint64_t>(entry.header, header_size);
        if (!fits || *fits > directory)
            fail(errc::bad_weights, where, {"a header before ", directory}, entry.header);
        const std::string header = bytes_at(entry.header, header_size);
        byte_reader in(header, where, errc::bad_weights);
        const auto mark = in.number<std::uint32_t>();
        in.take(2);  // version
        const unsigned flags = in.number<std::uint16_t>(), method = in.number<std::uint16_t>();
        in.take(4 + 4);  // time, checksum
        const std::uint64_t packed = in.number<std::uint32_t>(), size = in.number<std::uint32_t>();
        const std::size_t name = in.number<std::uint16_t>(), extra = in.number<std::uint16_t>();
        const bool sizes_follow = (flags & 8) != 0;
        const auto agrees = [&](std::uint64_t local, std::uint64_t stated) {
            return local == stated || local == saturated32 || (sizes_follow && local == 0);
        };
        if (mark != header_mark || method != 0 || name != entry.name.size() ||
            ((flags ^ entry.flags) & 1) != 0 || !agrees(packed, entry.packed) ||
            !agrees(size, entry.size))
            fail(errc::bad_weights, where, "a header that agrees with the directory", "another");
        const auto begin = checked_add<std::uint64_t>(*fits, name + extra);
        const auto end = begin ? checked_add(*begin, entry.size) : std::nullopt;
        if (!end || *end > directory)
            fail(errc::truncated, where, {entry.size, " bytes before ", directory},
                 {"an entry at ", entry.header});
        if (bytes_at(*fits, name) != entry.name)
            fail(errc::bad_weights, where, "a header that agrees with the directory", "a name");
        return {*begin, entry.size};
    }

    void check_apart(std::uint64_t directory) {
        std::sort(extents_.begin(), extents_.end(),
                  [](const extent& a, const extent& b) { return a.begin < b.begin; });
        for (std::size_t i = 0; i < extents_.size(); ++i) {
            const auto next = i + 1 < extents_.size() ? extents_[i + 1].begin : directory;
            if (extents_[i].end > next)
                refuse({"entries apart, the next at ", extents_[i].end}, next);
        }
    }

    const byte_source& file_;
    std::vector<extent> extents_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
