// Text to token ids and back: GPT-2's byte-level BPE, added tokens, and a decoder for streams.
//
// Any bytes encode and decode to themselves: nothing is normalised, and bytes that are no UTF-8
// are kept. Ids equal those of tiktoken and Hugging Face tokenizers on every valid text. A
// tokenizer is a value that knows no file (tokenizer_files.hpp reads those) and keeps no cache:
// const calls may run on any number of threads. Tokenizers of other kinds, which may change a text
// before they cut it, stand behind the same class: detail/text_coder.hpp says how.
//
// Read before: vocabulary.hpp; for the two steps of encode, detail/scanner.hpp and detail/bpe.hpp.
#pragma once

#include "error.hpp"
#include "vocabulary.hpp"
#include "detail/added_tokens.hpp"
#include "detail/bpe.hpp"
#include "detail/scanner.hpp"
#include "detail/text_coder.hpp"
#include "detail/utf8_stream.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// Byte-level BPE, or what another kind of file describes. Const calls are thread-safe; nothing in
/// it changes after it is made.
class tokenizer {
public:
    /// The longest text that encode takes, in bytes; 2³¹ − 1 tokens are out of its reach.
    static constexpr std::size_t most_text_bytes = std::size_t{64} << 20;

    /// Checks the whole vocabulary, and that every id has one meaning. Raises errc::bad_tokenizer
    /// (an id without a token or with two, a merge that does not join its parts or comes twice),
    /// errc::limit_exceeded (above 2²⁰ tokens or merges, 64 MiB of bytes, 1024 bytes of an added
    /// token).
    explicit tokenizer(vocabulary from);

    /// A tokenizer of another kind. Raises what the other constructor raises for added tokens, and
    /// errc::token_out_of_range where one of them has an id beyond the tokens.
    explicit tokenizer(coded_vocabulary from);

    /// The ids of `text`, which may be any bytes. Nothing is put around it: Hugging Face's
    /// `tokenizer(text)` gives frame().before, encode(text, specials::as_tokens), frame().after,
    /// and the middle alone with add_special_tokens=False. Raises errc::limit_exceeded above
    /// most_text_bytes, errc::invalid_argument at a byte that the vocabulary has no token for.
    /// O(n log n) at worst, in practice linear.
    std::vector<token_id> encode(std::string_view text, specials mode = specials::as_text) const {
        std::vector<token_id> ids;
        encode_to(ids, text, mode);
        return ids;
    }

    /// As encode, behind what `ids` holds already; on an error `ids` is as it was.
    void encode_to(std::vector<token_id>& ids, std::string_view text,
                   specials mode = specials::as_text) const;

    /// The exact bytes of the ids, one after another; they need not be UTF-8 (utf8_stream makes
    /// them so). Kinds that put a space before each word leave it out at the beginning. Raises
    /// errc::token_out_of_range naming the position.
    std::string decode(std::span<const token_id> ids, specials mode = specials::as_text) const;

    /// The number of ids, V: every id in [0, V) is a token.
    std::size_t size() const noexcept { return ends_.size(); }

    /// The bytes of one token, as they stand in the middle of a text, valid as long as the
    /// tokenizer. Raises errc::token_out_of_range.
    std::string_view bytes(token_id id) const {
        if (!has(id)) fail_id(id, "bytes");
        const auto i = static_cast<std::size_t>(id);
        const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
        return std::string_view(bytes_).substr(begin, ends_[i] - begin);
    }

    /// Whether the token controls the model rather than stands for text. Raises
    /// errc::token_out_of_range.
    bool is_special(token_id id) const {
        if (!has(id)) fail_id(id, "is_special");
        return special_[static_cast<std::size_t>(id)] != 0;
    }

    /// The lowest id with exactly these bytes, or the added token. O(V): look once and keep it.
    std::optional<token_id> find(std::string_view bytes) const;

    /// The first step of encode, for those who want to watch: the cuts of a text without added
    /// tokens, as views into `text` that concatenate to it. Where prefixes_space() the text is cut
    /// as it stands, so put the space before it first. Raises errc::unsupported for other kinds.
    std::vector<std::string_view> pieces(std::string_view text) const;

    /// The second step: one piece merged by itself. Raises what both raise. O(n log n).
    std::vector<token_id> merge_piece(std::string_view piece) const;

    /// Whether encode puts a space before a text that does not begin with one.
    bool prefixes_space() const noexcept { return prefix_ == prefix::space; }

    /// What Hugging Face's tokenizer puts around a text unless told not to.
    const text_frame& frame() const noexcept { return frame_; }

    /// What the tokenizer is made of: one made of that is equal. Raises errc::unsupported for other
    /// kinds, which have a definition instead. O(bytes + merges).
    vocabulary parts() const;

    /// The files that say what a tokenizer of another kind is; none for byte-level BPE.
    std::span<const tokenizer_file> definition() const noexcept {
        return files_ ? std::span<const tokenizer_file>(*files_)
                      : std::span<const tokenizer_file>();
    }

private:
    friend class token_stream;
    using sorted_tokens = std::map<std::string_view, const added_token*>;

    static sorted_tokens checked(const std::vector<added_token>& added);
    void take_bytes(const std::vector<std::string>& tokens);
    void take_added(vocabulary& from);
    void take_rounds(const sorted_tokens& sorted);
    void take_tokens(const std::vector<std::string>& tokens);
    void take_merges(const std::vector<merge>& merges);
    void take_words(const std::vector<char>& reached);
    bool is_reached(std::string_view word, token_id id, detail::long_merger& merger) const;
    void take_frame(text_frame frame);

    void require_byte_level(const char* what) const {
        if (coder_) detail::fail(errc::unsupported, what, "byte-level BPE", "another kind");
    }
    void decode_one(token_id id, detail::decoding& so_far, std::string& text) const {
        if (!coder_)
            text += bytes(id);
        else
            coder_->decode(id, bytes(id), so_far, text);
    }
    bool has(token_id id) const { return id >= 0 && static_cast<std::size_t>(id) < size(); }
    [[noreturn, gnu::noinline, gnu::cold]] void fail_id(token_id id,
                                                        const detail::phrase& where) const {
        detail::fail(errc::token_out_of_range, where, {"a token below ", size()}, id);
    }
    static void require_size(std::string_view text) {
        if (text.size() > most_text_bytes)
            detail::fail(errc::limit_exceeded, "encode", "at most 64 MiB of text",
                         {text.size(), " bytes"});
    }
    void require_tokens_for(std::string_view stretch, std::size_t offset) const;
    struct encoding;
    template <class Rest>
    void encode_round(encoding& to, const detail::added_tokens& round, std::string_view text,
                      Rest encode_rest) const;
    void encode_stretch(encoding& to, std::string_view stretch) const;
    void encode_pieces(encoding& to, std::string_view stretch) const;
    const char* next_cut(const char* at, const char* end) const {
        return cuts_ == cuts::words ? detail::piece_end(at, end) : end;
    }

    std::string bytes_;              // of all tokens, one after another
    std::vector<std::size_t> ends_;  // where each ends in bytes_
    std::vector<char> special_;      // by id: 1 for a special token
    detail::merge_rules rules_;
    detail::word_table words_;
    detail::added_tokens raw_, normalized_;  // the two rounds in which they are looked for
    cuts cuts_;
    prefix prefix_;
    bool complete_ = false;  // every byte has a token
    text_frame frame_;
    std::shared_ptr<const detail::text_coder> coder_;  // of another kind; else none
    std::shared_ptr<const std::vector<tokenizer_file>> files_;
};

// ------------------------------------------------------------------------------------------------

inline tokenizer::tokenizer(vocabulary from) : cuts_(from.cuts), prefix_(from.prefix) {
    take_bytes(from.tokens);
    take_added(from);
    take_tokens(from.tokens);
    take_merges(from.merges);
    take_words(from.reached);
    take_frame(std::move(from.frame));
}

inline tokenizer::tokenizer(coded_vocabulary from)
    : cuts_(cuts::none), prefix_(prefix::none), coder_(std::move(from.coder)) {
    if (!coder_) detail::fail(errc::invalid_argument, "vocabulary", "it has no coder");
    rules_.byte_ids.fill(-1);
    take_tokens(from.tokens);
    sorted_tokens sorted = checked(from.added);
    for (const auto& [content, token] : sorted) {
        if (!has(token->id)) fail_id(token->id, "added tokens");
        special_[static_cast<std::size_t>(token->id)] = token->special;
    }
    std::erase_if(sorted, [](const auto& entry) { return entry.second->normalized; });
    take_rounds(sorted);
    take_frame(std::move(from.frame));
    files_ = std::make_shared<const std::vector<tokenizer_file>>(std::move(from.files));
}

/// The ordinary tokens of one byte each, with which merging begins.
[[gnu::cold]] inline void tokenizer::take_bytes(const std::vector<std::string>& tokens) {
    rules_.byte_ids.fill(-1);
    const std::size_t count = std::min(tokens.size(), detail::most_tokens);
    for (std::size_t id = 0; id < count; ++id) {
        if (tokens[id].size() != 1) continue;
        token_id& known = rules_.byte_ids[static_cast<unsigned char>(tokens[id].front())];
        if (known >= 0)
            detail::fail(errc::bad_tokenizer, {"token ", id}, "bytes of its own",
                         {detail::printable(tokens[id]), ", as token ", known});
        known = static_cast<token_id>(id);
    }
    complete_ = true;
    for (const token_id id : rules_.byte_ids) complete_ = complete_ && id >= 0;
}

/// The added tokens by content, each checked by itself.
[[gnu::cold]] inline tokenizer::sorted_tokens tokenizer::checked(
    const std::vector<added_token>& added) {
    sorted_tokens sorted;
    for (const added_token& token : added) {
        const std::string where =
            detail::text_of({"added token ", detail::printable(token.content)});
        if (token.content.empty()) detail::fail(errc::bad_tokenizer, where, "no content");
        if (token.content.size() > 1024)
            detail::fail(errc::limit_exceeded, where, "at most 1024 bytes", token.content.size());
        if (token.id < 0 || static_cast<std::size_t>(token.id) >= detail::most_tokens)
            detail::fail(errc::bad_tokenizer, where, "an id from 0 to 2^20 - 1", token.id);
        if (!sorted.emplace(token.content, &token).second)
            detail::fail(errc::bad_tokenizer, where, "it is added twice");
    }
    return sorted;
}

/// Gives each added token its place among from.tokens, and sorts them by round.
[[gnu::cold]] inline void tokenizer::take_added(vocabulary& from) {
    const sorted_tokens sorted = checked(from.added);
    for (const added_token& token : from.added) {
        const auto id = static_cast<std::size_t>(token.id);
        if (id >= from.tokens.size()) from.tokens.resize(id + 1);
        if (special_.size() <= id) special_.resize(id + 1);
        if (!from.tokens[id].empty() && from.tokens[id] != token.content)
            detail::fail(errc::bad_tokenizer, {"added token ", detail::printable(token.content)},
                         "an id of its own",
                         {id, ", which is ", detail::printable(from.tokens[id])});
        from.tokens[id] = token.content;
        special_[id] = token.special;
    }
    take_rounds(sorted);
}

[[gnu::cold]] inline void tokenizer::take_rounds(const sorted_tokens& sorted) {
    std::vector<added_token> rounds[2];
    for (const auto& [content, token] : sorted) rounds[token->normalized].push_back(*token);
    raw_ = detail::added_tokens(std::move(rounds[0]));
    normalized_ = detail::added_tokens(std::move(rounds[1]));
}

[[gnu::cold]] inline void tokenizer::take_frame(text_frame frame) {
    for (const auto* ids : {&frame.before, &frame.after})
        for (const token_id id : *ids)
            if (!has(id)) fail_id(id, "frame");
    frame_ = std::move(frame);
}

[[gnu::cold]] inline void tokenizer::take_tokens(const std::vector<std::string>& tokens) {
    if (tokens.empty()) detail::fail(errc::bad_tokenizer, "vocabulary", "it is empty");
    if (tokens.size() > detail::most_tokens)
        detail::fail(errc::limit_exceeded, "vocabulary", "at most 2^20 tokens", tokens.size());
    std::size_t total = 0;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        if (tokens[id].empty() && !coder_)
            detail::fail(errc::bad_tokenizer, "vocabulary", {"id ", id, " has no token"});
        total += tokens[id].size();
        if (total > most_text_bytes)
            detail::fail(errc::limit_exceeded, "vocabulary", "more than 64 MiB of tokens");
    }
    special_.resize(tokens.size());
    bytes_.reserve(total);
    ends_.reserve(tokens.size());
    for (const std::string& token : tokens) {
        bytes_ += token;
        ends_.push_back(bytes_.size());
    }
}

inline void tokenizer::take_merges(const std::vector<merge>& merges) {
    if (merges.size() > detail::most_tokens)
        detail::fail(errc::limit_exceeded, "merges", "at most 2^20", merges.size());
    rules_.ranks = detail::pair_table(merges.size());
    rules_.results.reserve(merges.size());
    for (const merge& m : merges) {
        const auto rank = static_cast<std::uint32_t>(rules_.results.size());
        const std::string_view left = bytes(m.left), right = bytes(m.right),
                               joined = bytes(m.result);
        if (!joined.starts_with(left) || joined.substr(left.size()) != right)
            detail::fail(
                errc::bad_tokenizer, {"merge ", rank},
                {detail::printable(left, 40), " and ", detail::printable(right, 40), " joined"},
                detail::printable(joined, 40));
        if (rules_.ranks.find(m.left, m.right) != detail::no_rank)
            detail::fail(errc::bad_tokenizer, {"merge ", rank}, "it comes twice");
        rules_.ranks.insert(m.left, m.right, rank);
        rules_.results.push_back(m.result);
        rules_.bytes.join(left.back(), right.front());
        if (m.left == rules_.byte_id(left.front()) && m.right == rules_.byte_id(right.front()))
            rules_.bytes.insert(left.front(), right.front(), rank);
    }
}

/// The short tokens that merging reaches from their own bytes: only for these a look at the table
/// may stand for merging. Any list of merges is allowed, so each token is tried.
inline void tokenizer::take_words(const std::vector<char>& reached) {
    if (!reached.empty() && reached.size() != size())
        detail::fail(errc::bad_tokenizer, "reached", {size(), " tokens"}, reached.size());
    words_ = detail::word_table(size());
    detail::long_merger merger;
    for (std::size_t i = 0; i < size(); ++i) {
        const auto id = static_cast<token_id>(i);
        const std::string_view word = bytes(id);
        if (word.size() > detail::longest_word) continue;
        if (reached.empty() ? is_reached(word, id, merger) : reached[i] != 0)
            words_.insert(detail::read_word(word.data(), word.size(), word.data() + word.size()),
                          id);
    }
}

inline bool tokenizer::is_reached(std::string_view word, token_id id,
                                  detail::long_merger& merger) const {
    if (!complete_)
        for (const char byte : word)
            if (rules_.byte_id(byte) < 0) return false;
    std::vector<token_id> ids;
    detail::merge_piece(rules_, word, merger, ids);
    return ids.size() == 1 && ids[0] == id;
}

/// One call of encode: where the ids go, and what its parts share.
struct tokenizer::encoding {
    std::vector<token_id>& ids;
    std::string_view text;  // all of it
    specials mode;
    detail::long_merger merger = {};

    void take(const added_token& token) {
        if (!token.special || mode != specials::skip) ids.push_back(token.id);
    }
};

inline void tokenizer::encode_to(std::vector<token_id>& ids, std::string_view text,
                                 specials mode) const {
    require_size(text);
    const std::size_t before = ids.size();
    try {
        encoding to{ids, text, mode};
        const auto plain = [&](std::string_view part) { encode_stretch(to, part); };
        const auto second = [&](std::string_view part) {
            encode_round(to, normalized_, part, plain);
        };
        if (mode == specials::as_text)
            plain(text);
        else
            encode_round(to, raw_, text, second);
    } catch (...) {
        ids.resize(before);
        throw;
    }
}

/// Finds the added tokens of one round, and calls encode_rest for the stretches between them.
template <class Rest>
void tokenizer::encode_round(encoding& to, const detail::added_tokens& round, std::string_view text,
                             Rest encode_rest) const {
    std::size_t done = 0;
    for (auto found = round.find(text, 0); found.token; found = round.find(text, found.next)) {
        if (found.begin > done) encode_rest(text.substr(done, found.begin - done));
        to.take(*found.token);
        done = std::max(done, found.end);
    }
    encode_rest(text.substr(done));
}

inline void tokenizer::require_tokens_for(std::string_view stretch, std::size_t offset) const {
    constexpr char digits[] = "0123456789abcdef";
    for (const char c : stretch) {
        const auto byte = static_cast<unsigned char>(c);
        if (rules_.byte_ids[byte] < 0)
            detail::fail(
                errc::invalid_argument, "encode",
                {"the vocabulary has no token for the byte 0x",
                 std::string{digits[byte >> 4], digits[byte & 15]}, " at offset ", offset});
        ++offset;
    }
}

inline void tokenizer::encode_stretch(encoding& to, std::string_view stretch) const {
    const auto offset = static_cast<std::size_t>(stretch.data() - to.text.data());
    if (coder_) return coder_->encode({stretch, offset, to.mode}, to.ids);
    if (!complete_) require_tokens_for(stretch, offset);
    if (prefix_ == prefix::none || stretch.empty() || stretch.front() == ' ')
        return encode_pieces(to, stretch);
    if (!complete_) require_tokens_for(" ", 0);
    std::string spaced = " ";
    spaced += stretch;
    encode_pieces(to, spaced);
}

inline void tokenizer::encode_pieces(encoding& to, std::string_view stretch) const {
    const char* const end = stretch.data() + stretch.size();
    for (const char* at = stretch.data(); at != end;) {
        const char* const next = next_cut(at, end);
        const auto size = static_cast<std::size_t>(next - at);
        const token_id word =
            size <= detail::longest_word ? words_.find(detail::read_word(at, size, end)) : -1;
        if (word >= 0)
            to.ids.push_back(word);
        else
            detail::merge_piece(rules_, {at, size}, to.merger, to.ids);
        at = next;
    }
}

inline std::string tokenizer::decode(std::span<const token_id> ids, specials mode) const {
    std::string text;
    text.reserve(4 * ids.size());
    detail::decoding so_far;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (!has(ids[i])) fail_id(ids[i], {"ids[", i, "]"});
        if (mode != specials::skip || !is_special(ids[i])) decode_one(ids[i], so_far, text);
    }
    return text;
}

inline std::optional<token_id> tokenizer::find(std::string_view wanted) const {
    for (std::size_t id = 0; id < size(); ++id)
        if (bytes(static_cast<token_id>(id)) == wanted) return static_cast<token_id>(id);
    for (const added_token& token : raw_.all())
        if (token.content == wanted) return token.id;
    return std::nullopt;
}

inline std::vector<std::string_view> tokenizer::pieces(std::string_view text) const {
    require_byte_level("pieces");
    std::vector<std::string_view> list;
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const char* const next = next_cut(at, end);
        list.emplace_back(at, static_cast<std::size_t>(next - at));
        at = next;
    }
    return list;
}

inline std::vector<token_id> tokenizer::merge_piece(std::string_view piece) const {
    require_byte_level("merge_piece");
    require_size(piece);
    if (!complete_) require_tokens_for(piece, 0);
    std::vector<token_id> ids;
    detail::long_merger merger;
    detail::merge_piece(rules_, piece, merger, ids);
    return ids;
}

inline vocabulary tokenizer::parts() const {
    require_byte_level("parts");
    vocabulary made;
    made.cuts = cuts_;
    made.prefix = prefix_;
    made.frame = frame_;
    for (const auto* round : {&raw_, &normalized_})
        made.added.insert(made.added.end(), round->all().begin(), round->all().end());
    for (std::size_t i = 0; i < size(); ++i) {
        const auto id = static_cast<token_id>(i);
        const std::string_view word = bytes(id);
        made.tokens.emplace_back(word);
        made.reached.push_back(word.size() <= detail::longest_word &&
                               words_.find(detail::read_word(word.data(), word.size(),
                                                             word.data() + word.size())) == id);
    }
    // A byte by itself is an ordinary token only where merging begins with it.
    for (const added_token& token : made.added)
        if (token.content.size() == 1 && rules_.byte_id(token.content.front()) != token.id)
            made.tokens[static_cast<std::size_t>(token.id)].clear();
    made.merges.resize(rules_.results.size());
    rules_.ranks.for_each([&](token_id left, token_id right, std::uint32_t rank) {
        made.merges[rank] = {left, right, rules_.results[rank]};
    });
    return made;
}

}  // namespace gpt2::inline GPT2_ABI
