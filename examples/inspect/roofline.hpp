// What a model's costs mean on this machine: a prompt and a few tokens are timed, beside what
// memory and arithmetic allow at most, and drawn below the roof that these make (Williams, Waterman
// and Patterson 2009).
#pragma once

#include "../benchmark/limits.hpp"
#include "../benchmark/median.hpp"

#include <gpt2/cost.hpp>
#include <gpt2/detail/log_axis.hpp>
#include <gpt2/gpt2.hpp>
#include <gpt2/picture.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inspection {

/// A kind of pass: what one takes of the machine, and how long it took here.
struct timed_pass {
    std::string name;
    std::size_t tokens = 1;
    gpt2::part_cost cost;
    double seconds = 0;

    double tokens_per_s() const { return static_cast<double>(tokens) / seconds; }
    double operations_per_s() const { return cost.operations / seconds; }
};

struct roofline {
    gpt2::machine_roof roof;
    std::string arithmetic;  ///< what the roof's operations are made with
    unsigned threads = 0;
    std::vector<timed_pass> passes;
};

/// The largest products per second for weights that are kept like this, and their name.
inline std::pair<double, std::string> arithmetic_limit(const bench::machine_limits& limits,
                                                       gpt2::storage kept, gpt2::arithmetic how) {
    using gpt2::storage;
    const bool integers = kept == storage::int8 || kept == storage::int4;
    if (integers && limits.int8_ops > 0) return {limits.int8_ops, "int8"};
    const bool fast = kept == storage::bf16 && how == gpt2::arithmetic::fast;
    if (fast && limits.bf16_flops > 0) return {limits.bf16_flops, "bfloat16"};
    return {limits.f32_flops, "float32"};
}

/// Times a prompt of `prompt` tokens at most, and tokens behind it, each several times and in turn
/// with the machine: the middle one counts.
inline roofline measured(const gpt2::language_model& loaded, const gpt2::memory_plan& plan,
                         const gpt2::load_options& how, std::size_t prompt) {
    constexpr std::size_t rounds = 3, most_steps = 16;
    const auto& c = loaded.config();
    prompt = std::clamp<std::size_t>(prompt, 1, c.context_length);
    const auto steps = std::min(most_steps, c.context_length - prompt);
    std::vector<gpt2::token_id> ids(prompt + steps);
    for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<gpt2::token_id>(i * 7919 % c.vocabulary_size);
    auto text = loaded.state();
    gpt2::buffer<float> memory(c.vocabulary_size);
    const gpt2::view<float> logits(memory.data(), 1, memory.size());
    bench::limits_meter meter(*loaded.parts()->pool, std::size_t{256} << 20);
    std::vector<double> reading, stepping;
    for (std::size_t round = 0; round < rounds; ++round) {
        text.kv.resize(0);
        reading.push_back(bench::seconds_of(
            [&] { loaded.model().forward(std::span(ids).first(prompt), text, logits); }));
        for (std::size_t i = 0; i < steps; ++i)
            stepping.push_back(bench::seconds_of([&] {
                loaded.model().forward(std::span(ids).subspan(prompt + i, 1), text, logits);
            }));
        meter.probe();
    }
    const auto limits = meter.result();
    const auto [operations, arithmetic] =
        arithmetic_limit(limits, loaded.model().footprint().kept, how.arithmetic);
    roofline made{
        {limits.read_bytes_per_s, operations}, arithmetic, loaded.parts()->pool->size(), {}};
    const auto cost = [&](const gpt2::pass_size& size) {
        return gpt2::cost_of(plan, size, how.weights, how.cache_kept()).total();
    };
    made.passes.push_back({"prompt of " + std::to_string(prompt), prompt, cost({.tokens = prompt}),
                           bench::median(reading)});
    if (steps > 0)
        made.passes.push_back({"token behind " + std::to_string(prompt), 1,
                               cost({.before = prompt + steps / 2}), bench::median(stepping)});
    return made;
}

/// The roof, and the passes below it.
inline gpt2::log_plot plot_of(const roofline& found) {
    using gpt2::detail::si_number;
    const auto& roof = found.roof;
    gpt2::log_plot plot{.title = "roofline: what memory and arithmetic allow",
                        .x_axis = "operations per byte",
                        .y_axis = "operations per second",
                        .lines = {},
                        .marks = {}};
    double low = roof.ridge() / 100, high = roof.ridge() * 100;
    for (const auto& pass : found.passes) {
        low = std::min(low, pass.cost.intensity() / 2);
        high = std::max(high, pass.cost.intensity() * 2);
        const double most = static_cast<double>(pass.tokens) / roof.seconds(pass.cost);
        const bool memory = pass.cost.intensity() < roof.ridge();
        plot.marks.push_back({pass.name + ": " + si_number(pass.tokens_per_s()) + " of " +
                                  si_number(most) + " tokens/s that " +
                                  (memory ? "memory" : "arithmetic") + " allows",
                              {pass.cost.intensity(), pass.operations_per_s()}});
    }
    plot.lines.push_back(
        {si_number(roof.bytes) + "B/s, " + si_number(roof.operations) + " " + found.arithmetic +
             " operations/s, " + std::to_string(found.threads) +
             (found.threads == 1 ? " thread" : " threads"),
         {{low, roof.at(low)}, {roof.ridge(), roof.operations}, {high, roof.at(high)}}});
    return plot;
}

}  // namespace inspection
