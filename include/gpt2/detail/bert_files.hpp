// vocab.txt: the WordPiece vocabulary of BertTokenizer, a token a line.
//
// What the class does is written here as the pipeline that it is: clean, set ideographs apart, take
// accents and case away, cut at white space and punctuation.
//
// Before: detail/tokenizer_companions.hpp, detail/text_pipeline.hpp. Next: tokenizer_files.hpp.
#pragma once

#include "../tokenizer.hpp"
#include "text_pipeline.hpp"
#include "tokenizer_builder.hpp"
#include "tokenizer_companions.hpp"
#include "wordpiece.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Takes the lines of vocab.txt, which may end in CR LF; the last one need not end.
[[gnu::cold]] inline void read_vocabulary_lines(std::string_view text, const std::string& where,
                                                tokenizer_builder& builder) {
    if (text.size() > tokenizer_limits.bytes) fail(errc::limit_exceeded, where, "more than 64 MiB");
    for (std::size_t id = 0; !text.empty(); ++id) {
        if (id == most_tokens) fail(errc::limit_exceeded, where, "more than 2^20 tokens");
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        builder.take(line, static_cast<token_id>(id), where);
    }
}

[[gnu::cold]] inline pipeline_parts bert_parts(const tokenizer_companions& companions) {
    const bool lowercase = companions.is_set("do_lower_case", true);
    pipeline_parts parts;
    parts.normalizer.add(bert_step({.clean_text = true,
                                    .chinese = companions.is_set("tokenize_chinese_chars", true),
                                    .strip_accents = companions.is_set("strip_accents", lowercase),
                                    .lowercase = lowercase}));
    parts.pre_tokenizer.add(split_step(character_search(is_white_space), split_behavior::removed));
    parts.pre_tokenizer.add(split_step(character_search(is_punctuation), split_behavior::isolated));
    decoder_rules texts;
    texts.steps.push_back(wordpiece_texts("##", true));
    parts.texts = token_texts(std::move(texts));
    return parts;
}

[[gnu::cold]] inline tokenizer read_bert_files(const tokenizer_texts& texts) {
    tokenizer_builder builder(texts.folder);
    const std::string name = builder.name_of("vocab.txt");
    read_vocabulary_lines(*texts.vocab_txt, name, builder);
    tokenizer_companions companions(texts, builder);
    companions.class_of({"BertTokenizer"});
    if (!companions.is_set("do_basic_tokenize", true))
        fail(errc::unsupported, companions.config().where(), "do_basic_tokenize is false");
    companions.add_tokens();
    companions.mark_defaults({{"unk_token", "[UNK]"},
                              {"sep_token", "[SEP]"},
                              {"pad_token", "[PAD]"},
                              {"cls_token", "[CLS]"},
                              {"mask_token", "[MASK]"}});
    pipeline_parts parts = bert_parts(companions);
    coded_vocabulary made;
    made.added = builder.added();
    const auto controls = builder.controls();
    std::vector<piece_entry> pieces;
    for (const auto& [symbol, id] : builder.ids())
        if (!controls.contains(id)) pieces.push_back({symbol, id});
    wordpiece_rules rules;
    rules.unknown = companions.named("unk_token", "[UNK]").value_or(-1);
    const auto model = std::make_shared<const wordpiece>(std::move(pieces), rules);
    parts.model = [model](std::string_view word, std::vector<token_id>& ids) {
        model->encode(word, ids);
    };
    made.tokens = builder.texts(parts.texts, parts.normalizer, name);
    for (const added_token& token : made.added)
        if (token.normalized) parts.added.push_back(token);
    const auto begin = companions.named("cls_token", "[CLS]"),
               end = companions.named("sep_token", "[SEP]");
    if (begin && end) made.frame = {{*begin}, {*end}};
    made.coder = std::make_shared<const text_pipeline>(std::move(parts));
    made.files = {{"vocab.txt", std::string(*texts.vocab_txt)}};
    companions.append_to(made.files);
    return tokenizer(std::move(made));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
