// The one exception of the library and the words of its messages.
//
// A message reads *where: expected …, found …* and never carries raw bytes of a file: what comes
// from outside is escaped and cut by `detail::printable`. Asserts are for our own mistakes only.
//
// Before: core.hpp.
#pragma once

#include "core.hpp"

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// What went wrong. Numbers are part of the interface: they are never changed or given again.
enum class errc {
    invalid_argument = 1,     ///< an option or argument outside its range
    not_found = 2,            ///< no such file or folder
    not_regular_file = 3,     ///< a folder, pipe, device or socket where a file should be
    read_failed = 4,          ///< the operating system could not open or read a file
    path_not_allowed = 5,     ///< a file names another file outside its own folder
    limit_exceeded = 6,       ///< a file or a field of it is larger than any sane model needs
    truncated = 7,            ///< a file ends before its contents do
    bad_json = 8,             ///< not JSON, or JSON with duplicate keys, too deep, ill-formed UTF-8
    bad_config = 9,           ///< config.json and its like: a value of a wrong type or out of range
    bad_weights = 10,         ///< a weight file that breaks the rules of its format
    bad_tokenizer = 11,       ///< tokenizer files that contradict themselves
    unsupported = 12,         ///< well-formed, but of another architecture, type or feature
    missing_tensor = 13,      ///< the model needs a tensor that the file does not hold
    wrong_shape = 14,         ///< a tensor of another shape than the config asks for
    duplicate_tensor = 15,    ///< the same tensor twice, or under two spellings of its name
    token_out_of_range = 16,  ///< an id outside the vocabulary
    empty_prompt = 17,        ///< nothing to continue and no token to begin with
    context_full = 18,        ///< more positions asked for than the model has
    not_finite = 19,          ///< NaN or +infinity where a number is needed
    no_candidate = 20,        ///< every token is banned
    cancelled = 21,           ///< stopped by a stop token or a deadline
    out_of_memory = 22,       ///< an allocation failed, or its size cannot be represented
    write_failed = 23,        ///< a file or folder could not be made, or is there already
    bad_session = 24,         ///< a saved text that is damaged, or not of this model
};

/// The one exception type: a code for programs, a message for people (at most 512 bytes).
class error : public std::runtime_error {
public:
    [[gnu::noinline, gnu::cold]] error(errc code, std::string_view message)
        : std::runtime_error(std::string(message.substr(0, 512))), code_(code) {}

    errc code() const noexcept { return code_; }

private:
    errc code_;
};

namespace detail {

/// Text from outside as printable ASCII in double quotes: everything else as \xNN, cut after
/// `limit` bytes with an ellipsis.
[[gnu::noinline, gnu::cold]] inline std::string printable(std::string_view text,
                                                          std::size_t limit = 80) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += c;
        } else if (byte >= 0x20 && byte < 0x7f) {
            out += c;
        } else {
            out += "\\x";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out + (text.size() > limit ? "…\"" : "\"");
}

/// Whether every byte of a text is of that kind.
inline bool all_bytes(std::string_view text, bool (*kind)(char)) {
    for (const char c : text)
        if (!kind(c)) return false;
    return true;
}

/// A part of a message: a text that outlives it, a whole number, or `{several, of, these}` with
/// nothing between them.
class phrase {
public:
    phrase(const char* text) : phrase(std::string_view(text)) {}
    phrase(const std::string& text) : phrase(std::string_view(text)) {}
    phrase(std::string_view text) : data_(text.data()), size_(text.size()) {}
    template <std::integral Number>
    phrase(Number number)
        : kind_(number < 0 ? kind::negative : kind::whole),
          size_(static_cast<std::uint64_t>(number)) {}
    phrase(std::initializer_list<phrase> parts)
        : kind_(kind::several), data_(parts.begin()), size_(parts.size()) {}

    [[gnu::noinline, gnu::cold]] void append_to(std::string& out) const {
        switch (kind_) {
            case kind::text:
                out.append(static_cast<const char*>(data_), size_);
                break;
            case kind::negative:
                out += std::to_string(static_cast<std::int64_t>(size_));
                break;
            case kind::whole:
                out += std::to_string(size_);
                break;
            case kind::several:
                for (std::size_t i = 0; i < size_; ++i)
                    static_cast<const phrase*>(data_)[i].append_to(out);
                break;
        }
    }

private:
    enum class kind { text, negative, whole, several };

    kind kind_ = kind::text;
    const void* data_ = nullptr;
    std::uint64_t size_ = 0;  // or the number
};

/// The phrase as one text. What makes messages is never inlined, and what loads a model is marked
/// cold: it runs once if at all, and optimised as the rest it takes the compiler seconds.
[[gnu::noinline, gnu::cold]] inline std::string text_of(const phrase& from) {
    std::string text;
    from.append_to(text);
    return text;
}

/// Throws `where: expected …, found …`.
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(errc code, const phrase& where,
                                                        const phrase& expected,
                                                        const phrase& found) {
    std::string message;
    where.append_to(message);
    message += ": expected ";
    expected.append_to(message);
    message += ", found ";
    found.append_to(message);
    throw error(code, message);
}

/// Throws `where: message`.
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(errc code, const phrase& where,
                                                        const phrase& message) {
    throw error(code, text_of({text_of(where), ": ", text_of(message)}));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
