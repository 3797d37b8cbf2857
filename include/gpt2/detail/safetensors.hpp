// One safetensors file: 8 bytes of header length, a JSON header, then the values.
//
// Accepts a subset of what the reference reader accepts: duplicate keys, unknown fields and names
// or ranks beyond the limits below are refused too. The header is read as a stream of events, no
// document is built; every tensor is checked (product, bytes, no hole, no overlap, exact end of
// file) before the first one is handed out. Values may begin at any address.
//
// Before: weights.hpp, detail/json.hpp. Next: detail/hf_folder.hpp.
#pragma once

#include "../weights.hpp"
#include "byte_reader.hpp"
#include "json.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Far above any GPT-2: gpt2-xl has 580 tensors and a header of 60 KB.
struct safetensors_limits {
    static constexpr std::uint64_t header_bytes = std::uint64_t{16} << 20;
    static constexpr std::size_t tensors = 65536;
    static constexpr std::size_t metadata = 65536;
    static constexpr std::size_t name_bytes = 1024;
    static constexpr std::size_t rank = 8;
};

/// Whether a file that begins with these bytes, 9 or more, is meant to be one.
inline bool looks_like_safetensors(std::string_view first) {
    return first.size() > 8 && number_at<std::uint64_t>(first, 0) <= 100'000'000 &&
           std::string_view("{ \t\r\n").find(first[8]) != std::string_view::npos;
}

/// One entry of the header as it is written, before anything is believed.
struct safetensors_entry {
    std::string name;
    dtype type = dtype::f32;
    std::vector<std::size_t> shape;
    std::uint64_t begin = 0;  // of its values, behind the header
    std::uint64_t end = 0;
    bool has_type = false;
    bool has_shape = false;
    unsigned offsets_read = 0;  // 2 when both are there
};

/// Takes the events of the header's JSON; everything out of its place is refused at once.
class safetensors_header final : public json_events {
public:
    explicit safetensors_header(const std::string& where) : where_(where) {}

    std::vector<safetensors_entry> entries;
    json_value::object metadata;

    void null() override { refuse("null"); }
    void boolean(bool) override { refuse("true or false"); }
    void negative_number(std::int64_t) override { refuse("a negative number"); }
    void real_number(double) override {
        refuse("a number with a fraction, an exponent or beyond 64 bits");
    }
    void whole_number(std::uint64_t value) override {
        if (place_ == place::shape) {
            auto& shape = entries.back().shape;
            if (shape.size() == safetensors_limits::rank)
                fail(errc::limit_exceeded, tensor_where(),
                     {"at most ", safetensors_limits::rank, " dimensions"}, "more");
            if (value > std::numeric_limits<std::size_t>::max())
                fail(errc::limit_exceeded, tensor_where(), "a dimension this machine can count",
                     value);
            shape.push_back(static_cast<std::size_t>(value));
        } else if (place_ == place::offsets && entries.back().offsets_read < 2) {
            auto& entry = entries.back();
            (entry.offsets_read++ == 0 ? entry.begin : entry.end) = value;
        } else {
            refuse("a number");
        }
    }
    void string(std::string& value) override {
        if (place_ == place::metadata) {
            *metadata_value_ = json_value(std::move(value));
        } else if (place_ == place::tensor && field_ == "dtype") {
            entries.back().type = type_named(value);
            entries.back().has_type = true;
        } else {
            refuse("a string");
        }
    }

    void start_object() override {
        if (place_ == place::outside) {
            place_ = place::file;
        } else if (place_ == place::file) {
            place_ = in_metadata_ ? place::metadata : place::tensor;
        } else {
            refuse("an object");
        }
    }
    void end_object() override {
        if (place_ == place::tensor) check_complete();
        place_ = place_ == place::file ? place::outside : place::file;
    }
    void start_array() override {
        if (place_ == place::tensor && field_ == "shape") {
            place_ = place::shape;
        } else if (place_ == place::tensor && field_ == "data_offsets") {
            place_ = place::offsets;
        } else {
            refuse("an array");
        }
    }
    void end_array() override {
        if (place_ == place::offsets && entries.back().offsets_read != 2)
            fail(errc::bad_weights, tensor_where(), "two data_offsets",
                 entries.back().offsets_read);
        place_ = place::tensor;
    }
    void key(std::string& name) override {
        if (place_ == place::file) {
            begin_entry(name);
        } else if (place_ == place::metadata) {
            begin_metadata(name);
        } else {
            begin_field(name);
        }
    }

private:
    enum class place { outside, file, metadata, tensor, shape, offsets };

    void begin_entry(const std::string& name) {
        in_metadata_ = name == "__metadata__";
        if (in_metadata_) {
            if (std::exchange(had_metadata_, true)) fail_twice(where_, name);
            return;
        }
        if (name.empty()) fail(errc::bad_weights, where_, "names of tensors", "an empty one");
        if (name.size() > safetensors_limits::name_bytes)
            fail(errc::limit_exceeded, where_,
                 {"names of at most ", safetensors_limits::name_bytes, " bytes"}, name.size());
        if (entries.size() == safetensors_limits::tensors)
            fail(errc::limit_exceeded, where_,
                 {"at most ", safetensors_limits::tensors, " tensors"}, "more");
        entries.emplace_back().name = name;
    }
    void begin_metadata(const std::string& name) {
        const auto [entry, fresh] = metadata.try_emplace(name);
        if (!fresh) fail_twice({where_, ": __metadata__"}, name);
        if (metadata.size() > safetensors_limits::metadata)
            fail(errc::limit_exceeded, {where_, ": __metadata__"},
                 {"at most ", safetensors_limits::metadata, " entries"}, "more");
        metadata_value_ = &entry->second;
    }
    void begin_field(const std::string& name) {
        auto& entry = entries.back();
        field_ = name;
        if (name == "dtype") {
            if (entry.has_type) fail_twice(tensor_where(), name);
        } else if (name == "shape") {
            if (std::exchange(entry.has_shape, true)) fail_twice(tensor_where(), name);
        } else if (name == "data_offsets") {
            if (entry.offsets_read != 0) fail_twice(tensor_where(), name);
        } else {
            fail(errc::bad_weights, tensor_where(), "dtype, shape and data_offsets",
                 printable(name, 40));
        }
    }
    void check_complete() const {
        const auto& entry = entries.back();
        const char* absent = !entry.has_type           ? "dtype"
                             : !entry.has_shape        ? "shape"
                             : entry.offsets_read != 2 ? "data_offsets"
                                                       : nullptr;
        if (absent != nullptr) fail(errc::bad_weights, tensor_where(), {absent, " is missing"});
        if (entry.end < entry.begin)
            fail(errc::bad_weights, tensor_where(), "data_offsets in order",
                 {entry.begin, " before ", entry.end});
    }
    dtype type_named(std::string_view text) const {
        for (const auto& known : dtype_table)
            if (known.name == text && known.values == 1) return known.type;
        fail(errc::unsupported, tensor_where(), "a known dtype", printable(text, 40));
    }
    [[gnu::noinline, gnu::cold]] std::string tensor_where() const {
        return text_of({where_, ": ", shown_name(entries.back().name)});
    }

    [[noreturn, gnu::noinline, gnu::cold]] static void fail_twice(const phrase& where,
                                                                  std::string_view key) {
        fail(errc::bad_json, where, {"the key ", printable(key, 60), " occurs twice"});
    }
    [[noreturn, gnu::noinline, gnu::cold]] void refuse(std::string_view found) const {
        switch (place_) {
            case place::outside:
                fail(errc::bad_weights, where_, "a header {…}", found);
            case place::metadata:
                fail(errc::bad_weights, {where_, ": __metadata__"}, "strings only", found);
            case place::file:
                if (in_metadata_)
                    fail(errc::bad_weights, {where_, ": __metadata__"}, "an object", found);
                fail(errc::bad_weights, tensor_where(), "an object", found);
            case place::shape:
                fail(errc::bad_weights, {tensor_where(), ": shape"}, "non-negative integers",
                     found);
            case place::offsets:
                fail(errc::bad_weights, {tensor_where(), ": data_offsets"},
                     "two non-negative integers", found);
            case place::tensor:
                break;
        }
        fail(errc::bad_weights, {tensor_where(), ": ", field_},
             field_ == "dtype" ? "a string" : "an array", found);
    }

    std::string where_;
    place place_ = place::outside;
    bool in_metadata_ = false;
    bool had_metadata_ = false;
    std::string field_;
    json_value* metadata_value_ = nullptr;
};

/// Names the file when its first bytes are those of something else that lands in model folders.
[[gnu::cold]] inline void refuse_foreign_file(const byte_source& file) {
    struct signature {
        std::string_view begin;
        errc code;
        std::string_view meaning;
    };
    static constexpr std::array<signature, 6> known{{
        {"version https://git-lfs", errc::truncated,
         "is a Git LFS pointer, not the weights: the download is not complete"},
        {"GGUF", errc::bad_weights, "is a GGUF file, not safetensors"},
        {"PK\x03\x04", errc::bad_weights, "is a zip archive (perhaps of PyTorch), not safetensors"},
        {"\x89HDF", errc::bad_weights, "is an HDF5 file, not safetensors"},
        {"<!DOCTYPE", errc::bad_weights, "is a web page: the download went wrong"},
        {"<html", errc::bad_weights, "is a web page: the download went wrong"},
    }};
    std::array<char, 32> bytes{};
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), bytes.size()));
    file.read(0, std::as_writable_bytes(std::span(bytes).first(count)));
    for (const auto& [begin, code, meaning] : known)
        if (std::string_view(bytes.data(), count).starts_with(begin))
            fail(code, file.name(), {meaning, " (", file.size(), " bytes)"});
}

/// The text of the header, its length checked before anything is allocated.
[[gnu::cold]] inline std::string safetensors_header_text(const byte_source& file) {
    refuse_foreign_file(file);
    constexpr std::uint64_t prefix = 8;
    if (file.size() < prefix) fail(errc::truncated, file.name(), "at least 8 bytes", file.size());
    std::array<std::byte, prefix> bytes{};
    file.read(0, bytes);
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < prefix; ++i)
        length |= std::uint64_t{std::to_integer<unsigned>(bytes[i])} << (8 * i);
    if (length > safetensors_limits::header_bytes)
        fail(errc::limit_exceeded, file.name(),
             {"a header of at most ", safetensors_limits::header_bytes, " bytes"}, length);
    if (length > file.size() - prefix)
        fail(errc::truncated, file.name(), {"a header of ", length, " bytes behind the first 8"},
             file.size() - prefix);
    std::string text(static_cast<std::size_t>(length), '\0');
    file.read(prefix, std::as_writable_bytes(std::span(text.data(), text.size())));
    return text;
}

/// The bytes of one entry, from type and shape; they must be those its offsets enclose.
[[gnu::cold]] inline void check_entry_bytes(const safetensors_entry& entry,
                                            const std::string& file) {
    const auto where = [&] { return text_of({file, ": ", shown_name(entry.name)}); };
    const auto values = checked_product<std::size_t>(entry.shape);
    const auto size =
        values ? checked_multiply<std::uint64_t>(*values, bits(entry.type)) : std::nullopt;
    if (!size)
        fail(errc::bad_weights, where(), "a size that fits 64 bits", shown_shape(entry.shape));
    if (*size % 8 != 0) fail(errc::bad_weights, where(), "whole bytes", {*size, " bits"});
    if (entry.end - entry.begin != *size / 8)
        fail(errc::bad_weights, where(),
             {*size / 8, " bytes for ", shown_shape(entry.shape), " of ", gpt2::name(entry.type)},
             {entry.end - entry.begin, " between its data_offsets"});
}

/// The entries by place; they must cover the rest of the file without hole or overlap.
[[gnu::cold]] inline std::vector<safetensors_entry*> in_file_order(
    std::vector<safetensors_entry>& entries, const byte_source& file, std::uint64_t header_end) {
    std::vector<safetensors_entry*> order;
    for (auto& entry : entries) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        if (a->begin != b->begin) return a->begin < b->begin;
        return a->end != b->end ? a->end < b->end : a < b;
    });
    std::uint64_t cursor = 0;
    for (const auto* entry : order) {
        if (entry->begin != cursor)
            fail(errc::bad_weights, {file.name(), ": ", shown_name(entry->name)},
                 {"values at ", cursor, " (no hole, no overlap)"}, entry->begin);
        cursor = entry->end;
    }
    const auto end = checked_add(header_end, cursor);
    if (!end || *end > file.size())
        fail(errc::truncated, file.name(),
             {end ? phrase(*end) : phrase("more than 2^64"), " bytes"},
             {file.size(), " (is the download complete?)"});
    if (*end < file.size())
        fail(errc::bad_weights, file.name(), {"an end after ", *end, " bytes"},
             {file.size() - *end, " more"});
    return order;
}

[[gnu::cold]] inline void check_names_once(const std::vector<safetensors_entry>& entries,
                                           const std::string& where) {
    std::set<std::string_view> names, repeated;
    for (const auto& entry : entries)
        if (!names.insert(entry.name).second) repeated.insert(entry.name);
    if (!repeated.empty())
        fail(errc::duplicate_tensor, where, {shown_name(*repeated.begin()), " is there twice"});
}

/// The contents of one file: tensors in the order of their values, and `__metadata__`.
struct safetensors_file {
    std::vector<stored_tensor> tensors;
    json_value::object metadata;  ///< strings by name
};

/// Reads the header of `file`, nothing else. Throws errc::truncated, errc::limit_exceeded,
/// errc::bad_json, errc::bad_weights, errc::duplicate_tensor, errc::unsupported (a dtype nobody
/// knows), errc::read_failed, errc::out_of_memory.
[[gnu::cold]] inline safetensors_file read_safetensors(
    const std::shared_ptr<const byte_source>& file) {
    const std::string text = safetensors_header_text(*file);
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == text.npos || text[first] != '{')
        fail(errc::bad_weights, file->name(), "a header that begins with {",
             first == text.npos ? "nothing" : printable(text.substr(first, 1)));
    safetensors_header header(file->name());
    read_json_events(text, text_of({file->name(), ": header"}), header);
    check_names_once(header.entries, file->name());
    for (const auto& entry : header.entries) check_entry_bytes(entry, file->name());
    const std::uint64_t header_end = 8 + text.size();
    const auto order = in_file_order(header.entries, *file, header_end);

    safetensors_file contents;
    contents.metadata = std::move(header.metadata);
    contents.tensors.reserve(header.entries.size());
    for (auto* entry : order)
        contents.tensors.push_back({std::move(entry->name), entry->type, std::move(entry->shape),
                                    file, header_end + entry->begin});
    return contents;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
