// What experiments print: numbers in columns, bars, grids with a row for each layer, tokens.
#pragma once

#include <gpt2/detail/visible_text.hpp>
#include <gpt2/experiment.hpp>
#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace report {

enum class format { text, json };

inline std::string fixed(double value, int digits) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(digits) << value;
    const bool is_zero = text.str().find_first_of("123456789in") == std::string::npos;
    return is_zero && text.str().front() == '-' ? text.str().substr(1) : text.str();
}

/// With spaces before it, or behind it, up to so many columns of a terminal.
inline std::string right(std::string_view text, std::size_t width) {
    return std::string(width - std::min(width, gpt2::detail::columns_of(text)), ' ') +
           std::string(text);
}
inline std::string left(std::string_view text, std::size_t width) {
    return std::string(text) +
           std::string(width - std::min(width, gpt2::detail::columns_of(text)), ' ');
}

/// A bar of up to `most` signs: # above zero, - below.
inline std::string bar(double value, double per_sign, std::size_t most = 40) {
    const double signs = std::isfinite(value) ? std::round(std::abs(value) / per_sign) : 0;
    return std::string(std::min(most, static_cast<std::size_t>(std::min(signs, 1e6))),
                       value < 0 ? '-' : '#');
}

/// A line without the spaces at its end.
inline void print_line(const std::string& line) {
    std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
}

/// A text as a person reads it, in quotes; nothing in it moves a cursor or turns letters around.
inline std::string quoted(std::string_view text) { return '"' + gpt2::detail::visible(text) + '"'; }

/// A token in the same way, or its id.
inline std::string token(const gpt2::language_model& of, gpt2::token_id id) {
    if (!of.has_tokenizer()) return std::to_string(id);
    const auto text = gpt2::detail::visible(of.tokenizer().bytes(id));
    return '"' + gpt2::detail::fitted(text, 24) + '"';
}

/// The ids of a text, each as `token`.
inline std::vector<std::string> tokens(const gpt2::language_model& of,
                                       const std::vector<gpt2::token_id>& ids) {
    std::vector<std::string> list;
    for (const auto id : ids) list.push_back(token(of, id));
    return list;
}

/// A grid with a row for each layer.
struct grid {
    std::size_t layers;
    std::vector<std::string> columns;  ///< their heads
    int digits = 2;
    std::function<double(std::size_t layer, std::size_t column)> value;
};

inline void print(const grid& what) {
    std::string line = left("layer", 6);
    std::vector<std::size_t> widths;
    for (const auto& head : what.columns) {
        widths.push_back(std::max<std::size_t>(gpt2::detail::columns_of(head) + 2, 9));
        line += right(head, widths.back());
    }
    print_line(line);
    for (std::size_t layer = 0; layer < what.layers; ++layer) {
        line = right(std::to_string(layer), 5) + ' ';
        for (std::size_t i = 0; i < widths.size(); ++i)
            line += right(fixed(what.value(layer, i), what.digits), widths[i]);
        print_line(line);
    }
}

inline grid of_heads(const gpt2::head_table& table, int digits) {
    grid made{table.layers, {}, digits, [&table](std::size_t layer, std::size_t head) {
                  return table.at({layer, head});
              }};
    for (std::size_t h = 0; h < table.heads; ++h)
        made.columns.push_back("head " + std::to_string(h));
    return made;
}

/// What one should see in what was printed.
inline void notice(const std::string& text) { std::cout << "\nNotice: " << text << '\n'; }

using nlohmann::json;

/// Rows of numbers, one for each layer.
inline json as_json(const gpt2::head_table& table) {
    auto rows = json::array();
    for (std::size_t layer = 0; layer < table.layers; ++layer) {
        rows.push_back(json::array());
        for (std::size_t h = 0; h < table.heads; ++h) rows.back().push_back(table.at({layer, h}));
    }
    return rows;
}

/// {"token": id, "text": …}; bytes that are no UTF-8 are replaced when it is printed.
inline json as_json(const gpt2::language_model& of, gpt2::token_id id) {
    json made = {{"token", id}};
    if (of.has_tokenizer()) made["text"] = std::string(of.tokenizer().bytes(id));
    return made;
}

inline void print(const json& value) {
    std::cout << value.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
}

}  // namespace report
