// One GGUF file, version 2 or 3: metadata by key, tensors by name, then their values.
//
// Accepts a subset of what ggml accepts: names and keys are printable, no array lies in another,
// nothing follows the last tensor but padding. Every count is compared with what is left of the
// file before anything is made of it, and every tensor is checked (product, whole blocks, place,
// end of file) before the first one is handed out. Metadata stay the bytes they are in the file
// until someone asks for a value with its type and range.
//
// Before: weights.hpp, detail/header_reader.hpp. Next: detail/gguf_model.hpp.
#pragma once

#include "../weights.hpp"
#include "checked.hpp"
#include "header_reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Far above any GPT-2, whose headers take 2 MB, most of it the vocabulary.
struct gguf_limits {
    static constexpr std::size_t header_bytes = std::size_t{64} << 20;
    static constexpr std::uint64_t keys = 4096;
    static constexpr std::uint64_t tensors = 16384;
    static constexpr std::uint64_t key_bytes = 256;
    static constexpr std::uint64_t name_bytes = 64;
    static constexpr std::uint32_t rank = 4;
    static constexpr std::uint32_t alignment = 1u << 20;
};

/// Whether a file that begins with these bytes says that it is GGUF.
inline bool looks_like_gguf(std::string_view first_bytes) {
    return first_bytes.starts_with("GGUF");
}

/// Kinds of metadata; the numbers are the format's.
enum class gguf_type : std::uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    text,
    array,
    u64,
    i64,
    f64,
};

struct gguf_type_facts {
    std::string_view name;
    std::size_t bytes;  // least of one value
};

inline constexpr std::array<gguf_type_facts, 13> gguf_types{{
    {"u8", 1},
    {"i8", 1},
    {"u16", 2},
    {"i16", 2},
    {"u32", 4},
    {"i32", 4},
    {"f32", 4},
    {"bool", 1},
    {"string", 8},
    {"array", 12},
    {"u64", 8},
    {"i64", 8},
    {"f64", 8},
}};

constexpr const gguf_type_facts& facts_of(gguf_type type) {
    return gguf_types[static_cast<std::size_t>(type)];
}

/// Where a value of the metadata lies.
struct gguf_value {
    gguf_type type;  ///< of the elements, if it is an array
    bool array;
    std::size_t count;  ///< elements; 1 if it is none
    std::size_t begin;  ///< in the header's bytes
};

/// The metadata of a file, checked to lie within it. `find`-like members return nothing when the
/// key is absent, and throw errc::bad_config when its value has another type or range.
class gguf_metadata {
public:
    gguf_metadata() = default;
    gguf_metadata(std::string where, std::string header,
                  std::map<std::string, gguf_value, std::less<>> values)
        : where_(std::move(where)), header_(std::move(header)), values_(std::move(values)) {}

    const std::string& where() const noexcept { return where_; }  ///< the file, for messages
    std::size_t size() const noexcept { return values_.size(); }
    bool given(std::string_view key) const { return values_.contains(key); }

    std::optional<std::uint64_t> integer(std::string_view key, std::uint64_t least,
                                         std::uint64_t most) const {
        const gguf_value* value = find(key);
        if (value == nullptr) return std::nullopt;
        const auto number = value->array ? std::nullopt : whole_at(value->type, value->begin);
        if (!number) refuse(key, {"an integer from ", least, " to ", most}, shown(*value));
        if (*number < least || *number > most)
            refuse(key, {"an integer from ", least, " to ", most}, *number);
        return number;
    }
    std::optional<double> positive_real(std::string_view key) const {
        const gguf_value* value = find(key);
        if (value == nullptr) return std::nullopt;
        const bool real =
            !value->array && (value->type == gguf_type::f32 || value->type == gguf_type::f64);
        if (!real) refuse(key, "a positive number", shown(*value));
        const double number = value->type == gguf_type::f32
                                  ? number_at<float>(header_, value->begin)
                                  : number_at<double>(header_, value->begin);
        if (!(number > 0) || !std::isfinite(number))
            refuse(key, "a positive number", std::to_string(number));
        return number;
    }
    std::optional<bool> boolean(std::string_view key) const {
        const gguf_value* value = find(key, gguf_type::boolean, false, "true or false");
        return value ? std::optional(header_[value->begin] != 0) : std::nullopt;
    }
    /// A view into this object.
    std::optional<std::string_view> text(std::string_view key) const {
        const gguf_value* value = find(key, gguf_type::text, false, "a string");
        return value ? std::optional(text_at(value->begin)) : std::nullopt;
    }
    /// Views into this object.
    std::optional<std::vector<std::string_view>> texts(std::string_view key) const {
        const gguf_value* value = find(key, gguf_type::text, true, "an array of strings");
        if (value == nullptr) return std::nullopt;
        std::vector<std::string_view> all;
        all.reserve(value->count);
        for (std::size_t at = value->begin; all.size() < value->count;) {
            all.push_back(text_at(at));
            at += 8 + all.back().size();
        }
        return all;
    }
    std::optional<std::vector<std::int32_t>> integers(std::string_view key) const {
        const gguf_value* value = find(key, gguf_type::i32, true, "an array of i32");
        if (value == nullptr) return std::nullopt;
        std::vector<std::int32_t> all(value->count);
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = number_at<std::int32_t>(header_, value->begin + 4 * i);
        return all;
    }

private:
    const gguf_value* find(std::string_view key) const {
        const auto entry = values_.find(key);
        return entry == values_.end() ? nullptr : &entry->second;
    }
    const gguf_value* find(std::string_view key, gguf_type type, bool array,
                           std::string_view expected) const {
        const gguf_value* value = find(key);
        if (value && (value->type != type || value->array != array))
            refuse(key, expected, shown(*value));
        return value;
    }

    /// A number of any integer type that is not negative.
    std::optional<std::uint64_t> whole_at(gguf_type type, std::size_t at) const {
        const auto read = [&](auto zero) -> std::optional<std::uint64_t> {
            const auto number = number_at<decltype(zero)>(header_, at);
            if (!std::in_range<std::uint64_t>(number)) return std::nullopt;
            return static_cast<std::uint64_t>(number);
        };
        switch (type) {
            case gguf_type::u8:
                return read(std::uint8_t{});
            case gguf_type::i8:
                return read(std::int8_t{});
            case gguf_type::u16:
                return read(std::uint16_t{});
            case gguf_type::i16:
                return read(std::int16_t{});
            case gguf_type::u32:
                return read(std::uint32_t{});
            case gguf_type::i32:
                return read(std::int32_t{});
            case gguf_type::u64:
                return read(std::uint64_t{});
            case gguf_type::i64:
                return read(std::int64_t{});
            default:
                return std::nullopt;
        }
    }
    std::string_view text_at(std::size_t at) const {
        const auto size = static_cast<std::size_t>(number_at<std::uint64_t>(header_, at));
        return std::string_view(header_).substr(at + 8, size);
    }
    static std::string shown(const gguf_value& value) {
        const std::string_view type = facts_of(value.type).name;
        return value.array ? text_of({value.count, " values of type ", type})
                           : text_of({"a value of type ", type});
    }
    [[noreturn, gnu::noinline, gnu::cold]] void refuse(std::string_view key, const phrase& expected,
                                                       const phrase& found) const {
        fail(errc::bad_config, {where_, ": ", key}, expected, found);
    }

    std::string where_;
    std::string header_;
    std::map<std::string, gguf_value, std::less<>> values_;
};

/// The contents of one file. Shapes are the file's with the last dimension first, which is how
/// everyone else writes them: values of the last one lie side by side.
struct gguf_file {
    gguf_metadata metadata;
    std::vector<stored_tensor> tensors;  ///< in the order of their values
};

/// The number of a type in a tensor's entry, and that of a file whose matrices have it.
struct ggml_number {
    std::uint32_t number;
    dtype type;
    std::uint32_t file_type = 0;
};
inline constexpr std::array<ggml_number, 16> ggml_numbers{{
    {0, dtype::f32, 0},
    {1, dtype::f16, 1},
    {2, dtype::q4_0, 2},
    {3, dtype::q4_1, 3},
    {6, dtype::q5_0, 8},
    {7, dtype::q5_1, 9},
    {8, dtype::q8_0, 7},
    {12, dtype::q4_k, 15},
    {13, dtype::q5_k, 17},
    {14, dtype::q6_k, 18},
    {24, dtype::i8},
    {25, dtype::i16},
    {26, dtype::i32},
    {27, dtype::i64},
    {28, dtype::f64},
    {30, dtype::bf16, 32},
}};

/// The type of a number in a tensor's entry. Throws errc::unsupported, by name where it has one.
[[gnu::cold]] inline dtype ggml_type(std::uint32_t number, const phrase& where) {
    struct other_type {
        std::uint32_t number;
        std::string_view name;
    };
    static constexpr std::array<other_type, 16> others{{
        {9, "Q8_1"},
        {10, "Q2_K"},
        {11, "Q3_K"},
        {15, "Q8_K"},
        {16, "IQ2_XXS"},
        {17, "IQ2_XS"},
        {18, "IQ3_XXS"},
        {19, "IQ1_S"},
        {20, "IQ4_NL"},
        {21, "IQ3_S"},
        {22, "IQ2_S"},
        {23, "IQ4_XS"},
        {29, "IQ1_M"},
        {34, "TQ1_0"},
        {35, "TQ2_0"},
        {39, "MXFP4"},
    }};
    for (const ggml_number& known : ggml_numbers)
        if (known.number == number) return known.type;
    for (const auto& [known, name] : others)
        if (known == number)
            fail(errc::unsupported, where, {"values of type ", name, " are not supported"});
    fail(errc::unsupported, where, "a known type of values", {"type ", number});
}

/// Reads header, metadata and entries of the tensors, in their order in the file.
class gguf_parser {
public:
    explicit gguf_parser(std::shared_ptr<const byte_source> file)
        : file_(std::move(file)), in_(*file_, gguf_limits::header_bytes) {}

    gguf_file read() {
        check_magic();
        const auto tensors = count("tensors", gguf_limits::tensors, 8 + 4 + 8 + 4 + 8);
        const auto keys = count("keys", gguf_limits::keys, 8 + 4 + 1);
        for (std::uint64_t i = 0; i < keys; ++i) read_pair();
        for (std::uint64_t i = 0; i < tensors; ++i) read_entry();
        gguf_file contents;
        contents.tensors = placed(alignment());
        contents.metadata = {file_->name(), std::move(in_).release(), std::move(values_)};
        return contents;
    }

private:
    /// A tensor's entry as it is written.
    struct entry {
        std::string name;
        std::vector<std::size_t> shape;
        dtype type;
        std::uint64_t offset;
    };

    void check_magic() {
        const std::size_t begin = in_.take(4, "GGUF's signature");
        const std::string_view magic = in_.bytes(begin, 4);
        if (!looks_like_gguf(magic))
            fail(errc::bad_weights, file_->name(), "GGUF's signature", printable(magic));
        const auto version = in_.number<std::uint32_t>("the version");
        if (version != 0 && (version & 0xffff) == 0)
            fail(errc::unsupported, file_->name(), "it is a big-endian GGUF file");
        if (version != 2 && version != 3)
            fail(errc::unsupported, file_->name(), "GGUF version 2 or 3", version);
    }

    /// A number of things that take `each` bytes or more of the file.
    std::uint64_t count(std::string_view what, std::uint64_t most, std::uint64_t each) {
        const auto number = in_.number<std::uint64_t>(what);
        if (number > most)
            fail(errc::limit_exceeded, file_->name(), {"at most ", most, " ", what}, number);
        check_room(number, each, what);
        return number;
    }
    void check_room(std::uint64_t number, std::uint64_t each, std::string_view what) const {
        if (number > in_.left() / each)
            fail(errc::truncated, file_->name(),
                 {number, " ", what, " of ", each, " bytes or more at offset ", in_.position()},
                 {in_.left(), " bytes until the end"});
    }

    /// A key or a name: printable, not empty.
    std::string name(std::string_view what, std::uint64_t most) {
        const auto size = in_.number<std::uint64_t>(what);
        if (size == 0) fail(errc::bad_weights, file_->name(), {"an empty ", what});
        if (size > most)
            fail(errc::limit_exceeded, file_->name(), {"a ", what, " of at most ", most, " bytes"},
                 size);
        const std::size_t begin = in_.take(size, what);
        std::string text(in_.bytes(begin, static_cast<std::size_t>(size)));
        if (!all_bytes(text, [](char c) { return c > 0x20 && c < 0x7f; }))
            fail(errc::bad_weights, file_->name(), {"a ", what, " of printable characters"},
                 printable(text));
        return text;
    }

    gguf_type type(const std::string& key) {
        const auto number = in_.number<std::uint32_t>("a type");
        if (number >= gguf_types.size())
            fail(errc::bad_weights, {file_->name(), ": ", key}, "a known type of metadata", number);
        return static_cast<gguf_type>(number);
    }

    void read_pair() {
        const std::string key = name("key", gguf_limits::key_bytes);
        gguf_value value{type(key), false, 1, 0};
        if (value.type == gguf_type::array) {
            value.array = true;
            value.type = type(key);
            if (value.type == gguf_type::array)
                fail(errc::unsupported, {file_->name(), ": ", key}, "arrays within an array");
            const auto elements = in_.number<std::uint64_t>("a count of elements");
            check_room(elements, facts_of(value.type).bytes, "elements");
            value.count = static_cast<std::size_t>(elements);
        }
        value.begin = in_.position();
        if (value.type == gguf_type::text) {
            for (std::size_t i = 0; i < value.count; ++i)
                in_.take(in_.number<std::uint64_t>("a string's length"), "a string");
        } else {
            in_.take(value.count * facts_of(value.type).bytes, "values");  // fits: there is room
        }
        if (value.type == gguf_type::boolean) check_booleans(key, value);
        if (!values_.emplace(key, value).second)
            fail(errc::bad_weights, {file_->name(), ": ", key}, "the key occurs twice");
    }
    void check_booleans(const std::string& key, const gguf_value& value) const {
        for (const char byte : in_.bytes(value.begin, value.count))
            if (byte != 0 && byte != 1)
                fail(errc::bad_weights, {file_->name(), ": ", key}, "booleans of 0 or 1",
                     static_cast<unsigned char>(byte));
    }

    void read_entry() {
        entry found{name("tensor's name", gguf_limits::name_bytes), {}, dtype::f32, 0};
        const std::string where = text_of({file_->name(), ": ", shown_name(found.name)});
        const auto rank = in_.number<std::uint32_t>("a number of dimensions");
        if (rank == 0 || rank > gguf_limits::rank)
            fail(errc::bad_weights, where, {"1 to ", gguf_limits::rank, " dimensions"}, rank);
        for (std::uint32_t i = 0; i < rank; ++i) {
            const auto extent = in_.number<std::uint64_t>("a dimension");
            if (extent == 0) fail(errc::bad_weights, where, "a dimension of 0");
            if (extent > std::numeric_limits<std::size_t>::max())
                fail(errc::limit_exceeded, where, "a dimension this machine can count", extent);
            found.shape.insert(found.shape.begin(), static_cast<std::size_t>(extent));
        }
        found.type = ggml_type(in_.number<std::uint32_t>("a type"), where);
        found.offset = in_.number<std::uint64_t>("an offset");
        entries_.push_back(std::move(found));
    }

    std::uint64_t alignment() const {
        const auto found = values_.find("general.alignment");
        if (found == values_.end()) return 32;
        const gguf_value& value = found->second;
        const std::string where = file_->name() + ": general.alignment";
        if (value.array || value.type != gguf_type::u32)
            fail(errc::bad_weights, where, "a u32", facts_of(value.type).name);
        const auto step = number_at<std::uint32_t>(in_.bytes(value.begin, 4), 0);
        if (step == 0 || step > gguf_limits::alignment || (step & (step - 1)) != 0)
            fail(errc::bad_weights, where, {"a power of two up to ", gguf_limits::alignment}, step);
        return step;
    }

    /// The tensors at their places, which must follow each other with nothing but padding between
    /// them and after the last.
    std::vector<stored_tensor> placed(std::uint64_t step) const {
        const auto padded = [&](std::uint64_t size) { return (size + step - 1) / step * step; };
        const std::uint64_t begin = padded(in_.position());
        std::vector<stored_tensor> tensors;
        std::map<std::string_view, int> names;
        std::uint64_t end = begin;
        for (const entry& wanted : entries_) {
            if (!names.emplace(wanted.name, 0).second)
                fail(errc::duplicate_tensor, file_->name(),
                     {shown_name(wanted.name), " is there twice"});
            if (wanted.offset != end - begin)
                fail(errc::bad_weights, {file_->name(), ": ", shown_name(wanted.name)},
                     {"values at offset ", end - begin, " (no hole, no overlap)"}, wanted.offset);
            tensors.push_back({wanted.name, wanted.type, wanted.shape, file_, end});
            end = padded(end + tensors.back().bytes());  // within the file, so it cannot wrap
        }
        if (file_->size() > end)
            fail(errc::bad_weights, file_->name(), {"an end after ", end, " bytes"},
                 {file_->size() - end, " more"});
        return tensors;
    }

    std::shared_ptr<const byte_source> file_;
    header_reader in_;
    std::map<std::string, gguf_value, std::less<>> values_;
    std::vector<entry> entries_;
};

/// Reads the header of `file`, nothing else. Throws errc::truncated, errc::limit_exceeded,
/// errc::bad_weights, errc::duplicate_tensor, errc::unsupported (versions, types by name),
/// errc::read_failed.
[[gnu::cold]] inline gguf_file read_gguf(const std::shared_ptr<const byte_source>& file) {
    return gguf_parser(file).read();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
