// Every model of tests/reference/models against Hugging Face transformers in float64: each stage,
// each position, in double and in float, and the greedy continuation.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/hf_reference.hpp"

#include <filesystem>
#include <iomanip>
#include <iostream>
#include <set>
#include <sstream>

TEST_CASE("tiny models equal Hugging Face transformers in float64", "[model][reference]") {
    const auto folders = test::source_folder() / "tests/reference/models";
    std::size_t compared = 0;
    std::ostringstream table;
    table << std::scientific << std::setprecision(1);
    std::set<std::filesystem::path> sorted;
    for (const auto& entry : std::filesystem::directory_iterator(folders))
        if (entry.is_directory()) sorted.insert(entry.path());
    for (const auto& folder : sorted) {
        INFO(folder.filename().string());
        const auto expected = test::read_arrays(folder / "expect.safetensors");
        const auto in_double = test::compare<double>(folder, expected, 1e-11);
        const auto in_float = test::compare<float>(folder, expected, 1e-5);
        CHECK(in_double.first_departure == "");
        CHECK(in_float.first_departure == "");
        CHECK(in_double.stages >= 1);
        CHECK(test::greedy(folder, expected) == test::ids_of(expected.at("greedy")));
        table << std::left << std::setw(26) << folder.filename().string() << in_float.worst << "  "
              << in_double.worst << "\n";
        ++compared;
    }
    CHECK(compared >= 40);
    std::cout << "largest deviation of a logit, relative to the largest\n"
              << std::left << std::setw(26) << "model"
              << "float    double\n"
              << table.str();
}
