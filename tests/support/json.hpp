// What the library read, as the document type of nlohmann, to compare it with what nlohmann reads.
#pragma once

#include <gpt2/detail/json.hpp>
#include <nlohmann/json.hpp>

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

}  // namespace test
