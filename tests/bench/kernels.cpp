// Google Benchmark: every kernel of every instruction set this machine runs, on the shapes of
// GPT-2's smallest model. Items are multiplications with addition (products) or numbers (the rest);
// bytes are those of the weights read.
//
//     build/tests/bench_kernels --benchmark_filter=product/int8
#include <gpt2/detail/kernels/dispatch.hpp>
#include <gpt2/tensor.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace {

namespace kernels = gpt2::detail::kernels;
using kernels::format;
using kernels::kernel_set;

/// Numbers from -1 to 1, the same each time.
void fill(std::span<float> values) {
    std::uint32_t x = 1;
    for (float& value : values) {
        x = x * 1664525u + 1013904223u;
        value = static_cast<float>(x >> 8) / 8388608.0f - 1.0f;
    }
}

/// y = x·W with a matrix of the feed-forward layer, so many copies of it that each turn reads
/// weights which have left the caches meanwhile, as in a model.
void product(benchmark::State& turns, const kernel_set& set, format stored, std::size_t rows) {
    constexpr std::size_t depth = 768, outputs = 3072, copies = 48;
    const std::size_t panels = gpt2::panel_count(outputs);
    const std::size_t panel_bytes = kernels::panel_bytes(stored, depth);
    gpt2::buffer<std::uint8_t> w(copies * panels * panel_bytes);
    gpt2::buffer<float> x(rows * depth), y(rows * outputs), block(depth * gpt2::panel_width);
    fill(x.span());
    fill(block.span());
    std::memset(w.data(), 0x3c, w.size());  // 0.01 as f32 and bf16, 1 as f16 and as scale
    // Where there are scales, packed as a model packs them.
    for (std::size_t panel = 0; panel < copies * panels; ++panel) {
        std::uint8_t* out = w.data() + panel * panel_bytes;
        const auto step = kernels::block_depth(stored);
        for (std::size_t k = 0; k < depth && kernels::is_quantised(stored); k += step)
            (stored == format::int8 ? set.pack_int8 : set.pack_int4)(
                block.data() + k * gpt2::panel_width,
                out + k / step * kernels::block_bytes(stored));
    }
    gpt2::rounding_room room(rows, depth);
    const auto rounded = room.rows(stored, depth);
    std::size_t copy = 0;
    for (auto _ : turns) {
        if (kernels::is_quantised(stored))
            for (std::size_t t = 0; t < rows; ++t)
                set.quantise(x.data() + t * depth, depth, stored, t, rounded);
        set.product({.x = x.data(),
                     .x_stride = depth,
                     .rounded = kernels::is_quantised(stored) ? rounded : kernels::rounded_rows{},
                     .w = w.data() + copy * panels * panel_bytes,
                     .weights = stored,
                     .panel_stride = panel_bytes,
                     .bias = nullptr,
                     .y = y.data(),
                     .y_stride = outputs,
                     .rows = rows,
                     .depth = depth,
                     .outputs = outputs,
                     .first_panel = 0,
                     .last_panel = panels,
                     .accumulate = false});
        copy = (copy + 1) % copies;
        benchmark::ClobberMemory();
    }
    turns.SetItemsProcessed(turns.iterations() * static_cast<std::int64_t>(rows * depth * outputs));
    turns.SetBytesProcessed(turns.iterations() * static_cast<std::int64_t>(panels * panel_bytes));
}

/// One kernel on a row of numbers that it overwrites with `work(row)`.
template <class Work>
void row_kernel(benchmark::State& turns, std::size_t size, Work work) {
    gpt2::buffer<float> source(size), row(size);
    fill(source.span());
    for (auto _ : turns) {
        std::copy_n(source.data(), size, row.data());
        work(row.data());
        benchmark::ClobberMemory();
    }
    turns.SetItemsProcessed(turns.iterations() * static_cast<std::int64_t>(size));
}

void register_products(const kernel_set& set) {
    struct named {
        const char* name;
        format stored;
    };
    for (const auto& [name, stored] :
         {named{"f32", format::f32}, named{"f16", format::f16}, named{"bf16", format::bf16},
          named{"int8", format::int8}, named{"int4", format::int4}, named{"q8_0", format::q8_0},
          named{"q4_0", format::q4_0}, named{"q4_k", format::q4_k}, named{"q5_k", format::q5_k},
          named{"q6_k", format::q6_k}})
        for (const std::size_t rows : {1u, 8u, 128u}) {
            const auto title = "product/" + std::string(name) + "/rows:" + std::to_string(rows) +
                               "/" + std::string(set.name);
            benchmark::RegisterBenchmark(title.c_str(),
                                         [&set, stored = stored, rows](benchmark::State& turns) {
                                             product(turns, set, stored, rows);
                                         });
        }
}

void register_rows(const kernel_set& set) {
    const auto add = [&set](const char* name, std::size_t size, auto work) {
        const auto title = std::string(name) + "/" + std::string(set.name);
        benchmark::RegisterBenchmark(title.c_str(), [size, work](benchmark::State& turns) {
            row_kernel(turns, size, work);
        });
    };
    add("softmax", 1024, [&set](float* row) { set.softmax(row, 1024, 0.125f); });
    add("layer_norm", 768, [&set](float* row) {
        static const std::vector<float> ones(768, 1.0f), zeros(768, 0.0f);
        set.layer_norm(row, 768, ones.data(), zeros.data(), 1e-5, row);
    });
    add("gelu_new", 3072, [&set](float* row) { set.gated(row, 3072, 1.5957691f, 0.0713548f); });
    add("gelu", 3072, [&set](float* row) { set.gelu(row, 3072); });
}

}  // namespace

int main(int argc, char** argv) {
    for (const auto& set : kernels::available()) {
        register_products(set);
        register_rows(set);
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
