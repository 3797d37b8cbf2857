// The bundled model: it loads and writes, and it knows the held-out tales as well as PyTorch says
// it does (examples/models/evaluate.py, float32).
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/sanitized.hpp"
#include "joined.hpp"

#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <set>

namespace {

/// -log2 of the probability of ids[1 …], in windows that share one id with the next.
double bits(const gpt2::model& model, std::span<const gpt2::token_id> ids) {
    const auto& c = model.config();
    gpt2::thread_pool pool;
    gpt2::state<float> state(c, pool);
    gpt2::buffer<float> logits(c.context_length * c.vocabulary_size);
    double total = 0;
    for (std::size_t at = 0; at + 1 < ids.size(); at += c.context_length - 1) {
        const auto window = ids.subspan(at, std::min(c.context_length, ids.size() - at));
        const gpt2::view<float> rows(logits.data(), window.size() - 1, c.vocabulary_size);
        state.kv.resize(0);
        model.forward(window.first(window.size() - 1), state, rows);
        for (std::size_t t = 0; t < rows.rows(); ++t) {
            double sum = 0;
            for (const float x : rows.row(t)) sum += std::exp(static_cast<double>(x));
            total -= rows(t, static_cast<std::size_t>(window[t + 1])) - std::log(sum);
        }
    }
    return total / std::log(2);
}

}  // namespace

TEST_CASE("the bundled model writes, and the same seed writes the same", "[bundled]") {
    const auto model = gpt2::load(GPT2_BUNDLED_MODEL);
    gpt2::options how;
    how.sampling = gpt2::top_k(40, 0.8f);
    how.max_new_tokens = 40;
    const auto tale = model.generate("Once upon a time", how);
    CHECK(tale.text.size() > 60);
    CHECK(model.generate("Once upon a time", how).text == tale.text);
    const std::vector<std::string> prompts = {"Once upon a time", "The king", "Había una vez"};
    const auto batch = model.generate(prompts, how);
    for (std::size_t i = 0; i < prompts.size(); ++i)
        CHECK(batch[i].tokens == model.generate(prompts[i], how).tokens);
    std::uintmax_t size = 0;
    for (const auto& file : std::filesystem::directory_iterator(GPT2_BUNDLED_MODEL))
        size += file.file_size();
    CHECK(size <= 20u << 20);
}

TEST_CASE("bits per byte of the held-out tales equal PyTorch's", "[bundled]") {
    const auto folder = test::shared_data("data/text/tales-valid");
    if (folder.empty() || test::sanitized) return;  // sanitized, it would take ten minutes
    const auto model = gpt2::load(GPT2_BUNDLED_MODEL);
    const auto expected = nlohmann::json::parse(
        test::read_file(test::source_folder() / "examples/models/evaluation.json"));
    for (const auto& file : expected["files"]) {
        const auto text = test::joined(test::read_file(folder / file["file"].get<std::string>()));
        REQUIRE(text.size() == file["bytes"].get<std::size_t>());
        auto ids = model.tokenizer().encode(text);
        REQUIRE(ids.size() == file["tokens"].get<std::size_t>());
        ids.insert(ids.begin(), *model.config().begin_of_text);
        const double found = bits(model.model(), ids) / static_cast<double>(text.size());
        CHECK(std::abs(found - file["bits_per_byte"].get<double>()) < 1e-4);  // 224
        WARN(file["file"] << ": " << found << " bits per byte");
    }
}
