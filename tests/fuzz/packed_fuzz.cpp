// Any bytes as a packed file, also with the checksum of its index made right, since no mutation
// meets that by chance: a typed error, or tensors that lie in the file and a tokenizer that works.
#include <gpt2/detail/packed_file.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

void read(std::string_view bytes) {
    const auto source = std::make_shared<gpt2::detail::memory_source>(
        "fuzz", std::as_bytes(std::span(bytes.data(), bytes.size())));
    try {
        const auto model = gpt2::detail::open_packed(source);
        model.config.validate();
        std::uint64_t covered = 0;
        for (const auto& tensor : model.weights->tensors()) {
            covered += tensor.bytes();
            if (covered > bytes.size()) std::abort();
            std::vector<float> values(tensor.size());
            try {
                tensor.read_rows<float>(0, tensor.rows(), values);
            } catch (const gpt2::error& problem) {
                if (problem.code() != gpt2::errc::not_finite) std::abort();
            }
        }
        if (const auto words = model.read_tokenizer()) (void)words->encode("Ab c\n");
        model.check();
    } catch (const gpt2::error&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace gpt2::detail;
    std::string bytes(reinterpret_cast<const char*>(data), size);
    read(bytes);
    if (size < packed_front_bytes + packed_end_bytes) return 0;
    const std::size_t last = size - packed_end_bytes;
    const auto begin = number_at<std::uint64_t>(bytes, last);
    if (begin > last) return 0;
    const std::string_view all = bytes;
    std::string end;
    append_number(end, begin);
    append_number(end, std::uint64_t{last} - begin);
    append_number(end, checksum()
                           .add(all.substr(0, packed_front_bytes))
                           .add(all.substr(static_cast<std::size_t>(begin), last - begin))
                           .value());
    bytes.replace(last, packed_end_bytes, end);
    read(bytes);
    return 0;
}
