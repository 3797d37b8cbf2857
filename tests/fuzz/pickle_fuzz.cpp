// Any bytes as a pickle: a typed error, or values that lie in it.
#include <gpt2/detail/pickle.hpp>
#include <gpt2/detail/pytorch.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes =
        std::make_shared<const std::string>(reinterpret_cast<const char*>(data), size);
    try {
        const auto document =
            gpt2::detail::pickle_reader(bytes, 0, "fuzz", gpt2::detail::torch_names).read();
        if (document.end > size || document.nodes.size() > size) std::abort();
        for (const auto& node : document.nodes) {
            if (node.begin + std::size_t{node.size} > size) std::abort();
            for (const auto item : node.items)
                if (item >= document.nodes.size()) std::abort();
        }
        document.root().find("model");
    } catch (const gpt2::error&) {
    }
    return 0;
}
