// Keys and values in pages that texts share: a fork is a copy that is never made, and nobody can
// tell.
#include "../support/catch.hpp"
#include "../support/sanitized.hpp"
#include "../support/small_text.hpp"

#include <algorithm>
#include <random>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/resource.h>

#include <fstream>
#endif

namespace {

using format = gpt2::detail::kernels::format;
using test::small_model, test::text;
using ids = std::vector<gpt2::token_id>;

/// The bytes of one page of that model.
template <class Scalar>
std::size_t page_bytes(const small_model<Scalar>& of) {
    return gpt2::kv_cache<Scalar>::bytes(of.shape, of.how.cache, 1);
}

}  // namespace

TEST_CASE("a cache grows with its text, page by page", "[session][pages]") {
    small_model<float> home;
    text<float> a(home);
    CHECK(a.state->kv.bytes() == 0);
    const auto page = page_bytes(home), positions = gpt2::kv_cache<float>::longest_page;
    CHECK(page == positions * home.shape.layers * home.shape.heads * (17 + 32) * sizeof(float));
    a.feed(test::random_ids(home.shape, positions));
    CHECK(a.state->kv.bytes() == page);
    a.feed(ids{1});
    CHECK(a.state->kv.bytes() == 2 * page);
    a.rewind(positions);  // kept for what comes next
    CHECK(a.state->kv.bytes() == 2 * page);
    a.state->kv.shrink_to_fit();
    CHECK(a.state->kv.bytes() == page);
    CHECK(a.is_fresh());
    // A context shorter than a page has shorter pages.
    auto shape = home.shape;
    shape.context_length = 20;
    CHECK(gpt2::kv_cache<float>::page_positions(shape) == 32);
}

TEMPLATE_TEST_CASE("trees of forks: each text is as if it were alone", "[session][pages]", float,
                   double) {
    small_model<TestType> home;
    if constexpr (std::is_same_v<TestType, float>)
        home.how.cache = GENERATE(format::f32, format::f16, format::bf16);
    std::mt19937 engine(5);
    const auto below = [&](std::size_t n) { return engine() % n; };
    std::vector<text<TestType>> texts;
    texts.emplace_back(home);
    for (int step = 0; step < 120; ++step) {
        auto& one = texts[below(texts.size())];
        const auto room = home.shape.context_length - one.tokens.size();
        switch (below(4)) {
            case 0:
                if (texts.size() < 8) {
                    auto other = one.fork();
                    texts.push_back(std::move(other));
                } else {
                    texts.erase(texts.begin() + static_cast<std::ptrdiff_t>(below(7)));
                }
                break;
            case 1:
                one.rewind(below(one.tokens.size() + 1));
                break;
            default:
                if (room == 0) break;
                one.feed(test::random_ids(home.shape, 1 + below(std::min<std::size_t>(room, 80)),
                                          static_cast<unsigned>(step)));
        }
    }
    for (auto& one : texts) {
        INFO(one.tokens.size() << " tokens");
        CHECK(one.is_fresh());
    }
}

TEST_CASE("only the page that is written is copied, once", "[session][pages]") {
    small_model<float> home;
    text<float> a(home);
    a.feed(test::random_ids(home.shape, 200));
    auto b = a.fork();
    const auto page_of = [](const text<float>& t, std::size_t position) {
        return t.state->kv.keys(0, 0, position, 1).panel(0);
    };
    CHECK(page_of(a, 0) == page_of(b, 0));
    CHECK(page_of(a, 128) == page_of(b, 128));
    const auto before = page_of(a, 128);
    b.feed(ids{1});
    CHECK(page_of(a, 0) == page_of(b, 0));
    CHECK(page_of(a, 128) == before);
    CHECK(page_of(b, 128) != before);
    const auto own = page_of(b, 128);
    a.feed(ids{2});  // alone with its page now
    b.feed(ids{2});
    CHECK(page_of(a, 128) == before);
    CHECK(page_of(b, 128) == own);
    // Rewound to the end of a page, it writes a page that the other does not see.
    auto c = a.fork();
    c.rewind(128);
    c.feed(ids{5, 6});
    CHECK(page_of(c, 0) == page_of(a, 0));
    CHECK(page_of(c, 128) != before);
    CHECK((a.is_fresh() && b.is_fresh() && c.is_fresh()));
}

TEST_CASE("pages behind the last position are shared by nobody", "[session][pages]") {
    small_model<float> home;
    text<float> a(home);
    a.feed(test::random_ids(home.shape, 300));
    {
        auto b = a.fork();
        b.rewind(140);
        b.feed(test::random_ids(home.shape, 140, 2));  // copies the second page, makes a third
        b.rewind(10);
        CHECK(b.state->kv.bytes() == 3 * page_bytes(home));
        auto c = b.fork();
        CHECK(c.state->kv.bytes() == page_bytes(home));
        b.feed(test::random_ids(home.shape, 270, 3));
        CHECK((b.is_fresh() && c.is_fresh()));
    }
    CHECK(a.is_fresh());
    auto d = a.fork();
    d.rewind(10);  // what it shares with a, it lets go of
    CHECK(d.state->kv.bytes() == page_bytes(home));
}

TEST_CASE("a cache takes over a part of another", "[session][pages]") {
    small_model<float> home;
    text<float> a(home);
    a.feed(test::random_ids(home.shape, 290));
    for (const std::size_t size : {0u, 1u, 127u, 128u, 129u, 256u, 289u}) {
        text<float> b(home);
        b.feed(test::random_ids(home.shape, 150, 9));
        b.state->kv.copy_from(a.state->kv, size);
        b.tokens.assign(a.tokens.begin(), a.tokens.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK(b.state->kv.size() == size);
        CHECK(b.is_fresh());
    }
    CHECK(a.is_fresh());
}

TEST_CASE("forks go on in different threads", "[session][pages][threads]") {
    small_model<float> home;
    for (int round = 0; round < (test::sanitized ? 5 : 20); ++round) {
        text<float> origin(home);
        origin.feed(test::random_ids(home.shape, 131, static_cast<unsigned>(round)));
        std::vector<text<float>> texts;
        for (int i = 0; i < 4; ++i) texts.push_back(origin.fork());
        if (round % 2 == 0) origin = text<float>(home);  // whoever is last writes in place
        std::vector<std::thread> threads;
        std::vector<char> good(texts.size(), 0);
        for (std::size_t i = 0; i < texts.size(); ++i)
            threads.emplace_back([&, i] {
                auto& one = texts[i];
                for (gpt2::token_id id = 0; id < 6; ++id) {
                    one.feed(ids{id, static_cast<gpt2::token_id>(i)});
                    if (id % 2 == 1) one = one.fork();
                    if (id == 2) one.rewind(129);
                }
                good[i] = one.is_fresh();
            });
        for (auto& thread : threads) thread.join();
        CHECK(std::count(good.begin(), good.end(), 1) == 4);
    }
}

#if defined(__linux__)
TEST_CASE("no memory for a page: the text stays as it was", "[session][pages]") {
    if (test::sanitized) return;
    gpt2::config shape = test::odd_config();
    shape.width = 4096, shape.heads = 2, shape.context_length = 4096;
    const gpt2::thread_pool pool(1);
    gpt2::kv_cache<float> cache(shape);
    cache.reserve(140);
    cache.resize(140);
    const auto bytes = cache.bytes();
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_AS, &limit) == 0);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    auto low = limit;
    low.rlim_cur = pages * 4096 + (std::size_t{64} << 20);
    REQUIRE(::setrlimit(RLIMIT_AS, &low) == 0);
    const auto refused = test::error_of([&] { cache.reserve(4096); });
    REQUIRE(::setrlimit(RLIMIT_AS, &limit) == 0);
    REQUIRE(refused);
    CHECK(refused->code() == gpt2::errc::out_of_memory);
    CHECK(cache.size() == 140);
    CHECK(cache.bytes() >= bytes);
    cache.reserve(4096);
    CHECK(cache.bytes() == gpt2::kv_cache<float>::bytes(shape, format::f32, 4096));
}
#endif
