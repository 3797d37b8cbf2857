// Stored tensors, the store, the cursor and the audit. Numbers in brackets are those of the
// project's list of hazards.
#include "safetensors_builder.hpp"

#include <gpt2/weights.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using gpt2::dtype;
using gpt2::errc;
using gpt2::stored_tensor;
using namespace gpt2::detail;

namespace {

/// IEEE binary16 and bfloat16 by their definition: sign · fraction · 2^exponent.
float defined(std::uint32_t bits, int exponent_bits, int fraction_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int fraction = static_cast<int>(bits & ((1u << fraction_bits) - 1));
    const int exponent = static_cast<int>(bits >> fraction_bits & ((1u << exponent_bits) - 1));
    const float sign = bits >> 15 & 1 ? -1.0f : 1.0f;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction ? std::numeric_limits<float>::quiet_NaN()
                        : sign * std::numeric_limits<float>::infinity();
    if (exponent == 0)
        return sign * std::ldexp(static_cast<float>(fraction), 1 - bias - fraction_bits);
    return sign * std::ldexp(static_cast<float>((1 << fraction_bits) + fraction),
                             exponent - bias - fraction_bits);
}

std::uint64_t fnv1a(std::uint64_t hash, float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int i = 0; i < 4; ++i) hash = (hash ^ (bits >> (8 * i) & 0xff)) * 0x100000001b3u;
    return hash;
}

template <class Stored>
void check_patterns(int exponent_bits, int fraction_bits, std::uint64_t expected_hash) {
    std::vector<Stored> patterns(65536);
    for (std::size_t i = 0; i < patterns.size(); ++i)
        patterns[i].bits = static_cast<std::uint16_t>(i);
    std::vector<float> floats(patterns.size());
    std::vector<double> doubles(patterns.size());
    widen<Stored, float>(patterns, floats);
    widen<Stored, double>(patterns, doubles);
    std::uint64_t hash = 0xcbf29ce484222325u;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        const float right = defined(static_cast<std::uint32_t>(i), exponent_bits, fraction_bits);
        if (std::isnan(right)) {
            wrong += !std::isnan(floats[i]) || !std::isnan(doubles[i]);
            continue;
        }
        wrong += std::bit_cast<std::uint32_t>(floats[i]) != std::bit_cast<std::uint32_t>(right);
        wrong += std::bit_cast<std::uint64_t>(doubles[i]) !=
                 std::bit_cast<std::uint64_t>(static_cast<double>(right));
        wrong += widened(patterns[i]) != floats[i];
        hash = fnv1a(hash, floats[i]);
    }
    CHECK(wrong == 0);
    CHECK(hash == expected_hash);
}

template <class Value>
stored_tensor tensor_of(dtype type, std::vector<std::size_t> shape,
                        const std::vector<Value>& values) {
    return {"t", type, std::move(shape), test::in_memory(test::bytes_of(values)), 0};
}

gpt2::weight_store store_of(const std::vector<test::tensor>& tensors) {
    gpt2::weight_store store;
    for (auto& tensor : test::parsed(test::safetensors(tensors)).tensors)
        store.add(std::move(tensor));
    return store;
}

}  // namespace

TEST_CASE("all 65,536 patterns of f16 and bf16 widen exactly [050]", "[files][weights]") {
    check_patterns<half_bits>(5, 10, 0xa7a575fd4882f925u);  // tests/reference/half_patterns.py
    check_patterns<bfloat_bits>(8, 7, 0x6d9e679a27bc81f5u);
}

TEST_CASE("finite checks see every exponent of all ones and nothing else", "[files][weights]") {
    const auto check = [](auto zero) {
        using Scalar = decltype(zero);
        using limits = std::numeric_limits<Scalar>;
        std::vector<Scalar> values(100, limits::max());
        values[1] = limits::lowest();
        values[2] = limits::denorm_min();
        values[3] = Scalar(-0.0);
        CHECK(all_finite(std::span<const Scalar>(values)));
        for (const Scalar bad : {limits::infinity(), -limits::infinity(), limits::quiet_NaN(),
                                 -limits::quiet_NaN(), limits::signaling_NaN()})
            for (std::size_t i = 0; i < values.size(); ++i) {
                auto spoilt = values;
                spoilt[i] = bad;
                CHECK_FALSE(all_finite(std::span<const Scalar>(spoilt)));
            }
        CHECK(all_finite(std::span<const Scalar>()));
    };
    check(0.0f);
    check(0.0);
}

TEST_CASE("rows are read, widened and bounded", "[files][weights]") {
    std::vector<double> numbers(6);
    for (std::size_t i = 0; i < 6; ++i) numbers[i] = 0.1 * static_cast<double>(i + 1);
    const auto tensor = tensor_of(dtype::f64, {3, 2}, numbers);
    CHECK(tensor.rows() == 3);
    CHECK(tensor.columns() == 2);
    std::vector<double> wide(4);
    tensor.read_rows<double>(1, 2, wide);
    CHECK(wide == std::vector<double>(numbers.begin() + 2, numbers.end()));
    std::vector<float> narrow(2);
    tensor.read_rows<float>(2, 1, narrow);
    CHECK(narrow == std::vector{static_cast<float>(numbers[4]), static_cast<float>(numbers[5])});
    tensor.read_rows<float>(3, 0, std::span<float>());
    CHECK_ERROR(errc::invalid_argument, tensor.read_rows<float>(2, 2, std::span(narrow)));
    CHECK_ERROR(errc::invalid_argument, tensor.read_rows<float>(0, 2, std::span(narrow)));
    CHECK_ERROR(errc::invalid_argument, tensor.read_rows<float>(4, 0, std::span<float>()));
    CHECK_ERROR(
        errc::invalid_argument,
        tensor.read_rows<float>(1, std::numeric_limits<std::size_t>::max(), std::span(narrow)));
    CHECK(
        test::message_of([&] { tensor.read_rows<float>(2, 2, std::span(narrow)); }) ==
        "t: expected rows within 3 and room for them, found 2 from row 2 on and room for 2 values");

    const auto vector = tensor_of(dtype::f32, {3}, std::vector{1.0f, 2.0f, 3.0f});
    CHECK((vector.rows() == 1 && vector.columns() == 3));
    const auto scalar = tensor_of(dtype::f32, {}, std::vector{1.0f});
    CHECK((scalar.rows() == 1 && scalar.columns() == 1));
    const auto cube = tensor_of(dtype::f32, {2, 1, 3}, std::vector<float>(6));
    CHECK((cube.rows() == 2 && cube.columns() == 3));
    const auto empty = tensor_of(dtype::f32, {0, 5}, std::vector<float>());
    CHECK((empty.rows() == 0 && empty.columns() == 0));
    CHECK(test::values_of(empty).empty());
}

TEST_CASE("tensors longer than a staging block read the same from every kind", "[files][weights]") {
    constexpr std::size_t rows = 123, columns = 777;  // 95,571 values: blocks end inside rows
    std::vector<float> f32(rows * columns);
    std::vector<double> f64(f32.size());
    std::vector<std::uint16_t> bf16(f32.size());
    for (std::size_t i = 0; i < f32.size(); ++i) {
        bf16[i] = static_cast<std::uint16_t>((i * 40503) % 0x7f00);
        f32[i] = widened(bfloat_bits{bf16[i]});
        f64[i] = f32[i];
    }
    const std::vector<stored_tensor> kinds = {tensor_of(dtype::f32, {rows, columns}, f32),
                                              tensor_of(dtype::f64, {rows, columns}, f64),
                                              tensor_of(dtype::bf16, {rows, columns}, bf16)};
    for (const auto& tensor : kinds) {
        CHECK(test::values_of<float>(tensor) == f32);
        CHECK(test::values_of<double>(tensor) == f64);
        std::vector<float> part(50 * columns);
        tensor.read_rows<float>(70, 50, part);
        CHECK(std::equal(part.begin(), part.end(), f32.begin() + 70 * columns));
    }
}

TEST_CASE("NaN and infinity are found and placed [218]", "[files][weights]") {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        std::vector<float> values(100'000, 1.0f);
        values[99'123] = bad;
        const auto tensor = tensor_of(dtype::f32, {1000, 100}, values);
        CHECK_ERROR(errc::not_finite, test::values_of<float>(tensor));
        CHECK_ERROR(errc::not_finite, test::values_of<double>(tensor));
        std::vector<float> row(100);
        CHECK_NOTHROW(tensor.read_rows<float>(990, 1, row));
        const auto problem =
            test::error_of([&] { tensor.read_rows<float>(991, 1, std::span(row)); });
        REQUIRE(problem);
        CHECK(std::string(problem->what()) == "t: expected finite numbers, found " +
                                                  std::string(bad != bad ? "NaN" : "infinity") +
                                                  " at row 991, column 23");
    }
    CHECK_ERROR(errc::not_finite,
                test::values_of(tensor_of(dtype::f16, {1}, std::vector<std::uint16_t>{0xfc00})));
    CHECK_ERROR(errc::not_finite,
                test::values_of(tensor_of(dtype::bf16, {1}, std::vector<std::uint16_t>{0x7fc0})));
    const auto large = tensor_of(dtype::f64, {1}, std::vector{1e300});
    CHECK(test::values_of<double>(large) == std::vector{1e300});
    CHECK_ERROR(errc::not_finite, test::values_of<float>(large));  // beyond float
}

TEST_CASE("a tensor must lie within its source", "[files][weights]") {
    const auto source = test::in_memory(std::string(16, '\0'));
    const auto make = [&](dtype type, std::vector<std::size_t> shape, std::uint64_t offset) {
        return stored_tensor("t", type, std::move(shape), source, offset);
    };
    CHECK_NOTHROW(make(dtype::f32, {4}, 0));
    CHECK_NOTHROW(make(dtype::f32, {3}, 4));
    CHECK_ERROR(errc::truncated, make(dtype::f32, {4}, 1));
    CHECK_ERROR(errc::truncated, make(dtype::u8, {1}, ~std::uint64_t{0}));
    CHECK_ERROR(errc::bad_weights,
                make(dtype::f32, {std::size_t{1} << 32, std::size_t{1} << 32}, 0));
    CHECK_ERROR(errc::bad_weights, make(dtype::f4, {3}, 0));
}

TEST_CASE("kinds of values have names and sizes", "[files][weights]") {
    CHECK(name(dtype::bf16) == "BF16");
    CHECK(name(dtype::f4) == "F4");
    CHECK(bits(dtype::f64) == 64);
    CHECK(bits(dtype::boolean) == 8);
    CHECK(is_float(dtype::f16));
    CHECK_FALSE(is_float(dtype::i32));
    CHECK_FALSE(is_float(dtype::f8_e4m3));
}

TEST_CASE("the store keeps order and refuses doubles", "[files][weights]") {
    auto store = store_of({test::ramp("h.10.x", {1}), test::ramp("h.9.x", {2})});
    CHECK(store.size() == 2);
    CHECK(store.tensors()[0].name() == "h.10.x");
    REQUIRE(store.find("h.9.x"));
    CHECK(store.find("h.9.x")->columns() == 2);
    CHECK(store.find("h.9") == nullptr);
    auto again = *store.find("h.9.x");
    CHECK_ERROR(errc::duplicate_tensor, store.add(again));
    CHECK(store.size() == 2);
    store.add(std::move(again).renamed("h.8.x"));
    CHECK(store.find("h.8.x")->columns() == 2);
}

TEST_CASE("the cursor fetches with the expected shape [051, 055]", "[files][weights]") {
    const auto store = store_of({test::ramp("h.3.attn.c_attn.weight", {2, 6}),
                                 test::ramp("wte.weight", {5, 2}),
                                 {"ids", "I32", {1}, std::string(4, '\0')}});
    gpt2::audit record;
    const gpt2::weight_scope root(store, record);
    const auto attn = root / "h" / 3 / "attn";
    CHECK(attn.path("c_attn.weight") == "h.3.attn.c_attn.weight");
    CHECK((root / "h" / 0).path("x") == "h.0.x");
    CHECK(attn.has("c_attn.weight"));
    CHECK_FALSE(attn.has("c_attn"));
    CHECK(&attn.fetch("c_attn.weight", {2, 6}) == store.find("h.3.attn.c_attn.weight"));
    CHECK(&(attn / "c_attn").fetch("weight") == store.find("h.3.attn.c_attn.weight"));
    const auto message = [&](std::initializer_list<std::size_t> shape) {
        const auto problem = test::error_of([&] { attn.fetch("c_attn.weight", shape); });
        REQUIRE(problem);
        CHECK(problem->code() == errc::wrong_shape);
        return std::string(problem->what());
    };
    CHECK(message({6, 2}) == "h.3.attn.c_attn.weight: expected (6, 2), file has (2, 6)");
    CHECK(message({2}) == "h.3.attn.c_attn.weight: expected (2), file has (2, 6)");
    CHECK(message({}) == "h.3.attn.c_attn.weight: expected (), file has (2, 6)");
    const auto problem = test::error_of([&] { root.fetch("wte.weight", {50257, 2}); });
    REQUIRE(problem);
    CHECK(std::string(problem->what()) == "wte.weight: expected (50257, 2), file has (5, 2)");

    CHECK_ERROR(errc::missing_tensor, attn.fetch("c_proj.weight", {2, 2}));
    CHECK(attn.find("c_proj.bias", {2}) == nullptr);
    CHECK_ERROR(errc::wrong_shape, root.find("wte.weight", {2, 5}));
    CHECK_ERROR(errc::unsupported, root.fetch("ids", {1}));
    CHECK_ERROR(errc::unsupported, root.find("ids"));
}

TEST_CASE("the audit lists what was used, missing, ignored [053, 058]", "[files][weights]") {
    const auto store = store_of({test::ramp("wte.weight", {2, 2}),
                                 test::ramp("h.0.attn.bias", {1, 1, 2, 2}),
                                 {"h.0.attn.masked_bias", "U8", {}, "x"},
                                 test::ramp("h.12.ln_1.weight", {2}),
                                 test::ramp("h.0.attn.c_attn.bias", {6})});
    gpt2::audit record;
    const gpt2::weight_scope root(store, record);
    root.fetch("wte.weight", {2, 2});
    root.fetch("wte.weight", {2, 2});
    CHECK(root.find("lm_head.weight", {2, 2}) == nullptr);
    CHECK(root.find("lm_head.weight") == nullptr);
    record.finish(store);
    CHECK(record.used == std::vector<std::string>{"wte.weight"});
    CHECK(record.missing == std::vector<std::string>{"lm_head.weight"});
    CHECK(record.buffers == std::vector<std::string>{"h.0.attn.bias", "h.0.attn.masked_bias"});
    CHECK(record.ignored == std::vector<std::string>{"h.12.ln_1.weight", "h.0.attn.c_attn.bias"});
    record.finish(store);  // idempotent
    CHECK(record.buffers.size() == 2);
}

TEST_CASE("a matrix stored by column reads as if it were not", "[files][weights]") {
    const stored_tensor stored =
        tensor_of(dtype::f32, {3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6});
    const stored_tensor turned = stored.transposed();
    CHECK(turned.by_column());
    CHECK(turned.rows() == 2);
    CHECK(turned.columns() == 3);
    CHECK(test::values_of(turned) == std::vector<float>{1, 3, 5, 2, 4, 6});
    std::vector<double> second(3);
    turned.read_rows<double>(1, 1, second);
    CHECK(second == std::vector<double>{2, 4, 6});
    CHECK(test::values_of(turned.transposed()) == test::values_of(stored));
    CHECK_FALSE(turned.transposed().by_column());
    CHECK_ERROR(errc::invalid_argument, turned.read_rows<double>(2, 1, second));
}

TEST_CASE("numbers of one's own become a tensor, as many as its shape has", "[files][weights]") {
    std::vector<float> values = {1, 2, 3, 4, 5, 6};
    const stored_tensor own = gpt2::own_tensor("own", {2, 3}, values);
    values.assign(6, 0);  // a copy is kept
    CHECK(own.name() == "own");
    CHECK(test::values_of(own) == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK_ERROR(errc::wrong_shape, gpt2::own_tensor("own", {2, 2}, values));
    CHECK_ERROR(errc::wrong_shape, gpt2::own_tensor("own", {std::size_t{1} << 63, 4}, values));
}
