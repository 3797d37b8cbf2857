// What is inside a model folder: its config, where the parameters are, what they weigh, and what
// loading used of the files.
#include "cli.hpp"

#include <gpt2/load.hpp>

#include <nlohmann/json.hpp>

#include <iomanip>
#include <iostream>
#include <sstream>

namespace {

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

void print_bytes(const gpt2::config& c, std::uint64_t parameters) {
    std::cout << "\nBytes\n";
    row("weights as float32", grouped(parameters * 4));
    row("weights as float16 or bfloat16", grouped(parameters * 2));
    row("weights as int8, without scales", grouped(parameters));
    row("weights as int4, without scales", grouped((parameters + 1) / 2));
    row("keys and values of one token, f32", grouped(c.kv_bytes_per_token()));
    row("keys and values of a full context", grouped(c.kv_bytes_per_token() * c.context_length));
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

void inspect(const std::string& folder) {
    const auto [model, audit] = gpt2::load_model<float>(folder);
    auto c = model.config();
    c.tied_head = model.tied_head();
    print_config(c);
    print_parameters(c, c.tied_head);
    print_bytes(c, c.parameter_count());
    print_audit(audit);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Shows what is inside a model folder.", "inspect");
    app.option_defaults()->always_capture_default();
    std::string folder = GPT2_BUNDLED_MODEL;
    app.add_option("--model", folder, "Folder of the model; default: the bundled one");
    return cli::run(app, argc, argv, [&] { inspect(folder); });
}
