// The same network in double precision: how far float lies from it, logit by logit.
#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
    const std::string path = argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL;
    const auto model = gpt2::load(path);
    const auto exact = gpt2::load_model<double>(path).model;
    const auto ids = model.tokenizer().encode("The king had three daughters, and the youngest");
    const auto vocabulary = model.config().vocabulary_size;

    gpt2::thread_pool pool;
    gpt2::state<double> state(exact.config(), pool);
    std::vector<double> wanted(ids.size() * vocabulary);  // (T, V)
    exact.forward(ids, state, {wanted.data(), ids.size(), vocabulary});

    auto float_state = model.state();
    std::vector<float> found(ids.size() * vocabulary);
    model.model().forward(ids, float_state, {found.data(), ids.size(), vocabulary});

    double largest = 0, furthest = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        largest = std::max(largest, std::abs(wanted[i]));
        furthest = std::max(furthest, std::abs(wanted[i] - static_cast<double>(found[i])));
    }
    std::cout << ids.size() << " positions x " << vocabulary << " logits\n"
              << "float departs from double by less than 1e-5 of the largest: "
              << (furthest < 1e-5 * largest ? "yes" : "no") << '\n';
    return furthest < 1e-5 * largest ? 0 : 1;
}
