// What Hugging Face transformers found in float64, as tests/reference/*.py keep it in
// expect.safetensors beside each tiny model, and how a folder is held to it: stage by stage, and by
// its greedy continuation.
#pragma once

#include "files.hpp"

#include <gpt2/load.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace test {

/// The arrays of a safetensors file, read without the library: float64 and int64 as double.
using arrays = std::map<std::string, std::vector<double>>;

inline arrays read_arrays(const std::filesystem::path& path) {
    const auto bytes = test::read_file(path);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto entries = nlohmann::json::parse(bytes.substr(8, header));
    arrays result;
    for (const auto& [name, entry] : entries.items()) {
        if (name == "__metadata__") continue;
        const auto begin = entry["data_offsets"][0].get<std::size_t>();
        const auto size = (entry["data_offsets"][1].get<std::size_t>() - begin) / 8;
        auto& values = result[name];
        for (std::size_t i = 0; i < size; ++i) {
            const char* source = bytes.data() + 8 + header + begin + 8 * i;
            double real = 0;
            std::int64_t whole = 0;
            std::memcpy(&real, source, 8);
            std::memcpy(&whole, source, 8);
            values.push_back(entry["dtype"] == "F64" ? real : static_cast<double>(whole));
        }
    }
    return result;
}

inline std::vector<gpt2::token_id> ids_of(const std::vector<double>& values) {
    return {values.begin(), values.end()};
}

/// The largest difference, as a share of the largest expected magnitude. Scores of keys that a row
/// does not see (row t of T sees t + 1) are left out.
template <class Scalar>
double deviation(const std::vector<double>& expected, gpt2::view<Scalar> found, bool scores) {
    double worst = 0, largest = 1e-300;
    const auto rows = found.rows(), columns = found.columns();
    if (expected.size() != rows * columns) return INFINITY;
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < (scores ? r % columns + 1 : columns); ++c) {
            const double want = expected[r * columns + c];
            const double off = std::abs(want - static_cast<double>(found(r, c)));
            worst = std::max(worst, std::isnan(off) ? INFINITY : off);
            largest = std::max(largest, std::abs(want));
        }
    return worst / largest;
}

struct outcome {
    double worst = 0;             // of the logits
    std::string first_departure;  // the first stage beyond the bound
    std::size_t stages = 0;       // how many were compared
};

/// Every stage that is in the reference, from one pass over `ids`.
template <class Scalar, class Positions>
outcome compare(const gpt2::basic_model<Scalar, Positions>& model, const arrays& expected,
                double bound) {
    const auto& c = model.config();
    const auto ids = ids_of(expected.at("ids"));
    gpt2::thread_pool pool(2);
    gpt2::state<Scalar> state(c, pool);
    std::vector<Scalar> logits(ids.size() * c.vocabulary_size);
    outcome result;
    const auto watch = [&](gpt2::stage s, std::size_t layer, gpt2::view<Scalar> values) {
        const bool in_layer = s >= gpt2::stage::ln_1 && s <= gpt2::stage::block;
        auto name = std::string(gpt2::name(s));
        if (in_layer) name = "h." + std::to_string(layer) + "." + name;
        const auto entry = expected.find(name);
        if (entry == expected.end()) return;
        ++result.stages;
        const double off = deviation(entry->second, values, s == gpt2::stage::scores);
        if (s == gpt2::stage::logits) result.worst = std::max(result.worst, off);
        if (off > bound && result.first_departure.empty()) {
            std::ostringstream text;
            text << name << " off by " << off;
            result.first_departure = text.str();
        }
    };
    model.forward(ids, state, {logits.data(), ids.size(), c.vocabulary_size}, watch);
    return result;
}

template <class Scalar>
outcome compare(const std::filesystem::path& folder, const arrays& expected, double bound) {
    return compare(gpt2::load_model<Scalar>(folder).model, expected, bound);
}

/// What follows `prompt`, always the highest logit; end tokens end nothing.
inline std::vector<gpt2::token_id> greedy(const std::filesystem::path& folder,
                                          const arrays& expected) {
    const auto loaded = gpt2::load_model<float>(folder);
    const auto& c = loaded.model.config();
    gpt2::thread_pool pool(2);
    gpt2::state<float> state(c, pool);
    std::vector<float> logits(c.vocabulary_size);
    auto next = ids_of(expected.at("prompt"));
    std::vector<gpt2::token_id> tokens;
    while (tokens.size() < expected.at("greedy").size()) {
        loaded.model.forward(next, state, {logits.data(), 1, logits.size()});
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        next = {static_cast<gpt2::token_id>(best)};
        tokens.push_back(next.front());
    }
    return tokens;
}

}  // namespace test
