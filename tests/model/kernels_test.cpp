// Every set of kernels gives the bits of the portable one, over shapes that are multiples of
// nothing and values of every kind; and the portable one is right.
#include "../support/catch.hpp"

#include <gpt2/detail/kernels/portable.hpp>
#include <gpt2/detail/packing.hpp>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

using namespace gpt2::detail::kernels;
using gpt2::detail::bfloat_bits, gpt2::detail::half_bits, gpt2::detail::widened;
using gpt2::detail::narrow_bfloat, gpt2::detail::narrow_half;

namespace {

std::mt19937 engine(1);

std::vector<float> random(std::size_t size, float spread = 1) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> values(size);
    for (float& x : values) x = normal(engine);
    return values;
}

const kernel_set& portable_set() { return available().back(); }

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// A (depth, outputs) matrix of random numbers, packed.
std::vector<std::uint8_t> packed_matrix(format f, std::size_t depth, std::size_t outputs) {
    const auto panels = (outputs + panel_width - 1) / panel_width, size = panel_bytes(f, depth);
    std::vector<std::uint8_t> bytes(panels * size);
    for (std::size_t p = 0; p < panels; ++p) {
        auto tile = random((depth + 127) / 128 * 128 * panel_width, 0.2f);
        std::fill(tile.begin() + static_cast<std::ptrdiff_t>(depth * panel_width), tile.end(),
                  0.0f);
        gpt2::detail::pack_rows(tile.data(), f, 0, depth, bytes.data() + p * size);
    }
    return bytes;
}

struct shape {
    std::size_t rows, depth, outputs;
};

/// y (rows, outputs + 5) of a product by one set of kernels, x rounded to bfloats if `fast`.
std::vector<float> product(const kernel_set& set, const shape& s, const std::vector<float>& x,
                           format f, const std::vector<std::uint8_t>& w,
                           const std::vector<float>& bias, bool accumulate, bool fast = false) {
    std::vector<float> y(s.rows * (s.outputs + 5), 12345);
    product_job job;
    job.x = x.data(), job.x_stride = s.depth + 3;
    job.w = w.data(), job.weights = f, job.panel_stride = panel_bytes(f, s.depth);
    job.bias = bias.empty() ? nullptr : bias.data();
    job.y = y.data(), job.y_stride = s.outputs + 5;
    job.rows = s.rows, job.depth = s.depth, job.outputs = s.outputs;
    job.last_panel = (s.outputs + panel_width - 1) / panel_width;
    job.accumulate = accumulate;
    gpt2::rounding_room room(s.rows, s.depth);
    if (is_quantised(f) || fast) job.rounded = room.rows(f, s.depth);
    for (std::size_t r = 0; r < s.rows; ++r) {
        const float* row = x.data() + r * (s.depth + 3);
        if (is_quantised(f)) set.quantise(row, s.depth, f, r, job.rounded);
        if (fast) set.round(row, s.depth, job.rounded.bfloats(r));
    }
    set.product(job);
    return y;
}

}  // namespace

TEST_CASE("products agree to the bit, and each row with itself alone", "[kernels]") {
    for (const format f : {format::f32, format::f16, format::bf16, format::int8, format::int4})
        for (const std::size_t rows : {1u, 2u, 3u, 5u, 8u, 13u})
            for (const std::size_t depth : {1u, 17u, 64u, 130u, 300u})
                for (const std::size_t outputs : {1u, 15u, 16u, 17u, 50u, 161u}) {
                    const shape s{rows, depth, outputs};
                    const auto x = random(rows * (depth + 3));  // rows lie apart
                    const auto w = packed_matrix(f, depth, outputs);
                    const auto bias =
                        rows % 2 ? random((outputs + 15) / 16 * 16) : std::vector<float>();
                    const bool accumulate = rows == 3;
                    const auto expected = product(portable_set(), s, x, f, w, bias, accumulate);
                    for (const auto& set : available()) {
                        INFO(set.name << ": format " << int(f) << ", " << rows << " rows, K "
                                      << depth << ", N " << outputs);
                        REQUIRE(same_bits(product(set, s, x, f, w, bias, accumulate), expected));
                    }
                    for (std::size_t r = 0; r < rows; ++r) {
                        REQUIRE(expected[r * (outputs + 5) + outputs] == 12345);
                        const std::vector<float> row(
                            x.begin() + std::ptrdiff_t(r * (depth + 3)),
                            x.begin() + std::ptrdiff_t((r + 1) * (depth + 3)));
                        const auto alone = product(available().front(), {1, depth, outputs}, row, f,
                                                   w, bias, accumulate);
                        REQUIRE(std::memcmp(alone.data(), &expected[r * (outputs + 5)],
                                            outputs * sizeof(float)) == 0);
                    }
                }
    CHECK(portable_set().name == "portable");
}

TEST_CASE("products of bfloats are right, and each row is the same alone", "[kernels]") {
    for (const auto& set : available())
        for (const std::size_t rows : {1u, 3u, 8u, 13u, 40u})
            for (const std::size_t depth : {1u, 2u, 17u, 64u, 300u, 515u})
                for (const std::size_t outputs : {1u, 16u, 50u, 161u}) {
                    if (!set.bfloat_product) continue;
                    INFO(set.name << ": " << rows << " rows, K " << depth << ", N " << outputs);
                    const shape s{rows, depth, outputs};
                    auto x = random(rows * (depth + 3));
                    auto w = packed_matrix(format::bf16, depth, outputs);
                    const auto bias = random((outputs + 15) / 16 * 16);
                    for (float& value : x) value = widened(bfloat_bits{narrow_bfloat(value)});
                    const auto exact =
                        product(portable_set(), s, x, format::bf16, w, bias, rows == 3);
                    if (depth % 2 > 0)  // what lies beside the last number is never looked at
                        for (std::size_t p = 0; p < w.size(); p += panel_bytes(format::bf16, depth))
                            for (std::size_t lane = 0; lane < panel_width; ++lane)
                                reinterpret_cast<std::uint16_t*>(
                                    &w[p])[panel_index(format::bf16, depth, lane)] = 0x7FC0;
                    const auto y = product(set, s, x, format::bf16, w, bias, rows == 3, true);
                    for (std::size_t i = 0; i < y.size(); ++i)
                        REQUIRE(std::abs(y[i] - exact[i]) <= 1e-5f * std::max(1.0f, exact[i]));
                    for (std::size_t r = 0; r < rows; ++r) {
                        const std::vector<float> row(
                            x.begin() + std::ptrdiff_t(r * (depth + 3)),
                            x.begin() + std::ptrdiff_t((r + 1) * (depth + 3)));
                        const auto alone = product(set, {1, depth, outputs}, row, format::bf16, w,
                                                   bias, rows == 3, true);
                        REQUIRE(std::memcmp(alone.data(), &y[r * (outputs + 5)],
                                            outputs * sizeof(float)) == 0);
                    }
                }
}

TEST_CASE("rounding to bfloats is to the nearest, ties to even", "[kernels]") {
    for (const auto& set : available()) {
        if (!set.round) continue;
        auto x = random(1000, 100);
        x[0] = 0x1.01p0f, x[1] = 0x1.03p0f, x[2] = INFINITY, x[3] = -0.0f, x[4] = NAN;
        std::vector<std::uint16_t> rounded(1008, 1);
        set.round(x.data(), x.size(), rounded.data());
        for (std::size_t i = 0; i < rounded.size(); ++i)
            if (i != 4) CHECK(rounded[i] == (i < 1000 ? narrow_bfloat(x[i]) : 0));
        CHECK(std::isnan(widened(bfloat_bits{rounded[4]})));
    }
}

TEST_CASE("products are right within what the format can hold", "[kernels]") {
    const shape s{3, 300, 40};
    const auto x = random(s.rows * (s.depth + 3));
    const auto tile = random(384 * panel_width * 3, 0.2f);
    for (const auto& [f, bound] : {std::pair{format::f32, 1e-5},
                                   {format::f16, 5e-3},
                                   {format::bf16, 4e-2},
                                   {format::int8, 0.15},
                                   {format::int4, 1.5}}) {
        std::vector<std::uint8_t> w(3 * panel_bytes(f, s.depth));
        for (std::size_t p = 0; p < 3; ++p) {
            auto padded = std::vector<float>(tile.begin() + std::ptrdiff_t(p * 384 * panel_width),
                                             tile.begin() + std::ptrdiff_t((p + 1) * 384 * 16));
            std::fill(padded.begin() + std::ptrdiff_t(s.depth * panel_width), padded.end(), 0.0f);
            gpt2::detail::pack_rows(padded.data(), f, 0, s.depth,
                                    w.data() + p * panel_bytes(f, s.depth));
        }
        const auto y = product(available().front(), s, x, f, w, {}, false);
        double worst = 0;
        for (std::size_t r = 0; r < s.rows; ++r)
            for (std::size_t n = 0; n < s.outputs; ++n) {
                double sum = 0;
                for (std::size_t k = 0; k < s.depth; ++k)
                    sum += double(x[r * (s.depth + 3) + k]) *
                           double(tile[(n / 16 * 384 + k) * panel_width + n % 16]);
                worst = std::max(worst, std::abs(sum - double(y[r * (s.outputs + 5) + n])));
            }
        INFO("format " << int(f) << ", off by " << worst);
        CHECK(worst < bound);
        CHECK(worst > 0);
    }
}

TEST_CASE("rows agree to the bit", "[kernels]") {
    for (const std::size_t n : {1u, 7u, 16u, 17u, 64u, 250u, 1024u})
        for (const float spread : {1e-30f, 0.1f, 3.0f, 50.0f, 1e30f}) {
            auto x = random(n, spread);
            if (n == 250) x[200] = NAN, x[3] = INFINITY, x[5] = 1e-42f, x[6] = -0.0f;
            const auto gain = random(n), bias = random(n);
            for (const auto& set : available()) {
                INFO(set.name << ", " << n << " numbers, spread " << spread);
                const auto same = [&](auto&& action) {
                    auto a = x, b = x;
                    action(portable_set(), a);
                    action(set, b);
                    for (std::size_t i = 0; i < n; ++i)  // NaNs may differ in their bits
                        if (!(std::isnan(a[i]) && std::isnan(b[i])) &&
                            std::memcmp(&a[i], &b[i], 4) != 0)
                            return false;
                    return true;
                };
                CHECK(same([&](auto& k, auto& y) { k.softmax(y.data(), n, 0.125f); }));
                CHECK(
                    same([&](auto& k, auto& y) { k.gated(y.data(), n, 1.5957691f, 0.0713548f); }));
                CHECK(same([&](auto& k, auto& y) { k.gelu(y.data(), n); }));
                CHECK(same([&](auto& k, auto& y) {
                    k.layer_norm(x.data(), n, gain.data(), bias.data(), 1e-5, y.data());
                }));
                for (const format f : {format::int8, format::int4}) {
                    gpt2::rounding_room first(1, n), second(1, n);
                    const auto a = first.rows(f, n), b = second.rows(f, n);
                    portable_set().quantise(x.data(), n, f, 0, a);
                    set.quantise(x.data(), n, f, 0, b);
                    CHECK(std::memcmp(a.values, b.values, a.blocks * block_depth(f)) == 0);
                    CHECK(std::memcmp(a.offsets, b.offsets, a.groups * sizeof *a.offsets) == 0);
                    for (std::size_t i = 0; i < a.blocks; ++i)
                        CHECK((a.scales[i] == b.scales[i] ||
                               (std::isnan(a.scales[i]) && std::isnan(b.scales[i]))));
                }
            }
        }
}

TEST_CASE("packing agrees to the bit", "[kernels]") {
    for (const float spread : {0.0f, 1e-40f, 1e-6f, 0.1f, 1e20f}) {
        const auto block = random(128 * panel_width, spread);
        for (const auto& set : available()) {
            INFO(set.name << ", spread " << spread);
            std::vector<std::uint8_t> a(block_bytes(format::int8)), b = a;
            portable_set().pack_int8(block.data(), a.data());
            set.pack_int8(block.data(), b.data());
            CHECK(a == b);
            portable_set().pack_int4(block.data(), a.data());
            set.pack_int4(block.data(), b.data());
            CHECK(a == b);
        }
    }
}

TEST_CASE("halves and bfloats: every one goes there and back", "[kernels]") {
    for (unsigned bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        const float wide = widened(half_bits{half}), upper = widened(bfloat_bits{half});
        if (std::isnan(wide))
            CHECK(std::isnan(widened(half_bits{narrow_half(wide)})));
        else if (narrow_half(wide) != half)
            FAIL("half " << bits);
        if (std::isnan(upper))
            CHECK(std::isnan(widened(bfloat_bits{narrow_bfloat(upper)})));
        else if (narrow_bfloat(upper) != half)
            FAIL("bfloat " << bits);
    }
    CHECK(narrow_half(65519.0f) == 0x7BFF);  // ties and limits
    CHECK(narrow_half(65520.0f) == 0x7C00);
    CHECK(narrow_half(2049.0f) == narrow_half(2048.0f));
    CHECK(narrow_half(0x1p-25f) == 0);
    CHECK(narrow_half(0x1.8p-25f) == 1);
    CHECK(narrow_bfloat(0x1.01p0f) == 0x3F80);
    CHECK(narrow_bfloat(0x1.03p0f) == 0x3F82);
}

TEST_CASE("exp and the normal distribution: errors over the floats", "[kernels]") {
    double exp_ulps = 0, tail_ulps = 0;
    const auto ulps = [](float found, double want) {
        const double size = std::max(std::abs(want), 0x1p-126);
        return std::abs(double(found) - want) / std::ldexp(1.0, std::ilogb(size) - 23);
    };
    const std::uint32_t stride = 1009;  // 1 walks every float, in a quarter of an hour
    for (std::uint64_t bits = 0; bits < 1ull << 32; bits += 16 * stride) {
        float x[16];
        for (std::uint32_t i = 0; i < 16; ++i)
            x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits + i * stride));
        float e[16], t[16], below[16];
        portable::store(e, portable::exp(portable::load(x)));
        portable::store(below, portable::exp_of_negative(portable::load(x)));
        portable::store(t, portable::normal_tail(portable::load(x)));
        for (std::size_t i = 0; i < 16; ++i) {
            if (std::isnan(x[i])) {
                CHECK(std::isnan(e[i]));
                continue;
            }
            const double want = std::exp(double(x[i]));
            if (want > 3.4028235e38)
                CHECK(e[i] == INFINITY);
            else
                exp_ulps = std::max(exp_ulps, ulps(e[i], want));
            if (x[i] <= 0) CHECK(below[i] == (x[i] < -0x1.5d2p+6f ? 0 : e[i]));
            const double tail = std::erfc(std::abs(double(x[i])) / std::sqrt(2.0)) / 2;
            if (tail > 0x1p-126) tail_ulps = std::max(tail_ulps, ulps(t[i], tail));
        }
    }
    INFO("exp " << exp_ulps << " ulp, normal tail " << tail_ulps << " ulp");
    CHECK(exp_ulps < 1);
    CHECK(tail_ulps < 6);
}
