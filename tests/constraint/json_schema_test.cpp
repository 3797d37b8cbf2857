// JSON by schema: what comes out parses and is valid, what may come in, and what is refused.
#include "../support/files.hpp"
#include "../support/process.hpp"
#include "validator.hpp"
#include "walk.hpp"

#include <gpt2/json_schema.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <string>
#include <vector>

using gpt2::errc;
using gpt2::json_schema;
using gpt2::token_id;
using test::json;
using test::matches;

namespace {

const std::vector<std::string> schemas = {
    R"({})",
    R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130}, "ok": {"type": "boolean"}},
        "required": ["name", "ok"], "additionalProperties": false})",
    R"({"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 4})",
    R"({"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
        "additionalProperties": {"type": "null"}, "required": ["kind"]})",
    R"({"enum": ["red", 1, 2.5, null, {"b": [1, {}], "a": "\u00e9\"\n"}, [], true, 1e300]})",
    R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
        "value": {"type": ["integer", "null"]}, "next": {"anyOf": [{"$ref": "#/$defs/node"},
        {"type": "null"}]}}, "required": ["value", "next"], "additionalProperties": false}}})",
    R"({"oneOf": [{"type": "object", "properties": {"t": {"const": 1}, "a": {"type": "string"}},
        "required": ["t", "a"]}, {"type": "object", "properties": {"a": {"type": "string"},
        "t": {"enum": [2, 3]}}, "required": ["t"]}, {"type": "string", "minLength": 1}]})",
    R"({"type": "string", "pattern": "^[a-c\"\\\\]+$|x\\d$", "minLength": 2, "maxLength": 9})",
    R"({"type": "string", "minLength": 3, "maxLength": 5})",
    R"({"prefixItems": [{"type": "integer"}, {"type": "string", "maxLength": 3}],
        "items": {"type": "boolean"}, "minItems": 1, "maxItems": 5})",
    R"({"type": "array", "prefixItems": [{"const": 1}], "items": false})",
    R"({"type": "object", "required": ["z"], "properties": {"a": true, "a\"b": {"type": "null"}},
        "additionalProperties": {"type": "integer", "exclusiveMinimum": -3,
        "exclusiveMaximum": 17}})",
    R"({"type": "object", "properties": {"when": {"type": "string", "format": "date-time",
        "pattern": "^2\\d*-02.*Z$"}, "id": {"format": "uuid"}, "at": {"format": "ipv4"}},
        "required": ["when", "id", "at"]})",
    R"({"type": "array", "items": {"type": "array", "items": {"type": "array",
        "items": {"$ref": "#"}}}})",
    R"({"allOf": [{"type": "integer", "minimum": -1500, "maximum": 987}]})",
};

struct loaded {
    std::shared_ptr<const gpt2::tokenizer> from =
        std::make_shared<const gpt2::tokenizer>(gpt2::load_tokenizer(GPT2_BUNDLED_MODEL));
    gpt2::constraint_tokens tokens{from, {from->find("<|endoftext|>").value()}};
};
const loaded& bundled() {
    static const loaded made;
    return made;
}

std::string walk(const gpt2::constraint& of, unsigned seed, std::size_t left) {
    std::mt19937 dice(seed);
    auto at = of.start();
    std::string text;
    while (!at.is_complete() && left > 0) {
        const auto ids = test::ids_of(at.allowed(left));
        const token_id id = ids[dice() % ids.size()];
        if (bundled().from->is_special(id)) break;
        at.advance(id);
        text += bundled().from->bytes(id);
        --left;
    }
    CHECK(at.may_end());
    return text;
}

bool allows(const char* schema, const std::string& text) {
    return matches(json_schema(schema), text);
}

}  // namespace

TEST_CASE("whatever comes out parses and is valid", "[constraint]") {
    for (const std::string& schema : schemas) {
        const gpt2::constraint made(json_schema(schema), bundled().tokens);
        const test::validator judge(json::parse(schema));
        const auto least = static_cast<std::size_t>(made.start().tokens_needed());
        for (unsigned seed = 0; seed < 12; ++seed) {
            const std::string text = walk(made, seed, least + 5 * seed);
            CAPTURE(schema, text);
            const auto value = json::parse(text, nullptr, false);
            REQUIRE_FALSE(value.is_discarded());
            CHECK(judge.valid(value));
        }
    }
}

TEST_CASE("values that a schema has are there", "[constraint]") {
    const char* const person = schemas[1].c_str();
    CHECK(allows(person, R"({"name": "Ann", "age": 7, "ok": true})"));
    CHECK(allows(person, R"({"name": "\"\\\n\u0001é漢", "ok": false})"));
    CHECK_FALSE(allows(person, R"({"name": "Ann", "ok": true, "age": 7})"));
    CHECK_FALSE(allows(person, R"({"name": "Ann"})"));
    CHECK_FALSE(allows(person, R"({"name":"Ann","ok":true})"));
    CHECK_FALSE(allows(person, R"({"name": "Ann", "age": 131, "ok": true})"));
    CHECK_FALSE(allows(person, R"({"name": "1234567890123", "ok": true})"));
    CHECK(allows("{}", R"({"a": [1.5e+3, "x", {"b": null}], "c": -0.25, "d": {}, "e": []})"));
    CHECK(allows("true", "[[[[[[]]]]]]"));
    CHECK(allows(schemas[4].c_str(), R"({"b": [1, {}], "a": "é\"\n"})"));
    CHECK(allows(schemas[4].c_str(), "1e+300"));
    CHECK(allows(schemas[5].c_str(), R"({"value": 1, "next": {"value": null, "next": null}})"));
    CHECK(allows(schemas[7].c_str(), R"("a\"\\c")"));
    CHECK(allows(schemas[7].c_str(), R"("q\nx7")"));
    CHECK_FALSE(allows(schemas[7].c_str(), R"("qx7q")"));
    CHECK(allows(schemas[9].c_str(), R"([5])"));
    CHECK(allows(schemas[9].c_str(), R"([5, "abc", true, false])"));
    CHECK_FALSE(allows(schemas[9].c_str(), "[]"));
    CHECK(allows(schemas[11].c_str(), R"({"a": {}, "a\"b": null, "z": 16, "zz": -2})"));
    CHECK_FALSE(allows(schemas[11].c_str(), R"({"z": 1, "a": 2})"));
    CHECK_FALSE(allows(schemas[11].c_str(), R"({"z": 17})"));
    for (int number = -2000; number <= 2000; ++number) {
        const bool wanted = number >= -1500 && number <= 987;
        if (number % 7 == 0 || std::abs(number + 1500) < 3 || std::abs(number - 987) < 3)
            CHECK(allows(schemas[14].c_str(), std::to_string(number)) == wanted);
    }
    CHECK_FALSE(allows(schemas[14].c_str(), "-0"));
    CHECK_FALSE(allows(schemas[14].c_str(), "01"));
    CHECK(allows(R"({"type": "integer", "minimum": 99999})", "999999999999999999"));
    CHECK_FALSE(allows(R"({"type": "integer", "minimum": 99999})", "99998"));
    CHECK(allows(R"({"type": "integer", "maximum": -2.5})", "-3"));
    CHECK_FALSE(allows(R"({"type": "integer", "maximum": -2.5})", "-2"));
    CHECK(allows(R"({"enum": [1, "a", 2.0], "type": "number"})", "2"));
    CHECK_FALSE(allows(R"({"enum": [1, "a", 2.0], "type": "number"})", "\"a\""));
}

TEST_CASE("what a schema may not have is named with its path", "[constraint]") {
    const auto of = [](const char* schema) {
        return test::refusal([&] { (void)json_schema(schema); });
    };
    CHECK(of(R"({"properties": {"a": {"not": {}}}})") ==
          "json_schema: #/properties/a: the keyword \"not\" is not supported");
    CHECK(of(R"({"type": "array", "items": {"uniqueItems": true}})") ==
          "json_schema: #/items: the keyword \"uniqueItems\" is not supported");
    CHECK(of(R"({"type": "number", "maximum": 3})") ==
          "json_schema: #/maximum: a bound of numbers that are no integers is not supported");
    CHECK(of(R"({"$ref": "other.json"})") ==
          "json_schema: #/$ref: a reference out of the schema is not supported");
    CHECK(of(R"({"$ref": "#/$defs/a"})") ==
          "json_schema: #/$ref: expected a place that is there, found \"#/$defs/a\"");
    CHECK(of(R"({"enum": [1], "minimum": 0})") ==
          "json_schema: #/minimum: it beside enum is not supported");
    CHECK(of(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})") ==
          "json_schema: #/oneOf: telling schemas 0 and 1 apart (try anyOf) is not supported");
    CHECK(of(R"({"format": "email"})") ==
          "json_schema: #/format: the format \"email\" is not supported");
    CHECK(of("{\"pattern\": \"a(?=b)\"}") ==
          "json_schema: #/pattern: byte 2: looking ahead is not supported");
    CHECK(of(R"({"type": "integer", "minimum": 4, "maximum": 3})") ==
          "json_schema: #: expected a minimum that is at most the maximum, found 4 and 3");
    CHECK(of(R"({"minLength": 4, "maxLength": 3})") ==
          "json_schema: #/maxLength: expected at least minLength, found 3");
    CHECK(of(R"({"type": "text"})") ==
          "json_schema: #/type: expected the names of types, found \"text\"");
    CHECK(of("false") == "json_schema: nothing can match");
    CHECK(of(R"({"required": ["a"], "additionalProperties": false})") ==
          "json_schema: nothing can match");
    CHECK(of(R"({"$ref": "#"})") == "json_schema: nothing can match");
    CHECK(of(R"({"properties": {"a": 5}})") ==
          "json_schema: #/properties/a: expected a schema, found 5");
    CHECK(of(R"({"items": [{}]})") == "json_schema: #/items: expected a schema, found an array");
    CHECK_ERROR(errc::bad_json, json_schema("{"));
    CHECK_ERROR(errc::unsupported, json_schema(R"({"not": {}})"));
}

TEST_CASE("schemas that grow without bound meet a limit in little time", "[constraint]") {
    std::string lists = R"({"type": "integer"})", deep = "{}";
    for (int i = 0; i < 25; ++i)
        lists = R"({"type": "array", "minItems": 3, "items": )" + lists + "}";
    for (int i = 0; i < 80; ++i) deep = R"({"items": )" + deep + "}";
    CHECK(test::cpu_seconds([&] { CHECK_ERROR(errc::limit_exceeded, json_schema(lists)); }) < 3);
    CHECK_ERROR(errc::bad_json, json_schema(deep));
    CHECK_ERROR(errc::limit_exceeded, json_schema(R"({"minLength": 60000, "type": "string"})"));
    CHECK_ERROR(errc::limit_exceeded, json_schema(std::string(300000, ' ')));
    CHECK_FALSE(json_schema(R"({"maxLength": 1500, "type": "string"})").recursive());
    std::string rings = R"({"$ref": "#/$defs/a0", "$defs": {)";
    for (int i = 0; i < 200; ++i)
        rings += (i ? ", " : "") +
                 ("\"a" + std::to_string(i) + R"(": {"type": "array", "items": )") +
                 R"({"$ref": "#/$defs/a)" + std::to_string((i * 7 + 1) % 200) + "\"}}";
    CHECK(json_schema(rings + "}}").recursive());
}
