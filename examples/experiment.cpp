// Experiments on a model, one a subcommand: what its heads do, where it keeps what it knows, what
// its vectors mean. Each runs bare on the bundled model.
#include "experiment/heads.hpp"
#include "experiment/meanings.hpp"
#include "experiment/prompts.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

/// A subcommand with its options, and what it does with them.
struct command {
    CLI::App* app;
    std::function<void(const gpt2::language_model&, report::format)> run;
};

template <class Experiment>
command declare(CLI::App& app, const std::string& name) {
    auto* own = app.add_subcommand(name, Experiment::purpose);
    own->option_defaults()->always_capture_default();
    const auto given = std::make_shared<Experiment>();
    given->declare(*own);
    return {own, [given](const auto& model, auto how) { given->run(model, how); }};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Experiments on a model.", "experiment");
    app.option_defaults()->always_capture_default();
    app.require_subcommand(1);
    app.fallthrough();  // options of the model may stand behind the subcommand
    cli::model_options model;
    cli::declare(app, model);
    bool json = false;
    app.add_flag("--json", json, "Print one JSON object");
    const std::vector<command> commands = {
        declare<experiments::ablate>(app, "ablate"),
        declare<experiments::patch>(app, "patch"),
        declare<experiments::induction>(app, "induction"),
        declare<experiments::distance>(app, "distance"),
        declare<experiments::attribute>(app, "attribute"),
        declare<experiments::neighbours>(app, "neighbours"),
        declare<experiments::analogy>(app, "analogy"),
        declare<experiments::order>(app, "order"),
        declare<experiments::examples>(app, "examples"),
        declare<experiments::steer>(app, "steer"),
    };
    return cli::run(app, argc, argv, [&] {
        for (const auto& one : commands)
            if (one.app->parsed())
                one.run(model.load(), json ? report::format::json : report::format::text);
    });
}
