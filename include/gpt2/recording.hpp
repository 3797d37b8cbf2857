// A forward pass as a value: an observer that keeps what it is shown.
//
//     gpt2::recording seen({.stages = {gpt2::stage::weights, gpt2::stage::block}});
//     model.forward(ids, state, logits, seen);
//     seen.head(gpt2::stage::weights, 2, 0);   // (T, S), layer 2, head 0
//
// A text may come in any number of passes: rows are put below those that are there, and maps of
// attention grow in both directions, so that a recording does not depend on how a text was cut.
//
// Before: trace.hpp. After: npz.hpp, which writes one to a file; edits.hpp, which puts its values
// into another pass.
#pragma once

#include "error.hpp"
#include "tensor.hpp"
#include "trace.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What is to be recorded.
struct recording_choice {
    std::vector<stage> stages = {};        ///< empty: all
    std::vector<std::size_t> layers = {};  ///< empty: all; stages of no layer are always meant

    bool has(const stage_place& at) const {
        const auto among = [](const auto& list, auto one) {
            return list.empty() || std::ranges::find(list, one) != list.end();
        };
        return among(stages, at.stage) && (!is_in_layer(at.stage) || among(layers, at.layer));
    }
};

/// Keeps the stages of one text; everything else than a pass over it leaves it as it is. One thread
/// at a time. Takes the memory of what is recorded: for scores and weights 4·H·T·S bytes a layer.
template <class Scalar>
class basic_recording {
public:
    explicit basic_recording(recording_choice what = {}) : what_(std::move(what)) {}

    void operator()(stage s, std::size_t layer, view<Scalar> values) {
        rows_.hear(s, values);
        if (s == stage::scores) heads_ = values.rows() / rows_.rows();
        if (!what_.has({s, layer})) return;
        auto& to = kept_[{s, layer}];
        if (is_map(s))
            to.add(values, heads_);
        else
            to.add(values, 1);
    }

    /// Whether a stage is shown once for each head, as scores and weights are.
    static constexpr bool is_map(stage s) { return s == stage::scores || s == stage::weights; }

    /// What was kept, in the order of stages.
    std::vector<stage_place> places() const {
        std::vector<stage_place> list;
        for (const auto& [place, values] : kept_) list.push_back(place);
        return list;
    }
    bool has(stage s, std::size_t layer = 0) const { return kept_.contains({s, layer}); }
    /// H; 0 before the first pass.
    std::size_t heads() const { return heads_; }

    /// A stage as trace.hpp says, T counting all positions so far: (T, C), (T, F), (R, V). Valid
    /// until the next pass. Raises not_found for what was not recorded, invalid_argument for scores
    /// and weights.
    cview<Scalar> at(stage s, std::size_t layer = 0) const {
        const auto& of = find(s, layer);
        if (is_map(s))
            detail::fail(errc::invalid_argument, name(stage_place{s, layer}), "a head", "none");
        return of.matrix(0);
    }

    /// One head's part of q, k, v or heads, (T, D), of scores or weights, (T, S); of maps that
    /// were seen from position 0 on, S = T. Valid until the next pass. Raises not_found,
    /// invalid_argument.
    cview<Scalar> head(stage s, std::size_t layer, std::size_t head) const {
        const auto& of = find(s, layer);
        const auto where = [&] { return name(stage_place{s, layer}); };
        if (head >= heads_)
            detail::fail(errc::invalid_argument, where(), {"a head below ", heads_}, head);
        if (is_map(s)) return of.matrix(head);
        if (s != stage::q && s != stage::k && s != stage::v && s != stage::heads)
            detail::fail(errc::invalid_argument, where(), "a stage that has heads", "another");
        const auto size = of.columns() / heads_;
        return of.matrix(0).column_block(head * size, size);
    }

private:
    /// Matrices (H, rows, columns) with room to grow.
    class growing {
    public:
        std::size_t columns() const { return columns_; }

        cview<Scalar> matrix(std::size_t head) const {
            return {values_.data() + head * room_rows_ * room_columns_, rows_, columns_,
                    room_columns_};
        }

        /// Puts rows (H·T, columns) below what is there.
        void add(view<Scalar> shown, std::size_t heads) {
            const auto t = shown.rows() / heads;
            make_room(heads, rows_ + t, shown.columns());
            for (std::size_t i = 0; i < shown.rows(); ++i)
                std::ranges::copy(shown.row(i), row(i / t, rows_ + i % t));
            rows_ += t;
            columns_ = shown.columns();
        }

    private:
        Scalar* row(std::size_t head, std::size_t i) {
            return values_.data() + (head * room_rows_ + i) * room_columns_;
        }

        /// At least twice the room where there is too little, so that growing row by row is linear.
        void make_room(std::size_t heads, std::size_t rows, std::size_t columns) {
            if (rows <= room_rows_ && columns <= room_columns_) return;
            growing wider;
            wider.room_rows_ = rows <= room_rows_ ? room_rows_ : std::max(rows, 2 * room_rows_);
            wider.room_columns_ =
                columns <= room_columns_ ? room_columns_ : std::max(columns, 2 * room_columns_);
            wider.values_.resize(heads * wider.room_rows_ * wider.room_columns_);
            for (std::size_t h = 0; rows_ > 0 && h < heads; ++h)
                for (std::size_t i = 0; i < rows_; ++i)
                    std::copy_n(row(h, i), columns_, wider.row(h, i));
            wider.rows_ = rows_;
            wider.columns_ = columns_;
            *this = std::move(wider);
        }

        std::vector<Scalar> values_;
        std::size_t rows_ = 0, columns_ = 0, room_rows_ = 0, room_columns_ = 0;
    };

    const growing& find(stage s, std::size_t layer) const {
        const auto found = kept_.find({s, layer});
        if (found == kept_.end())
            detail::fail(errc::not_found, "recording",
                         {"what was recorded; ", name(stage_place{s, layer}), " was not"});
        return found->second;
    }

    recording_choice what_;
    std::map<stage_place, growing> kept_;
    detail::row_counter rows_;
    std::size_t heads_ = 0;
};

using recording = basic_recording<float>;

/// A recording of the attention maps alone: weights of some layers, or of all.
inline recording attention_maps(std::vector<std::size_t> layers = {}) {
    return recording({.stages = {stage::weights}, .layers = std::move(layers)});
}

}  // namespace gpt2::inline GPT2_ABI
