// llm.c's model and tokenizer files: fixtures of tests/reference/make_llmc.py, and hostile ones.
#include "../support/process.hpp"
#include "safetensors_builder.hpp"
#include "same_model.hpp"

#include <gpt2/detail/llmc.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::token_id;
using namespace std::string_literals;

namespace {

std::string fixture(const char* name) {
    std::ifstream file(test::source_folder() / "tests/reference/llmc" / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
const std::string f32 = fixture("f32.bin"), bf16 = fixture("bf16.bin");
const std::string words = fixture("tokenizer.bin");

gpt2::stored_model model_of(std::string_view bytes) {
    return gpt2::detail::read_llmc_model(test::in_memory(bytes));
}
gpt2::tokenizer tokenizer_of(std::string_view bytes) {
    return gpt2::detail::read_llmc_tokenizer(*test::in_memory(bytes));
}

gpt2::token_id end_of(std::string_view bytes) {
    return gpt2::detail::read_llmc_tokenizer_header(*test::in_memory(bytes)).end_of_text;
}

/// The file with another number at place `i` of its header.
std::string with_number(std::string bytes, std::size_t i, std::uint32_t number) {
    std::memcpy(bytes.data() + 4 * i, &number, sizeof number);
    return bytes;
}

/// A header of llm.c that begins with these numbers.
std::string header_of(const std::vector<std::uint32_t>& numbers) {
    std::string bytes(1024, '\0');
    for (std::size_t i = 0; i < numbers.size(); ++i) bytes = with_number(bytes, i, numbers[i]);
    return bytes;
}

std::string tokens_of(const std::vector<std::string>& tokens) {
    std::string bytes;
    for (const auto& token : tokens) bytes += static_cast<char>(token.size()) + token;
    return bytes;
}
/// A tokenizer of version 2 whose last token ends a text.
std::string tokenizer_file(const std::vector<std::string>& tokens) {
    const auto count = static_cast<std::uint32_t>(tokens.size());
    return header_of({20240328, 2, count, count - 1}) + tokens_of(tokens);
}

}  // namespace

TEST_CASE("a model of version 3 or 5 is that of its folder", "[files][llmc]") {
    const auto single = model_of(f32), half = model_of(bf16);
    CHECK(single.weights->size() == 28);
    test::check_same_model("base", single.config, *single.weights);
    test::check_same_model("stored_bf16", half.config, *half.weights);
}

TEST_CASE("rows that pad the vocabulary are no tokens", "[files][llmc]") {
    const auto wte = [](std::string_view bytes) {
        return test::values_of(*model_of(bytes).weights->find("wte.weight"));
    };
    std::string spoilt = f32;
    for (std::size_t i = 1024 + 17 * 8 * 4; i < 1024 + 128 * 8 * 4; ++i) spoilt[i] = '\x7f';
    CHECK(wte(spoilt) == wte(f32));
    CHECK(wte(with_number(f32, 3, 16)).size() == 16 * 8);
    CHECK(wte(with_number(f32, 3, 128)).size() == 128 * 8);
    CHECK_ERROR(errc::bad_weights, model_of(with_number(f32, 3, 129)));
}

TEST_CASE("end of text is GPT-2's where the vocabulary reaches so far", "[files][llmc]") {
    const auto sizes = [](std::uint32_t vocabulary) {
        std::string bytes = header_of({20240326, 5, 1, vocabulary, 1, 1, 1, 50304});
        bytes.resize(1024 + 2 * (50304 + 1 + 2 + 25));
        return model_of(bytes).config;
    };
    CHECK(sizes(50257).end_of_text == std::vector<token_id>{50256});
    CHECK(sizes(50257).begin_of_text == 50256);
    CHECK(sizes(50256).end_of_text.empty());
    CHECK(!sizes(50256).begin_of_text);
}

TEST_CASE("files that are no model are named", "[files][llmc]") {
    CHECK(gpt2::detail::looks_like_llmc_model(f32));
    for (const std::string& other : {words, ""s, "\x46\xd8\x34"s, "GGUF\3\0\0\0"s})
        CHECK_FALSE(gpt2::detail::looks_like_llmc_model(other));
    CHECK_ERROR(errc::bad_weights, model_of(with_number(f32, 0, 0x46554747)));
    CHECK_ERROR(errc::bad_weights, model_of(std::string(1024, '\0')));
    for (const std::uint32_t version : {0u, 1u, 2u, 4u, 6u, ~0u})
        CHECK_ERROR(errc::unsupported, model_of(with_number(f32, 1, version)));
    for (const auto& [magic, name] : std::map<std::uint32_t, std::string>{
             {20240327, "a debug state"}, {20240328, "a tokenizer"}, {20240520, "training data"}}) {
        const std::string bytes = with_number(f32, 0, magic);
        CHECK_ERROR(errc::unsupported, model_of(bytes));
        CHECK_THAT(test::message_of([&] { model_of(bytes); }), test::mentions(name));
    }
    CHECK_ERROR(errc::unsupported, model_of(with_number(f32, 8, 1)));
    CHECK_ERROR(errc::unsupported, model_of(with_number(f32, 255, 1)));
    CHECK(test::message_of([] { model_of(with_number(f32, 1, 2)); }) ==
          "test.safetensors: expected version 3 (f32) or 5 (bf16) of llm.c's models, found 2");
}

TEST_CASE("sizes that are no model's", "[files][llmc]") {
    for (std::size_t place = 2; place < 7; ++place)
        for (const std::uint32_t size : {0u, 1u << 31, ~0u})
            CHECK_ERROR(errc::bad_config, model_of(with_number(f32, place, size)));
    CHECK_ERROR(errc::bad_config, model_of(with_number(f32, 5, 3)));  // no divisor of the width
    for (const std::uint32_t padded : {0u, 16u, ~0u, 1u << 31, (1u << 24) + 1})
        CHECK_ERROR(errc::bad_weights, model_of(with_number(f32, 7, padded)));
    for (const std::uint32_t padded : {129u, 256u, 1u << 24})
        CHECK_ERROR(errc::truncated, model_of(with_number(f32, 7, padded)));
    CHECK_ERROR(errc::bad_weights, model_of(with_number(f32, 7, 127)));
    CHECK_ERROR(errc::truncated, model_of(with_number(f32, 4, 3)));
    CHECK_ERROR(errc::bad_weights, model_of(with_number(f32, 4, 1)));
    CHECK_ERROR(errc::bad_weights, model_of(f32 + "x"));
    CHECK_ERROR(errc::bad_weights, model_of(with_number(f32, 1, 5)));
    CHECK_ERROR(errc::truncated, model_of(with_number(bf16, 1, 3)));
}

TEST_CASE("the largest sizes do not wrap and cost nothing", "[files][llmc]") {
    const std::string bytes =
        header_of({20240326, 3, 1 << 24, 1 << 24, 1024, 1 << 20, 1 << 20, 1 << 24}) + "values";
    const auto source = test::in_memory(bytes);
    const auto memory = test::peak_growth(
        [&] { CHECK_ERROR(errc::truncated, gpt2::detail::read_llmc_model(source)); });
    CHECK(memory < 1'000'000);
    CHECK_THAT(test::message_of([&] { gpt2::detail::read_llmc_model(source); }),
               test::mentions("54183988859765760 bytes"));
}

TEST_CASE("every truncation and every bit of a model's header", "[files][llmc]") {
    for (std::size_t size = 0; size < bf16.size(); ++size)
        CHECK_ERROR(errc::truncated, model_of(bf16.substr(0, size)));
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < 8 * 1024; ++bit) {
        std::string bytes = f32;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        const auto problem = test::error_of([&] { model_of(bytes); });
        if (!problem) CHECK(bit / 32 == 3);  // fewer or more of the padded rows are tokens
        accepted += !problem;
    }
    CHECK(accepted == 7);
}

TEST_CASE("values that are not finite are found where they are used", "[files][llmc]") {
    std::string bytes = f32;
    bytes[1024 + 2] = '\x80', bytes[1024 + 3] = '\x7f', bytes[1024] = bytes[1025] = 0;
    const auto broken = model_of(bytes);
    CHECK_ERROR(errc::not_finite,
                test::logits_of(broken.config, *broken.weights, gpt2::storage::f32));
}

TEST_CASE("a tokenizer encodes as the one it was written from", "[files][llmc]") {
    const auto made = tokenizer_of(words);
    CHECK(end_of(words) == 599);
    CHECK(made.size() == 600);
    CHECK(made.is_special(599));
    CHECK(made.encode("<|endoftext|>", gpt2::specials::as_tokens) == std::vector<token_id>{599});
    const auto folder = test::source_folder() / "tests/reference/tokenizer";
    const auto known = gpt2::load_tokenizer(folder);
    const auto cases = nlohmann::json::parse(test::read_file(folder / "cases.json"));
    for (const auto& item : cases["groups"][0]["cases"]) {
        const auto hex = item["hex"].get<std::string>();
        std::string text;
        for (std::size_t i = 0; i < hex.size(); i += 2)
            text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
        CHECK(made.encode(text) == item["ids"].get<std::vector<token_id>>());
    }
    for (token_id id = 0; id < 600; ++id) CHECK(made.bytes(id) == known.bytes(id));
}

TEST_CASE("GPT-2's own tokenizer in version 1 and 2", "[files][llmc]") {
    const auto folder = test::shared_data("data/tokenizer/gpt2");
    const auto book = test::shared_data("data/text/english/pride-and-prejudice.txt");
    if (folder.empty() || book.empty()) return;
    const auto known = gpt2::load_tokenizer(folder);
    std::vector<std::string> tokens;
    for (token_id id = 0; id < 50257; ++id) tokens.emplace_back(known.bytes(id));
    const std::string text = test::read_file(book).substr(0, 200'000);
    const auto ids = known.encode(text);
    for (const auto& header :
         {header_of({20240328, 1, 50257}), header_of({20240328, 2, 50257, 50256})}) {
        const auto made = tokenizer_of(header + tokens_of(tokens));
        CHECK(end_of(header) == 50256);
        CHECK(made.encode(text) == ids);
        for (token_id id = 0; id < 50256; ++id)
            if (made.encode(tokens[static_cast<std::size_t>(id)]) !=
                known.encode(tokens[static_cast<std::size_t>(id)]))
                CHECK(id == -1);
    }
}

TEST_CASE("vocabularies that no merges make", "[files][llmc]") {
    const auto encoded = [](const std::vector<std::string>& tokens, std::string_view text) {
        return tokenizer_of(tokenizer_file(tokens)).encode(text);
    };
    CHECK(encoded({"a", "b", "ab", "abab", "<e>"}, "ababab") == std::vector<token_id>{3, 2});
    CHECK(encoded({"ab", "b", "a", "<e>"}, "ab") == std::vector<token_id>{0});
    for (const std::vector<std::string>& tokens :
         std::vector<std::vector<std::string>>{{"a", "b", "a", "<e>"},
                                               {"a", "b", "ab", "ab", "<e>"},
                                               {"a", "b", "aba", "<e>"},
                                               {"a", "ab", "<e>"},
                                               {"ab", "<e>"}})
        CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(tokenizer_file(tokens)));
    const auto message = [](const std::vector<std::string>& tokens) {
        return test::message_of([&] { tokenizer_of(tokenizer_file(tokens)); });
    };
    CHECK(message({"a", "b", "aba", "<e>"}) ==
          "test.safetensors: token 2: expected two earlier tokens joined, found \"aba\"");
    CHECK(message({"a", "b", "a", "<e>"}) ==
          "test.safetensors: token 2: expected a token of its own, not that of id 0, found \"a\"");
    CHECK(message({"a", "", "<e>"}) ==
          "test.safetensors: byte 3: expected a token of 1 to 255 bytes, found none");
}

TEST_CASE("hostile tokenizers", "[files][llmc]") {
    const std::string good = tokenizer_file({"a", "b", "ab", "<e>"});
    CHECK(tokenizer_of(good).size() == 4);
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_ERROR(errc::truncated, tokenizer_of(good.substr(0, size)));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(good + "\1c"));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(tokenizer_file({"a", "", "ab", "<e>"})));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(with_number(good, 0, 1)));
    CHECK_ERROR(errc::unsupported, tokenizer_of(f32));
    for (const std::uint32_t version : {0u, 1u, 3u, ~0u})
        CHECK_ERROR(errc::unsupported, tokenizer_of(with_number(good, 1, version)));
    for (const std::uint32_t count : {5u, 1u << 17})
        CHECK_ERROR(errc::truncated, tokenizer_of(with_number(good, 2, count)));
    for (const std::uint32_t count : {(1u << 17) + 1, 1u << 31, ~0u})
        CHECK_ERROR(errc::limit_exceeded, tokenizer_of(with_number(good, 2, count)));
    CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(with_number(good, 2, 0)));
    for (const std::uint32_t end : {4u, ~0u})
        CHECK_ERROR(errc::bad_tokenizer, tokenizer_of(with_number(good, 3, end)));
    CHECK_ERROR(errc::bad_tokenizer,
                tokenizer_of(header_of({20240328, 2, 3, 3}) + tokens_of({"a", "b", "ab"})));
    CHECK_ERROR(errc::unsupported, tokenizer_of(with_number(good, 4, 1)));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        std::string bytes = good;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        const auto problem = test::error_of([&] { tokenizer_of(bytes); });
        if (bit < 8 * 12) CHECK(problem);
    }
}

TEST_CASE("tokenizers made to exhaust", "[files][llmc]") {
    const auto refused_cheaply = [](errc code, const std::string& bytes) {
        const auto source = test::in_memory(bytes);
        std::size_t memory = 0;
        const double seconds = test::cpu_seconds([&] {
            memory = test::peak_growth(
                [&] { CHECK_ERROR(code, gpt2::detail::read_llmc_tokenizer(*source)); });
        });
        CHECK(seconds < 1);
        CHECK(memory < 2 * bytes.size() + 16'000'000);
    };
    constexpr std::uint32_t most = 1u << 17;
    std::string many = header_of({20240328, 2, most, most - 1});
    for (std::uint32_t i = 0; i < most; ++i) many += "\1a";
    refused_cheaply(errc::bad_tokenizer, many);
    // Compared with what is there before room is made for it.
    const std::string few = header_of({20240328, 2, most, 0}) + "\1a";
    CHECK(test::message_of([&] { tokenizer_of(few); }) ==
          "test.safetensors: expected 131072 tokens, found 2 bytes of them");
    std::string long_file = header_of({20240328, 2, 4, 3});
    long_file.resize(1024 + (1u << 24) + 1);
    refused_cheaply(errc::limit_exceeded, long_file);
}
