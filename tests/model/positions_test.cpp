// Models with other positions than learned ones: against Hugging Face transformers, whose GPT-2 was
// given sinusoidal vectors, or queries and keys turned as in GPT-J.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/hf_reference.hpp"
#include "../support/random_model.hpp"

#include <gpt2/positions.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace {

template <class Scalar, class Positions>
gpt2::basic_model<Scalar, Positions> base_model() {
    const auto files = gpt2::open_model(test::source_folder() / "tests/reference/models/base");
    gpt2::audit used;
    return {files.config, gpt2::weight_scope(*files.weights, used)};
}

template <template <class> class Positions>
void check_against_hf(const std::string& name) {
    const auto expected = test::read_arrays(test::source_folder() / "tests/reference/positions" /
                                            (name + ".safetensors"));
    const auto in_double = test::compare(base_model<double, Positions<double>>(), expected, 1e-11);
    const auto in_float = test::compare(base_model<float, Positions<float>>(), expected, 1e-5);
    CHECK(in_double.first_departure == "");
    CHECK(in_float.first_departure == "");
    CHECK(in_double.stages == expected.size() - 1);  // but the ids
}

/// The last token's logits, the text fed in parts of that size.
template <class Positions>
std::vector<float> logits_in_parts(const test::random_weights& weights, const gpt2::config& c,
                                   std::span<const gpt2::token_id> ids, std::size_t part) {
    const auto held = weights.store();
    gpt2::audit used;
    const gpt2::basic_model<float, Positions> model(c, gpt2::weight_scope(held, used));
    gpt2::thread_pool pool(2);
    gpt2::state<float> state(c, pool);
    std::vector<float> logits(c.vocabulary_size);
    for (std::size_t done = 0; done < ids.size(); done += part)
        model.forward(ids.subspan(done, std::min(part, ids.size() - done)), state,
                      {logits.data(), 1, logits.size()});
    return logits;
}

}  // namespace

TEST_CASE("sinusoidal positions equal those of Hugging Face", "[model][positions]") {
    check_against_hf<gpt2::sinusoidal_positions>("sinusoidal");
}

TEST_CASE("rotary positions equal those of Hugging Face", "[model][positions]") {
    check_against_hf<gpt2::rotary_positions>("rotary");
}

TEST_CASE("with any positions a text in parts gives the same bits", "[model][positions]") {
    auto c = test::odd_config();
    c.heads = 1;  // of 34
    const test::random_weights weights(c);
    const auto ids = test::random_ids(c, 40);
    const auto check = [&]<class Positions>(Positions*) {
        const auto whole = logits_in_parts<Positions>(weights, c, ids, 40);
        CHECK(logits_in_parts<Positions>(weights, c, ids, 1) == whole);
        CHECK(logits_in_parts<Positions>(weights, c, ids, 7) == whole);
        return whole;
    };
    const auto learned = check(static_cast<gpt2::learned_positions<float>*>(nullptr));
    const auto sines = check(static_cast<gpt2::sinusoidal_positions<float>*>(nullptr));
    const auto turned = check(static_cast<gpt2::rotary_positions<float>*>(nullptr));
    CHECK(learned != sines);
    CHECK(learned != turned);
}

TEST_CASE("rotary scores depend on the distance alone", "[model][positions]") {
    gpt2::config c;
    c.width = 8, c.heads = 1, c.context_length = 64;
    const gpt2::rotary_positions<double> positions(c);
    const auto score = [&](std::size_t query_at, std::size_t key_at) {
        std::vector<double> q{1, -2, .5, 3, 1, 1, -1, 2}, k{2, 1, -1, .5, 0, 3, 1, -2};
        positions.rotate({q.data(), 1, 8}, query_at);
        positions.rotate({k.data(), 1, 8}, key_at);
        double sum = 0;
        for (std::size_t i = 0; i < 8; ++i) sum += q[i] * k[i];
        return sum;
    };
    CHECK(std::abs(score(7, 3) - score(44, 40)) < 1e-12);
    CHECK(std::abs(score(7, 3) - score(7, 4)) > 1e-2);
}

TEST_CASE("rotary positions need heads of an even size", "[model][positions]") {
    auto c = test::odd_config();  // heads of 17
    CHECK_ERROR(gpt2::errc::bad_config, gpt2::rotary_positions<float>(c));
}
