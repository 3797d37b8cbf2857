// Any logits after any text under any settings: a draw is a token of the vocabulary that is not
// banned and that every filter leaves, the same when drawn again; everything else is a typed error.
//
// Input: temperature (float), top_k (u16), top_p (float), step (u16), which further settings follow
// (u32) and those, the length of the text (u8) and its ids (u8), then logits (floats), all in this
// machine's byte order.
#include <gpt2/sampler.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

namespace {

using gpt2::token_id;

struct reader {
    std::span<const std::uint8_t> bytes;

    template <class T>
    T take() {
        T value{};
        if (bytes.size() < sizeof value) {
            bytes = {};
            return value;
        }
        std::memcpy(&value, bytes.data(), sizeof value);
        bytes = bytes.subspan(sizeof value);
        return value;
    }

    std::vector<token_id> ids() {
        std::vector<token_id> list(take<std::uint8_t>() % 8);
        for (token_id& id : list) id = take<std::int8_t>();
        return list;
    }
    std::vector<std::vector<token_id>> sequences() {
        std::vector<std::vector<token_id>> list(take<std::uint8_t>() % 4);
        for (auto& sequence : list) sequence = ids();
        return list;
    }
};

void require(bool good, const char* what) {
    if (!good) throw std::logic_error(what);
}

/// Which tokens may be drawn, by the lower bits.
void read_truncation(reader& in, std::uint32_t which, gpt2::sampling& how) {
    const auto on = [&](int bit) { return (which >> bit & 1) != 0; };
    using kind = gpt2::mirostat_control::kind;
    how.dialect = static_cast<gpt2::dialect>((which & 3) % 3);
    if (on(2)) how.min_p = in.take<float>();
    if (on(3)) how.typical_p = in.take<float>();
    if (on(4)) how.epsilon_cutoff = in.take<float>();
    if (on(5)) how.eta_cutoff = in.take<float>();
    if (on(6)) how.top_h = in.take<float>();
    if (on(7)) how.top_n_sigma = in.take<float>();
    if (on(8)) how.dynamic = {.range = in.take<float>(), .exponent = in.take<float>()};
    if (on(9)) how.xtc = {.probability = in.take<float>(), .threshold = in.take<float>()};
    if (on(10))
        how.mirostat = {.version = on(11) ? kind::version_1 : kind::version_2,
                        .target = in.take<float>(),
                        .rate = in.take<float>(),
                        .estimate = in.take<std::uint8_t>()};
    if (on(12)) how.min_tokens_to_keep = in.take<std::uint8_t>();
}

/// What knows the text, by the upper bits.
void read_processors(reader& in, std::uint32_t which, gpt2::sampling& how) {
    const auto on = [&](int bit) { return (which >> bit & 1) != 0; };
    if (on(13)) how.repetition_penalty = in.take<float>();
    if (on(14)) how.presence_penalty = in.take<float>();
    if (on(15)) how.frequency_penalty = in.take<float>();
    if (on(16)) how.penalty_last_n = in.take<std::uint8_t>();
    if (on(17))
        how.dry = {.multiplier = in.take<float>(),
                   .base = in.take<float>(),
                   .allowed_length = in.take<std::uint8_t>(),
                   .window = in.take<std::uint8_t>(),
                   .breakers = in.sequences()};
    if (on(18)) how.no_repeat_ngram = in.take<std::uint8_t>();
    if (on(19)) how.logit_bias = {{in.take<std::int8_t>(), in.take<float>()}};
    if (on(20)) how.sequence_bias = {{in.ids(), in.take<float>()}, {in.ids(), in.take<float>()}};
    if (on(21)) how.bad_words = in.sequences();
    if (on(22)) how.suppress = in.ids();
    if (on(23)) how.begin_suppress = in.ids();
    if (on(24)) how.end_of_text = in.ids();
    if (on(25)) how.min_length = in.take<std::uint8_t>();
    if (on(26)) how.min_new_tokens = in.take<std::uint8_t>();
    if (on(27)) how.decay = {in.take<std::uint8_t>(), in.take<float>()};
    if (on(28)) how.forced_end = in.ids();
    if (on(29)) how.forced_begin = in.take<std::int8_t>();
    if (on(30)) how.max_length = in.take<std::uint8_t>();
}

void draw_twice(const gpt2::sampling& how, std::span<const float> logits,
                const gpt2::history& past) {
    gpt2::sampler sample(how, 1, 2);
    const auto left = sample.explain(logits, past).survivors;
    const auto state = sample.state();
    const gpt2::draw first = sample.next(logits, past);
    const auto id = static_cast<std::size_t>(first.token);
    require(first.token >= 0 && id < logits.size(), "a token outside the vocabulary");
    require(how.forced_begin || !how.forced_end.empty() || std::isfinite(logits[id]),
            "a banned token");
    require(first.log_prob <= 1e-6f, "a probability above 1");
    require(std::binary_search(left.begin(), left.end(), first.token), "a removed token");
    sample.restore(state);
    const gpt2::draw again = sample.next(logits, past);
    require(again.token == first.token && again.log_prob == first.log_prob, "another draw");
    std::vector<float> scores(logits.begin(), logits.end());
    sample.process(scores, past);
    for (const float score : scores) require(!(score == INFINITY), "an infinite score");
}

/// Above k others no token may stay, unless their scores met in the division.
void check_top_k(std::uint16_t k, std::span<const float> logits) {
    if (k == 0) return;
    const token_id token = gpt2::sampler(gpt2::top_k(k), 1).next(logits, 0).token;
    std::size_t above = 0;
    for (const float x : logits) above += x > logits[static_cast<std::size_t>(token)];
    require(above < k, "a token below the k best");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    reader in{{data, size}};
    gpt2::sampling how;
    how.temperature = in.take<float>();
    const auto k = in.take<std::uint16_t>();
    how.top_k = k;
    how.top_p = in.take<float>();
    const std::size_t step = in.take<std::uint16_t>();
    const auto which = in.take<std::uint32_t>();
    read_truncation(in, which, how);
    read_processors(in, which, how);
    std::vector<token_id> text(in.take<std::uint8_t>());
    for (token_id& id : text) id = in.take<std::int8_t>();
    std::vector<float> logits;
    while (in.bytes.size() >= sizeof(float)) logits.push_back(in.take<float>());
    try {
        draw_twice(how, logits, {text, step % (text.size() + 1)});
        check_top_k(k, logits);
    } catch (const gpt2::error&) {
    }
    return 0;
}
