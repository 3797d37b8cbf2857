// What tests/reference/make_sentencepiece.py wrote: the strings, made again from their parts, and
// the hashes of what other libraries do with them.
#pragma once

#include "../support/catch.hpp"
#include "../support/files.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace test {

inline const nlohmann::json& reference_cases() {
    static const auto cases = nlohmann::json::parse(
        read_file(source_folder() / "tests/reference/sentencepiece/cases.json"));
    return cases;
}

inline std::string reference_model(const std::string& name) {
    return read_file(source_folder() / "tests/reference/sentencepiece" / (name + ".model"));
}

inline std::string from_hex(std::string_view hex) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
    return bytes;
}

/// SplitMix64, as in the script.
class split_mix {
public:
    explicit split_mix(std::uint64_t seed) : state_(seed) {}
    std::size_t below(std::size_t bound) {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return static_cast<std::size_t>((z ^ z >> 31) % bound);
    }

private:
    std::uint64_t state_;
};

/// The 5,000 strings joined from the parts that `key` names.
inline std::vector<std::string> reference_strings(const char* key, std::uint64_t seed) {
    std::vector<std::string> parts, strings(5000);
    for (const auto& part : reference_cases().at(key))
        parts.push_back(from_hex(part.get<std::string>()));
    split_mix dice(seed);
    for (std::string& text : strings)
        for (std::size_t count = dice.below(12); count > 0; --count)
            text += parts[dice.below(parts.size())];
    return strings;
}

inline const std::vector<std::string>& reference_texts() {
    static const auto texts = reference_strings("parts", 1);
    return texts;
}

inline std::uint64_t fnv(std::string_view bytes) {
    std::uint64_t value = 0xCBF29CE484222325u;
    for (const char byte : bytes)
        value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    return value;
}

inline std::string little_endian(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
    return out;
}

inline std::string bytes_of(const std::string& text) { return text; }
inline std::string bytes_of(const std::vector<gpt2::token_id>& ids) {
    std::string out;
    for (const auto id : ids) out += little_endian(static_cast<std::uint32_t>(id), 4);
    return out;
}

/// Holds the results of `action` on the strings to the hashes of a case.
template <class Action>
void check_hashes(const std::vector<std::string>& strings, const std::string& expected,
                  Action&& action) {
    constexpr std::string_view digits =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-";
    REQUIRE(expected.size() == strings.size() + 17);
    std::string all;
    for (std::size_t i = 0; i < strings.size(); ++i) {
        const std::uint64_t hash = fnv(bytes_of(action(strings[i])));
        INFO(gpt2::detail::printable(strings[i], 400));
        if (digits[hash & 63] != expected[i]) FAIL("another result");
        all += little_endian(hash, 8);
    }
    char whole[17];
    std::snprintf(whole, sizeof whole, "%016llx", static_cast<unsigned long long>(fnv(all)));
    CHECK(expected.substr(strings.size() + 1) == whole);
}

}  // namespace test
