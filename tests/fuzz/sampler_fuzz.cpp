// Any logits under any settings: a draw is a token of the vocabulary that is not banned and that
// every filter leaves, the same when drawn again; everything else is a typed error.
//
// Input: temperature (float), top_k (u16), top_p (float), step (u16), then logits (floats), all in
// this machine's byte order.
#include <gpt2/sampler.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

namespace {

template <class T>
T take(std::span<const std::uint8_t>& bytes) {
    T value{};
    if (bytes.size() < sizeof value) {
        bytes = {};
        return value;
    }
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes = bytes.subspan(sizeof value);
    return value;
}

void require(bool good, const char* what) {
    if (!good) throw std::logic_error(what);
}

void draw_twice(const gpt2::sampling& how, std::span<const float> logits, std::size_t step) {
    gpt2::sampler sample(how, 1, 2);
    const gpt2::draw first = sample.next(logits, step);
    const auto id = static_cast<std::size_t>(first.token);
    require(first.token >= 0 && id < logits.size(), "a token outside the vocabulary");
    require(std::isfinite(logits[id]), "a banned token");
    require(first.log_prob <= 1e-6f, "a probability above 1");
    const gpt2::draw again = sample.next(logits, step);
    require(again.token == first.token && again.log_prob == first.log_prob, "another draw");

    // Above k others no token may stay, unless their scores met in the division.
    if (how.temperature == 1 && how.top_k != 0) {
        std::size_t above = 0;
        for (const float x : logits) above += x > logits[id];
        require(above < how.top_k, "a token below the k best");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::span<const std::uint8_t> bytes(data, size);
    gpt2::sampling how;
    how.temperature = take<float>(bytes);
    how.top_k = take<std::uint16_t>(bytes);
    how.top_p = take<float>(bytes);
    const std::size_t step = take<std::uint16_t>(bytes);
    std::vector<float> logits;
    while (bytes.size() >= sizeof(float)) logits.push_back(take<float>(bytes));
    try {
        draw_twice(how, logits, step);
    } catch (const gpt2::error&) {
    }
    return 0;
}
