// One safetensors file, byte for byte as Hugging Face's own library writes it.
//
// Tensors are sorted by the width of their type, widest first, then by name; the header is filled
// up with spaces so that the values begin at a multiple of 8. Values are streamed.
//
// Before: detail/tensor_writer.hpp, detail/json_writer.hpp; detail/safetensors.hpp reads what is
// written here. Next: detail/hf_writer.hpp.
#pragma once

#include "json_writer.hpp"
#include "tensor_writer.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// One file, planned when it is made and written once.
class safetensors_writer {
public:
    /// Types are F32, F16 or BF16, names all different.
    explicit safetensors_writer(std::vector<written_tensor> tensors)
        : tensors_(std::move(tensors)) {
        std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) {
            return bits(a.type) != bits(b.type) ? bits(a.type) > bits(b.type)
                   : a.type != b.type           ? type_order(a.type) < type_order(b.type)
                                                : a.name < b.name;
        });
        json_writer header;
        header.open('{').key("__metadata__").open('{').member("format", "pt").close();
        std::uint64_t offset = 0;
        for (const written_tensor& each : tensors_) {
            header.key(each.name).open('{').member("dtype", gpt2::name(each.type));
            header.key("shape").open('[');
            for (const std::size_t extent : each.shape) header.value(extent);
            header.close().key("data_offsets").open('[').value(offset);
            offset += bytes_of(each);
            header.value(offset).close().close();
        }
        std::string text = header.close().take();
        text.resize((text.size() + 7) / 8 * 8, ' ');
        for (int i = 0; i < 8; ++i) head_ += static_cast<char>(text.size() >> (8 * i) & 0xff);
        head_ += text;
        bytes_ = head_.size() + offset;
    }

    /// Of the whole file.
    std::uint64_t bytes() const noexcept { return bytes_; }

    /// Throws errc::unsupported for a number that its type cannot hold, and what reading the
    /// weights throws.
    void write(const byte_sink& sink) const {
        sink(head_);
        for (const written_tensor& each : tensors_) write_values(each, sink);
    }

private:
    /// Of types that are equally wide.
    static int type_order(dtype type) { return type == dtype::bf16 ? 0 : 1; }

    std::vector<written_tensor> tensors_;
    std::string head_;  // length and header
    std::uint64_t bytes_ = 0;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
