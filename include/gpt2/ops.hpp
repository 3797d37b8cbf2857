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
namespace ops {

/// y = x·W + bias for the panels [first, last) of W. x (T, K), W (K, N), bias (N) or empty, y (T,
/// N). One chain along K per output, beginning with the bias; `float` runs the kernels for this
/// machine, every other scalar runs on Eigen.
template <class Scalar>
void panel_product(cview<Scalar> x, panel_view<const Scalar> w, const Scalar* bias, view<Scalar> y,
                   std::size_t first, std::size_t last) {
    if constexpr (std::is_same_v<Scalar, float>) {
        detail::kernels::best().product({x.data(), x.stride(), w.data(), w.panel_stride(), bias,
                                         y.data(), y.stride(), x.rows(), w.depth(), w.columns(),
                                         first, last});
    } else {
        using panel_row = Eigen::Array<Scalar, 1, static_cast<int>(panel_width)>;
        const auto read = [](const Scalar* source) { return Eigen::Map<const panel_row>(source); };
        for (std::size_t p = first; p < last; ++p) {
            const auto n = std::min(panel_width, w.columns() - p * panel_width);
            const auto panel = w.panel(p);
            for (std::size_t t = 0; t < x.rows(); ++t) {
                panel_row sum = panel_row::Zero();
                if (bias) sum = read(bias + p * panel_width);
                for (std::size_t k = 0; k < w.depth(); ++k)
                    sum += x(t, k) * read(panel.row(k).data());
                std::copy_n(sum.data(), n, &y(t, p * panel_width));
            }
        }
    }
}

/// y = x·W: x (T, K), W (K, N), y (T, N).
template <class Scalar>
void product(cview<Scalar> x, panel_view<const Scalar> w, view<Scalar> y) {
    panel_product<Scalar>(x, w, nullptr, y, 0, panel_count(w.columns()));
}

/// y = x·W + bias, its outputs divided among the threads of the pool.
/// x (T, K), W (K, N), y (T, N); bias null or N numbers padded to a multiple of 16.
template <class Scalar>
void linear(cview<Scalar> x, panel_view<const Scalar> w, const Scalar* bias, view<Scalar> y,
            thread_pool& pool) {
    pool.run(panel_count(w.columns()), [&](std::size_t first, std::size_t last) {
        panel_product(x, w, bias, y, first, last);
    });
}

/// x += y, both (T, C).
template <class Scalar>
void add(view<Scalar> x, cview<Scalar> y) {
    eigen(x) += eigen(y);
}

/// y = (x - mean) / √(variance + epsilon) · gain + bias, row by row, with the biased variance
/// (Ba et al. 2016, eq. 4). x and y (T, C); gain and bias (C). The sums run in double over two
/// passes, so that neither a large mean nor a huge value ruins the variance.
template <class Scalar>
void layer_norm(cview<Scalar> x, std::span<const Scalar> gain, std::span<const Scalar> bias,
                double epsilon, view<Scalar> y) {
    const auto width = static_cast<double>(x.columns());
    for (std::size_t t = 0; t < x.rows(); ++t) {
        double mean = 0, variance = 0;
        for (const Scalar value : x.row(t)) mean += static_cast<double>(value);
        mean /= width;
        for (const Scalar value : x.row(t)) {
            const double distance = static_cast<double>(value) - mean;
            variance += distance * distance;
        }
        const double scale = 1 / std::sqrt(variance / width + epsilon);
        for (std::size_t c = 0; c < x.columns(); ++c) {
            const auto normal = static_cast<Scalar>((static_cast<double>(x(t, c)) - mean) * scale);
            y(t, c) = normal * gain[c] + bias[c];
        }
    }
}

/// The scores of one query against its keys, turned into weights that sum to 1: the maximum is
/// subtracted first, so no exponential overflows.
template <class Scalar>
void softmax(std::span<Scalar> scores) {
    const Scalar top = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (Scalar& score : scores) {
        score = std::exp(score - top);
        sum += static_cast<double>(score);
    }
    const auto scale = static_cast<Scalar>(1 / sum);
    for (Scalar& score : scores) score *= scale;
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

/// x = f(x), element by element, rows and columns divided among the threads. x (T, F).
template <class Scalar>
void activate(view<Scalar> x, activation f, thread_pool& pool) {
    pool.run(x.columns(), [&](std::size_t first, std::size_t last) {
        for (std::size_t t = 0; t < x.rows(); ++t)
            for (std::size_t c = first; c < last; ++c) x(t, c) = activate(x(t, c), f);
    });
}

}  // namespace ops
}  // namespace gpt2::inline GPT2_ABI
