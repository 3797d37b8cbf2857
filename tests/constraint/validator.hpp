// A JSON Schema validator of its own, on nlohmann's values: what the tests' schemas use, as the
// specification has it.
#pragma once

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>

namespace test {

using nlohmann::json;

class validator {
public:
    explicit validator(json root) : root_(std::move(root)) {}

    bool valid(const json& value) const { return valid(root_, value); }

private:
    static std::size_t length(const std::string& text) {  // in characters
        return static_cast<std::size_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    }
    static bool is_type(const std::string& name, const json& value) {
        if (name == "null") return value.is_null();
        if (name == "boolean") return value.is_boolean();
        if (name == "string") return value.is_string();
        if (name == "array") return value.is_array();
        if (name == "object") return value.is_object();
        if (!value.is_number()) return false;
        return name == "number" || value.is_number_integer() ||
               value.get<double>() == std::floor(value.get<double>());
    }
    bool valid(const json& schema, const json& value) const {
        if (schema.is_boolean()) return schema.get<bool>();
        if (schema.contains("$ref")) {
            const auto path = schema["$ref"].get<std::string>().substr(1);
            return valid(root_[json::json_pointer(path)], value);
        }
        if (schema.contains("type")) {
            const json types = schema["type"].is_array() ? schema["type"] : json{schema["type"]};
            if (std::none_of(types.begin(), types.end(),
                             [&](const json& type) { return is_type(type, value); }))
                return false;
        }
        const auto hits = [&](const char* key) {
            return std::count_if(schema[key].begin(), schema[key].end(),
                                 [&](const json& branch) { return valid(branch, value); });
        };
        if (schema.contains("const") && value != schema["const"]) return false;
        if (schema.contains("enum") &&
            std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
            return false;
        if (schema.contains("anyOf") && hits("anyOf") == 0) return false;
        if (schema.contains("oneOf") && hits("oneOf") != 1) return false;
        return (!value.is_number() || number(schema, value)) &&
               (!value.is_string() || text(schema, value.get<std::string>())) &&
               (!value.is_array() || array(schema, value)) &&
               (!value.is_object() || object(schema, value));
    }
    static bool number(const json& schema, const json& value) {
        const auto x = value.get<double>();
        const auto missing = [&](const char* key) { return !schema.contains(key); };
        const auto bound = [&](const char* key) { return schema[key].get<double>(); };
        return (missing("minimum") || x >= bound("minimum")) &&
               (missing("maximum") || x <= bound("maximum")) &&
               (missing("exclusiveMinimum") || x > bound("exclusiveMinimum")) &&
               (missing("exclusiveMaximum") || x < bound("exclusiveMaximum"));
    }
    static bool text(const json& schema, const std::string& value) {
        const std::size_t size = length(value);
        return size >= schema.value("minLength", size) && size <= schema.value("maxLength", size) &&
               (!schema.contains("pattern") ||
                std::regex_search(value, std::regex(schema["pattern"].get<std::string>())));
    }
    bool array(const json& schema, const json& value) const {
        const std::size_t size = value.size();
        if (size < schema.value("minItems", size) || size > schema.value("maxItems", size))
            return false;
        const json first = schema.value("prefixItems", json::array());
        for (std::size_t i = 0; i < size; ++i)
            if (!valid(i < first.size() ? first[i] : schema.value("items", json(true)), value[i]))
                return false;
        return true;
    }
    bool object(const json& schema, const json& value) const {
        for (const json& name : schema.value("required", json::array()))
            if (!value.contains(name.get<std::string>())) return false;
        const json known = schema.value("properties", json::object());
        for (const auto& [name, member] : value.items())
            if (!valid(known.contains(name) ? known[name]
                                            : schema.value("additionalProperties", json(true)),
                       member))
                return false;
        return true;
    }

    json root_;
};

}  // namespace test
