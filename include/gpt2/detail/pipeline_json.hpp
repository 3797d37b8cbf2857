// The parts of a tokenizer.json around its model: normalizer, pre-tokenizer, decoder and
// post-processor, read into steps.
//
// Each part is one object with a type, or a Sequence of such. A type, member or combination that is
// not known is refused by name.
//
// Before: detail/text_pipeline.hpp, detail/json.hpp. Next: detail/tokenizer_json.hpp.
#pragma once

#include "../vocabulary.hpp"
#include "bpe.hpp"
#include "charsmap.hpp"
#include "json.hpp"
#include "text_pipeline.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Refuses, by name, members that are not among `known`: what they mean is not known here.
[[gnu::cold]] inline void refuse_others(const json_fields& fields,
                                        std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : fields.members())
        if (!is_one_of({known.begin(), known.size()}, name))
            fail(errc::unsupported, fields.where(),
                 {"the member ", printable(name), " is not known"});
}

/// A member that must be there.
[[gnu::cold]] inline std::string text_member(const json_fields& part, std::string_view key) {
    const auto text = part.text(key);
    if (!text) fail(errc::bad_tokenizer, part.where(), {"no ", key});
    if (text->size() > 1024)
        fail(errc::limit_exceeded, {part.where(), ": ", key}, "at most 1024 bytes", text->size());
    return std::string(*text);
}

/// A member that is one character.
[[gnu::cold]] inline std::string character_member(const json_fields& part, std::string_view key) {
    auto text = text_member(part, key);
    if (text.empty() || character_at(text, 0).size != text.size())
        fail(errc::bad_tokenizer, {part.where(), ": ", key}, "one character", printable(text));
    return text;
}

[[noreturn, gnu::cold]] inline void refuse_type(const json_fields& part, std::string_view type) {
    fail(errc::unsupported, part.where(), {"the type ", printable(type), " is not known"});
}

/// Calls take(part, type) for the parts of `value` in order: those of a Sequence, whose member
/// `list` holds them, or itself; for none when it is null.
template <class Take>
void for_each_part(const json_value& value, const std::string& where, std::string_view list,
                   const Take& take) {
    if (value.is_null()) return;
    const json_fields part(value, where, errc::bad_tokenizer);
    const auto type = part.text("type").value_or("");
    if (type != "Sequence") return take(part, type);
    refuse_others(part, {"type", list});
    const auto* items = part.given(list) ? part.find(list)->items() : nullptr;
    if (!items) fail(errc::bad_tokenizer, where, {"an array ", list}, "none");
    for (const json_value& item : *items)
        for_each_part(item, text_of({where, ": ", list}), list, take);
}

/// A pattern of Replace and Split: {"String": …} or {"Regex": …}.
[[gnu::cold]] inline text_search read_search(const json_fields& part) {
    if (!part.given("pattern")) fail(errc::bad_tokenizer, part.where(), "no pattern");
    const json_fields pattern(*part.find("pattern"), part.where() + ": pattern",
                              errc::bad_tokenizer);
    refuse_others(pattern, {"String", "Regex"});
    if (pattern.given("String")) {
        auto wanted = text_member(pattern, "String");
        if (wanted.empty())
            fail(errc::unsupported, pattern.where(), "a pattern that matches nothing");
        return literal_search(std::move(wanted));
    }
    const auto source = text_member(pattern, "Regex");
    constexpr std::string_view words =
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    if (source == words) return word_search();
    return pattern_search(source, pattern.where());
}

// --- normalizers --------------------------------------------------------------------------------

[[gnu::cold]] inline normalizer::step read_bert_normalizer(const json_fields& part) {
    refuse_others(part,
                  {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    const bool lowercase = part.boolean("lowercase").value_or(true);
    const bool strips = part.given("strip_accents") ? *part.boolean("strip_accents") : lowercase;
    return bert_step({.clean_text = part.boolean("clean_text").value_or(true),
                      .chinese = part.boolean("handle_chinese_chars").value_or(true),
                      .strip_accents = strips,
                      .lowercase = lowercase});
}

/// The bytes that a base64 text stands for; nothing when it is none.
[[gnu::cold]] inline std::optional<std::string> from_base64(std::string_view text) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
    std::string bytes;
    std::uint32_t gathered = 0;
    int bits = 0;
    for (const char c : text) {
        const auto digit = digits.find(c);
        if (digit == digits.npos) return std::nullopt;
        gathered = (gathered << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFF;
        if ((bits += 6) < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(gathered >> bits & 0xFF);
    }
    return bytes;
}

[[gnu::cold]] inline normalizer::step read_precompiled(const json_fields& part) {
    refuse_others(part, {"type", "precompiled_charsmap"});
    if (!part.given("precompiled_charsmap")) return [](normal_text&) {};
    const auto bytes = from_base64(*part.text("precompiled_charsmap"));
    if (!bytes) fail(errc::bad_tokenizer, part.where(), "a map in base64", "something else");
    const auto map = std::make_shared<const charsmap>(*bytes, part.where());
    return [map](normal_text& in) {
        const bool begins = in.first > 0;
        in.become([&](std::string_view text) { return map->apply_by_grapheme(text); });
        // A first character that the map takes away leaves its place to the next one.
        if (begins && !in.text.empty()) in.first = std::max<std::size_t>(in.first, 1);
    };
}

[[gnu::cold]] inline normalizer::step read_normalizer_step(const json_fields& part,
                                                           std::string_view type) {
    struct form {
        std::string_view name;
        normal_form what;
    };
    for (const form& known : {form{"NFC", normal_form::nfc}, form{"NFD", normal_form::nfd},
                              form{"NFKC", normal_form::nfkc}, form{"NFKD", normal_form::nfkd}})
        if (type == known.name) {
            refuse_others(part, {"type"});
            return form_step(known.what);
        }
    if (type == "BertNormalizer") return read_bert_normalizer(part);
    if (type == "Replace") {
        refuse_others(part, {"type", "pattern", "content"});
        return replace_step(read_search(part), text_member(part, "content"));
    }
    if (type == "Prepend") {
        refuse_others(part, {"type", "prepend"});
        return prepend_step(text_member(part, "prepend"));
    }
    if (type == "Strip") {
        refuse_others(part, {"type", "strip_left", "strip_right"});
        return strip_step({part.boolean("strip_left").value_or(true),
                           part.boolean("strip_right").value_or(true)});
    }
    if (type == "Precompiled") return read_precompiled(part);
    refuse_others(part, {"type"});
    if (type == "Lowercase") return lowercase_step();
    if (type == "StripAccents") return strip_accents_step();
    if (type == "Nmt") return nmt_step();
    if (type == "ByteLevel") return byte_level_step();
    refuse_type(part, type);
}

[[gnu::cold]] inline normalizer read_normalizer(const json_value& value, const std::string& where) {
    normalizer made;
    for_each_part(value, where, "normalizers", [&](const json_fields& part, std::string_view type) {
        made.add(read_normalizer_step(part, type));
    });
    return made;
}

// --- pre-tokenizers -----------------------------------------------------------------------------

[[gnu::cold]] inline split_behavior read_behavior(const json_fields& part,
                                                  std::string_view otherwise) {
    const auto name = part.text("behavior").value_or(otherwise);
    if (name == "Removed") return split_behavior::removed;
    if (name == "Isolated") return split_behavior::isolated;
    if (name == "MergedWithPrevious") return split_behavior::merged_with_previous;
    if (name == "MergedWithNext") return split_behavior::merged_with_next;
    if (name == "Contiguous") return split_behavior::contiguous;
    fail(errc::unsupported, part.where(), {"the behavior ", printable(name), " is not known"});
}

/// Metaspace, of a pre-tokenizer or decoder; older files say add_prefix_space instead of a scheme.
[[gnu::cold]] inline metaspace_rules read_metaspace(const json_fields& part) {
    refuse_others(
        part, {"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    metaspace_rules rules{character_member(part, "replacement"), prepend_scheme::always,
                          part.boolean("split").value_or(true)};
    const auto scheme = part.text("prepend_scheme").value_or("always");
    if (scheme == "first")
        rules.prepend = prepend_scheme::first;
    else if (scheme == "never")
        rules.prepend = prepend_scheme::never;
    else if (scheme != "always")
        fail(errc::unsupported, part.where(),
             {"the prepend_scheme ", printable(scheme), " is not known"});
    if (!part.boolean("add_prefix_space").value_or(true)) {
        if (rules.prepend == prepend_scheme::first)
            fail(errc::bad_tokenizer, part.where(), "add_prefix_space contradicts prepend_scheme");
        rules.prepend = prepend_scheme::never;
    }
    return rules;
}

[[gnu::cold]] inline void read_split(const json_fields& part, pre_tokenizer& made) {
    refuse_others(part, {"type", "pattern", "behavior", "invert"});
    const auto side =
        part.boolean("invert").value_or(false) ? split_side::others : split_side::matches;
    made.add(split_step(read_search(part), read_behavior(part, ""), side));
}

[[gnu::cold]] inline void read_plain_cut(const json_fields& part, std::string_view type,
                                         pre_tokenizer& made) {
    using enum split_behavior;
    refuse_others(part, {"type"});
    if (type == "Whitespace")
        made.add(split_step(word_run_search(), removed, split_side::others));
    else if (type == "WhitespaceSplit")
        made.add(split_step(character_search(is_white_space), removed));
    else if (type == "BertPreTokenizer") {
        made.add(split_step(character_search(is_white_space), removed));
        made.add(split_step(character_search(is_punctuation), isolated));
    } else
        refuse_type(part, type);
}

[[gnu::cold]] inline void read_cut(const json_fields& part, std::string_view type,
                                   pre_tokenizer& made) {
    using enum split_behavior;
    if (type == "ByteLevel") {
        refuse_others(part, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
        made.add(byte_level_cuts({part.boolean("add_prefix_space").value_or(true),
                                  part.boolean("use_regex").value_or(true)}));
    } else if (type == "Metaspace") {
        made.add(metaspace_step(read_metaspace(part)));
    } else if (type == "Split") {
        read_split(part, made);
    } else if (type == "Digits") {
        refuse_others(part, {"type", "individual_digits"});
        const bool each = part.boolean("individual_digits").value_or(false);
        made.add(
            split_step(each ? character_search(is_numeric) : run_search(is_numeric), isolated));
    } else if (type == "Punctuation") {
        refuse_others(part, {"type", "behavior"});
        made.add(split_step(character_search(is_punctuation), read_behavior(part, "Isolated")));
    } else if (type == "CharDelimiterSplit") {
        refuse_others(part, {"type", "delimiter"});
        made.add(split_step(literal_search(character_member(part, "delimiter")), removed));
    } else if (type == "FixedLength") {
        refuse_others(part, {"type", "length"});
        const auto length = part.integer("length", {.least = 1});
        if (!length) fail(errc::bad_tokenizer, part.where(), "no length");
        made.add(fixed_length_step(static_cast<std::size_t>(*length)));
    } else {
        read_plain_cut(part, type, made);
    }
}

[[gnu::cold]] inline pre_tokenizer read_pre_tokenizer(const json_value& value,
                                                      const std::string& where) {
    pre_tokenizer made;
    for_each_part(
        value, where, "pretokenizers",
        [&](const json_fields& part, std::string_view type) { read_cut(part, type, made); });
    return made;
}

// --- decoders -----------------------------------------------------------------------------------

/// Reads the steps of a decoder in order. Behind ByteFallback and Fuse tokens are no longer apart:
/// there only what is done to the beginning of the text is known.
class decoder_reader {
public:
    decoder_rules read(const json_value& value, const std::string& where) {
        for_each_part(value, where, "decoders",
                      [&](const json_fields& part, std::string_view type) { take(part, type); });
        if (value.is_null())  // tokens are words
            rules_.steps.push_back([](token_text& token) {
                if (!token.first) token.text.insert(0, " ");
            });
        return std::move(rules_);
    }

private:
    void take(const json_fields& part, std::string_view type) {
        if (rules_.space_for || (bytes_ && type != "Fuse" && type != "Strip") ||
            (bytes_ && !fused_ && type == "Strip") || (fused_ && type != "Strip"))
            fail(errc::unsupported, part.where(),
                 {"a ", printable(type), " behind what joins tokens"});
        if (type == "Strip")
            take_strip(part);
        else if (type == "Replace")
            take_replace(part);
        else if (type == "BPEDecoder")
            take_suffix(part);
        else if (type == "Fuse")
            fused_ = true;
        else
            take_step(part, type);
    }
    void take_step(const json_fields& part, std::string_view type) {
        if (type == "ByteLevel") {
            refuse_others(part, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
            rules_.steps.push_back(byte_level_texts());
        } else if (type == "Metaspace") {
            auto rules = read_metaspace(part);
            rules_.steps.push_back(
                metaspace_texts(std::move(rules.mark), rules.prepend != prepend_scheme::never));
        } else if (type == "WordPiece") {
            refuse_others(part, {"type", "prefix", "cleanup"});
            rules_.steps.push_back(wordpiece_texts(text_member(part, "prefix"),
                                                   part.boolean("cleanup").value_or(true)));
        } else if (type == "ByteFallback") {
            refuse_others(part, {"type"});
            rules_.steps.push_back(byte_fallback_texts());
            bytes_ = true;
        } else {
            refuse_type(part, type);
        }
    }
    void take_strip(const json_fields& part) {
        refuse_others(part, {"type", "content", "start", "stop"});
        auto content = character_member(part, "content");
        const std::size_t left = part.integer("start", {}).value_or(0),
                          right = part.integer("stop", {}).value_or(0);
        if (!fused_) return rules_.steps.push_back(stripped_texts(content, {left, right}));
        if (right > 0 || rules_.most_stripped > 0)
            fail(errc::unsupported, part.where(), "more than one end of the whole text");
        rules_.strip = std::move(content);
        rules_.most_stripped = left;
    }
    void take_replace(const json_fields& part) {
        refuse_others(part, {"type", "pattern", "content"});
        const text_search search = read_search(part);
        rules_.steps.push_back(
            [step = replace_step(search, text_member(part, "content"))](token_text& token) {
                normal_text text{std::move(token.text), 0};
                step(text);
                token.text = std::move(text.text);
            });
    }
    void take_suffix(const json_fields& part) {
        refuse_others(part, {"type", "suffix"});
        if (!rules_.steps.empty())
            fail(errc::unsupported, part.where(), "a BPEDecoder behind other steps");
        rules_.space_for = text_member(part, "suffix");
    }

    decoder_rules rules_;
    bool bytes_ = false, fused_ = false;
};

// --- post-processors ----------------------------------------------------------------------------

/// The tokens that a template stands for.
[[gnu::cold]] inline void read_template_tokens(const json_fields& part, const json_value& piece,
                                               std::vector<token_id>& ids) {
    const json_fields token(piece, part.where() + ": SpecialToken", errc::bad_tokenizer);
    const auto name = text_member(token, "id");
    const json_value nothing{};
    const auto* known = part.find("special_tokens");
    const json_fields all(known ? *known : nothing, part.where() + ": special_tokens",
                          errc::bad_tokenizer);
    if (!all.given(name)) fail(errc::bad_tokenizer, all.where(), {"no ", printable(name)});
    const json_fields special(*all.find(name), all.where(), errc::bad_tokenizer);
    const auto* list = special.given("ids") ? special.find("ids")->items() : nullptr;
    if (!list) fail(errc::bad_tokenizer, special.where(), "no ids");
    for (const json_value& id : *list) {
        if (!id.whole_number() || *id.whole_number() >= most_tokens)
            fail(errc::bad_tokenizer, special.where(), "ids", described(id));
        ids.push_back(static_cast<token_id>(*id.whole_number()));
    }
}

/// TemplateProcessing: what its `single` puts before and behind the one text.
[[gnu::cold]] inline text_frame read_template(const json_fields& part) {
    refuse_others(part, {"type", "single", "pair", "special_tokens"});
    const auto* single = part.given("single") ? part.find("single")->items() : nullptr;
    if (!single) fail(errc::bad_tokenizer, part.where(), "an array single", "none");
    text_frame frame;
    std::size_t texts = 0;
    for (const json_value& item : *single) {
        const json_fields piece(item, part.where() + ": single", errc::bad_tokenizer);
        if (piece.given("SpecialToken"))
            read_template_tokens(part, *piece.find("SpecialToken"),
                                 texts == 0 ? frame.before : frame.after);
        else
            ++texts;
    }
    if (texts != 1) fail(errc::unsupported, part.where(), "a template with one text", texts);
    return frame;
}

/// A pair ["[SEP]", id] of BertProcessing.
[[gnu::cold]] inline token_id read_named_id(const json_fields& part, std::string_view key) {
    const auto* pair = part.given(key) ? part.find(key)->items() : nullptr;
    const auto* id = pair && pair->size() == 2 ? pair->back().whole_number() : nullptr;
    if (!id || *id >= most_tokens)
        fail(errc::bad_tokenizer, {part.where(), ": ", key}, "a token and its id",
             "something else");
    return static_cast<token_id>(*id);
}

/// What the post-processor puts around a text.
[[gnu::cold]] inline text_frame read_frame(const json_value& value, const std::string& where) {
    text_frame all;
    for_each_part(value, where, "processors", [&](const json_fields& part, std::string_view type) {
        text_frame next;
        if (type == "TemplateProcessing") {
            next = read_template(part);
        } else if (type == "BertProcessing" || type == "RobertaProcessing") {
            refuse_others(part, {"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
            next = {{read_named_id(part, "cls")}, {read_named_id(part, "sep")}};
        } else if (type == "ByteLevel") {
            refuse_others(part, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
        } else {
            refuse_type(part, type);
        }
        all.before.insert(all.before.begin(), next.before.begin(), next.before.end());
        all.after.insert(all.after.end(), next.after.begin(), next.after.end());
    });
    return all;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
