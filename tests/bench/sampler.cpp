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
#include <span>
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
    std::vector<gpt2::token_id> text(1024);  // tales of 97 tokens that repeat
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<gpt2::token_id>(i % 97);
    std::size_t step = 512;
    const auto past = [&] { return gpt2::history{std::span(text).first(step++ % 512 + 512), 9}; };
    for (int i = 0; i < 520; ++i) sampler.next(logits, past());  // the first ones take memory
    const auto before = allocations.load();
    for (auto _ : turns) benchmark::DoNotOptimize(sampler.next(logits, past()));
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
    using kind = mirostat_control::kind;
    const std::vector<sampling> settings = {
        greedy(),
        temperature(0.8f),
        top_k(40),
        top_k(40, 0.8f),
        top_p(0.95),
        top_p(0.9, 0.8f),
        temperature(0.8f) | top_k(40) | top_p(0.95),
        {.top_p = 0.95, .dialect = dialect::openai2019},
        {.min_p = 0.05},
        {.typical_p = 0.9},
        {.eta_cutoff = 1e-3},
        {.top_h = 0.5},
        {.top_n_sigma = 1},
        {.dynamic = {.range = 0.5f}},
        {.xtc = {.probability = 1}},
        {.mirostat = {.version = kind::version_1}},
        {.mirostat = {.version = kind::version_2}},
        {.repetition_penalty = 1.2f},
        {.dry = {.multiplier = 0.8f}},
        {.no_repeat_ngram = 3},
        greedy() | sampling{.repetition_penalty = 1.2f, .no_repeat_ngram = 3}};
    for (const auto& how : settings)
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
