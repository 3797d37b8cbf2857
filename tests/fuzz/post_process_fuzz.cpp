// Any bytes through every step of post-processing: nothing is raised, and every report is true.
//
// The text up to the first byte 0x1F is a banned term, as is each up to the next; what stands
// behind the last one is the text.
#include "../post_process/changes.hpp"

#include <gpt2/post_process_report.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

std::vector<gpt2::text_step> steps_with(const std::vector<std::string>& terms) {
    using gpt2::language;
    return {gpt2::ban_terms(terms),
            gpt2::ban_terms(terms, {.replacement = "x",
                                    .letters = gpt2::letter_case::exact,
                                    .where = gpt2::term_place::anywhere}),
            gpt2::remove_repeats(1),
            gpt2::remove_loops({.times = 2, .longest = 8}),
            gpt2::repair_punctuation(),
            gpt2::write_measures(),
            gpt2::write_measures({.to = language::english,
                                  .units = gpt2::unit_form::symbols,
                                  .groups = gpt2::digit_groups::marks}),
            gpt2::judge_sentences("odd",
                                  [](std::string_view sentence) {
                                      return sentence.size() % 2 == 0 ? gpt2::verdict::keep
                                                                      : gpt2::verdict::drop;
                                  }),
            gpt2::rewrite("half",
                          [](std::string_view all) {
                              return std::string(all.substr(0, all.size() / 2)) +
                                     std::string(all.substr(all.size() / 3));
                          }),
            gpt2::cut_at_sentence()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> terms;
    for (std::size_t end; (end = text.find('\x1F')) != text.npos; text.remove_prefix(end + 1))
        if (end > 0) terms.emplace_back(text.substr(0, end));
    const auto steps = steps_with(terms);
    for (const gpt2::text_step& step : steps) require(test::is_true(text, step.run(text)));
    const auto done = gpt2::post_process(text, steps);
    require(done.steps.size() == steps.size());
    require(!gpt2::to_json(done).empty() && !gpt2::to_text(done).empty());
    return 0;
}
