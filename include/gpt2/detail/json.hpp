// JSON from strangers: strict, bounded, and with errors that name the file and the key.
//
// Stricter than JSON itself: no byte order mark, no NUL, no duplicate keys, a limit on bytes, depth
// and values (checked while reading, so nothing large is ever built). What it throws is always
// gpt2::error; messages never repeat raw bytes. `json_fields` reads members with their type and
// range and never converts: 1e3 is not an integer, null is not a number.
//
// Before: detail/byte_source.hpp, detail/json_lexer.hpp. Used by: detail/hf_config.hpp,
// detail/safetensors.hpp, tokenizer_files.hpp.
#pragma once

#include "byte_source.hpp"
#include "json_lexer.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
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

/// Whoever is told what stands in a JSON text, in its order. It may throw. Strings may be taken.
class json_events {
public:
    virtual void null() = 0;
    virtual void boolean(bool value) = 0;
    virtual void whole_number(std::uint64_t value) = 0;
    virtual void negative_number(std::int64_t value) = 0;
    virtual void real_number(double value) = 0;
    virtual void string(std::string& value) = 0;
    virtual void start_object() = 0;
    virtual void key(std::string& name) = 0;
    virtual void end_object() = 0;
    virtual void start_array() = 0;
    virtual void end_array() = 0;

protected:
    ~json_events() = default;
};

/// The grammar of JSON. Nothing recurses. (nlohmann/json would do, but every user of this library
/// would compile two seconds longer; the tests hold this reader to it.)
class json_reader {
public:
    json_reader(std::string_view text, std::string_view where, json_events& events)
        : where_(where), events_(events), lexer_(text) {}

    /// Reads the whole text, which is one value.
    void read() {
        next();
        for (bool more = true; more;) {
            if (!begin_container()) {
                take_scalar();
                more = go_on();
            } else if (token_ == (open_.back() == '{' ? token::end_object : token::end_array)) {
                close();
                more = go_on();
            } else if (open_.back() == '{') {
                take_key();
            }
        }
        if (token_ != token::end) fail_here();
    }

private:
    using token = json_token;

    void next() { token_ = lexer_.scan(); }

    [[noreturn, gnu::noinline, gnu::cold]] void fail_here(
        std::string_view expected = "valid JSON") const {
        fail(errc::bad_json, where_, expected, {"an error at byte ", lexer_.position()});
    }

    /// Enters the object or array that begins here and looks at what it begins with.
    bool begin_container() {
        if (token_ == token::begin_object) {
            events_.start_object();
            open_ += '{';
        } else if (token_ == token::begin_array) {
            events_.start_array();
            open_ += '[';
        } else {
            return false;
        }
        next();
        return true;
    }
    void close() {
        if (open_.back() == '{')
            events_.end_object();
        else
            events_.end_array();
        open_.pop_back();
    }
    void take_key() {
        if (token_ != token::string) fail_here();
        events_.key(lexer_.text());
        next();
        if (token_ != token::colon) fail_here();
        next();
    }
    void take_scalar() {
        switch (token_) {
            case token::null:
                return events_.null();
            case token::yes:
                return events_.boolean(true);
            case token::no:
                return events_.boolean(false);
            case token::string:
                return events_.string(lexer_.text());
            case token::whole_number:
                return events_.whole_number(lexer_.whole());
            case token::negative_number:
                return events_.negative_number(lexer_.negative());
            case token::real_number:
                if (!std::isfinite(lexer_.real())) fail_here("numbers within the range of double");
                return events_.real_number(lexer_.real());
            default:
                fail_here();
        }
    }
    /// Behind a value: closes the containers that end here; whether another value follows.
    bool go_on() {
        for (next(); !open_.empty(); next()) {
            const bool in_object = open_.back() == '{';
            if (token_ == token::comma) {
                next();
                if (in_object) take_key();
                return true;
            }
            if (token_ != (in_object ? token::end_object : token::end_array)) fail_here();
            close();
        }
        return false;
    }

    std::string_view where_;
    json_events& events_;
    json_lexer lexer_;
    token token_ = token::end;
    std::string open_;  // a brace or bracket for each container around here
};

/// Tells `events` what stands in `text`. Throws what they throw, errc::bad_json for a text that is
/// not exactly one JSON value, and errc::out_of_memory. `where` begins every message.
inline void read_json_events(std::string_view text, std::string_view where, json_events& events) {
    if (const auto nul = text.find('\0'); nul != text.npos)
        fail(errc::bad_json, where, "JSON", {"a NUL byte at offset ", nul});
    if (text.starts_with("\xEF\xBB\xBF"))
        fail(errc::bad_json, where, "JSON", "a byte order mark before it");
    try {
        json_reader(text, where, events).read();
    } catch (const std::bad_alloc&) {
        fail(errc::out_of_memory, where, "too large for memory");
    } catch (const std::length_error&) {
        fail(errc::out_of_memory, where, "too large for memory");
    }
}

/// Any JSON value. Each of its looks gives nullptr, or false, when it is of another kind. (A plain
/// record: std::variant would be half as large, and take longer to compile than all of json.hpp.)
class json_value {
public:
    using array = std::vector<json_value>;
    using object = std::map<std::string, json_value, std::less<>>;

    json_value() = default;  // null
    explicit json_value(bool value) : kind_(kind::boolean), truth_(value) {}
    explicit json_value(std::uint64_t value) : kind_(kind::whole), whole_(value) {}
    explicit json_value(std::int64_t value) : kind_(kind::negative), negative_(value) {}
    explicit json_value(double value) : kind_(kind::real), real_(value) {}
    explicit json_value(std::string text) : kind_(kind::text), text_(std::move(text)) {}
    explicit json_value(array items) : kind_(kind::array), items_(std::move(items)) {}
    explicit json_value(std::unique_ptr<object> members)
        : kind_(kind::object), members_(std::move(members)) {}

    bool is_null() const { return kind_ == kind::null; }
    const bool* boolean() const { return kind_ == kind::boolean ? &truth_ : nullptr; }
    const std::uint64_t* whole_number() const { return kind_ == kind::whole ? &whole_ : nullptr; }
    const std::int64_t* negative_number() const {
        return kind_ == kind::negative ? &negative_ : nullptr;
    }
    const double* real_number() const { return kind_ == kind::real ? &real_ : nullptr; }
    const std::string* text() const { return kind_ == kind::text ? &text_ : nullptr; }
    const array* items() const { return kind_ == kind::array ? &items_ : nullptr; }
    array* items() { return kind_ == kind::array ? &items_ : nullptr; }
    const object* members() const { return members_.get(); }
    object* members() { return members_.get(); }

private:
    enum class kind : unsigned char { null, boolean, whole, negative, real, text, array, object };

    kind kind_ = kind::null;
    union {
        bool truth_;
        std::uint64_t whole_ = 0;
        std::int64_t negative_;
        double real_;
    };
    std::string text_;
    array items_;
    std::unique_ptr<object> members_;
};

/// Builds a document while it checks depth, count and duplicate keys.
class json_builder : public json_events {
public:
    json_builder(std::string_view where, const json_limits& limits)
        : where_(where), limits_(limits) {}
    virtual ~json_builder() = default;

    json_value take() { return std::move(root_); }

    void null() override { place({}); }
    void boolean(bool value) override { place(json_value(value)); }
    void whole_number(std::uint64_t value) override { place(json_value(value)); }
    void negative_number(std::int64_t value) override { place(json_value(value)); }
    void real_number(double value) override { place(json_value(value)); }
    void string(std::string& value) override { place(json_value(std::move(value))); }
    void start_object() override { open(json_value(std::make_unique<json_value::object>())); }
    void start_array() override { open(json_value(json_value::array())); }
    void end_object() override { open_.pop_back(); }
    void end_array() override { open_.pop_back(); }
    void key(std::string& name) override {
        const auto [member, fresh] = open_.back()->members()->try_emplace(name);
        if (!fresh)
            fail(errc::bad_json, where_, {"the key ", printable(name, 60), " occurs twice"});
        member_ = &member->second;
    }

private:
    void open(json_value container) {
        if (open_.size() == limits_.depth)
            fail(errc::bad_json, where_, {"at most ", limits_.depth, " levels of nesting"}, "more");
        open_.push_back(&place(std::move(container)));
    }
    /// Where the next value goes: the root, the end of an array, or the member just named.
    json_value& place(json_value value) {
        if (++values_ > limits_.values)
            fail(errc::limit_exceeded, where_, {"at most ", limits_.values, " values"}, "more");
        if (open_.empty()) return root_ = std::move(value);
        if (auto* items = open_.back()->items()) return items->emplace_back(std::move(value));
        return *member_ = std::move(value);
    }

    std::string_view where_;
    json_limits limits_;
    json_value root_;
    std::vector<json_value*> open_;  // the path from the root; only the innermost one ever grows
    json_value* member_ = nullptr;
    std::size_t values_ = 0;
};

/// The document in `text`; `where` (a file name) begins every message.
/// Throws errc::bad_json, errc::limit_exceeded, errc::out_of_memory. O(n log n) in its bytes.
inline json_value parse_json(std::string_view text, std::string_view where,
                             json_limits limits = {}) {
    if (text.size() > limits.bytes)
        fail(errc::limit_exceeded, where, {"at most ", limits.bytes, " bytes"}, text.size());
    json_builder builder(where, limits);
    read_json_events(text, where, builder);
    return builder.take();
}

/// The document in a file; also throws as read_text does.
inline json_value read_json(const byte_source& file, json_limits limits = {}) {
    return parse_json(read_text(file, limits.bytes), file.name(), limits);
}

/// Whether a text is one of these.
inline bool is_one_of(std::span<const std::string_view> texts, std::string_view wanted) {
    for (const std::string_view text : texts)
        if (text == wanted) return true;
    return false;
}

/// A number for messages, as the shortest text that reads back as it and shows that it is real.
[[gnu::cold]] inline std::string shown_real(double value) {
    const double size = std::abs(value);
    const bool plain = size == 0 || (size >= 1e-4 && size < 1e15);
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value,
                                   plain ? std::chars_format::fixed : std::chars_format::scientific)
                         .ptr;
    std::string out(text, end);
    if (plain && out.find('.') == out.npos) out += ".0";
    return out;
}

/// A value for messages: scalars as they are (strings cut and escaped), containers by kind.
[[gnu::noinline, gnu::cold]] inline std::string described(const json_value& value) {
    if (const auto* text = value.text()) return printable(*text, 40);
    if (value.members()) return "an object";
    if (value.items()) return "an array";
    if (const auto* truth = value.boolean()) return *truth ? "true" : "false";
    if (const auto* number = value.whole_number()) return text_of(*number);
    if (const auto* number = value.negative_number()) return text_of(*number);
    if (const auto* number = value.real_number()) return shown_real(*number);
    return "null";
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
    json_fields(const json_value& value, std::string where, errc code)
        : members_(value.members()), where_(std::move(where)), code_(code) {
        if (members_ == nullptr) fail(code_, where_, "an object", described(value));
    }

    const json_value::object& members() const { return *members_; }

    /// The member, whatever it is, or nullptr.
    const json_value* find(std::string_view key) const {
        const auto member = members_->find(key);
        return member == members_->end() ? nullptr : &member->second;
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
        const auto* number = value->whole_number();
        if (number != nullptr && *number >= range.least && *number <= range.most) return *number;
        refuse(key, *value, {"an integer from ", range.least, " to ", range.most});
    }
    std::optional<double> positive_real(std::string_view key) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        double number = 0;
        if (const auto* whole = value->whole_number()) number = static_cast<double>(*whole);
        if (const auto* real = value->real_number()) number = *real;
        if (number > 0 && std::isfinite(number)) return number;
        refuse(key, *value, "a positive number");
    }
    std::optional<bool> boolean(std::string_view key) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (const bool* truth = value->boolean()) return *truth;
        refuse(key, *value, "true or false");
    }
    /// The view lives as long as the document.
    std::optional<std::string_view> text(std::string_view key) const {
        const auto* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (const auto* text = value->text()) return *text;
        refuse(key, *value, "a string");
    }

    /// Throws `where: key: expected …, found <value>`.
    [[noreturn, gnu::noinline, gnu::cold]] void refuse(std::string_view key,
                                                       const json_value& value,
                                                       const phrase& expected) const {
        fail(code_, {where_, ": ", key}, expected, described(value));
    }
    const std::string& where() const noexcept { return where_; }

private:
    const json_value::object* members_;
    std::string where_;
    errc code_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
