// What was read once is not read again, and nobody can tell but by the time it takes.
#include "../support/catch.hpp"
#include "../support/small_text.hpp"

#include <gpt2/prefix_cache.hpp>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

namespace {

using format = gpt2::detail::kernels::format;
using gpt2::prefix_cache;
using test::small_model, test::text;
using ids = std::vector<gpt2::token_id>;

constexpr std::size_t unlimited = std::size_t{1} << 40;

std::size_t page_bytes(const small_model<float>& of) {
    return gpt2::kv_cache<float>::bytes(of.shape, of.how.cache, 1);
}

/// Reads a text as a session would; returns how many tokens it was saved.
std::size_t read(text<float>& to, const ids& all, prefix_cache& known) {
    const auto saved = known.find(all, to.state->kv);
    to.tokens.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(to.state->kv.size()));
    to.feed(std::span(all).subspan(to.tokens.size()));
    known.insert(to.tokens, to.state->kv);
    return saved;
}

/// The first tokens of one text, then others.
ids grown(const ids& from, std::size_t kept, std::size_t more, unsigned seed) {
    auto text = from;
    text.resize(std::min(kept, text.size()));
    std::mt19937 engine(seed);
    while (more-- > 0) text.push_back(static_cast<gpt2::token_id>(engine() % 3));
    return text;
}

std::size_t common(const ids& a, const ids& b) {
    const auto differ = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(differ.first - a.begin());
}

}  // namespace

TEST_CASE("the longest known beginning, to the token, and the same logits", "[session][prefix]") {
    small_model<float> home;
    home.how.cache = GENERATE(format::f32, format::bf16);
    prefix_cache known(home.shape, home.how.cache, unlimited);
    std::mt19937 engine(11);
    std::vector<ids> read_so_far{{}};
    std::size_t hits = 0, saved = 0;
    for (unsigned step = 0; step < 60; ++step) {
        const auto& base = read_so_far[engine() % read_so_far.size()];
        const auto kept = base.empty() ? 0 : engine() % base.size();
        const auto all = grown(base, kept, 1 + engine() % (299 - kept), step);
        std::size_t longest = 0;
        for (const auto& other : read_so_far) longest = std::max(longest, common(all, other));
        longest = std::min(longest, all.size() - 1);
        text<float> a(home), b(home);
        CHECK(read(a, all, known) == longest);
        b.feed(all);
        CHECK(a.logits == b.logits);
        for (auto* one : {&a, &b}) one->feed(ids{1});
        CHECK(a.logits == b.logits);
        read_so_far.push_back(all);
        hits += longest > 0;
        saved += longest;
    }
    const auto found = known.statistics();
    CHECK(found.lookups == 60);
    CHECK(found.hits == hits);
    CHECK(found.tokens_saved == saved);
    CHECK(found.evictions == 0);
    CHECK(found.bytes == found.pages * page_bytes(home));
    CHECK(hits > 40);
}

TEST_CASE("a page is held once, whoever begins with it", "[session][prefix]") {
    small_model<float> home;
    prefix_cache known(home.shape, format::f32, unlimited);
    const auto first = test::random_ids(home.shape, 200);
    text<float> a(home);
    CHECK(read(a, first, known) == 0);
    CHECK(known.statistics().pages == 2);
    for (unsigned i = 0; i < 5; ++i) {
        text<float> b(home);
        CHECK(read(b, grown(first, 128, 10, 100 + i), known) >= 128);
    }
    CHECK(known.statistics().pages <= 2 + 5);
    // The same text once more adds nothing; a longer one takes the place of its own beginning.
    const auto pages = known.statistics().pages;
    text<float> c(home), d(home), e(home);
    CHECK(read(c, first, known) == 199);
    CHECK(known.statistics().pages == pages);
    const auto longer = grown(first, 200, 20, 7);
    CHECK(read(d, longer, known) == 200);
    CHECK(known.statistics().pages == pages);
    CHECK(read(e, grown(longer, 220, 1, 8), known) == 220);
    // Only what is computed is remembered, and only more than a text has is taken.
    prefix_cache other(home.shape, format::f32, unlimited);
    other.insert(grown(longer, 220, 5, 8), d.state->kv);
    text<float> f(home);
    CHECK(other.find(grown(longer, 220, 9, 8), f.state->kv) == 220);
    CHECK(other.find(longer, f.state->kv) == 0);
    CHECK(f.state->kv.size() == 220);
    CHECK(other.find(ids{}, f.state->kv) == 0);
    CHECK(other.find(ids{longer[0]}, f.state->kv) == 0);
}

TEST_CASE("a prefix cache keeps to its budget, the last used stays", "[session][prefix]") {
    small_model<float> home;
    std::vector<ids> all;
    for (unsigned i = 0; i < 6; ++i) all.push_back(test::random_ids(home.shape, 200, i));
    const auto bytes = page_bytes(home);
    for (const std::size_t budget : {std::size_t{0}, bytes - 1, bytes, 4 * bytes, 5 * bytes + 1}) {
        prefix_cache known(home.shape, format::f32, budget);
        for (unsigned round = 0; round < 16; ++round) {
            text<float> a(home);
            read(a, grown(all[round * round % 6], 190 + round % 3, round % 7, round), known);
            CHECK(known.statistics().bytes <= budget);
            if (round % 5 == 0) CHECK(a.is_fresh());
        }
        CHECK((known.statistics().pages > 0) == (budget >= bytes));
    }
    prefix_cache known(home.shape, format::f32, 4 * bytes);  // two texts
    const auto saved = [&](std::size_t i) {
        text<float> a(home);
        return read(a, all[i], known);
    };
    CHECK(saved(0) == 0);
    CHECK(saved(1) == 0);
    CHECK(saved(0) == 199);
    CHECK(saved(2) == 0);  // in the place of text 1, page by page
    CHECK(known.statistics().evictions == 2);
    CHECK(saved(0) == 199);
    CHECK(saved(2) == 199);
    CHECK(saved(1) == 0);
    // Of a text with more pages than the budget allows, the beginning is kept.
    prefix_cache small(home.shape, format::f32, 2 * bytes);
    text<float> a(home), b(home);
    const auto longest = test::random_ids(home.shape, 300, 9);
    CHECK(read(a, longest, small) == 0);
    CHECK(read(b, longest, small) == 256);
}

TEST_CASE("texts in many threads share what they read", "[session][prefix][threads]") {
    small_model<float> home;
    prefix_cache known(home.shape, format::f32, 5 * page_bytes(home));
    const auto base = test::random_ids(home.shape, 160);
    std::vector<char> good(4, 0);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < good.size(); ++i)
        threads.emplace_back([&, i] {
            bool same = true;
            for (unsigned round = 0; round < 6; ++round) {
                text<float> a(home);
                read(a, grown(base, 100 + 20 * (round % 3), 20, 10 * i + round), known);
                same = same && a.is_fresh();
            }
            good[i] = same;
        });
    for (auto& thread : threads) thread.join();
    CHECK(std::count(good.begin(), good.end(), 1) == 4);
    CHECK(known.statistics().bytes <= 5 * page_bytes(home));
    CHECK(known.statistics().hits > 12);
}

TEST_CASE("a very long text in a prefix cache", "[session][prefix]") {
    auto c = test::odd_config();
    c.context_length = 1 << 20, c.width = 2, c.heads = 1, c.layers = 1;
    gpt2::kv_cache<float> kv(c), other(c);
    kv.reserve(c.context_length);
    kv.resize(c.context_length);
    const ids all(c.context_length, 1);
    prefix_cache known(c, format::f32, unlimited);
    known.insert(all, kv);
    CHECK(known.statistics().pages == c.context_length / 128);
    CHECK(known.find(all, other) == c.context_length - 1);
}
