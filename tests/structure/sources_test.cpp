// The rules that the sources themselves keep: which header may include which, what a library never
// does, sizes, macros, and what stands at the top level. Every rule is also shown a text that
// breaks it, so that a rule which finds nothing is known to be awake.

#include "../support/files.hpp"
#include "source_text.hpp"

#include <gpt2/core.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using test::code_of;
using test::has_word;
using test::lines_of;
using test::listing;
using test::source;

const fs::path root = test::source_folder();

/// Header files by their path below include/gpt2, with forward slashes.
std::map<std::string, std::string> headers() {
    std::map<std::string, std::string> found;
    for (const source& file : listing(root / "include" / "gpt2", {".hpp", ".inl"}))
        found[file.name] = file.text;
    return found;
}

struct place {
    int level;
    std::size_t row;
};

/// The table of include/gpt2/README.md: rows `| level | \`header\` | purpose |`.
std::map<std::string, place> map_of_headers() {
    std::map<std::string, place> places;
    for (const std::string& line : lines_of(test::read_file(root / "include/gpt2/README.md"))) {
        const auto tick = line.find('`');
        if (line.size() < 3 || line[0] != '|' || line[2] < '0' || line[2] > '9') continue;
        REQUIRE(tick != line.npos);
        const std::string name = line.substr(tick + 1, line.find('`', tick + 1) - tick - 1);
        INFO(name);
        REQUIRE(places.emplace(name, place{line[2] - '0', places.size()}).second);
    }
    return places;
}

struct includes {
    std::vector<std::string> own;      ///< "…", resolved to paths below include/gpt2
    std::vector<std::string> outside;  ///< <…>
};

includes includes_of(const std::string& name, const std::string& text) {
    includes found;
    for (const std::string& line : lines_of(text)) {
        if (!line.starts_with("#include ")) continue;
        const std::string what = line.substr(10, line.find_first_of("\">", 10) - 10);
        if (line[9] == '<')
            found.outside.push_back(what);
        else
            found.own.push_back(
                (fs::path(name).parent_path() / what).lexically_normal().generic_string());
    }
    return found;
}

/// Everything from outside that including `name` brings in.
std::set<std::string> outside_of(const std::string& name) {
    const auto all = headers();
    std::set<std::string> seen, outside;
    std::vector<std::string> open = {name};
    while (!open.empty()) {
        const std::string next = open.back();
        open.pop_back();
        if (!seen.insert(next).second || !all.contains(next)) continue;
        const includes found = includes_of(next, all.at(next));
        outside.insert(found.outside.begin(), found.outside.end());
        open.insert(open.end(), found.own.begin(), found.own.end());
    }
    return outside;
}

bool starts_any(const std::set<std::string>& names, std::string_view prefix) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return name.starts_with(prefix); });
}

/// Words of code that a library which embeds anywhere does without.
std::vector<std::string> forbidden_in(const std::string& text) {
    static const char* const words[] = {
        "abort",   "exit",      "_Exit",    "quick_exit", "getenv", "setenv",        "printf",
        "fprintf", "sprintf",   "puts",     "putchar",    "stdout", "stderr",        "cout",
        "cerr",    "clog",      "iostream", "regex",      "rand",   "random_device", "srand",
        "mt19937", "setlocale", "atoi",     "strtod",     "stod",   "stof",          "system"};
    const std::string code = code_of(text);
    std::vector<std::string> found;
    for (const char* const word : words)
        if (has_word(code, word)) found.push_back(word);
    if (code.find("_distribution") != code.npos) found.push_back("*_distribution");
    if (code.find("using namespace") != code.npos) found.push_back("using namespace");
    for (const char* const mark : {"TODO", "FIXME", "XXX"})
        if (has_word(text, mark)) found.push_back(mark);
    return found;
}

/// Names that `text` leaves defined as macros.
std::vector<std::string> macros_of(const std::string& text) {
    std::vector<std::string> names;
    for (const std::string& line : lines_of(text)) {
        const auto hash = line.find_first_not_of(' ');
        if (hash == line.npos || line[hash] != '#') continue;
        const auto word = line.find("define ", hash);
        if (word == line.npos || line.find_first_not_of(' ', hash + 1) != word) continue;
        const auto end = line.find_first_of(" (", word + 7);
        names.push_back(line.substr(word + 7, end == line.npos ? end : end - word - 7));
        if (text.find("#undef " + names.back() + "\n") != text.npos) names.pop_back();
    }
    return names;
}

}  // namespace

TEST_CASE("headers include only what stands above them in the map", "[structure]") {
    const auto places = map_of_headers();
    const auto all = headers();
    REQUIRE(!all.empty());
    for (const auto& [name, text] : all) {
        INFO(name << ": every header has a row in include/gpt2/README.md");
        CHECK(places.contains(name));
        for (const std::string& other : includes_of(name, text).own) {
            INFO(name << " includes " << other);
            CHECK(all.contains(other));
            if (!places.contains(name) || !places.contains(other)) continue;
            CHECK(places.at(other).row < places.at(name).row);
            CHECK(places.at(other).level <= places.at(name).level);
        }
    }
    for (const auto& [name, where] : places) {
        INFO(name << ": a row without a header");
        CHECK(all.contains(name));
    }
    const includes found = includes_of("detail/a.hpp", "#include \"../b.hpp\"\n#include <span>\n");
    CHECK(found.own == std::vector<std::string>{"b.hpp"});
    CHECK(found.outside == std::vector<std::string>{"span"});
}

TEST_CASE("Eigen stays where it belongs, and nothing else is needed", "[structure]") {
    for (const auto& [name, text] : headers()) {
        const includes found = includes_of(name, text);
        const std::set<std::string> outside(found.outside.begin(), found.outside.end());
        INFO(name);
        if (name != "tensor.hpp") CHECK(!starts_any(outside, "Eigen/"));
        if (name == "tensor.hpp") CHECK(outside.contains("Eigen/Core"));
        CHECK(!starts_any(outside, "nlohmann/"));
        if (name != "tensor.hpp" && name.starts_with("tok")) {
            CHECK(!starts_any(outside_of(name), "Eigen/"));
        }
    }
    CHECK(!starts_any(outside_of("sampler.hpp"), "Eigen/"));
    CHECK(starts_any(outside_of("tensor.hpp"), "Eigen/"));
}

TEST_CASE("headers write nothing, end nothing, and read no environment", "[structure]") {
    for (const auto& [name, text] : headers()) {
        const auto found = forbidden_in(text);
        CAPTURE(name, found);
        CHECK(found.empty());
    }
    CHECK(forbidden_in("int x = std::abort();").size() == 1);
    CHECK(forbidden_in("// abort\n\"abort\" aborted").empty());
    CHECK(forbidden_in("std::normal_distribution<> d;").size() == 1);
    CHECK(forbidden_in("// TODO").size() == 1);
}

TEST_CASE("macros that a user meets begin with GPT2_ and are eight at most", "[structure]") {
    std::set<std::string> names;
    for (const auto& [header, text] : headers()) {
        for (const std::string& name : macros_of(text)) {
            CAPTURE(header, name);
            CHECK(name.starts_with("GPT2_"));
            names.insert(name);
        }
    }
    CAPTURE(names);
    CHECK(names.size() <= 8);
    CHECK(macros_of("#define A 1\n  # define B(x) x\n// #define C\n#define D\n#undef D\n") ==
          std::vector<std::string>{"A", "B"});
}

TEST_CASE("the inline namespace carries the version", "[structure]") {
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
    const std::string wanted = "v" TEXT(GPT2_VERSION_MAJOR) "_" TEXT(GPT2_VERSION_MINOR) "_simd";
    CHECK(std::string(TEXT(GPT2_ABI)).starts_with(wanted));
#undef TEXT
#undef TEXT_OF
}

TEST_CASE("headers open with #pragma once after a comment", "[structure]") {
    for (const auto& [name, text] : headers()) {
        if (name.ends_with(".inl")) continue;  // included more than once
        INFO(name);
        const auto lines = lines_of(text);
        const auto first = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
            return !line.starts_with("//");
        });
        CHECK(first - lines.begin() >= 3);
        CHECK((first != lines.end() && *first == "#pragma once"));
    }
}

TEST_CASE("files keep to 500 lines of 100 columns", "[structure]") {
    std::size_t seen = 0;
    for (const char* const folder : {"include", "examples", "tests", "cmake"}) {
        for (const source& file :
             listing(root / folder, {".hpp", ".cpp", ".cmake", ".sh", ".py"})) {
            const auto lines = lines_of(file.text);
            CAPTURE(folder, file.name);
            CHECK(lines.size() <= 500);
            for (std::size_t i = 0; i < lines.size(); ++i) {
                CAPTURE(i + 1, lines[i]);
                if (test::columns(lines[i]) > 100) CHECK(test::columns(lines[i]) <= 100);
            }
            ++seen;
        }
    }
    CHECK(seen > 10);
    CHECK(test::columns("né") == 2);
}

TEST_CASE("nothing stands at the top level but what the design names", "[structure]") {
    const std::set<std::string> allowed = {"include",   "tests",          "examples", "cmake",
                                           "README.md", "CMakeLists.txt", "LICENSE"};
    for (const auto& entry : fs::directory_iterator(root)) {
        const std::string name = entry.path().filename().string();
        INFO(name);
        CHECK((allowed.contains(name) || name.starts_with(".") || name.starts_with("build")));
    }
    if (fs::exists(root / "README.md"))
        CHECK(lines_of(test::read_file(root / "README.md")).size() <= 250);
}
