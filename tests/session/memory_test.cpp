// Out of memory at any allocation leaves a text as it was. Replaces operator new of this program.
#include "../support/catch.hpp"
#include "../support/small_text.hpp"

#include <gpt2/prefix_cache.hpp>
#include <gpt2/snapshot.hpp>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

namespace {
thread_local long allowed = -1;  // allocations until one fails; -1: none does
}

void* operator new(std::size_t size) {
    if (allowed == 0) throw std::bad_alloc();
    if (allowed > 0) --allowed;
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

namespace {

/// Runs `action` with its first allocation failing, its second, … until it succeeds; `check` after
/// each failure. How many failed.
template <class Action, class Check>
long fail_each(Action action, Check check) {
    for (long k = 0;; ++k) {
        allowed = k;
        try {
            action();
            allowed = -1;
            return k;
        } catch (const std::bad_alloc&) {
            allowed = -1;
        } catch (const gpt2::error& problem) {
            allowed = -1;
            CHECK(problem.code() == gpt2::errc::out_of_memory);
        }
        check();
    }
}

}  // namespace

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
