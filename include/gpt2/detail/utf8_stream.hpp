// From bytes in portions to whole characters, for text that is shown while it is made.
//
// Before: detail/utf8.hpp. Used by: tokenizer.hpp, detail/text_stream.hpp.
#pragma once

#include "utf8.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace gpt2::inline GPT2_ABI {

/// Turns bytes that arrive in any portions into whole UTF-8 characters. Ill-formed bytes become
/// U+FFFD, one for each maximal subpart as Unicode defines it, as soon as they are known to be
/// wrong; at most three bytes wait. The portions concatenate to what one push of everything gives.
class utf8_stream {
public:
    /// The characters that `bytes` completes or spoils. O(n).
    std::string push(std::string_view bytes);

    /// What is left of a character that never ended, as one U+FFFD or nothing; then it begins anew.
    std::string finish() { return std::exchange(held_, {}).empty() ? "" : replacement; }

    /// The bytes that wait for the rest of their character.
    std::string_view pending() const noexcept { return held_; }

private:
    static constexpr const char* replacement = "\xEF\xBF\xBD";  // U+FFFD
    std::string held_;
};

inline std::string utf8_stream::push(std::string_view bytes) {
    const std::string all = std::exchange(held_, {}).append(bytes);
    const char* const end = all.data() + all.size();
    std::string text;
    for (const char* at = all.data(); at != end;) {
        const detail::utf8_step step = detail::read_utf8(at, end);
        if (step.what == detail::utf8_step::kind::cut) {
            held_.assign(at, end);
            break;
        }
        if (step.what == detail::utf8_step::kind::whole)
            text.append(at, step.size);
        else
            text += replacement;
        at += step.size;
    }
    return text;
}

}  // namespace gpt2::inline GPT2_ABI
