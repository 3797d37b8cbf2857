// A SentencePiece model with what the class that it was made for does around it.
//
// GPTSw3Tokenizer takes controls out of a text, makes spaces of others and composes characters;
// T5Tokenizer may lower the case (rinna's models want that) and puts an end behind a text. No class
// named: the model as it is. Added tokens are found before all of that.
//
// Before: detail/sentencepiece.hpp, detail/tokenizer_companions.hpp. Next: tokenizer_files.hpp.
#pragma once

#include "../tokenizer.hpp"
#include "normalizer.hpp"
#include "sentencepiece.hpp"
#include "tokenizer_builder.hpp"
#include "tokenizer_companions.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Const calls are thread-safe.
class sentencepiece_coder final : public text_coder {
public:
    sentencepiece_coder(sentencepiece_model model, normalizer before)
        : model_(std::move(model)), before_(std::move(before)) {}

    void encode(const text_stretch& from, std::vector<token_id>& ids) const override {
        if (from.text.empty()) return;
        const normal_text text = before_.apply(from.text, from.offset == 0);
        if (!text.text.empty()) model_.encode(text.text, ids);
    }

    /// A space that begins a text was put there: each piece before the first character loses one,
    /// or only the first piece where a model keeps extra spaces.
    void decode(token_id id, std::string_view middle, decoding& so_far,
                std::string& text) const override {
        const sentencepiece_model& model = model_.model();
        const auto place = static_cast<std::size_t>(id);
        const bool piece = place < model.pieces.size() && !model.space_behind &&
                           model.pieces[place].text.starts_with(space_symbol);
        const bool spaced = piece && middle.starts_with(' ');
        if (!so_far.begun && spaced && (model.add_dummy_prefix || model.remove_extra_spaces)) {
            middle.remove_prefix(1);
            so_far.begun = !model.remove_extra_spaces;
        }
        so_far.begun |= !middle.empty();
        text += middle;
    }

    const sentencepiece& model() const { return model_; }

private:
    sentencepiece model_;
    normalizer before_;
};

/// What GPTSw3Tokenizer does to a text first.
[[gnu::cold]] inline normalizer gpt_sw3_normalizer() {
    normalizer made;
    made.add([](normal_text& in) {
        keep_characters(in, [](char32_t c) {
            const bool gone = c <= 8 || (c >= 11 && c <= 31) || (c >= 127 && c <= 160) ||
                              c == 0xAD || c == 0x200B;
            return !gone;
        });
        in.replace_each([](std::string& out, char32_t c, std::string_view bytes) {
            const bool space = c == 0x2002 || c == 0x2003 || c == 0x2005 ||
                               (c >= 0x2008 && c <= 0x200A) || c == 0x202F || c == 0x3000 ||
                               c == 0xFFFC;
            out += space ? std::string_view(" ") : bytes;
        });
    });
    made.add(form_step(normal_form::nfc));
    return made;
}

/// T5Tokenizer's tokens <extra_id_0>, …, the last of which comes first behind the model.
[[gnu::cold]] inline void add_extra_ids(const json_fields& config, std::size_t pieces,
                                        tokenizer_builder& builder) {
    const std::size_t count = config.integer("extra_ids", {.most = 1000}).value_or(100);
    for (std::size_t i = 0; i < count; ++i) {
        added_token token{.content = text_of({"<extra_id_", i, ">"}),
                          .id = static_cast<token_id>(pieces + count - 1 - i),
                          .special = true,
                          .lstrip = true,
                          .rstrip = true};
        builder.add(std::move(token), config.where() + ": extra_ids");
    }
}

/// Adds what the class adds, and gives what it does to a text first.
[[gnu::cold]] inline normalizer prepare_class(std::string_view name,
                                              tokenizer_companions& companions,
                                              const sentencepiece_model& model,
                                              tokenizer_builder& builder) {
    normalizer before;
    if (companions.is_set("do_lower_case")) before.add(lowercase_step());
    if (name == "GPTSw3Tokenizer") {
        companions.mark_defaults({{"eos_token", "<|endoftext|>"},
                                  {"bos_token", "<s>"},
                                  {"pad_token", "<pad>"},
                                  {"unk_token", "<unk>"}});
        before.add([first = gpt_sw3_normalizer()](normal_text& in) {
            in = first.apply(in.text, in.first > 0);
        });
    } else if (name == "T5Tokenizer") {
        companions.mark_defaults(
            {{"eos_token", "</s>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}});
        add_extra_ids(companions.config(), model.pieces.size(), builder);
        if (const auto end = companions.named("eos_token", "</s>"))
            builder.frame.after.push_back(*end);
    } else {
        for (const auto& piece : model.pieces)
            if (piece.kind == piece_kind::control) builder.mark_special({.content = piece.text});
    }
    return before;
}

[[gnu::cold]] inline tokenizer read_sentencepiece_files(const tokenizer_texts& texts) {
    tokenizer_builder builder(texts.folder);
    const std::string name = builder.name_of("spiece.model");
    if (texts.sentencepiece_model->size() > tokenizer_limits.bytes)
        fail(errc::limit_exceeded, name, "more than 64 MiB");
    sentencepiece_model model = read_sentencepiece_model(*texts.sentencepiece_model, name);
    for (std::size_t id = 0; id < model.pieces.size(); ++id)
        builder.take(model.pieces[id].text, static_cast<token_id>(id), name);
    tokenizer_companions companions(texts, builder);
    const auto kind = companions.class_of({"SentencePiece", "T5Tokenizer", "GPTSw3Tokenizer"});
    companions.add_tokens();
    normalizer before = prepare_class(kind, companions, model, builder);

    coded_vocabulary made;
    made.added = builder.added();
    made.frame = std::move(builder.frame);
    const std::size_t pieces = model.pieces.size();
    const auto coder =
        std::make_shared<const sentencepiece_coder>(sentencepiece_model(model), std::move(before));
    for (std::size_t id = 0; id < pieces; ++id)
        made.tokens.push_back(coder->model().bytes(static_cast<token_id>(id)));
    std::size_t beyond = 0;
    for (added_token& token : made.added) {
        const auto id = static_cast<std::size_t>(token.id);
        if (id < pieces && model.pieces[id].text != token.content)
            fail(errc::bad_tokenizer, {name, ": ", printable(token.content)}, "an id of its own",
                 {id, ", which is ", printable(model.pieces[id].text)});
        if (id >= made.tokens.size()) made.tokens.resize(id + 1);
        if (id >= pieces && made.tokens[id].empty()) ++beyond;
        made.tokens[id] = token.content;
        token.normalized = false;
    }
    if (beyond != made.tokens.size() - pieces)
        fail(errc::bad_tokenizer, name, "an id between the added tokens has no token");
    made.coder = coder;
    made.files = {{"spiece.model", std::string(*texts.sentencepiece_model)}};
    companions.append_to(made.files);
    return tokenizer(std::move(made));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
