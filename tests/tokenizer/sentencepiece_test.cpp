// SentencePiece files: ids and normalised text as Python's `sentencepiece` has them, models that
// contradict themselves, and every broken version of one small model.
#include "reference_cases.hpp"

#include <gpt2/detail/sentencepiece.hpp>

#include <chrono>

using namespace gpt2::detail;
using ids = std::vector<gpt2::token_id>;

namespace {

sentencepiece loaded(const std::string& bytes) {
    return sentencepiece(read_sentencepiece_model(bytes, "test.model"));
}

ids encoded(const sentencepiece& model, std::string_view text) {
    ids out;
    model.encode(text, out);
    return out;
}

// Protocol buffers, as far as these files need them.
std::string varint(std::uint64_t number) {
    std::string out;
    for (; number > 127; number >>= 7) out += static_cast<char>(128 | (number & 127));
    return out += static_cast<char>(number);
}
std::string number_field(unsigned field, std::uint64_t number) {
    return varint(field << 3) + varint(number);
}
std::string bytes_field(unsigned field, const std::string& bytes) {
    return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string piece(const std::string& text, float score = 0, piece_kind kind = piece_kind::normal) {
    std::uint32_t bits;
    std::memcpy(&bits, &score, 4);
    return bytes_field(1, bytes_field(1, text) + varint(2 << 3 | 5) + test::little_endian(bits, 4) +
                              number_field(3, static_cast<std::uint64_t>(kind)));
}
const std::string unknown = piece("<unk>", 0, piece_kind::unknown);
std::string trainer(std::uint64_t algorithm) { return bytes_field(2, number_field(3, algorithm)); }
/// No space in front, none taken away.
const std::string as_it_is = bytes_field(3, number_field(3, 0) + number_field(4, 0));

}  // namespace

TEST_CASE("ids and normalised text are those of Python's sentencepiece") {
    for (const auto& [name, expected] : test::reference_cases().at("models").items()) {
        INFO(name);
        const sentencepiece model = loaded(test::reference_model(name));
        test::check_hashes(test::reference_texts(), expected.at("ids"),
                           [&](const std::string& text) { return encoded(model, text); });
        if (expected.contains("normalized"))
            test::check_hashes(test::reference_texts(), expected.at("normalized"),
                               [&](const std::string& text) { return model.normalized(text); });
    }
}

TEST_CASE("bytes that are no UTF-8 are taken as Python's sentencepiece takes them") {
    for (const auto& broken : test::reference_cases().at("broken")) {
        INFO(broken.dump());
        const sentencepiece model = loaded(test::reference_model(broken[0].get<std::string>()));
        CHECK(encoded(model, test::from_hex(broken[1].get<std::string>())) == broken[2].get<ids>());
    }
}

TEST_CASE("what a model says of itself") {
    const auto model = read_sentencepiece_model(test::reference_model("bpe_bytes"), "x");
    CHECK(model.kind == sentencepiece_model::algorithm::bpe);
    CHECK((model.byte_fallback && !model.add_dummy_prefix && !model.remove_extra_spaces));
    CHECK((model.unknown == 0 && model.begin == 1 && model.end == 2 && model.padding == -1));
    CHECK(model.pieces.size() == 520);
    CHECK(model.unknown_surface == " \u2047 ");
    CHECK(read_sentencepiece_model(test::reference_model("bpe_across"), "x").space_behind);
    const auto other = read_sentencepiece_model(
        unknown + piece("<end>", 0, piece_kind::control) + bytes_field(2, bytes_field(47, "<end>")),
        "x");
    CHECK((other.begin == -1 && other.end == 1));
}

TEST_CASE("tokens give their text back") {
    const sentencepiece model = loaded(test::reference_model("bpe_bytes"));
    const std::string text = "the  東京 \xF0\x9F\x99\x82 was 1984.";
    std::string joined;
    for (const auto id : encoded(model, text)) joined += model.bytes(id);
    CHECK(joined == text);
    CHECK(model.bytes(0) == " \u2047 ");
    CHECK(model.bytes(1).empty());
    CHECK_ERROR(gpt2::errc::token_out_of_range, model.bytes(-1));
    CHECK_ERROR(gpt2::errc::token_out_of_range, model.bytes(520));
}

TEST_CASE("pairs merge by score, then from the left; unused pieces are taken apart") {
    const std::string letters = unknown + piece("a", -9) + piece("b", -9) + piece("c", -9);
    const std::string bpe = trainer(2) + as_it_is;
    CHECK(encoded(loaded(letters + piece("ab", -2) + piece("bc", -1) + bpe), "abc") == ids{1, 5});
    CHECK(encoded(loaded(letters + piece("ab", -1) + piece("bc", -1) + bpe), "abc") == ids{4, 3});
    CHECK(encoded(loaded(letters + piece("aa", -1) + bpe), "aaa") == ids{4, 1});
    const std::string unused = piece("ab", -1, piece_kind::unused);
    CHECK(encoded(loaded(letters + unused + bpe), "abab") == ids{1, 2, 1, 2});
    CHECK(encoded(loaded(letters + unused + piece("abc", -2) + bpe), "abc") == ids{5});
    const std::string whole = piece("ab", 0, piece_kind::user_defined);
    CHECK(encoded(loaded(letters + whole + piece("bc", -1) + piece("abc", -1) + bpe), "abcbc") ==
          ids{4, 3, 5});
}

TEST_CASE("scores are added in single precision, and user-defined pieces have one of their own") {
    // As sentencepiece 0.2.3 has these.
    const std::string rest = trainer(1) + as_it_is;
    const std::string pieces =
        unknown + piece("a", -4.7F) + piece("b", -7.2F) + piece("aa", -3.8F) + piece("ab", -6.3F);
    CHECK(encoded(loaded(pieces + rest), "aab") == ids{1, 4});
    const std::string whole = unknown + piece("c", -1) + piece("ab", 0, piece_kind::user_defined);
    CHECK(encoded(loaded(whole + piece("abc", -0.95F) + rest), "abc") == ids{2, 1});
    CHECK(encoded(loaded(whole + piece("abc", -0.85F) + rest), "abc") == ids{3});
}

TEST_CASE("files that contradict themselves are refused by name") {
    using gpt2::errc;
    const auto refused = [](errc code, const std::string& bytes) {
        CHECK_ERROR(code, read_sentencepiece_model(bytes, "x"));
    };
    refused(errc::bad_tokenizer, "");
    refused(errc::bad_tokenizer, piece("a"));  // no unknown piece
    refused(errc::bad_tokenizer, unknown + unknown);
    refused(errc::bad_tokenizer, unknown + piece("a") + piece("a"));
    refused(errc::bad_tokenizer, unknown + piece(""));
    refused(errc::bad_tokenizer, unknown + piece(std::string("a\0b", 3)));
    refused(errc::bad_tokenizer, unknown + piece(std::string(8000, 'a')));
    refused(errc::bad_tokenizer, unknown + piece("a", std::numeric_limits<float>::quiet_NaN()));
    refused(errc::bad_tokenizer, unknown + piece("a", 2e20F));
    refused(errc::bad_tokenizer, unknown + piece("a", 0, static_cast<piece_kind>(7)));
    refused(errc::bad_tokenizer, unknown + piece("<0x41>", 0, piece_kind::byte));  // no fallback
    refused(errc::bad_tokenizer, unknown + bytes_field(2, number_field(35, 1)));   // no byte
    refused(errc::bad_tokenizer, unknown + trainer(5));
    refused(errc::bad_tokenizer, unknown + bytes_field(3, bytes_field(3, "x")));  // no number
    refused(errc::bad_tokenizer, unknown + "\x0B");                               // a group
    refused(errc::bad_tokenizer, unknown + std::string(1, '\0'));                 // field 0
    refused(errc::bad_tokenizer, unknown + "\x08" + std::string(10, '\xFF'));     // 70 bits
    refused(errc::truncated, unknown + "\x0A\xFF\xFF\xFF\xFF\x0F");
    refused(errc::truncated, unknown + "\x08");
    std::string many = unknown;
    for (std::size_t i = 0; i < sentencepiece_limits::pieces; ++i) many += "\x0A\x03\x0A\x01x";
    refused(errc::limit_exceeded, many);
    refused(errc::unsupported, unknown + trainer(3));
    refused(errc::unsupported, unknown + trainer(4));
    refused(errc::unsupported, unknown + bytes_field(5, bytes_field(2, "map")));
    CHECK_THROWS_WITH(read_sentencepiece_model(unknown + trainer(3), "x"),
                      test::mentions("a model of words"));
    CHECK_NOTHROW(read_sentencepiece_model(
        unknown + piece("<s>", 0, piece_kind::control) + piece("<s>"), "x"));
}

TEST_CASE("every truncation and every flipped bit of a model is refused or harmless") {
    std::string bytes =
        unknown + piece("<s>", 0, piece_kind::control) + piece("ab", -1) + piece("a", -2) +
        piece("b", -3) + piece("\u2581", -4) + piece("xy", 0, piece_kind::user_defined) +
        piece("bb", -1, piece_kind::unused) + trainer(2) +
        bytes_field(3, number_field(3, 1) + bytes_field(2, [] {
                           std::vector<std::uint32_t> units(384);
                           units[0] = 256u << 10;
                           units[256 ^ 'A'] = (256u ^ 'A' ^ 1u) << 10 | 1u << 8 | 'A';
                           units[1] = 0x80000000u;
                           std::string map = test::little_endian(4 * 384, 4);
                           for (const auto unit : units) map += test::little_endian(unit, 4);
                           return map + std::string("a\0", 2);
                       }()));
    CHECK(encoded(loaded(bytes), "AB xy") == ids{5, 3, 0, 5, 6});
    std::size_t taken = 0;
    const auto survives = [&](const std::string& broken) {
        const auto problem = test::error_of([&] {
            const sentencepiece model = loaded(broken);
            (void)encoded(model, "AbabxyAA  \xFFzbb a");
            ++taken;
        });
        if (problem && problem->code() != gpt2::errc::bad_tokenizer &&
            problem->code() != gpt2::errc::truncated && problem->code() != gpt2::errc::unsupported)
            FAIL(problem->what());
    };
    for (std::size_t size = 0; size < bytes.size(); ++size) survives(bytes.substr(0, size));
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        std::string flipped = bytes;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        survives(flipped);
    }
    CHECK(taken > 1000);  // most bits are of the map, where few matter
}

TEST_CASE("long texts without spaces, and pieces that nest, end in good time") {
    std::string pieces = unknown;
    for (std::size_t size = 1; size <= 64; ++size)
        pieces += piece(std::string(size, 'a'), -static_cast<float>(size));
    for (const std::uint64_t algorithm : {1u, 2u}) {
        const auto start = std::chrono::steady_clock::now();
        const sentencepiece model = loaded(pieces + trainer(algorithm));
        const std::string text(1 << 17, 'a');
        CHECK_FALSE(encoded(model, text).empty());
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        CHECK(seconds.count() < 20);
    }
}
