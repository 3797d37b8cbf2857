// JSON from strangers: strict, bounded, and with errors that name the file and the key.
//
// Stricter than the parser underneath: no byte order mark, no NUL, no duplicate keys, a limit on
// bytes, depth and values (checked while reading, so nothing large is ever built). What it throws
// is always gpt2::error; messages never repeat raw bytes. `json_fields` reads members with their
// type and range and never converts: 1e3 is not an integer, null is not a number.
//
// Before: detail/byte_source.hpp. Used by: detail/hf_config.hpp, detail/safetensors.hpp,
// tokenizer_files.hpp.
#pragma once

#include "byte_source.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What one JSON text may hold.
struct json_limits {
    std::size_t bytes = std::size_t{1} << 20;
    std::size_t depth = 64;
    std::size_t values = std::size_t{1} << 22;  ///< of all kinds, containers included
};

/// Passes `text` through nlohmann's parser into `handler` (its SAX interface). Throws what the
/// handler throws, errc::bad_json for a text that is not exactly one JSON value, and
/// errc::out_of_memory. `where` begins every message.
template <class Handler>
void sax_parse_json(std::string_view text, std::string_view where, Handler& handler) {
    if (const auto nul = text.find('\0'); nul != text.npos)
        fail(errc::bad_json, where, "JSON", "a NUL byte at offset " + std::to_string(nul));
    if (text.starts_with("\xEF\xBB\xBF"))
        fail(errc::bad_json, where, "JSON", "a byte order mark before it");
    try {
        nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
    } catch (const std::bad_alloc&) {
        throw error(errc::out_of_memory, std::string(where) + ": too large for memory");
    } catch (const std::length_error&) {
        throw error(errc::out_of_memory, std::string(where) + ": too large for memory");
    } catch (const nlohmann::json::exception&) {
        fail(errc::bad_json, where, "not valid JSON");
    }
}

/// The message for a parser that stopped after `position` bytes.
[[noreturn]] inline void fail_json(std::string_view where, std::size_t position, int id) {
    constexpr int number_out_of_range = 406;
    fail(errc::bad_json, where,
         id == number_out_of_range ? "numbers within the range of double" : "valid JSON",
         "an error at byte " + std::to_string(position));
}

/// Builds a document while it checks depth, count and duplicate keys.
class json_builder {
public:
    using json = nlohmann::json;

    json_builder(std::string_view where, const json_limits& limits)
        : where_(where), limits_(limits) {}

    json take() { return std::move(root_); }

    bool null() { return put(nullptr); }
    bool boolean(bool value) { return put(value); }
    bool number_integer(json::number_integer_t value) { return put(value); }
    bool number_unsigned(json::number_unsigned_t value) { return put(value); }
    bool number_float(json::number_float_t value, const std::string&) { return put(value); }
    bool string(std::string& value) { return put(std::move(value)); }
    bool binary(json::binary_t&) { return false; }
    bool start_object(std::size_t) { return open(json::object()); }
    bool start_array(std::size_t) { return open(json::array()); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        const auto [member, fresh] = open_.back()->emplace(name, nullptr);
        if (!fresh)
            fail(errc::bad_json, where_,
                 "the key " + detail::printable(name, 60) + " occurs twice");
        member_ = &*member;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const json::exception& problem) {
        fail_json(where_, position, problem.id);
    }

private:
    template <class Value>
    bool put(Value&& value) {
        place(json(std::forward<Value>(value)));
        return true;
    }
    bool open(json container) {
        if (open_.size() == limits_.depth)
            fail(errc::bad_json, where_,
                 "at most " + std::to_string(limits_.depth) + " levels of nesting", "more");
        open_.push_back(&place(std::move(container)));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }
    /// Where the next value goes: the root, the end of an array, or the member just named.
    json& place(json value) {
        if (++values_ > limits_.values)
            fail(errc::limit_exceeded, where_,
                 "at most " + std::to_string(limits_.values) + " values", "more");
        if (open_.empty()) return root_ = std::move(value);
        if (open_.back()->is_array()) return open_.back()->emplace_back(std::move(value));
        return *member_ = std::move(value);
    }

    std::string_view where_;
    json_limits limits_;
    json root_;
    std::vector<json*> open_;  // the path from the root; only the innermost one ever grows
    json* member_ = nullptr;
    std::size_t values_ = 0;
};

/// The document in `text`; `where` (a file name) begins every message.
/// Throws errc::bad_json, errc::limit_exceeded, errc::out_of_memory. O(n log n) in its bytes.
inline nlohmann::json parse_json(std::string_view text, std::string_view where,
                                 json_limits limits = {}) {
    if (text.size() > limits.bytes)
        fail(errc::limit_exceeded, where, "at most " + std::to_string(limits.bytes) + " bytes",
             std::to_string(text.size()));
    json_builder builder(where, limits);
    sax_parse_json(text, where, builder);
    return builder.take();
}

/// The document in a file; also throws as read_text does.
inline nlohmann::json read_json(const std::filesystem::path& path, json_limits limits = {}) {
    return parse_json(read_text(path, limits.bytes), shown(path), limits);
}

/// A value for messages: scalars as they are (strings cut and escaped), containers by kind.
inline std::string described(const nlohmann::json& value) {
    if (value.is_string()) return detail::printable(value.get_ref<const std::string&>(), 40);
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    return value.dump();
}

/// The members of one JSON object, read with type and range. Errors carry `code` and read
/// `where: key: expected …, found …`. The document must outlive it.
class json_fields {
public:
    struct integer_range {
        std::uint64_t least = 0;
        std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    };

    /// Throws `code` when `value` is not an object.
    json_fields(const nlohmann::json& value, std::string where, errc code)
        : object_(&value), where_(std::move(where)), code_(code) {
        if (!value.is_object()) fail(code_, where_, "an object", described(value));
    }

    /// The member, whatever it is, or nullptr.
    const nlohmann::json* find(std::string_view key) const {
        const auto member = object_->find(std::string(key));
        return member == object_->end() ? nullptr : &*member;
    }
    /// Whether the member is there and not null.
    bool given(std::string_view key) const {
        const auto* value = find(key);
        return value != nullptr && !value->is_null();
    }

    /// Each of these: nothing when the member is absent, `code` when it is of another type (null
    /// included) or outside its range.
    std::optional<std::uint64_t> integer(std::string_view key, integer_range range) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_number_unsigned()) {
            const auto number = value->get<std::uint64_t>();
            if (number >= range.least && number <= range.most) return number;
        }
        refuse(
            key, *value,
            "an integer from " + std::to_string(range.least) + " to " + std::to_string(range.most));
    }
    std::optional<double> positive_real(std::string_view key) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_number()) {
            const auto number = value->get<double>();
            if (number > 0 && std::isfinite(number)) return number;
        }
        refuse(key, *value, "a positive number");
    }
    std::optional<bool> boolean(std::string_view key) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (!value->is_boolean()) refuse(key, *value, "true or false");
        return value->get<bool>();
    }
    /// The view lives as long as the document.
    std::optional<std::string_view> text(std::string_view key) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (!value->is_string()) refuse(key, *value, "a string");
        return std::string_view(value->get_ref<const std::string&>());
    }

    /// Throws `where: key: expected …, found <value>`.
    [[noreturn]] void refuse(std::string_view key, const nlohmann::json& value,
                             std::string_view expected) const {
        fail(code_, where_ + ": " + std::string(key), expected, described(value));
    }
    const std::string& where() const noexcept { return where_; }

private:
    const nlohmann::json* object_;
    std::string where_;
    errc code_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
