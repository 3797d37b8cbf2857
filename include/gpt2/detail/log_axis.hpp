// A logarithmic axis: where numbers stand on it, and which decades it shows.
//
// Before: picture.hpp. Next: detail/plot_terminal.hpp, detail/plot_drawing.hpp.
#pragma once

#include "../picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// From the least to the largest of some numbers above 0, and a margin to either side.
class log_axis {
public:
    void reach(double x) {
        low_ = std::min(low_, std::log10(x));
        high_ = std::max(high_, std::log10(x));
    }
    /// What all of a plot's points span.
    static std::pair<log_axis, log_axis> of(const log_plot& p) {
        std::pair<log_axis, log_axis> axes;
        const auto add = [&](const plot_point& at) {
            axes.first.reach(at.x);
            axes.second.reach(at.y);
        };
        for (const auto& line : p.lines)
            for (const auto& at : line.points) add(at);
        for (const auto& mark : p.marks) add(mark.at);
        axes.first.widen();
        axes.second.widen();
        return axes;
    }

    /// 0 at the low end, 1 at the high one.
    double place(double x) const { return (std::log10(x) - low_) / (high_ - low_); }
    double at(double place) const { return std::pow(10.0, low_ + place * (high_ - low_)); }
    /// The powers of ten on the axis, of which there are never more than 20.
    std::vector<double> decades() const {
        std::vector<double> list;
        const double step = std::max(1.0, std::ceil((high_ - low_) / 20));
        for (double power = std::ceil(low_); power <= high_; power += step)
            list.push_back(std::pow(10.0, power));
        return list;
    }

private:
    void widen() {
        if (low_ > high_) low_ = high_ = 0;
        const double margin = std::max(0.06 * (high_ - low_), 0.1);
        low_ -= margin;
        high_ += margin;
    }

    double low_ = std::numeric_limits<double>::infinity();
    double high_ = -std::numeric_limits<double>::infinity();
};

/// The height of a line at x, straight between its points on logarithmic axes; none outside.
inline std::optional<double> height_of(const plot_line& line, double x) {
    for (std::size_t i = 1; i < line.points.size(); ++i) {
        const auto &a = line.points[i - 1], &b = line.points[i];
        if (x < a.x || x > b.x || a.x == b.x) continue;
        const double share = std::log(x / a.x) / std::log(b.x / a.x);
        return a.y * std::pow(b.y / a.y, share);
    }
    return std::nullopt;
}

/// 1500000000 as 1.5G: three digits with the prefixes of SI.
inline std::string si_number(double x) {
    constexpr const char* prefixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    int step = 3;
    while (x >= 999.5 && step < 9) {
        x /= 1000;
        ++step;
    }
    while (x > 0 && x < 0.9995 && step > 0) {
        x *= 1000;
        --step;
    }
    return short_number(x) + prefixes[step];
}

/// The name of a mark in a plot: A, B, … Z, then a, b, …
inline char mark_name(std::size_t index) {
    index %= 52;
    return static_cast<char>(index < 26 ? 'A' + index : 'a' + (index - 26));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
