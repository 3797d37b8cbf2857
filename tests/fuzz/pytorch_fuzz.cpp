// Any bytes as a file of torch.save: a typed error, or tensors that lie in the file and can be
// read, and a model made of them only with all its sizes checked.
#include <gpt2/detail/bare_model.hpp>

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
        const auto file = gpt2::detail::read_pytorch(source);
        for (const auto& tensor : file.tensors) {
            if (tensor.bytes() > size) std::abort();
            if (!is_float(tensor.type())) continue;
            std::vector<float> values(tensor.size());
            try {
                tensor.read_rows<float>(0, tensor.rows(), values);
            } catch (const gpt2::error& problem) {
                if (problem.code() != gpt2::errc::not_finite) std::abort();
            }
        }
        gpt2::detail::open_pytorch_model(source);
    } catch (const gpt2::error&) {
    }
    return 0;
}
