// Observers that change a pass: a head that is silenced, values that come from another text, a
// direction that is added. What follows in the pass is computed from what they leave.
//
//     gpt2::head_ablation<float> silent(model.config(), {.layer = 2, .head = 0});
//     model.forward(ids, state, logits, silent);
//
// Keys and values that were cached before an edit stay as they were: edit a text from its
// beginning, or the positions that are new.
//
// Before: trace.hpp, recording.hpp. Beside it: observers.hpp, observers that measure.
#pragma once

#include "config.hpp"
#include "error.hpp"
#include "recording.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// One head of attention, both numbers from 0.
struct head_place {
    std::size_t layer = 0, head = 0;
};

/// The mean over all positions of what a head found, (D): what stands for it in a mean ablation.
/// Raises not_found where stage::heads was not recorded.
template <class Scalar>
std::vector<Scalar> mean_output(const basic_recording<Scalar>& of, const head_place& at) {
    const auto values = of.head(stage::heads, at.layer, at.head);  // (T, D)
    std::vector<Scalar> mean;
    for (std::size_t d = 0; d < values.columns(); ++d) {
        double sum = 0;
        for (std::size_t t = 0; t < values.rows(); ++t) sum += static_cast<double>(values(t, d));
        mean.push_back(static_cast<Scalar>(sum / static_cast<double>(values.rows())));
    }
    return mean;
}

/// Puts zeros, or one vector (D) at all positions, in the place of what a head found.
template <class Scalar>
class head_ablation {
public:
    /// `instead`: empty for zeros. Raises invalid_argument for a head that there is not,
    /// wrong_shape for a vector of another size.
    head_ablation(const config& of, const head_place& at, std::vector<Scalar> instead = {})
        : at_(at), instead_(std::move(instead)) {
        if (at.layer >= of.layers || at.head >= of.heads)
            detail::fail(errc::invalid_argument, "head_ablation",
                         {"a layer below ", of.layers, " and a head below ", of.heads},
                         {at.layer, " and ", at.head});
        if (instead_.empty()) instead_.resize(of.head_size());
        if (instead_.size() != of.head_size())
            detail::fail(errc::wrong_shape, "head_ablation", {of.head_size(), " numbers"},
                         instead_.size());
    }

    void operator()(stage s, std::size_t layer, view<Scalar> values) const {
        if (s != stage::heads || layer != at_.layer) return;
        const auto part = values.column_block(at_.head * instead_.size(), instead_.size());
        for (std::size_t t = 0; t < part.rows(); ++t)
            std::ranges::copy(instead_, part.row(t).begin());
    }

private:
    head_place at_;
    std::vector<Scalar> instead_;
};

/// Row `from` of a recording in the place of position `to`.
struct moved_row {
    std::size_t to = 0, from = 0;
};

struct patch_options {
    std::vector<moved_row> rows = {};  ///< empty: every row of the recording at its own position
    /// Of q, k, v and heads: this head's part alone.
    std::optional<std::size_t> head = std::nullopt;
    std::size_t seen = 0;  ///< how many positions the text has before it is watched
};

/// Puts values of a recording, of another text mostly, in the place of a stage's own.
template <class Scalar>
class activation_patch {
public:
    /// The recording must outlive the patch unchanged. Raises not_found for what was not recorded,
    /// invalid_argument for scores and weights, a head or a row that there is not.
    activation_patch(const stage_place& at, const basic_recording<Scalar>& from,
                     patch_options how = {})
        : at_(at),
          values_(how.head ? from.head(at.stage, at.layer, *how.head)
                           : from.at(at.stage, at.layer)),
          how_(std::move(how)),
          rows_(how_.seen) {
        if (from.is_map(at.stage))
            detail::fail(errc::invalid_argument, name(at), "a stage of vectors", "one of maps");
        if (how_.rows.empty())
            for (std::size_t t = 0; t < values_.rows(); ++t) how_.rows.push_back({t, t});
        for (const auto& row : how_.rows)
            if (row.from >= values_.rows())
                detail::fail(errc::invalid_argument, name(at), {"a row below ", values_.rows()},
                             row.from);
    }

    /// Raises wrong_shape where the stage is not as wide as the recording's.
    void operator()(stage s, std::size_t layer, view<Scalar> values) {
        rows_.hear(s, values);
        if (stage_place{s, layer} != at_) return;
        const auto first = rows_.first_of(values.rows());
        auto part = values;
        if (how_.head)
            part = values.column_block(*how_.head * values_.columns(), values_.columns());
        if (part.columns() != values_.columns())
            detail::fail(errc::wrong_shape, name(at_), {values_.columns(), " columns"},
                         part.columns());
        for (const auto& [to, from] : how_.rows)
            if (to >= first && to - first < part.rows())
                std::ranges::copy(values_.row(from), part.row(to - first).begin());
    }

private:
    stage_place at_;
    cview<Scalar> values_;
    patch_options how_;
    detail::row_counter rows_;
};

struct steering_options {
    double scale = 1;       ///< what the direction is multiplied by
    std::size_t first = 0;  ///< positions first … last - 1 are steered
    std::size_t last = std::numeric_limits<std::size_t>::max();
    std::size_t seen = 0;  ///< how many positions the text has before it is watched
};

/// Adds a direction to a stage's vectors, {stage::block, 3} for example.
template <class Scalar>
class steering {
public:
    /// Raises invalid_argument for scores and weights.
    steering(const stage_place& at, std::vector<Scalar> direction, const steering_options& how = {})
        : at_(at), direction_(std::move(direction)), how_(how), rows_(how.seen) {
        if (recording::is_map(at.stage))
            detail::fail(errc::invalid_argument, name(at), "a stage of vectors", "one of maps");
    }

    /// Raises wrong_shape where the stage is not as wide as the direction.
    void operator()(stage s, std::size_t layer, view<Scalar> values) {
        rows_.hear(s, values);
        if (stage_place{s, layer} != at_) return;
        if (values.columns() != direction_.size())
            detail::fail(errc::wrong_shape, name(at_), {values.columns(), " numbers"},
                         direction_.size());
        const auto first = rows_.first_of(values.rows());
        for (std::size_t t = 0; t < values.rows(); ++t) {
            if (first + t < how_.first || first + t >= how_.last) continue;
            for (std::size_t c = 0; c < direction_.size(); ++c)
                values(t, c) += static_cast<Scalar>(how_.scale) * direction_[c];
        }
    }

private:
    stage_place at_;
    std::vector<Scalar> direction_;
    steering_options how_;
    detail::row_counter rows_;
};

}  // namespace gpt2::inline GPT2_ABI
