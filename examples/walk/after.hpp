// The lesson on what comes after the model.
#pragma once

#include "teacher.hpp"

#include <gpt2/post_process_report.hpp>

#include <string>
#include <vector>

namespace walk {

inline void show_steps(const teacher& t, const std::string& text,
                       const std::vector<gpt2::text_step>& steps) {
    t.quote(gpt2::detail::visible(text));
    const auto done = gpt2::post_process(text, steps);
    for (const auto& step : done.steps)
        for (const auto& change : step.changes)
            t.out() << "    " << teacher::filled(step.step, 20) << '"'
                    << gpt2::detail::visible(change.from) << "\" -> \""
                    << gpt2::detail::visible(change.to) << "\"\n";
    t.quote(gpt2::detail::visible(done.text));
}

inline void teach_after(teacher& t) {
    t.begin_lesson("After the model", "Después del modelo");
    show_steps(t, "El sensor mide 5.4cm y pesa 8gr", {gpt2::write_measures()});
    const std::string begin = "'I am very hungry,' said the old man,";
    const auto written = t.model().generate(begin, {.max_new_tokens = 48});
    const auto judge = [](std::string_view sentence) {
        return sentence.find("hungry") == sentence.npos ? gpt2::verdict::keep : gpt2::verdict::drop;
    };
    show_steps(t, begin + written.text,
               {gpt2::remove_repeats(), gpt2::remove_loops(), gpt2::repair_punctuation(),
                gpt2::cut_at_sentence()});
    show_steps(t, "The wolf was hungry. The wolf slept. A hungry wolf ate.",
               {gpt2::judge_sentences("classifier", judge)});
    t.notice(
        "each step says what it changed and where; a classifier or a rewriter of one's own is a\n"
        "  step like any other.",
        "cada paso dice qué cambió y dónde; un clasificador o reescritor propio es un paso más.");
}

}  // namespace walk
