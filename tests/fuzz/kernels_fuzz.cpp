// Every kernel of every instruction set of this machine against the portable one: equal bits over
// shapes that are multiples of nothing and numbers of every kind (a NaN equals any NaN), nothing
// written outside what was asked for. All memory has exactly the size that panel.hpp promises, so
// the address sanitizer sees a read beyond it.
//
// Input: what to run (u8: a product, a row, rounding, packing), which of these (u8), the shape,
// flags and seed of `input` in the order of its members, then floats that replace the first numbers
// of x, all in this machine's byte order.
#include <gpt2/detail/packing.hpp>
#include <gpt2/random.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace gpt2::detail::kernels;

/// The products, each with the panels it reads: a new one needs its line here, no more.
struct product_kind {
    void (*kernel_set::*run)(const product_job&);
    format weights;
};
constexpr product_kind product_kinds[] = {
    {&kernel_set::float_product, format::f32},    {&kernel_set::float_product, format::f16},
    {&kernel_set::float_product, format::bf16},   {&kernel_set::integer_product, format::int8},
    {&kernel_set::integer_product, format::int4}, {&kernel_set::float_product, format::q8_0},
    {&kernel_set::float_product, format::q4_0},   {&kernel_set::float_product, format::q4_k},
    {&kernel_set::float_product, format::q5_k},   {&kernel_set::float_product, format::q6_k},
};

template <class T>
T take(std::span<const std::uint8_t>& bytes) {
    T value{};
    const auto size = std::min(bytes.size(), sizeof value);
    if (size > 0) std::memcpy(&value, bytes.data(), size);
    bytes = bytes.subspan(size);
    return value;
}

/// What the bytes ask for.
struct input {
    enum flag : unsigned { accumulate = 1, bias = 2, not_finite = 4, in_place = 8, packed = 16 };

    std::uint8_t action, kind;
    std::size_t depth, outputs, rows, x_gap, y_gap, first_panel, last_panel;
    std::uint8_t flags, specials;  // specials: how many of 256 numbers are unusual
    std::int8_t exponent;          // of the usual ones
    gpt2::philox random;
    std::vector<float> raw;

    explicit input(std::span<const std::uint8_t> bytes)
        : action(take<std::uint8_t>(bytes)),
          kind(take<std::uint8_t>(bytes)),
          depth(1 + take<std::uint16_t>(bytes) % 400),
          outputs(1 + take<std::uint16_t>(bytes) % 272),  // 17 panels: more than run at once
          rows(1 + take<std::uint8_t>(bytes) % 20),
          x_gap(take<std::uint8_t>(bytes) % 8),
          y_gap(take<std::uint8_t>(bytes) % 8),
          first_panel(take<std::uint8_t>(bytes)),
          last_panel(take<std::uint8_t>(bytes)),
          flags(take<std::uint8_t>(bytes)),
          specials(take<std::uint8_t>(bytes)),
          exponent(take<std::int8_t>(bytes)),
          random{take<std::uint64_t>(bytes), 0} {
        while (bytes.size() >= sizeof(float)) raw.push_back(take<float>(bytes));
        first_panel %= panels();
        last_panel = first_panel + 1 + last_panel % (panels() - first_panel);
    }

    bool has(flag f) const { return (flags & f) != 0; }
    std::size_t panels() const { return (outputs + panel_width - 1) / panel_width; }

    std::uint64_t bits() { return random.bits(step_++); }

    /// A number, usual or not, finite unless the input allows others.
    float number() {
        constexpr float huge = std::numeric_limits<float>::max();
        constexpr std::array unusual{0.0f,  -0.0f,    0x1p-149f, -0x1.8p-130f, 0x1p-126f, huge,
                                     -huge, 0x1p-64f, 0x1p64f,   -1.0f,        88.8f,     -104.0f};
        constexpr float infinity = std::numeric_limits<float>::infinity();
        constexpr std::array others{infinity, -infinity, std::numeric_limits<float>::quiet_NaN()};
        const std::uint64_t dice = bits();
        if ((dice & 255) < specials) {
            const bool finite = !has(not_finite) || (dice >> 8 & 7) != 0;
            const auto at = dice >> 11 & 0xFFFF;
            return finite ? unusual[at % unusual.size()] : others[at % others.size()];
        }
        const auto fraction = static_cast<float>(static_cast<std::int32_t>(dice >> 32)) * 0x1p-31f;
        return std::ldexp(fraction, exponent / 2 - static_cast<int>(dice >> 8 & 7));
    }

    std::vector<float> numbers(std::size_t size) {
        std::vector<float> values(size);
        for (float& value : values) value = number();
        return values;
    }

    /// Numbers that begin with those the input spells out.
    std::vector<float> x(std::size_t size) {
        auto values = numbers(size);
        std::copy_n(raw.begin(), std::min(raw.size(), size), values.begin());
        for (float& value : values)
            if (!has(not_finite) && !std::isfinite(value)) value = 1;
        return values;
    }

private:
    std::uint64_t step_ = 0;
};

void require(bool good, const kernel_set& set, const std::string& what) {
    if (!good) throw std::logic_error(std::string(set.name) + ": " + what);
}

bool same(float a, float b) {
    return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}
template <class T>
bool same(T a, T b) {
    return a == b;
}

/// Runs `action`, which returns vectors of results, with every set and compares.
template <class Action>
void compare(const std::string& what, Action action) {
    const auto expected = action(available().back());
    for (const kernel_set& set : available()) {
        const auto found = action(set);
        for (std::size_t i = 0; i < expected.size(); ++i)
            require(same(found[i], expected[i]), set, what + " differs at " + std::to_string(i));
    }
}

/// Room for rows of x in fewer bits, filled with 99 before.
struct rounding {
    rounding(format f, std::size_t rows, std::size_t depth)
        : values(rows * (is_quantised(f) ? block_count(f, depth) * block_depth(f)
                                         : 2 * ((depth + 15) / 16 * 16)),
                 99),
          scales(rows * block_count(f, depth), 99),
          offsets(rows * block_count(f, depth) * (block_depth(f) / group_depth(f)), 99) {
        view = {values.data(),  values.size() / rows,  scales.data(),
                offsets.data(), block_count(f, depth), offsets.size() / rows};
    }
    std::vector<std::int8_t> values;
    std::vector<float> scales;
    std::vector<std::int32_t> offsets;
    rounded_rows view;
};

/// A half that is not rare.
gpt2::detail::packed_half half(input& in) {
    float d = in.number();
    if (!in.has(input::not_finite) && !(std::abs(d) <= 65504)) d = 65504;
    const auto bits = gpt2::detail::narrow_half(d);
    return {static_cast<std::uint8_t>(bits & 255), static_cast<std::uint8_t>(bits >> 8)};
}

/// A panel of blocks of any bytes but d and dmin.
template <class Block>
void fill_blocks(input& in, format f, std::span<std::uint8_t> panel) {
    const block_layout layout = layout_of(f);
    for (std::size_t at = 0; at < panel.size(); at += layout.bytes())
        for (std::size_t lane = 0; lane < panel_width; ++lane) {
            std::array<std::uint8_t, sizeof(Block)> bytes;
            for (std::size_t i = 0; i < bytes.size(); i += 8) {
                const std::uint64_t random = in.bits();
                std::memcpy(&bytes[i], &random, std::min<std::size_t>(8, bytes.size() - i));
            }
            auto block = std::bit_cast<Block>(bytes);
            block.d = half(in);
            if constexpr (requires { block.dmin; }) block.dmin = half(in);
            gpt2::detail::pack_block(block, layout, lane, &panel[at]);
        }
}

/// The same weights as floats.
std::vector<std::uint8_t> floats_of(const product_job& job) {
    const auto size = panel_bytes(format::f32, job.depth);
    std::vector<std::uint8_t> bytes(job.last_panel * size);
    for (std::size_t p = 0; p < job.last_panel; ++p)
        for (std::size_t i = 0; i < job.depth * panel_width; ++i) {
            const float w = gpt2::detail::packed_value(job.panel(p), job.weights, i / panel_width,
                                                       i % panel_width);
            std::memcpy(&bytes[p * size + i * sizeof w], &w, sizeof w);
        }
    return bytes;
}

/// A panel of any bytes, or of bytes that are numbers packed.
void fill_panel(input& in, format f, std::span<std::uint8_t> panel) {
    if (f == format::q8_0) return fill_blocks<gpt2::detail::q8_0_block>(in, f, panel);
    if (f == format::q4_0) return fill_blocks<gpt2::detail::q4_0_block>(in, f, panel);
    if (f == format::q4_k) return fill_blocks<gpt2::detail::q4_k_block>(in, f, panel);
    if (f == format::q5_k) return fill_blocks<gpt2::detail::q5_k_block>(in, f, panel);
    if (f == format::q6_k) return fill_blocks<gpt2::detail::q6_k_block>(in, f, panel);
    if (in.has(input::packed) || f == format::f32) {
        std::vector<float> tile(whole_blocks(in.depth) * panel_width);
        for (float& w : std::span(tile).first(in.depth * panel_width)) {
            w = in.number();
            if (is_quantised(f) && !std::isfinite(w)) w = 1;
            if (f == format::f16 && std::abs(w) > 65504) w = 65504;
        }
        gpt2::detail::pack_rows(tile.data(), f, 0, in.depth, panel.data());
        return;
    }
    for (std::uint8_t& byte : panel) byte = static_cast<std::uint8_t>(in.bits());
    const std::size_t step = block_bytes(f);
    if (f == format::int8)
        for (std::size_t at = 0; at < panel.size(); at += step) {
            const auto scales = in.numbers(panel_width);
            std::memcpy(&panel[at], scales.data(), scale_bytes);
        }
    if (f == format::bf16 && in.depth % 2 != 0)  // the number beside the last is 0
        for (std::size_t i = 0; i < panel_width; ++i)
            std::memset(&panel[panel.size() - 4 * i - 2], 0, 2);
}

/// What a product makes of y, nothing but the columns it was asked for.
template <class Run>
std::vector<float> outputs_of(const kernel_set& set, product_job job, std::vector<float> y,
                              Run run) {
    const auto before = y;
    job.y = y.data();
    run(job);
    for (std::size_t i = 0; i < y.size(); ++i) {
        const auto column = i % job.y_stride;
        const bool asked = column < job.outputs && column / panel_width >= job.first_panel &&
                           column / panel_width < job.last_panel;
        require(asked || std::memcmp(&y[i], &before[i], sizeof(float)) == 0, set,
                "product writes outside");
    }
    return y;
}

/// Products of bfloats have the bits of their set alone: each row those that it has by itself.
void run_bfloats(product_job job, const std::vector<float>& before) {
    rounding rounded(format::bf16, job.rows, job.depth);
    job.rounded = rounded.view;
    for (const kernel_set& set : available())
        for (const auto run : {set.bfloat_product, set.bfloat_linear}) {
            job.linear = run == set.bfloat_linear;
            if (!run || (job.linear && job.accumulate)) continue;
            for (std::size_t r = 0; r < job.rows; ++r)
                set.round(job.x + r * job.x_stride, job.depth, rounded.view.bfloats(r));
            const auto together = outputs_of(set, job, before, run);
            const auto alone = outputs_of(set, job, before, [&](product_job own) {
                own.rows = 1;
                for (std::size_t r = 0; r < job.rows; ++r, own.y += own.y_stride) {
                    own.rounded.values = rounded.view.bytes(r);
                    run(own);
                }
            });
            for (std::size_t i = 0; i < alone.size(); ++i)
                require(same(together[i], alone[i]), set, "a row alone differs");
        }
}

void run_product(input& in) {
    const product_kind& kind = product_kinds[in.kind % std::size(product_kinds)];
    const format f = kind.weights;
    if (in_blocks(f)) in.depth = block_count(f, in.depth) * block_depth(f);
    product_job job;
    job.rows = in.rows, job.depth = in.depth, job.outputs = in.outputs;
    job.x_stride = in.depth + in.x_gap, job.y_stride = in.outputs + in.y_gap;
    job.first_panel = in.first_panel, job.last_panel = in.last_panel;
    job.weights = f, job.panel_stride = panel_bytes(f, in.depth);
    job.accumulate = in.has(input::accumulate);

    const auto x = in.x((in.rows - 1) * job.x_stride + in.depth);
    rounding rounded(f, in.rows, in.depth);
    job.x = x.data();
    if (is_quantised(f)) {
        job.rounded = rounded.view;
        for (std::size_t r = 0; r < in.rows; ++r)
            available().back().quantise(x.data() + r * job.x_stride, in.depth, f, r, rounded.view);
    }
    std::vector<std::uint8_t> w(in.panels() * job.panel_stride);
    for (std::size_t p = 0; p < in.panels(); ++p)
        fill_panel(in, f, std::span(w).subspan(p * job.panel_stride, job.panel_stride));
    job.w = w.data();
    const auto bias = in.numbers(in.panels() * panel_width);
    if (in.has(input::bias)) job.bias = bias.data();
    const auto before = in.numbers((in.rows - 1) * job.y_stride + in.outputs);

    compare("product",
            [&](const kernel_set& set) { return outputs_of(set, job, before, set.*kind.run); });
    if (f == format::bf16) run_bfloats(job, before);
    if (!in_blocks(f)) return;
    const auto floats = floats_of(job);
    const kernel_set& set = available().front();
    const auto found = outputs_of(set, job, before, set.float_product);
    job.w = floats.data(), job.weights = format::f32;
    job.panel_stride = panel_bytes(format::f32, in.depth);
    const auto expected = outputs_of(set, job, before, set.float_product);
    for (std::size_t i = 0; i < found.size(); ++i)
        require(same(found[i], expected[i]), set, "blocks differ from floats");
}

void run_row(input& in) {
    const auto x = in.x(in.depth), gain = in.numbers(in.depth), bias = in.numbers(in.depth);
    const float scale = in.number(), a = in.number(), b = in.number();
    constexpr std::array epsilons{1e-5, 1e-12, 0.0, 0.1};
    const double epsilon = epsilons[in.rows % epsilons.size()];
    const auto in_place = [&x](auto action) {
        return [&x, action](const kernel_set& set) {
            auto y = x;
            action(set, y);
            return y;
        };
    };
    switch (in.kind % 4) {
        case 0:
            return compare("softmax", in_place([&](const kernel_set& set, auto& y) {
                               set.softmax(y.data(), y.size(), scale);
                           }));
        case 1:
            return compare("layer_norm", in_place([&](const kernel_set& set, auto& y) {
                               const auto copy = y;
                               const auto* from = in.has(input::in_place) ? y.data() : copy.data();
                               set.layer_norm(from, y.size(), gain.data(), bias.data(), epsilon,
                                              y.data());
                           }));
        case 2:
            return compare("gated", in_place([&](const kernel_set& set, auto& y) {
                               set.gated(y.data(), y.size(), a, b);
                           }));
        default:
            return compare("gelu", in_place([](const kernel_set& set, auto& y) {
                               set.gelu(y.data(), y.size());
                           }));
    }
}

/// One row among others, which stay as they are.
void run_quantise(input& in) {
    const format f = in.kind % 2 == 0 ? format::int8 : format::int4;
    const auto x = in.x(in.depth);
    const std::size_t row = in.first_panel % in.rows;
    const auto rounded = [&](const kernel_set& set) {
        rounding result(f, in.rows, in.depth);
        set.quantise(x.data(), in.depth, f, row, result.view);
        return result;
    };
    compare("rounded values", [&](const kernel_set& set) { return rounded(set).values; });
    compare("rounded scales", [&](const kernel_set& set) { return rounded(set).scales; });
    compare("rounded offsets", [&](const kernel_set& set) {
        const auto all = rounded(set);
        const auto each = all.view.groups;
        for (std::size_t i = 0; i < all.offsets.size(); ++i)
            require(i / each == row || all.offsets[i] == 99, set, "rounding writes outside");
        return all.offsets;
    });
}

/// Packing meets finite numbers only: reading a file refuses others.
void run_packing(input& in) {
    const format f = in.kind % 2 == 0 ? format::int8 : format::int4;
    in.flags &= static_cast<std::uint8_t>(~input::not_finite);
    const auto block = in.x(block_depth(f) * panel_width);
    compare("packing", [&](const kernel_set& set) {
        std::vector<std::uint8_t> out(block_bytes(f));
        (f == format::int8 ? set.pack_int8 : set.pack_int4)(block.data(), out.data());
        return out;
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in({data, size});
    constexpr std::array actions{run_product, run_row, run_quantise, run_packing};
    actions[in.action % actions.size()](in);
    return 0;
}
