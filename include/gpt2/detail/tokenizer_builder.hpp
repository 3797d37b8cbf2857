// From symbols to a tokenizer: what every form of tokenizer file comes down to.
//
// Files write bytes in GPT-2's byte alphabet and merges as pairs of such strings. The builder
// gathers them with added tokens from any number of files, refuses what contradicts itself, and
// names the line. It reads no format itself.
//
// Before: tokenizer.hpp. Next: tokenizer_files.hpp.
#pragma once

#include "../error.hpp"
#include "../tokenizer.hpp"
#include "byte_alphabet.hpp"
#include "normalizer.hpp"
#include "token_texts.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A merge as files write it, and its number there: a line, or a place in an array.
struct symbol_merge {
    std::string_view left, right;
    std::size_t number;
};

/// What all forms of tokenizer files come down to. The documents read must outlive it.
class tokenizer_builder {
public:
    explicit tokenizer_builder(std::string_view folder) : folder_(folder) {}

    /// A file's name for messages.
    std::string name_of(std::string_view file) const {
        return folder_.empty() ? std::string(file) : text_of({folder_, "/", file});
    }

    void reserve(std::size_t symbols);
    void take(std::string_view symbol, token_id id, const std::string& where);
    void take_merges(const std::vector<symbol_merge>& merges, const std::string& where,
                     std::string_view inside = {});
    void add(added_token token, const std::string& where);
    void mark_special(added_token named);
    tokenizer finish(const std::string& where);

    /// What is gathered, for tokenizers of other kinds.
    std::optional<token_id> find(std::string_view symbol) const {
        const auto known = ids_.find(symbol);
        return known == ids_.end() ? std::nullopt : std::optional(known->second);
    }
    std::vector<std::string> texts(token_texts& to, const normalizer& as,
                                   const std::string& where) const;
    const auto& ids() const { return ids_; }
    std::set<token_id> controls() const;
    const auto& added() const { return added_; }
    const auto& merges() const { return merges_; }

    gpt2::cuts cuts = gpt2::cuts::words;
    gpt2::prefix prefix = gpt2::prefix::none;
    text_frame frame;

private:
    token_id id_of(std::string_view symbol, const std::string& where, std::size_t number) const;

    std::string folder_;
    std::unordered_map<std::string_view, token_id> ids_;     // of symbols
    std::vector<std::optional<std::string_view>> symbols_;   // by id
    std::map<std::string, std::size_t, std::less<>> place_;  // in added_, by content
    std::vector<added_token> added_;
    std::vector<merge> merges_;
};

/// Makes room for as many entries of the vocabulary.
inline void tokenizer_builder::reserve(std::size_t symbols) {
    ids_.reserve(symbols);
    symbols_.reserve(symbols);
}

/// Takes one entry of the vocabulary. The symbol must outlive the builder.
inline void tokenizer_builder::take(std::string_view symbol, token_id id,
                                    const std::string& where) {
    const auto place = static_cast<std::size_t>(id);
    if (place >= symbols_.size()) symbols_.resize(place + 1);
    const bool fresh = ids_.emplace(symbol, id).second;
    if (symbols_[place] || !fresh)
        fail(errc::bad_tokenizer, where,
             {printable(symbol), " has id ", id, ", but one of the two is taken"});
    symbols_[place] = symbol;
}

/// The id of a symbol that the merge `number` names.
inline token_id tokenizer_builder::id_of(std::string_view symbol, const std::string& where,
                                         std::size_t number) const {
    const auto entry = ids_.find(symbol);
    if (entry == ids_.end())
        fail(errc::bad_tokenizer, {where, number}, "tokens of the vocabulary", printable(symbol));
    return entry->second;
}

/// Takes the merges in order. The second part of each may begin with `inside`, which marks what
/// stands inside a word and is no part of the result.
inline void tokenizer_builder::take_merges(const std::vector<symbol_merge>& merges,
                                           const std::string& where, std::string_view inside) {
    if (merges.size() > most_tokens)
        fail(errc::limit_exceeded, where, "at most 2^20 merges", merges.size());
    pair_table seen(merges.size());
    merges_.reserve(merges.size());
    std::string joined;
    for (const auto& [left, right, number] : merges) {
        if (!right.starts_with(inside))
            fail(errc::bad_tokenizer, {where, number}, {"a second part with ", printable(inside)},
                 printable(right));
        joined.assign(left).append(right.substr(inside.size()));
        // Mostly results are numbered as merges are, and the next id saves a search.
        const auto next = merges_.empty() ? 0 : static_cast<std::size_t>(merges_.back().result) + 1;
        const bool in_turn = next < symbols_.size() && symbols_[next] == joined;
        const merge found{id_of(left, where, number), id_of(right, where, number),
                          in_turn ? static_cast<token_id>(next) : id_of(joined, where, number)};
        if (seen.find(found.left, found.right) != no_rank)
            fail(errc::bad_tokenizer, {where, number}, "a merge that comes twice");
        seen.insert(found.left, found.right, 0);
        merges_.push_back(found);
    }
}

/// Adds a token that has an id; one that the vocabulary or an earlier file knows must agree.
[[gnu::cold]] inline void tokenizer_builder::add(added_token token, const std::string& where) {
    const auto require_id = [&](token_id known) {
        if (known != token.id)
            fail(errc::bad_tokenizer, {where, ": ", printable(token.content)},
                 {"id ", known, " as before"}, token.id);
    };
    if (const auto known = ids_.find(token.content); known != ids_.end()) require_id(known->second);
    const auto [place, fresh] = place_.emplace(token.content, added_.size());
    if (fresh)
        added_.push_back(std::move(token));
    else
        require_id(added_[place->second].id);
}

/// Makes a named token special, as it is described, if it has an id at all.
[[gnu::cold]] inline void tokenizer_builder::mark_special(added_token named) {
    named.special = true;
    if (const auto place = place_.find(named.content); place != place_.end()) {
        added_token& known = added_[place->second];
        named.id = known.id;
        if (!known.special) known = std::move(named);
    } else if (const auto known = ids_.find(named.content); known != ids_.end()) {
        named.id = known->second;
        place_.emplace(named.content, added_.size());
        added_.push_back(std::move(named));
    }
}

/// The tokenizer. A symbol is ordinary when it is bytes in the byte alphabet, unless it was added
/// with those characters meant as they stand.
inline tokenizer tokenizer_builder::finish(const std::string& where) {
    vocabulary made;
    made.tokens.resize(symbols_.size());
    for (std::size_t id = 0; id < symbols_.size(); ++id) {
        if (!symbols_[id]) continue;
        auto bytes = symbol_bytes(*symbols_[id]);
        if (bytes != *symbols_[id] && place_.contains(*symbols_[id])) continue;
        if (!bytes || bytes->empty())
            fail(errc::bad_tokenizer, where, "characters of the byte alphabet",
                 printable(*symbols_[id]));
        made.tokens[id] = std::move(*bytes);
    }
    made.merges = std::move(merges_);
    made.added = std::move(added_);
    made.cuts = cuts;
    made.prefix = prefix;
    made.frame = std::move(frame);
    return tokenizer(std::move(made));
}

/// The special tokens that no other text may become in a model: those longer than a character.
inline std::set<token_id> tokenizer_builder::controls() const {
    std::set<token_id> found;
    for (const added_token& token : added_) {
        const std::string& text = token.content;
        const bool word = !text.empty() && character_at(text, 0).size < text.size();
        if (token.special && word) found.insert(token.id);
    }
    return found;
}

/// What each token adds in the middle of a text, by id, for tokenizers of other kinds; `to` is told
/// of all of them. Added tokens that are normalized decode to what they are looked for as.
inline std::vector<std::string> tokenizer_builder::texts(token_texts& to, const normalizer& as,
                                                         const std::string& where) const {
    std::vector<std::optional<std::string_view>> symbols = symbols_;
    std::vector<const added_token*> added(symbols.size());
    for (const added_token& token : added_) {
        const auto id = static_cast<std::size_t>(token.id);
        if (id >= symbols.size()) symbols.resize(id + 1), added.resize(id + 1);
        if (symbols[id] && *symbols[id] != token.content)
            fail(errc::bad_tokenizer, {where, ": ", printable(token.content)}, "an id of its own",
                 {id, ", which is ", printable(*symbols[id])});
        symbols[id] = token.content;
        added[id] = &token;
    }
    std::vector<std::string> texts;
    std::size_t total = 0;
    for (std::size_t id = 0; id < symbols.size(); ++id) {
        if (!symbols[id]) fail(errc::bad_tokenizer, where, {"id ", id, " has no token"});
        if (symbols[id]->size() > 65536)
            fail(errc::limit_exceeded, where, {"token ", id, " is longer than 64 KiB"});
        std::string symbol(*symbols[id]);
        if (added[id] && added[id]->normalized) symbol = as.apply(symbol, false).text;
        const bool literal = added[id] && symbol == added[id]->content;
        texts.push_back(to.add(symbol, literal));
        total += texts.back().size();
        if (total > tokenizer::most_text_bytes)
            fail(errc::limit_exceeded, where, "more than 64 MiB of tokens");
    }
    return texts;
}

/// Splits "left right" at its one space.
inline symbol_merge split_merge(std::string_view text, std::size_t number,
                                const std::string& where) {
    const auto space = text.find(' ');
    const bool pair = space != text.npos && space > 0 && space + 1 < text.size() &&
                      text.find(' ', space + 1) == text.npos;
    if (!pair)
        fail(errc::bad_tokenizer, {where, number}, "two parts with a space between",
             printable(text));
    return {text.substr(0, space), text.substr(space + 1), number};
}

/// The lines of merges.txt: a first line that starts with "#version" is none, and empty lines are
/// allowed at the end only. Lines may end in CR LF.
inline std::vector<symbol_merge> read_merge_lines(std::string_view text, const std::string& where) {
    std::vector<symbol_merge> merges;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (number == 1 && line.starts_with("#version")) continue;
        if (merges.size() == most_tokens)
            fail(errc::limit_exceeded, {where, number}, "more than 2^20 merges");
        merges.push_back(split_merge(line, number, where));
    }
    return merges;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
