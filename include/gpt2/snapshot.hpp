// A running text at one moment: kept, written to a file, read again on any machine.
//
// A snapshot shares the pages of the text's keys and values, so it is made at once, and writing it
// takes its time while the text goes on. The file holds their exact bits and everything else that
// the next token depends on: a text that is restored goes on to the bit as it would have. It names
// the model, the tokenizer and the format of the cache, and is read for no others; a file that is
// cut short or damaged anywhere is refused before anything is changed. A draw depends on its seed
// and its place in the text, and a character that has begun on the last tokens, so neither is kept.
//
//   bytes 0…8       "gpt2text"
//   u32, u32        version 1; how keys and values are stored: 0 f32, 1 f16, 2 bf16
//   u64 × 3         bytes of the file; identities of the model and of the tokenizer
//   u64 × 4         tokens, positions of keys and values, logits, tokens dropped before
//   u64             checksum of all that
//   i32…            tokens, then f32… logits, and of each position the numbers of
//                   kv_cache::copy_out
//   u64             checksum of all that follows the first one
//
// Numbers are little-endian. Before: kv_cache.hpp, detail/identity.hpp, detail/byte_source.hpp.
// After: session.hpp.
#pragma once

#include "config.hpp"
#include "core.hpp"
#include "detail/byte_reader.hpp"
#include "detail/byte_source.hpp"
#include "detail/checksum.hpp"
#include "detail/file_sink.hpp"
#include "detail/identity.hpp"
#include "error.hpp"
#include "kv_cache.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What a text is, apart from its model.
struct text_snapshot {
    std::vector<token_id> tokens;  ///< all of them; the first kv.size() are computed
    kv_cache<float> kv;            ///< shares the pages of the text it was taken of
    std::vector<float> logits;     ///< (V) behind the last token, or none: it is not computed yet
    std::size_t dropped = 0;       ///< tokens that stood before or between these
};

namespace detail {

inline constexpr std::string_view snapshot_magic = "gpt2text";
inline constexpr std::uint32_t snapshot_version = 1;
/// Bytes before the tokens, its checksum included.
inline constexpr std::size_t snapshot_front_bytes = 8 + 2 * 4 + 7 * 8 + 8;

/// Sizes in a snapshot's file.
struct snapshot_counts {
    std::uint64_t tokens, positions, logits, dropped;
};

/// Hands bytes on and adds them up.
class summing_sink {
public:
    explicit summing_sink(const byte_sink& sink) : sink_(sink) {}

    void put(std::string_view bytes) {
        sum_.add(bytes);
        sink_(bytes);
    }
    template <class List>
    void put_all(const List& numbers) {
        const auto bytes = std::as_bytes(std::span(numbers));
        put({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    /// The sum of what came since the last one.
    void put_sum() {
        std::string bytes;
        append_number(bytes, std::exchange(sum_, checksum()).value());
        sink_(bytes);
    }

private:
    const byte_sink& sink_;
    checksum sum_;
};

/// Writes a snapshot of a text of that model. Throws what the sink throws.
[[gnu::cold]] inline void write_snapshot(const text_snapshot& from, const identity& of,
                                         const byte_sink& sink) {
    const auto position_bytes = from.kv.position_bytes();
    const std::uint64_t body = sizeof(token_id) * from.tokens.size() +
                               sizeof(float) * from.logits.size() + position_bytes * from.kv.size();
    std::string front(snapshot_magic);
    append_number(front, snapshot_version);
    append_number(front, static_cast<std::uint32_t>(from.kv.stored()));
    for (const std::uint64_t number :
         {std::uint64_t{snapshot_front_bytes} + body + sizeof(std::uint64_t), of.model,
          of.tokenizer, std::uint64_t{from.tokens.size()}, std::uint64_t{from.kv.size()},
          std::uint64_t{from.logits.size()}, std::uint64_t{from.dropped}})
        append_number(front, number);
    summing_sink out(sink);
    out.put(front);
    out.put_sum();
    out.put_all(from.tokens);
    out.put_all(from.logits);
    std::vector<std::byte> row(position_bytes);
    for (std::size_t i = 0; i < from.kv.size(); ++i) {
        from.kv.copy_out(i, row);
        out.put_all(row);
    }
    out.put_sum();
}

/// Reads a snapshot of a text of one model.
class snapshot_reader {
public:
    /// For a model of that shape and identity, and caches of that format.
    snapshot_reader(const byte_source& file, const config& shape, const identity& of,
                    kernels::format stored)
        : file_(file), shape_(shape), of_(of), stored_(stored) {}

    /// Throws what read_snapshot throws.
    text_snapshot read();

private:
    snapshot_counts read_front();
    void check_counts(const snapshot_counts& counts, std::uint64_t size) const;
    void take(std::span<std::byte> bytes);
    template <class List>
    void take_all(List& numbers) {
        take(std::as_writable_bytes(std::span(numbers)));
    }
    void take_sum();
    [[noreturn, gnu::noinline, gnu::cold]] void refuse(const phrase& expected,
                                                       const phrase& found) const {
        fail(errc::bad_session, file_.name(), expected, found);
    }

    const byte_source& file_;
    const config& shape_;
    identity of_;
    kernels::format stored_;
    std::uint64_t at_ = 0;
    checksum sum_;
};

[[gnu::cold]] inline void snapshot_reader::take(std::span<std::byte> bytes) {
    file_.read(at_, bytes);
    at_ += bytes.size();
    sum_.add(bytes);
}

[[gnu::cold]] inline void snapshot_reader::take_sum() {
    const auto expected = std::exchange(sum_, checksum()).value();
    std::uint64_t found = 0;
    take(std::as_writable_bytes(std::span(&found, 1)));
    sum_ = checksum();
    if (found != expected) refuse("the checksum of what it holds", "another one: it is damaged");
}

/// Everything before the tokens: whether the file is whole, and meant for this model.
[[gnu::cold]] inline snapshot_counts snapshot_reader::read_front() {
    std::array<char, snapshot_front_bytes - sizeof(std::uint64_t)> bytes;
    take_all(bytes);
    byte_reader in({bytes.data(), bytes.size()}, file_.name(), errc::bad_session);
    const auto magic = in.take(snapshot_magic.size());
    if (magic != snapshot_magic) refuse("a saved session", printable(magic));
    const auto version = in.number<std::uint32_t>();
    take_sum();
    if (version != snapshot_version)
        fail(errc::unsupported, file_.name(), {"version ", snapshot_version}, version);
    const auto format = in.number<std::uint32_t>();
    const auto size = in.number<std::uint64_t>();
    const auto model = in.number<std::uint64_t>(), tokenizer = in.number<std::uint64_t>();
    if (model != of_.model) refuse("a session of this model", "one of another model");
    if (tokenizer != of_.tokenizer) refuse("a session of this tokenizer", "one of another");
    if (format != static_cast<std::uint32_t>(stored_))
        refuse({"keys and values in format ", static_cast<std::uint32_t>(stored_)},
               {"format ", format});
    if (file_.size() < size)
        fail(errc::truncated, file_.name(), {size, " bytes"}, {"an end after ", file_.size()});
    if (file_.size() > size) refuse({size, " bytes"}, file_.size());
    snapshot_counts counts{};
    for (auto* count : {&counts.tokens, &counts.positions, &counts.logits, &counts.dropped})
        *count = in.number<std::uint64_t>();
    check_counts(counts, size);
    return counts;
}

/// What a text of this model can have, and what the file has room for.
[[gnu::cold]] inline void snapshot_reader::check_counts(const snapshot_counts& counts,
                                                        std::uint64_t size) const {
    const auto most = [&](std::string_view what, std::uint64_t number, std::uint64_t limit) {
        if (number > limit) refuse({what, ": at most ", limit}, number);
    };
    most("tokens", counts.tokens, shape_.context_length + 1);
    most("positions", counts.positions,
         std::min<std::uint64_t>(counts.tokens, shape_.context_length));
    most("tokens dropped", counts.dropped, std::uint64_t{1} << 48);
    const bool computed = counts.tokens > 0 && counts.positions == counts.tokens;
    if (counts.logits != (computed ? shape_.vocabulary_size : 0))
        refuse({computed ? shape_.vocabulary_size : 0, " logits"}, counts.logits);
    // No count is above a few times 2^24 or the file's size, so nothing overflows.
    const auto expected = snapshot_front_bytes + sizeof(token_id) * counts.tokens +
                          sizeof(float) * counts.logits +
                          kv_cache<float>(shape_, stored_).position_bytes() * counts.positions +
                          sizeof(std::uint64_t);
    if (expected != size) refuse({expected, " bytes by its counts"}, size);
}

[[gnu::cold]] inline text_snapshot snapshot_reader::read() {
    const auto counts = read_front();
    const auto size = [](std::uint64_t count) { return static_cast<std::size_t>(count); };
    text_snapshot text{std::vector<token_id>(size(counts.tokens)), kv_cache<float>(shape_, stored_),
                       std::vector<float>(size(counts.logits)), size(counts.dropped)};
    take_all(text.tokens);
    take_all(text.logits);
    text.kv.reserve(size(counts.positions));
    std::vector<std::byte> row(text.kv.position_bytes());
    for (std::size_t i = 0; i < counts.positions; ++i) {
        take(row);
        text.kv.copy_in(i, row);
    }
    text.kv.resize(size(counts.positions));
    take_sum();
    for (const token_id id : text.tokens)
        if (id < 0 || static_cast<std::size_t>(id) >= shape_.vocabulary_size)
            refuse({"tokens below ", shape_.vocabulary_size}, id);
    return text;
}

/// Reads a snapshot of a text of a model with that shape and identity, whose caches are `stored`
/// so. Raises bad_session (of another model, tokenizer or format, damaged), truncated, unsupported
/// (another version), read_failed, out_of_memory. Memory is that of a text of the model, and the
/// file's size at most.
[[gnu::cold]] inline text_snapshot read_snapshot(const byte_source& file, const config& shape,
                                                 const identity& of, kernels::format stored) {
    return snapshot_reader(file, shape, of, stored).read();
}

/// Writes a snapshot into a file that is there whole or not at all. Raises what file_sink raises.
[[gnu::cold]] inline void save_snapshot(const text_snapshot& from, const identity& of,
                                        const std::filesystem::path& target, existing what) {
    file_sink file(target, what);
    write_snapshot(from, of, [&](std::string_view bytes) { file.write(bytes); });
    file.commit();
}

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
