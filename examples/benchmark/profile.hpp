// Where the time of one decode step and of one prompt goes: an observer (gpt2/trace.hpp) that looks
// at the clock at every stage.
//
// Looking costs something: an observed pass computes scores, weights and heads one after another
// for the whole chunk, on one thread, and the activation after its product instead of within it.
// What the same pass takes unobserved stands beside the sum.
#pragma once

#include "median.hpp"

#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <iomanip>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// What a block consists of, in the order of a pass; stages of gpt2/trace.hpp are parts of these.
enum class operation {
    embedding,
    ln_1,
    qkv,
    attention,
    attention_projection,
    ln_2,
    c_fc,
    mlp_projection,
    ln_f,
    head,
};

inline constexpr std::array<std::string_view, 10> operation_names = {"embedding",
                                                                     "ln_1",
                                                                     "attn.c_attn",
                                                                     "attention",
                                                                     "attn.c_proj + residual",
                                                                     "ln_2",
                                                                     "mlp.c_fc + activation",
                                                                     "mlp.c_proj + residual",
                                                                     "ln_f",
                                                                     "head"};

/// The operation that a stage ends or is a part of.
constexpr operation operation_of(gpt2::stage s) {
    using gpt2::stage;
    if (s <= stage::embedding) return operation::embedding;
    if (s == stage::ln_1) return operation::ln_1;
    if (s <= stage::v) return operation::qkv;
    if (s <= stage::heads) return operation::attention;
    if (s <= stage::attention_residual) return operation::attention_projection;
    if (s == stage::ln_2) return operation::ln_2;
    if (s <= stage::activation) return operation::c_fc;
    if (s <= stage::block) return operation::mlp_projection;
    return s == stage::ln_f ? operation::ln_f : operation::head;
}

/// Numbers in the matrix of an operation, all layers; 0: it has none.
inline double matrix_size(operation what, const gpt2::config& c) {
    const auto width = static_cast<double>(c.width), layers = static_cast<double>(c.layers);
    switch (what) {
        case operation::qkv:
            return layers * width * 3 * width;
        case operation::attention_projection:
            return layers * width * width;
        case operation::c_fc:
        case operation::mlp_projection:
            return layers * width * static_cast<double>(c.inner_width);
        case operation::head:
            return width * static_cast<double>(c.vocabulary_size);
        default:
            return 0;
    }
}

/// One pass, observed and not.
struct profile {
    struct event {
        operation what;
        std::size_t layer;
        double begin, end;  // seconds from the start of the pass
    };

    std::string name;
    std::size_t tokens = 0;
    std::vector<event> events;                             // of the last observed pass
    std::array<double, operation_names.size()> seconds{};  // per operation, the median of passes
    double unobserved = 0;                                 // seconds of a pass, the median
};

/// An observer that notes when each operation ended.
class stopwatch {
public:
    explicit stopwatch(std::vector<profile::event>& events) : events_(&events) {}

    void operator()(gpt2::stage s, std::size_t layer, gpt2::view<float>) {
        const auto what = operation_of(s);
        const double now = elapsed();
        if (!events_->empty() && events_->back().what == what && events_->back().layer == layer)
            events_->back().end = now;
        else
            events_->push_back({what, layer, last_, now});
        last_ = now;
    }

private:
    double elapsed() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    }

    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    double last_ = 0;
    std::vector<profile::event>* events_;
};

/// Profiles the pass that feeds `ids` behind `before` positions, `repeat` times.
inline profile profile_pass(const gpt2::model& model, gpt2::state<float>& text, std::string name,
                            std::span<const gpt2::token_id> ids, std::size_t before,
                            std::size_t repeat) {
    profile done{std::move(name), ids.size(), {}, {}, 0};
    gpt2::buffer<float> logits(model.config().vocabulary_size);
    const gpt2::view<float> last(logits.data(), 1, logits.size());
    std::array<std::vector<double>, operation_names.size()> times;
    std::vector<double> whole;
    for (std::size_t i = 0; i < repeat + 1; ++i) {  // the first warms up
        text.kv.resize(before);
        const double took = seconds_of([&] { model.forward(ids, text, last); });
        text.kv.resize(before);
        done.events.clear();
        model.forward(ids, text, last, stopwatch(done.events));
        if (i == 0) continue;
        whole.push_back(took);
        std::array<double, operation_names.size()> sums{};
        for (const auto& e : done.events) sums[static_cast<std::size_t>(e.what)] += e.end - e.begin;
        for (std::size_t op = 0; op < sums.size(); ++op) times[op].push_back(sums[op]);
    }
    for (std::size_t op = 0; op < times.size(); ++op) done.seconds[op] = median(times[op]);
    done.unobserved = median(whole);
    return done;
}

/// One decode step in the middle of a text, and a prompt.
inline std::vector<profile> profiles(const gpt2::language_model& loaded, std::size_t prompt,
                                     std::size_t repeat) {
    const gpt2::model& model = loaded.model();
    auto text = loaded.state();
    std::vector<gpt2::token_id> ids(prompt);
    for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<gpt2::token_id>(i * 7919 % model.config().vocabulary_size);
    std::vector<profile> list;
    list.push_back(profile_pass(model, text, "prefill", ids, 0, repeat));
    const auto middle = prompt / 2;
    list.push_back(
        profile_pass(model, text, "decode step", std::span(ids).first(1), middle, 8 * repeat));
    return list;
}

/// A table: milliseconds, share, and how fast the weights were read (one token) or computed with.
inline void print(std::ostream& out, const profile& p, const gpt2::config& c,
                  std::uint64_t weight_bytes) {
    double sum = 0, numbers = 0;
    for (const double s : p.seconds) sum += s;
    for (std::size_t i = 0; i < operation_names.size(); ++i)
        numbers += matrix_size(static_cast<operation>(i), c);
    out << "\n"
        << p.name << ", " << p.tokens << (p.tokens == 1 ? " token" : " tokens") << std::fixed
        << "\n";
    for (std::size_t i = 0; i < operation_names.size(); ++i) {
        const auto what = static_cast<operation>(i);
        const double size = matrix_size(what, c), took = std::max(p.seconds[i], 1e-9);
        out << "  " << std::left << std::setw(24) << operation_names[i] << std::right
            << std::setprecision(3) << std::setw(10) << p.seconds[i] * 1e3 << " ms"
            << std::setprecision(1) << std::setw(7) << 100 * p.seconds[i] / sum << " %";
        if (size > 0 && p.tokens == 1)
            out << std::setw(9) << size / numbers * static_cast<double>(weight_bytes) / took / 1e9
                << " GB/s";
        else if (size > 0)
            out << std::setw(9)
                << 2 * size * static_cast<double>(what == operation::head ? 1 : p.tokens) / took /
                       1e9
                << " GFLOP/s";
        out << "\n";
    }
    out << "  " << std::left << std::setw(24) << "sum, observed" << std::right
        << std::setprecision(3) << std::setw(10) << sum * 1e3 << " ms\n  " << std::left
        << std::setw(24) << "the pass, unobserved" << std::right << std::setw(10)
        << p.unobserved * 1e3 << " ms\n";
}

/// The passes one after another as a Chrome trace (chrome://tracing, ui.perfetto.dev).
inline nlohmann::json chrome_trace(const std::vector<profile>& passes) {
    auto events = nlohmann::json::array();
    double start = 0;
    for (const auto& p : passes) {
        for (const auto& e : p.events)
            events.push_back({{"name", operation_names[static_cast<std::size_t>(e.what)]},
                              {"cat", p.name},
                              {"ph", "X"},
                              {"pid", 1},
                              {"tid", 1},
                              {"ts", (start + e.begin) * 1e6},
                              {"dur", (e.end - e.begin) * 1e6},
                              {"args", {{"layer", e.layer}, {"tokens", p.tokens}}}});
        if (!p.events.empty()) start += p.events.back().end;
    }
    return {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
}

/// Milliseconds by operation.
inline nlohmann::json as_json(const profile& p) {
    nlohmann::json operations;
    for (std::size_t i = 0; i < operation_names.size(); ++i)
        operations[std::string(operation_names[i])] = p.seconds[i] * 1e3;
    return {{"pass", p.name},
            {"tokens", p.tokens},
            {"milliseconds", std::move(operations)},
            {"unobserved_milliseconds", p.unobserved * 1e3}};
}

}  // namespace bench
