// Once a vocabulary was seen, drawing allocates nothing. Counts every operator new of this program.
#include "../support/catch.hpp"

#include <gpt2/sampler.hpp>

#include <atomic>
#include <cstdlib>
#include <new>
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
    for (const sampling& how : {greedy(), temperature(0.8f), top_k(50), top_k(30000), top_p(0.9),
                                temperature(0.7f) | top_k(40) | top_p(0.95)}) {
        sampler sample(how, 1);
        sample.next(peaked, 0);
        const long before = allocations;
        for (std::size_t step = 1; step < 4; ++step) {
            sample.next(logits, step);
            sample.next(flat, step);
            sample.next(peaked, step);
            sample.next(std::span(logits).first(100), step);
        }
        const long after = allocations;
        INFO(describe(how));
        CHECK(after == before);
    }
}
