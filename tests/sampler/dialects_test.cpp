// Which tokens survive each filter and how likely they are, against the engines themselves: HF
// transformers, OpenAI's rule of 2019, llama.cpp (tests/reference/make_sampling.py and
// make_llama_sampling.py, which describe the lines).
#include "../support/files.hpp"

#include <gpt2/sampler.hpp>
#include <sampler_options.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace {

using gpt2::token_id;
using sampler_options::json;

using floats = std::vector<float>;

struct request {
    explicit request(const json& line)
        : tokens(line.value("tokens", std::vector<token_id>{})),
          prompt_length(line.value("prompt_length", tokens.size())),
          how(sampler_options::read(line["options"],
                                    sampler_options::read_dialect(line.value("dialect", "hf")),
                                    prompt_length)) {}

    gpt2::history past() const { return {tokens, prompt_length}; }

    std::vector<token_id> tokens;
    std::size_t prompt_length;
    gpt2::sampling how;
};

floats logits_of(const json& list) {
    floats logits;
    for (const json& one : list) logits.push_back(sampler_options::narrow("logits", one));
    return logits;
}

/// The lines of a file of tests/reference/sampler.
std::vector<json> lines_of(const std::string& name) {
    const auto folder = test::source_folder() / "tests" / "reference" / "sampler";
    std::istringstream file(test::read_file(folder / name));
    std::vector<json> lines;
    for (std::string line; std::getline(file, line);) {
        for (std::size_t at; (at = line.find("-Infinity")) != line.npos;)
            line.replace(at, 9, "\"-inf\"");
        lines.push_back(json::parse(line));
    }
    return lines;
}

bool near(const std::vector<double>& a, const std::vector<double>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](double x, double y) { return std::abs(x - y) <= 1e-6; });
}

/// Whether an answer is the right one: the same ids, probabilities within 1e-6. Which of equal
/// scores stay where a filter cuts through them is an accident of the other engines' sorting: there
/// the ids may differ, but not their probabilities.
enum class verdict { right, right_but_for_ties, wrong };
verdict judge(const gpt2::explanation& found, const json& line) {
    auto right = line["probabilities"].get<std::vector<double>>();
    auto ours = found.probabilities;
    if (found.survivors == line["survivors"].get<std::vector<token_id>>())
        return near(ours, right) ? verdict::right : verdict::wrong;
    std::sort(ours.begin(), ours.end());
    std::sort(right.begin(), right.end());
    return near(ours, right) ? verdict::right_but_for_ties : verdict::wrong;
}

/// Answers every line with logits of its own.
void check_lines(const std::string& name, std::size_t least) {
    const auto lines = lines_of(name);
    CHECK(lines.size() >= least);
    std::string wrong;
    std::size_t ties = 0;
    for (const json& line : lines) {
        if (!line.contains("logits")) continue;
        const request asked(line);
        const floats logits = logits_of(line["logits"]);
        const auto found = gpt2::sampler(asked.how).explain(logits, asked.past());
        const verdict how = judge(found, line);
        ties += how == verdict::right_but_for_ties;
        if (how == verdict::wrong)
            wrong += line.dump() + " but " + json(found.survivors).dump() +
                     json(found.probabilities).dump() + "\n";
    }
    INFO(wrong);
    CHECK(wrong.empty());
    CHECK(ties * 10 <= lines.size());
}

floats wave(std::size_t size, float spread) {
    floats logits(size);
    for (std::size_t i = 0; i < size; ++i)
        logits[i] = (static_cast<float>((i * 10007 + 12345) % 65537) - 32768) / 16384 * spread;
    return logits;
}

}  // namespace

TEST_CASE("dialect hf: the survivors of HF transformers, and their probabilities",
          "[sampler][reference]") {
    check_lines("hf.jsonl", 190);
}

TEST_CASE("dialect hf: whole vocabularies", "[sampler][reference]") {
    int cases = 0;
    for (const json& line : lines_of("hf.jsonl")) {
        if (!line.contains("wave")) continue;
        ++cases;
        const request asked(line);
        const floats logits = wave(line["wave"][0], line["wave"][1]);
        const auto found = gpt2::sampler(asked.how).explain(logits, asked.past());
        const auto sum =
            std::accumulate(found.survivors.begin(), found.survivors.end(), std::int64_t{0});
        const auto highest =
            *std::max_element(found.probabilities.begin(), found.probabilities.end());
        INFO(line.dump());
        CHECK(found.survivors.size() == line["count"].get<std::size_t>());
        CHECK(sum == line["sum"].get<std::int64_t>());
        CHECK(std::abs(highest - line["highest"].get<double>()) <= 1e-6);
    }
    CHECK(cases >= 24);
}

TEST_CASE("dialect openai2019: the crossing token goes", "[sampler][reference]") {
    check_lines("openai2019.jsonl", 44);
}

TEST_CASE("dialect llama_cpp: what llama.cpp's samplers leave", "[sampler][reference]") {
    check_lines("llama.jsonl", 110);
}

TEST_CASE("mirostat: what llama.cpp leaves, step after step", "[sampler][reference]") {
    int steps = 0;
    for (const json& line : lines_of("llama_mirostat.jsonl")) {
        const request asked(line);
        gpt2::sampler sample(asked.how);
        for (const json& step : line["steps"]) {
            const auto found = sample.explain(logits_of(step["logits"]), {});
            INFO(line["options"].dump() << " step " << steps);
            CHECK(judge(found, step) == verdict::right);
            // What llama.cpp learns from the token that it drew.
            const auto drawn = std::find(found.survivors.begin(), found.survivors.end(),
                                         step["drawn"].get<token_id>());
            REQUIRE(drawn != found.survivors.end());
            const auto place = static_cast<std::size_t>(drawn - found.survivors.begin());
            const double error = -std::log2(found.probabilities[place]) - asked.how.mirostat.target;
            sample.restore({sample.state().surprise - asked.how.mirostat.rate * error});
            ++steps;
        }
    }
    CHECK(steps == 40);
}
