// Where bytes come from: a regular file or memory, read by offset.
//
// Reading never maps: a file that shrinks while it is read gives a typed error, never a signal. The
// size is taken once, when the source is made; every read is checked against it and is all or
// nothing. One source serves many threads. Pipes, devices, sockets and folders are refused without
// waiting on them. Only `map` puts a file into memory as it lies, for formats that are used in
// place; who uses it must not cut the file short meanwhile, but rename another one over it.
//
// Before: error.hpp, detail/checked.hpp. Next: detail/json.hpp, weights.hpp.
#pragma once

#include "../error.hpp"
#include "checked.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A path for messages: as it is written when it holds no control characters, and of a long one
/// the end, so that what a message has to say still fits behind it.
[[gnu::cold]] inline std::string shown(const std::filesystem::path& path) {
    constexpr std::size_t longest = 160;
    const std::u8string text = path.u8string();
    std::string out(reinterpret_cast<const char*>(text.data()), text.size());
    const auto plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
    if (!all_bytes(out, plain)) return printable(out, 60);
    if (out.size() <= longest) return out;
    std::size_t cut = out.size() - longest;
    while (cut < out.size() && (static_cast<unsigned char>(out[cut]) & 0xC0) == 0x80) ++cut;
    return "…" + out.substr(cut);
}

/// A folder's entry of that name.
[[gnu::noinline, gnu::cold]] inline std::filesystem::path entry_of(
    const std::filesystem::path& folder, std::string_view name) {
    return folder / name;
}

/// Takes the next bytes of a file that is written.
using byte_sink = std::function<void(std::string_view)>;

/// Bytes by offset. `read` fills `out` whole or throws: errc::truncated when the source ends
/// before that (with the bytes expected and found), errc::read_failed when the system refuses.
/// Threads may share it.
class byte_source {
public:
    byte_source(const byte_source&) = delete;
    byte_source& operator=(const byte_source&) = delete;
    virtual ~byte_source() = default;

    const std::string& name() const noexcept { return name_; }  ///< for messages
    std::uint64_t size() const noexcept { return size_; }       ///< bytes, fixed when opened

    void read(std::uint64_t offset, std::span<std::byte> out) const {
        const auto end = checked_add<std::uint64_t>(offset, out.size());
        if (!end || *end > size_) fail_short(offset, out.size(), size_);
        for (std::size_t done = 0; done < out.size();) {
            const std::size_t got = read_some(offset + done, out.subspan(done));
            if (got == 0) fail_short(offset, out.size(), offset + done);
            done += got;
        }
    }

    /// All bytes, at an address that is a multiple of 64, as long as the pointer lives: mapped
    /// where that is possible, so that processes share them, else read. Throws what `read` throws.
    virtual std::shared_ptr<const std::byte> map() const {
        constexpr std::align_val_t alignment{64};
        const auto count = static_cast<std::size_t>(size_);
        const std::shared_ptr<std::byte> bytes(
            static_cast<std::byte*>(::operator new(count, alignment)),
            [](std::byte* data) { ::operator delete (data, std::align_val_t{64}); });
        read(0, {bytes.get(), count});
        return bytes;
    }

protected:
    byte_source(std::string name, std::uint64_t size) : name_(std::move(name)), size_(size) {}

private:
    /// Delivers at least one byte from `offset` on, or 0 at the end; `out` is not empty.
    virtual std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const = 0;

    [[noreturn, gnu::noinline, gnu::cold]] void fail_short(std::uint64_t offset, std::size_t wanted,
                                                           std::uint64_t end) const {
        fail(errc::truncated, name_, {wanted, " bytes at offset ", offset},
             {"an end after ", end, " bytes"});
    }

    std::string name_;
    std::uint64_t size_;
};

/// Bytes in memory: owned (a vector moved in) or borrowed (a span that outlives the source).
class memory_source final : public byte_source {
public:
    memory_source(std::string name, std::vector<std::byte> owned)
        : byte_source(std::move(name), owned.size()), owned_(std::move(owned)), bytes_(owned_) {}
    memory_source(std::string name, std::span<const std::byte> borrowed)
        : byte_source(std::move(name), borrowed.size()), bytes_(borrowed) {}

    /// Borrowed bytes are used where they are when their address allows it.
    std::shared_ptr<const std::byte> map() const override {
        const bool aligned = reinterpret_cast<std::uintptr_t>(bytes_.data()) % 64 == 0;
        if (!aligned || !owned_.empty()) return byte_source::map();
        return {std::shared_ptr<const void>(), bytes_.data()};
    }

private:
    std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override {
        std::memcpy(out.data(), bytes_.data() + static_cast<std::size_t>(offset), out.size());
        return out.size();
    }

    std::vector<std::byte> owned_;
    std::span<const std::byte> bytes_;
};

/// A regular file through the standard library alone, for systems without pread: reads take turns.
/// Throws errc::not_found, errc::not_regular_file or errc::read_failed.
class stream_source final : public byte_source {
public:
    explicit stream_source(const std::filesystem::path& path)
        : byte_source(shown(path), regular_size(path)), stream_(path, std::ios::binary) {
        if (!stream_) fail(errc::read_failed, name(), "the file cannot be opened");
    }

private:
    static std::uint64_t regular_size(const std::filesystem::path& path) {
        std::error_code problem;
        const auto status = std::filesystem::status(path, problem);
        if (status.type() == std::filesystem::file_type::not_found)
            fail(errc::not_found, shown(path), "no such file");
        if (problem) fail(errc::read_failed, shown(path), problem.message());
        if (!std::filesystem::is_regular_file(status))
            fail(errc::not_regular_file, shown(path), "a regular file", "something else");
        const std::uint64_t size = std::filesystem::file_size(path, problem);
        if (problem) fail(errc::read_failed, shown(path), problem.message());
        return size;
    }

    std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override {
        const std::lock_guard lock(turn_);
        stream_.clear();
        stream_.seekg(static_cast<std::streamoff>(offset));
        stream_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
        return static_cast<std::size_t>(stream_.gcount());
    }

    mutable std::mutex turn_;
    mutable std::ifstream stream_;
};

#if defined(__unix__) || defined(__APPLE__)

/// A regular file, read by pread through one descriptor that is closed with the source: a file
/// deleted or replaced meanwhile keeps its old contents here.
/// Throws errc::not_found, errc::not_regular_file or errc::read_failed.
class file_source final : public byte_source {
public:
    explicit file_source(const std::filesystem::path& path) : file_source(shown(path), path) {}

    std::shared_ptr<const std::byte> map() const override {
        const auto length = static_cast<std::size_t>(size());
        void* const memory = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file_.number(), 0);
        if (memory == MAP_FAILED) return byte_source::map();  // nothing to map, or no such system
        ::madvise(memory, length, MADV_WILLNEED);
        return {static_cast<const std::byte*>(memory), [length](const std::byte* data) {
                    ::munmap(const_cast<std::byte*>(data), length);
                }};
    }

private:
    class descriptor {
    public:
        descriptor(const std::string& where, const std::filesystem::path& path) {
            do number_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
            while (number_ < 0 && errno == EINTR);
            if (number_ < 0) fail_open(where, errno);
        }
        descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
        ~descriptor() {
            if (number_ >= 0) ::close(number_);
        }
        int number() const noexcept { return number_; }

    private:
        [[noreturn, gnu::noinline, gnu::cold]] static void fail_open(const std::string& where,
                                                                     int problem) {
            if (problem == ENOENT || problem == ENOTDIR)
                fail(errc::not_found, where, "no such file");
            if (problem == ENXIO) fail(errc::not_regular_file, where, "a regular file", "a socket");
            fail(errc::read_failed, where, std::generic_category().message(problem));
        }
        int number_ = -1;
    };

    file_source(const std::string& where, const std::filesystem::path& path)
        : file_source(where, descriptor(where, path)) {}
    file_source(const std::string& where, descriptor file)
        : byte_source(where, regular_size(where, file.number())), file_(std::move(file)) {}

    static std::uint64_t regular_size(const std::string& where, int number) {
        struct stat facts {};
        if (::fstat(number, &facts) != 0)
            fail(errc::read_failed, where, std::generic_category().message(errno));
        if (!S_ISREG(facts.st_mode))
            fail(errc::not_regular_file, where, "a regular file",
                 S_ISDIR(facts.st_mode) ? "a folder" : "a pipe or device");
        return static_cast<std::uint64_t>(facts.st_size);
    }

    std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override {
        constexpr std::size_t most = std::size_t{1} << 30;  // some systems refuse more at once
        const std::size_t count = std::min(out.size(), most);
        ssize_t got = 0;
        do got = ::pread(file_.number(), out.data(), count, static_cast<off_t>(offset));
        while (got < 0 && errno == EINTR);
        if (got < 0) fail(errc::read_failed, name(), std::generic_category().message(errno));
        return static_cast<std::size_t>(got);
    }

    descriptor file_;
};

#else

using file_source = stream_source;

#endif

/// The whole of a small file. Throws errc::limit_exceeded, before anything is read, when it is
/// larger than `most_bytes`, and what reading throws.
[[gnu::cold]] inline std::string read_text(const byte_source& file, std::size_t most_bytes) {
    if (file.size() > most_bytes)
        fail(errc::limit_exceeded, file.name(), {"at most ", most_bytes, " bytes"}, file.size());
    std::string text(static_cast<std::size_t>(file.size()), '\0');
    file.read(0, std::as_writable_bytes(std::span(text.data(), text.size())));
    return text;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
