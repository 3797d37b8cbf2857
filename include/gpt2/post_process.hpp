// What is done to a text after the model wrote it: steps in a row, each of which says what it
// changed.
//
//     const std::vector<gpt2::text_step> steps = {
//         gpt2::remove_loops(), gpt2::write_measures({.to = gpt2::language::spanish}),
//         gpt2::cut_at_sentence()};
//     for (const auto& step : gpt2::post_process(text, steps).steps) show(step);
//
// Any bytes may come: what is no UTF-8 passes through. Each step takes time O(n) for n bytes, asks
// no locale of the process, and is a value that threads may share.
//
// Before: text_edit.hpp. Needs neither a model nor a tokenizer.
#pragma once

#include "detail/measures.hpp"
#include "detail/punctuation.hpp"
#include "detail/repetition.hpp"
#include "detail/sentences.hpp"
#include "detail/term_search.hpp"
#include "error.hpp"
#include "text_edit.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// One step: a name for reports, and what it makes of a text.
struct text_step {
    std::string name;
    std::function<edited_text(std::string_view text)> run;
};

/// What one step did.
struct step_report {
    std::string step;
    std::string before, after;
    std::vector<text_change> changes;
};

struct processed_text {
    std::string text;                ///< behind the last step
    std::vector<step_report> steps;  ///< in order, one for each step
};

/// Runs the steps in order, each on what the one before it left. Raises invalid_argument for a step
/// without a function, and what the steps raise.
inline processed_text post_process(std::string_view text, std::span<const text_step> steps) {
    processed_text done{std::string(text), {}};
    for (const text_step& step : steps) {
        if (!step.run)
            detail::fail(errc::invalid_argument, "post_process", "a step to run", "none");
        edited_text edited = step.run(done.text);
        done.steps.push_back(
            {step.name, std::move(done.text), edited.text, std::move(edited.changes)});
        done.text = std::move(edited.text);
    }
    return done;
}

struct ban_rule {
    std::string replacement = {};
    letter_case letters = letter_case::ignore;
    term_place where = term_place::whole_words;
};

/// Puts `replacement` in the place of every term. Where terms overlap they go together; what comes
/// together where one was taken out is not looked at again. Raises invalid_argument for an empty
/// term.
inline text_step ban_terms(std::span<const std::string> terms, ban_rule rule = {}) {
    for (const std::string& term : terms)
        if (term.empty()) detail::fail(errc::invalid_argument, "ban_terms", "a term", "\"\"");
    auto search = std::make_shared<const detail::term_search>(terms, rule.letters, rule.where);
    return {"banned terms",
            [search = std::move(search), by = std::move(rule.replacement)](std::string_view text) {
                detail::text_editor editor(text);
                for (const auto& found : search->find(text))
                    editor.replace(found.begin, found.end, by);
                return editor.take();
            }};
}

/// Takes away sentences of at least `fewest_words` words that stood before, whatever their case and
/// punctuation. Shorter ones ("Yes." "No.") may come again.
inline text_step remove_repeats(std::size_t fewest_words = 3) {
    return {"repeated sentences", [=](std::string_view text) {
                return detail::without_repeated_sentences(text, fewest_words);
            }};
}

/// Leaves one round of phrases that go round in a loop; at the end of the text the last round may
/// be cut off. Raises invalid_argument for a rule outside its ranges.
inline text_step remove_loops(const loop_rule& rule = {}) {
    if (rule.times < 2)
        detail::fail(errc::invalid_argument, "remove_loops: times", "2 or more", rule.times);
    if (rule.longest < 1 || rule.longest > 1024)
        detail::fail(errc::invalid_argument, "remove_loops: longest", "from 1 to 1024",
                     rule.longest);
    return {"loops", [=](std::string_view text) { return detail::without_loops(text, rule); }};
}

/// Puts white space and punctuation right (detail/punctuation.hpp says how).
inline text_step repair_punctuation() {
    return {"punctuation",
            [](std::string_view text) { return detail::punctuation_repair(text).run(); }};
}

/// Writes numbers and units in one style: 5.4cm becomes 5,4 centímetros, and back.
inline text_step write_measures(measure_style style = {}) {
    return {"measures", [style = std::move(style)](std::string_view text) {
                return detail::measure_writer(text, style).run();
            }};
}

/// Takes away what stands behind the last finished sentence, or behind the first `most` sentences.
/// A text without a finished sentence stays as it is. Raises invalid_argument for most = 0.
inline text_step cut_at_sentence(std::size_t most = ~std::size_t{0}) {
    if (most == 0) detail::fail(errc::invalid_argument, "cut_at_sentence: most", "1 or more", 0);
    return {"sentence end", [=](std::string_view text) {
                auto sentences = detail::sentences_in(text);
                sentences.resize(std::min(most, sentences.size()));
                while (!sentences.empty() && !sentences.back().finished) sentences.pop_back();
                detail::text_editor editor(text);
                const std::size_t end = sentences.empty() ? text.size() : sentences.back().end;
                if (detail::skip(text, end, detail::is_space) != text.size())
                    editor.remove(end, text.size());
                return editor.take();
            }};
}

/// A rewriter of one's own: what it gives takes the place of the text. The change that is reported
/// is all between the first and the last character that differ.
inline text_step rewrite(std::string name, std::function<std::string(std::string_view)> rewriter) {
    return {std::move(name), [rewriter = std::move(rewriter)](std::string_view text) {
                const std::string after = rewriter(text);
                const auto [front, back] = detail::common_ends(text, after);
                detail::text_editor editor(text);
                editor.replace(front, text.size() - back,
                               std::string_view(after).substr(front, after.size() - back - front));
                return editor.take();
            }};
}

enum class verdict { keep, drop };

/// A classifier of one's own, asked about every sentence in order: those that it drops go.
inline text_step judge_sentences(std::string name,
                                 std::function<verdict(std::string_view)> classifier) {
    return {std::move(name), [classifier = std::move(classifier)](std::string_view text) {
                return detail::without_sentences(text, [&](std::string_view sentence) {
                    return classifier(sentence) == verdict::drop;
                });
            }};
}

}  // namespace gpt2::inline GPT2_ABI
