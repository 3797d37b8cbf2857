// How a token knows where it stands: the positions that a model is made with, as a compile-time
// policy of its embedding and its attention.
//
// GPT-2 learned a vector for each position (Radford et al. 2019), and every file of a GPT-2 is run
// with those. The two others are for comparing, and for models that were trained with them:
// sinusoidal vectors, added in the same place (Vaswani et al. 2017, §3.5), and rotary positions,
// which add nothing but turn queries and keys (Su et al. 2021, §3.2.2). A policy either
//
//   adds     rows(first, count) -> (count, C), the vectors of positions first, first + 1, …; or
//   rotates  rotate(x, first), which turns queries or keys x (T, C) in place.
//
// Before: weights.hpp, config.hpp. After: layers.hpp, model.hpp.
#pragma once

#include "config.hpp"
#include "error.hpp"
#include "tensor.hpp"
#include "weights.hpp"

#include <cmath>
#include <cstddef>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// 1 / 10000^(2i/size): how fast pair i of a vector turns from position to position, in radians.
inline double turning(std::size_t i, std::size_t size) {
    return std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(size));
}

}  // namespace detail

/// A vector for each position, learned: `wpe` of the checkpoint.
template <class Scalar>
class learned_positions {
public:
    static constexpr bool adds = true, rotates = false;

    /// Raises missing_tensor, wrong_shape; a file may hold more positions than the config uses.
    learned_positions(const weight_scope& w, const config& c)
        : vectors_(c.context_length * c.width), width_(c.width) {
        const auto& stored = w.fetch("wpe.weight");
        const auto shape = stored.shape();
        if (shape.size() != 2 || shape[0] < c.context_length || shape[1] != c.width)
            detail::fail(errc::wrong_shape, w.path("wpe.weight"),
                         {"(", c.context_length, " or more, ", c.width, ")"},
                         detail::shown_shape(shape));
        stored.read_rows<Scalar>(0, c.context_length, vectors_.span());
    }

    cview<Scalar> rows(std::size_t first, std::size_t count) const {
        return {vectors_.data() + first * width_, count, width_};
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        sum.add(vectors_);
    }

private:
    buffer<Scalar> vectors_;  // (T_max, C)
    std::size_t width_;
};

/// PE(t, 2i) = sin(t / 10000^(2i/C)), PE(t, 2i+1) = cos(the same).
template <class Scalar>
class sinusoidal_positions {
public:
    static constexpr bool adds = true, rotates = false;

    explicit sinusoidal_positions(const config& c)
        : vectors_(c.context_length * c.width), width_(c.width) {
        for (std::size_t t = 0; t < c.context_length; ++t)
            for (std::size_t j = 0; j < width_; ++j) {
                const double angle = static_cast<double>(t) * detail::turning(j / 2, width_);
                vectors_.data()[t * width_ + j] =
                    static_cast<Scalar>(j % 2 == 0 ? std::sin(angle) : std::cos(angle));
            }
    }
    /// Takes nothing from the file.
    sinusoidal_positions(const weight_scope&, const config& c) : sinusoidal_positions(c) {}

    cview<Scalar> rows(std::size_t first, std::size_t count) const {
        return {vectors_.data() + first * width_, count, width_};
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        sum.add(vectors_);
    }

private:
    buffer<Scalar> vectors_;  // (T_max, C)
    std::size_t width_;
};

/// Rotary positions (RoPE): of each head's vector the pair (2i, 2i+1) is turned by
/// t / 10000^(2i/D), so that a query and a key see how far apart they stand, and nothing else.
template <class Scalar>
class rotary_positions {
public:
    static constexpr bool adds = false, rotates = true;

    /// Raises bad_config where a head's size is odd.
    explicit rotary_positions(const config& c)
        : pairs_(c.width / c.heads / 2),
          cosines_(c.context_length * pairs_),
          sines_(c.context_length * pairs_) {
        if (c.width / c.heads % 2 != 0)
            detail::fail(errc::bad_config, "rotary positions", "heads of an even size",
                         c.width / c.heads);
        for (std::size_t t = 0; t < c.context_length; ++t)
            for (std::size_t i = 0; i < pairs_; ++i) {
                const double angle = static_cast<double>(t) * detail::turning(i, 2 * pairs_);
                cosines_.data()[t * pairs_ + i] = static_cast<Scalar>(std::cos(angle));
                sines_.data()[t * pairs_ + i] = static_cast<Scalar>(std::sin(angle));
            }
    }
    /// Takes nothing from the file.
    rotary_positions(const weight_scope&, const config& c) : rotary_positions(c) {}

    /// Turns queries or keys (T, C), heads side by side, of the positions from `first` on.
    void rotate(view<Scalar> x, std::size_t first) const {
        for (std::size_t row = 0; row < x.rows(); ++row) {
            const auto* cosine = cosines_.data() + (first + row) * pairs_;
            const auto* sine = sines_.data() + (first + row) * pairs_;
            const auto numbers = x.row(row);
            for (std::size_t pair = 0; pair < numbers.size() / 2; ++pair) {
                const auto i = pair % pairs_;
                auto &a = numbers[2 * pair], &b = numbers[2 * pair + 1];
                const Scalar turned = std::fma(a, cosine[i], -(b * sine[i]));
                b = std::fma(b, cosine[i], a * sine[i]);
                a = turned;
            }
        }
    }

    template <class Sum>
    void add_to(Sum& sum) const {
        sum.add(cosines_);
        sum.add(sines_);
    }

private:
    std::size_t pairs_;
    buffer<Scalar> cosines_, sines_;  // (T_max, D/2)
};

}  // namespace gpt2::inline GPT2_ABI
