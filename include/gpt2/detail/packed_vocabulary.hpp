// The tokenizer's section of a packed file.
//
// Of GPT-2's own kind of tokenizer it holds the vocabulary itself, which is taken as it is: lengths
// and bytes of the tokens, merges, added tokens. Which tokens merging reaches from their bytes is
// kept too, since trying that takes longer than all the rest.
//
// Before: tokenizer.hpp, detail/byte_reader.hpp. Next: detail/packed_file.hpp.
#pragma once

#include "../tokenizer.hpp"
#include "../tokenizer_files.hpp"
#include "byte_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The kind of tokenizer that is kept as its vocabulary.
inline constexpr std::string_view packed_vocabulary_kind = "byte-level BPE";

/// Bits of an added token, in the order of its members.
inline std::uint32_t flags_of(const added_token& token) {
    return unsigned{token.special} | unsigned{token.lstrip} << 1 | unsigned{token.rstrip} << 2 |
           unsigned{token.single_word} << 3 | unsigned{token.normalized} << 4;
}

/// Tokens, merges, added tokens: their counts, the two enums, then one after another; the frame.
[[gnu::cold]] inline std::string packed_vocabulary(const vocabulary& from) {
    std::string out;
    for (const std::size_t number : {from.tokens.size(), from.merges.size(), from.added.size()})
        append_number(out, static_cast<std::uint32_t>(number));
    append_number(out, static_cast<std::uint32_t>(from.cuts));
    append_number(out, static_cast<std::uint32_t>(from.prefix));
    for (const std::string& token : from.tokens)
        append_number(out, static_cast<std::uint32_t>(token.size()));
    for (const std::string& token : from.tokens) out += token;
    out.append(from.reached.begin(), from.reached.end());
    for (const auto& [left, right, result] : from.merges)
        for (const token_id id : {left, right, result})
            append_number(out, static_cast<std::uint32_t>(id));
    for (const added_token& token : from.added) {
        append_number(out, static_cast<std::uint32_t>(token.id));
        append_number(out, flags_of(token));
        append_number(out, static_cast<std::uint32_t>(token.content.size()));
        out += token.content;
    }
    for (const auto* ids : {&from.frame.before, &from.frame.after}) {
        append_number(out, static_cast<std::uint32_t>(ids->size()));
        for (const token_id id : *ids) append_number(out, static_cast<std::uint32_t>(id));
    }
    return out;
}

/// Throws errc::truncated, errc::bad_tokenizer.
[[gnu::cold]] inline vocabulary unpacked_vocabulary(std::string_view bytes,
                                                    std::string_view where) {
    byte_reader in(bytes, where, errc::bad_tokenizer);
    const auto count = [&](std::size_t least_bytes) {
        const auto number = in.number<std::uint32_t>();
        if (number > in.left() / least_bytes)
            in.refuse("a count that the file has room for", number);
        return std::size_t{number};
    };
    const auto id = [&] {
        const auto number = in.number<std::uint32_t>();
        if (number >= most_tokens) in.refuse("an id below 2^20", number);
        return static_cast<token_id>(number);
    };
    vocabulary out;
    const auto tokens = count(4), merges = count(12), added = count(12);
    const auto cuts = in.number<std::uint32_t>(), prefix = in.number<std::uint32_t>();
    if (cuts > 1 || prefix > 1) in.refuse("ways of cutting and of prefixing that are known", cuts);
    out.cuts = static_cast<gpt2::cuts>(cuts);
    out.prefix = static_cast<gpt2::prefix>(prefix);
    byte_reader lengths(in.take(4 * std::uint64_t{tokens}), where, errc::bad_tokenizer);
    out.tokens.reserve(tokens);
    while (!lengths.empty()) out.tokens.emplace_back(in.take(lengths.number<std::uint32_t>()));
    const auto reached = in.take(tokens);
    out.reached.assign(reached.begin(), reached.end());
    for (std::size_t i = 0; i < merges; ++i) {
        const auto left = id(), right = id(), result = id();
        for (const token_id each : {left, right, result})
            if (static_cast<std::size_t>(each) >= tokens) in.refuse("a token's id", each);
        out.merges.push_back({left, right, result});
    }
    for (std::size_t i = 0; i < added; ++i) {
        added_token token;
        token.id = id();
        const auto flags = in.number<std::uint32_t>();
        token.content = in.take(in.number<std::uint32_t>());
        token.special = flags & 1;
        token.lstrip = flags & 2;
        token.rstrip = flags & 4;
        token.single_word = flags & 8;
        token.normalized = flags & 16;
        if (flags_of(token) != flags) in.refuse("flags that are known", flags);
        out.added.push_back(std::move(token));
    }
    for (auto* ids : {&out.frame.before, &out.frame.after})
        for (auto left = count(4); left > 0; --left) ids->push_back(id());
    if (!in.empty()) in.refuse("the end", {in.left(), " more bytes"});
    return out;
}

/// A tokenizer of another kind: the files that say what it is, each with its name.
inline constexpr std::string_view packed_files_kind = "files";

/// The kind of a tokenizer, and its section.
[[gnu::cold]] inline std::pair<std::string_view, std::string> packed_tokenizer(
    const tokenizer& from) {
    if (from.definition().empty()) return {packed_vocabulary_kind, packed_vocabulary(from.parts())};
    std::string files;
    for (const auto& [name, contents] : from.definition())
        for (const std::string_view text : {std::string_view(name), std::string_view(contents)}) {
            append_number(files, std::uint64_t{text.size()});
            files += text;
        }
    return {packed_files_kind, std::move(files)};
}

/// Throws errc::truncated, errc::bad_tokenizer, errc::unsupported (a kind that is not known), and
/// what load_tokenizer throws.
[[gnu::cold]] inline tokenizer read_packed_tokenizer(std::string_view kind, std::string_view bytes,
                                                     const std::string& file) {
    const std::string where = text_of({file, ": tokenizer"});
    if (kind == packed_vocabulary_kind) return tokenizer(unpacked_vocabulary(bytes, where));
    if (kind != packed_files_kind)
        fail(errc::unsupported, where, packed_vocabulary_kind, printable(kind, 40));
    byte_reader in(bytes, where, errc::bad_tokenizer);
    std::vector<file_part> parts;
    while (!in.empty()) {
        const auto name = in.take(in.number<std::uint64_t>());
        const auto contents = in.take(in.number<std::uint64_t>());
        parts.push_back({name, std::as_bytes(std::span(contents))});
    }
    return load_tokenizer(file_set(parts));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
