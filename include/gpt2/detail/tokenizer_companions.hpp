// The files beside a vocabulary: tokenizer_config.json, added_tokens.json, special_tokens_map.json.
//
// They name the class that a vocabulary was made for, the tokens that are added to it, and which of
// all tokens are special. Whoever reads the vocabulary decides which classes it may be for.
//
// Before: detail/tokenizer_builder.hpp, detail/tokenizer_json.hpp. Next: tokenizer_files.hpp.
#pragma once

#include "../tokenizer.hpp"
#include "../vocabulary.hpp"
#include "json.hpp"
#include "tokenizer_builder.hpp"
#include "tokenizer_json.hpp"

#include <charconv>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

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

/// The files beside a vocabulary, which say which class it is for and which tokens are added.
class tokenizer_companions {
public:
    tokenizer_companions(const tokenizer_texts& texts, tokenizer_builder& builder)
        : texts_(texts),
          builder_(builder),
          name_(builder.name_of("tokenizer_config.json")),
          document_(
              parse_json(texts.tokenizer_config_json.value_or("{}"), name_, tokenizer_limits)),
          config_(document_, name_, errc::bad_tokenizer) {}
    tokenizer_companions(const tokenizer_companions&) = delete;
    tokenizer_companions& operator=(const tokenizer_companions&) = delete;

    const json_fields& config() const { return config_; }

    bool is_set(std::string_view key, bool otherwise = false) const {
        return config_.given(key) ? *config_.boolean(key) : otherwise;
    }

    /// The class without "Fast", one of `known`, of which the first is taken when none is named.
    std::string_view class_of(std::initializer_list<std::string_view> known) const {
        if (!config_.given("tokenizer_class")) return *known.begin();
        auto name = *config_.text("tokenizer_class");
        if (name.ends_with("Fast")) name.remove_suffix(4);
        if (!is_one_of({known.begin(), known.size()}, name))
            fail(errc::unsupported, name_, *known.begin(),
                 printable(*config_.text("tokenizer_class")));
        return name;
    }

    /// The id of the token that the config names, or that its class does.
    std::optional<token_id> named(std::string_view key, std::string_view otherwise) const {
        if (!config_.given(key)) return builder_.find(otherwise);
        const auto& value = *config_.find(key);
        if (value.text()) return builder_.find(*value.text());
        return builder_.find(read_added_token({value, name_, errc::bad_tokenizer}).content);
    }

    /// Adds the tokens of all the files, and marks those special that are named.
    void add_tokens() {
        read_added_decoder();
        if (texts_.added_tokens_json) read_added_tokens(*texts_.added_tokens_json, builder_);
        if (texts_.special_tokens_map_json) {
            const std::string map_name = builder_.name_of("special_tokens_map.json");
            const auto map =
                parse_json(*texts_.special_tokens_map_json, map_name, tokenizer_limits);
            mark_all_named({map, map_name, errc::bad_tokenizer}, builder_);
        }
        mark_all_named(config_, builder_);
    }

    /// Marks special what a class has as its special tokens, where the config names no others.
    void mark_defaults(std::initializer_list<std::pair<std::string_view, const char*>> defaults) {
        for (const auto& [key, content] : defaults)
            if (!config_.given(key)) builder_.mark_special({.content = content});
    }

    /// The files, for the definition of a tokenizer.
    void append_to(std::vector<tokenizer_file>& files) const {
        const auto append = [&](const char* name, const std::optional<std::string_view>& text) {
            if (text) files.push_back({name, std::string(*text)});
        };
        append("tokenizer_config.json", texts_.tokenizer_config_json);
        append("added_tokens.json", texts_.added_tokens_json);
        append("special_tokens_map.json", texts_.special_tokens_map_json);
    }

private:
    void read_added_decoder();

    const tokenizer_texts& texts_;
    tokenizer_builder& builder_;
    std::string name_;
    json_value document_;
    json_fields config_;
};

/// The added tokens of tokenizer_config.json, by id.
[[gnu::cold]] inline void tokenizer_companions::read_added_decoder() {
    if (!config_.given("added_tokens_decoder")) return;
    const std::string where = name_ + ": added_tokens_decoder";
    const json_fields tokens(*config_.find("added_tokens_decoder"), where, errc::bad_tokenizer);
    for (const auto& [key, value] : tokens.members()) {
        added_token token = read_added_token({value, where, errc::bad_tokenizer});
        const char* const end = key.data() + key.size();
        const auto [next, status] = std::from_chars(key.data(), end, token.id);
        if (status != std::errc{} || next != end)
            fail(errc::bad_tokenizer, where, "ids as keys", printable(key));
        builder_.add(std::move(token), where);
    }
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
