// The mathematics of a GPT-2, templated on the scalar: free functions on views, no state, nothing
// allocated. Sums run in an order that depends on the shape of one row alone, so a row comes out
// the same to the bit whatever rows are computed beside it and however many threads there are.
//
// Before: tensor.hpp. After: layers.hpp, which strings these together.
#pragma once

#include "config.hpp"
#include "detail/kernels/dispatch.hpp"
#include "parallel.hpp"
#include "tensor.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>

namespace gpt2::inline GPT2_ABI {
namespace detail {
/// Does nothing with anything.
struct nothing {
    void operator()(const auto&...) const {}
};
}  // namespace detail

namespace ops {

/// What a pass runs on: the kernels of `float` (other scalars run on Eigen), the threads, and what
/// they may do to be faster.
struct machine {
    const detail::kernels::kernel_set* kernels;
    thread_pool* pool;
    arithmetic rule = arithmetic::reproducible;
};

/// Rows that a thread takes at least, of work that is done with each in less time than threads take
/// to meet. (A batch of one token each is then one thread's work.)
inline constexpr std::size_t rows_per_part = 16;

/// A product y = start + x·W in panels: x (T, K), W (K, N), y (T, N). Sums start from y itself, the
/// bias, or 0, and are one chain along K per output.
template <class Scalar>
struct panel_product {
    using format = detail::kernels::format;

    cview<Scalar> x;
    detail::kernels::rounded_rows rounded;  ///< room for x where it is rounded
    panel_view<Scalar> w;
    view<Scalar> y;
    const Scalar* bias = nullptr;  ///< N numbers padded to a multiple of 16
    bool accumulate = false;       ///< start from y
    bool linear = false;           ///< W is a matrix of the model, all of K; linear() says so

    /// Whether x is rounded before this product: to 8 bits, or to bf16.
    bool rounds(const machine& on) const {
        if constexpr (!std::is_same_v<Scalar, float>) return false;
        return detail::kernels::is_quantised(w.stored()) ||
               (w.stored() == format::bf16 && on.rule == arithmetic::fast &&
                on.kernels->bfloat_product);
    }

    /// Rounds rows [first, last) of x where rounds() says so.
    void round(std::size_t first, std::size_t last, const machine& on) const {
        if constexpr (std::is_same_v<Scalar, float>)
            for (auto t = first; t < last; ++t) {
                const auto row = x.row(t);
                if (w.stored() == format::bf16)
                    on.kernels->round(row.data(), row.size(), rounded.bfloats(t));
                else
                    on.kernels->quantise(row.data(), row.size(), w.stored(), t, rounded);
            }
    }

    /// Panels [first, last) of y, on one thread; x is rounded where it has to be.
    void run(std::size_t first, std::size_t last, const machine& on) const {
        if constexpr (std::is_same_v<Scalar, float>) {
            on.kernels->product({.x = x.data(),
                                 .x_stride = x.stride(),
                                 .rounded = rounds(on) ? rounded : detail::kernels::rounded_rows{},
                                 .w = w.panel(0),
                                 .weights = w.stored(),
                                 .panel_stride = w.panel_stride(),
                                 .bias = bias,
                                 .y = y.data(),
                                 .y_stride = y.stride(),
                                 .rows = x.rows(),
                                 .depth = w.depth(),
                                 .outputs = w.columns(),
                                 .first_panel = first,
                                 .last_panel = last,
                                 .accumulate = accumulate,
                                 .linear = linear});
        } else {
            eigen_run(first, last);
        }
    }

    /// The same for every other scalar than float.
    void eigen_run(std::size_t first, std::size_t last) const {
        using panel_row = Eigen::Array<Scalar, 1, static_cast<int>(panel_width)>;
        const auto read = [](const Scalar* source) { return Eigen::Map<const panel_row>(source); };
        for (std::size_t p = first; p < last; ++p) {
            const auto n = std::min(panel_width, w.columns() - p * panel_width);
            for (std::size_t t = 0; t < x.rows(); ++t) {
                panel_row sum = panel_row::Zero();
                if (bias) sum = read(bias + p * panel_width);
                if (accumulate) std::copy_n(&y(t, p * panel_width), n, sum.data());
                for (std::size_t k = 0; k < w.depth(); ++k) sum += x(t, k) * read(w.row(k, p));
                std::copy_n(sum.data(), n, &y(t, p * panel_width));
            }
        }
    }
};

/// Panels that a thread takes at least. Few rows are done when the weights are read: long parts are
/// long streams of memory. With many rows, short parts let threads end together.
inline std::size_t panels_per_part(std::size_t rows, std::size_t columns, const machine& on) {
    const auto step = rows == 1 ? on.kernels->stream_panels : 2 * on.kernels->tile_panels;
    if (rows >= 4 * rows_per_part) return step;
    return std::max((panel_count(columns) / (4 * on.pool->size()) + step - 1) / step * step, step);
}

/// The whole product on one thread.
template <class Scalar>
void product(const panel_product<Scalar>& what, const machine& on) {
    if (what.rounds(on)) what.round(0, what.x.rows(), on);
    what.run(0, panel_count(what.w.columns()), on);
}

/// y = after(x·W + bias), the outputs divided among the threads. `after(part)` is called with each
/// finished part of y, some neighbouring columns of all rows.
template <class Scalar, class After>
void linear(panel_product<Scalar> what, const machine& on, After after) {
    what.linear = true;
    const auto rows = what.x.rows(), columns = what.w.columns();
    if (what.rounds(on))
        on.pool->run(rows, rows_per_part, [&](std::size_t first, std::size_t last, std::size_t) {
            what.round(first, last, on);
        });
    on.pool->run(panel_count(columns), panels_per_part(rows, columns, on),
                 [&](std::size_t first, std::size_t last, std::size_t) {
                     what.run(first, last, on);
                     const auto begin = first * panel_width,
                                end = std::min(last * panel_width, columns);
                     after(what.y.column_block(begin, end - begin));
                 });
}

/// x += y, both (T, C).
template <class Scalar>
void add(view<Scalar> x, cview<Scalar> y, const machine& on) {
    on.pool->run(x.rows(), rows_per_part, [&](std::size_t first, std::size_t last, std::size_t) {
        eigen(x.row_block(first, last - first)) += eigen(y.row_block(first, last - first));
    });
}

/// y = (x - mean) / √(variance + epsilon) · gain + bias, row by row, with the biased variance
/// (Ba et al. 2016, eq. 4). x and y (T, C); gain and bias (C). The sums run in double over two
/// passes, so that neither a large mean nor a huge value ruins the variance.
template <class Scalar>
void layer_norm(cview<Scalar> x, std::span<const Scalar> gain, std::span<const Scalar> bias,
                double epsilon, view<Scalar> y, const machine& on) {
    const auto row = [&](std::size_t t) {
        if constexpr (std::is_same_v<Scalar, float>) {
            on.kernels->layer_norm(x.row(t).data(), x.columns(), gain.data(), bias.data(), epsilon,
                                   y.row(t).data());
        } else {
            const auto values = eigen(x.row(t));
            const Scalar mean = values.mean();
            const Scalar variance = (values - mean).square().mean();
            eigen(y.row(t)) =
                (values - mean) / std::sqrt(variance + epsilon) * eigen(gain) + eigen(bias);
        }
    };
    on.pool->run(x.rows(), rows_per_part, [&](std::size_t first, std::size_t last, std::size_t) {
        for (auto t = first; t < last; ++t) row(t);
    });
}

/// The scores of one query against its keys, each times `scale`, turned into weights that sum to
/// 1: the maximum is subtracted first, so no exponential overflows.
template <class Scalar>
void softmax(std::span<Scalar> scores, Scalar scale, const machine& on) {
    if constexpr (std::is_same_v<Scalar, float>) {
        on.kernels->softmax(scores.data(), scores.size(), scale);
    } else {
        auto row = eigen(scores);
        row *= scale;
        row = (row - row.maxCoeff()).exp();
        row /= row.sum();
    }
}

/// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))): the GELU that GPT-2 was trained with
/// (Hendrycks & Gimpel 2016).
template <class Scalar>
Scalar gelu_new(Scalar x) {
    const auto root = static_cast<Scalar>(std::numbers::inv_sqrtpi * std::numbers::sqrt2);
    const Scalar inner = root * (x + static_cast<Scalar>(0.044715) * x * x * x);
    return x / 2 * (1 + std::tanh(inner));
}

/// x/2·(1 + erf(x/√2)): the exact GELU.
template <class Scalar>
Scalar gelu(Scalar x) {
    return x / 2 * (1 + std::erf(x * static_cast<Scalar>(1 / std::numbers::sqrt2)));
}

/// 1/(1 + e^-x), without overflow for either sign.
template <class Scalar>
Scalar sigmoid(Scalar x) {
    const Scalar e = std::exp(-std::abs(x));
    return (x < 0 ? e : Scalar{1}) / (1 + e);
}

/// log(1 + e^x), without overflow.
template <class Scalar>
Scalar softplus(Scalar x) {
    return std::max(x, Scalar{0}) + std::log1p(std::exp(-std::abs(x)));
}

/// f(x) for one number; the formulas stand beside the enumerators in config.hpp.
template <class Scalar>
Scalar activate(Scalar x, activation f) {
    const auto number = [](double value) { return static_cast<Scalar>(value); };
    switch (f) {
        case activation::gelu_new:
            return gelu_new(x);
        case activation::gelu:
            return gelu(x);
        case activation::gelu_10:
            return std::clamp(gelu(x), Scalar{-10}, Scalar{10});
        case activation::gelu_fast:
            return x / 2 *
                   (1 + std::tanh(number(0.7978845608) * x * (1 + number(0.044715) * x * x)));
        case activation::quick_gelu:
            return x * sigmoid(number(1.702) * x);
        case activation::relu:
            return std::max(x, Scalar{0});
        case activation::relu2:
            return std::max(x, Scalar{0}) * std::max(x, Scalar{0});
        case activation::relu6:
            return std::clamp(x, Scalar{0}, Scalar{6});
        case activation::leaky_relu:
            return x < 0 ? number(0.01) * x : x;
        case activation::silu:
            return x * sigmoid(x);
        case activation::mish:
            return x * std::tanh(softplus(x));
        case activation::sigmoid:
            return sigmoid(x);
        case activation::tanh:
            return std::tanh(x);
        case activation::linear:
            return x;
        case activation::hardswish:
            return x * std::clamp(x + 3, Scalar{0}, Scalar{6}) / 6;
        case activation::laplace:
            return (1 + std::erf((x - number(0.707107)) / number(0.282095 * std::numbers::sqrt2))) /
                   2;
        case activation::sqrt_softplus:
            return std::sqrt(softplus(x));
    }
    return x;
}

/// x = f(x), element by element, on one thread. x (T, F).
template <class Scalar>
void activate(view<Scalar> x, activation f, const machine& on) {
    for (std::size_t t = 0; t < x.rows(); ++t) {
        const auto row = x.row(t);
        if constexpr (std::is_same_v<Scalar, float>) {
            // x·σ(a·x + b·x³), see gated() in detail/kernels/rows.inl.
            const auto gated = [&](double a, double b) {
                on.kernels->gated(row.data(), row.size(), static_cast<float>(a),
                                  static_cast<float>(a * b));
            };
            if (f == activation::gelu_new)
                gated(2 * std::numbers::inv_sqrtpi * std::numbers::sqrt2, 0.044715);
            else if (f == activation::gelu_fast)
                gated(2 * 0.7978845608, 0.044715);
            else if (f == activation::quick_gelu)
                gated(1.702, 0);
            else if (f == activation::silu)
                gated(1, 0);
            else if (f == activation::gelu)
                on.kernels->gelu(row.data(), row.size());
            else
                for (float& value : row) value = activate(value, f);
        } else {
            (void)on;
            for (Scalar& value : row) value = activate(value, f);
        }
    }
}

}  // namespace ops
}  // namespace gpt2::inline GPT2_ABI
