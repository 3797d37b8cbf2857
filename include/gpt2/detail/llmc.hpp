// llm.c's files: a model (gpt2_124M.bin and every checkpoint its trainers write) and the tokenizer
// that stands beside it (gpt2_tokenizer.bin).
//
// A model is 256 numbers and then all tensors, part by part over all layers, the token embedding
// padded to whole blocks of rows; the padding is left where it is. A tokenizer is the bytes of each
// token: its merges are not written, but follow from the order of the ids, as BPE was trained.
//
// Before: stored_model.hpp, detail/byte_reader.hpp. Next: open.hpp.
#pragma once

#include "../stored_model.hpp"
#include "byte_reader.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The 256 numbers that begin every file of llm.c; the first says which kind it is.
using llmc_header = std::array<std::uint32_t, 256>;
inline constexpr std::uint32_t llmc_model_magic = 20240326, llmc_tokenizer_magic = 20240328;

/// Whether a file that begins with these bytes is a model of llm.c.
inline bool looks_like_llmc_model(std::string_view first) {
    return first.size() >= 4 && number_at<std::uint32_t>(first, 0) == llmc_model_magic;
}

/// Throws `malformed` for other files, errc::unsupported for other files of llm.c by name and where
/// a number at `meaningful` or beyond is not 0.
[[gnu::cold]] inline llmc_header read_llmc_header(const byte_source& source, std::uint32_t magic,
                                                  std::size_t meaningful, errc malformed) {
    struct kind {
        std::uint32_t magic;
        std::string_view name;
    };
    static constexpr kind kinds[] = {
        {llmc_model_magic, "a model"},
        {20240327, "a debug state"},
        {llmc_tokenizer_magic, "a tokenizer"},
        {20240520, "training data"},
    };
    llmc_header header;
    source.read(0, std::as_writable_bytes(std::span(header)));
    if (header[0] != magic)
        for (const kind& other : kinds)
            if (other.magic == header[0])
                fail(errc::unsupported, source.name(),
                     {magic == llmc_model_magic ? "a model" : "a tokenizer", " of llm.c"},
                     {other.name, " of llm.c"});
    if (header[0] != magic)
        fail(malformed, source.name(), {"the number ", magic, " that begins a file of llm.c"},
             header[0]);
    for (std::size_t i = meaningful; i < header.size(); ++i)
        if (header[i] != 0)
            fail(errc::unsupported, {source.name(), ": header, number ", i}, "0, no meaning known",
                 header[i]);
    return header;
}

/// The sizes in a header, checked; the rest is as llm.c has it built in.
[[gnu::cold]] inline config read_llmc_config(const llmc_header& header) {
    constexpr token_id published = 50256;
    config sizes;
    sizes.context_length = header[2];
    sizes.vocabulary_size = header[3];
    sizes.layers = header[4];
    sizes.heads = header[5];
    sizes.width = header[6];
    sizes.inner_width = 4 * sizes.width;
    if (sizes.vocabulary_size <= static_cast<std::size_t>(published)) {
        sizes.begin_of_text.reset();
        sizes.end_of_text.clear();
    }
    sizes.validate();
    return sizes;
}

/// Hands out the values of a file from its front, tensor by tensor.
class llmc_values {
public:
    llmc_values(std::shared_ptr<const byte_source> source, dtype type)
        : source_(std::move(source)), type_(type) {}

    /// The next `rows` · `columns` values, of which the first `used` rows are the tensor.
    stored_tensor matrix(std::string name, std::size_t used, std::size_t rows,
                         std::size_t columns) {
        stored_tensor tensor(std::move(name), type_, {used, columns}, source_, offset_);
        offset_ += std::uint64_t{rows} * columns * bits(type_) / 8;
        return tensor;
    }
    stored_tensor vector(std::string name, std::size_t size) {
        stored_tensor tensor(std::move(name), type_, {size}, source_, offset_);
        offset_ += tensor.bytes();
        return tensor;
    }

private:
    std::shared_ptr<const byte_source> source_;
    std::uint64_t offset_ = sizeof(llmc_header);
    dtype type_;
};

/// One part of every block, in the order of the file; `in` is 0 for a vector.
struct llmc_part {
    std::string_view name;
    std::size_t out, in;
};
inline std::array<llmc_part, 12> llmc_parts(std::size_t c) {
    return {{{"ln_1.weight", c, 0},
             {"ln_1.bias", c, 0},
             {"attn.c_attn.weight", 3 * c, c},
             {"attn.c_attn.bias", 3 * c, 0},
             {"attn.c_proj.weight", c, c},
             {"attn.c_proj.bias", c, 0},
             {"ln_2.weight", c, 0},
             {"ln_2.bias", c, 0},
             {"mlp.c_fc.weight", 4 * c, c},
             {"mlp.c_fc.bias", 4 * c, 0},
             {"mlp.c_proj.weight", c, 4 * c},
             {"mlp.c_proj.bias", c, 0}}};
}

/// Bytes of a whole file. No step leaves 64 bits: the sizes are those of a checked config.
inline std::uint64_t llmc_bytes(const config& sizes, std::uint64_t padded, dtype type) {
    const std::uint64_t c = sizes.width;
    std::uint64_t block = 0;
    for (const llmc_part& part : llmc_parts(sizes.width))
        block += std::uint64_t{part.out} * (part.in == 0 ? 1 : part.in);
    const std::uint64_t values = (padded + sizes.context_length + 2) * c + sizes.layers * block;
    return sizeof(llmc_header) + values * (bits(type) / 8);
}

/// A model of version 3 (f32) or 5 (bf16). No value is read. Throws errc::truncated,
/// errc::bad_weights (no file of llm.c, or longer than its sizes say), errc::bad_config (sizes out
/// of range), errc::unsupported (other versions, other files of llm.c).
[[gnu::cold]] inline stored_model read_llmc_model(std::shared_ptr<const byte_source> source) {
    const auto header = read_llmc_header(*source, llmc_model_magic, 8, errc::bad_weights);
    if (header[1] != 3 && header[1] != 5)
        fail(errc::unsupported, source->name(), "version 3 (f32) or 5 (bf16) of llm.c's models",
             header[1]);
    const dtype type = header[1] == 3 ? dtype::f32 : dtype::bf16;
    stored_model found;
    const config& sizes = found.config = read_llmc_config(header);
    const std::size_t c = sizes.width, padded = header[7];
    if (padded < sizes.vocabulary_size || padded > config_limits::vocabulary_size)
        fail(errc::bad_weights, {source->name(), ": padded vocabulary"},
             {sizes.vocabulary_size, " to ", config_limits::vocabulary_size}, padded);
    const std::uint64_t bytes = llmc_bytes(sizes, padded, type);
    if (source->size() != bytes)
        fail(source->size() < bytes ? errc::truncated : errc::bad_weights, source->name(),
             {bytes, " bytes"}, source->size());

    auto store = std::make_shared<weight_store>();
    llmc_values values(source, type);
    store->add(values.matrix("wte.weight", sizes.vocabulary_size, padded, c));
    store->add(values.matrix("wpe.weight", sizes.context_length, sizes.context_length, c));
    for (const auto& [part, out, in] : llmc_parts(c))
        for (std::size_t layer = 0; layer < sizes.layers; ++layer) {
            std::string name = text_of({"h.", layer, ".", part});
            store->add(in == 0 ? values.vector(std::move(name), out)
                               : values.matrix(std::move(name), out, out, in).transposed());
        }
    store->add(values.vector("ln_f.weight", c));
    store->add(values.vector("ln_f.bias", c));
    found.weights = std::move(store);
    found.format = "llm.c";
    return found;
}

/// Finds the merges that made a vocabulary: each token of several bytes, when the merges of all
/// tokens before it have been applied to its bytes, is two tokens, and these are what it joins.
class merge_finder {
public:
    /// Throws errc::bad_tokenizer where two ids are the same byte.
    merge_finder(const std::vector<std::string>& tokens, std::string_view where)
        : tokens_(tokens), where_(where) {
        rules_.byte_ids.fill(-1);
        for (std::size_t id = 0; id < tokens.size(); ++id) {
            if (tokens[id].size() != 1) continue;
            token_id& known = rules_.byte_ids[static_cast<unsigned char>(tokens[id][0])];
            if (known >= 0) refuse(id, {"a token of its own, not that of id ", known});
            known = static_cast<token_id>(id);
        }
        rules_.ranks = pair_table(tokens.size());
    }

    /// The merge that makes a token of several bytes, which counts from now on. Throws
    /// errc::bad_tokenizer where none does.
    merge find(std::size_t id) {
        const std::string& token = tokens_[id];
        for (const char byte : token)
            if (rules_.byte_id(byte) < 0) refuse(id, "bytes that have tokens");
        parts_.clear();
        merge_piece(rules_, token, merger_, parts_);
        if (parts_.size() != 2) refuse(id, "two earlier tokens joined");
        const merge found{parts_[0], parts_[1], static_cast<token_id>(id)};
        take(found);
        return found;
    }

private:
    void take(const merge& m) {
        const auto rank = static_cast<std::uint32_t>(rules_.results.size());
        const std::string &left = tokens_[static_cast<std::size_t>(m.left)],
                          &right = tokens_[static_cast<std::size_t>(m.right)];
        rules_.ranks.insert(m.left, m.right, rank);
        rules_.results.push_back(m.result);
        rules_.bytes.join(left.back(), right.front());
        if (left.size() == 1 && right.size() == 1)
            rules_.bytes.insert(left.front(), right.front(), rank);
    }

    [[noreturn, gnu::cold]] void refuse(std::size_t id, const phrase& expected) const {
        fail(errc::bad_tokenizer, {where_, ": token ", id}, expected, printable(tokens_[id], 40));
    }

    const std::vector<std::string>& tokens_;
    std::string_view where_;
    merge_rules rules_;
    long_merger merger_;
    std::vector<token_id> parts_;
};

/// Twice GPT-2's tokens and 50 times their bytes. With more, a file that is refused could take more
/// than 16 MB beyond twice its size.
struct llmc_limits {
    static constexpr std::size_t tokens = std::size_t{1} << 17;
    static constexpr std::uint64_t token_bytes = std::uint64_t{1} << 24;
};

/// The bytes of all tokens; each is a length, 1 to 255, and as many bytes, up to the end of file.
[[gnu::cold]] inline std::vector<std::string> read_llmc_tokens(const byte_source& source,
                                                               std::size_t count) {
    const std::uint64_t size = source.size() - sizeof(llmc_header);
    if (size > llmc_limits::token_bytes)
        fail(errc::limit_exceeded, source.name(),
             {"at most ", llmc_limits::token_bytes, " bytes of tokens"}, size);
    if (size < 2 * std::uint64_t{count})
        fail(errc::truncated, source.name(), {count, " tokens"}, {size, " bytes of them"});
    std::string text(static_cast<std::size_t>(size), '\0');
    source.read(sizeof(llmc_header), std::as_writable_bytes(std::span(text.data(), text.size())));
    byte_reader reader(text, source.name(), errc::bad_tokenizer);
    std::vector<std::string> tokens;
    tokens.reserve(count);
    while (tokens.size() < count) {
        const auto length = reader.number<std::uint8_t>();
        if (length == 0) reader.refuse("a token of 1 to 255 bytes", "none");
        tokens.emplace_back(reader.take(length));
    }
    if (!reader.empty()) reader.refuse("the end of the file", {reader.left(), " more bytes"});
    return tokens;
}

/// What the header of a tokenizer says: version 1 (GPT-2's own vocabulary) or 2 (which says the
/// end of text).
struct llmc_tokens {
    std::size_t count;
    token_id end_of_text;
};
[[gnu::cold]] inline llmc_tokens read_llmc_tokenizer_header(const byte_source& source) {
    constexpr std::uint32_t published = 50257;
    const auto header = read_llmc_header(source, llmc_tokenizer_magic, 4, errc::bad_tokenizer);
    const std::uint32_t version = header[1], count = header[2];
    if (version != 1 && version != 2)
        fail(errc::unsupported, source.name(), "version 1 or 2 of llm.c's tokenizers", version);
    if (version == 1 && (count != published || header[3] != 0))
        fail(errc::unsupported, source.name(), "GPT-2's 50257 tokens in version 1", count);
    const std::uint32_t end = version == 1 ? published - 1 : header[3];
    if (count > llmc_limits::tokens)
        fail(errc::limit_exceeded, source.name(), {"at most ", llmc_limits::tokens, " tokens"},
             count);
    if (end >= count)
        fail(errc::bad_tokenizer, {source.name(), ": end of text"}, {"an id below ", count}, end);
    return {count, static_cast<token_id>(end)};
}

/// Throws errc::truncated, errc::bad_tokenizer, errc::unsupported (other versions, other files of
/// llm.c), errc::limit_exceeded.
[[gnu::cold]] inline tokenizer read_llmc_tokenizer(const byte_source& source) {
    const auto [count, end_of_text] = read_llmc_tokenizer_header(source);
    const auto end = static_cast<std::size_t>(end_of_text);
    vocabulary made;
    made.tokens = read_llmc_tokens(source, count);
    merge_finder merges(made.tokens, source.name());
    for (std::size_t id = 0; id < made.tokens.size(); ++id)
        if (made.tokens[id].size() > 1 && id != end) made.merges.push_back(merges.find(id));
    made.added.push_back({.content = made.tokens[end], .id = end_of_text, .special = true});
    return tokenizer(std::move(made));
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
