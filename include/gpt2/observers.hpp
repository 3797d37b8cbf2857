// Observers that measure: lengths of vectors, what LayerNorm sees, the first number that is none.
//
// Each is given to `forward` (several with `together`) and asked afterwards. They work with models
// of any scalar, over any number of passes of one text, and change nothing.
//
// Before: trace.hpp, recording.hpp. Beside it: edits.hpp, observers that change a pass.
#pragma once

#include "detail/widen.hpp"
#include "error.hpp"
#include "recording.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// Numbers by stage, for each position one or more.
template <class Number>
class measurements {
public:
    std::vector<Number>& operator[](const stage_place& at) { return all_[at]; }
    /// Raises not_found.
    std::span<const Number> at(const stage_place& place) const {
        const auto found = all_.find(place);
        if (found == all_.end())
            fail(errc::not_found, name(place), "a stage that was measured", "another");
        return found->second;
    }

private:
    std::map<stage_place, std::vector<Number>> all_;
};

}  // namespace detail

/// √Σx², added up in double.
template <class Scalar>
double norm_of(std::span<Scalar> row) {
    double square = 0;
    for (const auto x : row) square += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(square);
}

/// Mean and biased variance.
struct moments {
    double mean = 0, variance = 0;
};

/// As ops::layer_norm takes them: in double, the variance of what is left without the mean.
template <class Scalar>
moments moments_of(std::span<Scalar> row) {
    const auto count = static_cast<double>(row.size());
    moments found;
    for (const auto x : row) found.mean += static_cast<double>(x) / count;
    for (const auto x : row) {
        const double off = static_cast<double>(x) - found.mean;
        found.variance += off * off / count;
    }
    return found;
}

/// How long the vectors of stages are, position by position.
class stage_norms {
public:
    explicit stage_norms(recording_choice what = {}) : what_(std::move(what)) {}

    template <class Scalar>
    void operator()(stage s, std::size_t layer, view<Scalar> values) {
        rows_.hear(s, values);
        if (s == stage::scores) heads_ = values.rows() / rows_.rows();
        if (recording::is_map(s) || !what_.has({s, layer})) return;
        for (std::size_t t = 0; t < values.rows(); ++t) {
            norms_[{s, layer}].push_back(norm_of(values.row(t)));
            if (s != stage::heads) continue;
            const auto size = values.columns() / heads_;
            for (std::size_t h = 0; h < heads_; ++h)
                by_head_[{s, layer}].push_back(norm_of(values.row(t).subspan(h * size, size)));
        }
    }

    /// (T) of a stage; all have norms but scores and weights. Raises not_found.
    std::span<const double> at(stage s, std::size_t layer = 0) const {
        return norms_.at({s, layer});
    }
    /// (T, H), row by row: of what each head found, before c_proj. Raises not_found.
    std::span<const double> of_heads(std::size_t layer) const {
        return by_head_.at({stage::heads, layer});
    }

private:
    recording_choice what_;
    detail::measurements<double> norms_, by_head_;
    detail::row_counter rows_;
    std::size_t heads_ = 0;
};

/// Mean and variance of what each LayerNorm is given: the residual stream before it.
class norm_moments {
public:
    explicit norm_moments(std::size_t layers) : layers_(layers) {}

    template <class Scalar>
    void operator()(stage s, std::size_t layer, view<Scalar> values) {
        if (s != stage::embedding && s != stage::attention_residual && s != stage::block) return;
        const bool last = s == stage::block && layer + 1 == layers_;
        const stage_place next = s == stage::embedding ? stage_place{stage::ln_1, 0}
                                 : last                ? stage_place{stage::ln_f, 0}
                                 : s == stage::block   ? stage_place{stage::ln_1, layer + 1}
                                                       : stage_place{stage::ln_2, layer};
        for (std::size_t t = 0; t < values.rows(); ++t)
            moments_[next].push_back(moments_of(values.row(t)));
    }

    /// (T) of ln_1, ln_2 of a layer, or ln_f. Raises not_found.
    std::span<const moments> at(stage norm, std::size_t layer = 0) const {
        return moments_.at({norm, layer});
    }

private:
    std::size_t layers_;
    detail::measurements<moments> moments_;
};

/// A NaN or an infinity, and where it stands.
struct non_finite {
    stage_place at;
    std::size_t position = 0, head = 0, column = 0;  ///< head: of scores and weights, else 0
    double value = 0;
};

/// Looks for the first of them: the earliest stage of the earliest pass, the first position in it.
class non_finite_finder {
public:
    /// `first`: how many positions the text has before it is watched.
    explicit non_finite_finder(std::size_t first = 0) : rows_(first) {}

    template <class Scalar>
    void operator()(stage s, std::size_t layer, view<Scalar> values) {
        rows_.hear(s, values);
        if (found_) return;
        const auto t = recording::is_map(s) ? rows_.rows() : values.rows();
        const auto heads = values.rows() / t;
        for (std::size_t i = 0; i < t; ++i)
            for (std::size_t h = 0; h < heads; ++h) {
                const std::span<const Scalar> row = values.row(h * t + i);
                if (detail::all_finite(row)) continue;
                std::size_t column = 0;
                while (std::isfinite(row[column])) ++column;
                found_ = non_finite{
                    {s, layer}, rows_.first_of(t) + i, h, column, static_cast<double>(row[column])};
                return;
            }
    }

    const std::optional<non_finite>& found() const { return found_; }

private:
    detail::row_counter rows_;
    std::optional<non_finite> found_;
};

}  // namespace gpt2::inline GPT2_ABI
