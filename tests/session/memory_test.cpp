// Out of memory at any allocation leaves a text as it was. Replaces operator new of this program,
// and calloc where the linker is told to let it (tests/CMakeLists.txt).
#include "../support/catch.hpp"
#include "../support/failing_allocations.hpp"
#include "../support/small_text.hpp"

#include <gpt2/prefix_cache.hpp>
#include <gpt2/snapshot.hpp>

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <vector>

void* operator new(std::size_t size) {
    if (test::allocations_left == 0) throw std::bad_alloc();
    if (test::allocations_left > 0) --test::allocations_left;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // inlined, it sees free behind new
#endif
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    try {
        return operator new(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// Buffers come from calloc. The linker's --wrap=calloc makes these two of it.
extern "C" [[gnu::weak]] void* __real_calloc(std::size_t count, std::size_t size);
extern "C" void* __wrap_calloc(std::size_t count, std::size_t size) {
    if (test::allocations_left == 0) return nullptr;
    if (test::allocations_left > 0) --test::allocations_left;
    return __real_calloc(count, size);
}

using test::fail_each;

TEST_CASE("out of memory at any allocation leaves a text as it was", "[session][memory]") {
    test::small_model<float> home;
    test::text<float> origin(home);
    origin.feed(test::random_ids(home.shape, 100));
    auto text = origin.fork();  // its next token copies a page, and makes another
    const auto more = test::random_ids(home.shape, 60, 2);
    const auto unchanged = [&] {
        CHECK(text.state->kv.size() == 100);
        CHECK(text.fork().is_fresh());
    };
    CHECK(
        fail_each(
            [&] {
                home.model.forward(more, *text.state, {text.logits.data(), 1, text.logits.size()});
            },
            unchanged) >= 2);
    CHECK(text.state->kv.size() == 160);
    CHECK(origin.is_fresh());
}

TEST_CASE("sizes that no memory has are refused before it is asked", "[session][memory]") {  // 303
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    for (const std::size_t size : {most, most / 2, most / 4 + 1, most / 8})
        CHECK_ERROR(gpt2::errc::out_of_memory, gpt2::buffer<float>(size));
    auto shape = test::long_config();
    shape.context_length = most / 16;  // refused, so no product of sizes overflows
    CHECK_ERROR(gpt2::errc::bad_config, shape.validate());
}

TEST_CASE("out of memory while a prefix cache is asked or told", "[session][memory]") {
    test::small_model<float> home;
    gpt2::prefix_cache known(home.shape, gpt2::detail::kernels::format::f32, 1 << 24);
    test::text<float> a(home), b(home);
    const auto all = test::random_ids(home.shape, 280);
    a.feed(all);
    CHECK(fail_each([&] { known.insert(a.tokens, a.state->kv); },
                    [&] { CHECK(known.statistics().pages <= 3); }) >= 3);
    CHECK(known.statistics().pages == 3);
    CHECK(fail_each([&] { known.find(all, b.state->kv); },
                    [&] { CHECK(b.state->kv.size() == 0); }) >= 1);
    CHECK(b.state->kv.size() == 279);
    b.tokens.assign(all.begin(), all.end() - 1);
    CHECK(b.is_fresh());
}

TEST_CASE("out of memory while a snapshot is read", "[session][memory]") {
    test::small_model<float> home;
    test::text<float> a(home);
    a.feed(test::random_ids(home.shape, 140));
    std::string bytes;
    gpt2::detail::write_snapshot({a.tokens, a.state->kv, a.logits}, {},
                                 [&](std::string_view part) { bytes += part; });
    const gpt2::detail::memory_source file("a file",
                                           std::as_bytes(std::span(bytes.data(), bytes.size())));
    CHECK(fail_each(
              [&] {
                  const auto read = gpt2::detail::read_snapshot(file, home.shape, {},
                                                                gpt2::detail::kernels::format::f32);
                  if (read.tokens != a.tokens) throw std::logic_error("other tokens");
              },
              [] {}) >= 4);
}
