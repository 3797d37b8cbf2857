// Where bytes come from. Numbers in brackets are those of the project's list of hazards.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/process.hpp"

#include <gpt2/detail/byte_source.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using gpt2::errc;
using test::open_descriptors;
using namespace gpt2::detail;

namespace {

std::string text_at(const byte_source& source, std::uint64_t offset, std::size_t count) {
    std::string out(count, '?');
    source.read(offset, std::as_writable_bytes(std::span(out.data(), out.size())));
    return out;
}

}  // namespace

TEST_CASE("checked arithmetic says when a size does not fit", "[files]") {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    CHECK(checked_add<std::uint64_t>(most - 1, 1) == most);
    CHECK_FALSE(checked_add<std::uint64_t>(most, 1));
    CHECK(checked_multiply<std::uint64_t>(most, 0) == 0u);
    CHECK(checked_multiply<std::uint64_t>(0, most) == 0u);
    CHECK(checked_multiply<std::uint64_t>(most / 3, 3) == most);
    CHECK_FALSE(checked_multiply<std::uint64_t>(most / 3 + 1, 3));
    const auto product = [](std::vector<std::uint64_t> factors) {
        return checked_product<std::uint64_t>(factors);
    };
    CHECK(product({}) == 1u);
    CHECK(product({0, most, most}) == 0u);
    CHECK_FALSE(product({most, most, 0}));
    CHECK_FALSE(product({4194305, 4194305, 211106198978564}));  // wraps to 4
}

TEST_CASE("every source reads by offset, whole or not at all", "[files]") {
    const test::scratch_folder folder;
    test::write_file(folder / "f", "0123456789");
    const std::string bytes = "0123456789";
    const auto view = std::as_bytes(std::span(bytes.data(), bytes.size()));
    std::vector<std::unique_ptr<byte_source>> sources;
    sources.push_back(std::make_unique<file_source>(folder / "f"));
    sources.push_back(std::make_unique<stream_source>(folder / "f"));
    sources.push_back(std::make_unique<memory_source>("f", view));
    sources.push_back(
        std::make_unique<memory_source>("f", std::vector<std::byte>(view.begin(), view.end())));
    for (const auto& source : sources) {
        CHECK(source->size() == 10);
        CHECK(text_at(*source, 3, 4) == "3456");
        CHECK(text_at(*source, 0, 10) == bytes);
        CHECK(text_at(*source, 10, 0).empty());
        CHECK_ERROR(errc::truncated, text_at(*source, 7, 4));
        CHECK_ERROR(errc::truncated, text_at(*source, 11, 0));
        CHECK_ERROR(errc::truncated,
                    text_at(*source, std::numeric_limits<std::uint64_t>::max(), 2));
        CHECK(text_at(*source, 9, 1) == "9");  // usable after an error
        const auto problem = test::error_of([&] { text_at(*source, 7, 4); });
        REQUIRE(problem);
        CHECK_THAT(problem->what(), Catch::Matchers::Contains("4 bytes at offset 7") &&
                                        Catch::Matchers::Contains("after 10 bytes"));
    }
}

TEST_CASE("only regular files are opened, without waiting [287, 065]", "[files]") {
    const test::scratch_folder folder;  // one that waits would hang here
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    const int socket_number = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string socket_path = (folder / "socket").string();
    REQUIRE(socket_path.size() < sizeof address.sun_path);
    socket_path.copy(address.sun_path, socket_path.size());
    REQUIRE(::bind(socket_number, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    std::filesystem::create_symlink("nowhere", folder / "dangling");
    std::filesystem::create_symlink("loop", folder / "loop");
    test::write_file(folder / "plain", "x");

    const auto check = [&](auto open) {
        CHECK_ERROR(errc::not_found, open(folder / "missing"));
        CHECK_ERROR(errc::not_found, open(folder / "plain" / "below"));
        CHECK_ERROR(errc::not_found, open(folder / "dangling"));
        CHECK_ERROR(errc::read_failed, open(folder / "loop"));
        CHECK_ERROR(errc::not_regular_file, open(folder.path()));
        CHECK_ERROR(errc::not_regular_file, open(folder / "pipe"));
        CHECK_ERROR(errc::not_regular_file, open(folder / "socket"));
        CHECK_ERROR(errc::not_regular_file, open("/dev/zero"));
        CHECK_ERROR(errc::not_regular_file, open("/dev/null"));
    };
    check([](const std::filesystem::path& path) { file_source{path}; });
    check([](const std::filesystem::path& path) { stream_source{path}; });
    if (::geteuid() != 0) {  // root reads everything
        std::filesystem::permissions(folder / "plain", std::filesystem::perms::none);
        CHECK_ERROR(errc::read_failed, file_source(folder / "plain"));
    }
    CHECK_ERROR(errc::read_failed, file_source(folder / std::string(300, 'n')));  // [288]
    ::close(socket_number);
}

TEST_CASE("paths of any spelling [288]", "[files]") {
    const test::scratch_folder folder;
    std::filesystem::create_directories(folder / "模型 mit Raum");
    const auto path = folder.path() / "模型 mit Raum" / "ж.bin";
    test::write_file(path, "да");
    CHECK(read_text(gpt2::detail::file_source(path), 100) == "да");
    CHECK_THAT(shown(path), Catch::Matchers::EndsWith("模型 mit Raum/ж.bin"));
    CHECK(shown("a\nb\x1b") == R"("a\x0ab\x1b")");
    const std::string cut = shown(std::string(99, 'a') + "ж" + std::string(159, 'b'));
    CHECK(cut == "…" + std::string(159, 'b'));  // never half a character
}

TEST_CASE("a file deleted, replaced, grown or cut while it is open [289, 290, 291]", "[files]") {
    const test::scratch_folder folder;
    const auto path = folder / "f";
    test::write_file(path, "old contents");
    const file_source deleted(path);
    std::filesystem::remove(path);
    CHECK(text_at(deleted, 0, 12) == "old contents");

    test::write_file(path, "old contents");
    const file_source replaced(path);
    test::write_file(folder / "g", "new");
    std::filesystem::rename(folder / "g", path);
    CHECK(text_at(replaced, 0, 12) == "old contents");

    const file_source grown(path);
    test::write_file(path, "new and longer");
    CHECK(grown.size() == 3);
    CHECK_ERROR(errc::truncated, text_at(grown, 0, 4));

    const file_source cut(path);
    std::filesystem::resize_file(path, 5);
    CHECK(cut.size() == 14);
    const auto problem = test::error_of([&] { text_at(cut, 0, 14); });
    REQUIRE(problem);
    CHECK(problem->code() == errc::truncated);
    CHECK_THAT(problem->what(), Catch::Matchers::Contains("after 5 bytes"));
}

TEST_CASE("text files are capped before they are read [129]", "[files]") {
    const test::scratch_folder folder;
    test::write_file(folder / "f", std::string(100, 'x'));
    CHECK(read_text(gpt2::detail::file_source(folder / "f"), 100).size() == 100);
    CHECK_ERROR(errc::limit_exceeded, read_text(gpt2::detail::file_source(folder / "f"), 99));
    test::write_file(folder / "sparse", "");
    std::filesystem::resize_file(folder / "sparse", std::uintmax_t{1} << 40);
    CHECK_ERROR(errc::limit_exceeded,
                read_text(gpt2::detail::file_source(folder / "sparse"), 1u << 20));
}

TEST_CASE("failed openings leave no descriptor behind [298]", "[files]") {
    const test::scratch_folder folder;
    test::write_file(folder / "f", "x");
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 1000; ++i) {
        CHECK_THROWS(file_source(folder.path()));
        CHECK_THROWS(file_source(folder / "missing"));
        CHECK_THROWS(read_text(gpt2::detail::file_source(folder / "f"), 0));
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("too many open files is a typed error", "[files]") {
    const test::scratch_folder folder;
    test::write_file(folder / "f", "x");
    rlimit saved{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &saved) == 0);
    rlimit few = saved;
    few.rlim_cur = 0;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto problem = test::error_of([&] { file_source{folder / "f"}; });
    ::setrlimit(RLIMIT_NOFILE, &saved);
    REQUIRE(problem);
    CHECK(problem->code() == errc::read_failed);
}

TEST_CASE("threads share a source", "[files]") {
    const test::scratch_folder folder;
    std::string bytes(1u << 16, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 4);
    test::write_file(folder / "f", bytes);
    const file_source file(folder / "f");
    const stream_source stream(folder / "f");
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            const byte_source& source = t % 2 == 0 ? static_cast<const byte_source&>(file) : stream;
            for (std::size_t i = 0; i < 500; ++i) {
                const std::size_t offset = (i * 7919 + t * 104729) % (bytes.size() - 64);
                wrong[t] += text_at(source, offset, 64) != bytes.substr(offset, 64);
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4, 0));
}
