// JSON Schema (2020-12, a part of it), read into an automaton.
//
// What is known: type (one or several), enum, const, anyOf, oneOf whose branches can be told apart,
// $ref within the schema, properties, required, additionalProperties, items, prefixItems, minItems,
// maxItems, minLength, maxLength, pattern, five formats, minimum and maximum of integers. All else
// that would forbid something is refused by name and path; what only describes is passed over.
//
// Every text is valid, not every valid text is there: properties come in the order of the schema,
// others only where additionalProperties says so aloud, and without a type a value is of the kinds
// that the other keywords speak of.
//
// Before: detail/json_shapes.hpp. Used by: json_schema.hpp.
#pragma once

#include "../error.hpp"
#include "automaton_draft.hpp"
#include "determinise.hpp"
#include "json.hpp"
#include "json_shapes.hpp"
#include "network_product.hpp"
#include "regex_reader.hpp"
#include "text_automata.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The kinds of values, as bits.
enum json_kinds : unsigned {
    no_kind = 0,
    null_kind = 1,
    boolean_kind = 2,
    integer_kind = 4,
    fraction_kind = 8,  ///< numbers that are no integers
    string_kind = 16,
    array_kind = 32,
    object_kind = 64,
    any_kind = 127,
};

/// The kind of a value; 2.0 is an integer.
inline unsigned kind_of(const json_value& value) {
    if (value.is_null()) return null_kind;
    if (value.boolean()) return boolean_kind;
    if (value.text()) return string_kind;
    if (value.items()) return array_kind;
    if (value.members()) return object_kind;
    const double* const real = value.real_number();
    return real && *real != std::floor(*real) ? fraction_kind : integer_kind;
}

/// A schema and where it stands, `#/properties/name` for example.
struct schema_place {
    const json_value* value;
    std::string path;
};

/// Looks into one schema object. Members are read with their type; errors name key and path.
class schema_object {
public:
    /// Refuses keywords that are not known.
    schema_object(const schema_place& at, std::string_view where);

    const std::string& path() const { return path_; }
    const json_value* find(std::string_view key) const {
        const auto found = members_->find(key);
        return found == members_->end() ? nullptr : &found->second;
    }
    schema_place place(const json_value& value, const std::string& below) const {
        return {&value, path_ + "/" + below};
    }
    /// A member, whatever it is.
    schema_place place(const std::string& key) const { return place(members_->at(key), key); }
    const json_value::array* array(std::string_view key) const;
    const json_value::object* object(std::string_view key) const;
    const std::string* text(std::string_view key) const;
    std::optional<std::size_t> count(std::string_view key) const;
    /// A bound of integers: the nearest one within, as far as integers go here.
    std::optional<std::int64_t> bound(std::string_view key, std::int64_t beyond) const;

    /// Refuses what would restrict the value beside these keywords.
    void only(std::initializer_list<std::string_view> keys) const;

    /// The kinds of `type`, or of the keywords that are there.
    unsigned kinds() const;

    [[noreturn]] void refuse(std::string_view key, const phrase& expected) const {
        fail(errc::invalid_argument, {where_, ": ", path_, "/", key}, expected,
             described(*find(key)));
    }
    [[noreturn]] void unsupported(std::string_view key, const phrase& what) const {
        fail(errc::unsupported, {where_, ": ", path_, "/", key}, {what, " is not supported"});
    }
    [[noreturn]] void unsupported(std::string_view key) const { unsupported(key, "this keyword"); }

private:
    static unsigned kinds_named(std::string_view name);

    const json_value::object* members_;
    std::string path_;
    std::string_view where_;
};

inline constexpr std::string_view schema_keywords[] = {"type",
                                                       "enum",
                                                       "const",
                                                       "anyOf",
                                                       "oneOf",
                                                       "allOf",
                                                       "$ref",
                                                       "properties",
                                                       "required",
                                                       "items",
                                                       "minItems",
                                                       "maxItems",
                                                       "pattern",
                                                       "prefixItems",
                                                       "minLength",
                                                       "maxLength",
                                                       "format",
                                                       "additionalProperties",
                                                       "minimum",
                                                       "maximum",
                                                       "exclusiveMinimum",
                                                       "exclusiveMaximum"};
inline constexpr std::string_view schema_remarks[] = {
    "title",      "description", "$schema",   "$id",   "$comment",    "default", "examples",
    "deprecated", "readOnly",    "writeOnly", "$defs", "definitions", order_field};

inline schema_object::schema_object(const schema_place& at, std::string_view where)
    : members_(at.value->members()), path_(at.path), where_(where) {
    if (members_ == nullptr)
        fail(errc::invalid_argument, {where, ": ", path_}, "a schema", described(*at.value));
    for (const auto& [key, value] : *members_)
        if (!is_one_of(schema_keywords, key) && !is_one_of(schema_remarks, key))
            fail(errc::unsupported, {where, ": ", path_},
                 {"the keyword ", printable(key, 60), " is not supported"});
}

inline const json_value::array* schema_object::array(std::string_view key) const {
    const json_value* const found = find(key);
    if (found && !found->items()) refuse(key, "an array");
    return found ? found->items() : nullptr;
}

inline const json_value::object* schema_object::object(std::string_view key) const {
    const json_value* const found = find(key);
    if (found && !found->members()) refuse(key, "an object");
    return found ? found->members() : nullptr;
}

inline const std::string* schema_object::text(std::string_view key) const {
    const json_value* const found = find(key);
    if (found && !found->text()) refuse(key, "a string");
    return found ? found->text() : nullptr;
}

inline std::optional<std::size_t> schema_object::count(std::string_view key) const {
    const json_value* const found = find(key);
    if (!found) return std::nullopt;
    const auto* number = found->whole_number();
    if (!number || *number > grammar_text::most_repeats)
        refuse(key, {"an integer from 0 to ", grammar_text::most_repeats});
    return static_cast<std::size_t>(*number);
}

inline std::optional<std::int64_t> schema_object::bound(std::string_view key,
                                                        std::int64_t beyond) const {
    const json_value* const found = find(key);
    if (!found) return std::nullopt;
    constexpr std::int64_t most = most_integer + 1;
    double real = 0;
    if (const auto* number = found->whole_number())
        return static_cast<std::int64_t>(std::min<std::uint64_t>(*number, most)) + beyond;
    if (const auto* number = found->negative_number()) return std::max(*number, -most) + beyond;
    if (const auto* number = found->real_number())
        real = std::clamp(*number, -1e18, 1e18);
    else
        refuse(key, "a number");
    if (key == "minimum") return static_cast<std::int64_t>(std::ceil(real));
    if (key == "maximum") return static_cast<std::int64_t>(std::floor(real));
    const double nearest = beyond > 0 ? std::floor(real) : std::ceil(real);
    return static_cast<std::int64_t>(nearest) + beyond;
}

inline void schema_object::only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : *members_)
        if (!is_one_of(schema_remarks, key) &&
            std::find(keys.begin(), keys.end(), key) == keys.end())
            unsupported(key, {"it beside ", *keys.begin()});
}

inline unsigned schema_object::kinds_named(std::string_view name) {
    constexpr std::pair<std::string_view, unsigned> names[] = {
        {"null", null_kind},       {"boolean", boolean_kind},
        {"integer", integer_kind}, {"number", integer_kind | fraction_kind},
        {"string", string_kind},   {"array", array_kind},
        {"object", object_kind}};
    for (const auto& [known, kinds] : names)
        if (known == name) return kinds;
    return no_kind;
}

inline unsigned schema_object::kinds() const {
    const json_value* const type = find("type");
    unsigned found = no_kind;
    if (type != nullptr) {
        const auto add = [&](const json_value& name) {
            const unsigned kind = name.text() ? kinds_named(*name.text()) : no_kind;
            if (kind == no_kind) refuse("type", "the names of types");
            found |= kind;
        };
        if (const auto* several = type->items())
            for (const json_value& name : *several) add(name);
        else
            add(*type);
        if (found == no_kind) refuse("type", "at least one type");
        return found;
    }
    const auto any_of = [&](std::initializer_list<std::string_view> keys) {
        return std::any_of(keys.begin(), keys.end(), [&](auto key) { return find(key); });
    };
    if (any_of({"properties", "required", "additionalProperties"})) found |= object_kind;
    if (any_of({"items", "prefixItems", "minItems", "maxItems"})) found |= array_kind;
    if (any_of({"minLength", "maxLength", "pattern", "format"})) found |= string_kind;
    if (any_of({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}))
        found |= integer_kind;
    return found == no_kind ? static_cast<unsigned>(any_kind) : found;
}

/// Where a reference leads. Raises errc::unsupported for another document, errc::invalid_argument
/// for a place that is not there.
inline schema_place resolved(const json_value& root, const schema_object& from,
                             std::string_view where) {
    const std::string& reference = *from.text("$ref");
    if (!reference.starts_with('#')) from.unsupported("$ref", "a reference out of the schema");
    schema_place at{&root, "#"};
    std::string_view rest = std::string_view(reference).substr(1);
    while (!rest.empty()) {
        if (!rest.starts_with('/')) from.unsupported("$ref", "a reference by name");
        rest.remove_prefix(1);
        const std::string_view step = rest.substr(0, rest.find('/'));
        rest.remove_prefix(step.size());
        std::string key;
        for (std::size_t i = 0; i < step.size(); ++i) {
            const bool tilde = step[i] == '~' && i + 1 < step.size();
            key += tilde ? (step[++i] == '1' ? '/' : '~') : step[i];
        }
        const auto* const members = at.value->members();
        if (members == nullptr || !members->contains(key))
            fail(errc::invalid_argument, {where, ": ", from.path(), "/$ref"},
                 "a place that is there", printable(reference, 80));
        at = {&members->at(key), at.path + "/" + std::string(step)};
    }
    return at;
}

/// Whether no value can match both of two schemas, as far as can be seen without looking far.
class schema_difference {
public:
    schema_difference(const json_value& root, std::string_view where)
        : root_(root), where_(where) {}

    bool apart(const schema_place& left, const schema_place& right, std::size_t depth = 0) const {
        if (depth > 8 || !left.value->members() || !right.value->members()) return false;
        const schema_place a = followed(left), b = followed(right);
        if ((kinds(a, 0) & kinds(b, 0)) == no_kind) return true;
        const auto first = values(a), second = values(b);
        if (!first.empty() && !second.empty())
            return std::none_of(first.begin(), first.end(), [&](const std::string& text) {
                return std::find(second.begin(), second.end(), text) != second.end();
            });
        if ((kinds(a, 0) | kinds(b, 0)) != object_kind) return false;
        for (const std::string& name : required(a)) {
            const auto second_names = required(b);
            if (std::find(second_names.begin(), second_names.end(), name) == second_names.end())
                continue;
            const json_value *one = property(a, name), *other = property(b, name);
            if (one && other && apart({one, a.path}, {other, b.path}, depth + 1)) return true;
        }
        return false;
    }

private:
    schema_place followed(schema_place at) const {
        for (int i = 0; i < 8 && at.value->members() && at.value->members()->contains("$ref"); ++i)
            at = resolved(root_, schema_object(at, where_), where_);
        return at;
    }
    /// The texts of enum or const.
    std::vector<std::string> values(const schema_place& at) const {
        std::vector<std::string> found;
        if (!at.value->members()) return found;
        const schema_object schema(at, where_);
        if (const json_value* only = schema.find("const")) found.push_back(written(*only));
        if (const auto* several = schema.array("enum"))
            for (const json_value& value : *several) found.push_back(written(value));
        return found;
    }
    unsigned kinds(const schema_place& from, std::size_t depth) const {
        const schema_place at = followed(from);
        if (depth > 8 || !at.value->members()) return any_kind;
        const schema_object schema(at, where_);
        unsigned found = no_kind;
        if (const json_value* only = schema.find("const")) return kind_of(*only);
        if (const auto* several = schema.array("enum")) {
            for (const json_value& value : *several) found |= kind_of(value);
            return found;
        }
        for (const char* const key : {"anyOf", "oneOf"})
            if (const auto* branches = schema.array(key)) {
                for (const json_value& branch : *branches)
                    found |= kinds({&branch, at.path}, depth + 1);
                return found;
            }
        return schema.find("$ref") || schema.find("allOf") ? unsigned{any_kind} : schema.kinds();
    }
    std::vector<std::string> required(const schema_place& at) const {
        std::vector<std::string> names;
        if (const auto* list = schema_object(at, where_).array("required"))
            for (const json_value& name : *list)
                if (name.text()) names.push_back(*name.text());
        return names;
    }
    const json_value* property(const schema_place& at, const std::string& name) const {
        const auto* const all = schema_object(at, where_).object("properties");
        if (!all || name == order_field) return nullptr;
        const auto found = all->find(name);
        return found == all->end() ? nullptr : &found->second;
    }

    const json_value& root_;
    std::string_view where_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
