// What is inside a model folder: its config, where the parameters are, what they weigh and what a
// token costs, and what loading used of the files; with --verify, whether it computes what it
// should; with --roofline, what its costs mean on this machine.
#include "inspect/roofline.hpp"
#include "model_options.hpp"

#include <gpt2/cost.hpp>
#include <gpt2/detail/file_sink.hpp>
#include <gpt2/picture_svg.hpp>
#include <gpt2/picture_terminal.hpp>
#include <gpt2/verify.hpp>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

struct arguments {
    cli::model_options model;
    std::string reference, roofline_file;
    std::size_t prompt = 256;
    bool proof = false, roofline = false;

    /// Of the prompt that costs are given for.
    std::size_t tokens(const gpt2::config& c) const {
        return std::clamp<std::size_t>(prompt, 1, c.context_length);
    }
};

/// 124439808 as 124,439,808.
std::string grouped(std::uint64_t n) {
    const std::string digits = std::to_string(n);
    std::string text;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
        text += digits[i];
    }
    return text;
}

void row(std::string_view name, std::string_view value) {
    std::cout << "  " << std::left << std::setw(36) << name << std::right << std::setw(16) << value
              << "\n";
}

std::string joined(const std::vector<gpt2::token_id>& ids) {
    std::string text;
    for (const auto id : ids) text += (text.empty() ? "" : ", ") + std::to_string(id);
    return text.empty() ? "none" : text;
}

std::string number(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

void print_config(const gpt2::config& c) {
    std::cout << "Config\n";
    row("layers", grouped(c.layers));
    row("heads", grouped(c.heads));
    row("width", grouped(c.width));
    row("head size", grouped(c.head_size()));
    row("inner width", grouped(c.inner_width));
    row("vocabulary", grouped(c.vocabulary_size));
    row("context", grouped(c.context_length));
    row("activation", gpt2::name(c.activation));
    row("layer norm epsilon", number(c.layer_norm_epsilon));
    row("scores divided by", !c.scale_attention                   ? "nothing"
                             : c.scale_attention_by_inverse_layer ? "sqrt(D) (layer+1)"
                                                                  : "sqrt(D)");
    row("begin of text", c.begin_of_text ? std::to_string(*c.begin_of_text) : "none");
    row("end of text", joined(c.end_of_text));
}

void print_parameters(const gpt2::config& c, bool tied) {
    const auto table = c.parameter_table();
    std::cout << "\nParameters\n";
    for (const auto& [name, count] : table.rows) row(name, grouped(count));
    row("output projection", tied ? "tied" : grouped(table.head));
    row("total", grouped(tied ? table.tied : table.untied));
    row("total if the head were tied", grouped(table.tied));
    row("total if the head were untied", grouped(table.untied));
}

void print_memory(const gpt2::memory_plan& plan, const gpt2::load_options& how) {
    using gpt2::storage;
    const auto length = plan.config.context_length;
    std::cout << "\nBytes in memory\n";
    for (const auto& [name, kept] : {std::pair{"weights as stored", storage::as_stored},
                                     {"weights as float32", storage::f32},
                                     {"weights as float16", storage::f16},
                                     {"weights as bfloat16", storage::bf16},
                                     {"weights as int8", storage::int8},
                                     {"weights as int4", storage::int4}})
        row(name, grouped(plan.weights(kept)));
    row("keys and values of a token, float32", grouped(plan.cache_per_token(storage::f32)));
    row("the same, float16 or bfloat16", grouped(plan.cache_per_token(storage::f16)));
    row("keys and values of a full context", grouped(plan.cache(how.cache_kept(), length)));
    row("scratch memory of a text", grouped(plan.workspace(how.threads)));
    row("weights and one text as asked for",
        grouped(plan.total({how.weights, how.cache_kept(), length, how.threads})));
}

/// A row for each part of a pass: operations and bytes of a token, and the one by the other.
void print_cost(std::string_view title, const gpt2::pass_cost& cost, std::size_t tokens) {
    const auto per_token = static_cast<double>(tokens);
    const auto line = [&](std::string_view name, const gpt2::part_cost& part) {
        std::ostringstream intensity;
        intensity << std::fixed << std::setprecision(2) << part.intensity();
        const auto whole = [&](double x) {
            return grouped(static_cast<std::uint64_t>(std::llround(x / per_token)));
        };
        std::cout << "  " << std::left << std::setw(28) << name << std::right << std::setw(18)
                  << whole(part.operations) << std::setw(16)
                  << whole(static_cast<double>(part.bytes)) << std::setw(12) << intensity.str()
                  << "\n";
    };
    std::cout << "\n"
              << std::left << std::setw(30) << title << std::right << std::setw(18) << "operations"
              << std::setw(16) << "bytes" << std::setw(12) << "per byte"
              << "\n";
    for (std::size_t i = 0; i < cost.parts.size(); ++i)
        line(gpt2::pass_part_names[i], cost.parts[i]);
    line("total", cost.total());
}

/// What a token costs in the middle of a text, and as one of a prompt of that length.
void print_costs(const gpt2::memory_plan& plan, const gpt2::load_options& how, std::size_t prompt) {
    const auto cost = [&](const gpt2::pass_size& size) {
        return gpt2::cost_of(plan, size, how.weights, how.cache_kept());
    };
    const auto before = std::to_string(prompt - 1), all = std::to_string(prompt);
    print_cost("A token behind " + before, cost({.before = prompt - 1}), 1);
    print_cost("A token of a prompt of " + all, cost({.tokens = prompt}), prompt);
}

void print_audit(const gpt2::audit& audit) {
    const auto list = [](std::string_view title, const std::vector<std::string>& names) {
        row(title, grouped(names.size()));
        for (const auto& name : names) std::cout << "    " << name << "\n";
    };
    std::cout << "\nTensors in the files\n";
    row("used", grouped(audit.used.size()));
    row("causal masks, without effect", grouped(audit.buffers.size()));
    list("not there, and optional", audit.missing);
    list("ignored", audit.ignored);
}

void inspect(const arguments& given) {
    const auto& how = given.model.how;
    const auto files = gpt2::open_model(given.model.folder);
    const auto plan = gpt2::plan(files);
    gpt2::thread_pool pool(how.threads);
    const auto [model, audit] = gpt2::load_model<float>(files, how.weights, &pool);
    row("format", files.format);
    auto c = model.config();
    c.tied_head = model.tied_head();
    print_config(c);
    print_parameters(c, c.tied_head);
    print_memory(plan, how);
    print_costs(plan, how, given.tokens(c));
    print_audit(audit);
}

/// Measures, and draws in the terminal, or as SVG into a file.
void show_roofline(const arguments& given) {
    const auto& how = given.model.how;
    const auto files = gpt2::open_model(given.model.folder);
    const auto plan = gpt2::plan(files);
    const auto found =
        inspection::measured(gpt2::load(files, how), plan, how, given.tokens(plan.config));
    const auto plot = inspection::plot_of(found);
    if (given.roofline_file.empty()) {
        using gpt2::terminal_colours;
        std::cout << gpt2::to_terminal(
            plot,
            {80, cli::output_is_terminal() ? terminal_colours::xterm_256 : terminal_colours::none});
        return;
    }
    gpt2::detail::file_sink file(given.roofline_file, gpt2::existing::replace);
    file.write(gpt2::to_svg(plot));
    file.commit();
}

/// Stage by stage; raises at the end when one departs.
void verify(const cli::model_options& given, const std::string& reference) {
    const auto files = gpt2::open_model(given.folder);
    if (files.check) files.check();
    const auto found = gpt2::verify(gpt2::load(files, given.how), reference);
    const auto columns = [](std::string_view stage, auto expected, auto norm, auto departure) {
        std::cout << std::left << std::setw(26) << stage << std::right << std::setw(14) << expected
                  << std::setw(14) << norm << std::setw(12) << departure << "\n";
    };
    columns("stage", "expected norm", "found", "departure");
    for (const auto& one : found.stages) {
        std::ostringstream departure;
        departure << std::scientific << std::setprecision(1) << one.relative;
        columns(name(one), one.expected, one.found, departure.str());
    }
    const auto* first = found.first_departure();
    if (first)
        throw std::runtime_error("the model departs at " + name(*first) + " by " +
                                 number(first->relative) + ", more than " +
                                 number(found.tolerance));
    std::cout << "passed: every stage within " << found.tolerance << ", the farthest by "
              << found.largest() << "\n";
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Shows what is inside a model.", "inspect");
    app.option_defaults()->always_capture_default();
    arguments given;
    cli::declare(app, given.model);
    app.add_flag("--verify", given.proof,
                 "Run the model's reference.json; status 1 when it departs");
    app.add_option("--reference", given.reference,
                   "Another reference.json; default: the one beside the model");
    app.add_option("--tokens", given.prompt, "Of the prompt that costs are given for")
        ->check(cli::count());
    app.add_flag("--roofline", given.roofline,
                 "Measure the model and this machine, and draw what bounds it");
    app.add_option("--roofline-file", given.roofline_file,
                   "Draw that as SVG into this file instead");
    return cli::run(app, argc, argv, [&] {
        if (given.proof || !given.reference.empty())
            verify(given.model, given.reference);
        else if (given.roofline || !given.roofline_file.empty())
            show_roofline(given);
        else
            inspect(given);
    });
}
