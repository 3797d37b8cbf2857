// Turns a GPT-2 from any file it comes in into another: a Hugging Face folder, GGUF, or the
// library's own packed file. What is written appears when it is complete.
#include "cli.hpp"
#include "progress_bar.hpp"

#include <gpt2/open.hpp>
#include <gpt2/save.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

struct arguments {
    std::string from, to;
    std::optional<gpt2::file_format> format;
    gpt2::save_options how;
    bool quiet = false, force = false;
};

volatile std::sig_atomic_t interrupted = 0;

/// The format that the name of the target asks for.
gpt2::file_format format_of(const std::filesystem::path& target) {
    const auto extension = target.extension();
    return extension == ".gguf"   ? gpt2::file_format::gguf
           : extension == ".gpt2" ? gpt2::file_format::packed
                                  : gpt2::file_format::hf_folder;
}

std::uintmax_t bytes_at(const std::filesystem::path& target) {
    if (!std::filesystem::is_directory(target)) return std::filesystem::file_size(target);
    std::uintmax_t sum = 0;
    for (const auto& file : std::filesystem::directory_iterator(target)) sum += file.file_size();
    return sum;
}

void convert(arguments& given) {
    const auto begun = std::chrono::steady_clock::now();
    const auto model = gpt2::open_model(given.from);
    if (given.force) given.how.existing = gpt2::existing::replace;
    {
        cli::progress_bar bar(!given.quiet);
        given.how.progress = [&](std::uint64_t done, std::uint64_t all) {
            if (interrupted) throw std::runtime_error("interrupted; nothing is written");
            bar.show(all == 0 ? 1 : static_cast<double>(done) / static_cast<double>(all));
        };
        std::signal(SIGINT, [](int) { interrupted = 1; });
        gpt2::save(model, given.to, given.format ? *given.format : format_of(given.to), given.how);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::ostringstream seconds;
    seconds << std::fixed << std::setprecision(2) << took.count();
    if (!given.quiet)
        std::cout << given.to << ": " << bytes_at(given.to) << " bytes from " << model.format
                  << " in " << seconds.str() << " s\n";
}

void declare(CLI::App& app, arguments& given) {
    using gpt2::file_format;
    using gpt2::storage;
    app.option_defaults()->always_capture_default();
    app.add_option("--from", given.from, "Folder or file of the model, in any known format")
        ->required();
    app.add_option("--to", given.to, "The folder or file to write")->required();
    cli::add_choice<std::optional<file_format>>(app, "--format", given.format,
                                                {{"hf", file_format::hf_folder},
                                                 {"gguf", file_format::gguf},
                                                 {"packed", file_format::packed}},
                                                "What to write; default: by the name of --to, "
                                                ".gguf gguf, .gpt2 packed, others a folder (hf)")
        ->default_str("");
    cli::add_choice<storage>(app, "--weights", given.how.weights,
                             {{"f32", storage::f32},
                              {"f16", storage::f16},
                              {"bf16", storage::bf16},
                              {"int8", storage::int8},
                              {"int4", storage::int4}},
                             "How matrices are written; a folder takes f32, f16, bf16, GGUF these "
                             "and int8 (as Q8_0); default: as --from has them")
        ->default_str("");
    app.add_flag("--force", given.force,
                 "Replace what is at --to; a folder only when it holds nothing but a saved model");
    app.add_flag("--quiet", given.quiet, "No progress and no line about the result");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Turns a GPT-2 from any file it comes in into another.", "convert");
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { convert(given); });
}
