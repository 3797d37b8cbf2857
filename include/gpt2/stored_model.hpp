// A model as its files hold it: config and tensors, checked, and nothing of the weights read yet.
//
// Every format that can be read comes down to this, and everything that is done with a file begins
// with it: load, plan, save.
//
// Before: config.hpp, weights.hpp, tokenizer.hpp. Next: open.hpp, which makes one from any file.
#pragma once

#include "config.hpp"
#include "tokenizer.hpp"
#include "weights.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// Cheap to copy, and threads may share it; its files stay open.
struct stored_model {
    gpt2::config config;
    std::shared_ptr<const weight_store> weights;  ///< under the names that layers ask for
    /// Reads the tokenizer that came along; nothing where there is none. Raises what load_tokenizer
    /// raises.
    std::function<std::optional<gpt2::tokenizer>()> read_tokenizer;
    /// Compares the values with the checksums that the file has, which takes reading all of it.
    /// Raises bad_weights; empty where the format has none.
    std::function<void()> check;
    std::filesystem::path source;  ///< the folder or file; empty when it came from memory
    std::string_view format;       ///< "safetensors", "GGUF", …: for people
};

}  // namespace gpt2::inline GPT2_ABI
