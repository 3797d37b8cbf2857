// A model into a file: a Hugging Face folder, GGUF or the library's own packed file, from any
// format that can be opened.
//
// No model is built: weights go from file to file a few rows at a time, so a few MiB of memory do
// for any size; packing takes that of the largest matrix. What is written appears under its name
// when it is complete and on the disk; after an error nothing is left behind, and what was there
// before is untouched.
//
// Before: stored_model.hpp (open.hpp makes one), plan.hpp, the writers in detail/.
#pragma once

#include "plan.hpp"
#include "stored_model.hpp"
#include "detail/file_sink.hpp"
#include "detail/gguf_writer.hpp"
#include "detail/hf_writer.hpp"
#include "detail/packed_writer.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What a model can be saved as.
enum class file_format {
    hf_folder,  ///< Hugging Face's: safetensors, config.json, tokenizer files
    gguf,       ///< one file for llama.cpp and others
    packed,     ///< one file of this library's own
};

struct save_options {
    /// How matrices are written; biases, gains of norms and positions stay as they are stored. A
    /// folder takes f32, f16 and bf16, GGUF these and int8 (Q8_0), a packed file all. What a format
    /// does not know is written as f32 by as_stored, which loses nothing but what f64 has beyond a
    /// float.
    storage weights = storage::as_stored;
    /// A file or folder that is there already. A folder is replaced only when it holds nothing but
    /// files that a saved model has.
    gpt2::existing existing = gpt2::existing::keep;
    /// Told now and then how many bytes of how many are written. What it raises ends the saving.
    std::function<void(std::uint64_t done, std::uint64_t all)> progress = {};
};

namespace detail {

/// `next` with the bytes that pass counted.
[[gnu::cold]] inline byte_sink watched(byte_sink next, std::uint64_t all, const save_options& how) {
    if (!how.progress) return next;
    return [next = std::move(next), all, &progress = how.progress,
            done = std::uint64_t{0}](std::string_view bytes) mutable {
        next(bytes);
        done += bytes.size();
        progress(std::min(done, all), all);
    };
}

[[gnu::cold]] inline void save_hf_folder(const stored_model& from,
                                         const std::filesystem::path& target,
                                         const save_options& how) {
    hf_tensors tensors(from.config, *from.weights, how.weights);
    const auto tokens = from.read_tokenizer ? from.read_tokenizer() : std::nullopt;
    const auto tokenizer_files =
        tokens ? files_of(*tokens, from.config) : std::vector<tokenizer_file>();
    folder_sink folder(target, how.existing, is_hf_file);
    folder.add_text("config.json",
                    hf_config_json(from.config, tensors.tied_head(), tensors.matrix_type()));
    folder.add_text("generation_config.json", hf_generation_config_json(from.config));
    for (const tokenizer_file& file : tokenizer_files) folder.add_text(file.name, file.bytes);
    const safetensors_writer writer(tensors.take());
    folder.add("model.safetensors",
               [&](const byte_sink& sink) { writer.write(watched(sink, writer.bytes(), how)); });
    folder.commit();
}

[[gnu::cold]] inline void save_gguf(const stored_model& from, const std::filesystem::path& target,
                                    const save_options& how) {
    const auto tokens = from.read_tokenizer ? from.read_tokenizer() : std::nullopt;
    if (tokens && !tokens->definition().empty())
        fail(errc::unsupported, "GGUF", "a tokenizer of byte-level BPE", "another kind");
    if (tokens && !(tokens->frame().before.empty() && tokens->frame().after.empty()))
        fail(errc::unsupported, "GGUF", "a tokenizer that adds no tokens to a text",
             "one that does");
    const auto parts = tokens ? tokens->parts() : vocabulary();
    const gguf_writer writer({from.config, *from.weights, tokens ? &parts : nullptr, how.weights});
    file_sink file(target, how.existing);
    writer.write(watched([&](std::string_view bytes) { file.write(bytes); }, writer.bytes(), how));
    file.commit();
}

[[gnu::cold]] inline void save_packed(const stored_model& from, const std::filesystem::path& target,
                                      const save_options& how) {
    thread_pool pool;
    file_sink file(target, how.existing);
    const auto sink = watched([&](std::string_view bytes) { file.write(bytes); },
                              plan(from).weights(how.weights), how);
    packed_writer(from, how.weights, pool, sink).write();
    file.commit();
}

}  // namespace detail

/// Writes the model to `target`. Opened again, it computes what it computes now when loaded with
/// these weights, to the bit (int8 of GGUF has scales of its own).
///
/// Raises errc::unsupported naming what the format cannot say or hold, errc::write_failed (no
/// room, no permission, or something is there and is to be kept), errc::not_found (the folder it
/// is to lie in), errc::not_regular_file, errc::missing_tensor and errc::wrong_shape for weights
/// that do not fit the config, and what reading weights and tokenizer raises.
[[gnu::cold]] inline void save(const stored_model& from, const std::filesystem::path& target,
                               file_format format, const save_options& how = {}) {
    from.config.validate();
    switch (format) {
        case file_format::hf_folder:
            return detail::save_hf_folder(from, target, how);
        case file_format::gguf:
            return detail::save_gguf(from, target, how);
        case file_format::packed:
            return detail::save_packed(from, target, how);
    }
    detail::fail(errc::invalid_argument, "save", "one of the formats", static_cast<int>(format));
}

}  // namespace gpt2::inline GPT2_ABI
