// Searches against HF transformers: the cases of tests/reference/make_search.py.
#include "../support/files.hpp"

#include <gpt2/contrast.hpp>
#include <gpt2/search.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace {

using ids = std::vector<gpt2::token_id>;

nlohmann::json cases(const std::string& name) {
    return nlohmann::json::parse(
        test::read_file(test::source_folder() / "tests/reference/search" / name));
}

/// A model of a case, with the ends of text that it asks for.
gpt2::language_model load(const std::string& name, const ids& end) {
    static const auto pool = std::make_shared<gpt2::thread_pool>(2);
    auto files =
        gpt2::open_model(name == "tales" ? std::filesystem::path(GPT2_BUNDLED_MODEL)
                                         : test::source_folder() / "tests/reference/models" / name);
    files.config.end_of_text = end;
    gpt2::load_options how;
    how.pool = pool;
    return gpt2::load(files, how);
}

/// HF's settings that are options of every search.
gpt2::options writing(const nlohmann::json& settings) {
    gpt2::options how;
    how.max_new_tokens = settings["max_new_tokens"];
    how.sampling.repetition_penalty = settings.value("repetition_penalty", 1.0f);
    how.sampling.no_repeat_ngram = settings.value("no_repeat_ngram_size", std::size_t{0});
    how.sampling.min_new_tokens = settings.value("min_new_tokens", std::size_t{0});
    return how;
}

gpt2::early_stopping early(const nlohmann::json& value) {
    if (value == "never") return gpt2::early_stopping::never;
    return value.get<bool>() ? gpt2::early_stopping::yes : gpt2::early_stopping::no;
}

/// Checks hypotheses against what HF found: the same tokens, and scores that no token's
/// log-probability moved by more than 1e-5.
void compare(const std::vector<gpt2::hypothesis>& found, const nlohmann::json& expected,
             double length_penalty) {
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        INFO("place " << i);
        const bool ended = found[i].why == gpt2::finish::end_of_text;
        CHECK(found[i].tokens == expected[i]["tokens"].get<ids>());
        CHECK(ended == expected[i]["ended"].get<bool>());
        const auto length = static_cast<double>(found[i].tokens.size() + ended);
        const double margin = 1e-5 * std::max(1.0, std::pow(length, 1 - length_penalty));
        CHECK(found[i].score ==
              Approx(expected[i]["score"].get<double>()).epsilon(0).margin(margin));
    }
}

/// Runs the cases of a file that find several texts.
void compare_beams(const std::string& name) {
    int seen = 0, ended = 0;
    for (const auto& one : cases(name)) {
        INFO(one.dump());
        const auto& settings = one["options"];
        gpt2::beams how;
        how.count = settings["num_beams"];
        how.n_best = settings["num_return_sequences"];
        how.groups = settings.value("num_beam_groups", std::size_t{1});
        how.diversity_penalty = settings.value("diversity_penalty", 0.0);
        how.length_penalty = settings["length_penalty"];
        how.early = early(settings["early_stopping"]);
        const auto model = load(one["model"], one["end"]);
        const ids prompt = one["prompt"];
        const auto found = gpt2::beam_search(model, prompt, how, writing(settings));
        compare(found, one["expect"], how.length_penalty);
        for (const auto& text : found) ended += text.why == gpt2::finish::end_of_text;
        ++seen;
    }
    CHECK(seen >= 60);
    CHECK(ended >= 30);
}

/// Runs the cases of a file that write one text, by `write(model, prompt, options of HF, case)`.
template <class Write>
void compare_texts(const std::string& name, int least, Write&& write) {
    int seen = 0;
    for (const auto& one : cases(name)) {
        INFO(one.dump());
        const auto model = load(one["model"], one["end"]);
        const gpt2::completion found =
            write(model, one["prompt"].get<ids>(), one["options"], writing(one["options"]), one);
        const auto& expected = one["expect"][0];
        CHECK(found.tokens == expected["tokens"].get<ids>());
        CHECK((found.why == gpt2::finish::end_of_text) == expected["ended"].get<bool>());
        CHECK(found.log_probs.size() == found.tokens.size());
        ++seen;
    }
    CHECK(seen >= least);
}

}  // namespace

TEST_CASE("beam search finds what HF finds", "[search][reference]") { compare_beams("beam.json"); }

TEST_CASE("diverse groups find what HF finds", "[search][reference]") {
    compare_beams("groups.json");
}

TEST_CASE("contrastive search writes what HF writes", "[search][reference]") {
    compare_texts("contrastive.json", 40,
                  [](const auto& model, const ids& prompt, const auto& settings, const auto& how,
                     const auto&) {
                      const gpt2::contrastive rule{settings["penalty_alpha"], settings["top_k"]};
                      return gpt2::contrastive_search(model, prompt, rule, how);
                  });
}

TEST_CASE("guidance writes what HF writes", "[search][reference]") {
    compare_texts("guided.json", 30,
                  [](const auto& model, const ids& prompt, const auto& settings, const auto& how,
                     const auto&) {
                      const ids negative = settings["negative_prompt_ids"];
                      const gpt2::guidance rule{negative, settings["guidance_scale"]};
                      return gpt2::generate_guided(model, prompt, rule, how);
                  });
}

TEST_CASE("contrastive decoding follows its formula on HF's logits", "[search][reference]") {
    compare_texts("contrasted.json", 12,
                  [](const auto& model, const ids& prompt, const auto& settings, const auto& how,
                     const auto& one) {
                      const auto smaller = load(one["amateur"], {});
                      const gpt2::amateur rule{smaller, settings["alpha"], settings["beta"],
                                               settings["temperature"]};
                      return gpt2::generate_contrasted(model, prompt, rule, how);
                  });
}
