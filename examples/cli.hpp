// What every example program shares: one way to run and to fail (exit status 0 good, 1 a typed
// error with one line on standard error, 2 wrong usage), kinds of options, lists of ids, standard
// input and files.
//
// A program declares its options on a CLI::App and hands the rest to `cli::run`:
//
//     CLI::App app("What it does", "name");
//     app.option_defaults()->always_capture_default();   // --help shows the defaults
//     ...
//     return cli::run(app, argc, argv, [&] { body(); });
#pragma once

#include <gpt2/core.hpp>
#include <gpt2/detail/file_sink.hpp>
#include <gpt2/error.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace cli {

/// Writes `name: message` as one line on standard error.
inline void complain(const std::string& name, std::string message) {
    while (!message.empty() && message.back() == '\n') message.pop_back();
    for (char& c : message)
        if (c == '\n') c = ' ';
    std::cerr << name << ": " << message << '\n';
}

/// Parses the command line, runs `body`, and gives the exit status: 0 when all went well (or help
/// was asked for), 1 when `body` threw or its output could not be written, 2 for wrong usage.
template <class Body>
int run(CLI::App& app, int argc, char** argv, Body&& body) {
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& wrong) {
        complain(app.get_name(), std::string(wrong.what()) + " (see --help)");
        return 2;
    }
    try {
        body();
        if (std::cout.flush()) return 0;
        complain(app.get_name(), "standard output cannot be written");
    } catch (const std::exception& problem) {
        complain(app.get_name(), problem.what());
    }
    return 1;
}

/// The integers of `text`, divided by white space or by one comma each: "1,2,3", "1 2\n3".
/// Raises errc::invalid_argument at the first thing that is none; ranges are the library's to
/// check.
inline std::vector<gpt2::token_id> ids(std::string_view text) {
    constexpr std::string_view spaces = " \t\r\n";
    std::vector<gpt2::token_id> list;
    const char* const end = text.data() + text.size();
    const auto skip_spaces = [&](const char* at) {
        while (at != end && spaces.find(*at) != spaces.npos) ++at;
        return at;
    };
    bool after_comma = false;
    for (const char* at = skip_spaces(text.data()); at != end || after_comma;) {
        gpt2::token_id id = 0;
        const auto [next, status] = std::from_chars(at, end, id);
        const bool divided = next == end || *next == ',' || spaces.find(*next) != spaces.npos;
        if (status != std::errc{} || !divided)
            gpt2::detail::fail(
                gpt2::errc::invalid_argument, "ids", "integers like 1,2,3",
                gpt2::detail::printable({at, static_cast<std::size_t>(end - at)}, 20));
        list.push_back(id);
        at = skip_spaces(next);
        after_comma = at != end && *at == ',';
        if (after_comma) at = skip_spaces(at + 1);
    }
    return list;
}

/// Takes whole numbers only: CLI11 alone would read -1 as the largest there is.
inline CLI::Validator count() {
    const auto check = [](const std::string& text) -> std::string {
        std::uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [next, status] = std::from_chars(text.data(), end, value);
        const bool good = status == std::errc{} && next == end;
        return good ? "" : "expected a whole number from 0 to 2^64 - 1, found " + text;
    };
    return {check, ""};
}

template <class Value>
using choices = std::vector<std::pair<std::string, Value>>;

/// Declares an option that is one of a few words; --help and errors list them. `chosen` holds the
/// default, whose word is the first.
template <class Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Value& chosen,
                        const choices<Value>& known, const std::string& meaning) {
    std::string words;
    for (const auto& [word, value] : known) words += (words.empty() ? "" : "|") + word;
    const auto choose = [&chosen, known, name, words](const std::string& text) {
        for (const auto& [word, value] : known)
            if (word == text) {
                chosen = value;
                return;
            }
        throw CLI::ValidationError(name, "expected " + words + ", found " + text);
    };
    return app.add_option_function<std::string>(name, choose, meaning)
        ->type_name(words)
        ->default_str(known.front().first);
}

/// All bytes of standard input; a person who is expected to type them is told so.
inline std::string standard_input() {
#if __has_include(<unistd.h>)
    if (isatty(STDIN_FILENO)) std::cerr << "(reading standard input; Ctrl-D ends it)\n";
#endif
    std::ios::sync_with_stdio(false);
    return {std::istreambuf_iterator<char>(std::cin), {}};
}

/// All bytes of a file that is not empty. Raises read_failed.
inline std::string whole_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf()))
        gpt2::detail::fail(gpt2::errc::read_failed, gpt2::detail::printable(path),
                           "cannot be read, or is empty");
    return text.str();
}

/// A result into a file, which it replaces, or where none is named to standard output. Raises
/// write_failed.
inline void put_out(const std::string& path, std::string_view result) {
    if (path.empty()) {
        std::cout << result;
        return;
    }
    gpt2::detail::file_sink file(path, gpt2::existing::replace);
    file.write(result);
    file.commit();
}

/// Whether a person sees what is written, and not a file or another program.
inline bool output_is_terminal() {
#if __has_include(<unistd.h>)
    return isatty(STDOUT_FILENO) != 0;
#else
    return false;
#endif
}

}  // namespace cli
