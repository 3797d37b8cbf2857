// The published families of GPT-2 in miniature, each with what its checkpoints do differently:
// logits and greedy continuation equal Hugging Face transformers, texts end where its `generate`
// ends them, and what is no GPT-2 is refused by its name.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/hf_reference.hpp"

#include <gpt2/gpt2.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using gpt2::errc;
using gpt2::token_id;
using ids = std::vector<token_id>;

/// What must be read from a family's files.
struct facts {
    gpt2::activation activation = gpt2::activation::gelu_new;
    std::optional<token_id> begin;
    ids end;
    double epsilon = 1e-5;
    std::size_t context = 32;
    bool by_layer = false, tied = true;
    bool (*more)(const gpt2::language_model&) = [](const gpt2::language_model&) { return true; };
};

struct row {
    std::string published, folder;
    facts expected;
};

constexpr auto gelu = gpt2::activation::gelu;
constexpr auto gelu_new = gpt2::activation::gelu_new;

bool has_words(const gpt2::language_model& m) { return m.has_tokenizer(); }
bool keeps_f16(const gpt2::language_model& m) {
    return m.model().footprint().kept == gpt2::storage::f16 && m.has_tokenizer();
}
bool keeps_bf16(const gpt2::language_model& m) {
    return m.model().footprint().kept == gpt2::storage::bf16 && !m.has_tokenizer();
}
bool ignores_value_head(const gpt2::language_model& m) {
    return m.audit().ignored ==
           std::vector<std::string>{"v_head.summary.bias", "v_head.summary.weight"};
}
bool sets_masks_aside(const gpt2::language_model& m) {
    return m.audit().buffers.size() == 4 && m.audit().ignored.empty();
}

/// The rows of the families that have something special, and the folder that has it: one of
/// tests/reference/family, or of models where that has it already.
const std::vector<row> rows = {
    {"openai-community/gpt2: names without transformer.", "models/names_bare", {gelu_new, {}, {}}},
    {"openai-community/gpt2: causal masks in the file",
     "models/mask_buffers",
     {gelu_new, {}, {}, 1e-5, 32, false, true, sets_masks_aside}},
    {"distilbert/distilgpt2: keys that old configs lack", "models/old_config", {gelu_new, {}, {}}},
    {"microsoft/DialoGPT: F16, masks, an end after each turn",
     "family/dialogpt",
     {gelu_new, 256, {256}, 1e-5, 32, false, true, keeps_f16}},
    {"cerebras/Cerebras-GPT: no n_ctx, n_inner, arch GPT2Model",
     "family/cerebras",
     {gelu, 22, {22}}},
    {"MBZUAI/LaMini-Cerebras: a token more",
     "family/lamini",
     {gelu, 256, {256}, 1e-5, 32, false, true, has_words}},
    {"stanford-crfm/alias …: both attention flags",
     "models/reorder_and_upcast",
     {gelu_new, {}, {}, 1e-5, 32, true}},
    {"codeparrot/codeparrot: both flags, end beyond the vocabulary",
     "family/codeparrot",
     {gelu_new, {}, {}, 1e-5, 32, true}},
    {"codeparrot/codeparrot-small-multi: gelu_fast",
     "family/codeparrot_multi",
     {gpt2::activation::gelu_fast, {}, {}, 1e-5, 32, true}},
    {"AI-Sweden-Models/gpt-sw3: exact GELU, Megatron's keys", "family/gpt_sw3", {gelu, 2, {3}}},
    {"ai-forever/mGPT: begin 0, end 5, padding 1", "family/mgpt", {gelu, 0, {5}}},
    {"PlanTL-GOB-ES/gpt2-base-bne: epsilon 1e-6, ids beyond the vocabulary",
     "family/bne",
     {gelu_new, 2, {2}, 1e-6}},
    {"commaai/commavq-gpt2m: untied, ids in, ids out",
     "family/commavq",
     {gelu_new, {}, {}, 1e-5, 37, false, false, keeps_bf16}},
    {"nferruz/ProtGPT2: begin and end are id 0",
     "family/protgpt2",
     {gelu_new, 0, {0}, 1e-5, 32, false, true, has_words}},
    {"stanford-crfm/BioMedLM: by layer, end is the last id, shards",
     "family/biomedlm",
     {gelu_new, 22, {22}, 1e-5, 32, true}},
    {"skt/kogpt2-base-v2: begin, end and padding of the config",
     "family/kogpt2",
     {gelu_new, 0, {1}}},
    {"goldfish-models/*: exact GELU, prefix [CLS]", "family/goldfish", {gelu, 20, {21}}},
    {"ytlin/18ygyqcn_4: n_ctx 32, n_positions 33",
     "family/contexts_disagree",
     {gelu_new, {}, {}, 1e-5, 33}},
    {"lvwerra/gpt2-imdb-pos: a value head beside the model",
     "family/imdb_pos",
     {gelu_new, 22, {22}, 1e-5, 32, false, true, ignores_value_head}},
    {"hf-internal-testing/tiny-random-gpt2: keys that mean nothing",
     "models/config_aliases",
     {gelu_new, {}, {}}},
    {"hf-internal-testing/tiny-random-GPT2LMHeadModel: n_inner 37",
     "models/inner_37",
     {gelu_new, {}, {}}},
    {"sshleifer/tiny-gpt2: heads of one number", "models/head_size_1", {gelu_new, {}, {}}},
    {"catherinearnett/B-GPT …: BF16",
     "models/stored_bf16",
     {gelu_new, {}, {}, 1e-5, 32, false, true, keeps_bf16}},
};

fs::path home_of(const row& one) { return test::source_folder() / "tests/reference" / one.folder; }

/// Loads the folder and holds it to its facts and its reference.
void check(const fs::path& folder, const facts& expected) {
    const auto known = test::read_arrays(folder / "expect.safetensors");
    const auto in_double = test::compare<double>(folder, known, 1e-11);
    const auto in_float = test::compare<float>(folder, known, 1e-5);
    CHECK(in_double.first_departure == "");
    CHECK(in_float.first_departure == "");
    CHECK(in_float.stages >= 1);
    CHECK(test::greedy(folder, known) == test::ids_of(known.at("greedy")));

    const auto model = gpt2::load(folder, {.threads = 1});
    const auto& c = model.config();
    CHECK(c.activation == expected.activation);
    CHECK(c.begin_of_text == expected.begin);
    CHECK(c.end_of_text == expected.end);
    CHECK(c.layer_norm_epsilon == expected.epsilon);
    CHECK(c.context_length == expected.context);
    CHECK(c.scale_attention_by_inverse_layer == expected.by_layer);
    CHECK(model.model().tied_head() == expected.tied);
    CHECK(expected.more(model));
    if (!known.contains("generated")) return;
    const auto prompt = test::ids_of(known.at("prompt"));
    auto written = test::ids_of(known.at("generated"));
    const auto done = model.generate(prompt, {.max_new_tokens = known.at("greedy").size()});
    if (!expected.end.empty()) {
        REQUIRE(written.size() >= 4);
        CHECK(written.back() == expected.end.front());
        written.pop_back();  // HF keeps the end, a completion says why it ended
        CHECK(done.why == gpt2::finish::end_of_text);
    }
    CHECK(done.tokens == written);
}

}  // namespace

TEST_CASE("every family of GPT-2 equals Hugging Face transformers", "[model][family]") {
    for (const auto& one : rows) {
        INFO(one.published << " (" << one.folder << ")");
        check(home_of(one), one.expected);
    }
}

TEST_CASE("no folder of families is left out", "[model][family]") {
    for (const auto& entry :
         fs::directory_iterator(test::source_folder() / "tests/reference/family")) {
        const auto name = "family/" + entry.path().filename().string();
        INFO(name);
        CHECK(std::ranges::count(rows, name, &row::folder) == 1);
    }
}

TEST_CASE("end of text separates the turns of a prompt", "[model][family]") {
    const auto folder = test::source_folder() / "tests/reference/family/dialogpt";
    const auto model = gpt2::load(folder, {.threads = 1});
    const auto known = test::read_arrays(folder / "expect.safetensors");
    const auto prompt = test::ids_of(known.at("prompt"));
    CHECK(std::ranges::count(prompt, token_id{256}) == 2);  // as `check` feeds it, it ends nothing
    const std::string text = "Hi.<|endoftext|>Yes?<|endoftext|>";
    const auto turns = model.tokenizer().encode(text, gpt2::specials::as_tokens);
    CHECK(turns == ids{39, 72, 13, 256, 56, 68, 82, 30, 256});
    CHECK(std::ranges::count(model.tokenizer().encode(text), token_id{256}) == 0);
    const gpt2::options how{.max_new_tokens = 8, .prompt = gpt2::specials::as_tokens};
    CHECK(model.generate(text, how).tokens == model.generate(turns, how).tokens);
}

TEST_CASE("a model without a tokenizer takes ids and gives ids", "[model][family]") {
    const auto folder = test::source_folder() / "tests/reference/family/commavq";
    const auto model = gpt2::load(folder, {.threads = 1});
    CHECK_ERROR(errc::not_found, model.generate("a"));
    CHECK_ERROR(errc::not_found, model.tokenizer());
    CHECK_ERROR(errc::empty_prompt, model.generate(ids{}));  // and no token to begin with
    const auto done = model.generate(ids{1, 2, 3}, {.max_new_tokens = 5});
    CHECK(done.tokens.size() == 5);
    CHECK(done.text.empty());
}

TEST_CASE("other architectures are refused by name before their weights", "[model][family]") {
    struct foreign {
        std::string config, named;
    };
    const std::string sizes =
        R"("n_ctx":512,"n_embd":8,"n_head":2,"n_layer":2,"n_positions":512,"vocab_size":17)";
    const std::vector<foreign> all = {
        {R"({"afn":"gelu","n_special":0,"predict_special_tokens":true,)" + sizes + "}",
         "GPT-1"},  // as openai-gpt was first published
        {R"({"afn":"gelu","architectures":["OpenAIGPTLMHeadModel"],"model_type":"openai-gpt",)" +
             sizes + "}",
         "\"openai-gpt\""},
        {R"({"architectures":["GPTNeoForCausalLM"],"attention_types":[[["global","local"],6]],
             "hidden_size":8,"model_type":"gpt_neo","num_heads":2,"num_layers":2})",
         "\"gpt_neo\""},
        {R"({"architectures":["GPTJForCausalLM"],"model_type":"gptj","rotary_dim":4,)" + sizes +
             "}",
         "\"gptj\""},
        {R"({"architectures":["GPTNeoXForCausalLM"],"model_type":"gpt_neox","hidden_size":8})",
         "\"gpt_neox\""},
        {R"({"architectures":["CodeGenForCausalLM"],"model_type":"codegen",)" + sizes + "}",
         "\"codegen\""},
        {R"({"architectures":["OPTForCausalLM"],"model_type":"opt","hidden_size":8})", "\"opt\""},
        {R"({"architectures":["BloomForCausalLM"],"model_type":"bloom","n_layer":2,"n_head":2})",
         "\"bloom\""},
        {R"({"architectures":["GPTBigCodeForCausalLM"],"model_type":"gpt_bigcode",
             "multi_query":true,)" +
             sizes + "}",
         "\"gpt_bigcode\""},
        {R"({"architectures":["GPT2LMHeadCustomModel"],"model_type":"gpt2","attention_head_type":
             "multiquery",)" +
             sizes + "}",
         "\"GPT2LMHeadCustomModel\""},  // bigcode/santacoder
        {R"({"architectures":["BioGptForCausalLM"],"model_type":"biogpt","hidden_size":8})",
         "\"biogpt\""},
        {R"({"architectures":["AraGPT2LMHeadModel"],"model_type":"gpt2",)" + sizes + "}",
         "\"AraGPT2LMHeadModel\""},
        {R"({"architectures":["MoEGPT2LMHeadModel"],"model_type":"gpt2",)" + sizes + "}",
         "\"MoEGPT2LMHeadModel\""},
        {R"({"architectures":["GQAGPT2LMHeadModel"],"model_type":"gpt2",)" + sizes + "}",
         "\"GQAGPT2LMHeadModel\""},
    };
    for (const auto& one : all) {
        INFO(one.named);
        const test::scratch_folder folder;
        test::write_file(folder / "config.json", one.config);
        test::write_file(folder / "model.safetensors", "never read");
        const auto problem = test::error_of([&] { (void)gpt2::load(folder.path()); });
        REQUIRE(problem);
        CHECK(problem->code() == errc::unsupported);
        CHECK_THAT(problem->what(), test::mentions(one.named));
    }
}

// Hidden until pytorch_model.bin can be read.
TEST_CASE("bin-first repositories give the bits of safetensors", "[model][family]") {
    for (const std::string name : {"dialogpt", "biomedlm"}) {
        INFO(name);
        const auto folder = test::source_folder() / "tests/reference/family" / name;
        const test::scratch_folder bins;
        for (const auto& entry : fs::directory_iterator(folder))
            if (entry.path().filename().string().find("safetensors") == std::string::npos)
                fs::copy(entry.path(), bins.path());
        const auto a = gpt2::load(folder, {.threads = 1});
        const auto b = gpt2::load(bins.path(), {.threads = 1});
        auto first = a.start(), second = b.start();
        const auto prompt = ids{1, 2, 3};
        first.feed(prompt), second.feed(prompt);
        CHECK(std::ranges::equal(first.logits(), second.logits()));
        CHECK(a.model().footprint().bytes == b.model().footprint().bytes);
    }
}
