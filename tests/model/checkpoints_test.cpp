// Small models that were really trained, which lie in ../shared beside this checkout: every number
// that is known of them (float64 arithmetic on the stored weights) at every position, in double and
// in float; greedy texts; and for one of them what PyTorch held after each stage.
#include "../support/catch.hpp"
#include "../support/files.hpp"

#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace {

using nlohmann::json;
using ids = std::vector<gpt2::token_id>;

constexpr std::array models = {"capp-hf", "gpt-nano-sort", "slm4096"};

/// The largest difference of a row, as a share of the largest expected magnitude.
template <class Scalar>
double deviation(const std::vector<double>& expected, std::span<const Scalar> found) {
    double worst = 0, largest = 1e-300;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double off = std::abs(expected[i] - static_cast<double>(found[i]));
        worst = std::max(worst, std::isnan(off) ? INFINITY : off);
        largest = std::max(largest, std::abs(expected[i]));
    }
    return worst / largest;
}

template <class Scalar>
double log_of_sum(std::span<const Scalar> row) {
    const double top = static_cast<double>(*std::max_element(row.begin(), row.end()));
    double sum = 0;
    for (const Scalar x : row) sum += std::exp(static_cast<double>(x) - top);
    return top + std::log(sum);
}

/// Logits against all that a case knows of them; `bound` is relative to the largest of a position.
template <class Scalar>
void check_logits(const json& known, gpt2::view<Scalar> found, double bound) {
    const auto prompt = known["ids"].get<ids>();
    for (std::size_t t = 0; t < prompt.size(); ++t) {
        INFO("position " << t);
        const std::span<const Scalar> row = found.row(t);
        if (known.contains("logits"))
            CHECK(deviation(known["logits"][t].get<std::vector<double>>(), row) <= bound);
        const double largest = static_cast<double>(*std::max_element(row.begin(), row.end()));
        const double room = bound * std::max(1.0, std::abs(largest));
        const double total = log_of_sum(row);
        CHECK(std::abs(total - known["logsumexp"][t].get<double>()) <= room);
        CHECK(std::max_element(row.begin(), row.end()) - row.begin() ==
              known["argmax"][t].get<std::ptrdiff_t>());
        if (t + 1 < prompt.size()) {
            const auto log_prob =
                static_cast<double>(row[static_cast<std::size_t>(prompt[t + 1])]) - total;
            CHECK(std::abs(log_prob - known["token_logprobs"][t].get<double>()) <= 2 * room);
        }
    }
    if (!known.contains("last_strided_logits")) return;
    const auto stride = known["last_stride"].get<std::size_t>();
    std::vector<Scalar> strided;
    for (std::size_t i = 0; i < found.columns(); i += stride)
        strided.push_back(found(prompt.size() - 1, i));
    CHECK(deviation(known["last_strided_logits"].get<std::vector<double>>(),
                    std::span<const Scalar>(strided)) <= bound);
}

template <class Scalar>
std::size_t check_cases(const std::filesystem::path& folder, const json& cases, double bound) {
    const auto model = gpt2::load_model<Scalar>(folder).model;
    const auto vocabulary = model.config().vocabulary_size;
    gpt2::thread_pool pool(2);
    std::size_t number = 0;
    for (const auto& known : cases) {
        INFO("case " << number++);
        const auto prompt = known["ids"].get<ids>();
        gpt2::state<Scalar> state(model.config(), pool);
        std::vector<Scalar> logits(prompt.size() * vocabulary);
        const gpt2::view<Scalar> rows(logits.data(), prompt.size(), vocabulary);
        model.forward(prompt, state, rows);
        check_logits(known, rows, bound);
    }
    return number;
}

json known_of(const std::filesystem::path& folder) {
    return json::parse(test::read_file(folder / "expect.json"));
}

/// Little-endian float32 from base64.
std::vector<float> floats_of(const std::string& text) {
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        if (c == '=') break;
        bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
        if ((held += 6) < 8) continue;
        bytes += static_cast<char>(bits >> (held -= 8));
    }
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

/// How PyTorch laid a stage out: by position, or by head first.
enum class layout { positions, heads };

struct partial {
    std::string_view name;  // in the file
    gpt2::stage stage;
    std::size_t layer = 0;
    layout order = layout::positions;
};

using gpt2::stage;
constexpr std::array partials = {partial{"tok_emb", stage::token_embedding},
                                 partial{"pos_emb", stage::position_embedding},
                                 partial{"x", stage::embedding},
                                 partial{"ln1", stage::ln_1},
                                 partial{"q", stage::q, 0, layout::heads},
                                 partial{"k", stage::k, 0, layout::heads},
                                 partial{"v", stage::v, 0, layout::heads},
                                 partial{"att", stage::scores},
                                 partial{"attSm", stage::weights},
                                 partial{"y", stage::heads},
                                 partial{"yProj", stage::attention},
                                 partial{"attnResid", stage::attention_residual},
                                 partial{"ln2", stage::ln_2},
                                 partial{"fc", stage::c_fc},
                                 partial{"gelu", stage::activation},
                                 partial{"mlp", stage::mlp},
                                 partial{"mlpResid", stage::block},
                                 partial{"block0", stage::block, 0},
                                 partial{"block1", stage::block, 1},
                                 partial{"block2", stage::block, 2},
                                 partial{"ln_f", stage::ln_f},
                                 partial{"lm_head", stage::logits}};

/// One input's share of a partial against our stage: the largest difference relative to the
/// largest value. Keys that a position does not see are left out.
double deviation(const partial& known, std::span<const float> values, gpt2::view<float> found,
                 std::size_t head_size) {
    const auto rows = found.rows(), columns = found.columns();
    if (values.size() != rows * columns) return INFINITY;
    double worst = 0, largest = 1e-300;
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c) {
            if (known.stage == stage::scores && c > r % columns) continue;
            const auto at = known.order == layout::heads
                                ? (c / head_size * rows + r) * head_size + c % head_size
                                : r * columns + c;
            const double off = std::abs(values[at] - found(r, c));
            worst = std::max(worst, std::isnan(off) ? INFINITY : off);
            largest = std::max(largest, static_cast<double>(std::abs(values[at])));
        }
    return worst / largest;
}

}  // namespace

TEST_CASE("trained models equal float64 at every position", "[model][checkpoints]") {
    const auto folder = test::shared_data("data/models");
    if (folder.empty()) return;
    for (const std::string name : models) {
        INFO(name);
        const auto cases = known_of(folder / name)["cases"];
        CHECK(check_cases<float>(folder / name, cases, 1e-5) == cases.size());
        CHECK(check_cases<double>(folder / name, cases, 1e-11) == cases.size());
    }
}

TEST_CASE("trained models write what they are known to write", "[model][checkpoints]") {
    const auto folder = test::shared_data("data/models");
    if (folder.empty()) return;
    for (const std::string name : models) {
        INFO(name);
        const auto known = known_of(folder / name);
        const auto model = gpt2::load(folder / name);
        CHECK(model.config().parameter_count() == known["parameters"].get<std::uint64_t>());
        CHECK(model.audit().ignored.empty());
        std::size_t texts = 0;
        for (const auto& one : known["cases"]) {
            if (!one.contains("greedy")) continue;
            gpt2::options how;
            how.max_new_tokens = one["greedy"].size();
            how.at_end_of_text = gpt2::end_rule::go_on;
            const auto done = model.generate(one["ids"].get<ids>(), how);
            CHECK(done.tokens == one["greedy"].get<ids>());
            ++texts;
            if (!one.contains("greedy_text")) continue;
            CHECK(model.generate(one["text"].get<std::string>(), how).text ==
                  one["greedy_text"].get<std::string>());
        }
        CHECK(texts >= 3);
        CHECK(model.has_tokenizer() == std::filesystem::exists(folder / name / "vocab.json"));
    }
}

TEST_CASE("the sorting model's stages equal PyTorch's partials", "[model][checkpoints]") {
    const auto folder = test::shared_data("data/models/gpt-nano-sort");
    if (folder.empty()) return;
    const auto file = json::parse(test::read_file(folder / "gpt-nano-sort-t0-partials.json"));
    const auto cases = known_of(folder)["cases"];  // the first three are the file's inputs
    const auto model = gpt2::load_model<float>(folder).model;
    const auto& c = model.config();
    gpt2::thread_pool pool(2);
    for (std::size_t input = 0; input < 3; ++input) {
        const auto prompt = cases[input]["ids"].get<ids>();
        REQUIRE(prompt.size() == c.context_length);
        gpt2::state<float> state(c, pool);
        std::vector<float> logits(prompt.size() * c.vocabulary_size);
        std::string first_departure;
        std::size_t compared = 0;
        const auto watch = [&](stage s, std::size_t layer, gpt2::view<float> values) {
            for (const auto& known : partials) {
                if (known.stage != s || known.layer != layer) continue;
                const auto& entry = file[std::string(known.name)];
                const auto all = floats_of(entry["data"].get<std::string>());
                const auto inputs = entry["shape"][0].get<std::size_t>();  // 1: the same for all
                const auto share = all.size() / inputs;
                const auto off =
                    deviation(known, std::span(all).subspan(inputs == 1 ? 0 : input * share, share),
                              values, c.head_size());
                ++compared;
                if (off > 1e-5 && first_departure.empty())
                    first_departure = std::string(known.name) + " off by " + std::to_string(off);
            }
        };
        model.forward(prompt, state, {logits.data(), prompt.size(), c.vocabulary_size}, watch);
        CHECK(first_departure == "");
        CHECK(compared == partials.size());
    }
}
