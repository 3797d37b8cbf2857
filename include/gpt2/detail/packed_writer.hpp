// A stored model as a packed file: each matrix is packed as a model would keep it, and written.
//
// Memory is that of the largest matrix. The tensors are those that a model of the config asks for;
// what nobody asks for is left out. The same model gives the same bytes.
//
// Before: detail/packed_file.hpp, which describes the file; model.hpp. Next: save.hpp.
#pragma once

#include "../model.hpp"
#include "json_writer.hpp"
#include "packed_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

class packed_writer {
public:
    packed_writer(const stored_model& model, storage kept, thread_pool& pool, byte_sink sink)
        : model_(model), kept_(kept), pool_(pool), sink_(std::move(sink)) {}

    /// Throws what reading the model throws, and what the sink throws.
    void write();

private:
    void blocks(const weight_scope& w);
    void matrix(const stored_tensor& tensor, orientation rows, storage kept);
    void floats(const stored_tensor& tensor, std::size_t rows);
    void vector(const weight_scope& w, std::string_view name, std::size_t size) {
        if (const auto* tensor = w.find(name, {size})) floats(*tensor, 1);
    }
    void norm(const weight_scope& w) {
        vector(w, "weight", model_.config.width);
        vector(w, "bias", model_.config.width);
    }
    void linear(const weight_scope& w, std::size_t in, std::size_t out, storage kept) {
        matrix(w.fetch("weight", {in, out}), orientation::in_out, kept);
        vector(w, "bias", out);
    }
    void tokenizer_section();
    void write_config(bool tied);

    void put(std::string_view bytes) {
        sink_(bytes);
        at_ += bytes.size();
        sum_.add(bytes);
    }
    /// Begins a section at the next multiple of 64.
    std::uint64_t begin() {
        put(std::string((packed_alignment - at_ % packed_alignment) % packed_alignment, '\0'));
        sum_ = checksum();
        return at_;
    }
    /// The last members of a section's entry in the index: where it is, which began at `offset`.
    void end_entry(std::uint64_t offset) {
        index_.member("offset", offset).member("checksum", shown_checksum(sum_.value())).close();
    }
    template <class List>
    void write_list(std::string_view key, const List& list) {
        index_.key(key).open('[');
        for (const auto& each : list) index_.value(each);
        index_.close();
    }
    template <class List>
    void begin_entry(const stored_tensor& tensor, const List& shape) {
        index_.open('{').member("name", tensor.name());
        write_list("shape", shape);
    }

    const stored_model& model_;
    storage kept_;
    thread_pool& pool_;
    byte_sink sink_;
    std::uint64_t at_ = 0;
    checksum sum_, values_;  // of the section; of all numbers, whatever they are stored in
    json_writer index_;
};

/// Adds a tensor's first `rows` rows as floats.
[[gnu::cold]] inline void packed_writer::floats(const stored_tensor& tensor, std::size_t rows) {
    buffer<float> values(rows * tensor.columns());
    tensor.read_rows<float>(0, rows, values.span());
    const auto offset = begin();
    const auto bytes = std::as_bytes(values.span());
    values_.add(bytes);
    put({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    std::vector<std::size_t> shape(tensor.shape().begin(), tensor.shape().end());
    if (shape.size() > 1) shape[0] = rows;
    begin_entry(tensor, shape);
    end_entry(offset);
}

/// Adds a matrix as the model would pack it.
[[gnu::cold]] inline void packed_writer::matrix(const stored_tensor& tensor, orientation rows,
                                                storage kept) {
    constexpr std::size_t step = 256;
    for (std::size_t row = 0; row < tensor.rows(); row += step) {
        const auto count = std::min(step, tensor.rows() - row);
        std::vector<float> values(count * tensor.columns());
        tensor.read_rows<float>(row, count, values);
        values_.add(std::as_bytes(std::span(values)));
    }
    const auto packed = pack<float>(tensor, rows, kept, &pool_);
    const auto known =
        std::find_if(packed_formats.begin(), packed_formats.end(),
                     [&](const packed_format& each) { return each.format == packed.stored(); });
    const auto offset = begin();
    const auto panels = packed.view();
    for (std::size_t p = 0; p < panel_count(packed.columns()); ++p)
        put({reinterpret_cast<const char*>(panels.panel(p)), panels.panel_stride()});
    begin_entry(tensor, tensor.shape());
    index_.member("panels", known->name);
    index_.member("rows", rows == orientation::in_out ? "inputs" : "outputs");
    end_entry(offset);
}

[[gnu::cold]] inline void packed_writer::blocks(const weight_scope& w) {
    const config& c = model_.config;
    const auto finer = layers::causal_self_attention<float>::kept(kept_);
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
        const auto block = w / "h" / layer;
        norm(block / "ln_1");
        linear(block / "attn" / "c_attn", c.width, 3 * c.width, finer);
        linear(block / "attn" / "c_proj", c.width, c.width, kept_);
        norm(block / "ln_2");
        linear(block / "mlp" / "c_fc", c.width, c.inner_width, kept_);
        linear(block / "mlp" / "c_proj", c.inner_width, c.width, kept_);
    }
}

[[gnu::cold]] inline void packed_writer::write_config(bool tied) {
    const config& c = model_.config;
    index_.key("config").open('{').member("vocabulary_size", c.vocabulary_size);
    index_.member("context_length", c.context_length).member("width", c.width);
    index_.member("layers", c.layers).member("heads", c.heads);
    index_.member("inner_width", c.inner_width);
    index_.member("layer_norm_epsilon", c.layer_norm_epsilon);
    index_.member("activation", name(c.activation));
    index_.member("scale_attention", c.scale_attention);
    index_.member("scale_attention_by_inverse_layer", c.scale_attention_by_inverse_layer);
    index_.member("tied_head", tied).member("biases", c.biases);
    std::vector<token_id> begin;
    if (c.begin_of_text) begin.push_back(*c.begin_of_text);
    write_list("begin_of_text", begin);
    write_list("end_of_text", c.end_of_text);
    index_.close();
}

/// Writes the tokenizer, if there is one.
[[gnu::cold]] inline void packed_writer::tokenizer_section() {
    const auto words = model_.read_tokenizer();
    if (!words) return;
    const auto [kind, bytes] = packed_tokenizer(*words);
    const auto offset = begin();
    put(bytes);
    index_.key("tokenizer").open('{').member("kind", kind).member("bytes", bytes.size());
    end_entry(offset);
}

[[gnu::cold]] inline void packed_writer::write() {
    const config& c = model_.config;
    std::string front(packed_magic);
    append_number(front, packed_version);
    append_number(front, std::uint32_t{0});
    put(front);
    audit used;
    const weight_scope w(*model_.weights, used, kept_, &pool_);
    index_.open('{').key("tensors").open('[');
    matrix(w.fetch("wte.weight", {c.vocabulary_size, c.width}), orientation::out_in, kept_);
    floats(w.fetch("wpe.weight"), c.context_length);
    blocks(w);
    norm(w / "ln_f");
    const auto* head = own_head<float>(w, c);
    if (head != nullptr) matrix(*head, orientation::out_in, kept_);
    index_.close();
    tokenizer_section();
    write_config(head == nullptr);
    index_.key("source").open('{').member("format", model_.format);
    index_.member("fingerprint", shown_checksum(values_.value())).close().close();
    const std::string index = index_.take();
    std::string end;
    append_number(end, at_);
    append_number(end, std::uint64_t{index.size()});
    append_number(end, checksum().add(front).add(index).value());
    sink_(index);
    sink_(end);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
