// Tokenizers from files: a folder as Hugging Face writes it, or the same texts in memory.
//
// tokenizer.json, where there is one, says everything and is read alone; else vocab.json and
// merges.txt (encoder.json and vocab.bpe as OpenAI named them), a SentencePiece model or a BERT
// vocabulary, with added_tokens.json, special_tokens_map.json and tokenizer_config.json beside
// them. What is not known is refused by name, never approximated.
//
// Before: tokenizer.hpp, detail/tokenizer_json.hpp, detail/tokenizer_companions.hpp. Next:
// load.hpp.
#pragma once

#include "tokenizer.hpp"
#include "vocabulary.hpp"
#include "detail/file_set.hpp"

#include <filesystem>
#include <algorithm>
#include <array>
#include <span>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#if !defined(GPT2_SEPARATE)
#include "detail/bert_files.hpp"
#include "detail/sentencepiece_files.hpp"
#include "detail/tokenizer_companions.hpp"
#include "detail/tokenizer_json.hpp"
#endif

namespace gpt2::inline GPT2_ABI {

/// The tokenizer that the texts describe. Raises errc::not_found when no vocabulary is given,
/// errc::bad_json, errc::bad_tokenizer (contents that break the rules; a line number for merges),
/// errc::unsupported (a part or class that is not known, by name), errc::limit_exceeded (a text
/// above 64 MiB, 2²⁰ tokens or merges).
///
/// A vocabulary need not have all 256 byte symbols; encode then refuses the bytes that lack one.
/// `<|endoftext|>` in vocab.json is a special token; a special token that is named but has no id is
/// none. tokenizer_config.json's class decides what is done around a SentencePiece model
/// (T5Tokenizer, GPTSw3Tokenizer; none named: nothing) and a vocab.txt (BertTokenizer).
///
/// Ids and texts are those of Hugging Face tokenizers and SentencePiece, with one difference: a
/// special token is found only where it is written as it is. Where normalising turns other text
/// into its name, say "<S>" into "<s>", Hugging Face's model may take that for the token.
GPT2_INLINE tokenizer load_tokenizer(const tokenizer_texts& texts);

/// The tokenizer of a folder. Raises what load_tokenizer of its texts raises, and
/// errc::not_regular_file and errc::read_failed.
GPT2_INLINE tokenizer load_tokenizer(const std::filesystem::path& folder);
GPT2_INLINE tokenizer load_tokenizer(const detail::file_set& files);

#if !defined(GPT2_SEPARATE)

namespace detail {

[[gnu::cold]] inline tokenizer read_vocab_and_merges(const tokenizer_texts& texts) {
    tokenizer_builder builder(texts.folder);
    const std::string name = builder.name_of("vocab.json");
    const auto document = parse_json(*texts.vocab_json, name, tokenizer_limits);
    read_vocabulary(document, name, builder);
    const std::string lines = builder.name_of("merges.txt") + ": line ";
    if (texts.merges_txt->size() > tokenizer_limits.bytes)
        fail(errc::limit_exceeded, builder.name_of("merges.txt"), "more than 64 MiB");
    builder.take_merges(read_merge_lines(*texts.merges_txt, lines), lines);

    tokenizer_companions companions(texts, builder);
    companions.class_of(
        {"GPT2Tokenizer", "CodeGenTokenizer", "PreTrainedTokenizer", "TokenizersBackend"});
    if (companions.is_set("add_prefix_space")) builder.prefix = prefix::space;
    if (companions.is_set("add_bos_token"))
        if (const auto begin = companions.named("bos_token", "<|endoftext|>"))
            builder.frame.before.push_back(*begin);
    if (companions.is_set("add_eos_token"))
        fail(errc::unsupported, companions.config().where(), "add_eos_token is set");
    companions.add_tokens();
    builder.mark_special({.content = "<|endoftext|>"});
    return builder.finish(name);
}

}  // namespace detail

[[gnu::cold]] GPT2_INLINE tokenizer load_tokenizer(const tokenizer_texts& texts) {
    if (texts.tokenizer_json)
        return detail::read_tokenizer_json(*texts.tokenizer_json, texts.folder);
    if (texts.vocab_json && texts.merges_txt) return detail::read_vocab_and_merges(texts);
    if (texts.sentencepiece_model) return detail::read_sentencepiece_files(texts);
    if (texts.vocab_txt) return detail::read_bert_files(texts);
    detail::fail(errc::not_found, texts.folder.empty() ? "tokenizer" : texts.folder,
                 "tokenizer.json, vocab.json and merges.txt, spiece.model or vocab.txt",
                 texts.vocab_json   ? "no merges.txt"
                 : texts.merges_txt ? "no vocab.json"
                                    : "none of them");
}

namespace detail {

inline constexpr std::array<const char*, 5> sentencepiece_names{
    "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "spm.model", "sp.model"};

/// Whether there is any file of tokens or merges. What stands beside them (added_tokens.json,
/// tokenizer_config.json …) says nothing alone.
[[gnu::cold]] inline bool has_tokenizer_files(const file_set& files) {
    const auto is_there = [&](const char* name) {
        return files.has(name);
    };  // or a link to nowhere
    static constexpr std::array<const char*, 6> names{
        "tokenizer.json", "vocab.json", "encoder.json", "merges.txt", "vocab.bpe", "vocab.txt"};
    return std::any_of(names.begin(), names.end(), is_there) ||
           std::any_of(sentencepiece_names.begin(), sentencepiece_names.end(), is_there);
}

}  // namespace detail

[[gnu::cold]] GPT2_INLINE tokenizer load_tokenizer(const detail::file_set& files) {
    const auto text = [&](std::span<const char* const> names) -> std::optional<std::string> {
        for (const char* name : names)
            if (files.has(name))
                return detail::read_text(*files.open(name), detail::tokenizer_limits.bytes);
        return std::nullopt;
    };
    const std::string name = files.shown();
    if (const auto whole = text(std::array{"tokenizer.json"}))
        return load_tokenizer(tokenizer_texts{.tokenizer_json = *whole, .folder = name});
    const auto vocab = text(std::array{"vocab.json", "encoder.json"}),
               merges = text(std::array{"merges.txt", "vocab.bpe"});
    const bool both = vocab && merges;
    const auto pieces = both ? std::nullopt : text(detail::sentencepiece_names);
    const auto lines = both || pieces ? std::nullopt : text(std::array{"vocab.txt"});
    const auto added = text(std::array{"added_tokens.json"}),
               named = text(std::array{"special_tokens_map.json"});
    const auto config = text(std::array{"tokenizer_config.json"});
    return load_tokenizer(tokenizer_texts{.vocab_json = vocab,
                                          .merges_txt = merges,
                                          .added_tokens_json = added,
                                          .special_tokens_map_json = named,
                                          .tokenizer_config_json = config,
                                          .sentencepiece_model = pieces,
                                          .vocab_txt = lines,
                                          .folder = name});
}

[[gnu::cold]] GPT2_INLINE tokenizer load_tokenizer(const std::filesystem::path& folder) {
    return load_tokenizer(detail::file_set(folder));
}

#endif

}  // namespace gpt2::inline GPT2_ABI
