// A text kept in a file: it goes on to the bit as it would have, and a file that is damaged, or of
// another model, changes nothing.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/process.hpp"
#include "../support/small_text.hpp"

#include <gpt2/snapshot.hpp>

#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using format = gpt2::detail::kernels::format;
using gpt2::errc, gpt2::text_snapshot, gpt2::detail::identity;
using test::small_model, test::text;
using ids = std::vector<gpt2::token_id>;

constexpr identity ours{0x1234, 0x5678};

text_snapshot snapshot_of(const text<float>& from) {
    return {from.tokens, from.state->kv, from.logits, 3 * from.tokens.size()};
}

std::string written(const text_snapshot& from, const identity& of = ours) {
    std::string bytes;
    gpt2::detail::write_snapshot(from, of, [&](std::string_view part) { bytes += part; });
    return bytes;
}

text_snapshot read(std::string_view bytes, const gpt2::config& shape, const identity& of = ours,
                   format stored = format::f32) {
    const gpt2::detail::memory_source source("a file",
                                             std::as_bytes(std::span(bytes.data(), bytes.size())));
    return gpt2::detail::read_snapshot(source, shape, of, stored);
}

/// The file with another number at `offset` of its front, whose checksum is right.
template <class Number>
std::string patched(std::string bytes, std::size_t offset, Number number) {
    constexpr auto front = gpt2::detail::snapshot_front_bytes - sizeof(std::uint64_t);
    std::memcpy(bytes.data() + offset, &number, sizeof number);
    const auto sum = gpt2::detail::checksum().add(std::string_view(bytes).substr(0, front)).value();
    std::memcpy(bytes.data() + front, &sum, sizeof sum);
    return bytes;
}

/// A shape whose files are some hundred bytes.
gpt2::config tiny_config() {
    auto c = test::odd_config();
    c.vocabulary_size = 5, c.context_length = 6, c.width = 4, c.layers = 2, c.inner_width = 5;
    c.end_of_text = {};
    return c;
}

}  // namespace

TEST_CASE("a text that is restored goes on to the bit", "[session][snapshot]") {
    small_model<float> home;
    home.how.cache = GENERATE(format::f32, format::f16, format::bf16);
    for (const std::size_t length : {1u, 15u, 127u, 128u, 129u, 299u, 300u}) {
        INFO(length << " tokens, cache " << int(home.how.cache));
        text<float> a(home);
        a.feed(test::random_ids(home.shape, length));
        const auto bytes = written(snapshot_of(a));
        const auto known = read(bytes, home.shape, ours, home.how.cache);
        CHECK(known.tokens == a.tokens);
        CHECK(known.logits == a.logits);
        CHECK(known.dropped == 3 * length);
        CHECK(known.kv.size() == length);
        CHECK(written(known) == bytes);
        if (length == 300) continue;
        text<float> b(home);
        b.state->kv.copy_from(known.kv);
        for (auto* one : {&a, &b}) one->feed(ids{7});
        CHECK(a.logits == b.logits);
    }
}

TEST_CASE("a snapshot stays what it was while its text goes on", "[session][snapshot]") {
    small_model<float> home;
    text<float> a(home);
    a.feed(test::random_ids(home.shape, 140));
    const auto kept = snapshot_of(a);
    const auto before = written(kept);
    a.feed(ids{1, 2, 3});
    a.rewind(5);
    a.feed(test::random_ids(home.shape, 200, 3));
    CHECK(written(kept) == before);
    // What a text has forgotten is not in its file.
    text<float> b(home), c(home);
    b.feed(test::random_ids(home.shape, 200, 4));
    b.rewind(0);
    for (auto* one : {&b, &c}) one->feed(test::random_ids(home.shape, 140));
    CHECK(written(snapshot_of(b)) == written(snapshot_of(c)));
}

TEST_CASE("a text without logits: the last token is not computed", "[session][snapshot]") {
    small_model<float> home;
    text<float> a(home);
    const text_snapshot empty{{}, a.state->kv, {}};
    CHECK(read(written(empty), home.shape).tokens.empty());
    a.feed(ids{1, 2, 3});
    auto some = snapshot_of(a);
    some.logits.clear();
    CHECK_ERROR(errc::bad_session, read(written(some), home.shape));
    some.tokens.push_back(9);
    const auto known = read(written(some), home.shape);
    CHECK(known.tokens == ids{1, 2, 3, 9});
    CHECK(known.kv.size() == 3);
}

TEST_CASE("where the numbers of a file are", "[session][snapshot]") {
    const auto c = tiny_config();  // 2 layers, 2 heads of 2
    gpt2::kv_cache<float> kv(c);
    kv.reserve(3);
    const auto number = [](std::size_t layer, std::size_t head, std::size_t t, std::size_t d) {
        return static_cast<float>(((layer * 2 + head) * 3 + t) * 2 + d);
    };
    for (std::size_t layer = 0; layer < 2; ++layer)
        for (std::size_t head = 0; head < 2; ++head) {
            float k[3][2], v[3][2];
            for (std::size_t t = 0; t < 3; ++t)
                for (std::size_t d = 0; d < 2; ++d) {
                    k[t][d] = number(layer, head, t, d);
                    v[t][d] = -k[t][d];
                }
            kv.write(layer, head, {&k[0][0], 3, 2}, {&v[0][0], 3, 2});
        }
    kv.resize(3);
    const auto bytes = written({{4, 3, 2}, kv, {.5f, 1, 2, 3, 4}, 70});
    std::string expected = "gpt2text";
    const auto add = [&](auto value) { gpt2::detail::append_number(expected, value); };
    add(std::uint32_t{1}), add(std::uint32_t{0});
    const std::uint64_t size = 80 + 3 * 4 + 5 * 4 + 3 * 16 * 4 + 8;
    for (const std::uint64_t x : {size, std::uint64_t{0x1234}, std::uint64_t{0x5678}}) add(x);
    for (const std::uint64_t x : {3, 3, 5, 70}) add(x);
    CHECK(bytes.size() == size);
    CHECK(bytes.substr(0, 72) == expected);
    const std::size_t rows = 80 + 12 + 20;
    CHECK(bytes[80] == 4);
    for (std::size_t t = 0; t < 3; ++t)
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t d = 0; d < 2; ++d) {
                const auto at = rows + t * 64 + i * 16 + d * 4;
                const float x = number(i / 2, i % 2, t, d);
                CHECK(gpt2::detail::number_at<float>(bytes, at) == x);
                CHECK(gpt2::detail::number_at<float>(bytes, at + 8) == -x);
            }
}

TEST_CASE("a file that is cut short or damaged is refused", "[session][snapshot]") {  // 268
    small_model<float> home;
    home.shape = tiny_config();
    home.model = test::random_weights(home.shape).model(home.shape);
    text<float> a(home);
    a.feed(ids{1, 2, 3, 4});
    const auto bytes = written(snapshot_of(a));
    REQUIRE(read(bytes, home.shape).tokens.size() == 4);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        INFO("cut after " << size);
        CHECK_ERROR(errc::truncated, read(bytes.substr(0, size), home.shape));
    }
    CHECK_ERROR(errc::bad_session, read(bytes + '\0', home.shape));
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            auto other = bytes;
            other[i] = static_cast<char>(other[i] ^ 1 << bit);
            INFO("byte " << i << ", bit " << bit);
            CHECK_ERROR(errc::bad_session, read(other, home.shape));
        }
}

TEST_CASE("a file of something else is refused", "[session][snapshot]") {  // 268
    small_model<float> home;
    text<float> a(home);
    a.feed(test::random_ids(home.shape, 20));
    const auto bytes = written(snapshot_of(a));
    const auto refuses = [&](const std::string& part, const std::function<void()>& action) {
        const auto problem = test::error_of(action);
        REQUIRE(problem);
        CHECK(problem->code() == errc::bad_session);
        CHECK_THAT(problem->what(), test::mentions(part));
    };
    refuses("another model", [&] { read(bytes, home.shape, {1, ours.tokenizer}); });
    refuses("this tokenizer", [&] { read(bytes, home.shape, {ours.model, 0}); });
    refuses("format 2", [&] { read(bytes, home.shape, ours, format::bf16); });
    refuses("a saved session", [&] { read(patched(bytes, 0, 'G'), home.shape); });
    CHECK_ERROR(errc::unsupported, read(patched(bytes, 8, std::uint32_t{2}), home.shape));
    // Counts far beyond any file take no memory (CVE-2026-43629).
    for (std::size_t offset = 40; offset < 72; offset += 8)
        for (const auto count :
             {std::uint64_t{1} << 61, std::numeric_limits<std::uint64_t>::max(),
              std::uint64_t{1} << 62, std::uint64_t{1} << 32, std::uint64_t{21}}) {
            // As many tokens may have been dropped: nothing in the file depends on it.
            if (offset == 64 && count <= std::uint64_t{1} << 32) continue;
            INFO("offset " << offset << ", count " << count);
            std::size_t growth = 0;
            growth = test::peak_growth([&] {
                CHECK_ERROR(errc::bad_session, read(patched(bytes, offset, count), home.shape));
            });
            CHECK(growth < (std::size_t{8} << 20));
        }
    auto wild = snapshot_of(a);
    wild.tokens[3] = 53;
    refuses("tokens below 53", [&] { read(written(wild), home.shape); });
    wild.tokens[3] = -1;
    refuses("tokens below 53", [&] { read(written(wild), home.shape); });
}

TEST_CASE("a snapshot in a file: whole or not at all", "[session][snapshot]") {
    small_model<float> home;
    text<float> a(home);
    a.feed(test::random_ids(home.shape, 20));
    const test::scratch_folder folder;
    const auto path = folder / "text";
    const auto save = [&](gpt2::existing what) {
        gpt2::detail::save_snapshot(snapshot_of(a), ours, path, what);
    };
    save(gpt2::existing::keep);
    CHECK(test::read_file(path) == written(snapshot_of(a)));
    CHECK_ERROR(errc::write_failed, save(gpt2::existing::keep));
    a.feed(ids{1});
    save(gpt2::existing::replace);
    const gpt2::detail::file_source file(path);
    const auto known = gpt2::detail::read_snapshot(file, home.shape, ours, format::f32);
    CHECK(known.tokens == a.tokens);
    // A disk that is full leaves what was there.
    int calls = 0;
    CHECK_THROWS(gpt2::detail::write_snapshot(known, ours, [&](std::string_view) {
        if (++calls == 5) throw std::runtime_error("full");
    }));
}

TEST_CASE("every weight counts for the identity of a model", "[session][snapshot]") {
    auto c = tiny_config();
    c.tied_head = GENERATE(true, false);
    const auto print = [&](const test::random_weights& weights,
                           gpt2::storage kept = gpt2::storage::as_stored) {
        return gpt2::detail::fingerprint(weights.model(c, kept));
    };
    const test::random_weights weights(c);
    const auto known = print(weights);
    CHECK(print(weights) == known);
    CHECK(print(weights, gpt2::storage::bf16) != known);
    CHECK(gpt2::detail::fingerprint(weights.model<double>(c)) != known);
    for (const auto& tensor : weights.tensors) {
        INFO(tensor.name);
        for (const std::size_t i : {std::size_t{0}, tensor.values.size() - 1}) {
            auto other = weights;
            other.find(tensor.name).values[i] += 0.01f;
            CHECK(print(other) != known);
        }
    }
    c.layer_norm_epsilon = 1e-6;
    CHECK(print(weights) != known);
}

TEST_CASE("every rule counts for the identity of a tokenizer", "[session][snapshot]") {
    gpt2::vocabulary words;
    for (const char* token : {"a", "b", "c", "ab", "bc", "abc"}) words.tokens.push_back(token);
    words.merges = {{0, 1, 3}, {1, 2, 4}, {3, 2, 5}};
    words.added = {{.content = "<end>", .id = 6, .special = true}};
    const auto print = [](const gpt2::vocabulary& from) {
        return gpt2::detail::fingerprint(gpt2::tokenizer(from));
    };
    const auto known = print(words);
    CHECK(print(gpt2::tokenizer(words).parts()) == known);
    const auto changed = [&](auto change) {
        auto other = words;
        change(other);
        return print(other) != known;
    };
    CHECK(changed([](auto& v) { v.tokens[2] = "d", v.merges.pop_back(), v.merges.pop_back(); }));
    CHECK(changed([](auto& v) { v.merges.pop_back(); }));
    CHECK(changed([](auto& v) { std::swap(v.merges[0], v.merges[1]); }));
    CHECK(changed([](auto& v) { v.added[0].special = false; }));
    CHECK(changed([](auto& v) { v.added[0].content = "<END>"; }));
    CHECK(changed([](auto& v) { v.prefix = gpt2::prefix::space; }));
    CHECK(changed([](auto& v) { v.cuts = gpt2::cuts::none; }));
}

TEST_CASE("an identity is found out once", "[session][snapshot]") {
    const auto c = tiny_config();
    const auto model = test::random_weights(c).model(c),
               other = test::random_weights(c, 2).model(c);
    const gpt2::detail::lazy_identity known;
    CHECK(known.of(model, nullptr) == identity{gpt2::detail::fingerprint(model), 0});
    CHECK(known.of(other, nullptr).model == gpt2::detail::fingerprint(model));
}
