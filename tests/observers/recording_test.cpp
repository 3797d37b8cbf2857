// Recordings: the same however a text is cut, what was chosen and nothing else, and as a file of
// NumPy's.
#include "../support/catch.hpp"
#include "watched.hpp"

#include <gpt2/detail/byte_source.hpp>
#include <gpt2/detail/zip.hpp>
#include <gpt2/npz.hpp>
#include <gpt2/recording.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace {

using gpt2::errc;
using gpt2::stage;

constexpr std::array maps = {stage::scores, stage::weights};

/// Every number of a recording, in the order of places, heads, rows.
template <class Scalar>
std::vector<Scalar> numbers(const gpt2::basic_recording<Scalar>& of) {
    std::vector<Scalar> all;
    const auto append = [&](gpt2::cview<Scalar> part) {
        for (std::size_t i = 0; i < part.rows(); ++i)
            all.insert(all.end(), part.row(i).begin(), part.row(i).end());
    };
    for (const auto& [s, layer] : of.places())
        if (of.is_map(s))
            for (std::size_t h = 0; h < of.heads(); ++h) append(of.head(s, layer, h));
        else
            append(of.at(s, layer));
    return all;
}

template <class Scalar>
bool same_bits(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Scalar)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE("a recording does not depend on how a text is cut", "[observers]", float,
                   double) {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model<TestType>(c);
    const auto ids = test::random_ids(c, 70);  // longer than the scratch memory's chunk of 64
    gpt2::basic_recording<TestType> whole;
    const auto logits = test::watched(model, ids, whole);
    CHECK(same_bits(logits, test::logits_of(model, ids, ids.size())));
    REQUIRE(whole.places().size() == 5 + 14 * c.layers);
    CHECK(whole.heads() == c.heads);
    CHECK(same_bits(numbers(whole), [&] {
        gpt2::basic_recording<TestType> parts;
        test::watched(model, ids, 9, parts);
        return numbers(parts);
    }()));
    CHECK(same_bits(numbers(whole), [&] {
        gpt2::basic_recording<TestType> one_by_one;
        test::watched(model, ids, 1, one_by_one);
        return numbers(one_by_one);
    }()));
}

TEST_CASE("a recording has the shapes that are promised", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 12);
    gpt2::recording seen;
    const auto logits = test::watched(model, ids, 5, seen);
    const auto shape = [](gpt2::cview<float> x) { return std::array{x.rows(), x.columns()}; };
    CHECK(shape(seen.at(stage::embedding)) == std::array<std::size_t, 2>{12, c.width});
    CHECK(shape(seen.at(stage::activation, 2)) == std::array<std::size_t, 2>{12, c.inner_width});
    CHECK(shape(seen.at(stage::logits)) == std::array<std::size_t, 2>{12, c.vocabulary_size});
    CHECK(shape(seen.head(stage::k, 1, 1)) == std::array<std::size_t, 2>{12, c.head_size()});
    CHECK(seen.head(stage::k, 1, 1)(3, 2) == seen.at(stage::k, 1)(3, c.head_size() + 2));
    for (const auto s : maps) {
        CHECK(shape(seen.head(s, 1, 0)) == std::array<std::size_t, 2>{12, 12});
        for (std::size_t t = 0; t < 12; ++t)
            for (std::size_t later = t + 1; later < 12; ++later)
                CHECK(seen.head(s, 1, 1)(t, later) == 0);
    }
    // softmax of the scores: so both belong together, row by row
    for (std::size_t t = 0; t < 12; ++t) {
        double total = 0;
        for (std::size_t k = 0; k <= t; ++k)
            total += std::exp(static_cast<double>(seen.head(stage::scores, 2, 1)(t, k)));
        CHECK(static_cast<double>(seen.head(stage::weights, 2, 1)(t, t)) ==
              Approx(std::exp(static_cast<double>(seen.head(stage::scores, 2, 1)(t, t))) / total));
    }
    CHECK(seen.at(stage::logits)(11, 52) == logits.back());
}

TEST_CASE("a recording holds what was chosen", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 6);
    gpt2::recording seen({.stages = {stage::weights, stage::block, stage::logits}, .layers = {1}});
    test::watched(model, ids, 4, seen);
    using places = std::vector<gpt2::stage_place>;
    CHECK(seen.places() == places{{stage::weights, 1}, {stage::block, 1}, {stage::logits, 0}});
    CHECK(seen.has(stage::block, 1));
    CHECK_FALSE(seen.has(stage::block, 0));
    auto attention = gpt2::attention_maps({2});
    test::watched(model, ids, attention);
    CHECK(attention.places() == places{{stage::weights, 2}});
    CHECK_ERROR(errc::not_found, seen.at(stage::block, 0));
    CHECK_ERROR(errc::invalid_argument, seen.at(stage::weights, 1));
    CHECK_ERROR(errc::invalid_argument, seen.head(stage::weights, 1, 2));
    CHECK_ERROR(errc::invalid_argument, seen.head(stage::block, 1, 0));
}

TEST_CASE("a recording that begins in the middle of a text sees all keys", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    const auto ids = test::random_ids(c, 10);
    gpt2::recording whole, rest;
    test::watched(model, ids, whole);
    gpt2::thread_pool pool(1);
    gpt2::state<float> state(c, pool);
    model.forward(std::span(ids).first(7), state, {});
    model.forward(std::span(ids).subspan(7), state, {}, rest);
    REQUIRE(rest.head(stage::weights, 0, 1).rows() == 3);
    REQUIRE(rest.head(stage::weights, 0, 1).columns() == 10);
    for (std::size_t t = 0; t < 3; ++t)
        for (std::size_t k = 0; k < 10; ++k)
            CHECK(rest.head(stage::weights, 2, 1)(t, k) ==
                  whole.head(stage::weights, 2, 1)(7 + t, k));
}

TEST_CASE("a recording is written for NumPy", "[observers]") {
    const auto c = test::odd_config();
    const auto model = test::random_weights(c).model(c);
    gpt2::recording seen({.stages = {stage::q, stage::weights}, .layers = {1}});
    test::watched(model, test::random_ids(c, 5), seen);
    const test::scratch_folder folder;
    const auto path = folder / "seen.npz";
    gpt2::save_npz(seen, path);
    CHECK_ERROR(errc::write_failed, gpt2::save_npz(seen, path));
    gpt2::save_npz(seen, path, gpt2::existing::replace);

    const gpt2::detail::file_source file(path);
    const auto entries = gpt2::detail::zip_reader(file).read();
    REQUIRE(entries.size() == 2);
    const auto bytes = test::read_file(path);
    const auto entry = [&](const std::string& name) {
        const auto found = entries.at(name);
        return bytes.substr(found.offset, found.size);
    };
    const auto q = entry("h.1.q.npy"), weights = entry("h.1.weights.npy");
    CHECK(q.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
    CHECK_THAT(q, test::mentions("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 34, ), }"));
    CHECK_THAT(weights, test::mentions("'shape': (2, 5, 5, ), }"));
    const auto text = static_cast<std::size_t>(static_cast<unsigned char>(weights[8])) +
                      256 * static_cast<std::size_t>(static_cast<unsigned char>(weights[9]));
    CHECK((10 + text) % 64 == 0);
    CHECK(weights[9 + text] == '\n');
    REQUIRE(weights.size() == 10 + text + 2 * 5 * 5 * sizeof(float));
    float value = 0;  // of head 1, row 3, key 2
    std::memcpy(&value, weights.data() + 10 + text + (25 + 15 + 2) * sizeof value, sizeof value);
    CHECK(value == seen.head(stage::weights, 1, 1)(3, 2));
}

TEST_CASE("arrays are written with the shape they have", "[observers]") {
    const test::scratch_folder folder;
    gpt2::npz_writer to(folder / "a.npz");
    const std::vector<double> values(6);
    const std::array<std::size_t, 2> wrong{2, 4}, right{2, 3};
    CHECK_ERROR(errc::invalid_argument, to.add<double>("a", wrong, values));
    to.add<double>("a", right, values);
    CHECK_FALSE(std::filesystem::exists(folder / "a.npz"));
    to.commit();
    CHECK_THAT(test::read_file(folder / "a.npz"), test::mentions("'<f8'"));
}
