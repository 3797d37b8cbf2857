// The products on AMX, run on a tile unit written in C++ from the processor's manual, so that they
// are tested on machines without one; and on the unit itself where there is one.
#include "../support/catch.hpp"

#include <gpt2/detail/kernels/amx.hpp>
#include <gpt2/detail/packing.hpp>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

using namespace gpt2::detail::kernels;
using gpt2::detail::bfloat_bits, gpt2::detail::narrow_bfloat, gpt2::detail::widened;

namespace {

/// Eight tiles of 16 rows of 64 bytes and the instructions that products.hpp uses, after Intel's
/// Software Developer's Manual; what the processor would fault at throws.
struct emulated_unit {
    static inline avx512::amx::tile_shapes shapes;
    static inline std::uint8_t tile[8][16][64];
    static inline bool shaped = false;

    static void need(bool right) {
        if (!right) throw std::logic_error("a general protection fault");
    }
    static void shape(const avx512::amx::tile_shapes& wanted) {
        need(wanted.palette == 1 && wanted.start_row == 0);
        for (int i = 0; i < 8; ++i)
            need(wanted.rows[i] <= 16 && wanted.row_bytes[i] <= 64 &&
                 (wanted.rows[i] == 0) == (wanted.row_bytes[i] == 0));
        shapes = wanted, shaped = true;
        std::memset(tile, 0, sizeof tile);
    }
    static void release() { shaped = false; }
    template <int T>
    static void zero() {
        need(shaped && shapes.rows[T] > 0);
        std::memset(tile[T], 0, sizeof tile[T]);
    }
    template <int T>
    static void load(const void* from, std::size_t stride) {
        zero<T>();
        for (std::size_t i = 0; i < shapes.rows[T]; ++i)
            std::memcpy(tile[T][i], static_cast<const char*>(from) + i * stride,
                        shapes.row_bytes[T]);
    }
    template <int T>
    static void store(void* to, std::size_t stride) {
        need(shaped && shapes.rows[T] > 0);
        for (std::size_t i = 0; i < shapes.rows[T]; ++i)
            std::memcpy(static_cast<char*>(to) + i * stride, tile[T][i], shapes.row_bytes[T]);
    }
    template <int Sum, int X, int W>
    static void need_fitting() {
        need(shaped && shapes.rows[Sum] == shapes.rows[X] &&
             shapes.row_bytes[X] / 4 == shapes.rows[W] &&
             shapes.row_bytes[Sum] == shapes.row_bytes[W]);
    }
    template <int Sum, int X, int W>
    static void dot_bfloats() {
        need_fitting<Sum, X, W>();
        const auto number = [](const std::uint8_t* row, std::size_t i) {
            std::uint16_t bits;
            std::memcpy(&bits, row + 2 * i, 2);
            return widened(bfloat_bits{bits});
        };
        for (std::size_t m = 0; m < shapes.rows[Sum]; ++m)
            for (std::size_t n = 0; n < 16; ++n) {
                float parts[2] = {}, sum;
                for (std::size_t k = 0; k < shapes.rows[W]; ++k)
                    for (std::size_t half = 0; half < 2; ++half)
                        parts[half] = std::fma(number(tile[X][m], 2 * k + half),
                                               number(tile[W][k], 2 * n + half), parts[half]);
                std::memcpy(&sum, tile[Sum][m] + 4 * n, 4);
                sum += parts[0] + parts[1];
                std::memcpy(tile[Sum][m] + 4 * n, &sum, 4);
            }
    }
    template <int Sum, int X, int W>
    static void dot_bytes() {
        need_fitting<Sum, X, W>();
        for (std::size_t m = 0; m < shapes.rows[Sum]; ++m)
            for (std::size_t n = 0; n < 16; ++n) {
                std::int32_t sum;
                std::memcpy(&sum, tile[Sum][m] + 4 * n, 4);
                for (std::size_t k = 0; k < shapes.rows[W]; ++k)
                    for (std::size_t i = 0; i < 4; ++i)
                        sum +=
                            static_cast<std::int8_t>(tile[X][m][4 * k + i]) * tile[W][k][4 * n + i];
                std::memcpy(tile[Sum][m] + 4 * n, &sum, 4);
            }
    }
};

struct problem {
    std::size_t rows, depth, outputs;
    std::vector<float> x, bias;
    std::vector<std::uint8_t> w;
    gpt2::rounding_room room;

    problem(format f, std::size_t rows_, std::size_t depth_, std::size_t outputs_)
        : rows(rows_), depth(depth_), outputs(outputs_), room(rows_, depth_) {
        static std::mt19937 engine(1);
        std::normal_distribution<float> normal(0, 1);
        const auto panels = gpt2::panel_count(outputs), size = panel_bytes(f, depth);
        x.resize(rows * depth), bias.resize(panels * panel_width), w.resize(panels * size);
        for (float& v : x) v = widened(bfloat_bits{narrow_bfloat(normal(engine))});
        for (float& v : bias) v = normal(engine);
        for (std::size_t p = 0; p < panels; ++p) {
            std::vector<float> tile(whole_blocks(depth) * panel_width);
            for (std::size_t i = 0; i < depth * panel_width; ++i) tile[i] = normal(engine);
            gpt2::detail::pack_rows(tile.data(), f, 0, depth, w.data() + p * size);
        }
        const auto& set = available().back();
        for (std::size_t r = 0; r < rows; ++r)
            if (is_quantised(f))
                set.quantise(x.data() + r * depth, depth, f, r, room.rows(f, depth));
            else
                for (std::size_t k = 0; k < depth; ++k)
                    room.rows(f, depth).bfloats(r)[k] = narrow_bfloat(x[r * depth + k]);
    }

    /// Rows first … last-1 of y by `product`, (rows, outputs + 5).
    template <class Product>
    std::vector<float> run(format f, std::size_t first, std::size_t last, Product product) {
        std::vector<float> y((last - first) * (outputs + 5), 12345);
        product_job job;
        job.x = x.data() + first * depth, job.x_stride = depth;
        job.rounded = room.rows(f, depth);
        job.rounded.values = job.rounded.bytes(first);
        job.rounded.scales += first * job.rounded.blocks;
        job.rounded.offsets += first * job.rounded.groups;
        job.w = w.data(), job.weights = f, job.panel_stride = panel_bytes(f, depth);
        job.bias = bias.data();
        job.y = y.data(), job.y_stride = outputs + 5;
        job.rows = last - first, job.depth = depth, job.outputs = outputs;
        job.last_panel = gpt2::panel_count(outputs);
        product(job);
        return y;
    }
};

/// Whether products on a unit are right, and each row the same alone.
template <class Unit>
void check(format f) {
    for (const std::size_t rows : {1u, 2u, 15u, 16u, 17u, 32u, 40u, 70u})
        for (const std::size_t depth : {1u, 31u, 64u, 130u, 257u})
            for (const std::size_t outputs : {1u, 16u, 33u, 70u}) {
                INFO("format " << int(f) << ", " << rows << " rows, K " << depth << ", N "
                               << outputs);
                problem given(f, rows, depth, outputs);
                const auto product = [&](const product_job& job) {
                    is_quantised(f) ? avx512::amx::integer_product<Unit>(job)
                                    : avx512::amx::bfloat_product<Unit>(job);
                };
                const auto expected = given.run(f, 0, rows, [&](product_job job) {
                    if (!is_quantised(f)) job.rounded = {};
                    available().back().product(job);
                });
                const auto y = given.run(f, 0, rows, product);
                for (std::size_t i = 0; i < y.size(); ++i)
                    if (is_quantised(f))
                        REQUIRE(y[i] == expected[i]);
                    else
                        REQUIRE(std::abs(y[i] - expected[i]) <= 2e-6f * float(depth + 10));
                for (std::size_t r = 0; r < rows; ++r) {
                    const auto alone = given.run(f, r, r + 1, product);
                    REQUIRE(std::memcmp(alone.data(), &y[r * (outputs + 5)],
                                        alone.size() * sizeof(float)) == 0);
                }
            }
}

}  // namespace

TEST_CASE("products on AMX, emulated, are right and each row is the same alone", "[kernels]") {
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vnni")) {
        WARN("skipped: what stands around the tile unit needs AVX-512 with VNNI and BF16");
        return;
    }
    for (const format f : {format::bf16, format::int8, format::int4}) check<emulated_unit>(f);
}

TEST_CASE("products on AMX are right and each row is the same alone", "[kernels]") {
    if (!avx512::amx::usable()) {
        WARN("skipped: this machine has no AMX, or does not let us use it");
        return;
    }
    for (const format f : {format::bf16, format::int8, format::int4}) check<avx512::amx::unit>(f);
}

#endif
