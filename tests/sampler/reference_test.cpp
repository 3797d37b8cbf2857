// Which tokens stay, against HF transformers' own logits processors in float32: the vectors of
// tests/reference/make_sampler.py.
#include "../support/files.hpp"

#include <gpt2/sampler.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace {

float from_bits(const std::string& hex) {
    std::uint32_t bits = 0;
    std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
    return std::bit_cast<float>(bits);
}

/// The ids that the chain leaves, banned ones not counted.
std::vector<gpt2::token_id> kept(const std::vector<float>& logits, const gpt2::sampling& how) {
    return gpt2::sampler(how).explain(logits, {}).survivors;
}

gpt2::sampling read_settings(std::istream& line) {
    std::string temperature;
    gpt2::sampling how;
    line >> temperature >> how.top_k >> how.top_p;
    how.temperature = from_bits(temperature);
    return how;
}

std::istringstream fixture(const std::string& name) {
    const auto folder = test::source_folder() / "tests" / "reference" / "sampler";
    return std::istringstream(test::read_file(folder / name));
}

}  // namespace

TEST_CASE("filters: the kept tokens of HF transformers", "[sampler][reference]") {
    auto file = fixture("kept.txt");
    int cases = 0, failures = 0;
    for (std::string line; std::getline(file, line); ++cases) {
        std::istringstream words(line);
        const gpt2::sampling how = read_settings(words);
        std::string word;
        words >> word;
        std::vector<float> logits;
        while (words >> word && word != "|") logits.push_back(from_bits(word));
        std::vector<gpt2::token_id> right;
        std::size_t right_count = 0;
        while (words >> word) {
            if (word[0] == '#') {
                right_count = std::stoul(word.substr(1));
            } else {
                right.push_back(std::stoi(word));
            }
        }
        const auto found = kept(logits, how);
        const bool good = right_count != 0 ? found.size() == right_count : found == right;
        if (!good) {
            ++failures;
            UNSCOPED_INFO("line " << cases + 1 << " keeps " << found.size() << ": " << line);
        }
    }
    CHECK(cases >= 500);
    CHECK(failures == 0);
}

TEST_CASE("filters: the kept tokens of a whole vocabulary", "[sampler][reference]") {
    auto file = fixture("nucleus.txt");
    int cases = 0;
    for (std::string line; std::getline(file, line); ++cases) {
        std::istringstream words(line);
        const gpt2::sampling how = read_settings(words);
        std::string spread, bar, lowest;
        std::size_t count = 0;
        std::int64_t sum = 0;
        words >> spread >> bar >> count >> sum >> lowest;
        std::vector<float> logits(50257);
        for (std::size_t i = 0; i < logits.size(); ++i)
            logits[i] = (static_cast<float>((i * 10007 + 12345) % 65537) - 32768) / 16384 *
                        from_bits(spread);
        const auto found = kept(logits, how);
        INFO(line);
        CHECK(found.size() == count);
        CHECK(std::accumulate(found.begin(), found.end(), std::int64_t{0}) == sum);
        float least = logits[static_cast<std::size_t>(found.front())];
        for (const auto id : found) least = std::min(least, logits[static_cast<std::size_t>(id)]);
        CHECK(least == from_bits(lowest));
    }
    CHECK(cases >= 20);
}
