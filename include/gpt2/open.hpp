// The one door for files: whatever a GPT-2 is kept in, recognised by what it holds.
//
// A folder is Hugging Face's (config.json), OpenAI's (hparams.json), or one that holds a single
// model in one file. A file is known by its first bytes, never by its name; what it does not say
// itself is looked for beside it. All of it may come from memory. Nothing of the weights is read
// here: opening takes milliseconds, and says what is wrong before much memory is taken.
//
// Before: stored_model.hpp, the readers of the formats in detail/. Next: load.hpp.
#pragma once

#include "stored_model.hpp"
#include "detail/file_set.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#if !defined(GPT2_SEPARATE)
#include "tokenizer_files.hpp"
#include "detail/bare_model.hpp"
#include "detail/gguf_model.hpp"
#include "detail/hf_folder.hpp"
#include "detail/llmc.hpp"
#include "detail/nanogpt_tokenizer.hpp"
#include "detail/openai_folder.hpp"
#include "detail/packed_file.hpp"
#endif

namespace gpt2::inline GPT2_ABI {

/// Opens what lies at `path`: a folder or a file. Raises a gpt2::error that names file, tensor or
/// key with what was expected and found; errc::unsupported for other models and formats, by name.
GPT2_INLINE stored_model open_model(const std::filesystem::path& path);

/// Opens a model in one file that is in memory, which must outlive what is made of it.
GPT2_INLINE stored_model open_model(std::span<const std::byte> file);

/// Opens a model that is several files, each in memory under the name it has in its folder. The
/// bytes must outlive what is made of them.
GPT2_INLINE stored_model open_model(std::span<const file_part> parts);

/// The tokenizer at `path`: of a folder, with a model or without, or of a model's file. Raises what
/// open_model and load_tokenizer raise, and not_found.
GPT2_INLINE tokenizer open_tokenizer(const std::filesystem::path& path);

#if !defined(GPT2_SEPARATE)

namespace detail {

/// What a file holds, as its first and last bytes show it.
enum class file_kind { unknown, packed, safetensors, gguf, pytorch, llmc, tensorflow_index, json };

[[gnu::cold]] inline file_kind kind_of(const byte_source& file) {
    const auto bytes = [&](std::uint64_t offset, std::uint64_t most) {
        std::string text(static_cast<std::size_t>(std::min(file.size() - offset, most)), '\0');
        file.read(offset, std::as_writable_bytes(std::span(text)));
        return text;
    };
    const std::string first = bytes(0, 32);
    if (looks_like_packed(first)) return file_kind::packed;
    if (looks_like_gguf(first)) return file_kind::gguf;
    if (looks_like_llmc_model(first)) return file_kind::llmc;
    if (looks_like_pytorch(first)) return file_kind::pytorch;
    if (looks_like_safetensors(first)) return file_kind::safetensors;
    if (first.starts_with('{')) return file_kind::json;
    if (file.size() >= table_footer_bytes &&
        looks_like_table(bytes(file.size() - table_footer_bytes, table_footer_bytes)))
        return file_kind::tensorflow_index;
    return file_kind::unknown;
}

inline bool is_model(file_kind kind) {
    return kind == file_kind::packed || kind == file_kind::safetensors || kind == file_kind::gguf ||
           kind == file_kind::pytorch || kind == file_kind::llmc;
}

inline constexpr std::string_view llmc_tokenizer_file = "gpt2_tokenizer.bin";

/// The tokenizer whose files stand beside a model that brings none itself.
[[gnu::cold]] inline std::optional<tokenizer> tokenizer_beside(const file_set& files) {
    if (has_tokenizer_files(files)) return load_tokenizer(files);
    if (files.has(llmc_tokenizer_file))
        return read_llmc_tokenizer(*files.open(llmc_tokenizer_file));
    if (files.has(nanogpt_tokenizer_file))
        return read_nanogpt_tokenizer(*files.open(nanogpt_tokenizer_file));
    return std::nullopt;
}

/// A file of tensors alone, with the config of the folder it lies in, if there is one.
[[gnu::cold]] inline stored_model open_tensors(const std::shared_ptr<const byte_source>& file,
                                               file_kind kind, const file_set* beside) {
    const bool pytorch = kind == file_kind::pytorch;
    if (beside == nullptr || !beside->has("config.json"))
        return pytorch ? open_pytorch_model(file) : open_bare_safetensors(file);
    return open_hf_file(*beside, weight_formats[pytorch ? 1 : 0], file);
}

/// A model in one file; `beside` are the files of its folder, or null.
[[gnu::cold]] inline stored_model open_model_file(const std::shared_ptr<const byte_source>& file,
                                                  const file_set* beside) {
    const auto kind = kind_of(*file);
    stored_model model;
    switch (kind) {
        case file_kind::packed:
            return open_packed(file);
        case file_kind::gguf:
            return open_gguf(file);
        case file_kind::llmc:
            model = read_llmc_model(file);
            if (beside != nullptr && beside->has(llmc_tokenizer_file))
                model.config.end_of_text = {
                    read_llmc_tokenizer_header(*beside->open(llmc_tokenizer_file)).end_of_text};
            break;
        case file_kind::safetensors:
        case file_kind::pytorch:
            model = open_tensors(file, kind, beside);
            break;
        case file_kind::json:
            fail(errc::unsupported, file->name(), "a model", "JSON: open the folder it lies in");
        case file_kind::tensorflow_index:
            fail(errc::unsupported, file->name(), "a model",
                 "the index of a TensorFlow checkpoint: open the folder it lies in");
        case file_kind::unknown:
            fail(errc::unsupported, file->name(),
                 "a model as safetensors, GGUF, PyTorch or llm.c write it", "something else");
    }
    if (!model.read_tokenizer)
        model.read_tokenizer = [files = beside != nullptr ? std::optional(*beside) : std::nullopt] {
            return files ? tokenizer_beside(*files) : std::nullopt;
        };
    return model;
}

/// The one file of a folder that is a model. Throws errc::not_found, errc::invalid_argument when
/// there are several.
[[gnu::cold]] inline std::shared_ptr<const byte_source> only_model_of(const file_set& files) {
    std::shared_ptr<const byte_source> found;
    for (const std::string& name : files.names()) {
        auto file = files.open(name);
        if (!is_model(kind_of(*file))) continue;
        if (found)
            fail(errc::invalid_argument, files.shown(), "one model, or the name of one of several",
                 {found->name(), " and ", file->name()});
        found = std::move(file);
    }
    return found;
}

[[gnu::cold]] inline stored_model open_model_folder(const file_set& files) {
    stored_model model;
    if (looks_like_openai_folder(files)) {
        model = open_openai_folder(files);
    } else {
        if (!files.has("config.json") && !files.has("adapter_config.json"))
            if (const auto file = only_model_of(files)) return open_model_file(file, &files);
        model = open_hf_folder(files);
    }
    model.read_tokenizer = [files] { return tokenizer_beside(files); };
    return model;
}

/// What `open` gives; memory that runs out on the way is errc::out_of_memory.
template <class Open>
[[gnu::cold]] stored_model opened(const std::string& where, Open open) {
    try {
        return open();
    } catch (const std::bad_alloc&) {
        fail(errc::out_of_memory, where, "not enough memory to open it");
    }
}

}  // namespace detail

[[gnu::cold]] GPT2_INLINE stored_model open_model(const std::filesystem::path& path) {
    auto files = detail::opened(detail::shown(path), [&] {
        std::error_code ignored;
        if (std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found)
            detail::fail(errc::not_found, detail::shown(path), "no such file or folder");
        if (!std::filesystem::is_regular_file(path, ignored))
            return detail::open_model_folder(detail::file_set(path));
        const auto absolute = std::filesystem::absolute(path);
        const detail::file_set beside(absolute.parent_path());
        return detail::open_model_file(std::make_shared<detail::file_source>(path), &beside);
    });
    files.source = path;
    return files;
}

[[gnu::cold]] GPT2_INLINE stored_model open_model(std::span<const std::byte> file) {
    return detail::opened("memory", [&] {
        return detail::open_model_file(std::make_shared<detail::memory_source>("memory", file),
                                       nullptr);
    });
}

[[gnu::cold]] GPT2_INLINE stored_model open_model(std::span<const file_part> parts) {
    return detail::opened("memory",
                          [&] { return detail::open_model_folder(detail::file_set(parts)); });
}

[[gnu::cold]] GPT2_INLINE tokenizer open_tokenizer(const std::filesystem::path& path) {
    std::optional<tokenizer> found;
    if (!std::filesystem::is_directory(path)) {
        found = open_model(path).read_tokenizer();
        if (!found)
            detail::fail(errc::not_found, detail::shown(path), "no tokenizer came with this model");
        return *std::move(found);
    }
    const detail::file_set files(path);
    found = detail::tokenizer_beside(files);
    if (!found && !files.has("config.json") && detail::only_model_of(files))
        found = open_model(path).read_tokenizer();
    return found ? *std::move(found) : load_tokenizer(files);  // which says what is missing
}

#endif

}  // namespace gpt2::inline GPT2_ABI
