// Files of torch.save, as PyTorch wrote them (tests/reference/make_pytorch.py) and hostile ones.
#include "../support/process.hpp"
#include "safetensors_builder.hpp"

#include <gpt2/detail/pytorch.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using gpt2::errc;
using gpt2::detail::read_pytorch;
using namespace std::string_literals;

namespace {

std::filesystem::path fixture(const std::string& name) {
    return test::source_folder() / "tests/reference/pytorch" / name;
}
auto opened(const std::string& name) {
    return read_pytorch(std::make_shared<gpt2::detail::file_source>(fixture(name)));
}
auto parsed(const std::string& bytes) { return read_pytorch(test::in_memory(bytes)); }

const gpt2::stored_tensor* find(const std::vector<gpt2::stored_tensor>& tensors,
                                std::string_view name) {
    for (const auto& tensor : tensors)
        if (tensor.name() == name) return &tensor;
    return nullptr;
}

/// Reads all that can be read: the only thing that may happen then is a typed error.
void read_all(const gpt2::detail::pytorch_file& file) {
    for (const auto& tensor : file.tensors) {
        if (!is_float(tensor.type())) continue;
        const auto problem = test::error_of([&] { test::values_of(tensor); });
        if (problem) CHECK(problem->code() == errc::not_finite);
    }
}

/// `bytes` with every place of `from` replaced by `to`, which is as long.
std::string replaced(std::string bytes, std::string_view from, std::string_view to) {
    REQUIRE(from.size() == to.size());
    REQUIRE(bytes.find(from) != bytes.npos);
    for (std::size_t at = 0; (at = bytes.find(from, at)) != bytes.npos; at += to.size())
        bytes.replace(at, to.size(), to);
    return bytes;
}

const std::vector<std::string> tiny_files = {"tiny.pt", "tiny_legacy.pt"};

}  // namespace

TEST_CASE("views read as PyTorch reads them", "[files][pytorch]") {
    const auto expected = gpt2::detail::read_safetensors(
        std::make_shared<gpt2::detail::file_source>(fixture("views.safetensors")));
    for (const char* name : {"views.pt", "views_4.pt", "views_legacy.pt"}) {
        CAPTURE(name);
        const auto file = opened(name);
        CHECK(file.tensors.size() == expected.tensors.size());
        for (const auto& right : expected.tensors) {
            CAPTURE(right.name());
            const auto* found = find(file.tensors, right.name());
            REQUIRE(found);
            CHECK(std::ranges::equal(found->shape(), right.shape()));
            CHECK(found->type() == right.type());
            if (!is_float(right.type())) continue;
            CHECK(test::values_of(*found) == test::values_of(right));
            CHECK(test::values_of<double>(*found) == test::values_of<double>(right));
        }
    }
}

TEST_CASE("rows of views", "[files][pytorch]") {
    const auto file = opened("views.pt");
    for (const char* name : {"transposed", "slice", "steps", "permuted", "turned_slice"}) {
        const auto& tensor = *find(file.tensors, name);
        const auto whole = test::values_of(tensor);
        for (std::size_t row = 0; row + 1 < tensor.rows(); ++row) {
            std::vector<float> two(2 * tensor.columns());
            tensor.read_rows<float>(row, 2, two);
            CHECK(std::equal(two.begin(), two.end(),
                             whole.begin() + static_cast<std::ptrdiff_t>(row * tensor.columns())));
        }
    }
    const auto turned = find(file.tensors, "slice")->transposed();
    CHECK(test::values_of(turned) == test::values_of(*find(file.tensors, "turned_slice")));
    CHECK(test::values_of(turned.transposed()) == test::values_of(*find(file.tensors, "slice")));
    const auto top = find(file.tensors, "f32")->first_rows(2);
    CHECK(top.rows() == 2);
    CHECK(top.columns() == 12);
    auto values = test::values_of(*find(file.tensors, "f32"));
    values.resize(24);
    CHECK(test::values_of(top) == values);
    CHECK_ERROR(errc::wrong_shape, find(file.tensors, "f32")->first_rows(6));
    CHECK_ERROR(errc::bad_weights, find(file.tensors, "permuted")->transposed());
}

TEST_CASE("no code of a file is run", "[files][pytorch]") {
    for (const char* name : {"evil_zip.pt", "evil_legacy.pt", "evil_4.pt"}) {
        CAPTURE(name);
        CHECK_ERROR(errc::unsupported, opened(name));
        CHECK_THAT(test::message_of([&] { opened(name); }), test::mentions("\"posix.system\""));
    }
    CHECK_FALSE(std::filesystem::exists("gpt2-was-run"));
}

TEST_CASE("what is no file of torch.save", "[files][pytorch]") {
    for (const auto& bytes : {""s, "x"s, "\x80\x02}."s, "PK\x05\x06"s, "{}"s, "ustar"s})
        CHECK_ERROR(errc::unsupported, parsed(bytes));
    CHECK_ERROR(errc::truncated, parsed("PK\x03\x04"));
    CHECK_ERROR(errc::unsupported, opened("compressed.pt"));
    CHECK_THAT(test::message_of([] { opened("compressed.pt"); }),
               test::mentions("compression method 8"));
    CHECK(gpt2::detail::looks_like_pytorch("PK\x03\x04"));
    CHECK_FALSE(gpt2::detail::looks_like_pytorch("PK"));
}

TEST_CASE("every truncation of a file is refused", "[files][pytorch]") {
    for (const auto& name : tiny_files) {
        const std::string whole = test::read_file(fixture(name));
        for (std::size_t size = 0; size < whole.size(); ++size) {
            CAPTURE(name, size);
            CHECK(test::error_of([&] { parsed(whole.substr(0, size)); }).has_value());
        }
        CHECK(test::error_of([&] { parsed(whole + "x"); }).has_value());
    }
}

TEST_CASE("every flipped bit is refused or harmless", "[files][pytorch]") {
    for (const auto& name : tiny_files) {
        std::string bytes = test::read_file(fixture(name));
        for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
            test::error_of([&] { read_all(parsed(bytes)); });
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
        }
        CHECK(parsed(bytes).tensors.size() == 2);
    }
}

TEST_CASE("archives that lie", "[files][pytorch]") {
    const std::string whole = test::read_file(fixture("tiny.pt"));
    const auto directory = whole.find("PK\x01\x02");
    const auto patched = [&](std::size_t at, std::string_view bytes) {
        return std::string(whole).replace(at, bytes.size(), bytes);
    };
    CHECK_ERROR(errc::unsupported, parsed(patched(directory + 8, "\x09\x08"s)));   // encrypted
    CHECK_ERROR(errc::unsupported, parsed(patched(directory + 10, "\x08\x00"s)));  // compressed
    CHECK_ERROR(errc::bad_weights, parsed(patched(8, "\x08\x00"s)));  // so says the header alone
    CHECK_ERROR(errc::bad_weights, parsed(patched(30, "b")));         // another name there
    CHECK_ERROR(errc::bad_weights, parsed(patched(directory + 46, "b")));
    CHECK_ERROR(errc::bad_weights, parsed(patched(directory + 20, "\xff"s)));  // packed != size
    const std::string huge = "\xff\xff\xff\x7f\xff\xff\xff\x7f"s;
    CHECK_ERROR(errc::truncated, parsed(patched(directory + 20, huge)));
    CHECK_ERROR(errc::bad_weights, parsed(patched(directory + 42, "\xff\xff\xff\x7f"s)));
    CHECK_ERROR(errc::truncated, parsed(patched(directory + 20, std::string(8, '\xff'))));
    // A second entry over the first one's bytes, a name twice.
    const auto second = whole.find("PK\x01\x02", directory + 4);
    CHECK(test::error_of([&] { parsed(patched(second + 42, whole.substr(directory + 42, 4))); }));
    const auto records = whole.find("PK\x06\x06");
    for (const std::size_t field : {24u, 32u, 40u, 48u}) {  // entries, size, offset
        CHECK(test::error_of([&] { parsed(patched(records + field, std::string(8, '\xff'))); }));
        CHECK(test::error_of([&] { parsed(patched(records + field, "\x01"s)); }));
    }
}

TEST_CASE("entries with 64-bit sizes and places", "[files][pytorch]") {
    const std::string whole = test::read_file(fixture("tiny.pt"));
    const auto directory = whole.find("PK\x01\x02"), records = whole.find("PK\x06\x06");
    const auto end = whole.find("PK\x05\x06");
    const auto with_field = [&](const std::string& field) {
        std::string bytes = whole;
        const auto grow = [&](std::size_t at) {
            bytes[at] = static_cast<char>(bytes[at] + static_cast<char>(field.size()));
            if (static_cast<unsigned char>(bytes[at]) < field.size()) ++bytes[at + 1];
        };
        grow(records + 40);
        grow(end - 20 + 8);
        grow(end + 12);
        grow(directory + 30);
        bytes.replace(directory + 20, 8, 8, '\xff');
        bytes.replace(directory + 42, 4, 4, '\xff');
        return bytes.insert(directory + 46 + "archive/data.pkl"s.size(), field);
    };
    const auto size =
        test::length_bytes(gpt2::detail::number_at<std::uint32_t>(whole, directory + 20));
    const std::string other = "\x07\x00\x01\x00x"s, head = "\x01\x00\x18\x00"s;
    const std::string first(8, '\0'), huge(8, '\xff');
    CHECK(parsed(with_field(head + size + size + first)).tensors.size() == 2);
    CHECK(parsed(with_field(other + head + size + size + first)).tensors.size() == 2);
    CHECK_ERROR(errc::bad_weights, parsed(with_field(head + huge + size + first)));
    CHECK_ERROR(errc::truncated, parsed(with_field(head + huge + huge + first)));
    CHECK_ERROR(errc::bad_weights, parsed(with_field(head + size + size + huge)));
    CHECK_ERROR(errc::truncated, parsed(with_field("\x01\x00\x10\x00"s + size + size)));
    CHECK_ERROR(errc::truncated, parsed(with_field("\x01\x00\xff\xff"s + size + size)));
}

TEST_CASE("files of other machines and versions", "[files][pytorch]") {
    const std::string zip = test::read_file(fixture("tiny.pt"));
    CHECK_ERROR(errc::unsupported, parsed(replaced(zip, "little", "bigbig")));
    const std::string old = test::read_file(fixture("tiny_legacy.pt"));
    CHECK_ERROR(errc::unsupported,
                parsed(replaced(old, "little_endianq\x02\x88", "little_endianq\x02\x89")));
    CHECK_ERROR(errc::unsupported, parsed(replaced(old, "M\xe9\x03", "M\xea\x03")));
    CHECK_ERROR(errc::unsupported, parsed(replaced(old, "\x80\x02}", "\x80\x05}")));
}

TEST_CASE("tensors that reach beyond their storage", "[files][pytorch]") {
    for (const auto& name : tiny_files) {
        CAPTURE(name);
        const std::string whole = test::read_file(fixture(name));
        // "a" is (2, 2) with strides (1, 2) of 4 values: K0 K2 K2 \x86 q. K1 K2 \x86
        const auto shape = whole.find("K\x02K\x02\x86");
        REQUIRE(shape != whole.npos);
        const auto patched = [&](std::size_t at, char byte) {
            auto bytes = whole;
            bytes[at] = byte;
            return bytes;
        };
        CHECK_ERROR(errc::bad_weights, parsed(patched(shape - 1, 1)));       // offset
        CHECK_ERROR(errc::bad_weights, parsed(patched(shape + 1, 3)));       // rows
        CHECK_ERROR(errc::bad_weights, parsed(patched(shape + 3, '\xff')));  // columns
        CHECK_ERROR(errc::bad_weights, parsed(patched(shape + 10, 3)));      // stride
        CHECK_ERROR(errc::unsupported, parsed(patched(shape + 8, 0)));       // one value twice
        CHECK_ERROR(errc::unsupported, parsed(patched(shape + 10, 1)));
        CHECK(parsed(patched(shape + 1, 1)).tensors.size() == 2);
        CHECK(parsed(patched(shape + 1, 0)).tensors.size() == 2);
        const auto count = whole.find("K\x04", whole.find("cpu"));
        REQUIRE(count != whole.npos);
        CHECK_ERROR(errc::bad_weights, parsed(patched(count + 1, 5)));
        CHECK_ERROR(errc::unsupported,
                    parsed(replaced(whole, "_rebuild_tensor_v2", "_rebuild_tensor_v9")));
        CHECK_ERROR(errc::bad_weights, parsed(replaced(whole, "storage", "sTorage")));
        CHECK_ERROR(errc::bad_weights, parsed(replaced(whole, "FloatStorage", "ShortStorage")));
    }
}

TEST_CASE("sharing is bounded, and so is what a refused file costs", "[files][pytorch]") {
    // Old files whose pickle names one storage again and again.
    const std::string magic = test::read_file(fixture("tiny_legacy.pt"));
    const auto objects = magic.find(".\x80\x02}q\x00"s, magic.find("type_sizes")) + 1;
    const std::string reference =
        "ctorch._utils\n_rebuild_tensor_v2\n((\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
        "kN"s +
        "M\xe8\x03tQK\x00M\xe8\x03\x85K\x01\x85\x89)tR"s;
    const auto file = [&](std::size_t tensors) {
        std::string out = magic.substr(0, objects) + "\x80\x02}("s;
        for (std::size_t i = 0; i < tensors; ++i)
            out += "\x8c\x05" + std::to_string(10000 + i) + reference;
        out += "u.\x80\x02]\x8c\x01ka.\xe8\x03\0\0\0\0\0\0"s + std::string(4000, '\0');
        return out;
    };
    CHECK(parsed(file(3)).tensors.size() == 3);
    CHECK_ERROR(errc::limit_exceeded, parsed(file(200)));

    const test::scratch_folder folder;
    const std::string start = magic.substr(0, objects);
    test::write_file(folder / "f", start + std::string(300'000, '('));
    std::filesystem::resize_file(folder / "f", 1u << 30);  // sparse
    const auto source = std::make_shared<gpt2::detail::file_source>(folder / "f");
    const auto memory =
        test::peak_growth([&] { CHECK_ERROR(errc::limit_exceeded, read_pytorch(source)); });
    CHECK(memory < 40'000'000);
    test::write_file(folder / "g", start + std::string(190'000, 'N') + ".");
    const auto nodes = std::make_shared<gpt2::detail::file_source>(folder / "g");
    const auto more = test::peak_growth([&] { CHECK_ERROR(errc::truncated, read_pytorch(nodes)); });
    CHECK(more < 16'000'000);
}
