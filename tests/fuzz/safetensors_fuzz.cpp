// Any bytes as a safetensors file: a typed error, or tensors that tile the file and can be read.
#include <gpt2/detail/safetensors.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto source =
        std::make_shared<gpt2::detail::memory_source>("fuzz", std::as_bytes(std::span(data, size)));
    try {
        std::uint64_t covered = 0;
        const auto file = gpt2::detail::read_safetensors(source);
        for (const auto& tensor : file.tensors) {
            covered += tensor.bytes();
            if (tensor.rows() * tensor.columns() != tensor.size()) std::abort();
            if (!is_float(tensor.type())) continue;
            std::vector<float> values(tensor.size());
            try {
                tensor.read_rows<float>(0, tensor.rows(), values);
            } catch (const gpt2::error& problem) {
                if (problem.code() != gpt2::errc::not_finite) std::abort();
            }
        }
        if (covered > size) std::abort();
    } catch (const gpt2::error&) {
    }
    return 0;
}
