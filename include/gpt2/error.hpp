// The one exception of the library and the words of its messages.
//
// A message reads *where: expected …, found …* and never carries raw bytes of a file: what comes
// from outside is escaped and cut by `detail::printable`. Asserts are for our own mistakes only.
//
// Before: core.hpp.
#pragma once

#include "core.hpp"

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
    bad_config = 9,           ///< config.json: a value of the wrong type or out of range
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
};

/// The one exception type: a code for programs, a message for people (at most 512 bytes).
class error : public std::runtime_error {
public:
    error(errc code, std::string_view message)
        : std::runtime_error(std::string(message.substr(0, 512))), code_(code) {}

    errc code() const noexcept { return code_; }

private:
    errc code_;
};

namespace detail {

/// Text from outside as printable ASCII in double quotes: everything else as \xNN, cut after
/// `limit` bytes with an ellipsis.
inline std::string printable(std::string_view text, std::size_t limit = 80) {
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

/// Throws `where: expected …, found …`.
[[noreturn]] inline void fail(errc code, std::string_view where, std::string_view expected,
                              std::string_view found) {
    throw error(code, std::string(where) + ": expected " + std::string(expected) + ", found " +
                          std::string(found));
}

/// Throws `where: message`.
[[noreturn]] inline void fail(errc code, std::string_view where, std::string_view message) {
    throw error(code, std::string(where) + ": " + std::string(message));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
