// Folders and files for tests: where the repository and the data beside it are, scratch folders
// that vanish, whole files in and out.
#pragma once

#include "catch.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace test {

/// The repository, as CMake names it.
inline std::filesystem::path source_folder() { return GPT2_SOURCE_DIR; }

/// `../shared/<name>` beside the repository; empty, with a warning, when it is absent: the test
/// then returns at once and says what it skipped.
inline std::filesystem::path shared_data(const std::string& name) {
    auto path = source_folder() / ".." / "shared" / name;
    if (std::filesystem::exists(path)) return path;
    WARN("skipped: ../shared/" + name + " is not beside this checkout");
    return {};
}

/// A fresh folder below the system's temporary one, removed with all it holds at the end of scope.
class scratch_folder {
public:
    scratch_folder() {
        auto name = (std::filesystem::temp_directory_path() / "gpt2-test-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    REQUIRE(file.good());
}

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace test
