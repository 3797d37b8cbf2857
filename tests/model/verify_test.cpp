// A model's reference.json: the bundled model passes its own, however its weights are kept; one
// wrong number in any tensor is found at the stage where it first shows; and a reference that is
// ill-formed or of another model is refused.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/random_model.hpp"

#include <gpt2/verify.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using gpt2::errc;
using gpt2::reference;
using gpt2::storage;
using nlohmann::json;

const fs::path bundled = GPT2_BUNDLED_MODEL;

/// The bundled model with numbers that can be changed and put back.
class damaged_copy {
public:
    damaged_copy() {
        for (const char* name : {"config.json", "model.safetensors", "reference.json"})
            fs::copy(bundled / name, folder_.path());
        std::ifstream file(weights(), std::ios::binary);
        std::uint64_t size = 0;
        file.read(reinterpret_cast<char*>(&size), sizeof size);
        std::string text(size, '\0');
        file.read(text.data(), static_cast<std::streamsize>(size));
        header_ = json::parse(text);
        begin_ = sizeof size + size;
    }

    const fs::path& path() const { return folder_.path(); }

    /// Changes bits of the half at `index` of a tensor; the same again puts it back.
    void flip(const std::string& tensor, std::size_t index, std::uint16_t bits) const {
        const auto name = header_.contains(tensor) ? tensor : "transformer." + tensor;
        const auto at = begin_ + header_.at(name)["data_offsets"][0].get<std::size_t>() + 2 * index;
        std::fstream file(weights(), std::ios::binary | std::ios::in | std::ios::out);
        std::uint16_t half = 0;
        file.seekg(static_cast<std::streamoff>(at));
        file.read(reinterpret_cast<char*>(&half), sizeof half);
        half = half ^ bits;
        file.seekp(static_cast<std::streamoff>(at));
        file.write(reinterpret_cast<const char*>(&half), sizeof half);
        REQUIRE(file.good());
    }

private:
    fs::path weights() const { return folder_ / "model.safetensors"; }

    test::scratch_folder folder_;
    json header_;
    std::size_t begin_ = 0;
};

/// A small reference of the tiny model of random_model.hpp, as JSON to be changed.
json small_reference() {
    return {{"format", 1},
            {"made_with", "a test"},
            {"tolerance", 1e-5},
            {"stored", "F32"},
            {"ids", {1, 2, 3}},
            {"stages",
             {{{"stage", "embedding"}, {"norm", 1.5}, {"sum", -0.5}},
              {{"stage", "c_fc"}, {"layer", 2}, {"norm", 1}, {"sum", 0}}}},
            {"logits", {{{"position", 2}, {"first", 51}, {"values", {0.5, -1}}}}}};
}

reference parsed(const json& text) { return reference::parse(text.dump(), "reference.json"); }

}  // namespace

TEST_CASE("the bundled model passes its reference", "[model][verify]") {
    const auto known = reference::read(bundled / "reference.json");
    CHECK(known.stages.size() == 6 * 14 + 5);
    CHECK(known.logits.size() == 2);
    CHECK(known.stored == storage::f16);
    const auto found = gpt2::verify(gpt2::load(bundled, {.threads = 2}));
    CHECK(found.passed());
    CHECK(found.first_departure() == nullptr);
    CHECK(found.kept == storage::f32);  // F16 is what the file has: nothing is lost
    CHECK(found.tolerance == known.tolerance);
    CHECK(found.largest() < 5e-6);
    CHECK(found.largest() > 0);
    CHECK(found.stages.size() == known.stages.size());
    CHECK(name(found.stages.front()) == "token_embedding");
    CHECK(name(found.stages[5 * 14 + 3 + 2]) == "h.5.k");
    CHECK(name(found.stages.back()) == "logits");
}

TEST_CASE("every way to keep weights has a tolerance, and obeys it", "[model][verify]") {
    struct kept_so {
        gpt2::load_options how;
        storage kept;
    };
    const std::vector<kept_so> all = {
        {{.weights = storage::f32}, storage::f32},
        {{.weights = storage::f16}, storage::f32},
        {{.weights = storage::bf16}, storage::bf16},
        {{.weights = storage::int8}, storage::int8},
        {{.weights = storage::int4}, storage::int4},
        {{.weights = storage::f32, .cache = storage::f16}, storage::f16},
        {{.weights = storage::int8, .cache = storage::bf16}, storage::int8},
        {{.arithmetic = gpt2::arithmetic::fast}, storage::bf16},
    };
    for (const auto& [how, kept] : all) {
        CAPTURE(static_cast<int>(how.weights), static_cast<int>(how.cache));
        const auto found = gpt2::verify(gpt2::load(bundled, how));
        CHECK(found.passed());
        CHECK(found.kept == kept);
        CHECK(found.tolerance == (kept == storage::f32 ? 2e-5 : gpt2::tolerance_of(kept)));
        CHECK(found.tolerance < 20 * found.largest());
    }
}

TEST_CASE("one wrong number is seen at the stage where it first shows", "[model][verify]") {
    struct wound {
        std::string tensor;
        std::size_t index;
        std::string stage;
    };
    constexpr std::size_t width = 256, inner = 1024;
    const auto first_id =
        static_cast<std::size_t>(reference::read(bundled / "reference.json").ids.front());
    const std::vector<wound> wounds = {
        {"wte.weight", first_id * width + 7, "token_embedding"},
        {"wte.weight", 3 * width + 9, "logits"},  // of a token that is not in the text
        {"wpe.weight", 5 * width + 1, "position_embedding"},
        {"h.0.ln_1.weight", 200, "h.0.ln_1"},
        {"h.2.ln_1.bias", 3, "h.2.ln_1"},
        {"h.1.attn.c_attn.weight", 10 * 3 * width + 100, "h.1.q"},
        {"h.1.attn.c_attn.weight", 10 * 3 * width + width + 100, "h.1.k"},
        {"h.1.attn.c_attn.weight", 10 * 3 * width + 2 * width + 100, "h.1.v"},
        {"h.4.attn.c_attn.bias", 1, "h.4.q"},
        {"h.3.attn.c_proj.weight", 50 * width + 60, "h.3.attention"},
        {"h.3.attn.c_proj.bias", 60, "h.3.attention"},
        {"h.5.ln_2.weight", 0, "h.5.ln_2"},
        {"h.0.mlp.c_fc.weight", 99 * inner + 1023, "h.0.c_fc"},
        {"h.5.mlp.c_fc.bias", 77, "h.5.c_fc"},
        {"h.2.mlp.c_proj.weight", 512 * width + 255, "h.2.mlp"},
        {"h.2.mlp.c_proj.bias", 255, "h.2.mlp"},
        {"ln_f.weight", 17, "ln_f"},
        {"ln_f.bias", 17, "ln_f"},
    };
    const damaged_copy model;
    for (const auto& [tensor, index, stage] : wounds) {
        INFO(tensor << " " << index);
        model.flip(tensor, index, 0x8000 | 0x0400);  // the sign, and twice or half
        const auto found = gpt2::verify(gpt2::load(model.path(), {.threads = 1}));
        model.flip(tensor, index, 0x8000 | 0x0400);
        CHECK_FALSE(found.passed());
        REQUIRE(found.first_departure());
        CHECK(name(*found.first_departure()) == stage);
        CHECK(found.first_departure()->relative > found.tolerance);
    }
    CHECK(gpt2::verify(gpt2::load(model.path(), {.threads = 1})).passed());
}

TEST_CASE("a wrong switch is seen too", "[model][verify]") {
    const damaged_copy model;
    const auto config = json::parse(test::read_file(bundled / "config.json"));
    const auto first = [&](const json& change) {
        auto text = config;
        text.update(change);
        test::write_file(model.path() / "config.json", text.dump());
        const auto found = gpt2::verify(gpt2::load(model.path(), {.threads = 1}));
        return found.passed() ? "none" : name(*found.first_departure());
    };
    CHECK(first(json::object()) == "none");
    CHECK(first({{"activation_function", "gelu"}}) == "h.0.activation");
    CHECK(first({{"layer_norm_epsilon", 1e-3}}) == "h.0.ln_1");
    CHECK(first({{"scale_attn_weights", false}}) == "h.0.scores");
    CHECK(first({{"scale_attn_by_inverse_layer_idx", true}}) == "h.1.scores");
    CHECK(first({{"n_head", 8}}) == "h.0.scores");
}

TEST_CASE("a model of doubles is verified to the digits of the file", "[model][verify]") {
    const auto loaded = gpt2::load_model<double>(bundled);
    gpt2::thread_pool pool(1);
    gpt2::state<double> text(loaded.model.config(), pool);
    const auto known = reference::read(bundled / "reference.json");
    const auto found = gpt2::verify(loaded.model, text, known);
    CHECK(found.largest() < 5e-9);
    CHECK(text.kv.size() == 0);
    CHECK(gpt2::verify(loaded.model, text, known).largest() == found.largest());
}

TEST_CASE("where the reference comes from", "[model][verify]") {
    const auto folder = test::source_folder() / "tests/reference/models/base";
    CHECK_ERROR(errc::not_found, gpt2::verify(gpt2::load(folder, {.threads = 1})));
    const auto model = gpt2::load(bundled, {.threads = 1});
    CHECK_ERROR(errc::not_found, gpt2::verify(model, bundled / "none.json"));
    CHECK_ERROR(errc::not_regular_file, gpt2::verify(model, bundled));
    CHECK(gpt2::verify(model, bundled / "reference.json").passed());
    CHECK(gpt2::verify(model, reference::read(bundled / "reference.json")).passed());

    const auto c = test::odd_config();
    const gpt2::language_model made(std::make_shared<const gpt2::language_parts>(
        test::random_weights(c).model(c), std::nullopt, gpt2::audit{},
        std::make_shared<gpt2::thread_pool>(1u)));
    CHECK_ERROR(errc::not_found, gpt2::verify(made));
    CHECK_FALSE(gpt2::verify(made, parsed(small_reference())).passed());
}

TEST_CASE("a reference of another model is refused", "[model][verify]") {
    const auto c = test::odd_config();  // V 53, L 3, 150 positions
    const auto network = test::random_weights(c).model(c);
    gpt2::thread_pool pool(1);
    gpt2::state<float> text(c, pool);
    const auto with = [&](const std::string& pointer, const json& value) {
        auto changed = small_reference();
        changed[json::json_pointer(pointer)] = value;
        return gpt2::verify(network, text, parsed(changed));
    };
    CHECK(with("/tolerance", 1).stages.size() == 3);
    CHECK_ERROR(errc::token_out_of_range, with("/ids", {1, 52, 53}));
    CHECK_ERROR(errc::context_full, with("/ids", std::vector<int>(151, 1)));
    CHECK(text.kv.size() == 0);
    CHECK_ERROR(errc::bad_config, with("/stages/1/layer", 3));
    CHECK_ERROR(errc::bad_config, with("/logits/0/first", 52));
    CHECK_ERROR(errc::bad_config, with("/logits/0/first", 54));
    auto made = parsed(small_reference());
    made.logits.front().position = 3;
    CHECK_ERROR(errc::bad_config, gpt2::verify(network, text, made));
}

TEST_CASE("an ill-formed reference is refused", "[model][verify]") {
    CHECK(parsed(small_reference()).stages.size() == 2);
    struct change {
        std::string pointer;
        json value;
    };
    const std::vector<change> wrong = {
        {"/format", 2},
        {"/format", "1"},
        {"/made_by", "someone"},
        {"/tolerance", 0},
        {"/tolerance", -1e-5},
        {"/tolerance", 1.5},
        {"/tolerance", nullptr},
        {"/stored", "I8"},
        {"/stored", 16},
        {"/ids", json::array()},
        {"/ids", std::vector<int>(257, 1)},
        {"/ids", {-1}},
        {"/ids", {1.0}},
        {"/ids", {1 << 24}},
        {"/ids", 3},
        {"/stages", json::array()},
        {"/stages", json::object()},
        {"/stages/0", 1},
        {"/stages/0/stage", "qkv"},
        {"/stages/0/stage", 2},
        {"/stages/0/layer", 0},
        {"/stages/0/norm", -1},
        {"/stages/0/norm", "1"},
        {"/stages/0/max", 3},
        {"/stages/1/layer", -1},
        {"/stages/1/layer", 1e3},
        {"/stages/2", {{"stage", "embedding"}, {"norm", 1}, {"sum", 1}}},
        {"/stages/2", {{"stage", "ln_1"}, {"norm", 1}, {"sum", 1}}},
        {"/logits/0/position", 3},
        {"/logits/0/first", -1},
        {"/logits/0/values", {nullptr}},
        {"/logits/0/last", 2},
    };
    for (const auto& [pointer, value] : wrong) {
        INFO(pointer << " " << value.dump());
        auto text = small_reference();
        text[json::json_pointer(pointer)] = value;
        CHECK_ERROR(errc::bad_config, parsed(text));
    }
    for (const std::string key : {"format", "tolerance", "ids", "stages"}) {
        INFO("without " << key);
        auto text = small_reference();
        text.erase(key);
        CHECK_ERROR(errc::bad_config, parsed(text));
    }
    for (const std::string key : {"stage", "norm", "sum", "layer"}) {
        auto text = small_reference();
        text["stages"][1].erase(key);
        CHECK_ERROR(errc::bad_config, parsed(text));
    }
    const auto good = small_reference().dump();
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_ERROR(errc::bad_json, reference::parse(good.substr(0, size)));
    CHECK_ERROR(errc::bad_json, reference::parse(good + "{}"));
    CHECK_ERROR(errc::bad_json, reference::parse(R"({"format":1,"format":1})"));
    CHECK_ERROR(errc::bad_json, reference::parse(std::string(9, '[') + std::string(9, ']')));
    CHECK_ERROR(errc::bad_config, reference::parse("[]"));
    CHECK_ERROR(errc::limit_exceeded, reference::parse(std::string((1 << 20) + 1, ' ')));
}

TEST_CASE("departures: nothing equal departs, NaN always does", "[model][verify]") {
    const auto nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(gpt2::detail::departure(0, 0, 0) == 0);
    CHECK(gpt2::detail::departure(2, 3, 4) == 0.25);
    CHECK(gpt2::detail::departure(0, 1e-9, 0) == INFINITY);
    CHECK(gpt2::detail::departure(1, nan, 1) == INFINITY);
    gpt2::verification found;
    found.tolerance = 1;
    found.stages.push_back({{gpt2::stage::q, 1}, 1, 1, 1});
    CHECK(found.passed());
    found.stages.push_back({{gpt2::stage::mlp, 1}, 1, 1, nan});
    CHECK(name(*found.first_departure()) == "h.1.mlp");

    // The weights that make_reference.py gives to indexes 0, 1, 2 and 1000000.
    CHECK(gpt2::detail::weight_of(0) == -1);
    CHECK(gpt2::detail::weight_of(1) == -0.18330183625221252);
    CHECK(gpt2::detail::weight_of(2) == 0.6333963279612362);
    CHECK(gpt2::detail::weight_of(1'000'000) == -0.16107340715825558);
    const double values[] = {3, 0, -4, 0};
    const auto two = gpt2::detail::measured(gpt2::cview<double>(values, 2, 2));
    CHECK(two.norm == 5);
    CHECK(two.weighted_sum == -3 - 4 * gpt2::detail::weight_of(2));
}
