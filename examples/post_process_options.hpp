// The options of post-processing: which steps in which order, and their settings.
#pragma once

#include "cli.hpp"

#include <gpt2/post_process.hpp>

#include <optional>
#include <string>
#include <vector>

namespace cli {

struct post_process_options {
    std::vector<std::string> names = {"ban",         "repeats",  "loops",
                                      "punctuation", "measures", "sentence"};
    std::vector<std::string> banned;
    gpt2::ban_rule ban;
    gpt2::measure_style measures{.to = gpt2::language::english};
    std::optional<gpt2::language> read_language;  // default: the one that is written

    /// The steps in the order of their names; a ban of nothing is left out.
    std::vector<gpt2::text_step> steps() const {
        gpt2::measure_style style = measures;
        style.from = read_language.value_or(style.to);
        std::vector<gpt2::text_step> list;
        for (const std::string& name : names) {
            if (name == "ban" && !banned.empty()) list.push_back(gpt2::ban_terms(banned, ban));
            if (name == "repeats") list.push_back(gpt2::remove_repeats());
            if (name == "loops") list.push_back(gpt2::remove_loops());
            if (name == "punctuation") list.push_back(gpt2::repair_punctuation());
            if (name == "measures") list.push_back(gpt2::write_measures(style));
            if (name == "sentence") list.push_back(gpt2::cut_at_sentence());
        }
        return list;
    }
};

/// Declares the options; `--steps` names the order.
inline void declare(CLI::App& app, post_process_options& given) {
    using gpt2::language;
    const std::vector<std::string> known = given.names;
    app.add_option("--steps", given.names, "What is done, in this order, divided by commas")
        ->delimiter(',')
        ->check(CLI::IsMember(known));
    app.add_option("--ban", given.banned, "A term that must not stay; may be given several times");
    app.add_option("--replacement", given.ban.replacement, "What stands in its place");
    add_choice<language>(app, "--language", given.measures.to,
                         {{"en", language::english}, {"es", language::spanish}},
                         "Language in which numbers and units are written");
    add_choice<std::optional<language>>(
        app, "--read-language", given.read_language,
        {{"same", std::nullopt}, {"en", language::english}, {"es", language::spanish}},
        "Language in which 1.234 is read: a fraction in en, more than a thousand in es");
    add_choice<gpt2::unit_form>(
        app, "--units", given.measures.units,
        {{"names", gpt2::unit_form::names}, {"symbols", gpt2::unit_form::symbols}},
        "Units in words or as symbols");
}

}  // namespace cli
