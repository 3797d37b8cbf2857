// The draw: ties, bans, broken logits, extreme settings, the distribution, and that a choice
// depends on nothing but logits, seed, sequence and step.
#include "../support/catch.hpp"
#include "../support/sanitized.hpp"

#include <gpt2/sampler.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

using gpt2::draw;
using gpt2::errc;
using gpt2::greedy;
using gpt2::sampler;
using gpt2::sampling;
using gpt2::temperature;
using gpt2::token_id;
using gpt2::top_k;
using gpt2::top_p;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

using floats = std::vector<float>;

std::set<token_id> drawn(const floats& logits, const sampling& how, std::size_t draws = 2000) {
    sampler sample(how, 1);
    std::set<token_id> ids;
    for (std::size_t step = 0; step < draws; ++step) ids.insert(sample.next(logits, step).token);
    return ids;
}

using ids = std::set<token_id>;

floats wave(std::size_t size, float spread) {
    floats logits(size);
    for (std::size_t i = 0; i < size; ++i)
        logits[i] = (static_cast<float>((i * 10007 + 12345) % 65537) - 32768) / 16384 * spread;
    return logits;
}

}  // namespace

TEST_CASE("greedy: the highest logit, the lowest id on a tie", "[sampler]") {
    CHECK(sampler(greedy()).next(floats{1, 3, 2}, 0).token == 1);
    CHECK(sampler(greedy()).next(floats{1, 3, 3, 3}, 0).token == 1);
    CHECK(sampler(greedy()).next(floats{-0.0f, 0.0f}, 0).token == 0);
    CHECK(sampler(greedy()).next(floats{-infinity, -1e38f}, 0).token == 1);
    CHECK(sampler(temperature(-0.0f)).next(floats{1, 2, 2}, 0).token == 1);
    for (const std::size_t size : {1u, 15u, 16u, 17u, 31u, 33u, 50257u}) {
        floats logits(size, 2.5f);
        CHECK(sampler(greedy()).next(logits, 0).token == 0);
        logits[size - 1] = 3;
        CHECK(sampler(greedy()).next(logits, 0).token == static_cast<token_id>(size - 1));
    }
}

TEST_CASE("greedy: neither seed nor step matter", "[sampler]") {
    const floats logits{0.5f, 1, 0.9f, 1};
    for (std::uint64_t seed = 0; seed < 50; ++seed)
        CHECK(sampler(greedy() | top_p(0.99), seed, seed).next(logits, seed * 3).token == 1);
}

TEST_CASE("sampler: broken logits are typed errors that name the step", "[sampler]") {
    for (const sampling& how : {greedy(), temperature(1), top_k(1), top_p(0.5)}) {
        sampler sample(how);
        CHECK_ERROR(errc::invalid_argument, sample.next({}, 3));
        for (const std::size_t size : {1u, 16u, 37u}) {
            for (std::size_t at = 0; at < size; ++at) {
                floats logits(size, 1.0f);
                logits[at] = not_a_number;
                CHECK_ERROR(errc::not_finite, sample.next(logits, 3));
                logits[at] = infinity;
                CHECK_ERROR(errc::not_finite, sample.next(logits, 3));
            }
            CHECK_ERROR(errc::no_candidate, sample.next(floats(size, -infinity), 3));
        }
        CHECK(sample.next(floats{-infinity, 0}, 4).token == 1);  // still usable
    }
    sampler sample(greedy());
    const auto message = [&](const floats& logits, std::size_t step) {
        return std::string(test::error_of([&] { sample.next(logits, step); })->what());
    };
    CHECK(message({1, not_a_number}, 12) == "step 12: the logit of token 1 is NaN");
    CHECK(message({infinity, not_a_number}, 0) == "step 0: the logit of token 0 is +infinity");
    CHECK(message({-infinity}, 7) == "step 7: every token is banned (-infinity)");
}

TEST_CASE("sampler: a banned token is never drawn", "[sampler]") {
    const floats logits{-infinity, 0, -infinity, 0, -infinity};
    for (const sampling& how : {temperature(1), temperature(1e38f), temperature(1e-38f), top_k(3),
                                top_k(5), top_p(0.999999), top_p(0)})
        for (const token_id id : drawn(logits, how)) CHECK((id == 1 || id == 3));
    CHECK(drawn(logits, top_k(3)) == ids{1, 3});
}

TEST_CASE("sampler: a vocabulary of one", "[sampler]") {
    for (const sampling& how : {greedy(), temperature(2), top_k(5), top_p(0)}) {
        const draw only = sampler(how, 9).next(floats{-3.5f}, 2);
        CHECK(only.token == 0);
        CHECK(only.log_prob == 0);
    }
}

TEST_CASE("temperature: its extremes are greedy and uniform, without overflow", "[sampler]") {
    const floats logits{1, 2, 3, 2.9999998f, -3e38f};
    CHECK(drawn(logits, temperature(1e-38f)) == ids{2});
    CHECK(drawn(logits, temperature(std::numeric_limits<float>::denorm_min())) == ids{2});
    CHECK(drawn(floats{-5, -6}, temperature(1e-38f)) == ids{0});
    CHECK(drawn(floats{3e38f, -3e38f}, temperature(1e-38f)) == ids{0});
    CHECK(drawn(floats{3e38f, 3e38f, 0}, temperature(1e-38f)) == ids{0, 1});
    CHECK(drawn(floats{1, 2, 3, -4}, temperature(1e38f)) == ids{0, 1, 2, 3});
    CHECK(drawn(logits, temperature(1e-38f) | top_k(2) | top_p(0.5)) == ids{2});
}

TEST_CASE("top_k: off, greedy, all, and ties at the border", "[sampler]") {
    const floats logits{3, 2, 2, 1};
    CHECK(drawn(logits, top_k(0)) == ids{0, 1, 2, 3});
    CHECK(drawn(logits, top_k(1)) == ids{0});
    CHECK(drawn(logits, top_k(2)) == ids{0, 1, 2});
    CHECK(drawn(logits, top_k(3)) == ids{0, 1, 2});
    for (const std::size_t k : {4u, 5u, 2147483647u})
        CHECK(drawn(logits, top_k(k)) == ids{0, 1, 2, 3});
    CHECK(drawn(floats{1, 5, 5, 2}, top_k(1)) == ids{1, 2});
}

TEST_CASE("top_k: the threshold is that of a full sort", "[sampler]") {
    std::vector<float> pool;
    for (const std::size_t size : {1u, 2u, 65u, 1000u, 5000u}) {
        for (const int coarse : {0, 1}) {
            floats values = wave(size, 3);
            if (coarse)
                for (float& x : values) x = std::round(x);
            for (const bool ascending : {false, true}) {
                if (ascending) std::sort(values.begin(), values.end());
                floats sorted = values;
                std::sort(sorted.begin(), sorted.end(), std::greater<>{});
                for (const std::size_t k :
                     {1u, 2u, 3u, 40u, 64u, 65u, 66u, 500u, 999u, 1000u, 4999u})
                    if (k <= size)
                        CHECK(gpt2::detail::kth_largest(values, k, pool) == sorted[k - 1]);
            }
        }
    }
}

TEST_CASE("top_p: one at 0, all at 1, the crossing token stays", "[sampler]") {
    const floats logits{std::log(0.1f), std::log(0.2f), std::log(0.3f), std::log(0.4f)};
    CHECK(drawn(logits, top_p(0)) == ids{3});
    CHECK(drawn(logits, top_p(0.65)) == ids{2, 3});
    CHECK(drawn(logits, top_p(0.85)) == ids{1, 2, 3});
    CHECK(drawn(logits, top_p(1)) == ids{0, 1, 2, 3});
    CHECK(drawn(logits, top_p(0.9999)) == ids{0, 1, 2, 3});
    CHECK(drawn(floats{0, 7, 7, 7}, top_p(0)) == ids{1});
}

TEST_CASE("top_p: of ties at the cut the lowest ids stay", "[sampler]") {
    CHECK(drawn(floats(8, 1.0f), top_p(0.5)) == ids{0, 1, 2, 3});
    CHECK(drawn(floats(8, 1.0f), top_p(0.51)) == ids{0, 1, 2, 3, 4});
    CHECK(drawn(floats{0, 1, 0, 1, 0, 1}, top_p(0.3)) == ids{1, 3});
}

TEST_CASE("top_p: the tokens that a sorted vocabulary would keep", "[sampler]") {
    gpt2::detail::shortlist list;
    for (const std::size_t size : {1u, 2u, 31u, 33u, 1000u, 20000u}) {
        for (const float spread : {0.0f, 0.001f, 0.1f, 1.0f, 5.0f, 40.0f}) {
            floats logits = wave(size, spread);
            for (std::size_t i = 0; i < size; i += 3) logits[i] = std::round(logits[i]);  // ties
            if (size > 2) logits[size / 2] = -infinity;
            const token_id best = gpt2::detail::best_token(logits, 0);
            std::vector<double> weights(size);
            const auto total = static_cast<float>(
                gpt2::detail::weigh_lanes(logits, logits[static_cast<std::size_t>(best)], weights));
            std::vector<std::size_t> order(size);  // the least probable first
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
                return logits[a] != logits[b] ? logits[a] < logits[b] : a > b;
            });
            for (const double p : {0.0, 1e-9, 0.1, 0.5, 0.9, 0.99, 0.9999, 0.99999999}) {
                std::vector<token_id> right;
                double sum = 0;
                for (std::size_t i = 0; i < size; ++i) {
                    sum += static_cast<float>(weights[order[i]]) / total;
                    if (static_cast<float>(sum) > static_cast<float>(1 - p) || i + 1 == size)
                        right.push_back(static_cast<token_id>(order[i]));
                }
                std::sort(right.begin(), right.end());
                list.start(logits, best);
                gpt2::detail::keep_top_p(list, p);
                INFO("size " << size << ", spread " << spread << ", p " << p);
                CHECK((gpt2::detail::survivors_of(list) ==
                       right));  // in parentheses: thousands of ids are not printed
            }
        }
    }
}

TEST_CASE("top_p: off is the same to the bit as not asked for", "[sampler]") {
    const floats logits = wave(300, 2);
    sampler off(top_p(1.0), 5), plain(temperature(1), 5);
    for (std::size_t step = 0; step < 500; ++step)
        CHECK(off.next(logits, step).token == plain.next(logits, step).token);
}

TEST_CASE("filters: temperature first, then top-k, then top-p", "[sampler]") {
    const floats logits{std::log(0.1f), std::log(0.2f), std::log(0.3f), std::log(0.4f)};
    // After top-k 3 the probabilities are 2/9, 3/9, 4/9: p = 0.75 keeps two of them; the other
    // order would keep three. At temperature 1/2 they are 4/29, 9/29, 16/29: 0.5 keeps one.
    CHECK(drawn(logits, top_p(0.75) | top_k(3)) == ids{2, 3});
    CHECK(drawn(logits, top_p(0.75)) == ids{1, 2, 3});
    CHECK(drawn(logits, top_p(0.5)) == ids{2, 3});
    CHECK(drawn(logits, top_p(0.5) | temperature(0.5f)) == ids{3});
}

TEST_CASE("sampler: a million draws follow the probabilities", "[sampler]") {
    const std::array<double, 4> probabilities{0.1, 0.2, 0.3, 0.4};
    floats logits;
    for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)) + 11);
    sampler sample(temperature(1), 20190214);
    constexpr std::size_t draws = 1'000'000;
    std::array<double, 4> counts{};
    for (std::size_t step = 0; step < draws; ++step)
        ++counts[static_cast<std::size_t>(sample.next(logits, step).token)];
    double chi_square = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const double right = probabilities[i] * draws;
        chi_square += (counts[i] - right) * (counts[i] - right) / right;
    }
    CHECK(chi_square < 30.66);  // three degrees of freedom: p = 1e-6
    CHECK(chi_square > 1e-6);
}

TEST_CASE("sampler: the filtered distribution is renormalised", "[sampler]") {
    const floats logits{std::log(0.1f), std::log(0.2f), std::log(0.3f), std::log(0.4f)};
    sampler sample(top_k(2), 5);
    constexpr int draws = 200'000;
    int best = 0;
    for (std::size_t step = 0; step < draws; ++step) best += sample.next(logits, step).token == 3;
    const double share = static_cast<double>(best) / draws, right = 4.0 / 7;
    CHECK(std::abs(share - right) < 5 * std::sqrt(right * (1 - right) / draws));
}

TEST_CASE("pick: both ends of the unit interval are inside", "[sampler]") {
    const double last = std::nextafter(1.0, 0.0);
    gpt2::detail::shortlist list;
    const auto pick = [&](const floats& logits, double u) {
        list.start(logits, static_cast<token_id>(std::max_element(logits.begin(), logits.end()) -
                                                 logits.begin()));
        return static_cast<token_id>(gpt2::detail::pick(list, u));
    };
    CHECK(pick({-infinity, 0, 0, -infinity}, 0) == 1);
    CHECK(pick({-infinity, 0, 0, -infinity}, last) == 2);
    CHECK(pick({-200, 0, -200}, 0) == 1);  // weight 0: as good as banned
    CHECK(pick({-200, 0, -200}, last) == 1);
    CHECK(pick({0, 0}, 0.5) == 1);
    CHECK(pick({0, 0}, std::nextafter(0.5, 0.0)) == 0);
    CHECK(pick(floats{0, 0}, 2) == 1);  // past any end: the last one that has a weight
    CHECK(pick(floats{0, 0, -200, -infinity}, 2) == 1);
    for (std::size_t size = 1; size < 300; ++size) {
        const floats logits = wave(size, 1);
        CHECK(pick(logits, last) == static_cast<token_id>(size - 1));
        CHECK(pick(logits, 0) == 0);
    }
}

TEST_CASE("log_prob: the log-softmax of the model's own logits", "[sampler]") {
    const floats logits = wave(1000, 2);
    long double total = 0;
    for (const float x : logits) total += std::exp(static_cast<long double>(x));
    for (const sampling& how : {greedy(), temperature(0.3f), top_k(4), top_p(0.2, 3)}) {
        sampler sample(how, 3);
        for (std::size_t step = 0; step < 50; ++step) {
            const draw next = sample.next(logits, step);
            const auto right = logits[static_cast<std::size_t>(next.token)] - std::log(total);
            CHECK(std::abs(next.log_prob - static_cast<float>(right)) < 2e-6f);
        }
    }
    CHECK(sampler(greedy()).next(floats{5, -infinity}, 0).log_prob == 0);
    CHECK(sampler(greedy()).next(floats{3e38f, -3e38f}, 0).log_prob == 0);
    CHECK(sampler(temperature(1e38f), 2).next(floats{0, 80}, 0).log_prob <= 0);
}

TEST_CASE("log_prob: logits far from zero", "[sampler]") {  // 215
    CHECK(sampler(greedy()).next(floats{1e30f, 1e30f}, 0).log_prob == Approx(-std::log(2.0)));
    CHECK(sampler(greedy()).next(floats(50257, -1e30f), 0).log_prob ==
          Approx(-std::log(50257.0)).epsilon(1e-6));
    CHECK(sampler(greedy()).next(floats(50257, 88.8f), 0).log_prob ==
          Approx(-std::log(50257.0)).epsilon(1e-6));
}

TEST_CASE("sampler: of ten million draws none takes a token without probability",
          "[sampler]") {  // 246
    const floats logits{-infinity, 0, -200, 0.5f, -infinity};
    sampler sample(temperature(1), 11);
    bool good = true;
    const std::size_t draws = test::sanitized ? 500'000 : 10'000'000;
    for (std::size_t step = 0; step < draws; ++step) {
        const token_id id = sample.next(logits, step).token;
        good &= id == 1 || id == 3;
    }
    CHECK(good);
}

TEST_CASE("sampler: a draw depends on seed, sequence and step alone", "[sampler]") {
    const floats logits = wave(500, 2), other = wave(50, 3);
    const sampling how = temperature(0.9f) | top_k(100) | top_p(0.95);
    std::vector<token_id> forwards, backwards, sequence_1, seed_1;
    sampler first(how, 8, 0), mixed(how, 8, 0), second(how, 8, 1), third(how, 9, 0);
    for (std::size_t step = 0; step < 200; ++step) {
        forwards.push_back(first.next(logits, step).token);
        sequence_1.push_back(second.next(logits, step).token);
        seed_1.push_back(third.next(logits, step).token);
    }
    for (std::size_t step = 200; step-- > 0;) {
        backwards.push_back(mixed.next(logits, step).token);
        mixed.next(other, step);  // another text between
        CHECK_ERROR(errc::not_finite, mixed.next(floats{not_a_number}, step));  // and an error
    }
    std::reverse(backwards.begin(), backwards.end());
    CHECK(forwards == backwards);
    const auto equal = [&](const std::vector<token_id>& ids_b) {
        int count = 0;
        for (std::size_t i = 0; i < forwards.size(); ++i) count += forwards[i] == ids_b[i];
        return count;
    };
    CHECK(equal(sequence_1) < 40);
    CHECK(equal(seed_1) < 40);
}

TEST_CASE("sampler: the same tokens from every compiler, library and flag", "[sampler]") {
    // Committed from one build (gcc 12 -O1); a hash over tokens and log-probabilities.
    const auto hash_of = [](const sampling& how, float spread) {
        std::uint64_t hash = 0;
        for (const std::size_t size : {17u, 1000u, 50257u}) {
            const floats logits = wave(size, spread);
            sampler sample(how, 42, 7);
            for (std::size_t step = 0; step < 40; ++step) {
                const draw next = sample.next(logits, step);
                hash = hash * 31 + static_cast<std::uint64_t>(next.token);
                hash = hash * 31 + std::bit_cast<std::uint32_t>(next.log_prob);
            }
        }
        return hash;
    };
    CHECK(hash_of(greedy(), 3) == 0xcf421ca4eb9133c8);
    CHECK(hash_of(temperature(1), 3) == 0x6ef61e51bdbecfb3);
    CHECK(hash_of(temperature(0.7f), 3) == 0x75bfeacb855cd177);
    CHECK(hash_of(top_k(40, 0.8f), 1) == 0xea9052517536af26);
    CHECK(hash_of(top_p(0.9), 0.25f) == 0x4d99b9b96cd90705);
    CHECK(hash_of(top_p(0.9, 1.3f), 5) == 0x2e8bb0519ceec4eb);
    CHECK(hash_of(temperature(0.8f) | top_k(1000) | top_p(0.95), 2) == 0x9b00530d9a80fcba);
}
