// A model's proof that it computes what it should: reference.json, which lies beside a model, says
// what another program found at every stage of one pass; `verify` runs that pass and compares.
//
// Known of a stage are its norm and a weighted sum, in which each value has a pseudo-random weight
// of its own: neither a wrong number nor an exchange of heads leaves both as they were. Of the
// logits slices are known too. tests/reference/make_reference.py writes the file.
//
// Before: trace.hpp, gpt2.hpp.
#pragma once

#include "detail/json.hpp"
#include "gpt2.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What another program found.
struct reference {
    struct stage_values {
        double norm = 0, weighted_sum = 0;
    };
    struct logit_slice {
        std::size_t position = 0, first = 0;  ///< of a token in `ids`; the first id of the slice
        std::vector<double> values;
    };

    std::vector<token_id> ids;  ///< at most 256
    /// Largest departure, relative to the norm of a stage, of a model that keeps every weight.
    double tolerance = 0;
    /// How all matrices were stored where the reference was made; as_stored: not said.
    storage stored = storage::as_stored;
    std::map<stage_place, stage_values> stages;
    std::vector<logit_slice> logits;

    /// The reference in a text of JSON; `where` begins every message. Raises bad_json,
    /// limit_exceeded (1 MiB), bad_config naming the key.
    static reference parse(std::string_view text, const std::string& where = "reference");
    /// The reference in a file. Also raises not_found, not_regular_file, read_failed.
    static reference read(const std::filesystem::path& file) {
        return parse(detail::read_text(detail::file_source(file), detail::json_limits{}.bytes),
                     detail::shown(file));
    }
};

/// How far one stage departs.
struct stage_departure {
    stage_place at;
    double expected = 0, found = 0;  ///< norms
    /// The largest of: difference of norms, difference of weighted sums, relative to the expected
    /// norm; for logits also of the slices, relative to their largest value. Infinity for NaN.
    double relative = 0;
};

inline std::string name(const stage_departure& one) { return name(one.at); }

/// What verify found, stage by stage in the order they happen.
struct verification {
    std::vector<stage_departure> stages;
    /// The least exact of how weights, keys and values are kept and multiplied; f32 where nothing
    /// is lost against the reference.
    storage kept = storage::f32;
    double tolerance = 0;  ///< the reference's, or a larger one for what `kept` loses

    bool passed() const { return first_departure() == nullptr; }
    /// The first stage beyond the tolerance, or null.
    const stage_departure* first_departure() const {
        for (const auto& one : stages)
            if (!(one.relative <= tolerance)) return &one;
        return nullptr;
    }
    /// The largest departure of all.
    double largest() const {
        double most = 0;
        for (const auto& one : stages) most = std::max(most, one.relative);
        return most;
    }
};

/// The tolerance of a model whose weights were rounded to that storage. At their worst stage, four
/// small trained models depart by 0.0008, 0.009, 0.05 and 0.3, and random weights of the 124M shape
/// by 0.001, 0.010, 0.05 and 0.62.
constexpr double tolerance_of(storage kept) {
    switch (kept) {
        case storage::f16:
            return 0.005;
        case storage::bf16:
            return 0.05;
        case storage::int8:
            return 0.15;
        case storage::int4:
            return 0.8;
        default:
            return 0;
    }
}

namespace detail {

/// Reads reference.json.
class reference_reader {
public:
    reference_reader(const json_value& document, const std::string& where)
        : file_(document, where, errc::bad_config) {}

    [[gnu::cold]] reference read() {
        refuse_others(file_,
                      {"format", "made_with", "stored", "tolerance", "ids", "stages", "logits"});
        if (file_.integer("format", {1, 1}) != 1)
            fail(errc::bad_config, file_.where(), "format is missing: expected 1");
        reference found;
        found.tolerance = real(file_, "tolerance");
        if (!(found.tolerance > 0) || found.tolerance > 1)
            file_.refuse("tolerance", *file_.find("tolerance"), "a number in (0, 1]");
        if (const auto kept = file_.text("stored")) found.stored = stored_as(*kept);
        read_ids(found);
        for (const auto& item : list(file_, "stages", most_stages)) read_stage(item, found);
        if (found.stages.empty()) fail(errc::bad_config, file_.where(), "stages: none is given");
        if (file_.find("logits"))
            for (const auto& item : list(file_, "logits", most_slices)) read_slice(item, found);
        return found;
    }

private:
    static constexpr std::size_t most_ids = 256, most_stages = 1 << 15, most_slices = 256,
                                 most_values = 1 << 16;

    /// A key that nobody knows would be a check that nobody makes.
    static void refuse_others(const json_fields& object,
                              std::initializer_list<std::string_view> known) {
        for (const auto& [key, value] : object.members())
            if (!is_one_of({known.begin(), known.size()}, key))
                fail(errc::bad_config, object.where(), {"unknown key ", printable(key, 40)});
    }
    static const json_value& required(const json_fields& object, std::string_view key) {
        if (const auto* value = object.find(key)) return *value;
        fail(errc::bad_config, object.where(), {key, " is missing"});
    }
    static double number(const json_fields& object, std::string_view key, const json_value& value) {
        if (const auto* whole = value.whole_number()) return static_cast<double>(*whole);
        if (const auto* negative = value.negative_number()) return static_cast<double>(*negative);
        if (const auto* real = value.real_number()) return *real;
        object.refuse(key, value, "a number");
    }
    static double real(const json_fields& object, std::string_view key) {
        return number(object, key, required(object, key));
    }
    static std::size_t integer(const json_fields& object, std::string_view key,
                               std::uint64_t most) {
        required(object, key);
        return static_cast<std::size_t>(*object.integer(key, {0, most}));
    }
    static const json_value::array& list(const json_fields& object, std::string_view key,
                                         std::size_t most) {
        const auto& value = required(object, key);
        if (!value.items() || value.items()->size() > most)
            object.refuse(key, value, {"a list of at most ", most});
        return *value.items();
    }
    storage stored_as(std::string_view text) const {
        if (text == "F32" || text == "F64") return storage::f32;
        if (text == "F16") return storage::f16;
        if (text == "BF16") return storage::bf16;
        file_.refuse("stored", *file_.find("stored"), "F64, F32, F16 or BF16");
    }
    void read_ids(reference& found) const {
        for (const auto& item : list(file_, "ids", most_ids)) {
            const auto* id = item.whole_number();
            if (!id || *id >= config_limits::vocabulary_size) file_.refuse("ids", item, "ids");
            found.ids.push_back(static_cast<token_id>(*id));
        }
        if (found.ids.empty()) fail(errc::bad_config, file_.where(), "ids: none is given");
    }
    void read_stage(const json_value& item, reference& found) const {
        const json_fields object(item, text_of({file_.where(), ": stages"}), errc::bad_config);
        refuse_others(object, {"stage", "layer", "norm", "sum"});
        required(object, "stage");
        const auto text = *object.text("stage");
        const auto known = std::ranges::find(stage_names, text);
        if (known == stage_names.end())
            object.refuse("stage", *object.find("stage"), "the name of a stage");
        stage_place at{static_cast<stage>(known - stage_names.begin()), 0};
        if (is_in_layer(at.stage))
            at.layer = integer(object, "layer", config_limits::layers);
        else if (const auto* layer = object.find("layer"))
            object.refuse("layer", *layer, {"none for ", text});
        const reference::stage_values values{real(object, "norm"), real(object, "sum")};
        if (!(values.norm >= 0)) object.refuse("norm", *object.find("norm"), "0 or more");
        if (!found.stages.emplace(at, values).second)
            fail(errc::bad_config, object.where(), {gpt2::name(at), " is there twice"});
    }
    void read_slice(const json_value& item, reference& found) const {
        const json_fields object(item, text_of({file_.where(), ": logits"}), errc::bad_config);
        refuse_others(object, {"position", "first", "values"});
        reference::logit_slice slice;
        slice.position = integer(object, "position", found.ids.size() - 1);
        slice.first = integer(object, "first", config_limits::vocabulary_size);
        for (const auto& value : list(object, "values", most_values))
            slice.values.push_back(number(object, "values", value));
        found.logits.push_back(std::move(slice));
    }

    json_fields file_;
};

/// The weight of a value by its row-major index, in [-1, 1): an integer hash as a fraction. (Signs
/// alone would let two heads change places, and a wrong bias cancel over the positions.)
constexpr double weight_of(std::uint32_t index) {
    index = (index ^ index >> 16) * 0x7feb352du;
    index = (index ^ index >> 15) * 0x846ca68bu;
    return (index ^ index >> 16) / 2147483648.0 - 1.0;
}

/// Norm and weighted sum of a stage's values.
template <class Scalar>
reference::stage_values measured(cview<Scalar> values) {
    double squares = 0, sum = 0;
    std::uint32_t index = 0;
    for (std::size_t r = 0; r < values.rows(); ++r)
        for (const Scalar x : values.row(r)) {
            const auto value = static_cast<double>(x);
            squares += value * value;
            sum += value * weight_of(index++);
        }
    return {std::sqrt(squares), sum};
}

/// |found - expected| / scale, where equal numbers never depart and NaN always does.
inline double departure(double expected, double found, double scale) {
    if (expected == found) return 0;
    const double off = std::abs(found - expected) / scale;
    return std::isnan(off) ? std::numeric_limits<double>::infinity() : off;
}

/// Raises bad_config unless every stage and slice is one of the model's.
[[gnu::cold]] inline void check_fits(const reference& expected, const config& c) {
    for (const auto& [at, values] : expected.stages)
        if (at.layer >= c.layers)
            fail(errc::bad_config, "reference: layer", {"below ", c.layers}, at.layer);
    for (const auto& slice : expected.logits)
        if (slice.position >= expected.ids.size() || slice.first > c.vocabulary_size ||
            slice.values.size() > c.vocabulary_size - slice.first)
            fail(errc::bad_config, "reference: logits", {"ids below ", c.vocabulary_size},
                 {slice.values.size(), " from ", slice.first, " on, position ", slice.position});
}

/// How far slices of the logits (T, V) are off, relative to the largest known value.
template <class Scalar>
double slice_departure(std::span<const reference::logit_slice> slices, cview<Scalar> logits) {
    double largest = 0, worst = 0;
    for (const auto& slice : slices)
        for (const double value : slice.values) largest = std::max(largest, std::abs(value));
    for (const auto& slice : slices)
        for (std::size_t i = 0; i < slice.values.size(); ++i) {
            const auto found = static_cast<double>(logits(slice.position, slice.first + i));
            worst = std::max(worst, departure(slice.values[i], found, largest));
        }
    return worst;
}

/// What is lost against a reference: by the weights, unless they were stored so where it was made,
/// by the cache, and by fast arithmetic.
template <class Scalar>
storage kept_by(const basic_model<Scalar>& network, const state<Scalar>& text, storage stored) {
    auto kept = network.footprint().kept;
    if (kept == stored) kept = storage::f32;
    if constexpr (std::is_same_v<Scalar, float>) {
        kept = std::max(kept, storage_of(text.kv.stored()));
        if (text.on.rule == arithmetic::fast) kept = std::max(kept, storage::bf16);
    }
    return kept;
}

}  // namespace detail

inline reference reference::parse(std::string_view text, const std::string& where) {
    const auto document = detail::parse_json(text, where, {.depth = 8});
    return detail::reference_reader(document, where).read();
}

/// Runs the reference's pass in `text`, which is emptied before and after, and compares. Raises
/// bad_config for a reference of another model, token_out_of_range, context_full.
template <class Scalar>
verification verify(const basic_model<Scalar>& network, state<Scalar>& text,
                    const reference& expected) {
    const auto& c = network.config();
    detail::check_fits(expected, c);
    verification result;
    result.kept = detail::kept_by(network, text, expected.stored);
    result.tolerance = std::max(expected.tolerance, tolerance_of(result.kept));
    const auto watch = [&](stage s, std::size_t layer, cview<Scalar> values) {
        const auto known = expected.stages.find({s, layer});
        const bool sliced = s == stage::logits && !expected.logits.empty();
        if (known == expected.stages.end() && !sliced) return;
        const auto found = detail::measured(values);
        const auto want = known == expected.stages.end() ? found : known->second;
        double off = std::max(detail::departure(want.norm, found.norm, want.norm),
                              detail::departure(want.weighted_sum, found.weighted_sum, want.norm));
        if (sliced) off = std::max(off, detail::slice_departure<Scalar>(expected.logits, values));
        result.stages.push_back({{s, layer}, want.norm, found.norm, off});
    };
    buffer<Scalar> logits(expected.ids.size() * c.vocabulary_size);
    text.kv.resize(0);
    network.forward(expected.ids, text, {logits.data(), expected.ids.size(), c.vocabulary_size},
                    watch);
    text.kv.resize(0);
    return result;
}

inline verification verify(const language_model& loaded, const reference& expected) {
    auto text = loaded.state();
    return verify(loaded.model(), text, expected);
}

/// Compares with the reference in that file; without one, with reference.json beside the model:
/// in its folder, or in the folder of its file. Raises not_found where there is none, and what
/// reading and comparing raise. Runs on the model's threads; calls may run at once.
inline verification verify(const language_model& loaded, const std::filesystem::path& file = {}) {
    if (!file.empty()) return verify(loaded, reference::read(file));
    if (loaded.source().empty())
        throw error(errc::not_found, "verify: the model came from no file, nothing lies beside it");
    std::error_code ignored;
    const bool folder = std::filesystem::is_directory(loaded.source(), ignored);
    const auto home = folder ? loaded.source() : loaded.source().parent_path();
    return verify(loaded, reference::read(detail::entry_of(home, "reference.json")));
}

}  // namespace gpt2::inline GPT2_ABI
