// The whole library by its one include: loading folders with and without tokenizer files, batches,
// what the statistics count, who owns what.
#include "../support/catch.hpp"
#include "../support/files.hpp"

#include <gpt2/gpt2.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

namespace fs = std::filesystem;

constexpr const char* bundled = GPT2_BUNDLED_MODEL;

/// A folder with a tiny model and the named files of the bundled tokenizer.
class model_folder {
public:
    explicit model_folder(const std::vector<std::string>& tokenizer_files) {
        const auto model = test::source_folder() / "tests/reference/models/base";
        for (const char* name : {"config.json", "model.safetensors"})
            fs::copy_file(model / name, folder_ / name);
        for (const auto& name : tokenizer_files) fs::copy_file(fs::path(bundled) / name, at(name));
    }

    fs::path at(const std::string& name) const { return folder_ / name; }
    gpt2::language_model load() const { return gpt2::load(folder_.path()); }

private:
    test::scratch_folder folder_;
};

gpt2::options drawing(std::size_t tokens) {
    gpt2::options how;
    how.max_new_tokens = tokens;
    how.sampling = gpt2::top_k(40, 0.8f);
    how.seed = 5;
    return how;
}

}  // namespace

TEST_CASE("a folder without tokenizer files is a model of ids", "[load]") {
    const auto model = model_folder({}).load();
    CHECK_FALSE(model.has_tokenizer());
    CHECK_ERROR(gpt2::errc::not_found, model.tokenizer());
    CHECK_ERROR(gpt2::errc::not_found, model.generate("text"));
    CHECK_ERROR(gpt2::errc::not_found, model.start("text"));
    const std::vector<gpt2::token_id> prompt = {1, 2, 3};
    gpt2::options how;
    how.max_new_tokens = 4;
    how.at_end_of_text = gpt2::end_rule::go_on;
    const auto done = model.generate(prompt, how);
    CHECK(done.tokens.size() == 4);
    CHECK(done.text.empty());
    auto text = model.start();
    text.feed(prompt);
    CHECK(text.generate(how).tokens == done.tokens);
    // What accompanies tokenizers of other kinds too says nothing alone.
    CHECK_FALSE(model_folder({"tokenizer_config.json"}).load().has_tokenizer());
}

TEST_CASE("tokenizer files in part are an error, not a model of ids", "[load]") {
    CHECK(model_folder({"tokenizer.json"}).load().has_tokenizer());
    CHECK(model_folder({"vocab.json", "merges.txt"}).load().has_tokenizer());
    for (const std::string name : {"vocab.json", "merges.txt"}) {
        const model_folder folder({name});
        const auto problem = test::error_of([&] { folder.load(); });
        REQUIRE(problem);
        CHECK(problem->code() == gpt2::errc::not_found);
        CHECK_THAT(problem->what(),
                   test::mentions(name == "vocab.json" ? "no merges.txt" : "no vocab.json"));
    }
    const model_folder as_openai({});
    fs::copy_file(fs::path(bundled) / "vocab.json", as_openai.at("encoder.json"));
    CHECK_ERROR(gpt2::errc::not_found, as_openai.load());
    fs::copy_file(fs::path(bundled) / "merges.txt", as_openai.at("vocab.bpe"));
    CHECK(as_openai.load().has_tokenizer());
    for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt"}) {
        const model_folder dangling({});
        fs::create_symlink("nowhere", dangling.at(name));
        CHECK_ERROR(gpt2::errc::not_found, dangling.load());
        const model_folder wrong({});
        fs::create_directory(wrong.at(name));
        CHECK(test::error_of([&] { wrong.load(); }));
    }
    const model_folder broken({"merges.txt"});
    test::write_file(broken.at("vocab.json"), "{");
    CHECK_ERROR(gpt2::errc::bad_json, broken.load());
}

TEST_CASE("a batch is its prompts one by one, to the bit", "[load]") {  // 211
    const auto model = gpt2::load(bundled);
    const std::vector<std::string> prompts = {
        "Once", "", "The king and the queen and the fox went into the wood", "\xff\xfe", "Once"};
    auto how = drawing(12);
    how.stop = {"the "};
    const auto batch = model.generate(prompts, how);
    REQUIRE(batch.size() == prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        const auto alone = model.generate(prompts[i], how);
        CHECK(batch[i].tokens == alone.tokens);
        CHECK(batch[i].log_probs == alone.log_probs);
        CHECK(batch[i].text == alone.text);
        CHECK(batch[i].why == alone.why);
    }
    CHECK(model.generate(std::vector<std::string>{}, how).empty());
    const std::vector<std::string> too_long = {"Once", std::string(100'000, 'a')};
    CHECK_ERROR(gpt2::errc::context_full, model.generate(too_long, how));
}

TEST_CASE("a batch: prompts of any length are read together or alone", "[load]") {
    const auto model = gpt2::load(bundled);
    std::vector<gpt2::request> requests;
    std::vector<std::size_t> lengths = {1, 31, 33, 200};
    lengths.resize(22, 32);  // more than one pass takes
    for (const auto length : lengths) {
        gpt2::request one{{}, drawing(5)};
        for (std::size_t i = 0; i < length; ++i)
            one.prompt.push_back(static_cast<gpt2::token_id>(300 + requests.size() + i));
        requests.push_back(one);
    }
    const auto batch = model.generate(requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto alone = model.generate(requests[i].prompt, requests[i].options);
        CHECK(batch[i].tokens == alone.tokens);
        CHECK(batch[i].log_probs == alone.log_probs);
        CHECK(batch[i].stats.prompt_tokens == requests[i].prompt.size());
        CHECK(batch[i].stats.passes == 5);
    }
}

TEST_CASE("sessions that were written on together have their logits, where they ended too",
          "[load]") {
    const auto model = gpt2::load(bundled);
    auto how = drawing(6);
    std::vector<gpt2::session> alone, together;
    for (const char* const text : {"The king", "Once upon a time", "A fox"})
        alone.push_back(model.start(text)), together.push_back(model.start(text));
    // The end of a text is not a token of it: nothing is computed after the last logits.
    how.sampling.custom = {
        {"end", [](std::span<float> scores, std::span<const gpt2::token_id> past) {
             if (past.size() == 8)
                 for (auto& x : scores.subspan(1)) x = -1e9f;
         }}};
    const auto done = gpt2::session::generate(together, how);
    for (std::size_t i = 0; i < alone.size(); ++i) {
        CHECK(alone[i].generate(how).tokens == done[i].tokens);
        CHECK(std::ranges::equal(alone[i].logits(), together[i].logits()));
    }
}

TEST_CASE("log-probabilities are those of the session's logits", "[load]") {  // 223
    const auto model = gpt2::load(bundled);
    auto text = model.start("The king");
    for (int step = 0; step < 5; ++step) {
        double sum = 0, shares = 0;
        const std::vector<float> logits(text.logits().begin(), text.logits().end());
        for (const float x : logits) sum += std::exp(static_cast<double>(x));
        for (const float x : logits) shares += std::exp(static_cast<double>(x)) / sum;
        CHECK(shares == Approx(1).margin(1e-4));
        const auto done = text.generate(drawing(1));
        const double x = static_cast<double>(logits[static_cast<std::size_t>(done.tokens[0])]);
        CHECK(done.log_probs[0] == Approx(x - std::log(sum)).margin(1e-5));
    }
}

TEST_CASE("the statistics account for the time that passed", "[load]") {
    const auto model = gpt2::load(bundled);
    std::string prompt;
    for (int i = 0; i < 50; ++i) prompt += " the king and the fox";
    const auto begun = std::chrono::steady_clock::now();
    const auto done = model.generate(prompt, drawing(3));
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begun;
    CHECK(done.stats.prompt_tokens > 200);
    CHECK(done.stats.new_tokens == 3);
    const double counted = done.stats.prompt_seconds + done.stats.decode_seconds;
    CHECK(counted <= passed.count());
    CHECK(counted > passed.count() / 2);
    CHECK(done.stats.prompt_seconds > done.stats.decode_seconds / 10);
}

TEST_CASE("sessions and copies outlive the model they came from", "[load]") {  // 269
    std::optional<gpt2::session> text;
    std::optional<gpt2::language_model> copy;
    {
        auto model = gpt2::load(bundled);
        text = model.start("The king");
        copy = model;
        const gpt2::language_model moved(std::move(model));
        CHECK(model.config().layers == moved.config().layers);  // moving is copying
    }
    const auto tokens = text->generate(drawing(8)).tokens;
    CHECK(copy->generate("The king", drawing(8)).tokens == tokens);
}

TEST_CASE("cancelled while reading the prompt", "[load]") {  // 281
    const auto model = gpt2::load(bundled);
    std::stop_source source;
    source.request_stop();
    auto how = drawing(5);
    how.until.token = source.get_token();
    const auto done = model.generate("The king", how);
    CHECK(done.why == gpt2::finish::cancelled);
    CHECK(done.tokens.empty());
    CHECK(model.generate("", how).why == gpt2::finish::cancelled);
}

TEST_CASE("one model, many threads, one pool", "[load][threads]") {  // 274
    const auto model = gpt2::load(bundled, {.threads = 3});
    const auto expected = model.generate("The king", drawing(20)).tokens;
    std::vector<char> equal(8, 0);
    std::vector<std::thread> threads;
    for (auto& good : equal)
        threads.emplace_back([&model, &expected, &good] {
            good = 1;
            for (int i = 0; i < 3; ++i)
                good &= model.generate("The king", drawing(20)).tokens == expected;
        });
    for (auto& thread : threads) thread.join();
    for (const char good : equal) CHECK(good);
}

TEST_CASE("a batch: item i is the generation of prompt i alone, to the bit", "[session]") {
    const auto model = gpt2::load(GPT2_BUNDLED_MODEL);
    std::vector<std::string> prompts;
    for (int i = 0; i < 19; ++i)  // more than are written at once, of many lengths
        prompts.push_back("Once upon a time there was a king who had " + std::to_string(i) +
                          (i % 3 == 0   ? " sons"
                           : i % 3 == 1 ? ""
                                        : " daughters, and the eldest"));
    gpt2::options how;
    how.sampling = gpt2::top_p(0.9f, 0.9f);
    how.stop = {"the"};
    how.max_new_tokens = 20;
    const auto together = model.generate(prompts, how);
    REQUIRE(together.size() == prompts.size());
    std::set<gpt2::finish> ends;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        const auto alone = model.generate(prompts[i], how);
        CHECK(together[i].text == alone.text);
        CHECK(together[i].tokens == alone.tokens);
        CHECK(together[i].log_probs == alone.log_probs);
        CHECK(together[i].why == alone.why);
        ends.insert(alone.why);
    }
    CHECK(ends.size() > 1);  // some were stopped, some ran on
    CHECK(model.generate(std::span<const std::string>(), how).empty());

    std::stop_source source;
    source.request_stop();
    how.until.token = source.get_token();
    for (const auto& item : model.generate(prompts, how)) {
        CHECK(item.why == gpt2::finish::cancelled);
        CHECK(item.tokens.empty());
    }
}

TEST_CASE("kernels can be named, and a pool shared", "[session]") {
    const auto names = gpt2::kernel_names();
    REQUIRE(!names.empty());
    CHECK(names.back() == "portable");
    const auto pool = std::make_shared<gpt2::thread_pool>(2);
    std::string expected;
    for (const auto name : names) {
        gpt2::load_options how;
        how.pool = pool;
        how.kernels = name;
        const auto text = gpt2::load(GPT2_BUNDLED_MODEL, how).generate("The king").text;
        if (expected.empty()) expected = text;
        CHECK(text == expected);
    }
    gpt2::load_options unknown;
    unknown.kernels = "abacus";
    const auto problem = test::error_of([&] { gpt2::load(GPT2_BUNDLED_MODEL, unknown); });
    REQUIRE(problem);
    CHECK(problem->code() == gpt2::errc::invalid_argument);
    CHECK_THAT(problem->what(), test::mentions("abacus") && test::mentions("portable"));
}

TEST_CASE("every storage writes, smaller ones nearly the same", "[session]") {
    using gpt2::storage;
    for (const storage kept : {storage::as_stored, storage::f32, storage::f16, storage::bf16,
                               storage::int8, storage::int4}) {
        gpt2::load_options how;
        how.weights = kept;
        const auto model = gpt2::load(GPT2_BUNDLED_MODEL, how);
        INFO("storage " << static_cast<int>(kept));
        CHECK(model.generate("Once upon a time").tokens.size() == 64);
    }
}

#if defined(__unix__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("the child of a fork, which has no threads, writes the same", "[session]") {
    gpt2::load_options how;
    how.threads = 3;
    const auto model = gpt2::load(GPT2_BUNDLED_MODEL, how);
    const auto expected = model.generate("The king").text;  // now there are threads
    const pid_t child = ::fork();
    if (child == 0) {
        bool same = false;
        try {
            same = model.generate("The king").text == expected;
        } catch (...) {
        }
        ::_exit(same ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(model.generate("The king").text == expected);
}
#endif
