// What the tests of observers share: passes over small models, whole or in pieces, and what
// transformers found in them (tests/reference/make_observers.py).
#pragma once

#include "../support/files.hpp"
#include "../support/random_model.hpp"

#include <gpt2/load.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace test {

/// Logits (T, V) of every position, the ids fed in pieces of `chunk` before one observer.
template <class Scalar, class Observer>
std::vector<Scalar> watched(const gpt2::basic_model<Scalar>& model,
                            const std::vector<gpt2::token_id>& ids, std::size_t chunk,
                            Observer&& observer) {
    gpt2::thread_pool pool(1);
    gpt2::state<Scalar> state(model.config(), pool);
    const auto vocabulary = model.config().vocabulary_size;
    std::vector<Scalar> logits(ids.size() * vocabulary);
    for (std::size_t first = 0; first < ids.size(); first += chunk) {
        const auto count = std::min(chunk, ids.size() - first);
        model.forward(std::span(ids).subspan(first, count), state,
                      gpt2::view<Scalar>(logits.data() + first * vocabulary, count, vocabulary),
                      observer);
    }
    return logits;
}

/// The same in one piece.
template <class Scalar, class Observer>
std::vector<Scalar> watched(const gpt2::basic_model<Scalar>& model,
                            const std::vector<gpt2::token_id>& ids, Observer&& observer) {
    return watched(model, ids, ids.size(), observer);
}

/// A model of tests/reference/models with what transformers found in it.
template <class Scalar>
struct referenced_model {
    explicit referenced_model(const std::string& name)
        : model(gpt2::load_model<Scalar>(source_folder() / "tests/reference/models" / name).model),
          known(nlohmann::json::parse(
              read_file(source_folder() / "tests/reference/observers" / (name + ".json")))),
          ids(known["ids"].get<std::vector<gpt2::token_id>>()) {}

    gpt2::basic_model<Scalar> model;
    nlohmann::json known;
    std::vector<gpt2::token_id> ids;
};

/// The largest difference between rows of known numbers and these, relative to the largest known;
/// infinity where the sizes differ.
template <class Numbers>
double departure(const nlohmann::json& known, const Numbers& found) {
    std::vector<double> expected;
    for (const auto& row : known)
        if (row.is_array())
            expected.insert(expected.end(), row.begin(), row.end());
        else
            expected.push_back(row);
    if (expected.empty() || expected.size() != found.size()) return INFINITY;
    double worst = 0, largest = 1e-300;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double off = std::abs(static_cast<double>(found[i]) - expected[i]);
        worst = std::max(worst, std::isnan(off) ? INFINITY : off);
        largest = std::max(largest, std::abs(expected[i]));
    }
    return worst / largest;
}

template <class Scalar>
constexpr double bound = std::is_same_v<Scalar, float> ? 1e-5 : 1e-11;

}  // namespace test
