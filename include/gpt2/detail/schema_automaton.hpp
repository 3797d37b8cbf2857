// The values that a JSON schema allows, as an automaton over their texts.
//
// A schema that is referred to becomes a rule, so schemas may hold themselves.
//
// Before: detail/schema_reader.hpp, which looks into schemas. Used by: json_schema.hpp.
#pragma once

#include "../error.hpp"
#include "automaton_draft.hpp"
#include "determinise.hpp"
#include "json.hpp"
#include "json_shapes.hpp"
#include "network_product.hpp"
#include "regex_reader.hpp"
#include "schema_reader.hpp"
#include "text_automata.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

class schema_automaton {
public:
    schema_automaton(const json_value& root, automaton_draft& made)
        : root_(root), made_(made), where_(made.where()) {}

    void read() {
        made_.define(0, made_.call(rule_of({&root_, "#"})));
        while (!waiting_.empty()) {
            const auto [place, rule] = std::move(waiting_.back());
            waiting_.pop_back();
            made_.define(rule, place.value ? value(place) : any_value());
        }
    }

private:
    /// The rule for a schema that is referred to; without a schema, for any value.
    rule_id rule_of(const schema_place& at) {
        const auto [known, fresh] = rules_.try_emplace(at.value);
        if (fresh) {
            known->second = made_.add_rule(at.path);
            waiting_.emplace_back(at, known->second);
        }
        return known->second;
    }
    fragment anything() { return made_.call(rule_of({nullptr, "any value"})); }

    fragment pattern(const std::string& source) { return regex_reader(source, made_).read(); }
    template <class Build>
    fragment one_of(std::size_t count, Build build) {
        fragment all = made_.open();
        std::vector<fragment> branches;
        for (std::size_t i = 0; i < count; ++i) branches.push_back(build(i));
        made_.branch(all, branches);
        return all;
    }

    fragment value(const schema_place& at);
    fragment listed(const schema_object& schema);
    fragment branched(const schema_object& schema, const char* key);
    fragment of_kind(const schema_object& schema, unsigned kind);
    fragment integer(const schema_object& schema);
    fragment number(const schema_object& schema);
    fragment string(const schema_object& schema);
    fragment characters(std::size_t least, std::size_t most);
    fragment array(const schema_object& schema);
    fragment items(const schema_place& each, std::size_t least, std::size_t most);
    fragment object(const schema_object& schema);
    fragment any_value();

    struct member {
        std::string name;
        schema_place schema;  // of no value: anything
        bool required;
    };
    std::vector<member> members(const schema_object& schema) const;
    fragment members_of(const std::vector<member>& all, const schema_place* more);
    fragment member_value(const schema_place& at) { return at.value ? value(at) : anything(); }
    fragment other_key(const std::vector<member>& all);

    const json_value& root_;
    automaton_draft& made_;
    std::string_view where_;
    std::map<const json_value*, rule_id> rules_;
    std::vector<std::pair<schema_place, rule_id>> waiting_;
};

inline fragment schema_automaton::value(const schema_place& at) {
    if (const bool* allowed = at.value->boolean())
        return *allowed ? anything() : made_.one_of(code_set());
    const schema_object schema(at, where_);
    if (schema.find("$ref")) {
        schema.only({"$ref"});
        return made_.call(rule_of(resolved(root_, schema, where_)));
    }
    if (schema.find("const") || schema.find("enum")) return listed(schema);
    if (schema.find("anyOf")) return branched(schema, "anyOf");
    if (schema.find("oneOf")) return branched(schema, "oneOf");
    if (const auto* all = schema.array("allOf")) {
        schema.only({"allOf"});
        if (all->size() != 1) schema.unsupported("allOf", "more than one schema");
        return value(schema.place(all->front(), "allOf/0"));
    }
    const unsigned kinds = schema.kinds();
    if (kinds == any_kind && schema.find("type") == nullptr) return anything();
    std::vector<unsigned> each;
    for (unsigned kind = 1; kind < any_kind; kind *= 2)
        if ((kinds & kind) != 0 && !(kind == integer_kind && (kinds & fraction_kind) != 0))
            each.push_back(kind);
    return one_of(each.size(), [&](std::size_t i) { return of_kind(schema, each[i]); });
}

/// The values of enum and const, as far as they are of the type.
inline fragment schema_automaton::listed(const schema_object& schema) {
    const unsigned kinds = schema.find("type") ? schema.kinds() : unsigned{any_kind};
    std::vector<std::string> texts;
    const auto add = [&](const json_value& value) {
        if ((kind_of(value) & kinds) != 0) texts.push_back(written(value));
    };
    if (schema.find("const")) {
        schema.only({"const", "type"});
        add(*schema.find("const"));
    } else {
        schema.only({"enum", "type"});
        for (const json_value& value : *schema.array("enum")) add(value);
    }
    return one_of(texts.size(), [&](std::size_t i) { return made_.text(texts[i]); });
}

inline fragment schema_automaton::branched(const schema_object& schema, const char* key) {
    schema.only({key});
    const auto& all = *schema.array(key);
    const auto place = [&](std::size_t i) {
        return schema.place(all[i], key + ("/" + std::to_string(i)));
    };
    const schema_difference difference(root_, where_);
    for (std::size_t i = 0; i < all.size() && key == std::string_view("oneOf"); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (!difference.apart(place(j), place(i)))
                schema.unsupported(key, {"telling schemas ", j, " and ", i, " apart (try anyOf)"});
    return one_of(all.size(), [&](std::size_t i) { return value(place(i)); });
}

inline fragment schema_automaton::of_kind(const schema_object& schema, unsigned kind) {
    switch (kind) {
        case null_kind:
            return made_.text("null");
        case boolean_kind:
            return pattern("true|false");
        case integer_kind:
            return integer(schema);
        case fraction_kind:
            return number(schema);
        case string_kind:
            return string(schema);
        case array_kind:
            return array(schema);
        default:
            return object(schema);
    }
}

inline fragment schema_automaton::integer(const schema_object& schema) {
    std::int64_t low = -most_integer, high = most_integer;
    low = std::max(low, schema.bound("minimum", 0).value_or(low));
    low = std::max(low, schema.bound("exclusiveMinimum", 1).value_or(low));
    high = std::min(high, schema.bound("maximum", 0).value_or(high));
    high = std::min(high, schema.bound("exclusiveMaximum", -1).value_or(high));
    if (low > high)
        fail(errc::invalid_argument, {where_, ": ", schema.path()},
             "a minimum that is at most the maximum", {low, " and ", high});
    return pattern(integer_pattern(low, high));
}

inline fragment schema_automaton::number(const schema_object& schema) {
    for (const char* const key : {"maximum", "exclusiveMinimum", "exclusiveMaximum"})
        if (schema.find(key)) schema.unsupported(key, "a bound of numbers that are no integers");
    const json_value* const least = schema.find("minimum");
    if (least && (!least->whole_number() || *least->whole_number() != 0))
        schema.unsupported("minimum", "a bound but 0 of numbers that are no integers");
    const std::string sign = least ? "" : "-?";
    return pattern(sign + "(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?");
}

/// A string's characters without its quotes.
inline fragment schema_automaton::characters(std::size_t least, std::size_t most) {
    const fragment one = string_character(made_, code_set(0, last_code_point));
    return made_.repeated(one, least, most);
}

inline fragment schema_automaton::string(const schema_object& schema) {
    constexpr std::string_view year_month_day =
        "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
    constexpr std::string_view time =
        "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?"
        "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
    const std::string byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])", hex = "[0-9a-f]";
    const std::map<std::string_view, std::string> formats = {
        {"date", std::string(year_month_day)},
        {"time", std::string(time)},
        {"date-time", std::string(year_month_day) + "T" + std::string(time)},
        {"uuid", hex + "{8}(?:-" + hex + "{4}){3}-" + hex + "{12}"},
        {"ipv4", byte + "(?:\\." + byte + "){3}"}};
    std::vector<network> all;
    const auto add = [&](auto build) {
        automaton_draft draft(where_);
        draft.define(0, build(draft));
        all.push_back(determinised(draft));
    };
    if (const std::string* name = schema.text("format")) {
        if (!formats.contains(*name))
            schema.unsupported("format", {"the format ", printable(*name, 40)});
        add([&](auto& draft) { return regex_reader(formats.at(*name), draft).read(); });
    }
    if (const std::string* source = schema.text("pattern")) {
        const std::string place = std::string(where_) + ": " + schema.path() + "/pattern";
        automaton_draft draft(place);
        draft.define(
            0, regex_reader(*source, draft, string_character).read(regex_reader::match::part));
        all.push_back(determinised(draft));
    }
    const auto least = schema.count("minLength"), most = schema.count("maxLength");
    if (most && *most < least.value_or(0)) schema.refuse("maxLength", "at least minLength");
    const auto length = [&](automaton_draft& draft) {
        return draft.repeated(string_character(draft, code_set(0, last_code_point)),
                              least.value_or(0), most.value_or(automaton_draft::unlimited));
    };
    if (!all.empty() && (least || most)) add(length);
    while (all.size() > 1) {
        all[all.size() - 2] = common(all[all.size() - 2], all.back(), where_);
        all.pop_back();
    }
    fragment made = made_.open();
    made_.append(made, made_.text("\""));
    made_.append(made, all.empty() ? length(made_) : spliced(made_, all.front()));
    made_.append(made, made_.text("\""));
    return made;
}

/// What stands behind the first items, all alike, from `least` to `most` of them.
inline fragment schema_automaton::items(const schema_place& each, std::size_t least,
                                        std::size_t most) {
    fragment all = made_.open();
    if (most == 0) return all;
    const state_id before = made_.add_state(), end = made_.add_state();
    if (least == 0) made_.connect(all.end, end);
    made_.connect(all.end, before);
    const fragment first = member_value(each);
    const auto size = made_.size_of(first);
    made_.connect(before, first.start);
    if (most == automaton_draft::unlimited && least <= 1) {  // a ring, with one copy only
        const fragment comma = made_.text(", ");
        made_.connect(first.end, comma.start);
        made_.connect(comma.end, before);
        made_.connect(first.end, end);
    } else {
        fragment next = made_.open();
        made_.append(next, made_.text(", "));
        made_.append(next, made_.copy(first, size));
        const std::size_t rest = most == automaton_draft::unlimited ? most : most - 1;
        const fragment others = made_.repeated(next, least > 0 ? least - 1 : 0, rest);
        made_.connect(first.end, others.start);
        made_.connect(others.end, end);
    }
    all.end = end;
    return all;
}

inline fragment schema_automaton::array(const schema_object& schema) {
    const std::size_t least = schema.count("minItems").value_or(0);
    const std::size_t most = schema.count("maxItems").value_or(automaton_draft::unlimited);
    if (most < least) schema.refuse("maxItems", "at least minItems");
    const auto* const first = schema.array("prefixItems");
    const std::size_t known = std::min(first ? first->size() : 0, most);
    const json_value* const each = schema.find("items");
    const bool closed = each && each->boolean() && !*each->boolean();
    const schema_place rest = each ? schema.place("items") : schema_place{nullptr, ""};
    fragment all = made_.open();
    made_.append(all, made_.text("["));
    const state_id end = made_.add_state();
    for (std::size_t i = 0; i < known; ++i) {
        if (i >= least) made_.connect(all.end, end);
        if (i > 0) made_.append(all, made_.text(", "));
        const std::string place = "prefixItems/" + std::to_string(i);
        made_.append(all, value(schema.place((*first)[i], place)));
    }
    const std::size_t more = closed ? 0 : most == automaton_draft::unlimited ? most : most - known;
    const std::size_t needed = least > known ? least - known : 0;
    if (needed == 0) made_.connect(all.end, end);
    if (more > 0 && more >= needed) {
        if (known > 0) made_.append(all, made_.text(", "));
        made_.append(all, items(rest, std::max<std::size_t>(needed, 1), more));
        made_.connect(all.end, end);
    }
    all.end = end;
    made_.append(all, made_.text("]"));
    return all;
}

inline std::vector<schema_automaton::member> schema_automaton::members(
    const schema_object& schema) const {
    std::vector<member> all;
    if (const auto* properties = schema.object("properties"))
        for (const json_value& name : names_in_order(*properties))
            all.push_back({*name.text(),
                           schema.place(properties->at(*name.text()), "properties/" + *name.text()),
                           false});
    const json_value* const others = schema.find("additionalProperties");
    if (const auto* required = schema.array("required"))
        for (const json_value& name : *required) {
            if (!name.text()) schema.refuse("required", "the names of properties");
            auto at = std::find_if(all.begin(), all.end(),
                                   [&](const member& m) { return m.name == *name.text(); });
            if (at == all.end())
                at = all.insert(
                    at, {*name.text(),
                         others ? schema.place("additionalProperties") : schema_place{nullptr, ""},
                         true});
            at->required = true;
        }
    return all;
}

/// The key of a property that is none of the members, as a text in quotes.
inline fragment schema_automaton::other_key(const std::vector<member>& all) {
    automaton_draft draft(where_);
    fragment key = draft.open();
    draft.append(key, draft.text("\""));
    const fragment one = string_character(draft, code_set(0, last_code_point));
    draft.append(key, draft.repeated(one, 0, automaton_draft::unlimited));
    draft.append(key, draft.text("\""));
    draft.define(0, key);
    const network any = determinised(draft);
    std::vector<std::string> names;
    for (const member& one_member : all) names.push_back(quoted_string(one_member.name));
    return spliced(made_, names.empty() ? any : common(any, other_than(names, where_), where_));
}

/// The members in order, those not required or not; then others, `more`, if there may be any.
inline fragment schema_automaton::members_of(const std::vector<member>& all,
                                             const schema_place* more) {
    fragment made = made_.open();
    state_id none = made_.add_state(), some = made_.add_state();  // members so far
    made_.connect(made.start, none);
    const auto member_at = [&] {  // where one begins
        const fragment comma = made_.text(", ");
        made_.connect(some, comma.start);
        made_.connect(none, comma.end);
        return comma.end;
    };
    for (const member& one : all) {
        const state_id begin = member_at();
        const fragment key = made_.text(quoted_string(one.name) + ": ");
        const fragment then = member_value(one.schema);
        made_.connect(begin, key.start);
        made_.connect(key.end, then.start);
        const state_id still_none = made_.add_state(), now_some = made_.add_state();
        made_.connect(then.end, now_some);
        if (!one.required) {
            made_.connect(none, still_none);
            made_.connect(some, now_some);
        }
        none = still_none;
        some = now_some;
    }
    if (more) {
        const state_id begin = member_at();
        const fragment key = other_key(all), colon = made_.text(": "), then = member_value(*more);
        made_.connect(begin, key.start);
        made_.connect(key.end, colon.start);
        made_.connect(colon.end, then.start);
        made_.connect(then.end, some);
    }
    made.end = made_.add_state();
    made_.connect(none, made.end);
    made_.connect(some, made.end);
    return made;
}

inline fragment schema_automaton::object(const schema_object& schema) {
    const json_value* const others = schema.find("additionalProperties");
    const bool open = others && !(others->boolean() && !*others->boolean());
    const schema_place more = open ? schema.place("additionalProperties") : schema_place{};
    fragment all = made_.open();
    made_.append(all, made_.text("{"));
    made_.append(all, members_of(members(schema), open ? &more : nullptr));
    made_.append(all, made_.text("}"));
    return all;
}

inline fragment schema_automaton::any_value() {
    return one_of(4, [&](std::size_t which) {
        const schema_place any{nullptr, ""};
        if (which == 0)
            return pattern(
                "null|true|false|-?(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]{1,17})?"
                "(?:[eE][+-]?[0-9]{1,2})?");
        fragment all = made_.open();
        made_.append(all, made_.text(which == 1 ? "\"" : which == 2 ? "[" : "{"));
        made_.append(all, which == 1   ? characters(0, automaton_draft::unlimited)
                          : which == 2 ? items(any, 0, automaton_draft::unlimited)
                                       : members_of({}, &any));
        made_.append(all, made_.text(which == 1 ? "\"" : which == 2 ? "]" : "}"));
        return all;
    });
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
