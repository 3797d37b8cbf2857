// Any bytes as a GGUF file: a typed error, or tensors that lie in the file and can be read, a
// config that holds together and a tokenizer.
#include <gpt2/detail/gguf_model.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace {

void read_values(const gpt2::stored_tensor& tensor) {
    if (tensor.rows() * tensor.columns() != tensor.size()) std::abort();
    if (!is_float(tensor.type())) return;
    std::vector<float> values(tensor.size());
    try {
        tensor.read_rows<float>(0, tensor.rows(), values);
    } catch (const gpt2::error& problem) {
        if (problem.code() != gpt2::errc::not_finite) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto source =
        std::make_shared<gpt2::detail::memory_source>("fuzz", std::as_bytes(std::span(data, size)));
    try {
        std::uint64_t covered = 0;
        const auto file = gpt2::detail::read_gguf(source);
        for (const auto& tensor : file.tensors) {
            covered += tensor.bytes();
            read_values(tensor);
        }
        if (covered > size) std::abort();
        const auto tokens = file.metadata.texts("tokenizer.ggml.tokens");
        gpt2::detail::read_gguf_tokenizer(file.metadata, tokens ? tokens->size() : 0);
    } catch (const gpt2::error&) {
    }
    try {
        const auto model = gpt2::detail::open_gguf(source);
        model.config.validate();
        for (const auto& tensor : model.weights->tensors()) read_values(tensor);
        model.read_tokenizer();
    } catch (const gpt2::error&) {
    }
    return 0;
}
