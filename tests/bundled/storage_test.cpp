// What smaller weights cost, against float32 weights: perplexity on the held-out tales, divergence
// of the next-token distribution, how often the likeliest token stays the same. The table it prints
// is the one of the README.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/sanitized.hpp"
#include "joined.hpp"

#include <gpt2/gpt2.hpp>

#include <cmath>
#include <iomanip>
#include <iostream>

namespace {

using ids = std::vector<gpt2::token_id>;

/// log-probabilities of every next token, (T, V), window by window.
std::vector<std::vector<double>> log_probabilities(const gpt2::language_model& loaded,
                                                   const ids& text) {
    const auto& c = loaded.config();
    const auto width = c.vocabulary_size;
    auto state = loaded.state();
    std::vector<float> logits(c.context_length * width);
    std::vector<std::vector<double>> rows;
    for (std::size_t at = 0; at < text.size(); at += c.context_length) {
        const auto count = std::min(c.context_length, text.size() - at);
        state.kv.resize(0);
        loaded.model().forward(std::span(text).subspan(at, count), state,
                               {logits.data(), count, width});
        for (std::size_t t = 0; t < count; ++t) {
            std::vector<double> row(logits.begin() + std::ptrdiff_t(t * width),
                                    logits.begin() + std::ptrdiff_t((t + 1) * width));
            const double most = *std::max_element(row.begin(), row.end());
            double sum = 0;
            for (const double x : row) sum += std::exp(x - most);
            for (double& x : row) x -= most + std::log(sum);
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

struct figures {
    double perplexity = 0, divergence = 0, agreement = 0;
};

figures compare(const std::vector<std::vector<double>>& exact,
                const std::vector<std::vector<double>>& found, const ids& text) {
    figures sum;
    const auto best = [](const auto& row) { return std::max_element(row.begin(), row.end()); };
    for (std::size_t t = 0; t + 1 < text.size(); ++t) {
        sum.perplexity -= found[t][static_cast<std::size_t>(text[t + 1])];
        for (std::size_t v = 0; v < exact[t].size(); ++v)
            sum.divergence += std::exp(exact[t][v]) * (exact[t][v] - found[t][v]);
        sum.agreement += best(exact[t]) - exact[t].begin() == best(found[t]) - found[t].begin();
    }
    const auto n = static_cast<double>(text.size() - 1);
    return {std::exp(sum.perplexity / n), sum.divergence / n, sum.agreement / n};
}

}  // namespace

TEST_CASE("smaller weights: perplexity, divergence, agreement", "[bundled]") {
    const auto folder = test::shared_data("data/text/tales-valid");
    if (folder.empty() || test::sanitized) return;
    using gpt2::arithmetic, gpt2::storage;
    const auto load = [](storage kept, arithmetic rule = arithmetic::reproducible,
                         storage cache = storage::as_stored) {
        gpt2::load_options how;
        how.weights = kept, how.arithmetic = rule, how.cache = cache;
        return gpt2::load(GPT2_BUNDLED_MODEL, how);
    };
    const auto exact_model = load(storage::f32);
    std::string tales;
    for (const auto& file : std::filesystem::directory_iterator(folder))
        if (file.path().extension() == ".txt") tales += test::joined(test::read_file(file.path()));
    auto text = exact_model.tokenizer().encode(tales);
    text.resize(std::min<std::size_t>(text.size(), 24 * exact_model.config().context_length));
    const auto exact = log_probabilities(exact_model, text);
    const double base = compare(exact, exact, text).perplexity;

    struct row {
        const char* name;
        storage kept;
        double perplexity, divergence, agreement;  // the worst that is good enough
        arithmetic rule = arithmetic::reproducible;
        storage cache = storage::f32;
    };
    const auto same = arithmetic::reproducible, fast = arithmetic::fast;
    std::cout << "weights          perplexity    change  divergence  same token\n";
    for (const row& r :
         {row{"f32", storage::f32, 0, 0, 1}, row{"f16", storage::f16, 0, 0, 1},
          row{"bf16", storage::bf16, 0.003, 0.001, 0.97},
          row{"int8", storage::int8, 0.005, 0.003, 0.95},
          row{"int4", storage::int4, 0.03, 0.04, 0.85},
          row{"f32, cache f16", storage::f32, 0.001, 0.0001, 0.99, same, storage::f16},
          row{"f32, cache bf16", storage::f32, 0.003, 0.001, 0.97, same, storage::bf16},
          row{"bf16, fast", storage::bf16, 0.005, 0.002, 0.96, fast, storage::bf16},
          row{"int8, fast", storage::int8, 0.005, 0.004, 0.94, fast, storage::bf16}}) {
        const auto found =
            compare(exact, log_probabilities(load(r.kept, r.rule, r.cache), text), text);
        const double change = found.perplexity / base - 1;
        std::cout << std::left << std::setw(17) << r.name << std::right << std::fixed
                  << std::setprecision(3) << std::setw(10) << found.perplexity << std::setw(9)
                  << 100 * change << "%" << std::setprecision(5) << std::setw(12)
                  << found.divergence << std::setprecision(2) << std::setw(11)
                  << 100 * found.agreement << "%\n";
        CHECK(change <= r.perplexity);
        CHECK(found.divergence <= r.divergence + 1e-9);
        CHECK(found.agreement >= r.agreement);
    }
}
