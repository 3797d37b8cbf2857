// The packed file: what is written is what a model packs, to the bit; what is bent is refused.
#include "same_model.hpp"
#include "../support/files.hpp"
#include "safetensors_builder.hpp"

#include <gpt2/detail/packed_writer.hpp>
#include <gpt2/gpt2.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

using gpt2::errc;
using gpt2::open_model;
using gpt2::storage;

namespace {

const std::filesystem::path reference = test::source_folder() / "tests/reference";

std::string packed(const gpt2::stored_model& model, storage kept) {
    std::string bytes;
    gpt2::thread_pool pool(2);
    gpt2::detail::packed_writer(model, kept, pool, [&](std::string_view more) {
        bytes += more;
    }).write();
    return bytes;
}

gpt2::stored_model opened(const std::string& bytes) {
    return gpt2::detail::open_packed(test::in_memory(bytes));
}

std::vector<float> logits(const gpt2::stored_model& model, storage kept) {
    return test::logits_of(model.config, *model.weights, kept);
}

/// The file with a change in its index, whose checksum is made right again.
std::string with_index(const std::string& bytes, const std::string& from, const std::string& to) {
    using gpt2::detail::number_at;
    const auto last = bytes.size() - gpt2::detail::packed_end_bytes;
    const auto begin = static_cast<std::size_t>(number_at<std::uint64_t>(bytes, last));
    std::string index = bytes.substr(begin, last - begin);
    const auto at = index.find(from);
    REQUIRE(at != index.npos);
    index.replace(at, from.size(), to);
    std::string out = bytes.substr(0, begin) + index;
    gpt2::detail::append_number(out, std::uint64_t{begin});
    gpt2::detail::append_number(out, std::uint64_t{index.size()});
    gpt2::detail::append_number(
        out,
        gpt2::detail::checksum().add(std::string_view(bytes).substr(0, 16)).add(index).value());
    return out;
}

}  // namespace

TEST_CASE("a checksum does not depend on how the bytes are divided", "[files][packed]") {
    const std::string text(1000, 'x');
    const auto whole = gpt2::detail::checksum().add(text).value();
    for (const std::size_t step : {1u, 7u, 31u, 32u, 33u, 64u, 999u}) {
        gpt2::detail::checksum parts;
        for (std::size_t at = 0; at < text.size(); at += step)
            parts.add(std::string_view(text).substr(at, step));
        CHECK(parts.value() == whole);
    }
    CHECK(gpt2::detail::checksum().value() != whole);
    CHECK(gpt2::detail::checksum().add(text.substr(1)).value() != whole);
    // Fixed for ever, since files carry it: by a few lines of Python that follow checksum.hpp.
    CHECK(gpt2::detail::shown_checksum(gpt2::detail::checksum().add("GPT-2").value()) ==
          "1fa70e1116d5b862");
}

TEST_CASE("a packed model gives the logits of what it was made from, to the bit",
          "[files][packed]") {
    for (const char* name :
         {"base", "wide", "head_untied", "no_biases", "head_size_17", "stored_bf16"}) {
        const auto model = open_model(reference / "models" / name);
        for (const auto kept : {storage::as_stored, storage::f32, storage::f16, storage::bf16,
                                storage::int8, storage::int4}) {
            CAPTURE(name, static_cast<int>(kept));
            const auto bytes = packed(model, kept);
            CHECK(bytes == packed(model, kept));
            const auto again = opened(bytes);
            CHECK(again.format == "packed");
            CHECK(logits(again, storage::as_stored) == logits(model, kept));
            again.check();
            CHECK(packed(again, storage::as_stored).size() <= bytes.size() + 16);
        }
    }
}

TEST_CASE("GGUF's blocks stay what they are in a packed file", "[files][packed]") {
    const auto model = open_model(reference / "gguf/mixed.gguf");
    const auto again = opened(packed(model, storage::as_stored));
    CHECK(logits(again, storage::as_stored) == logits(model, storage::as_stored));
    CHECK(logits(again, storage::f32) == logits(model, storage::f32));
    const auto kept = again.weights->find("h.0.attn.c_attn.weight")->panels()->format;
    CHECK(gpt2::detail::kernels::in_blocks(kept));
}

TEST_CASE("a packed file is used where it is mapped", "[files][packed]") {
    const test::scratch_folder folder;
    const auto model = open_model(reference / "models/base");
    test::write_file(folder / "model.gpt2", packed(model, storage::f32));
    const auto mapped = open_model(folder / "model.gpt2");
    const auto* wte = mapped.weights->find("wte.weight");
    REQUIRE(wte != nullptr);
    REQUIRE(wte->panels() != nullptr);
    const auto matrix = gpt2::detail::pack<float>(*wte, gpt2::detail::orientation::out_in,
                                                  storage::as_stored, nullptr);
    CHECK(static_cast<const void*>(matrix.view().panel(0)) == wte->panels()->data.get());
    std::filesystem::remove(folder / "model.gpt2");  // whoever has it keeps it
    CHECK(logits(mapped, storage::as_stored) == logits(model, storage::f32));
    CHECK(test::values_by_shape(*wte) == test::values_by_shape(*model.weights->find("wte.weight")));
    CHECK(logits(mapped, storage::int8) == logits(model, storage::int8));
    const auto turned = wte->transposed();
    CHECK(turned.rows() == wte->columns());
    std::vector<float> row(turned.columns()), all = test::values_by_shape(*wte);
    turned.read_rows<float>(3, 1, row);
    for (std::size_t i = 0; i < row.size(); ++i) CHECK(row[i] == all[i * wte->columns() + 3]);
    CHECK(test::values_by_shape(turned.transposed()) == all);
}

TEST_CASE("tokenizers of every kind travel with a packed file", "[files][packed]") {
    const auto base = open_model(reference / "models/base");
    const auto check = [&](const gpt2::tokenizer& expected) {
        auto model = base;
        model.read_tokenizer = [&] { return std::optional(expected); };
        const auto found = opened(packed(model, storage::f32)).read_tokenizer();
        REQUIRE(found);
        CHECK(found->size() == expected.size());
        CHECK(found->frame().before == expected.frame().before);
        CHECK(found->frame().after == expected.frame().after);
        for (const char* text :
             {"Hello, world", " y luego  12 345\n", "naïve — ¿qué?", "<|endoftext|>"})
            for (const auto mode : {gpt2::specials::as_text, gpt2::specials::as_tokens}) {
                const auto tried = test::error_of([&] { (void)expected.encode(text, mode); });
                if (tried) continue;
                CHECK(found->encode(text, mode) == expected.encode(text, mode));
            }
    };
    check(gpt2::load_tokenizer(reference / "tokenizer"));
    check(gpt2::load_tokenizer(reference / "tokenizers/t5"));
    check(gpt2::load_tokenizer(reference / "tokenizers/bert"));
}

TEST_CASE("a bent packed file is refused", "[files][packed]") {
    const auto bytes = packed(open_model(reference / "models/base"), storage::int8);
    const auto code = [](const std::string& bent) {
        const auto problem = test::error_of([&] { opened(bent); });
        REQUIRE(problem);
        return problem->code();
    };
    for (std::size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 977)
        CHECK_NOTHROW(code(bytes.substr(0, size)));
    const auto index =
        static_cast<std::size_t>(gpt2::detail::number_at<std::uint64_t>(bytes, bytes.size() - 24));
    std::string bent = bytes;
    for (std::size_t at = 0; at < bytes.size(); at = at == 15 ? index : at + 1)
        for (int bit = 0; bit < 8; ++bit) {
            bent[at] = static_cast<char>(bent[at] ^ 1 << bit);
            CHECK_NOTHROW(code(bent));
            bent[at] = bytes[at];
        }
    CHECK_NOTHROW(opened(with_index(bytes, "wte", "wte")));
    const auto changed = [&](const char* from, const char* to) {
        return code(with_index(bytes, from, to));
    };
    CHECK(changed("\"offset\":64", "\"offset\":128") == errc::bad_weights);
    CHECK(changed("\"offset\":64", "\"offset\":-64") == errc::bad_weights);
    CHECK(changed("\"panels\":\"int8\"", "\"panels\":\"int9\"") == errc::unsupported);
    CHECK(changed("\"rows\":\"outputs\"", "\"rows\":\"rows\"") == errc::unsupported);
    CHECK(changed("\"shape\":[", "\"shape\":[16777216,16777216],\"x\":[") == errc::bad_weights);
    CHECK(changed("\"shape\":[", "\"shape\":[0,") == errc::bad_weights);
    CHECK(changed("\"heads\":", "\"heads\":100") == errc::bad_config);
    CHECK(changed("\"activation\":\"gelu_new\"", "\"activation\":\"none\"") == errc::bad_weights);
    CHECK(code(bytes + "x") == errc::truncated);
    bent = bytes;
    bent[100] = static_cast<char>(bent[100] ^ 1);
    const auto damaged = opened(bent);
    CHECK_ERROR(errc::bad_weights, damaged.check());
}
