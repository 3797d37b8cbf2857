// Milliseconds of a pass by who watches: nobody, an observer of the residual stream that does
// nothing, one of every stage that does nothing, a recording. For the bundled model, or one that is
// named; the best of many, in turns, so that a busy machine troubles all alike.
//
//     build/tests/bench_observer [MODEL]
//
// observer_cost.sh compiles it against headers without observers too (there only nobody watches).
#include <gpt2/gpt2.hpp>
#include <gpt2/recording.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <span>
#include <string>
#include <vector>

namespace {

struct idle {
    void operator()(gpt2::stage, std::size_t, gpt2::view<float>) const {}
};
struct idle_stream : idle {
    using stream_only = void;
};

/// Milliseconds of a prompt's pass and of one token behind it.
struct times {
    double prompt = 1e9, token = 1e9;
};

class passes {
public:
    explicit passes(const gpt2::language_model& model)
        : model_(model),
          state_(model.state()),
          ids_(std::min<std::size_t>(128, model.config().context_length - 1), 1),
          logits_(model.config().vocabulary_size) {}

    template <class Make>
    void run(Make observer, times& best) {
        auto watching = observer();
        state_.kv.resize(0);
        best.prompt = std::min(best.prompt, milliseconds([&] { forward(ids_, watching); }));
        best.token = std::min(best.token, milliseconds([&] {
                                  forward({ids_.data(), 1}, watching);
                              }));
    }

private:
    template <class Observer>
    void forward(std::span<const gpt2::token_id> ids, Observer& watching) {
        model_.model().forward(ids, state_, {logits_.data(), 1, logits_.size()}, watching);
    }
    template <class Action>
    static double milliseconds(Action action) {
        const auto start = std::chrono::steady_clock::now();
        action();
        const std::chrono::duration<double, std::milli> taken =
            std::chrono::steady_clock::now() - start;
        return taken.count();
    }

    gpt2::language_model model_;
    gpt2::state<float> state_;
    std::vector<gpt2::token_id> ids_;
    std::vector<float> logits_;
};

void print(const std::string& who, const times& best) {
    std::cout << std::left << std::setw(22) << who << std::right << std::fixed
              << std::setprecision(3) << std::setw(10) << best.prompt << std::setw(10) << best.token
              << "\n";
}

}  // namespace

int main(int argc, char** argv) {
    passes on(gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL, {.threads = 1}));
    times nobody, stream, all, recording;
    constexpr int turns = 40;
    for (int i = 0; i < turns; ++i) {
        on.run([] { return gpt2::no_trace(); }, nobody);
        on.run([] { return idle_stream(); }, stream);
        on.run([] { return idle(); }, all);
        on.run([] { return gpt2::recording(); }, recording);
    }
    std::cout << "observer                prompt   a token  (ms)\n";
    print("nobody", nobody);
    print("stream, idle", stream);
    print("every stage, idle", all);
    print("recording", recording);
}
