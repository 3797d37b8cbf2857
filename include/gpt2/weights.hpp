// Named, shaped, read-only tensors that still lie in their file, and the cursor a model is built
// with.
//
// A `weight_store` holds what a file offers; `weight_scope` descends it as the model nests
// (`root / "h" / 3 / "attn"`) and hands out each tensor only with the shape it must have; `audit`
// says afterwards what was used, what was not there and what nobody asked for. Values are read
// once, row by row, widened to the scalar of the model and checked to be finite.
//
// Before: error.hpp, detail/byte_source.hpp. Next: detail/safetensors.hpp, layers.hpp.
#pragma once

#include "core.hpp"
#include "error.hpp"
#include "detail/byte_source.hpp"
#include "detail/checked.hpp"
#include "detail/widen.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

class thread_pool;

/// How one value is stored. Only the first four can be read as weights; the others are recognised
/// so that a file that holds them (mask buffers, for one) can be described and walked.
enum class dtype {
    f64,
    f32,
    f16,
    bf16,
    i64,
    i32,
    i16,
    i8,
    u64,
    u32,
    u16,
    u8,
    boolean,
    c64,
    f8_e5m2,
    f8_e4m3,
    f8_e8m0,
    f8_e4m3fnuz,
    f8_e5m2fnuz,
    f6_e2m3,
    f6_e3m2,
    f4,
};

namespace detail {

struct dtype_facts {
    dtype type;
    std::string_view name;  // as safetensors writes it
    unsigned bits;
};

inline constexpr std::array<dtype_facts, 22> dtype_table{{
    {dtype::f64, "F64", 64},
    {dtype::f32, "F32", 32},
    {dtype::f16, "F16", 16},
    {dtype::bf16, "BF16", 16},
    {dtype::i64, "I64", 64},
    {dtype::i32, "I32", 32},
    {dtype::i16, "I16", 16},
    {dtype::i8, "I8", 8},
    {dtype::u64, "U64", 64},
    {dtype::u32, "U32", 32},
    {dtype::u16, "U16", 16},
    {dtype::u8, "U8", 8},
    {dtype::boolean, "BOOL", 8},
    {dtype::c64, "C64", 64},
    {dtype::f8_e5m2, "F8_E5M2", 8},
    {dtype::f8_e4m3, "F8_E4M3", 8},
    {dtype::f8_e8m0, "F8_E8M0", 8},
    {dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
    {dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
    {dtype::f6_e2m3, "F6_E2M3", 6},
    {dtype::f6_e3m2, "F6_E3M2", 6},
    {dtype::f4, "F4", 4},
}};

static_assert([] {
    for (std::size_t i = 0; i < dtype_table.size(); ++i)
        if (static_cast<std::size_t>(dtype_table[i].type) != i) return false;
    return true;
}());

/// `(768, 2304)`; `()` for a scalar.
[[gnu::cold]] inline std::string shown_shape(std::span<const std::size_t> shape) {
    std::string out = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i != 0) out += ", ";
        phrase(shape[i]).append_to(out);
    }
    return out + ")";
}

/// A tensor's name for messages: as it is when it is plain, escaped and cut otherwise.
[[gnu::cold]] inline std::string shown_name(std::string_view name) {
    const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; };
    if (!name.empty() && name.size() <= 80 && all_bytes(name, plain)) return std::string(name);
    return detail::printable(name);
}

}  // namespace detail

/// "F32", "BF16", …: the name safetensors gives it.
constexpr std::string_view name(dtype type) noexcept {
    return detail::dtype_table[static_cast<std::size_t>(type)].name;
}
/// Bits of one value.
constexpr unsigned bits(dtype type) noexcept {
    return detail::dtype_table[static_cast<std::size_t>(type)].bits;
}
/// Whether weights can be read from it.
constexpr bool is_float(dtype type) noexcept {
    return type == dtype::f64 || type == dtype::f32 || type == dtype::f16 || type == dtype::bf16;
}

/// One tensor, row-major, still in its file. Cheap to copy; threads may share it.
class stored_tensor {
public:
    /// Throws errc::bad_weights when the shape's product does not fit or its bits are no whole
    /// bytes, errc::truncated when the values at `offset` reach beyond the end of `source`.
    stored_tensor(std::string name, dtype type, std::vector<std::size_t> shape,
                  std::shared_ptr<const detail::byte_source> source, std::uint64_t offset);

    const std::string& name() const noexcept { return name_; }
    dtype type() const noexcept { return type_; }
    std::span<const std::size_t> shape() const noexcept { return shape_; }
    std::size_t size() const noexcept { return size_; }                   ///< values
    std::uint64_t bytes() const noexcept { return bytes_; }               ///< as stored
    const std::string& file() const noexcept { return source_->name(); }  ///< for messages

    /// As a matrix: (n) is one row of n, (r, c, …) is r rows of c · …, a scalar is 1 × 1.
    std::size_t rows() const noexcept { return shape_.size() < 2 ? 1 : shape_.front(); }
    std::size_t columns() const noexcept { return rows() == 0 ? 0 : size_ / rows(); }

    /// Rows [first, first + count) into `out`, row-major, count · columns() values; f16, bf16 and
    /// f32 widen exactly, f64 is rounded to Scalar. Memory beyond `out` is bounded (64 KiB).
    /// Throws errc::invalid_argument (rows or size of `out`), errc::unsupported (not a float type),
    /// errc::not_finite naming the first NaN or infinity (an f64 beyond float too),
    /// errc::truncated, errc::read_failed.
    template <class Scalar>
    void read_rows(std::size_t first, std::size_t count, std::span<Scalar> out) const;

    /// The same tensor under another name.
    stored_tensor renamed(std::string name) && {
        name_ = std::move(name);
        return std::move(*this);
    }

private:
    template <class Stored, class Scalar>
    void widen(std::uint64_t offset, std::span<Scalar> out) const;

    template <class Scalar>
    [[noreturn, gnu::noinline, gnu::cold]] void fail_not_finite(
        std::size_t begin, std::span<const Scalar> values) const;

    std::string name_;
    std::vector<std::size_t> shape_;
    std::shared_ptr<const detail::byte_source> source_;
    std::uint64_t offset_ = 0;
    std::uint64_t bytes_ = 0;
    std::size_t size_ = 0;
    dtype type_ = dtype::f32;
};

[[gnu::cold]] inline stored_tensor::stored_tensor(std::string name, dtype type,
                                                  std::vector<std::size_t> shape,
                                                  std::shared_ptr<const detail::byte_source> source,
                                                  std::uint64_t offset)
    : name_(std::move(name)),
      shape_(std::move(shape)),
      source_(std::move(source)),
      offset_(offset),
      type_(type) {
    const auto size = detail::checked_product<std::size_t>(shape_);
    const auto stored_bits =
        size ? detail::checked_multiply<std::uint64_t>(*size, bits(type_)) : std::nullopt;
    if (!stored_bits)
        detail::fail(errc::bad_weights, detail::shown_name(name_), "a size that fits 64 bits",
                     detail::shown_shape(shape_));
    if (*stored_bits % 8 != 0)
        detail::fail(errc::bad_weights, detail::shown_name(name_), "whole bytes",
                     {*stored_bits, " bits"});
    size_ = *size;
    bytes_ = *stored_bits / 8;
    const auto end = detail::checked_add(offset_, bytes_);
    if (!end || *end > source_->size())
        detail::fail(errc::truncated, {source_->name(), ": ", detail::shown_name(name_)},
                     {bytes_, " bytes at offset ", offset_},
                     {"an end after ", source_->size(), " bytes"});
}

template <class Scalar>
void stored_tensor::read_rows(std::size_t first, std::size_t count, std::span<Scalar> out) const {
    static_assert(std::is_floating_point_v<Scalar>, "weights are read as float or double");
    if (first > rows() || count > rows() - first || out.size() != count * columns())
        detail::fail(errc::invalid_argument, detail::shown_name(name_),
                     {"rows within ", rows(), " and room for them"},
                     {count, " from row ", first, " on and room for ", out.size(), " values"});
    const std::uint64_t begin = offset_ + std::uint64_t{first} * columns() * (bits(type_) / 8);
    switch (type_) {
        case dtype::f64:
            widen<double>(begin, out);
            break;
        case dtype::f32:
            widen<float>(begin, out);
            break;
        case dtype::f16:
            widen<detail::half_bits>(begin, out);
            break;
        case dtype::bf16:
            widen<detail::bfloat_bits>(begin, out);
            break;
        default:
            detail::fail(errc::unsupported, detail::shown_name(name_), "F64, F32, F16 or BF16",
                         gpt2::name(type_));
    }
}

/// Through a small staging buffer, or straight into `out` when stored and wanted types agree.
template <class Stored, class Scalar>
void stored_tensor::widen(std::uint64_t offset, std::span<Scalar> out) const {
    constexpr std::size_t block = (std::size_t{64} << 10) / sizeof(Stored);
    std::vector<Stored> staging(std::is_same_v<Stored, Scalar> ? 0 : std::min(block, out.size()));
    const std::size_t start = static_cast<std::size_t>((offset - offset_) / sizeof(Stored));
    for (std::size_t done = 0; done < out.size(); done += block) {
        const auto part = out.subspan(done, std::min(block, out.size() - done));
        const std::uint64_t from = offset + std::uint64_t{done} * sizeof(Stored);
        if constexpr (std::is_same_v<Stored, Scalar>) {
            source_->read(from, std::as_writable_bytes(part));
        } else {
            const auto raw = std::span(staging).first(part.size());
            source_->read(from, std::as_writable_bytes(raw));
            detail::widen(std::span<const Stored>(raw), part);
        }
        if (!detail::all_finite(std::span<const Scalar>(part)))
            fail_not_finite(start + done, std::span<const Scalar>(part));
    }
}

template <class Scalar>
void stored_tensor::fail_not_finite(std::size_t begin, std::span<const Scalar> values) const {
    std::size_t i = 0;
    while (detail::all_finite(values.subspan(i, 1))) ++i;
    const std::size_t at = begin + i;
    detail::fail(errc::not_finite, detail::shown_name(name_), "finite numbers",
                 {values[i] != values[i] ? "NaN" : "infinity", " at row ", at / columns(),
                  ", column ", at % columns()});
}

/// The tensors of one model, by name. Filled once, then const: threads may share it.
class weight_store {
public:
    /// Throws errc::duplicate_tensor when the name is taken. O(log n).
    void add(stored_tensor tensor) {
        const auto [entry, fresh] = index_.try_emplace(tensor.name(), tensors_.size());
        if (!fresh)
            detail::fail(errc::duplicate_tensor, tensor.file(),
                         {detail::shown_name(tensor.name()), " is there twice"});
        tensors_.push_back(std::move(tensor));
    }

    /// The tensor, or nullptr; the pointer lives until the next `add`. O(log n).
    const stored_tensor* find(std::string_view name) const {
        const auto entry = index_.find(name);
        return entry == index_.end() ? nullptr : &tensors_[entry->second];
    }

    /// In the order they were added.
    std::span<const stored_tensor> tensors() const noexcept { return tensors_; }
    std::size_t size() const noexcept { return tensors_.size(); }

private:
    std::vector<stored_tensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
};

/// What building a model took from a store. Each list holds a name once.
struct audit {
    std::vector<std::string> used;     ///< fetched, in that order
    std::vector<std::string> missing;  ///< optional tensors that were asked for and are not there
    std::vector<std::string> buffers;  ///< causal masks and the like: in the file, without effect
    std::vector<std::string> ignored;  ///< everything else that nobody asked for

    /// Fills `buffers` and `ignored`, and removes repetitions from the other two.
    void finish(const weight_store& store);
};

namespace detail {

/// Whether a tensor is a constant that older exports save along with the weights: `attn.bias` (the
/// causal mask) and `attn.masked_bias` of every layer, rotary tables, position ids.
inline bool is_buffer(std::string_view name) {
    return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
           name.ends_with(".rotary_emb.inv_freq") || name.ends_with("position_ids");
}

[[gnu::cold]] inline void remove_repetitions(std::vector<std::string>& names) {
    std::set<std::string_view> seen;
    std::vector<std::string> once;
    for (const std::string& name : names)
        if (seen.insert(name).second) once.push_back(name);
    names = std::move(once);
}

}  // namespace detail

[[gnu::cold]] inline void audit::finish(const weight_store& store) {
    detail::remove_repetitions(used);
    detail::remove_repetitions(missing);
    const std::set<std::string_view> known(used.begin(), used.end());
    buffers.clear();
    ignored.clear();
    for (const stored_tensor& tensor : store.tensors())
        if (!known.contains(tensor.name()))
            (detail::is_buffer(tensor.name()) ? buffers : ignored).push_back(tensor.name());
}

/// A place in the tree of names: `root / "h" / 3 / "attn"` is the scope `h.3.attn`. Store and audit
/// must outlive it. One thread at a time per audit.
class weight_scope {
public:
    /// `wanted` and `pool`: how matrices are to be kept, and who packs them (null: the caller).
    weight_scope(const weight_store& store, audit& record, storage wanted = storage::as_stored,
                 thread_pool* pool = nullptr)
        : store_(&store), audit_(&record), wanted_(wanted), pool_(pool) {}

    storage wanted() const { return wanted_; }
    thread_pool* pool() const { return pool_; }

    weight_scope operator/(std::string_view name) const {
        weight_scope inner = *this;
        inner.prefix_ = detail::text_of({prefix_, name, "."});
        return inner;
    }
    weight_scope operator/(std::size_t index) const { return *this / detail::text_of(index); }

    /// The full name of `name` here.
    std::string path(std::string_view name) const { return detail::text_of({prefix_, name}); }
    /// Whether it is there; leaves no trace in the audit.
    bool has(std::string_view name) const { return store_->find(path(name)) != nullptr; }

    /// The tensor of that shape. Throws errc::missing_tensor, errc::wrong_shape with both shapes,
    /// errc::unsupported when its type is not a float type.
    const stored_tensor& fetch(std::string_view name,
                               std::initializer_list<std::size_t> shape) const {
        return checked(fetch(name), shape);
    }
    /// The same for a tensor whose shape the caller checks.
    const stored_tensor& fetch(std::string_view name) const {
        if (const stored_tensor* tensor = find(name)) return *tensor;
        detail::fail(errc::missing_tensor, path(name), "the model needs it, the file has none");
    }

    /// As fetch, but nullptr when it is not there.
    const stored_tensor* find(std::string_view name,
                              std::initializer_list<std::size_t> shape) const {
        const stored_tensor* tensor = find(name);
        return tensor == nullptr ? nullptr : &checked(*tensor, shape);
    }
    const stored_tensor* find(std::string_view name) const {
        std::string full = path(name);
        const stored_tensor* tensor = store_->find(full);
        if (tensor != nullptr && !is_float(tensor->type()))
            detail::fail(errc::unsupported, full, "F64, F32, F16 or BF16",
                         gpt2::name(tensor->type()));
        (tensor == nullptr ? audit_->missing : audit_->used).push_back(std::move(full));
        return tensor;
    }

private:
    static const stored_tensor& checked(const stored_tensor& tensor,
                                        std::initializer_list<std::size_t> shape) {
        if (std::equal(shape.begin(), shape.end(), tensor.shape().begin(), tensor.shape().end()))
            return tensor;
        detail::fail(errc::wrong_shape, detail::shown_name(tensor.name()),
                     {"expected ", detail::shown_shape({shape.begin(), shape.size()}),
                      ", file has ", detail::shown_shape(tensor.shape())});
    }

    const weight_store* store_;
    audit* audit_;
    storage wanted_;
    thread_pool* pool_;
    std::string prefix_;
};

}  // namespace gpt2::inline GPT2_ABI
