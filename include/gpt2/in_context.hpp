// Learning from examples in the prompt (Brown et al. 2020): how likely the right answer to a
// question is behind 0, 1, 2 … examples. Nothing in the model changes; only what stands before.
//
//     gpt2::in_context(model, {{{"one: ", "uno"}, {"two: ", "dos"}}, {"three: ", "tres"}})
//
// Before: rank.hpp.
#pragma once

#include "gpt2.hpp"
#include "rank.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A question and its answer, which follow each other with nothing between.
struct demonstration {
    std::string question, answer;
};

struct in_context_task {
    std::vector<demonstration> examples;  ///< in the order in which they are added
    demonstration asked;
    std::string between = "\n";  ///< what ends an example
};

struct in_context_options {
    std::size_t alternatives = 1;  ///< tokens to list that the answer might have begun with
    specials text = specials::as_text;
    interruption until = {};
};

/// How likely the answer is behind so many examples.
struct in_context_step {
    std::size_t examples = 0;
    choice_score answer;  ///< by token; tokens[0].alternatives

    double probability() const { return std::exp(answer.log_prob); }
};

/// Asks with none of the examples, with the first, … with all of them. Raises what `rank` raises:
/// invalid_argument for an answer without a text, empty_prompt for a question without one.
inline std::vector<in_context_step> in_context(const language_model& with,
                                               const in_context_task& task,
                                               const in_context_options& how = {}) {
    ranking_options scoring;
    scoring.alternatives = how.alternatives;
    scoring.text = how.text;
    scoring.until = how.until;
    ranker reader(with, scoring);
    std::vector<in_context_step> found;
    std::string context;
    for (std::size_t count = 0;; ++count) {
        auto ranked = reader.rank({context + task.asked.question, {task.asked.answer}});
        found.push_back({count, std::move(ranked.choices[0])});
        if (count == task.examples.size()) return found;
        const auto& next = task.examples[count];
        context += next.question + next.answer + task.between;
    }
}

}  // namespace gpt2::inline GPT2_ABI
