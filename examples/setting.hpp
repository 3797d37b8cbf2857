// One setting of how a program writes: its name, what it is for, and how JSON, or the text that a
// person typed, becomes its value. writing_options.hpp lists them all.
#pragma once

#include "cli.hpp"
#include "sampler_options.hpp"

#include <gpt2/constraint.hpp>
#include <gpt2/options.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace cli {

using json = nlohmann::json;

/// What was asked for, before there is a model.
struct writing {
    gpt2::options how = {.sampling = gpt2::top_k(40, 0.8f)};
    std::optional<std::uint64_t> seed;
    std::size_t samples = 1;
    std::size_t lookup = 0;                        ///< tokens that prompt look-up looks for; 0: off
    std::vector<std::string> bad_words, breakers;  ///< the texts of what the library takes as ids
    std::string regex, json_schema, grammar;       ///< what the text must be like; empty: anything
    std::vector<std::string> choices, without;
    /// The tokens of the model, once a form was asked for; copies share it.
    std::shared_ptr<std::optional<gpt2::constraint_tokens>> tokens =
        std::make_shared<std::optional<gpt2::constraint_tokens>>();
};

/// How the text of a setting becomes the JSON that is read.
enum class form {
    word,   ///< a number, or a word
    text,   ///< a text
    ids,    ///< 1,2,3
    texts,  ///< a text, several times
    lists,  ///< 1,2,3, several times
    pairs,  ///< 1,2=0.5, several times
    flag,   ///< nothing: it is true
};

struct setting {
    std::string name;  ///< with underscores
    form written;
    std::string type, meaning;
    std::function<void(writing&, const json&)> read;
    std::function<std::string(const writing&)> show;
};

struct setting_group {
    std::string name;
    std::vector<setting> settings;
};

namespace detail {

namespace read = sampler_options;

/// The text of a setting that is a number or a word, as JSON.
inline json word_of(const std::string& text) {
    const char *const begin = text.data(), *const end = begin + text.size();
    const auto whole = [&](auto value) -> std::optional<json> {
        const auto [next, status] = std::from_chars(begin, end, value);
        return status == std::errc{} && next == end ? std::optional<json>(value) : std::nullopt;
    };
    if (const auto found = whole(std::uint64_t{})) return *found;
    if (const auto found = whole(std::int64_t{})) return *found;
    if (const auto found = whole(double{}); found && text.find_first_of("in") == text.npos)
        return *found;
    return text;
}

/// "1,2=0.5" as [[1, 2], 0.5].
inline json pair_of(const std::string& name, const std::string& text) {
    const auto equals = text.find('=');
    if (equals == text.npos) read::refuse(name, "IDS=NUMBER", text);
    return {ids(text.substr(0, equals)), word_of(text.substr(equals + 1))};
}

inline void set(std::floating_point auto& to, const std::string& name, const json& value) {
    to = static_cast<std::remove_reference_t<decltype(to)>>(read::number(name, value));
}
template <std::unsigned_integral Count>
void set(Count& to, const std::string& name, const json& value) {
    to = value == "all" ? std::numeric_limits<Count>::max()
                        : static_cast<Count>(read::count(name, value));
}
template <std::unsigned_integral Count>
void set(std::optional<Count>& to, const std::string& name, const json& value) {
    set(to.emplace(), name, value);
}
inline void set(std::optional<gpt2::token_id>& to, const std::string& name, const json& value) {
    to = read::id(name, value);
}
inline void set(std::vector<gpt2::token_id>& to, const std::string& name, const json& value) {
    to = read::id_or_ids(name, value);
}
inline void set(std::string& to, const std::string& name, const json& value) {
    if (!value.is_string() && !value.is_object()) read::refuse(name, "a text", value);
    to = value.is_string() ? value.get<std::string>() : value.dump();
}
inline void set(std::vector<std::string>& to, const std::string& name, const json& value) {
    const json list = value.is_array() ? value : json::array({value});
    for (const json& one : list)
        if (!one.is_string()) read::refuse(name, "a text, or a list of texts", value);
    to = list.get<std::vector<std::string>>();
}

inline std::string shown(const std::string& text) { return text; }
inline std::string shown(std::floating_point auto value) { return gpt2::detail::number(value); }
template <std::unsigned_integral Count>
std::string shown(Count value) {
    return value == std::numeric_limits<Count>::max() ? "all" : std::to_string(value);
}
template <class Value>
std::string shown(const std::optional<Value>& value) {
    return value ? std::to_string(*value) : "";
}
inline std::string shown(const std::vector<gpt2::token_id>& ids) {
    std::string text;
    for (const auto id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
    return text;
}
inline std::string shown(const std::vector<std::string>& texts) {
    return texts.empty() ? "" : json(texts).dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A setting that lies at one place of what is asked for. A type that is not named is that of a
/// number.
template <class Place>
setting simple(std::string name, form written, std::string type, std::string meaning, Place place) {
    using kind = std::remove_reference_t<decltype(place(std::declval<writing&>()))>;
    if (type.empty()) type = std::is_floating_point_v<kind> ? "X" : "N";
    return {name,
            written,
            std::move(type),
            std::move(meaning),
            [=](writing& given, const json& value) { set(place(given), name, value); },
            [=](const writing& given) { return shown(place(given)); }};
}

/// Where a setting of the choice of tokens lies: at(&sampling::dry, &dry_penalty::base).
template <class... Members>
auto at(Members... members) {
    return [=](auto& given) -> auto& { return (given.how.sampling.*....*members); };
}

inline setting flag(const std::string& name, const std::string& meaning,
                    const std::function<void(writing&, bool)>& choose) {
    return {name,
            form::flag,
            "",
            meaning,
            [=](writing& given, const json& value) { choose(given, read::flag(name, value)); },
            [](const writing&) { return ""; }};
}

/// A list that the library takes as it is.
template <class Place, class Read>
setting list(setting described, Place place, Read read_one) {
    described.read = [=, name = described.name](writing& given, const json& value) {
        auto& to = place(given);
        to.clear();
        for (const json& one : read::list(name, value)) to.push_back(read_one(name, one));
    };
    described.show = [=](const writing& given) {
        const auto count = place(given).size();
        return count == 0 ? "" : std::to_string(count) + " of them";
    };
    return described;
}

}  // namespace detail

/// Model output may hold bytes that are no UTF-8, and JSON may not.
inline std::string dump(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Sets what a person typed, once or several times. Raises errc::invalid_argument.
inline void set(writing& given, const setting& what, const std::vector<std::string>& texts) {
    json value = json::array();
    switch (what.written) {
        case form::flag:
            return what.read(given, texts.empty() || texts[0] != "false");
        case form::word:
            return what.read(given, detail::word_of(texts.back()));
        case form::text:
            return what.read(given, texts.back());
        case form::ids:
            return what.read(given, ids(texts.back()));
        case form::texts:
            value = texts;
            break;
        case form::lists:
            for (const auto& text : texts) value.push_back(ids(text));
            break;
        case form::pairs:
            for (const auto& text : texts) value.push_back(detail::pair_of(what.name, text));
    }
    what.read(given, value);
}

}  // namespace cli
