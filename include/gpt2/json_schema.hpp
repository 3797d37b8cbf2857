// JSON that a schema allows, as a grammar; json_schema("{}") is any JSON at all.
//
// Every text is JSON in UTF-8 that is valid under the schema. What is known of JSON Schema, and
// which of the valid values are there, stands in detail/schema_reader.hpp; how they are written in
// detail/json_shapes.hpp.
//
// Before: grammar.hpp. Next: constraint.hpp.
#pragma once

#include "detail/determinise.hpp"
#include "detail/json.hpp"
#include "detail/json_shapes.hpp"
#include "detail/schema_automaton.hpp"
#include "grammar.hpp"

#include <cstddef>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// The values that a schema allows. Raises errc::bad_json (what is no JSON, above 60 levels),
/// errc::unsupported naming keyword and path, errc::invalid_argument for a keyword's value that
/// means nothing or a schema that no value matches, errc::limit_exceeded (256 KiB; 2¹⁵ states,
/// which is some 2,000 characters of strings whose lengths are counted).
inline grammar json_schema(std::string_view schema) {
    const detail::json_limits limits{.bytes = std::size_t{1} << 18, .depth = 61};
    if (schema.size() > limits.bytes)
        detail::fail(errc::limit_exceeded, "json_schema", {"at most ", limits.bytes, " bytes"},
                     schema.size());
    detail::ordered_json_builder builder("json_schema", limits);
    detail::read_json_events(schema, "json_schema", builder);
    const detail::json_value root = builder.take();
    detail::automaton_draft draft("json_schema");
    detail::schema_automaton(root, draft).read();
    return grammar(detail::determinised(draft));
}

}  // namespace gpt2::inline GPT2_ABI
