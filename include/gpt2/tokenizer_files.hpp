// Tokenizers from files: a folder as Hugging Face writes it, or the same texts in memory.
//
// tokenizer.json, where there is one, says everything and is read alone; else vocab.json and
// merges.txt (encoder.json and vocab.bpe as OpenAI named them) with added_tokens.json,
// special_tokens_map.json and tokenizer_config.json beside them. What is not GPT-2's byte-level BPE
// is refused by name, never approximated.
//
// Before: tokenizer.hpp, detail/tokenizer_builder.hpp, detail/json.hpp. Next: load.hpp.
#pragma once

#include "tokenizer.hpp"
#include "detail/json.hpp"
#include "detail/tokenizer_builder.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// The contents of tokenizer files; nothing stands for a file that is not there.
struct tokenizer_texts {
    std::optional<std::string_view> tokenizer_json = {};
    std::optional<std::string_view> vocab_json = {}, merges_txt = {};
    std::optional<std::string_view> added_tokens_json = {}, special_tokens_map_json = {};
    std::optional<std::string_view> tokenizer_config_json = {};
    std::string_view folder = {};  ///< for messages
};

/// The tokenizer that the texts describe. Raises errc::not_found when neither tokenizer.json nor
/// vocab.json and merges.txt are given, errc::bad_json, errc::bad_tokenizer (contents that break
/// the rules; a line number for merges), errc::unsupported (another kind of tokenizer, by name),
/// errc::limit_exceeded (a text above 64 MiB, 2²⁰ tokens or merges).
///
/// A vocabulary need not have all 256 byte symbols; encode then refuses the bytes that lack one.
/// `<|endoftext|>` in vocab.json is a special token; a special token that is named but has no id is
/// none.
tokenizer load_tokenizer(const tokenizer_texts& texts);

/// The tokenizer of a folder. Raises what load_tokenizer of its texts raises, and
/// errc::not_regular_file and errc::read_failed.
tokenizer load_tokenizer(const std::filesystem::path& folder);

namespace detail {

inline constexpr json_limits tokenizer_limits{.bytes = std::size_t{64} << 20};

/// The merges of tokenizer.json, ["left right", …] or [["left", "right"], …].
inline std::vector<symbol_merge> read_merge_array(const json_value& list,
                                                  const std::string& where) {
    if (!list.items()) fail(errc::bad_tokenizer, where, "an array", described(list));
    const std::string line = where + " ";
    std::vector<symbol_merge> merges;
    for (const json_value& item : *list.items()) {
        const std::size_t number = merges.size();
        const auto* line_text = item.text();
        const auto* pair = item.items();
        if (line_text)
            merges.push_back(split_merge(*line_text, number, line));
        else if (pair && pair->size() == 2 && pair->front().text() && pair->back().text())
            merges.push_back({*pair->front().text(), *pair->back().text(), number});
        else
            fail(errc::bad_tokenizer, {line, number}, "a pair of strings", described(item));
    }
    return merges;
}

/// Refuses, by name, members that are not among `known`: what they mean is not known here.
[[gnu::cold]] inline void refuse_others(const json_fields& fields,
                                        std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : fields.members())
        if (!is_one_of({known.begin(), known.size()}, name))
            fail(errc::unsupported, fields.where(),
                 {"the member ", printable(name), " is not known"});
}

/// An added token as tokenizer.json and tokenizer_config.json write it, without its id.
[[gnu::cold]] inline added_token read_added_token(const json_fields& fields) {
    added_token token;
    const auto content = fields.text("content");
    if (!content) fail(errc::bad_tokenizer, fields.where(), "an added token without content");
    token.content = *content;
    token.special = fields.boolean("special").value_or(false);
    token.lstrip = fields.boolean("lstrip").value_or(false);
    token.rstrip = fields.boolean("rstrip").value_or(false);
    token.single_word = fields.boolean("single_word").value_or(false);
    token.normalized = fields.boolean("normalized").value_or(!token.special);
    return token;
}

/// Reads the member `key` of tokenizer.json, which must be null or of type ByteLevel; whether it
/// is there.
[[gnu::cold]] inline bool read_byte_level(const json_fields& file, std::string_view key) {
    if (!file.given(key)) return false;
    const json_fields part(*file.find(key), text_of({file.where(), ": ", key}),
                           errc::bad_tokenizer);
    const auto type = part.text("type").value_or("");
    if (type != "ByteLevel") fail(errc::unsupported, part.where(), "ByteLevel", printable(type));
    refuse_others(part, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return true;
}

/// Whether the post-processor is a template that adds nothing to a text, as transformers 5 writes.
[[gnu::cold]] inline bool is_empty_template(const json_fields& file) {
    const auto* processor = file.find("post_processor");
    if (processor == nullptr || !processor->members()) return false;
    const json_fields part(*processor, text_of({file.where(), ": post_processor"}),
                           errc::bad_tokenizer);
    const auto* single = part.find("single");
    if (part.text("type") != "TemplateProcessing" || !single || !single->items()) return false;
    const auto& steps = *single->items();
    return steps.size() == 1 && steps.front().members() &&
           steps.front().members()->contains("Sequence");
}

[[gnu::cold]] inline void read_pre_tokenizer(const json_fields& file, tokenizer_builder& builder) {
    if (!read_byte_level(file, "pre_tokenizer"))
        fail(errc::unsupported, file.where(), "a ByteLevel pre_tokenizer", "none");
    const json_fields part(*file.find("pre_tokenizer"), text_of({file.where(), ": pre_tokenizer"}),
                           errc::bad_tokenizer);
    if (part.boolean("add_prefix_space").value_or(true)) builder.prefix = prefix::space;
    if (!part.boolean("use_regex").value_or(true)) builder.cuts = cuts::none;
}

/// Refuses what changes the ids of a BPE model beyond vocabulary and merges.
[[gnu::cold]] inline void require_plain_bpe(const json_fields& model) {
    const auto refuse = [&](std::string_view key) {
        fail(errc::unsupported, model.where(), {key, " is set"});
    };
    if (const auto type = model.text("type").value_or("BPE"); type != "BPE")
        fail(errc::unsupported, model.where(), "BPE", printable(type));
    for (const auto key : {"dropout", "unk_token"})
        if (model.given(key)) refuse(key);
    for (const auto key : {"continuing_subword_prefix", "end_of_word_suffix"})
        if (model.given(key) && !model.text(key)->empty()) refuse(key);
    for (const auto key : {"byte_fallback", "ignore_merges"})
        if (model.given(key) && *model.boolean(key)) refuse(key);
}

/// Reads {"symbol": id, …}.
inline void read_vocabulary(const json_value& vocab, const std::string& where,
                            tokenizer_builder& builder) {
    const auto& members = json_fields(vocab, where, errc::bad_tokenizer).members();
    if (members.size() > most_tokens)
        fail(errc::limit_exceeded, where, "at most 2^20 tokens", members.size());
    builder.reserve(members.size());
    for (const auto& [symbol, value] : members) {
        const auto* id = value.whole_number();
        if (!id || *id >= most_tokens)
            fail(errc::bad_tokenizer, {where, ": ", printable(symbol)}, "an id from 0 to 2^20 - 1",
                 described(value));
        builder.take(symbol, static_cast<token_id>(*id), where);
    }
}

[[gnu::cold]] inline void read_model(const json_value& value, const std::string& where,
                                     tokenizer_builder& builder) {
    const json_fields model(value, where, errc::bad_tokenizer);
    require_plain_bpe(model);
    refuse_others(
        model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
    for (const auto key : {"vocab", "merges"})
        if (!model.given(key)) fail(errc::bad_tokenizer, where, {"no ", key});
    const std::string merges = where + ": merges";
    read_vocabulary(*model.find("vocab"), where + ": vocab", builder);
    builder.take_merges(read_merge_array(*model.find("merges"), merges), merges + " ");
}

[[gnu::cold]] inline tokenizer read_tokenizer_json(const tokenizer_texts& texts) {
    tokenizer_builder builder(texts.folder);
    const std::string name = builder.name_of("tokenizer.json");
    const auto document = parse_json(*texts.tokenizer_json, name, tokenizer_limits);
    const json_fields file(document, name, errc::bad_tokenizer);
    refuse_others(file, {"version", "truncation", "padding", "added_tokens", "normalizer",
                         "pre_tokenizer", "post_processor", "decoder", "model"});
    if (file.given("normalizer")) fail(errc::unsupported, name, "it has a normalizer");
    if (!file.given("model")) fail(errc::bad_tokenizer, name, "it has no model");
    read_model(*file.find("model"), name + ": model", builder);
    read_pre_tokenizer(file, builder);
    if (!is_empty_template(file)) read_byte_level(file, "post_processor");
    read_byte_level(file, "decoder");
    if (file.given("added_tokens")) {
        const auto& list = *file.find("added_tokens");
        if (!list.items()) file.refuse("added_tokens", list, "an array");
        for (const auto& item : *list.items()) {
            const json_fields fields(item, name + ": added_tokens", errc::bad_tokenizer);
            added_token token = read_added_token(fields);
            const auto id = fields.integer("id", {.least = 0, .most = most_tokens - 1});
            if (!id) fail(errc::bad_tokenizer, fields.where(), "an added token without id");
            token.id = static_cast<token_id>(*id);
            builder.add(std::move(token), fields.where());
        }
    }
    return builder.finish(name + ": model: vocab");
}

/// added_tokens.json: {"content": id, …}.
[[gnu::cold]] inline void read_added_tokens(std::string_view text, tokenizer_builder& builder) {
    const std::string name = builder.name_of("added_tokens.json");
    const auto document = parse_json(text, name, tokenizer_limits);
    const json_fields fields(document, name, errc::bad_tokenizer);
    for (const auto& [content, value] : fields.members()) {
        added_token token{.content = content, .normalized = true};
        token.id =
            static_cast<token_id>(*fields.integer(content, {.least = 0, .most = most_tokens - 1}));
        builder.add(std::move(token), name);
    }
}

/// The named special tokens of special_tokens_map.json or tokenizer_config.json: a string, an
/// object with its content, or a list of these.
[[gnu::cold]] inline void mark_named(const json_value& value, const std::string& where,
                                     tokenizer_builder& builder) {
    if (value.text())
        builder.mark_special({.content = *value.text()});
    else if (value.members())
        builder.mark_special(read_added_token({value, where, errc::bad_tokenizer}));
    else if (!value.is_null())
        fail(errc::bad_tokenizer, where, "a token", described(value));
}

[[gnu::cold]] inline void mark_all_named(const json_fields& file, tokenizer_builder& builder) {
    for (const std::string_view key :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
          "mask_token", "additional_special_tokens", "extra_special_tokens"}) {
        if (!file.given(key)) continue;
        const auto& value = *file.find(key);
        const std::string where = text_of({file.where(), ": ", key});
        if (value.items())
            for (const auto& item : *value.items()) mark_named(item, where, builder);
        else
            mark_named(value, where, builder);
    }
}

/// tokenizer_config.json: the class, what it adds, and added tokens by id.
[[gnu::cold]] inline void read_tokenizer_config(const json_fields& file,
                                                tokenizer_builder& builder) {
    constexpr std::string_view classes[] = {"GPT2Tokenizer",           "GPT2TokenizerFast",
                                            "CodeGenTokenizer",        "CodeGenTokenizerFast",
                                            "PreTrainedTokenizerFast", "TokenizersBackend"};
    if (file.given("tokenizer_class")) {
        const auto name = *file.text("tokenizer_class");
        if (!is_one_of(classes, name))
            fail(errc::unsupported, file.where(), "GPT2Tokenizer", printable(name));
    }
    for (const std::string_view key : {"add_bos_token", "add_eos_token"})
        if (file.given(key) && *file.boolean(key))
            fail(errc::unsupported, file.where(), {key, " is set"});
    if (file.given("add_prefix_space") && *file.boolean("add_prefix_space"))
        builder.prefix = prefix::space;
    if (!file.given("added_tokens_decoder")) return;
    const std::string where = file.where() + ": added_tokens_decoder";
    const json_fields tokens(*file.find("added_tokens_decoder"), where, errc::bad_tokenizer);
    for (const auto& [key, value] : tokens.members()) {
        added_token token = read_added_token({value, where, errc::bad_tokenizer});
        const char* const end = key.data() + key.size();
        const auto [next, status] = std::from_chars(key.data(), end, token.id);
        if (status != std::errc{} || next != end)
            fail(errc::bad_tokenizer, where, "ids as keys", printable(key));
        builder.add(std::move(token), where);
    }
}

[[gnu::cold]] inline tokenizer read_vocab_and_merges(const tokenizer_texts& texts) {
    tokenizer_builder builder(texts.folder);
    const std::string name = builder.name_of("vocab.json");
    const auto document = parse_json(*texts.vocab_json, name, tokenizer_limits);
    read_vocabulary(document, name, builder);
    const std::string lines = builder.name_of("merges.txt") + ": line ";
    if (texts.merges_txt->size() > tokenizer_limits.bytes)
        fail(errc::limit_exceeded, builder.name_of("merges.txt"), "more than 64 MiB");
    builder.take_merges(read_merge_lines(*texts.merges_txt, lines), lines);

    const std::string config_name = builder.name_of("tokenizer_config.json");
    const auto config_document =
        parse_json(texts.tokenizer_config_json.value_or("{}"), config_name, tokenizer_limits);
    const json_fields config(config_document, config_name, errc::bad_tokenizer);
    read_tokenizer_config(config, builder);
    if (texts.added_tokens_json) read_added_tokens(*texts.added_tokens_json, builder);
    if (texts.special_tokens_map_json) {
        const std::string map_name = builder.name_of("special_tokens_map.json");
        const auto map = parse_json(*texts.special_tokens_map_json, map_name, tokenizer_limits);
        mark_all_named({map, map_name, errc::bad_tokenizer}, builder);
    }
    mark_all_named(config, builder);
    builder.mark_special({.content = "<|endoftext|>"});
    return builder.finish(name);
}

}  // namespace detail

[[gnu::cold]] inline tokenizer load_tokenizer(const tokenizer_texts& texts) {
    if (texts.tokenizer_json) return detail::read_tokenizer_json(texts);
    if (texts.vocab_json && texts.merges_txt) return detail::read_vocab_and_merges(texts);
    detail::fail(errc::not_found, texts.folder.empty() ? "tokenizer" : texts.folder,
                 "tokenizer.json, or vocab.json and merges.txt",
                 texts.vocab_json   ? "no merges.txt"
                 : texts.merges_txt ? "no vocab.json"
                                    : "none of them");
}

[[gnu::cold]] inline tokenizer load_tokenizer(const std::filesystem::path& folder) {
    const auto text = [&](std::initializer_list<const char*> names) -> std::optional<std::string> {
        std::error_code ignored;
        for (const char* name : names)
            if (const auto file = detail::entry_of(folder, name);
                std::filesystem::exists(file, ignored))
                return detail::read_text(file, detail::tokenizer_limits.bytes);
        return std::nullopt;
    };
    const std::string name = detail::shown(folder);
    if (const auto whole = text({"tokenizer.json"}))
        return load_tokenizer(tokenizer_texts{.tokenizer_json = *whole, .folder = name});
    const auto vocab = text({"vocab.json", "encoder.json"}),
               merges = text({"merges.txt", "vocab.bpe"});
    const auto added = text({"added_tokens.json"}), named = text({"special_tokens_map.json"});
    const auto config = text({"tokenizer_config.json"});
    return load_tokenizer(tokenizer_texts{.vocab_json = vocab,
                                          .merges_txt = merges,
                                          .added_tokens_json = added,
                                          .special_tokens_map_json = named,
                                          .tokenizer_config_json = config,
                                          .folder = name});
}

}  // namespace gpt2::inline GPT2_ABI
