// tokenizer.json, the one file that says all of a tokenizer.
//
// GPT-2's own kind (byte-level BPE, cut by its pattern, nothing normalised) becomes a tokenizer
// that is fast and keeps any bytes; every other kind becomes a pipeline of the parts that the file
// names. What is not known is refused by name, never approximated.
//
// Before: detail/tokenizer_builder.hpp, detail/pipeline_json.hpp. Next: tokenizer_files.hpp.
#pragma once

#include "../tokenizer.hpp"
#include "json.hpp"
#include "pipeline_json.hpp"
#include "symbol_bpe.hpp"
#include "tokenizer_builder.hpp"
#include "unigram.hpp"
#include "wordpiece.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
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

/// Reads one tokenizer.json. The document must outlive it.
class tokenizer_json {
public:
    tokenizer_json(const json_value& document, std::string_view folder)
        : builder_(folder),
          name_(builder_.name_of("tokenizer.json")),
          file_(document, name_, errc::bad_tokenizer) {
        refuse_others(file_, {"version", "truncation", "padding", "added_tokens", "normalizer",
                              "pre_tokenizer", "post_processor", "decoder", "model"});
        if (!file_.given("model")) fail(errc::bad_tokenizer, name_, "it has no model");
    }

    /// `text` is the document's own, kept as the definition of what is no byte-level BPE.
    tokenizer read(std::string_view text) {
        const json_fields model(*file_.find("model"), where("model"), errc::bad_tokenizer);
        const auto type = type_of(model);
        builder_.frame = read_frame(part("post_processor"), where("post_processor"));
        if (type == "BPE") {
            read_bpe(model);
            read_added();
            if (is_byte_level(model)) return read_byte_level(model);
            model_ = bpe_model(model);
        } else if (type == "Unigram") {
            read_unigram(model);
        } else if (type == "WordPiece" || type == "WordLevel") {
            read_words(model, type);
        } else {
            fail(errc::unsupported, model.where(), {"the type ", printable(type), " is not known"});
        }
        return read_pipeline(text);
    }

private:
    const json_value& part(std::string_view key) const {
        static const json_value nothing{};
        const auto* found = file_.find(key);
        return found ? *found : nothing;
    }
    std::string where(std::string_view key) const { return text_of({name_, ": ", key}); }

    /// Files from before models had a type are told apart by their vocabulary.
    static std::string_view type_of(const json_fields& model) {
        if (model.find("type")) return *model.text("type");
        const auto* vocab = model.find("vocab");
        return vocab && vocab->items() ? "Unigram" : "BPE";
    }
    static std::string_view text_or(const json_fields& model, std::string_view key,
                                    std::string_view otherwise) {
        return model.given(key) ? *model.text(key) : otherwise;
    }
    static bool is_set(const json_fields& model, std::string_view key) {
        return model.given(key) && *model.boolean(key);
    }

    void read_added();
    void read_bpe(const json_fields& model);
    bool is_byte_level(const json_fields& model) const;
    tokenizer read_byte_level(const json_fields& model);
    word_model bpe_model(const json_fields& model) const;
    void read_unigram(const json_fields& model);
    void read_words(const json_fields& model, std::string_view type);
    tokenizer read_pipeline(std::string_view text);
    std::vector<piece_entry> word_pieces() const;

    tokenizer_builder builder_;
    std::string name_;
    json_fields file_;
    std::set<token_id> controls_;  // special tokens that no text may become in the model
    word_model model_;
};

[[gnu::cold]] inline void tokenizer_json::read_added() {
    if (!file_.given("added_tokens")) return;
    const auto& list = *file_.find("added_tokens");
    if (!list.items()) file_.refuse("added_tokens", list, "an array");
    for (const auto& item : *list.items()) {
        const json_fields fields(item, where("added_tokens"), errc::bad_tokenizer);
        added_token token = read_added_token(fields);
        const auto id = fields.integer("id", {.least = 0, .most = most_tokens - 1});
        if (!id) fail(errc::bad_tokenizer, fields.where(), "an added token without id");
        token.id = static_cast<token_id>(*id);
        const bool word =
            !token.content.empty() && character_at(token.content, 0).size < token.content.size();
        if (token.special && word) controls_.insert(token.id);
        builder_.add(std::move(token), fields.where());
    }
    controls_ = builder_.controls();
}

[[gnu::cold]] inline void tokenizer_json::read_bpe(const json_fields& model) {
    refuse_others(
        model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
    if (model.given("dropout")) {
        const auto* zero = model.find("dropout")->real_number();
        if (!zero || *zero != 0) fail(errc::unsupported, model.where(), "dropout is set");
    }
    for (const auto key : {"vocab", "merges"})
        if (!model.given(key)) fail(errc::bad_tokenizer, model.where(), {"no ", key});
    const std::string merges = model.where() + ": merges";
    read_vocabulary(*model.find("vocab"), model.where() + ": vocab", builder_);
    builder_.take_merges(read_merge_array(*model.find("merges"), merges), merges + " ",
                         text_or(model, "continuing_subword_prefix", ""));
}

/// Whether the file is of GPT-2's own kind. An unknown token does not matter where every byte has a
/// token.
[[gnu::cold]] inline bool tokenizer_json::is_byte_level(const json_fields& model) const {
    const auto type_of_part = [&](std::string_view key) -> std::string_view {
        const auto* members = part(key).members();
        if (members == nullptr) return "";
        const auto type = members->find("type");
        const bool named = type != members->end() && type->second.text();
        return named ? std::string_view(*type->second.text()) : std::string_view();
    };
    const auto all_bytes = [&] {
        for (int byte = 0; byte < 256; ++byte)
            if (!builder_.find(byte_symbols(std::string(1, static_cast<char>(byte))))) return false;
        return true;
    };
    return part("normalizer").is_null() && type_of_part("pre_tokenizer") == "ByteLevel" &&
           (part("decoder").is_null() || type_of_part("decoder") == "ByteLevel") &&
           text_or(model, "continuing_subword_prefix", "").empty() &&
           text_or(model, "end_of_word_suffix", "").empty() && !is_set(model, "byte_fallback") &&
           !is_set(model, "ignore_merges") && (!model.given("unk_token") || all_bytes());
}

[[gnu::cold]] inline tokenizer tokenizer_json::read_byte_level(const json_fields& model) {
    for (const std::string_view key : {"pre_tokenizer", "decoder"})
        if (!part(key).is_null())
            refuse_others({part(key), where(key), errc::bad_tokenizer},
                          {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    const json_fields cut(part("pre_tokenizer"), where("pre_tokenizer"), errc::bad_tokenizer);
    if (cut.boolean("add_prefix_space").value_or(true)) builder_.prefix = prefix::space;
    if (!cut.boolean("use_regex").value_or(true)) builder_.cuts = cuts::none;
    return builder_.finish(model.where() + ": vocab");
}

[[gnu::cold]] inline word_model tokenizer_json::bpe_model(const json_fields& model) const {
    symbol_rules rules;
    rules.ids.reserve(builder_.ids().size());
    for (const auto& [symbol, id] : builder_.ids())
        if (!controls_.contains(id)) rules.ids.emplace(symbol, id);
    for (const merge& next : builder_.merges()) {
        rules.merges.emplace_back(next.left, next.right);
        rules.results.push_back(next.result);
    }
    rules.prefix = text_or(model, "continuing_subword_prefix", "");
    rules.suffix = text_or(model, "end_of_word_suffix", "");
    if (model.given("unk_token")) rules.unknown = builder_.find(*model.text("unk_token"));
    if (is_set(model, "fuse_unk")) rules.unknowns = symbol_rules::unknowns::joined;
    if (is_set(model, "byte_fallback")) rules.fallback = symbol_rules::fallback::bytes;
    if (is_set(model, "ignore_merges")) rules.whole_words = symbol_rules::whole_words::looked_up;
    const auto made = std::make_shared<const symbol_bpe>(std::move(rules));
    return [made](std::string_view word, std::vector<token_id>& ids) { made->encode(word, ids); };
}

/// The number that a JSON value is.
[[gnu::cold]] inline std::optional<double> number_of(const json_value& value) {
    if (const auto* real = value.real_number()) return *real;
    if (const auto* whole = value.whole_number()) return static_cast<double>(*whole);
    if (const auto* negative = value.negative_number()) return static_cast<double>(*negative);
    return std::nullopt;
}

[[gnu::cold]] inline void tokenizer_json::read_unigram(const json_fields& model) {
    refuse_others(model, {"type", "unk_id", "vocab", "byte_fallback"});
    const auto* vocab = model.given("vocab") ? model.find("vocab")->items() : nullptr;
    const std::string list = model.where() + ": vocab";
    if (!vocab) fail(errc::bad_tokenizer, list, "an array", "none");
    if (vocab->size() > most_tokens)
        fail(errc::limit_exceeded, list, "at most 2^20 tokens", vocab->size());
    std::vector<scored_piece> pieces;
    pieces.reserve(vocab->size());
    for (const json_value& item : *vocab) {
        const auto* pair = item.items();
        const auto score =
            pair && pair->size() == 2 ? number_of(pair->back()) : std::optional<double>();
        if (!score || !pair->front().text())
            fail(errc::bad_tokenizer, {list, " ", pieces.size()}, "a token and its score",
                 described(item));
        builder_.take(*pair->front().text(), static_cast<token_id>(pieces.size()), list);
        pieces.push_back({*pair->front().text(), *score});
    }
    read_added();
    for (const token_id id : controls_)
        if (static_cast<std::size_t>(id) < pieces.size())
            pieces[static_cast<std::size_t>(id)].text.clear();
    token_id unknown = -1;
    if (model.given("unk_id"))
        unknown = static_cast<token_id>(*model.integer("unk_id", {.most = most_tokens - 1}));
    const auto made = std::make_shared<const unigram>(
        pieces, unknown, is_set(model, "byte_fallback") ? byte_fallback::on : byte_fallback::off);
    model_ = [made](std::string_view word, std::vector<token_id>& ids) { made->encode(word, ids); };
}

/// What a text may be cut into.
[[gnu::cold]] inline std::vector<piece_entry> tokenizer_json::word_pieces() const {
    std::vector<piece_entry> pieces;
    for (const auto& [symbol, id] : builder_.ids())
        if (!controls_.contains(id)) pieces.push_back({symbol, id});
    return pieces;
}

[[gnu::cold]] inline void tokenizer_json::read_words(const json_fields& model,
                                                     std::string_view type) {
    refuse_others(model, {"type", "unk_token", "continuing_subword_prefix",
                          "max_input_chars_per_word", "vocab"});
    if (!model.given("vocab")) fail(errc::bad_tokenizer, model.where(), "no vocab");
    read_vocabulary(*model.find("vocab"), model.where() + ": vocab", builder_);
    read_added();
    const auto unknown = builder_.find(text_or(model, "unk_token", "[UNK]"));
    if (type == "WordPiece") {
        wordpiece_rules rules;
        rules.unknown = unknown.value_or(-1);
        rules.prefix = text_or(model, "continuing_subword_prefix", "##");
        rules.longest_word = static_cast<std::size_t>(
            model.integer("max_input_chars_per_word", {}).value_or(rules.longest_word));
        const auto made = std::make_shared<const wordpiece>(word_pieces(), rules);
        model_ = [made](std::string_view word, std::vector<token_id>& ids) {
            made->encode(word, ids);
        };
        return;
    }
    const auto words = std::make_shared<const piece_trie>(word_pieces());
    model_ = [words, unknown](std::string_view word, std::vector<token_id>& ids) {
        const token_id id = words->find(word);
        if (id < 0 && !unknown)
            fail(errc::invalid_argument, "encode",
                 {"the vocabulary has no token for ", printable(word)});
        ids.push_back(id < 0 ? *unknown : id);
    };
}

[[gnu::cold]] inline tokenizer tokenizer_json::read_pipeline(std::string_view text) {
    coded_vocabulary made;
    pipeline_parts parts;
    parts.normalizer = read_normalizer(part("normalizer"), where("normalizer"));
    parts.pre_tokenizer = read_pre_tokenizer(part("pre_tokenizer"), where("pre_tokenizer"));
    parts.model = std::move(model_);
    parts.texts = token_texts(decoder_reader().read(part("decoder"), where("decoder")));
    made.added = builder_.added();
    made.tokens = builder_.texts(parts.texts, parts.normalizer, where("model"));
    for (const added_token& token : made.added)
        if (token.normalized) parts.added.push_back(token);
    made.coder = std::make_shared<const text_pipeline>(std::move(parts));
    made.frame = std::move(builder_.frame);
    made.files = {{"tokenizer.json", std::string(text)}};
    return tokenizer(std::move(made));
}

[[gnu::cold]] inline tokenizer read_tokenizer_json(std::string_view text, std::string_view folder) {
    const auto document =
        parse_json(text, tokenizer_builder(folder).name_of("tokenizer.json"), tokenizer_limits);
    return tokenizer_json(document, folder).read(text);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
