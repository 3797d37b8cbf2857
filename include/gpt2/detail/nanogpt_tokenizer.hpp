// meta.pkl, which nanoGPT's preparation of a text by characters leaves beside it: each character
// with its id.
//
// It is read as data, and made into the tokenizer.json that means the same: characters that nothing
// merges. Before: detail/pickle.hpp, detail/json_writer.hpp, tokenizer_files.hpp. Next: open.hpp.
#pragma once

#include "../tokenizer_files.hpp"
#include "byte_source.hpp"
#include "json_writer.hpp"
#include "pickle.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

inline constexpr std::string_view nanogpt_tokenizer_file = "meta.pkl";

/// Throws errc::bad_tokenizer, errc::unsupported (a pickle that is more than data), and what
/// load_tokenizer throws.
[[gnu::cold]] inline tokenizer read_nanogpt_tokenizer(const byte_source& file) {
    constexpr std::size_t most = std::size_t{4} << 20;
    const auto bytes = std::make_shared<const std::string>(read_text(file, most));
    const auto document =
        pickle_reader(bytes, 0, file.name(), std::span<const std::string_view>()).read();
    const auto ids =
        document.root().is(pickle_kind::dict) ? document.root().find("stoi") : std::nullopt;
    if (!ids || !ids->is(pickle_kind::dict))
        fail(errc::bad_tokenizer, file.name(), "stoi, the id of each character", "none");
    json_writer out;
    out.open('{').key("decoder").open('{').member("type", "Fuse").close();
    out.key("model").open('{').member("type", "BPE").key("vocab").open('{');
    for (std::size_t i = 0; i + 1 < ids->size(); i += 2) {
        const auto character = (*ids)[i].text();
        const auto id = (*ids)[i + 1].integer();
        if (!character || character->empty() || !id)
            fail(errc::bad_tokenizer, {file.name(), ": stoi"}, "characters and their ids",
                 "something else");
        out.member(*character, *id);
    }
    out.close().key("merges").open('[').close().close().close();
    const std::string json = out.take();
    return load_tokenizer(tokenizer_texts{.tokenizer_json = json, .folder = file.name()});
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
