// Walks as JSON against those that tests/reference/make_walk.py made with transformers in float64,
// number by number; and against the schema.
#include "../constraint/validator.hpp"
#include "walked.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace {

using test::json;

/// Compares two values member by member and lists where they differ: packed halves by their
/// rounding, other numbers within 1e-5 of the largest in their list.
class comparison {
public:
    std::vector<std::string> differences;
    std::size_t numbers = 0;

    void run(const json& expected, const json& found, const std::string& path) {
        if (expected.is_object() && expected.contains("f16")) return packed(expected, found, path);
        if (expected.is_object()) {
            for (const auto& [name, value] : expected.items())
                if (found.contains(name))
                    run(value, found[name], path + "/" + name);
                else
                    differ(path + "/" + name, "missing");
            for (const auto& [name, value] : found.items())
                if (!expected.contains(name)) differ(path + "/" + name, "not in the reference");
        } else if (expected.is_array()) {
            if (expected.size() != found.size()) return differ(path, "another size");
            if (is_numbers(expected)) return list(expected, found, path);
            for (std::size_t i = 0; i < expected.size(); ++i)
                run(expected[i], found[i], path + "/" + std::to_string(i));
        } else if (expected.is_number_float()) {
            close(expected, found, std::abs(expected.get<double>()), path);
        } else if (expected != found) {
            // Far behind, logits lie closer together than floats can tell.
            const bool rank = path.ends_with("chosen_rank") && expected > 100;
            const auto off = rank ? expected.get<double>() - found.get<double>() : INFINITY;
            if (std::abs(off) > 1) differ(path, expected.dump() + " and " + found.dump());
        }
    }

private:
    void differ(const std::string& path, const std::string& how) {
        differences.push_back(path + ": " + how);
    }
    static bool is_numbers(const json& values) {
        return std::any_of(values.begin(), values.end(),
                           [](const json& one) { return one.is_number_float(); });
    }
    void close(const json& expected, const json& found, double largest, const std::string& path) {
        ++numbers;
        const double off = std::abs(expected.get<double>() - found.get<double>());
        if (!(off <= 1e-5 * std::max(largest, 0.1)))
            differ(path, expected.dump() + " and " + found.dump());
    }
    void list(const json& expected, const json& found, const std::string& path) {
        double largest = 0;
        for (const auto& one : expected) largest = std::max(largest, std::abs(one.get<double>()));
        for (std::size_t i = 0; i < expected.size(); ++i)
            close(expected[i], found[i], largest, path + "/" + std::to_string(i));
    }
    void packed(const json& expected, const json& found, const std::string& path) {
        if (expected["shape"] != found["shape"]) return differ(path, "another shape");
        const auto want = test::unpacked(expected), is = test::unpacked(found);
        if (want.size() != is.size() || want.empty()) return differ(path, "another size");
        std::size_t product = 1;
        for (const auto& size : expected["shape"]) product *= size.get<std::size_t>();
        if (product != is.size()) return differ(path, "not of its shape");
        float largest = 0;
        for (const float x : want) largest = std::max(largest, std::abs(x));
        for (std::size_t i = 0; i < want.size(); ++i, ++numbers)
            if (!(std::abs(want[i] - is[i]) <= std::max(std::abs(want[i]) / 1024, largest * 1e-5f)))
                return differ(path + "/" + std::to_string(i),
                              std::to_string(want[i]) + " and " + std::to_string(is[i]));
    }
};

json reference_of(const std::string& name) {
    return json::parse(
        test::read_file(test::source_folder() / "tests/reference/walk" / (name + ".json")));
}

/// In the order of ids: where logits are nearly equal, floats and doubles may put them in another.
json by_id(const json& candidates) {
    std::map<int, json> logits;
    for (std::size_t i = 0; i < candidates["ids"].size(); ++i)
        logits[candidates["ids"][i].get<int>()] = candidates["logits"][i];
    json sorted = {{"ids", json::array()}, {"logits", json::array()}};
    for (const auto& [id, logit] : logits) {
        sorted["ids"].push_back(id);
        sorted["logits"].push_back(logit);
    }
    return sorted;
}

const test::validator& schema() {
    static const test::validator all(
        json::parse(test::read_file(test::source_folder() / "examples/explain/walk.schema.json")));
    return all;
}

}  // namespace

TEST_CASE("a walk of ids is that of transformers", "[walk][reference]") {
    const auto model = gpt2::load(test::source_folder() / "tests/reference/models/base");
    const std::vector<gpt2::token_id> ids = {3, 1, 4, 1, 5, 9, 2, 6};
    const auto found = test::json_of(gpt2::explain(model, ids, {.new_tokens = 4}));
    comparison compared;
    compared.run(reference_of("base"), found, "");
    CHECK(compared.differences == std::vector<std::string>{});
    CHECK(compared.numbers > 1500);
    CHECK(schema().valid(found));
}

TEST_CASE("a walk with draws is that of transformers", "[walk][reference]") {
    auto expected = reference_of("tales");
    gpt2::walk_options how;
    how.new_tokens = 2;
    how.sampling = gpt2::temperature(0.8f) | gpt2::top_k(40) | gpt2::top_p(0.95);
    how.seed = 157;  // whose numbers choose the same tokens as those of the reference
    auto found = test::json_of(gpt2::explain(test::tales(), "The fox", how));
    REQUIRE(schema().valid(found));
    REQUIRE(found["steps"].size() == 2);
    for (auto* const one : {&expected, &found}) {
        (*one)["sampling"].erase("seed");
        (*one)["sampling"].erase("description");
        for (auto& step : (*one)["steps"]) {
            step.erase("draw");
            step["candidates"] = by_id(step["candidates"]);
        }
    }
    comparison compared;
    compared.run(expected, found, "");
    CHECK(compared.differences == std::vector<std::string>{});
    CHECK(compared.numbers > 25000);
}

TEST_CASE("the comparison is awake, and so is the schema", "[walk]") {
    const auto expected = reference_of("base");
    const auto caught = [&](const std::string& pointer, const json& value) {
        auto changed = expected;
        changed[json::json_pointer(pointer)] = value;
        comparison compared;
        compared.run(expected, changed, "");
        return !compared.differences.empty();
    };
    CHECK(schema().valid(expected));
    CHECK(caught("/layers/1/residual_norm/3", 5.0));
    CHECK(caught("/tokens/2/id", 7));
    CHECK(caught("/layers/0/weights/f16", "AAAA"));
    CHECK(caught("/lens/1/1/chosen_rank", 9));
    CHECK(caught("/more", 1));
    const auto refused = [&](const std::string& pointer, const json& value) {
        auto changed = expected;
        changed[json::json_pointer(pointer)] = value;
        return !schema().valid(changed);
    };
    CHECK(refused("/schema", "gpt2-walk/2"));
    CHECK(refused("/more", 1));
    CHECK(refused("/layers/0/q/shape", "x"));
    CHECK(refused("/first_non_finite", json{{"stage", "nowhere"}, {"layer", 0}, {"position", 0}}));
    CHECK(refused("/steps/0/candidates/logits/0", "NaN"));
    CHECK_FALSE(refused("/layers/0/residual_norm/0", "NaN"));
}
