// A SentencePiece model as its file (`spiece.model`, `tokenizer.model`) describes it.
//
// The file is a ModelProto in protocol buffers' wire format: pieces with scores and kinds, what the
// trainer was told, and how text is normalised. It is checked whole: what is read here can be
// encoded with. Models of words or characters, and ones that rewrite what they decode, are refused
// by name. The number of pieces is limited, so that a small file full of them takes 20 MB at most.
//
// Before: detail/protobuf.hpp. Next: detail/sentencepiece.hpp.
#pragma once

#include "../error.hpp"
#include "protobuf.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a piece is for. Only normal, user_defined and unused ones are found in a text.
enum class piece_kind : std::uint8_t {
    normal = 1,
    unknown = 2,       ///< stands for text that no piece covers; each model has one
    control = 3,       ///< <s>, </s> and the like: never in a text
    user_defined = 4,  ///< found in a text before all others, and kept whole
    unused = 5,        ///< merged into by byte pairs, then taken apart again
    byte = 6,          ///< <0x00> to <0xFF>
};

struct sentencepiece_model {
    enum class algorithm { unigram, bpe };
    struct piece {
        std::string text;
        float score = 0;
        piece_kind kind = piece_kind::normal;
    };

    std::vector<piece> pieces;  ///< by id
    algorithm kind = algorithm::unigram;
    bool byte_fallback = false;
    bool space_behind = false;                 ///< a word's space is that behind it, not before it
    bool add_dummy_prefix = true;              ///< a space is put where the text begins (or ends)
    bool remove_extra_spaces = true;           ///< spaces at both ends, and all but one of several
    bool escape_spaces = true;                 ///< a space becomes U+2581
    std::string charsmap;                      ///< for detail/charsmap.hpp; may be empty
    std::string unknown_surface = " \u2047 ";  ///< what the unknown piece decodes to
    token_id unknown = -1, begin = -1, end = -1, padding = -1;  ///< -1: there is none
};

struct sentencepiece_limits {
    static constexpr std::size_t pieces = std::size_t{1} << 18;  ///< the largest known have these
    static constexpr std::size_t piece_bytes = 8000;  ///< below that, as SentencePiece has it
    static constexpr float score = 1e20f;             ///< so that no sum of scores overflows
};

/// The byte that a piece `<0x41>` stands for, or -1.
inline int byte_of_piece(std::string_view text) {
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -256;
    };
    if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
    const int byte = 16 * digit(text[3]) + digit(text[4]);
    return byte < 0 ? -1 : byte;
}

/// Reads a model. Its messages: ModelProto (1 piece, 2 trainer, 3 normaliser, 5 denormaliser).
class sentencepiece_reader {
public:
    explicit sentencepiece_reader(std::string_view where) : where_(where) {}

    sentencepiece_model read(std::string_view bytes) {
        for (message_reader fields = message(bytes, where_); fields.next();) {
            if (fields.field() == 1) read_piece(fields.bytes());
            if (fields.field() == 2) read_trainer(fields.bytes());
            if (fields.field() == 3) read_normalizer(fields.bytes());
            if (fields.field() == 5) read_denormalizer(fields.bytes());
        }
        check_pieces();
        made_.begin = control_named(begin_name_);
        made_.end = control_named(end_name_);
        made_.padding = control_named(padding_name_);
        return std::move(made_);
    }

private:
    static message_reader message(std::string_view bytes, std::string_view where) {
        return {bytes, where, errc::bad_tokenizer};
    }

    /// SentencePiece: 1 text, 2 score, 3 kind.
    void read_piece(std::string_view bytes) {
        if (made_.pieces.size() == sentencepiece_limits::pieces)
            fail(errc::limit_exceeded, where_,
                 {"at most ", sentencepiece_limits::pieces, " pieces"}, "more");
        sentencepiece_model::piece piece;
        for (message_reader fields = message(bytes, where_); fields.next();) {
            if (fields.field() == 1) piece.text = fields.bytes();
            if (fields.field() == 2) piece.score = fields.real();
            if (fields.field() == 3) {
                if (fields.number() < 1 || fields.number() > 6)
                    fail(errc::bad_tokenizer, where_, "a kind of piece from 1 to 6",
                         fields.number());
                piece.kind = static_cast<piece_kind>(fields.number());
            }
        }
        if (piece.text.empty() || piece.text.size() >= sentencepiece_limits::piece_bytes)
            fail(errc::bad_tokenizer, where_, "pieces of 1 to 7,999 bytes", piece.text.size());
        if (piece.text.find('\0') != std::string::npos)
            fail(errc::bad_tokenizer, where_, "pieces without zeros", printable(piece.text));
        if (!(std::abs(piece.score) <= sentencepiece_limits::score))
            fail(errc::bad_tokenizer, where_, "scores within 1e20", "another");
        made_.pieces.push_back(std::move(piece));
    }

    /// TrainerSpec: 3 algorithm, 24 spaces behind, 35 fallback, 44 surface, 46 to 48 names.
    void read_trainer(std::string_view bytes) {
        for (message_reader fields = message(bytes, where_); fields.next();)
            switch (fields.field()) {
                case 3:
                    made_.kind = algorithm_of(fields.number());
                    break;
                case 24:
                    made_.space_behind = fields.number() != 0;
                    break;
                case 35:
                    made_.byte_fallback = fields.number() != 0;
                    break;
                case 44:
                    made_.unknown_surface = fields.bytes();
                    break;
                case 46:
                    begin_name_ = fields.bytes();
                    break;
                case 47:
                    end_name_ = fields.bytes();
                    break;
                case 48:
                    padding_name_ = fields.bytes();
                    break;
                default:
                    break;
            }
    }

    sentencepiece_model::algorithm algorithm_of(std::uint64_t number) const {
        if (number == 1) return sentencepiece_model::algorithm::unigram;
        if (number == 2) return sentencepiece_model::algorithm::bpe;
        if (number == 3 || number == 4)
            fail(errc::unsupported, where_,
                 {"a model of ", number == 3 ? "words" : "characters", ": not supported"});
        fail(errc::bad_tokenizer, where_, "an algorithm from 1 to 4", number);
    }

    /// NormalizerSpec: 2 map, 3 dummy prefix, 4 extra spaces, 5 escapes.
    void read_normalizer(std::string_view bytes) {
        for (message_reader fields = message(bytes, where_); fields.next();) {
            if (fields.field() == 2) made_.charsmap = fields.bytes();
            if (fields.field() == 3) made_.add_dummy_prefix = fields.number() != 0;
            if (fields.field() == 4) made_.remove_extra_spaces = fields.number() != 0;
            if (fields.field() == 5) made_.escape_spaces = fields.number() != 0;
        }
    }

    void read_denormalizer(std::string_view bytes) const {
        for (message_reader fields = message(bytes, where_); fields.next();)
            if (fields.field() == 2 && !fields.bytes().empty())
                fail(errc::unsupported, where_, "it rewrites what it decodes: not supported");
    }

    void check_pieces() {
        std::array<bool, 256> bytes{};
        for (std::size_t id = 0; id < made_.pieces.size(); ++id) {
            const sentencepiece_model::piece& piece = made_.pieces[id];
            if (piece.kind == piece_kind::unknown) {
                if (made_.unknown >= 0)
                    fail(errc::bad_tokenizer, where_, "one unknown piece", "two");
                made_.unknown = static_cast<token_id>(id);
            }
            if (piece.kind != piece_kind::byte) continue;
            const int byte = byte_of_piece(piece.text);
            if (byte < 0 || !made_.byte_fallback)
                fail(errc::bad_tokenizer, where_, "no such piece for a byte",
                     printable(piece.text));
            bytes[static_cast<std::size_t>(byte)] = true;
        }
        if (made_.unknown < 0) fail(errc::bad_tokenizer, where_, "an unknown piece", "none");
        if (made_.byte_fallback && std::find(bytes.begin(), bytes.end(), false) != bytes.end())
            fail(errc::bad_tokenizer, where_, "a piece for every byte", "fewer");
        check_twins();
    }

    /// No two pieces of one text, be they found in a text or not.
    void check_twins() const {
        std::vector<std::pair<std::string_view, bool>> texts;
        texts.reserve(made_.pieces.size());
        for (const sentencepiece_model::piece& piece : made_.pieces)
            texts.emplace_back(piece.text, piece.kind == piece_kind::normal ||
                                               piece.kind == piece_kind::user_defined ||
                                               piece.kind == piece_kind::unused);
        std::sort(texts.begin(), texts.end());
        const auto twin = std::adjacent_find(texts.begin(), texts.end());
        if (twin != texts.end())
            fail(errc::bad_tokenizer, where_, "pieces of different texts",
                 {printable(twin->first), " twice"});
    }

    token_id control_named(std::string_view name) const {
        for (std::size_t id = 0; id < made_.pieces.size(); ++id)
            if (made_.pieces[id].kind == piece_kind::control && made_.pieces[id].text == name)
                return static_cast<token_id>(id);
        return -1;
    }

    std::string_view where_;
    sentencepiece_model made_;
    std::string_view begin_name_ = "<s>", end_name_ = "</s>", padding_name_ = "<pad>";
};

/// The model in the bytes of a file. Throws errc::bad_tokenizer, errc::truncated,
/// errc::limit_exceeded, errc::unsupported.
[[gnu::cold]] inline sentencepiece_model read_sentencepiece_model(std::string_view bytes,
                                                                  std::string_view where) {
    return sentencepiece_reader(where).read(bytes);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
