// Writes the logits behind every token of a text: float32 (T, V), NPY 1.0, little-endian.
#include "model_options.hpp"

#include <algorithm>
#include <bit>
#include <fstream>

namespace {

struct arguments {
    cli::model_options model;
    std::optional<std::string> prompt, input_ids;
    std::string output;
    std::size_t chunk = 0;
};

/// The preamble of an NPY 1.0 file, padded so that the data begins at a multiple of 64.
std::string npy_header(std::size_t rows, std::size_t columns) {
    std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                       std::to_string(rows) + ", " + std::to_string(columns) + "), }";
    text.append(63 - (10 + text.size()) % 64, ' ');
    text += '\n';
    const auto size = text.size();
    return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(size & 255) +
           static_cast<char>(size >> 8) + text;
}

void check_written(const std::ostream& file, const std::string& path) {
    if (!file)
        gpt2::detail::fail(gpt2::errc::read_failed, gpt2::detail::printable(path),
                           "cannot be written");
}

void write_logits(const arguments& given) {
    static_assert(std::endian::native == std::endian::little,
                  "NPY is written as it lies in memory");
    const auto model = given.model.load();
    const auto ids =
        given.input_ids ? cli::ids(*given.input_ids) : model.tokenizer().encode(*given.prompt);
    const auto& c = model.config();
    if (ids.empty()) throw gpt2::error(gpt2::errc::empty_prompt, "the text has no tokens");
    if (ids.size() > c.context_length)
        gpt2::detail::fail(gpt2::errc::context_full, "logits",
                           "at most " + std::to_string(c.context_length) + " tokens",
                           std::to_string(ids.size()));
    auto state = model.state();
    // Rows are written as they come, so a long text needs little memory.
    const auto step = given.chunk ? given.chunk : state.work.rows();
    gpt2::buffer<float> logits(std::min(step, ids.size()) * c.vocabulary_size);
    std::ofstream file(given.output, std::ios::binary);
    check_written(file << npy_header(ids.size(), c.vocabulary_size), given.output);
    for (std::size_t first = 0; first < ids.size(); first += step) {
        const auto count = std::min(step, ids.size() - first);
        const gpt2::view<float> rows(logits.data(), count, c.vocabulary_size);
        model.model().forward(std::span(ids).subspan(first, count), state, rows);
        file.write(reinterpret_cast<const char*>(rows.data()),
                   static_cast<std::streamsize>(count * c.vocabulary_size * sizeof(float)));
    }
    check_written(file.flush(), given.output);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Writes the logits behind every token: float32 (T, V) as NPY.", "logits");
    arguments given;
    app.option_defaults()->always_capture_default();
    cli::declare(app, given.model);
    auto* input = app.add_option_group("input", "The text");
    input->add_option("--input-ids", given.input_ids, "Token ids: 1,2,3");
    input->add_option("--prompt", given.prompt, "A text");
    input->require_option(1);
    app.add_option("--output", given.output, "The NPY file to write")->required();
    app.add_option("--chunk", given.chunk, "Tokens per forward pass; 0: as many as fit one pass")
        ->check(cli::count());
    return cli::run(app, argc, argv, [&] { write_logits(given); });
}
