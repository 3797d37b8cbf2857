// What the tests of walks share: models, and walks as JSON.
#pragma once

#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/random_model.hpp"

#include <gpt2/explain.hpp>
#include <gpt2/walk_json.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace test {

using nlohmann::json;

/// The bundled model, which writes English tales.
inline const gpt2::language_model& tales() {
    static const auto model = gpt2::load(GPT2_BUNDLED_MODEL, {.threads = 2});
    return model;
}

/// A random model over 53 ids, without a tokenizer, its weights as `change` leaves them.
inline gpt2::language_model nameless_model(const std::function<void(random_weights&)>& change =
                                               [](random_weights&) {}) {
    const auto c = odd_config();
    random_weights weights(c);
    change(weights);
    return gpt2::language_model(std::make_shared<const gpt2::language_parts>(
        weights.model(c), std::nullopt, gpt2::audit{}, std::make_shared<gpt2::thread_pool>(1)));
}

inline json json_of(const gpt2::walk& of) { return json::parse(gpt2::walk_json(of)); }

/// The bytes that base64 stands for.
inline std::string bytes_of_base64(const std::string& text) {
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        if (c == '=') break;
        bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
        if ((held += 6) < 8) continue;
        bytes += static_cast<char>(bits >> (held -= 8));
    }
    return bytes;
}

/// The numbers of a packed array.
inline std::vector<float> unpacked(const json& packed) {
    const auto bytes = bytes_of_base64(packed["f16"].get<std::string>());
    std::vector<float> values;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        values.push_back(gpt2::detail::widened(gpt2::detail::half_bits{
            static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[i]) |
                                       static_cast<unsigned char>(bytes[i + 1]) << 8)}));
    return values;
}

}  // namespace test
