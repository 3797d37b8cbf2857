// The library's own file: a model as it lies in memory, mapped and used in place.
//
//   front      "gpt2pack", u32 version, u32 0
//   sections   tensors, then the tokenizer, each at the next multiple of 64
//   index      JSON: config, source, tensors with their place and checksum, tokenizer
//   end        u64 where the index begins, u64 its bytes, u64 checksum of front and index
//
// Numbers are little-endian. A matrix is panels as detail/kernels/panel.hpp lays them out, the same
// for every instruction set; other tensors are floats. Every byte belongs to one section. The index
// is checked when a file is opened; the checksums of tensors only where that is asked for, since a
// wrong number can do no harm but to the text.
//
// Before: stored_model.hpp, detail/packing.hpp. Next: open.hpp; detail/packed_writer.hpp writes it.
#pragma once

#include "../stored_model.hpp"
#include "checksum.hpp"
#include "hf_config.hpp"
#include "json.hpp"
#include "packed_vocabulary.hpp"
#include "packing.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline constexpr std::string_view packed_magic = "gpt2pack";
inline constexpr std::uint32_t packed_version = 1;
inline constexpr std::size_t packed_front_bytes = 16, packed_end_bytes = 24, packed_alignment = 64;

inline bool looks_like_packed(std::string_view first) { return first.starts_with(packed_magic); }

struct packed_limits {
    static constexpr json_limits index{std::size_t{16} << 20, 8, std::size_t{1} << 18};
    static constexpr std::uint64_t dimension = std::uint64_t{1} << 24;
};

/// What a matrix is made of, and the type in which its numbers are read.
struct packed_format {
    std::string_view name;
    kernels::format format;
    dtype type = dtype::f32;
};
inline constexpr std::array<packed_format, 10> packed_formats{{
    {"f32", kernels::format::f32},
    {"f16", kernels::format::f16, dtype::f16},
    {"bf16", kernels::format::bf16, dtype::bf16},
    {"int8", kernels::format::int8},
    {"int4", kernels::format::int4},
    {"q8_0", kernels::format::q8_0},
    {"q4_0", kernels::format::q4_0},
    {"q4_k", kernels::format::q4_k},
    {"q5_k", kernels::format::q5_k},
    {"q6_k", kernels::format::q6_k},
}};

/// Bytes of the panels of a (depth, columns) matrix.
inline std::uint64_t packed_bytes(kernels::format f, std::size_t depth, std::size_t columns) {
    return std::uint64_t{panel_count(columns)} * panel_stride<float>(f, depth);
}

/// 16 hexadecimal digits.
inline std::string shown_checksum(std::uint64_t sum) {
    std::string text(16, '0');
    for (std::size_t i = 16; i-- > 0; sum >>= 4) text[i] = "0123456789abcdef"[sum & 15];
    return text;
}

/// One row of a matrix in panels.
inline void read_packed_row(const stored_panels& panels, std::size_t row, std::span<float> out) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(panels.data.get());
    for (std::size_t i = 0; i < out.size(); ++i) {
        const bool inputs = panels.rows == orientation::in_out;
        const std::size_t k = inputs ? row : i, n = inputs ? i : row;
        out[i] =
            packed_value(data + n / panel_width * panels.stride, panels.format, k, n % panel_width);
    }
}

/// Reads the index of a file that is mapped.
class packed_reader {
public:
    /// Throws errc::truncated, errc::unsupported (another version), errc::bad_weights.
    explicit packed_reader(const std::shared_ptr<const byte_source>& file) : file_(file) {
        const std::string front = bytes_at(0, packed_front_bytes);
        if (!looks_like_packed(front))
            fail(errc::bad_weights, file_->name(), packed_magic, printable(front.substr(0, 8)));
        if (file_->size() < packed_front_bytes + packed_end_bytes)
            fail(errc::truncated, file_->name(), "a front, an index and an end", file_->size());
        const auto version = number_at<std::uint32_t>(front, 8);
        if (version != packed_version || number_at<std::uint32_t>(front, 12) != 0)
            fail(errc::unsupported, file_->name(), {"version ", packed_version}, version);
        const std::uint64_t last = file_->size() - packed_end_bytes;
        const std::string end = bytes_at(last, packed_end_bytes);
        sections_end_ = number_at<std::uint64_t>(end, 0);
        const auto bytes = number_at<std::uint64_t>(end, 8);
        if (checked_add(sections_end_, bytes) != last || sections_end_ < packed_front_bytes)
            fail(errc::truncated, file_->name(), {"an index that ends at ", last},
                 {bytes, " bytes of it at ", sections_end_});
        if (bytes > packed_limits::index.bytes)
            fail(errc::limit_exceeded, file_->name(),
                 {"an index of at most ", packed_limits::index.bytes, " bytes"}, bytes);
        const std::string index = bytes_at(sections_end_, static_cast<std::size_t>(bytes));
        if (checksum().add(front).add(index).value() != number_at<std::uint64_t>(end, 16))
            fail(errc::bad_weights, file_->name(), "an index with its checksum", "another one");
        where_ = text_of({file_->name(), ": index"});
        index_ = parse_json(index, where_, packed_limits::index);
    }

    stored_model read();

private:
    struct section {
        std::uint64_t offset, bytes, sum;
    };

    std::string bytes_at(std::uint64_t offset, std::size_t count) const {
        std::string bytes(count, '\0');
        file_->read(offset, std::as_writable_bytes(std::span(bytes)));
        return bytes;
    }
    json_fields fields_of(const json_fields& parent, std::string_view key) const {
        const auto* value = parent.find(key);
        if (value == nullptr) fail(errc::bad_weights, parent.where(), {key, " is missing"});
        return {*value, text_of({where_, ": ", key}), errc::bad_weights};
    }
    template <class Value>
    static Value required(std::optional<Value> value, const json_fields& in, std::string_view key) {
        if (!value) fail(errc::bad_weights, in.where(), {key, " is missing"});
        return *std::move(value);
    }

    config read_config(const json_fields& in) const;
    void read_tensor(const json_fields& in, weight_store& store);
    section take_section(const json_fields& in, std::uint64_t bytes);
    std::vector<std::size_t> shape_of(const json_fields& in) const;

    std::shared_ptr<const byte_source> file_;
    std::shared_ptr<const std::byte> bytes_;  // of the whole file, mapped
    std::uint64_t sections_end_ = 0, next_ = packed_front_bytes;
    std::string where_;
    json_value index_;
    std::vector<section> sections_;
};

/// The section that `in` describes: it lies where the one before it ends.
[[gnu::cold]] inline packed_reader::section packed_reader::take_section(const json_fields& in,
                                                                        std::uint64_t bytes) {
    constexpr std::uint64_t mask = packed_alignment - 1;
    const std::uint64_t begin = (next_ + mask) & ~mask;
    const auto offset = required(in.integer("offset", {}), in, "offset");
    if (offset != begin || bytes > sections_end_ || offset > sections_end_ - bytes)
        fail(errc::bad_weights, in.where(),
             {bytes, " bytes at ", begin, ", before ", sections_end_}, offset);
    const auto text = required(in.text("checksum"), in, "checksum");
    std::uint64_t sum = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), sum, 16);
    if (status != std::errc{} || end != text.data() + text.size() || shown_checksum(sum) != text)
        fail(errc::bad_weights, {in.where(), ": checksum"}, "16 digits", printable(text, 40));
    next_ = offset + bytes;
    sections_.push_back({offset, bytes, sum});
    return sections_.back();
}

[[gnu::cold]] inline std::vector<std::size_t> packed_reader::shape_of(const json_fields& in) const {
    std::vector<std::size_t> shape;
    const auto* list = in.find("shape");
    if (list != nullptr && list->items())
        for (const json_value& item : *list->items())
            if (const auto* number = item.whole_number();
                number && *number >= 1 && *number <= packed_limits::dimension)
                shape.push_back(static_cast<std::size_t>(*number));
    if (list == nullptr || !list->items() || shape.size() != list->items()->size() ||
        shape.empty() || shape.size() > 2)
        fail(errc::bad_weights, {in.where(), ": shape"}, "one or two sizes", "something else");
    return shape;
}

[[gnu::cold]] inline void packed_reader::read_tensor(const json_fields& in, weight_store& store) {
    std::string name(required(in.text("name"), in, "name"));
    auto shape = shape_of(in);
    if (!in.given("panels")) {
        const std::uint64_t values =
            std::uint64_t{shape.front()} * (shape.size() > 1 ? shape[1] : 1);
        const auto place = take_section(in, values * sizeof(float));
        store.add(
            stored_tensor(std::move(name), dtype::f32, std::move(shape), file_, place.offset));
        return;
    }
    const auto kind = required(in.text("panels"), in, "panels");
    const auto known = std::find_if(packed_formats.begin(), packed_formats.end(),
                                    [&](const packed_format& each) { return each.name == kind; });
    const auto rows = required(in.text("rows"), in, "rows");
    if (known == packed_formats.end() || shape.size() != 2 ||
        (rows != "inputs" && rows != "outputs"))
        fail(errc::unsupported, in.where(), "a matrix in panels of a known kind",
             {printable(kind, 40), ", rows are ", printable(rows, 40)});
    const bool inputs = rows == "inputs";
    const auto depth = shape[inputs ? 0 : 1], columns = shape[inputs ? 1 : 0];
    if (kernels::in_blocks(known->format) && depth % kernels::layout_of(known->format).depth != 0)
        fail(errc::bad_weights, {in.where(), ": shape"}, "whole blocks", depth);
    const auto place = take_section(in, packed_bytes(known->format, depth, columns));
    auto panels = std::make_shared<stored_panels>(
        stored_panels{known->format,
                      inputs ? orientation::in_out : orientation::out_in,
                      panel_stride<float>(known->format, depth),
                      {bytes_, bytes_.get() + place.offset},
                      read_packed_row});
    store.add(
        stored_tensor(std::move(name), known->type, std::move(shape), file_, std::move(panels)));
}

[[gnu::cold]] inline config packed_reader::read_config(const json_fields& in) const {
    using limits = config_limits;
    config c;
    const auto size = [&](std::string_view key, std::uint64_t most) {
        return static_cast<std::size_t>(required(in.integer(key, {1, most}), in, key));
    };
    c.vocabulary_size = size("vocabulary_size", limits::vocabulary_size);
    c.context_length = size("context_length", limits::context_length);
    c.width = size("width", limits::width);
    c.layers = size("layers", limits::layers);
    c.heads = size("heads", limits::width);
    c.inner_width = size("inner_width", limits::inner_width);
    c.layer_norm_epsilon =
        required(in.positive_real("layer_norm_epsilon"), in, "layer_norm_epsilon");
    const auto function = activation_named(required(in.text("activation"), in, "activation"));
    c.activation = required(function, in, "a known activation");
    const auto choice = [&](std::string_view key) { return required(in.boolean(key), in, key); };
    c.scale_attention = choice("scale_attention");
    c.scale_attention_by_inverse_layer = choice("scale_attention_by_inverse_layer");
    c.tied_head = choice("tied_head");
    c.biases = choice("biases");
    const auto ids = [&](std::string_view key) { return read_tokens(in, key, c.vocabulary_size); };
    const auto begin = ids("begin_of_text");
    c.begin_of_text = begin.empty() ? std::nullopt : std::optional(begin.front());
    c.end_of_text = ids("end_of_text");
    c.validate();
    return c;
}

[[gnu::cold]] inline stored_model packed_reader::read() {
    const json_fields index(index_, where_, errc::bad_weights);
    stored_model model;
    model.config = read_config(fields_of(index, "config"));
    model.format = "packed";
    bytes_ = file_->map();
    auto store = std::make_shared<weight_store>();
    const auto* tensors = index.find("tensors");
    if (tensors == nullptr || !tensors->items())
        fail(errc::bad_weights, where_, "a list of tensors", "none");
    for (const json_value& each : *tensors->items())
        read_tensor({each, text_of({where_, ": tensors"}), errc::bad_weights}, *store);
    model.weights = std::move(store);
    model.read_tokenizer = [] { return std::optional<tokenizer>(); };
    if (index.given("tokenizer")) {
        const auto in = fields_of(index, "tokenizer");
        const auto place = take_section(in, required(in.integer("bytes", {}), in, "bytes"));
        model.read_tokenizer = [file = file_, place,
                                kind = std::string(required(in.text("kind"), in, "kind"))] {
            std::string text(static_cast<std::size_t>(place.bytes), '\0');
            file->read(place.offset, std::as_writable_bytes(std::span(text)));
            return std::optional(read_packed_tokenizer(kind, text, file->name()));
        };
    }
    if (next_ != sections_end_)
        fail(errc::bad_weights, where_, {"sections up to ", sections_end_}, next_);
    model.check = [bytes = bytes_, sections = std::move(sections_), where = file_->name()] {
        for (const auto& [offset, size, sum] : sections)
            if (checksum_of({bytes.get() + offset, static_cast<std::size_t>(size)}) != sum)
                fail(errc::bad_weights, where, "the checksum of a section",
                     {"another one, at ", offset});
    };
    return model;
}

/// Opens a packed file. Throws errc::truncated, errc::bad_weights, errc::bad_config,
/// errc::limit_exceeded, errc::unsupported. No weight is read.
[[gnu::cold]] inline stored_model open_packed(const std::shared_ptr<const byte_source>& file) {
    return packed_reader(file).read();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
