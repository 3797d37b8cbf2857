// Files of torch.save: a pickle that says which tensors there are, and their values.
//
// Two containers: a zip archive (`data.pkl`, and each storage as an entry of its own), and before
// PyTorch 1.6 pickles and storages one after the other. A tensor is a view of a storage with an
// offset and strides, and several may share one. Nothing of the pickle is run (detail/pickle.hpp);
// every view is checked against its storage, every storage against the file, before a tensor is
// handed out.
//
// Before: weights.hpp, detail/zip.hpp, detail/pickle.hpp. Next: detail/nanogpt.hpp, hf_folder.hpp.
#pragma once

#include "../weights.hpp"
#include "pickle.hpp"
#include "zip.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

struct pytorch_limits {
    static constexpr std::size_t tensors = 65536;
    static constexpr std::size_t rank = 8;
    static constexpr std::size_t name_bytes = 1024;
    static constexpr std::uint64_t sharing = 4;  ///< bytes of all tensors : bytes of the file
};

/// The callables a state dict mentions. Storages come first, in the order of `storage_types`.
inline constexpr std::array<std::string_view, 27> torch_names{
    "torch.DoubleStorage",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.LongStorage",
    "torch.IntStorage",
    "torch.ShortStorage",
    "torch.CharStorage",
    "torch.ByteStorage",
    "torch.BoolStorage",
    "torch.ComplexFloatStorage",
    "torch.storage.UntypedStorage",
    "torch.cuda.DoubleStorage",
    "torch.cuda.FloatStorage",
    "torch.cuda.HalfStorage",
    "torch.cuda.BFloat16Storage",
    "torch.cuda.LongStorage",
    "torch.cuda.IntStorage",
    "torch.cuda.ShortStorage",
    "torch.cuda.CharStorage",
    "torch.cuda.ByteStorage",
    "torch.cuda.BoolStorage",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
};
inline constexpr std::array<dtype, 22> storage_types{
    dtype::f64, dtype::f32, dtype::f16, dtype::bf16,    dtype::i64, dtype::i32,
    dtype::i16, dtype::i8,  dtype::u8,  dtype::boolean, dtype::c64, dtype::u8,
    dtype::f64, dtype::f32, dtype::f16, dtype::bf16,    dtype::i64, dtype::i32,
    dtype::i16, dtype::i8,  dtype::u8,  dtype::boolean};

/// A storage as the pickle states it, and where the container has it.
struct torch_storage {
    dtype type = dtype::f32;
    std::uint64_t values = 0;
    std::uint64_t offset = 0;
    bool found = false;

    /// Nothing when that does not fit 64 bits.
    std::optional<std::uint64_t> bytes() const {
        return checked_multiply<std::uint64_t>(values, bits(type) / 8);
    }
};
using torch_storages = std::map<std::string_view, torch_storage>;

/// What stands for a storage: ("storage", class, key, device, values), in old files with a view of
/// another storage behind it, which is None today.
struct storage_reference {
    std::string_view key;
    torch_storage storage;
};
[[noreturn, gnu::cold]] inline void fail_no_storage(const std::string& where) {
    fail(errc::bad_weights, where, R"(a reference ("storage", class, key, device, values))",
         "something else");
}
[[gnu::cold]] inline storage_reference read_storage_reference(const pickle_value& value,
                                                              const std::string& where) {
    if (!value.is(pickle_kind::persistent) || !value[0].is(pickle_kind::tuple))
        fail_no_storage(where);
    const pickle_value parts = value[0];
    if (parts.size() < 5 || parts.size() > 6 || parts[0].text() != "storage")
        fail_no_storage(where);
    const auto kind = parts[1].name();
    const auto key = parts[2].text();
    const auto values = parts[4].integer();
    if (!kind || *kind >= storage_types.size() || !key || key->size() > 64 || !values ||
        *values < 0)
        fail_no_storage(where);
    if (parts.size() == 6 && !parts[5].is(pickle_kind::none))
        fail(errc::unsupported, where, "whole storages", "a view of a storage (a very old file)");
    torch_storage storage;
    storage.type = storage_types[*kind];
    storage.values = static_cast<std::uint64_t>(*values);
    return {*key, storage};
}

/// Every storage that the pickle mentions; two mentions of one key must agree.
[[gnu::cold]] inline torch_storages stated_storages(const pickle_document& document,
                                                    const std::string& where) {
    torch_storages storages;
    for (std::uint32_t i = 0; i < document.nodes.size(); ++i) {
        if (document.nodes[i].what != pickle_kind::persistent) continue;
        const auto [key, storage] =
            read_storage_reference({document.nodes, *document.bytes, i}, where);
        const auto [entry, fresh] = storages.try_emplace(key, storage);
        if (!fresh &&
            (entry->second.type != storage.type || entry->second.values != storage.values))
            fail(errc::bad_weights, where, {"one description of storage ", printable(key)}, "two");
        if (!storage.bytes())
            fail(errc::bad_weights, where, "a storage that fits 64 bits", storage.values);
    }
    return storages;
}

/// Turns the pickle's tensors into stored ones.
class torch_tensors {
public:
    torch_tensors(std::shared_ptr<const byte_source> file, torch_storages storages)
        : file_(std::move(file)), storages_(std::move(storages)) {}

    /// Whether a value is a tensor or a parameter.
    static bool is_tensor(const pickle_value& value) {
        const auto name = callee(value);
        return name == "torch._utils._rebuild_tensor_v2" ||
               name == "torch._utils._rebuild_tensor" || name == "torch._utils._rebuild_parameter";
    }

    stored_tensor read(std::string_view name, pickle_value value) {
        const std::string where = text_of({file_->name(), ": ", shown_name(name)});
        if (callee(value) == "torch._utils._rebuild_parameter") {
            if (value[1].size() == 0) refuse(where);
            value = value[1][0];
        }
        if (!is_tensor(value) || callee(value) == "torch._utils._rebuild_parameter" ||
            value[1].size() < 4)
            refuse(where);
        const pickle_value arguments = value[1];
        const auto key = read_storage_reference(arguments[0], where).key;
        const torch_storage& storage = storages_.at(key);
        const auto first = arguments[1].integer();
        if (!first || *first < 0) refuse(where);
        auto shape = sizes(arguments[2], where), strides = sizes(arguments[3], where);
        check_view({shape, strides}, static_cast<std::uint64_t>(*first), storage, where);
        const std::uint64_t begin =
            storage.offset + static_cast<std::uint64_t>(*first) * (bits(storage.type) / 8);
        stored_tensor tensor(std::string(name), storage.type, std::move(shape), file_, begin);
        count(tensor.bytes());
        return std::move(tensor).strided(std::move(strides));
    }

private:
    [[noreturn, gnu::noinline, gnu::cold]] static void refuse(const std::string& where) {
        fail(errc::bad_weights, where, "a tensor (storage, offset, shape, strides, …)",
             "something else");
    }
    static std::string_view callee(const pickle_value& value) {
        if (!value.is(pickle_kind::call)) return {};
        return torch_names[*value[0].name()];
    }

    /// A tuple of sizes, or torch.Size of one.
    static std::vector<std::size_t> sizes(pickle_value value, const std::string& where) {
        if (callee(value) == "torch.Size" && value[1].size() == 1) value = value[1][0];
        if (!value.is(pickle_kind::tuple)) refuse(where);
        if (value.size() > pytorch_limits::rank)
            fail(errc::limit_exceeded, where, {"at most ", pytorch_limits::rank, " dimensions"},
                 value.size());
        std::vector<std::size_t> out;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const auto size = value[i].integer();
            if (!size || *size < 0 ||
                static_cast<std::uint64_t>(*size) > std::numeric_limits<std::size_t>::max())
                refuse(where);
            out.push_back(static_cast<std::size_t>(*size));
        }
        return out;
    }

    /// A view lies inside its storage and uses no value twice: memory never exceeds the file.
    static void check_view(strided_shape view, std::uint64_t first, const torch_storage& storage,
                           const std::string& where) {
        if (view.extents.size() != view.strides.size())
            fail(errc::bad_weights, where, {"strides for ", shown_shape(view.extents)},
                 shown_shape(view.strides));
        const auto values = checked_product(view.extents);
        const auto length = reach(view);
        const auto end = length ? checked_add(first, *length) : std::nullopt;
        if (!values || !end || *end > storage.values)
            fail(errc::bad_weights, where, {"a view of ", storage.values, " values"},
                 {shown_shape(view.extents), " with strides ", shown_shape(view.strides),
                  " from value ", first, " on"});
        if (*values > *length)
            fail(errc::unsupported, where, "values of its own in each place",
                 {shown_shape(view.extents), " with strides ", shown_shape(view.strides)});
    }

    /// Tied matrices share a storage; thousands of tensors over one are an attack.
    void count(std::uint64_t bytes) {
        const auto total = checked_add(total_, bytes);
        if (++tensors_ > pytorch_limits::tensors)
            fail(errc::limit_exceeded, file_->name(),
                 {"at most ", pytorch_limits::tensors, " tensors"}, "more");
        if (!total || *total / pytorch_limits::sharing > file_->size())
            fail(errc::limit_exceeded, file_->name(),
                 {"tensors of at most ", pytorch_limits::sharing, " times the file's size"},
                 "more (they share storages)");
        total_ = *total;
    }

    std::shared_ptr<const byte_source> file_;
    torch_storages storages_;
    std::uint64_t total_ = 0;
    std::size_t tensors_ = 0;
};

/// A file's pickle, and where its storages are.
struct torch_contents {
    pickle_document objects;
    torch_storages storages;
};

inline std::shared_ptr<const std::string> read_pickle_bytes(const byte_source& file,
                                                            zip_entry place) {
    auto bytes = std::make_shared<std::string>(static_cast<std::size_t>(place.size), '\0');
    file.read(place.offset, std::as_writable_bytes(std::span(bytes->data(), bytes->size())));
    return bytes;
}

/// The folder inside the archive, `archive/` by default, that holds data.pkl.
[[gnu::cold]] inline std::string archive_folder(const zip_directory& entries,
                                                const std::string& where) {
    std::optional<std::string> folder;
    for (const auto& [name, place] : entries) {
        const auto slash = name.find('/');
        if (slash == name.npos) continue;
        if (name.substr(slash + 1) == "constants.pkl")
            fail(errc::unsupported, where, "a state dict", "a TorchScript archive");
        if (name.substr(slash + 1) != "data.pkl") continue;
        if (folder) fail(errc::bad_weights, where, "one data.pkl", "two");
        folder = name.substr(0, slash + 1);
    }
    if (!folder) fail(errc::unsupported, where, "a file of torch.save", "a zip without data.pkl");
    return *folder;
}

[[gnu::cold]] inline torch_contents read_torch_zip(const byte_source& file) {
    const zip_directory entries = zip_reader(file).read();
    const std::string& where = file.name();
    const std::string folder = archive_folder(entries, where);
    if (const auto order = entries.find(folder + "byteorder"); order != entries.end()) {
        const zip_entry place{order->second.offset,
                              std::min<std::uint64_t>(order->second.size, 16)};
        if (*read_pickle_bytes(file, place) != "little")
            fail(errc::unsupported, where, "little-endian values", "another byte order");
    }
    const zip_entry pickle = entries.at(folder + "data.pkl");
    if (pickle.size > pickle_limits::bytes)
        fail(errc::limit_exceeded, where, {"a pickle of at most ", pickle_limits::bytes, " bytes"},
             pickle.size);
    torch_contents contents;
    contents.objects = pickle_reader(read_pickle_bytes(file, pickle), 0, where, torch_names).read();
    contents.storages = stated_storages(contents.objects, where);
    for (auto& [key, storage] : contents.storages) {
        const auto entry = entries.find(text_of({folder, "data/", key}));
        if (entry == entries.end())
            fail(errc::bad_weights, where, {"storage ", printable(key)}, "none in the archive");
        if (entry->second.size != *storage.bytes())
            fail(errc::bad_weights, {where, ": storage ", printable(key)},
                 {*storage.bytes(), " bytes"}, entry->second.size);
        storage.offset = entry->second.offset;
    }
    return contents;
}

/// The pickle of 0x1950a86a20f9469cfc6c, which begins files made before PyTorch 1.6.
inline constexpr std::string_view torch_magic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                                              13);

/// Pickles: a magic number, the version, facts of the machine, the objects, the storages' keys.
/// Then the storages in that order, each with its number of values before it.
[[gnu::cold]] inline torch_contents read_torch_legacy(const byte_source& file) {
    const std::string& where = file.name();
    const auto window =
        read_pickle_bytes(file, {0, std::min<std::uint64_t>(file.size(), pickle_limits::bytes)});
    const auto read = [&](std::size_t begin) {
        return pickle_reader(window, begin, where, torch_names).read();
    };
    const auto version = read(2 + torch_magic.size());
    if (version.root().integer() != 1001)
        fail(errc::unsupported, where, "version 1001 of torch.save", "another");
    const auto machine = read(version.end);
    const auto little = machine.root().find("little_endian");
    if (!little || little->boolean() != true)
        fail(errc::unsupported, where, "little-endian values", "another byte order");
    torch_contents contents;
    contents.objects = read(machine.end);
    contents.storages = stated_storages(contents.objects, where);
    const auto keys = read(contents.objects.end);
    if (!keys.root().is(pickle_kind::list) || keys.root().size() != contents.storages.size())
        fail(errc::bad_weights, where, {"the keys of ", contents.storages.size(), " storages"},
             {keys.root().size(), " keys"});
    std::uint64_t at = keys.end;
    for (std::size_t i = 0; i < keys.root().size(); ++i) {
        const auto key = keys.root()[i].text();
        const auto entry = contents.storages.find(key.value_or(""));
        if (!key || entry == contents.storages.end() || std::exchange(entry->second.found, true))
            fail(errc::bad_weights, where, "each storage once", printable(key.value_or("?")));
        std::string count(8, '\0');
        file.read(at, std::as_writable_bytes(std::span(count.data(), count.size())));
        torch_storage& storage = entry->second;
        if (number_at<std::uint64_t>(count, 0) != storage.values)
            fail(errc::bad_weights, {where, ": storage ", printable(*key)},
                 {storage.values, " values"}, number_at<std::uint64_t>(count, 0));
        storage.offset = at + 8;
        const std::uint64_t left = file.size() - storage.offset;
        if (*storage.bytes() > left)
            fail(errc::truncated, {where, ": storage ", printable(*key)},
                 {*storage.bytes(), " bytes"}, {left, " left (is the download complete?)"});
        at = storage.offset + *storage.bytes();
    }
    if (at != file.size())
        fail(errc::bad_weights, where, {"an end after ", at, " bytes"},
             {file.size() - at, " more"});
    return contents;
}

/// Whether a file that begins so is one of torch.save; 16 bytes are enough.
inline bool looks_like_pytorch(std::string_view first) {
    if (first.starts_with("PK\x03\x04")) return true;
    return first.size() >= 2 && first[0] == '\x80' && first.substr(2).starts_with(torch_magic);
}

/// One file: the tensors of its state dict under their names there, and all it says besides.
struct pytorch_file {
    pickle_document objects;
    std::vector<stored_tensor> tensors;
};

/// The dictionary of tensors: the file itself, or what training scripts file it under.
inline pickle_value state_dict(const pickle_value& root) {
    for (const std::string_view key : {"model", "state_dict", "model_state_dict"})
        if (const auto inner = root.find(key); inner && inner->is(pickle_kind::dict)) return *inner;
    return root;
}

/// Reads what a file holds, but for the values. Throws errc::bad_weights, errc::truncated,
/// errc::limit_exceeded, errc::unsupported naming what a state dict has no need of,
/// errc::read_failed.
[[gnu::cold]] inline pytorch_file read_pytorch(const std::shared_ptr<const byte_source>& file) {
    std::string first(static_cast<std::size_t>(std::min<std::uint64_t>(file->size(), 16)), '\0');
    file->read(0, std::as_writable_bytes(std::span(first.data(), first.size())));
    if (!looks_like_pytorch(first))
        fail(errc::unsupported, file->name(), "a file of torch.save", printable(first));
    auto contents = first[0] == 'P' ? read_torch_zip(*file) : read_torch_legacy(*file);
    pytorch_file out{std::move(contents.objects), {}};
    torch_tensors tensors(file, std::move(contents.storages));
    const pickle_value state = state_dict(out.objects.root());
    if (!state.is(pickle_kind::dict))
        fail(errc::unsupported, file->name(), "a state dict", "another object");
    for (std::size_t i = 0; i < state.size(); i += 2) {
        const auto name = state[i].text();
        if (!name || name->empty() || name->size() > pytorch_limits::name_bytes)
            fail(errc::bad_weights, file->name(), "names of tensors", "another key");
        if (!torch_tensors::is_tensor(state[i + 1]))
            fail(errc::bad_weights, {file->name(), ": ", shown_name(*name)}, "a tensor",
                 "another object");
        out.tensors.push_back(tensors.read(*name, state[i + 1]));
    }
    return out;
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
