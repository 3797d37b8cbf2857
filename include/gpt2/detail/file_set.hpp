// Files by name: those of a folder, or parts in memory. What a model is opened from.
//
// A name is that of a plain file: nothing outside the folder is opened. Links that lie in it are
// followed, since the hub's own download cache consists of them.
//
// Before: detail/byte_source.hpp. Next: detail/hf_folder.hpp, tokenizer_files.hpp.
#pragma once

#include "byte_source.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// A file that is in memory: the name it would have in its folder, and its bytes.
struct file_part {
    std::string_view name;
    std::span<const std::byte> bytes;
};

namespace detail {

/// Whether a file may be named by another one: a plain name that every system takes for a file of
/// this folder.
inline bool is_plain_name(std::string_view name) {
    if (name.empty() || name.size() > 255 || name.front() == '.' || name.back() == '.')
        return false;
    const auto harmless = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '-' || c == '_' || c == '.' || c == '+';
    };
    if (!all_bytes(name, harmless)) return false;
    std::string stem(name.substr(0, name.find('.')));
    for (char& c : stem)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const bool device = stem == "CON" || stem == "PRN" || stem == "AUX" || stem == "NUL";
    const bool port = stem.size() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")) &&
                      stem[3] >= '0' && stem[3] <= '9';
    return !device && !port;
}

/// Cheap to copy. Threads may share it.
class file_set {
public:
    /// Throws errc::not_found, errc::read_failed, errc::invalid_argument (not a folder).
    [[gnu::cold]] file_set(const std::filesystem::path& folder) : folder_(folder) {
        std::error_code problem;
        const auto status = std::filesystem::status(folder, problem);
        if (status.type() == std::filesystem::file_type::not_found)
            fail(errc::not_found, detail::shown(folder), "no such folder");
        if (problem) fail(errc::read_failed, detail::shown(folder), problem.message());
        if (!std::filesystem::is_directory(status))
            fail(errc::invalid_argument, detail::shown(folder), "a folder", "something else");
    }
    /// The bytes must outlive everything that is opened. Throws errc::invalid_argument for a name
    /// that is there twice.
    [[gnu::cold]] explicit file_set(std::span<const file_part> parts) : in_memory_(true) {
        for (const auto& [name, bytes] : parts)
            if (!parts_.emplace(name, bytes).second)
                fail(errc::invalid_argument, shown(name), "it is given twice");
    }

    /// Whether there is an entry of that name, of whatever kind.
    [[gnu::cold]] bool has(std::string_view name) const {
        if (in_memory_) return parts_.contains(name);
        std::error_code ignored;
        return std::filesystem::exists(
            std::filesystem::symlink_status(entry_of(folder_, name), ignored));
    }

    /// Throws errc::not_found, errc::not_regular_file, errc::read_failed.
    [[gnu::cold]] std::shared_ptr<const byte_source> open(std::string_view name) const {
        if (!in_memory_) return std::make_shared<file_source>(entry_of(folder_, name));
        const auto part = parts_.find(name);
        if (part == parts_.end()) fail(errc::not_found, shown(name), "no such part");
        return std::make_shared<memory_source>(shown(name), part->second);
    }

    /// The file's name for messages; without a name that of the set.
    [[gnu::cold]] std::string shown(std::string_view name = {}) const {
        if (!in_memory_) return detail::shown(name.empty() ? folder_ : entry_of(folder_, name));
        return name.empty() ? "memory" : text_of({"memory: ", printable(name, 60)});
    }

    /// The names of all regular files, in order. Throws errc::read_failed, errc::limit_exceeded.
    [[gnu::cold]] std::vector<std::string> names() const {
        constexpr std::size_t most = 4096;
        std::vector<std::string> list;
        for (const auto& [name, bytes] : parts_) list.push_back(name);
        if (in_memory_) return list;
        std::error_code problem, ignored;
        for (std::filesystem::directory_iterator at(folder_, problem), end; !problem && at != end;
             at.increment(problem)) {
            if (!at->is_regular_file(ignored)) continue;
            if (list.size() == most)
                fail(errc::limit_exceeded, shown(), {"at most ", most, " files"}, "more");
            list.push_back(at->path().filename().string());
        }
        if (problem) fail(errc::read_failed, shown(), problem.message());
        std::sort(list.begin(), list.end());
        return list;
    }

private:
    std::filesystem::path folder_;
    std::map<std::string, std::span<const std::byte>, std::less<>> parts_;
    bool in_memory_ = false;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
