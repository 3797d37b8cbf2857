// Once a vocabulary was seen, drawing allocates nothing. Counts every operator new of this program.
#include "../support/catch.hpp"

#include <gpt2/sampler.hpp>

#include <atomic>
#include <cstdlib>
#include <new>
#include <span>
#include <vector>

namespace {
std::atomic<long> allocations{0};
}

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // inlined, it sees free behind new
#endif
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("sampler: no allocation after the first draw", "[sampler]") {
    std::vector<float> logits(50257), flat(50257, 1.0f), peaked(50257, -100.0f);
    for (std::size_t i = 0; i < logits.size(); ++i)
        logits[i] = static_cast<float>(i * 7919 % 50257) / 5000;
    peaked[77] = 5;
    const long before_any = allocations;
    { std::vector<float> probe(10); }
    REQUIRE(allocations > before_any);  // the counter counts

    using namespace gpt2;
    using kind = mirostat_control::kind;
    const std::vector<token_id> text{1, 2, 3, 1, 2, 3, 1, 2};
    const std::vector<sampling> settings = {
        greedy(),
        temperature(0.8f),
        top_k(50),
        top_k(30000),
        top_p(0.9),
        temperature(0.7f) | top_k(40) | top_p(0.95),
        {.top_p = 0.9, .dialect = dialect::openai2019},
        {.top_k = 300, .dialect = dialect::llama_cpp, .min_p = 0.01, .typical_p = 0.5},
        {.typical_p = 0.9, .epsilon_cutoff = 1e-5, .eta_cutoff = 1e-4, .top_n_sigma = 3},
        {.top_h = 0.5, .dynamic = {.range = 0.5f}},
        {.xtc = {.probability = 1, .threshold = 1e-5f}, .min_tokens_to_keep = 3},
        {.mirostat = {.version = kind::version_1}},
        {.mirostat = {.version = kind::version_2}},
        {.repetition_penalty = 1.2f, .presence_penalty = 1, .dry = {.multiplier = 1}},
        {.no_repeat_ngram = 2, .sequence_bias = {{{2, 3}, 1}}, .bad_words = {{1, 2, 9}}},
        {.suppress = {5}, .end_of_text = {0}, .min_length = 9, .decay = {1, 1.5}},
    };
    for (const sampling& how : settings) {
        sampler sample(how, 1);
        sample.next(peaked, history{text, 0});
        sample.next(logits, history{text, 0});
        const long before = allocations;
        for (std::size_t step = 1; step < 4; ++step) {
            const history past{std::span(text).first(2 * step), step};
            sample.next(logits, past);
            sample.next(flat, past);
            sample.next(peaked, past);
            sample.next(std::span(logits).first(100), past);
        }
        const long after = allocations;
        INFO(describe(how));
        CHECK(after == before);
    }
}
