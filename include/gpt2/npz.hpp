// Arrays as a file of NumPy's: `numpy.load(file)["h.3.weights"]`.
//
// An .npz file is a zip archive, here with its entries stored as they are, of .npy files (format
// 1.0: a line that says type and shape, padded to 64 bytes, then the numbers, row by row). It is
// there whole or not at all.
//
// Before: recording.hpp, detail/file_sink.hpp, detail/crc32.hpp.
#pragma once

#include "detail/checked.hpp"
#include "detail/crc32.hpp"
#include "detail/file_sink.hpp"
#include "error.hpp"
#include "recording.hpp"
#include "tensor.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// Appends a number, the low bytes first.
template <class Number>
void append_little(std::string& to, std::uint64_t value) {
    for (std::size_t i = 0; i < sizeof(Number); ++i) to += static_cast<char>(value >> 8 * i & 0xFF);
}

/// What stands before the numbers of an array in a file: of float or double, at a multiple of 64.
template <class Scalar>
std::string npy_header(std::span<const std::size_t> shape) {
    std::string text =
        "{'descr': '<f" + std::to_string(sizeof(Scalar)) + "', 'fortran_order': False, 'shape': (";
    for (const auto size : shape) text += std::to_string(size) + ", ";
    text += "), }";
    text.append(63 - (10 + text.size()) % 64, ' ');
    text += '\n';
    std::string header("\x93NUMPY\x01\x00", 8);
    append_little<std::uint16_t>(header, text.size());
    return header + text;
}

}  // namespace detail

/// Writes arrays one after another. One thread at a time.
class npz_writer {
public:
    /// Raises not_found (no such folder), not_regular_file, write_failed.
    explicit npz_writer(const std::filesystem::path& target, existing what = existing::keep)
        : where_(detail::shown(target)), file_(target, what) {}

    /// Adds values of a shape, row by row, under a name of plain ASCII that is new. Raises
    /// invalid_argument where shape and number of values differ, limit_exceeded beyond 4 GiB or
    /// 65535 arrays, write_failed. O(values).
    template <class Scalar>
    void add(std::string_view name, std::span<const std::size_t> shape,
             std::span<const Scalar> values) {
        static_assert(std::endian::native == std::endian::little);
        if (detail::checked_product(shape) != values.size())
            detail::fail(errc::invalid_argument, name, "as many values as the shape says",
                         values.size());
        const auto header = detail::npy_header<Scalar>(shape);
        const std::string_view bytes(reinterpret_cast<const char*>(values.data()),
                                     values.size_bytes());
        begin_entry(std::string(name) + ".npy", header.size() + bytes.size(),
                    detail::crc32(bytes, detail::crc32(header)));
        write(header);
        write(bytes);
    }

    /// The file is complete. Raises write_failed.
    void commit() {
        const auto start = size_;
        require_room(directory_.size());
        write(directory_);
        std::string end;
        detail::append_little<std::uint32_t>(end, 0x06054b50);
        detail::append_little<std::uint32_t>(end, 0);  // one disk
        detail::append_little<std::uint16_t>(end, entries_);
        detail::append_little<std::uint16_t>(end, entries_);
        detail::append_little<std::uint32_t>(end, directory_.size());
        detail::append_little<std::uint32_t>(end, start);
        detail::append_little<std::uint16_t>(end, 0);  // no comment
        write(end);
        file_.commit();
    }

private:
    /// What an entry is, as both its header and the directory say it.
    static std::string description(std::uint64_t size, std::uint32_t checksum,
                                   std::size_t name_size) {
        std::string text;
        detail::append_little<std::uint16_t>(text, 20);  // the version of zip that is needed
        detail::append_little<std::uint32_t>(text, 0);   // no flags, stored
        detail::append_little<std::uint32_t>(text, 0x21u << 16);  // 1980-01-01: no time is known
        detail::append_little<std::uint32_t>(text, checksum);
        detail::append_little<std::uint32_t>(text, size);
        detail::append_little<std::uint32_t>(text, size);
        detail::append_little<std::uint16_t>(text, name_size);
        detail::append_little<std::uint16_t>(text, 0);  // no extra fields
        return text;
    }

    void begin_entry(const std::string& name, std::uint64_t size, std::uint32_t checksum) {
        require_room(size + name.size());
        if (entries_ == std::numeric_limits<std::uint16_t>::max() - 1)
            detail::fail(errc::limit_exceeded, where_, {"at most ", entries_, " arrays"}, "more");
        ++entries_;
        const auto what = description(size, checksum, name.size());
        detail::append_little<std::uint32_t>(directory_, 0x02014b50);
        detail::append_little<std::uint16_t>(directory_, 20);
        directory_ += what;
        directory_.append(2 + 2 + 2 + 4, '\0');  // no comment, one disk, no attributes
        detail::append_little<std::uint32_t>(directory_, size_);
        directory_ += name;
        std::string header;
        detail::append_little<std::uint32_t>(header, 0x04034b50);
        write(header + what + name);
    }

    void require_room(std::uint64_t more) const {
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max() - 1024;
        if (more > most || size_ + directory_.size() > most - more)
            detail::fail(errc::limit_exceeded, where_, "at most 4 GiB of arrays", "more");
    }
    void write(std::string_view bytes) {
        file_.write(bytes);
        size_ += bytes.size();
    }

    std::string where_, directory_;
    detail::file_sink file_;
    std::uint64_t size_ = 0, entries_ = 0;
};

/// Writes all that was recorded, each stage under its name ("embedding", "h.3.q"): (T, C), (T, F),
/// (R, V), scores and weights (H, T, S). Raises what npz_writer raises.
template <class Scalar>
void save_npz(const basic_recording<Scalar>& of, const std::filesystem::path& target,
              existing what = existing::keep) {
    npz_writer to(target, what);
    for (const auto& [s, layer] : of.places()) {
        std::vector<Scalar> values;
        const auto append = [&](cview<Scalar> part) {
            for (std::size_t i = 0; i < part.rows(); ++i)
                values.insert(values.end(), part.row(i).begin(), part.row(i).end());
        };
        std::vector<std::size_t> shape;
        if (of.is_map(s)) {
            const auto first = of.head(s, layer, 0);
            shape = {of.heads(), first.rows(), first.columns()};
            for (std::size_t h = 0; h < of.heads(); ++h) append(of.head(s, layer, h));
        } else {
            const auto all = of.at(s, layer);
            shape = {all.rows(), all.columns()};
            append(all);
        }
        to.add<Scalar>(name(stage_place{s, layer}), shape, values);
    }
    to.commit();
}

}  // namespace gpt2::inline GPT2_ABI
