// Google Benchmark: choosing a token from 50,257 logits, by setting and by how the logits lie; the
// counter says how often memory was allocated in all turns together, which should be never.
//
//     build/tests/bench_sampler
#include <gpt2/sampler.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

namespace {
std::atomic<std::int64_t> allocations{0};
}

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // inlined, it sees free behind new
#endif
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

constexpr std::size_t vocabulary = 50257;

/// Logits spread as a bell around 0: like a model's for `deviation` 2 to 3, nearly flat for 0.1.
std::vector<float> bell(double deviation) {
    std::vector<float> logits(vocabulary);
    const gpt2::philox random{3, 0};
    for (std::size_t i = 0; i < logits.size(); ++i) {
        double sum = -6;
        for (std::size_t j = 0; j < 12; ++j) sum += random.uniform(12 * i + j);
        logits[i] = static_cast<float>(sum * deviation);
    }
    return logits;
}

void measure(benchmark::State& turns, const gpt2::sampling& how, const std::vector<float>& logits) {
    gpt2::sampler sampler(how, 1);
    std::size_t step = 0;
    sampler.next(logits, step++);  // the first one takes memory
    const auto before = allocations.load();
    for (auto _ : turns) benchmark::DoNotOptimize(sampler.next(logits, step++));
    const auto after = allocations.load();
    turns.counters["allocations"] = static_cast<double>(after - before);
}

}  // namespace

int main(int argc, char** argv) {
    struct named {
        const char* name;
        std::vector<float> logits;
    };
    const std::vector<named> spreads = {
        {"flat", bell(0.1)}, {"usual", bell(2.5)}, {"peaked", bell(8)}};
    using namespace gpt2;
    for (const auto& how : {greedy(), temperature(0.8f), top_k(40), top_k(40, 0.8f), top_p(0.95),
                            top_p(0.9, 0.8f), temperature(0.8f) | top_k(40) | top_p(0.95)})
        for (const auto& spread : spreads)
            benchmark::RegisterBenchmark(
                (describe(how) + "/" + spread.name).c_str(),
                [how, &spread](benchmark::State& turns) { measure(turns, how, spread.logits); })
                ->Unit(benchmark::kMicrosecond);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
