// The options of every program that runs a model: which file, how many threads, which weights.
#pragma once

#include "cli.hpp"

#include <gpt2/gpt2.hpp>

#include <string>

namespace cli {

struct model_options {
    std::string folder = GPT2_BUNDLED_MODEL;
    gpt2::load_options how;

    gpt2::language_model load() const { return gpt2::load(folder, how); }
};

inline void declare(CLI::App& app, model_options& given) {
    using gpt2::storage;
    app.add_option("--model", given.folder,
                   "Folder or file of the model; default: the bundled one");
    app.add_option("--threads", given.how.threads, "Threads; 0: one per core")->check(count());
    add_choice<storage>(app, "--weights", given.how.weights,
                        {{"f32", storage::f32},
                         {"bf16", storage::bf16},
                         {"f16", storage::f16},
                         {"int8", storage::int8},
                         {"int4", storage::int4}},
                        "How weights are kept in memory; default: as the file has them");
    using gpt2::arithmetic;
    add_choice<arithmetic>(
        app, "--arithmetic", given.how.arithmetic,
        {{"reproducible", arithmetic::reproducible}, {"fast", arithmetic::fast}},
        "fast: round to bf16 what is multiplied with bf16, where the machine has such products");
    add_choice<storage>(app, "--cache", given.how.cache,
                        {{"f32", storage::f32}, {"bf16", storage::bf16}, {"f16", storage::f16}},
                        "How keys and values are kept; default: f32, with fast arithmetic bf16");
    app.add_option("--kernels", given.how.kernels,
                   "Kernels to compute with (benchmark --list-kernels); default: the fastest");
}

}  // namespace cli
