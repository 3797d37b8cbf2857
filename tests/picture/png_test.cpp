// Pictures as PNG: the file read again by a reader of this test's own, and what stands on it.
#include "../support/catch.hpp"
#include "pictures.hpp"

#include <gpt2/detail/deflate.hpp>
#include <gpt2/picture_png.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// A zlib stream of one block with the fixed code, as RFC 1950 and 1951 describe it.
class inflater {
public:
    explicit inflater(std::string_view stream) : in_(stream) {}

    std::string read() {
        REQUIRE((in_.size() >= 6 && in_[0] == 0x78));
        REQUIRE((static_cast<unsigned char>(in_[0]) * 256 + static_cast<unsigned char>(in_[1])) %
                    31 ==
                0);
        at_ = 16;
        REQUIRE(bits(1) == 1);
        REQUIRE(bits(2) == 1);
        for (unsigned symbol; (symbol = literal()) != 256;) {
            if (symbol < 256) {
                out_ += static_cast<char>(symbol);
                continue;
            }
            static constexpr std::array<unsigned, 29> lengths = {
                3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
            static constexpr std::array<unsigned, 30> distances = {
                1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
            const unsigned l = symbol - 257, extra = l < 8 || l == 28 ? 0 : (l - 4) / 4;
            const auto length = lengths[l] + bits(extra);
            const unsigned d = code(5);
            if (d >= 30) FAIL("no such distance");
            const auto distance = distances[d] + bits(d < 4 ? 0 : (d - 2) / 2);
            if (symbol > 285 || distance > out_.size()) FAIL("a run from nowhere");
            for (unsigned i = 0; i < length; ++i) out_ += out_[out_.size() - distance];
        }
        const auto tail = in_.substr((at_ + 7) / 8);
        REQUIRE(tail == gpt2::detail::big_endian(gpt2::detail::adler32(out_)));
        return out_;
    }

private:
    unsigned bits(unsigned count) {
        unsigned value = 0;
        for (unsigned i = 0; i < count; ++i, ++at_) {
            if (at_ / 8 >= in_.size()) FAIL("the stream ends too early");
            value |= (static_cast<unsigned char>(in_[at_ / 8]) >> at_ % 8 & 1u) << i;
        }
        return value;
    }
    unsigned code(unsigned count) {
        unsigned value = 0;
        for (unsigned i = 0; i < count; ++i) value = value << 1 | bits(1);
        return value;
    }
    unsigned literal() {
        unsigned value = code(7);
        if (value <= 0x17) return 256 + value;
        value = value << 1 | bits(1);
        if (value >= 0x30 && value <= 0xbf) return value - 0x30;
        if (value >= 0xc0 && value <= 0xc7) return 280 + value - 0xc0;
        return 144 + (value << 1 | bits(1)) - 0x190;
    }

    std::string_view in_;
    std::size_t at_ = 0;
    std::string out_;
};

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

struct image {
    std::size_t width = 0, height = 0;
    std::string rows;

    gpt2::detail::rgb at(std::size_t x, std::size_t y) const {
        const auto* const p =
            reinterpret_cast<const unsigned char*>(rows.data()) + y * (1 + 3 * width) + 1 + 3 * x;
        return {p[0], p[1], p[2]};
    }
    std::size_t count(gpt2::detail::rgb colour) const {
        std::size_t sum = 0;
        for (std::size_t y = 0; y < height; ++y)
            for (std::size_t x = 0; x < width; ++x) sum += at(x, y) == colour;
        return sum;
    }
};

image decoded(const std::string& png) {
    REQUIRE(png.starts_with("\x89PNG\r\n\x1a\n"));
    image found;
    std::string order;
    for (std::size_t at = 8; at < png.size();) {
        const auto size = number_at(png, at);
        const auto body = std::string_view(png).substr(at + 4, size + 4), data = body.substr(4);
        REQUIRE(number_at(png, at + 8 + size) == gpt2::detail::crc32(body));
        order += body.substr(0, 4);
        if (body.starts_with("IHDR")) {
            found.width = number_at(data, 0);
            found.height = number_at(data, 4);
            REQUIRE(data.substr(8) == std::string_view("\x08\x02\x00\x00\x00", 5));
        }
        if (body.starts_with("IDAT")) found.rows = inflater(data).read();
        at += 12 + size;
    }
    REQUIRE(order == "IHDRIDATIEND");
    REQUIRE(found.rows.size() == found.height * (1 + 3 * found.width));
    for (std::size_t y = 0; y < found.height; ++y)
        if (found.rows[y * (1 + 3 * found.width)] != 0) FAIL("a filtered row");
    return found;
}

}  // namespace

TEST_CASE("what is compressed is the same when it is read again", "[picture]") {
    const std::array<std::size_t, 3> distances = {3, 1000, 32768};
    std::mt19937 engine(1);
    for (const std::size_t size : {0u, 1u, 2u, 3u, 257u, 258u, 259u, 260u, 1003u, 70000u}) {
        std::string noise, runs(size, 'a');
        for (std::size_t i = 0; i < size; ++i) {
            noise += static_cast<char>(engine());
            if (i % 1000 > 700) runs[i] = noise[i];
            if (i > 40000) noise[i] = noise[i - 32768];
        }
        for (const auto& bytes : {noise, runs}) {
            gpt2::detail::deflater to(distances);
            const auto small = to.compress(bytes);
            CHECK((inflater(small).read() == bytes));
        }
    }
    for (std::size_t length = 3; length <= 300; ++length) {
        const std::string bytes = "abc" + std::string(length, 'c') + "d";
        gpt2::detail::deflater to(distances);
        CHECK((inflater(to.compress(bytes)).read() == bytes));
    }
    gpt2::detail::deflater to(distances);
    CHECK(to.compress(std::string(100000, 'x')).size() < 700);
    CHECK(gpt2::detail::adler32("Wikipedia") == 0x11e60398);
}

TEST_CASE("a map as PNG has its colours where they belong", "[picture]") {
    using gpt2::detail::rgb_of;
    const auto seen = decoded(gpt2::to_png(test::small_map()));
    // 24 units a cell of which one is a gap, twice as many pixels; three cells are 1, one is NaN.
    CHECK(seen.count(rgb_of(0xffed85)) >= 46 * 46);
    CHECK(seen.count(rgb_of(0xd6006c)) > 46 * 46 * 8 / 10);
    CHECK(seen.count(rgb_of(0xd6006c)) < 46 * 46 * 13 / 10);  // and the legend has one
    CHECK(seen.at(0, 0) == rgb_of(0xffffff));
    const auto dark = decoded(gpt2::to_png(test::small_map(), {1, gpt2::png_theme::dark}));
    CHECK(dark.at(0, 0) == rgb_of(0x16181d));
    CHECK((dark.width + 1) / 2 == (seen.width / 2 + 1) / 2);
    CHECK_ERROR(gpt2::errc::invalid_argument, gpt2::to_png(test::small_map(), {.scale = 9}));
    CHECK_ERROR(gpt2::errc::invalid_argument,
                gpt2::to_png(test::small_map(), {.scale = test::not_a_number}));
}

TEST_CASE("any picture can be a PNG, and no drawing leaves its paper", "[picture]") {
    for (const auto& picture : test::pictures_with(test::hostile_labels()))
        CHECK(decoded(gpt2::to_png(picture, {.scale = 0.5})).width > 40);
    gpt2::bar_chart tall{"", std::vector<gpt2::bar>(100'000)};
    CHECK_ERROR(gpt2::errc::limit_exceeded, gpt2::to_png(tall, {.scale = 8}));
}

TEST_CASE("letters of the font, and escapes for the others", "[picture]") {
    using gpt2::detail::drawable;
    std::string ascii;
    for (char c = ' '; c <= '~'; ++c) ascii += c;
    CHECK(drawable(ascii) == ascii);
    const std::string western = "¿Qué pingüino? ¡Él, ñandú! Çà âêîôû õ å ø ß « » … — “x” 5 €";
    CHECK(drawable(western) == western);
    CHECK(drawable("e\xcc\x81") == "é");
    CHECK(drawable("日😀\xe9\n") == "\\u65e5\\u{1f600}\\xe9\\n");
    CHECK(drawable("שׁ") == "\\u05e9\\u05c1");
    for (const char32_t letter : std::u32string(U"Aagjéñÿ§"))
        CHECK(gpt2::detail::glyph_of(letter).has_value() == (letter != U'§'));
    std::vector<std::string> drawn;
    for (char32_t letter = U'!'; letter <= U'~'; ++letter) {
        std::string lines;
        gpt2::detail::each_line(*gpt2::detail::glyph_of(letter), [&](const auto& line) {
            CHECK(line.size() >= 2);
            for (const auto& at : line) {
                CHECK((at.x >= 0 && at.x <= 4 && at.y >= -8 && at.y <= 2));
                lines += std::to_string(at.x) + std::to_string(at.y);
            }
        });
        CHECK(std::ranges::find(drawn, lines) == drawn.end());  // no two letters alike
        drawn.push_back(lines);
    }
}
