// Finite automata for texts that must not come, or must.
//
// They read bytes, so they see a text however it is cut into tokens.
//
// Before: detail/network.hpp. Used by: grammar.hpp, detail/json_schema.hpp.
#pragma once

#include "network.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A symbol for each byte of the texts, and one for all others.
inline network_parts symbols_of(std::span<const std::string> texts) {
    network_parts made;
    for (const std::string& text : texts)
        for (const char c : text) {
            std::uint8_t& symbol = made.class_of[static_cast<unsigned char>(c)];
            // With all 256 bytes there is no other left, and symbol 0 is that of the last.
            if (symbol == 0 && made.classes < 256)
                symbol = static_cast<std::uint8_t>(made.classes++);
        }
    return made;
}

/// Reads anything in which none of the texts occurs (Aho & Corasick 1975). No text is empty.
inline network texts_absent(std::span<const std::string> texts, std::string_view where) {
    network_parts made = symbols_of(texts);
    made.add_state(where);
    std::vector<char> forbidden{0};
    for (const std::string& text : texts) {
        state_id at = 0;
        for (const char c : text) {
            const std::size_t cell =
                at * made.symbols() + made.class_of[static_cast<unsigned char>(c)];
            if (made.next[cell] == no_state) {
                const state_id fresh = made.add_state(where);
                made.next[cell] = fresh;
                forbidden.push_back(0);
            }
            at = made.next[cell];
        }
        forbidden[at] = 1;
    }
    // Breadth first: where a state has no way of its own it goes as its longest border does.
    std::vector<state_id> order{0}, borders(made.states(), 0);
    for (std::size_t i = 0; i < order.size(); ++i)
        for (std::size_t symbol = 0; symbol < made.symbols(); ++symbol) {
            const state_id at = order[i];
            state_id& to = made.next[at * made.symbols() + symbol];
            const state_id other = at == 0 ? 0 : made.step(borders[at], symbol);
            if (to == no_state) {
                to = other;
            } else {
                borders[to] = other;
                forbidden[to] = forbidden[to] || forbidden[other];
                order.push_back(to);
            }
        }
    for (state_id& to : made.next)
        if (forbidden[to]) to = no_state;
    made.final.assign(made.states(), 1);
    return network(std::move(made), where);
}

/// Reads anything in which the text occurs (Knuth, Morris & Pratt 1977).
inline network text_present(const std::string& text, std::string_view where) {
    network_parts made = symbols_of(std::span(&text, 1));
    state_id border = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        const state_id at = made.add_state(where);
        const bool found = i == text.size();
        for (std::size_t symbol = 0; symbol < made.symbols(); ++symbol)
            made.next[at * made.symbols() + symbol] = found    ? at
                                                      : i == 0 ? 0
                                                               : made.step(border, symbol);
        if (found) break;
        const std::size_t symbol = made.class_of[static_cast<unsigned char>(text[i])];
        if (i > 0) border = made.step(border, symbol);
        made.next[at * made.symbols() + symbol] = at + 1;
    }
    made.final.back() = 1;
    return network(std::move(made), where);
}

/// Reads any bytes but exactly one of the texts.
inline network other_than(std::span<const std::string> texts, std::string_view where) {
    network_parts made = symbols_of(texts);
    const state_id start = made.add_state(where), other = made.add_state(where);
    made.final = {1, 1};
    for (std::size_t cell = 0; cell < made.next.size(); ++cell) made.next[cell] = other;
    for (const std::string& text : texts) {
        state_id at = start;
        for (const char c : text) {
            const std::size_t cell =
                at * made.symbols() + made.class_of[static_cast<unsigned char>(c)];
            if (made.next[cell] == other) {
                const state_id fresh = made.add_state(where);
                made.final[fresh] = 1;
                for (std::size_t symbol = 0; symbol < made.symbols(); ++symbol)
                    made.next[fresh * made.symbols() + symbol] = other;
                made.next[cell] = fresh;
            }
            at = made.next[cell];
        }
        made.final[at] = 0;
    }
    return network(std::move(made), where);
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
