// The library's JSON held to that of nlohmann: the same texts, values and places of mistakes.
#pragma once

#include <gpt2/detail/json.hpp>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace test {

inline nlohmann::json as_nlohmann(const gpt2::detail::json_value& value) {
    if (const auto* members = value.members()) {
        auto object = nlohmann::json::object();
        for (const auto& [name, member] : *members) object[name] = as_nlohmann(member);
        return object;
    }
    if (const auto* items = value.items()) {
        auto array = nlohmann::json::array();
        for (const auto& item : *items) array.push_back(as_nlohmann(item));
        return array;
    }
    if (const auto* truth = value.boolean()) return *truth;
    if (const auto* number = value.whole_number()) return *number;
    if (const auto* number = value.negative_number()) return *number;
    if (const auto* number = value.real_number()) return *number;
    if (const auto* text = value.text()) return *text;
    return nullptr;
}

/// How the library and nlohmann differ on a text; empty when they agree. What only the library
/// refuses, and says so (duplicate keys, depth, a byte order mark …), is no difference.
inline std::string json_difference(std::string_view text) {
    try {
        const auto document = gpt2::detail::parse_json(text, "text");
        try {
            if (as_nlohmann(document) == nlohmann::json::parse(text)) return {};
            return "another value";
        } catch (const nlohmann::json::exception& problem) {
            return problem.what();
        }
    } catch (const gpt2::error& problem) {
        const std::string found = problem.what();
        const bool range = found.find("expected numbers within") != found.npos;
        if (!range && found.find("expected valid JSON") == found.npos) return {};
        if (text.starts_with('\xEF')) return {};  // nlohmann blames a byte order mark instead
        try {
            return found + ", read as " + nlohmann::json::parse(text).dump();
        } catch (const nlohmann::json::out_of_range& reference) {
            return range ? "" : found + ", " + reference.what();
        } catch (const nlohmann::json::parse_error& reference) {
            if (found.ends_with(" byte " + std::to_string(reference.byte))) return {};
            return found + ", " + reference.what();
        }
    }
}

}  // namespace test
