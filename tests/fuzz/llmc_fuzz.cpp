// Any bytes as a model and as a tokenizer of llm.c: a typed error, or tensors that lie in the file
// and can be read, or a tokenizer that gives back what it encodes.
#include <gpt2/detail/llmc.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace {

using source = std::shared_ptr<const gpt2::detail::byte_source>;

void read_model(const source& bytes) {
    const auto model = gpt2::detail::read_llmc_model(bytes);
    std::uint64_t covered = 0;
    for (const auto& tensor : model.weights->tensors()) {
        covered += tensor.bytes();
        if (tensor.rows() * tensor.columns() != tensor.size()) std::abort();
        std::vector<float> values(tensor.size());
        try {
            tensor.read_rows<float>(0, tensor.rows(), values);
        } catch (const gpt2::error& problem) {
            if (problem.code() != gpt2::errc::not_finite) std::abort();
        }
    }
    if (covered > bytes->size()) std::abort();
}

void read_tokenizer(const source& bytes) {
    const auto made = gpt2::detail::read_llmc_tokenizer(*bytes);
    const auto size = static_cast<gpt2::token_id>(made.size());
    const auto end = gpt2::detail::read_llmc_tokenizer_header(*bytes).end_of_text;
    if (end < 0 || end >= size) std::abort();
    for (gpt2::token_id id = 0; id < size; ++id) {
        if (id == end) continue;
        const std::string token(made.bytes(id));
        if (made.decode(made.encode(token)) != token) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const source bytes =
        std::make_shared<gpt2::detail::memory_source>("fuzz", std::as_bytes(std::span(data, size)));
    for (const auto parse : {read_model, read_tokenizer}) {
        try {
            parse(bytes);
        } catch (const gpt2::error&) {
        }
    }
    return 0;
}
