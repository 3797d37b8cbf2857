// The tensors of a model by name, and the cursor a model is built with.
//
// A `weight_store` holds what a file offers; `weight_scope` descends it as the model nests
// (`root / "h" / 3 / "attn"`) and hands out each tensor only with the shape it must have; `audit`
// says afterwards what was used, what was not there and what nobody asked for.
//
// Before: stored_tensor.hpp. Next: detail/safetensors.hpp, layers.hpp.
#pragma once

#include "core.hpp"
#include "dtype.hpp"
#include "error.hpp"
#include "stored_tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

class thread_pool;

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
            detail::fail(errc::unsupported, full, "a type of floats", gpt2::name(tensor->type()));
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
