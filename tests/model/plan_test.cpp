// What a plan says a model takes is what it then takes, to the byte, for every way to keep weights,
// keys and values; and a limit is obeyed before anything is allocated.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/process.hpp"
#include "../support/random_model.hpp"

#include <gpt2/gpt2.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;
using gpt2::errc;
using gpt2::memory_plan;
using gpt2::storage;

const fs::path bundled = GPT2_BUNDLED_MODEL;

/// Every model folder of the repository.
std::vector<fs::path> folders() {
    std::vector<fs::path> all = {bundled};
    for (const char* kind : {"models", "family"})
        for (const auto& entry :
             fs::directory_iterator(test::source_folder() / "tests/reference" / kind))
            if (entry.is_directory()) all.push_back(entry.path());
    return all;
}

/// A file that has a size and no contents.
class hollow_source final : public gpt2::detail::byte_source {
public:
    explicit hollow_source(std::uint64_t size) : byte_source("hollow", size) {}

private:
    std::size_t read_some(std::uint64_t, std::span<std::byte>) const override {
        throw gpt2::error(errc::read_failed, "a plan reads no weights");
    }
};

/// The tensors of a config, without numbers.
gpt2::weight_store hollow_store(const gpt2::config& c) {
    gpt2::weight_store store;
    const auto add = [&](const std::string& name, std::vector<std::size_t> shape) {
        std::uint64_t size = 4;
        for (const auto n : shape) size *= n;
        store.add(gpt2::stored_tensor(name, gpt2::dtype::f32, std::move(shape),
                                      std::make_shared<hollow_source>(size), 0));
    };
    add("wte.weight", {c.vocabulary_size, c.width});
    add("wpe.weight", {c.context_length, c.width});
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
        const auto h = "h." + std::to_string(layer) + ".";
        add(h + "attn.c_attn.weight", {c.width, 3 * c.width});
        add(h + "attn.c_proj.weight", {c.width, c.width});
        add(h + "mlp.c_fc.weight", {c.width, c.inner_width});
        add(h + "mlp.c_proj.weight", {c.inner_width, c.width});
    }
    if (!c.tied_head) add("lm_head.weight", {c.vocabulary_size, c.width});
    return store;
}

}  // namespace

TEST_CASE("a plan is what is then allocated, to the byte", "[model][plan]") {
    std::size_t seen = 0;
    for (const auto& folder : folders()) {
        INFO(folder.string());
        const auto plan = gpt2::plan(folder);
        for (const auto kept : memory_plan::storages) {
            CAPTURE(static_cast<int>(kept));
            const auto loaded = gpt2::load_model<float>(folder, kept);
            CHECK(plan.weights(kept) == loaded.model.footprint().bytes);
            CHECK(loaded.model.weight_bytes() < loaded.model.footprint().bytes);
        }
        ++seen;
    }
    CHECK(seen > 55);
}

TEST_CASE("a plan knows keys, values and scratch memory", "[model][plan]") {
    for (const auto& folder : folders()) {
        INFO(folder.string());
        const auto plan = gpt2::plan(folder);
        for (const auto& [kept, format] :
             {std::pair{storage::f32, gpt2::detail::kernels::format::f32},
              {storage::f16, gpt2::detail::kernels::format::f16},
              {storage::bf16, gpt2::detail::kernels::format::bf16}}) {
            gpt2::execution how;
            how.cache = format;
            for (const unsigned threads : {1u, 3u}) {
                gpt2::thread_pool pool(threads);
                gpt2::state<float> text(plan.config, pool, how);
                CHECK(text.kv.bytes() == 0);
                text.kv.reserve(plan.config.context_length / 2);
                CHECK(plan.cache(kept, plan.config.context_length / 2) == text.kv.bytes());
                text.kv.reserve(plan.config.context_length);
                CHECK(plan.cache(kept, plan.config.context_length) == text.kv.bytes());
                CHECK(plan.workspace(threads) ==
                      text.work.bytes() + plan.config.vocabulary_size * sizeof(float));
                CHECK(plan.total({kept, kept, 0, threads}) ==
                      plan.weights(kept) + text.kv.bytes() + plan.workspace(threads));
            }
        }
        CHECK(plan.cache(storage::f32, 0) == 0);
        CHECK(plan.cache(storage::as_stored, 5) == plan.cache(storage::f32, 5));
        CHECK_ERROR(errc::invalid_argument, plan.cache(storage::int8, 5));
        CHECK_ERROR(errc::invalid_argument, plan.total({storage::f32, storage::int4, 0, 1}));
    }
    const auto tales = gpt2::plan(bundled);
    CHECK(tales.cache_per_token(storage::f32) == tales.config.kv_bytes_per_token());
    CHECK(tales.cache_per_token(storage::bf16) == tales.config.kv_bytes_per_token(2));
    CHECK(tales.cache(storage::f16, 512) == 512 * tales.cache_per_token(storage::f16));
    CHECK(tales.cache(storage::f32, 1) == 128 * tales.cache_per_token(storage::f32));
    CHECK(tales.total({.positions = 16, .threads = 1}) ==
          tales.total({.threads = 1}) - 384 * tales.cache_per_token(storage::f32));
    CHECK(tales.workspace() == tales.workspace(gpt2::thread_pool(0).size()));
}

TEST_CASE("a plan needs no weights, and fits GPT-2", "[model][plan]") {
    for (const bool tied : {true, false}) {
        auto c = gpt2::presets::gpt2();
        c.tied_head = tied;
        gpt2::memory_plan plan;
        const auto growth = test::peak_growth([&] { plan = gpt2::plan(c, hollow_store(c)); });
        CHECK(growth < (std::size_t{1} << 20));
        const auto parameters = c.parameter_count();
        const auto between = [&](storage kept, double least, double most) {
            const auto bytes = static_cast<double>(plan.weights(kept));
            CAPTURE(static_cast<int>(kept), bytes);
            CHECK(bytes > least * static_cast<double>(parameters));
            CHECK(bytes < most * static_cast<double>(parameters));
        };
        between(storage::as_stored, 4, 4.02);
        between(storage::f32, 4, 4.02);
        between(storage::f16, 2, 2.05);
        between(storage::bf16, 2, 2.05);
        between(storage::int8, 1.03, 1.1);
        between(storage::int4, 0.57, 0.75);
    }
}

TEST_CASE("a plan raises what loading would", "[model][plan]") {
    CHECK_ERROR(errc::not_found, gpt2::plan(bundled / "none"));
    auto c = test::odd_config();
    const test::random_weights random(c);
    CHECK_NOTHROW(gpt2::plan(c, random.store()));
    auto wider = c;
    wider.inner_width = 38;
    CHECK_ERROR(errc::wrong_shape, gpt2::plan(wider, random.store()));
    auto deeper = c;
    deeper.layers = 4;
    CHECK_ERROR(errc::missing_tensor, gpt2::plan(deeper, random.store()));
    auto untied = c;
    untied.tied_head = false;
    CHECK_ERROR(errc::missing_tensor, gpt2::plan(untied, random.store()));
    c.heads = 3;
    CHECK_ERROR(errc::bad_config, gpt2::plan(c, random.store()));
}

TEST_CASE("a limit of memory is obeyed before anything is taken", "[model][plan]") {
    gpt2::load_options how;
    how.threads = 1;
    for (const auto kept : memory_plan::storages)
        for (const auto cache : {storage::as_stored, storage::f16}) {
            CAPTURE(static_cast<int>(kept), static_cast<int>(cache));
            how.weights = kept;
            how.cache = cache;
            const auto needed = gpt2::plan(bundled).total({kept, cache, 0, 1});
            how.memory_limit = needed;
            CHECK_NOTHROW(gpt2::load(bundled, how));
            how.memory_limit = needed - 1;
            std::optional<gpt2::error> problem;
            const auto growth = test::peak_growth(
                [&] { problem = test::error_of([&] { (void)gpt2::load(bundled, how); }); });
            REQUIRE(problem);
            CHECK(problem->code() == errc::limit_exceeded);
            CHECK_THAT(problem->what(), test::mentions(std::to_string(needed)));
            CHECK_THAT(problem->what(), test::mentions(std::to_string(needed - 1)));
            CHECK(growth < (std::size_t{1} << 20));
        }
    how = {};
    how.threads = 1;
    how.arithmetic = gpt2::arithmetic::fast;  // keys and values as bfloats
    how.memory_limit = gpt2::plan(bundled).total({.cache = storage::bf16, .threads = 1});
    CHECK_NOTHROW(gpt2::load(bundled, how));
    how.memory_limit = 1;
    CHECK_ERROR(errc::limit_exceeded, gpt2::load(bundled, how));
}

TEST_CASE("a loaded model takes no more than was planned", "[model][plan]") {
    const auto plan = gpt2::plan(bundled);
    for (const auto kept : {storage::f32, storage::f16, storage::int8}) {
        const auto growth = test::peak_growth([&] {
            const auto loaded = gpt2::load_model<float>(bundled, kept);
            CHECK(loaded.audit.ignored.empty());
        });
        CAPTURE(static_cast<int>(kept), growth, plan.weights(kept));
        if (growth == 0) return;  // a sanitizer, or a system that does not say
        CHECK(growth < plan.weights(kept) + (std::size_t{6} << 20));
    }
}
