// What every test of a step asks: what it makes of a text, and that its report is true.
#pragma once

#include "../support/catch.hpp"
#include "changes.hpp"

#include <gpt2/post_process.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace test {

/// What a step makes of a text.
inline std::string run(const gpt2::text_step& step, std::string_view text) {
    const gpt2::edited_text edited = step.run(text);
    CAPTURE(text, edited.text);
    CHECK(is_true(text, edited));
    CHECK(edited.changes.empty() == (edited.text == text));
    return edited.text;
}

struct pair_of_texts {
    std::string before, after;
};

/// Checks what a step makes of each text, and that it finds nothing more to do in the result.
inline void check_all(const gpt2::text_step& step, const std::vector<pair_of_texts>& cases) {
    for (const auto& [before, after] : cases) {
        CAPTURE(step.name, before);
        CHECK(run(step, before) == after);
        CHECK(run(step, after) == after);
    }
}

/// Checks that a step leaves texts as they are.
inline void check_kept(const gpt2::text_step& step, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) CHECK(run(step, text) == text);
}

}  // namespace test
