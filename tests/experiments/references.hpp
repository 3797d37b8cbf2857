// What the tests of experiments share: what PyTorch found, and how tables are held to it.
#pragma once

#include "../score/scored.hpp"

#include <gpt2/experiment.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace test {

using ids = std::vector<gpt2::token_id>;

/// Cases of experiments.json of tests/reference/make_experiments.py.
inline const nlohmann::json& experiments(const std::string& name) {
    static const auto all = nlohmann::json::parse(
        read_file(source_folder() / "tests/reference/experiments/experiments.json"));
    return all.at(name);
}

/// Rows of numbers, one after another.
inline std::vector<double> flat(const nlohmann::json& rows) {
    std::vector<double> all;
    for (const auto& row : rows)
        for (const auto& value : row) all.push_back(value);
    return all;
}

}  // namespace test
