// What the tests of scores share: what transformers found, and the models it was asked about.
#pragma once

#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/random_model.hpp"

#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace test {

/// scores.json of tests/reference/make_scores.py.
inline const nlohmann::json& references() {
    static const auto all =
        nlohmann::json::parse(read_file(source_folder() / "tests/reference/scores/scores.json"));
    return all;
}

/// "base", without a tokenizer, or "tales".
inline const gpt2::language_model& model_named(const std::string& name) {
    static std::map<std::string, gpt2::language_model> loaded;
    const auto folder = name == "tales" ? std::filesystem::path(GPT2_BUNDLED_MODEL)
                                        : source_folder() / "tests/reference/models" / name;
    if (!loaded.contains(name)) loaded.emplace(name, gpt2::load(folder, {.threads = 2}));
    return loaded.at(name);
}

/// A small random model over 53 ids, without a tokenizer.
inline gpt2::language_model random_language_model(unsigned threads = 2) {
    const auto c = odd_config();
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        random_weights(c).model(c), std::nullopt, gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(threads)));
}

/// The same with weights so large that its logits are no numbers.
inline gpt2::language_model overflowing_model() {
    const auto c = odd_config();
    random_weights weights(c);
    for (auto& x : weights.find("ln_f.weight").values) x = std::numeric_limits<float>::max();
    for (auto& x : weights.find("wte.weight").values) x *= 100;
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        weights.model(c), std::nullopt, gpt2::audit{}, std::make_shared<gpt2::thread_pool>(1)));
}

/// The largest difference; infinity where the sizes differ or something is no number.
template <class Found>
double largest_difference(const Found& found, const std::vector<double>& expected) {
    if (found.size() != expected.size()) return INFINITY;
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double off = std::abs(static_cast<double>(found[i]) - expected[i]);
        worst = std::isnan(off) ? INFINITY : std::max(worst, off);
    }
    return worst;
}

}  // namespace test
