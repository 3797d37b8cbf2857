// Panels in the blocks of GGUF files: products have the bits that they have with the same weights
// as floats, by every set of kernels. Numbers in brackets are those of the project's list of
// hazards.
#include "../support/catch.hpp"
#include "../support/random_blocks.hpp"

#include <gpt2/detail/packing.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

using namespace gpt2::detail::kernels;
using gpt2::dtype, gpt2::errc, gpt2::storage;
using gpt2::detail::orientation;
using test::block_kind, test::kept_blocks;

namespace {

std::mt19937 engine(1);

std::vector<float> random(std::size_t size, float spread = 1) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> values(size);
    for (float& x : values) x = normal(engine);
    return values;
}

gpt2::packed_matrix<float> packed(const gpt2::stored_tensor& tensor, storage kept) {
    return gpt2::detail::pack<float>(tensor, orientation::out_in, kept, nullptr);
}

/// What a product reads and where it begins.
struct operands {
    std::vector<float> x, bias;
    std::size_t rows;
    bool accumulate;
};

product_job job_of(const operands& in, gpt2::panel_view<float> w, std::vector<float>& y) {
    product_job job;
    job.x = in.x.data(), job.x_stride = w.depth() + 3;
    job.w = w.panel(0), job.weights = w.stored(), job.panel_stride = w.panel_stride();
    job.bias = in.bias.empty() ? nullptr : in.bias.data();
    job.y = y.data(), job.y_stride = w.columns() + 5;
    job.rows = in.rows, job.depth = w.depth(), job.outputs = w.columns();
    job.last_panel = gpt2::panel_count(w.columns());
    job.accumulate = in.accumulate;
    return job;
}

/// y (rows, outputs + 5); what is no output stays 12345.
std::vector<float> product(const kernel_set& set, const operands& in, gpt2::panel_view<float> w) {
    std::vector<float> y(in.rows * (w.columns() + 5), 12345);
    set.product(job_of(in, w, y));
    return y;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<float> values_of(const gpt2::stored_tensor& tensor) {
    std::vector<float> values(tensor.size());
    tensor.read_rows<float>(0, tensor.rows(), values);
    return values;
}

}  // namespace

TEST_CASE("products with blocks are those with floats, to the bit [117] [124]", "[kernels]") {
    for (const block_kind& kind : kept_blocks)
        for (const std::size_t blocks : {1u, 3u, 9u})
            for (const std::size_t outputs : {1u, 16u, 17u, 50u, 161u}) {
                const auto depth = blocks * block_values(kind.type);
                const auto tensor = test::random_stored(kind, outputs, depth, engine);
                const auto floats = packed(tensor, storage::f32);
                const auto kept = packed(tensor, storage::as_stored);
                REQUIRE(in_blocks(kept.stored()));
                for (const std::size_t rows : {1u, 2u, 3u, 8u, 13u, 16u, 29u}) {
                    operands in{random(rows * (depth + 3)), {}, rows, rows == 3};
                    if (rows % 2) in.bias = random(gpt2::panel_count(outputs) * panel_width);
                    const auto expected = product(available().back(), in, floats.view());
                    for (const auto& set : available()) {
                        INFO(name(kind.type) << ", " << set.name << ": " << rows << " rows, K "
                                             << depth << ", N " << outputs);
                        REQUIRE(same_bits(product(set, in, kept.view()), expected));
                    }
                }
            }
}

TEST_CASE("blocks of every kind: each weight is the block's own [117] [118] [120]", "[kernels]") {
    // Products with unit vectors give weights, at first by single rows, then widened for many.
    for (const block_kind& kind : kept_blocks) {
        const std::size_t depth = block_values(kind.type), count = 10000;
        auto bytes = test::random_blocks(kind, count, -15, 15, engine);
        const auto size = bytes.size() / count;
        for (const std::size_t at : kind.halves)  // one zero, one subnormal, the largest
            for (const auto& [block, half] : {std::pair{3, 0x8000}, {4, 1}, {5, 0x7BFF}}) {
                const auto place = static_cast<std::size_t>(block) * size + at;
                bytes[place] = static_cast<std::byte>(half & 255);
                bytes[place + 1] = static_cast<std::byte>(half >> 8);
            }
        for (const std::byte fill : {std::byte{0}, std::byte{255}}) {
            const std::size_t block = fill == std::byte{0} ? 6 : 7;
            for (std::size_t i = 0; i < size; ++i)
                if (std::ranges::none_of(kind.halves,
                                         [&](auto half) { return i == half || i == half + 1; }))
                    bytes[block * size + i] = fill;
        }
        const auto tensor = test::stored_blocks("t", kind.type, count, depth, bytes);
        const auto values = values_of(tensor);
        const auto kept = packed(tensor, storage::as_stored);
        std::vector<float> column(depth);
        for (std::size_t n = 0; n < count; ++n) {
            gpt2::detail::unpack_column(kept, n, column.data());
            REQUIRE(std::memcmp(column.data(), &values[n * depth], depth * sizeof(float)) == 0);
        }
        for (const auto& set : available())
            for (const std::size_t rows : {std::size_t{1}, std::size_t{32}}) {
                const bool all = set.name != "portable" && rows > 1;
                const std::size_t outputs = all ? count : 64;
                for (std::size_t first = 0; first < depth; first += rows) {
                    operands unit{std::vector<float>(rows * (depth + 3)), {}, rows, false};
                    for (std::size_t r = 0; r < rows; ++r) unit.x[r * (depth + 3) + first + r] = 1;
                    const auto view = kept.view();
                    const auto y = product(
                        set, unit,
                        {view.panel(0), view.stored(), view.panel_stride(), depth, outputs});
                    for (std::size_t r = 0; r < rows; ++r)
                        for (std::size_t n = 0; n < outputs; ++n)
                            if (y[r * (outputs + 5) + n] != values[n * depth + first + r])
                                FAIL(name(kind.type) << ", " << set.name << ", k " << first + r
                                                     << ", output " << n);
                }
            }
    }
}

TEST_CASE("signs of zeros come out of blocks", "[kernels]") {
    // Only sums of zeros of one sign alone, from a bias of -0, show the sign of a zero weight.
    for (const block_kind& kind : kept_blocks) {
        const std::size_t depth = block_values(kind.type), size = bits(kind.type) / 8;
        std::vector<std::byte> bytes(64 * size);
        for (std::size_t b = 0; b < 64; ++b) {
            constexpr std::byte fills[] = {std::byte{0}, std::byte{0x11}, std::byte{0x77},
                                           std::byte{0x99}, std::byte{0xFF}};
            std::fill_n(&bytes[b * size], size, fills[b % 5]);
            for (const std::size_t at : kind.halves) {
                bytes[b * size + at] = std::byte{0};
                bytes[b * size + at + 1] = static_cast<std::byte>(engine() & 128);
            }
        }
        const auto tensor = test::stored_blocks("t", kind.type, 64, depth, bytes);
        const auto floats = packed(tensor, storage::f32);
        const auto kept = packed(tensor, storage::as_stored);
        for (const std::size_t rows : {1u, 20u}) {
            operands in{random(rows * (depth + 3)), std::vector<float>(64, -0.0f), rows, false};
            for (float& x : in.x) x = std::abs(x);
            const auto expected = product(available().back(), in, floats.view());
            const auto negative =
                std::ranges::count_if(expected, [](float y) { return y == 0 && std::signbit(y); });
            CHECK(negative > 0);
            CHECK(negative < static_cast<std::ptrdiff_t>(rows * 64));
            for (const auto& set : available()) {
                INFO(name(kind.type) << ", " << set.name << ", " << rows << " rows");
                CHECK(same_bits(product(set, in, kept.view()), expected));
            }
        }
    }
}

TEST_CASE("what blocks become, and how much memory they take", "[kernels]") {
    const std::size_t outputs = 160, depth = 768;
    const auto kept_as = [&](const block_kind& kind, storage wanted) {
        const auto tensor = test::random_stored(kind, outputs, depth, engine);
        const auto matrix = packed(tensor, wanted);
        INFO(name(kind.type));
        const double share = double(matrix.bytes()) / double(tensor.bytes());
        if (wanted == storage::as_stored && matrix.stored() == format::f32) CHECK(share > 5);
        const bool exact =
            kind.type == dtype::q8_0 || kind.type == dtype::q4_0 || kind.type == dtype::q4_k;
        if (wanted == storage::as_stored && exact) CHECK(share < 1.1);
        return matrix.stored();
    };
    const std::vector<format> expected = {format::q8_0, format::q4_0, format::q8_0,
                                          format::q4_k, format::q5_k, format::q6_k};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(kept_as(kept_blocks[i], storage::as_stored) == expected[i]);
        CHECK(kept_as(kept_blocks[i], storage::f32) == format::f32);
        CHECK(kept_as(kept_blocks[i], storage::int8) == format::int8);
    }
    CHECK(kept_as({dtype::q4_1, {0, 2}}, storage::as_stored) == format::f32);
    CHECK(kept_as({dtype::q5_1, {0, 2}}, storage::as_stored) == format::f32);

    // Blocks that lie across the inputs are widened, and other scalars than float always are.
    const auto tensor = test::random_stored(kept_blocks[0], 64, 96, engine);
    const auto across =
        gpt2::detail::pack<float>(tensor, orientation::in_out, storage::as_stored, nullptr);
    CHECK(across.stored() == format::f32);
    CHECK(across.depth() == 64);
    const auto along = gpt2::detail::pack<float>(tensor.transposed(), orientation::in_out,
                                                 storage::as_stored, nullptr);
    CHECK(along.stored() == format::q8_0);
    CHECK(along.depth() == 96);
    const auto wide =
        gpt2::detail::pack<double>(tensor, orientation::out_in, storage::as_stored, nullptr);
    CHECK(wide.stored() == format::f32);
    std::vector<double> column(96);
    std::vector<float> same(96);
    gpt2::detail::unpack_column(wide, 7, column.data());
    gpt2::detail::unpack_column(along, 7, same.data());
    CHECK(std::ranges::equal(column, same));
}

TEST_CASE("blocks are packed by several threads alike", "[kernels]") {
    for (const block_kind& kind : kept_blocks) {
        const auto tensor = test::random_stored(kind, 300, 512, engine);
        const auto alone = packed(tensor, storage::as_stored);
        gpt2::thread_pool pool(3);
        const auto together =
            gpt2::detail::pack<float>(tensor, orientation::out_in, storage::as_stored, &pool);
        CHECK(std::memcmp(alone.view().panel(0), together.view().panel(0), alone.bytes()) == 0);
    }
}

TEST_CASE("a scale that is not finite is refused when blocks are packed [119]", "[kernels]") {
    for (const block_kind& kind : kept_blocks)
        for (const std::size_t at : kind.halves)
            for (const int half : {0x7C00, 0xFC00, 0x7E01}) {
                const std::size_t depth = 3 * block_values(kind.type), rows = 21;
                auto bytes = test::random_blocks(kind, 3 * rows, -14, 0, engine);
                const auto place = (3 * 18 + 1) * (bits(kind.type) / 8) + at;  // row 18, block 1
                bytes[place] = static_cast<std::byte>(half & 255);
                bytes[place + 1] = static_cast<std::byte>(half >> 8);
                const auto tensor = test::stored_blocks("h.0.w", kind.type, rows, depth, bytes);
                for (const storage kept : {storage::as_stored, storage::f32}) try {
                        packed(tensor, kept);
                        FAIL("taken: " << name(kind.type));
                    } catch (const gpt2::error& e) {
                        CHECK(e.code() == errc::not_finite);
                        INFO(e.what());
                        const std::string what = e.what();
                        CHECK(what.find("h.0.w") != what.npos);
                        const auto column = std::to_string(depth / 3);
                        CHECK(what.find("row 18, column " + column) != what.npos);
                    }
            }
}

TEST_CASE("blocks are read as they are, within their tensor", "[kernels]") {
    using gpt2::detail::q4_0_block, gpt2::detail::q8_0_block;
    auto bytes = test::random_blocks(kept_blocks[0], 6, -14, 0, engine);
    const auto tensor = test::stored_blocks("t", dtype::q8_0, 3, 64, bytes);
    std::vector<q8_0_block> blocks(4);
    tensor.read_blocks<q8_0_block>(1, 2, blocks);
    CHECK(std::memcmp(blocks.data(), bytes.data() + 2 * 34, 4 * 34) == 0);
    std::vector<q4_0_block> others(4);
    CHECK_ERROR(errc::invalid_argument, tensor.read_blocks<q4_0_block>(1, 2, others));
    CHECK_ERROR(errc::invalid_argument, tensor.read_blocks<q8_0_block>(2, 2, blocks));
    CHECK_ERROR(errc::invalid_argument, tensor.read_blocks<q8_0_block>(4, 0, {}));
    CHECK_ERROR(errc::invalid_argument, tensor.read_blocks<q8_0_block>(0, 1, blocks));
    CHECK_ERROR(errc::invalid_argument, tensor.transposed().read_blocks<q8_0_block>(1, 2, blocks));
}

#if defined(__linux__)
namespace {

/// Memory that ends where reading is a fault.
class guarded_memory {
public:
    explicit guarded_memory(std::size_t bytes) : page_(std::size_t(::sysconf(_SC_PAGESIZE))) {
        size_ = (bytes + page_ - 1) / page_ * page_;
        start_ = ::mmap(nullptr, size_ + page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
        REQUIRE(start_ != MAP_FAILED);
        REQUIRE(::mprotect(static_cast<char*>(start_) + size_, page_, PROT_NONE) == 0);
    }
    guarded_memory(const guarded_memory&) = delete;
    guarded_memory& operator=(const guarded_memory&) = delete;
    ~guarded_memory() { ::munmap(start_, size_ + page_); }

    /// A copy of these bytes at the very end.
    const std::byte* hold(std::span<const std::byte> bytes) const {
        auto* at = static_cast<std::byte*>(start_) + size_ - bytes.size();
        std::copy(bytes.begin(), bytes.end(), at);
        return at;
    }

private:
    std::size_t page_, size_;
    void* start_;
};

}  // namespace

TEST_CASE("nothing is read beyond the last block of a panel [123]", "[kernels]") {
    for (const block_kind& kind : kept_blocks) {
        const std::size_t depth = block_values(kind.type), outputs = 16;
        const auto tensor = test::random_stored(kind, outputs, depth, engine);
        const auto kept = packed(tensor, storage::as_stored);
        const auto bytes = panel_bytes(kept.stored(), depth);
        const guarded_memory w(bytes), x(64 * depth * sizeof(float));
        const auto* panel = w.hold(std::as_bytes(std::span(kept.view().panel(0), bytes)));
        for (const std::size_t rows : {1u, 2u, 8u, 40u}) {
            const auto values = random(rows * depth);
            operands in{{}, {}, rows, false};
            std::vector<float> y(rows * (outputs + 5));
            auto job = job_of(in, {panel, kept.stored(), bytes, depth, outputs}, y);
            job.x = reinterpret_cast<const float*>(x.hold(std::as_bytes(std::span(values))));
            job.x_stride = depth;
            for (const auto& set : available()) CHECK_NOTHROW(set.product(job));
        }
        std::vector<float> column(depth);
        for (std::size_t k = 0; k < depth; ++k)
            column[k] = gpt2::detail::packed_value(reinterpret_cast<const std::uint8_t*>(panel),
                                                   kept.stored(), k, 15);
        CHECK(std::memcmp(column.data(), &values_of(tensor)[15 * depth], depth * 4) == 0);
    }
}
#endif
