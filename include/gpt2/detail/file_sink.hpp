// Where bytes go: a file or a folder that is there whole or not at all.
//
// It is written beside its target under a name of its own, forced to the disk, and then renamed;
// whoever gives up on the way (an exception, a full disk) leaves nothing behind. What lies at the
// target stays untouched until then, and files that are open for reading keep their contents: a
// model can be saved over the file it is read from.
//
// Before: detail/byte_source.hpp. Next: detail/tensor_writer.hpp, save.hpp.
#pragma once

#include "../error.hpp"
#include "byte_source.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#endif

namespace gpt2::inline GPT2_ABI {

/// What becomes of that which lies at a target already.
enum class existing {
    keep,     ///< it is an error
    replace,  ///< it gives way, once the new one is complete
};

namespace detail {

/// A new file, open for writing. Every call throws errc::write_failed naming `where`.
class output_file {
public:
    /// Whether there was no entry of that name yet; only then is one made and opened.
    bool create(const std::filesystem::path& path, const std::string& where);
    void write(std::string_view bytes, const std::string& where);
    /// On the disk, not only on the way to it.
    void finish(const std::string& where);

#if defined(__unix__) || defined(__APPLE__)
    output_file() = default;
    output_file(const output_file&) = delete;
    output_file& operator=(const output_file&) = delete;
    ~output_file() {
        if (number_ >= 0) ::close(number_);
    }

private:
    int number_ = -1;
#else

private:
    std::ofstream stream_;
#endif
};

[[noreturn, gnu::cold]] inline void fail_write(const std::string& where,
                                               const std::error_code& why) {
    fail(errc::write_failed, where, {"it cannot be written: ", why.message()});
}

#if defined(__unix__) || defined(__APPLE__)

[[gnu::cold]] inline std::error_code last_system_error() {
    return {errno, std::generic_category()};
}

[[gnu::cold]] inline bool output_file::create(const std::filesystem::path& path,
                                              const std::string& where) {
    constexpr mode_t by_umask = 0666;
    do number_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, by_umask);
    while (number_ < 0 && errno == EINTR);
    if (number_ < 0 && errno != EEXIST) fail_write(where, last_system_error());
    return number_ >= 0;
}

inline void output_file::write(std::string_view bytes, const std::string& where) {
    constexpr std::size_t most = std::size_t{1} << 30;  // some systems refuse more at once
    while (!bytes.empty()) {
        const ssize_t done = ::write(number_, bytes.data(), std::min(bytes.size(), most));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) fail_write(where, last_system_error());
        bytes.remove_prefix(static_cast<std::size_t>(done));
    }
}

[[gnu::cold]] inline void output_file::finish(const std::string& where) {
    // Some file systems have no such thing as forcing to the disk, and say so.
    if (::fsync(number_) != 0 && errno != EINVAL && errno != ENOTSUP)
        fail_write(where, last_system_error());
    if (::close(std::exchange(number_, -1)) != 0 && errno != EINTR)
        fail_write(where, last_system_error());
}

/// Forces the names in a folder to the disk where the system can; what is written is whole anyway.
[[gnu::cold]] inline void sync_folder(const std::filesystem::path& folder) {
    const int number = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (number < 0) return;
    ::fsync(number);
    ::close(number);
}

#else

[[gnu::cold]] inline bool output_file::create(const std::filesystem::path& path,
                                              const std::string& where) {
    if (std::filesystem::exists(std::filesystem::symlink_status(path))) return false;
    stream_.open(path, std::ios::binary);
    if (!stream_) fail_write(where, std::make_error_code(std::errc::io_error));
    return true;
}

inline void output_file::write(std::string_view bytes, const std::string& where) {
    stream_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!stream_) fail_write(where, std::make_error_code(std::errc::io_error));
}

[[gnu::cold]] inline void output_file::finish(const std::string& where) {
    stream_.close();
    if (!stream_) fail_write(where, std::make_error_code(std::errc::io_error));
}

[[gnu::cold]] inline void sync_folder(const std::filesystem::path&) {}

#endif

/// The place that a path means: links are followed, so that they are not replaced by what they lead
/// to. Throws errc::not_found when its folder is not there, errc::write_failed.
[[gnu::cold]] inline std::filesystem::path place_of(const std::filesystem::path& target) {
    std::error_code problem;
    auto place = std::filesystem::weakly_canonical(std::filesystem::absolute(target), problem);
    if (problem) fail_write(shown(target), problem);
    if (!place.has_filename()) place = place.parent_path();
    if (!std::filesystem::is_directory(place.parent_path(), problem))
        fail(errc::not_found, shown(target), "the folder it is to lie in does not exist");
    return place;
}

/// The first name beside `target` for which `make` says that nothing was there.
template <class Make>
[[gnu::cold]] std::filesystem::path place_beside(const std::filesystem::path& target, Make make) {
    constexpr int most = 100;  // what killed programs left behind
    for (int number = 0; number < most; ++number) {
        auto name = std::filesystem::path(".");
        name += target.filename();
        name += text_of({".part", number});
        auto path = target.parent_path() / name;
        if (make(path)) return path;
    }
    fail(errc::write_failed, shown(target), "too many unfinished files beside it (.part0 and on)");
}

[[gnu::cold]] inline void rename_into_place(const std::filesystem::path& from,
                                            const std::filesystem::path& to) {
    std::error_code problem;
    std::filesystem::rename(from, to, problem);
    if (problem) fail_write(shown(to), problem);
}

/// A file that appears at its target when it is complete.
class file_sink {
public:
    /// Throws errc::not_found (no such folder), errc::not_regular_file, errc::write_failed, also
    /// for what is there already and is to be kept.
    [[gnu::cold]] file_sink(const std::filesystem::path& target, existing what)
        : where_(shown(target)), target_(place_of(target)) {
        std::error_code ignored;
        const auto status = std::filesystem::symlink_status(target_, ignored);
        if (std::filesystem::exists(status)) {
            if (!std::filesystem::is_regular_file(status))
                fail(errc::not_regular_file, where_, "a file, or nothing yet",
                     std::filesystem::is_directory(status) ? "a folder" : "something else");
            if (what == existing::keep)
                fail(errc::write_failed, where_, "there is such a file already");
        }
        part_ = place_beside(target_, [&](const auto& path) { return file_.create(path, where_); });
    }
    file_sink(const file_sink&) = delete;
    file_sink& operator=(const file_sink&) = delete;
    ~file_sink() {
        std::error_code ignored;
        if (!part_.empty()) std::filesystem::remove(part_, ignored);
    }

    /// Throws errc::write_failed.
    void write(std::string_view bytes) { file_.write(bytes, where_); }

    /// The file is complete. Throws errc::write_failed.
    [[gnu::cold]] void commit() {
        file_.finish(where_);
        const auto folder = target_.parent_path();  // now: once it is in place nothing may fail
        rename_into_place(part_, target_);
        part_.clear();
        sync_folder(folder);
    }

private:
    std::string where_;
    std::filesystem::path target_, part_;
    output_file file_;
};

/// A folder of files that appears at its target when it is complete.
class folder_sink {
public:
    /// Replaces only a folder in which `known` says of each entry that it may go. Throws
    /// errc::not_found (no such folder), errc::not_regular_file, errc::write_failed.
    [[gnu::cold]] folder_sink(const std::filesystem::path& target, existing what,
                              bool (*known)(std::string_view name))
        : where_(shown(target)), target_(place_of(target)) {
        check_target(what, known);
        part_ = place_beside(target_, [&](const auto& path) {
            std::error_code problem;
            const bool made = std::filesystem::create_directory(path, problem);
            if (problem && problem != std::errc::file_exists) fail_write(where_, problem);
            return made;
        });
    }
    folder_sink(const folder_sink&) = delete;
    folder_sink& operator=(const folder_sink&) = delete;
    ~folder_sink() {
        std::error_code ignored;
        if (!part_.empty()) std::filesystem::remove_all(part_, ignored);
    }

    /// Writes the file `name` with all that `fill` puts into the sink it is given. Throws
    /// errc::write_failed, and what `fill` throws.
    template <class Fill>
    void add(std::string_view name, Fill fill) {
        const auto path = entry_of(part_, name);
        const auto where = shown(entry_of(target_, name));
        output_file file;
        if (!file.create(path, where)) fail(errc::write_failed, where, "it is written twice");
        fill(byte_sink([&](std::string_view bytes) { file.write(bytes, where); }));
        file.finish(where);
    }
    void add_text(std::string_view name, std::string_view text) {
        add(name, [&](const byte_sink& sink) { sink(text); });
    }

    /// The folder is complete. Throws errc::write_failed.
    [[gnu::cold]] void commit() {
        sync_folder(part_);
        if (!replaces_) {
            rename_into_place(part_, target_);
        } else {
            // No system-independent call swaps two folders: for a moment there is none.
            const auto old = place_beside(target_, [&](const std::filesystem::path& path) {
                if (std::filesystem::exists(std::filesystem::symlink_status(path))) return false;
                rename_into_place(target_, path);
                return true;
            });
            try {
                rename_into_place(part_, target_);
            } catch (...) {
                rename_into_place(old, target_);
                throw;
            }
            std::error_code ignored;
            std::filesystem::remove_all(old, ignored);
        }
        part_.clear();
        sync_folder(target_.parent_path());
    }

private:
    [[gnu::cold]] void check_target(existing what, bool (*known)(std::string_view name)) {
        std::error_code problem;
        const auto status = std::filesystem::symlink_status(target_, problem);
        if (!std::filesystem::exists(status)) return;
        if (!std::filesystem::is_directory(status))
            fail(errc::not_regular_file, where_, "a folder, or nothing yet", "something else");
        std::filesystem::directory_iterator at(target_, problem);
        for (const std::filesystem::directory_iterator end; !problem && at != end;
             at.increment(problem)) {
            if (what == existing::keep)
                fail(errc::write_failed, where_, "there is such a folder already, with files");
            const std::string name = at->path().filename().string();
            if (!at->is_regular_file(problem) || !known(name))
                fail(errc::write_failed, where_,
                     {"it holds ", printable(name), ", which no saved model does: it stays"});
            replaces_ = true;
        }
        if (problem) fail_write(where_, problem);
    }

    std::string where_;
    std::filesystem::path target_, part_;
    bool replaces_ = false;  // a folder with files
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
