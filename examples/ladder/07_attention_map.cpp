// What each token looks at: the attention weights of one head, seen by an observer while the model
// runs. An observer is anything that can be called with (stage, layer, view).
#include <gpt2/gpt2.hpp>

#include <iomanip>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
    const auto model = gpt2::load(argc > 1 ? argv[1] : GPT2_BUNDLED_MODEL);
    const auto ids = model.tokenizer().encode("The wolf said to the king that he");
    const std::size_t count = ids.size(), wanted_layer = 2, wanted_head = 0;

    std::vector<float> map;  // (T, T): row t, what token t looks at
    const auto observe = [&](gpt2::stage stage, std::size_t layer, gpt2::view<float> weights) {
        if (stage != gpt2::stage::weights || layer != wanted_layer) return;
        for (std::size_t t = 0; t < count; ++t) {  // rows of (H·T, T): head after head
            const auto row = weights.row(wanted_head * count + t);
            map.insert(map.end(), row.begin(), row.end());
        }
    };
    auto state = model.state();
    model.model().forward(ids, state, {}, observe);

    std::cout << "layer " << wanted_layer << ", head " << wanted_head
              << ": each row says in percent where its token looks\n";
    for (std::size_t t = 0; t < count; ++t) {
        std::cout << std::setw(7) << model.tokenizer().bytes(ids[t]);
        for (std::size_t s = 0; s <= t; ++s)
            std::cout << std::setw(6) << static_cast<int>(100 * map[t * count + s] + 0.5f);
        std::cout << '\n';
    }
}
