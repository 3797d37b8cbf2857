// Which model and which tokenizer, each as one number: the same for equal weights and rules on
// every machine, another one for a model that is kept in other types.
//
// A saved text is worth something only to the model that computed it. All weights count, as they
// are kept in memory: samples of them would miss what fine-tuning a part, or an edit, changes, and
// adding up all of them takes 0.05 s for the 124M shape in f32, once in a model's life.
//
// Before: model.hpp, tokenizer.hpp, detail/checksum.hpp. Next: snapshot.hpp.
#pragma once

#include "../config.hpp"
#include "../core.hpp"
#include "../model.hpp"
#include "../tensor.hpp"
#include "../tokenizer.hpp"
#include "checksum.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <type_traits>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// What a saved text belongs to.
struct identity {
    std::uint64_t model = 0;
    std::uint64_t tokenizer = 0;  ///< 0: none

    bool operator==(const identity&) const = default;
};

/// A checksum of numbers, and of texts with their lengths.
class identity_sum {
public:
    template <class Number>
    void add(const Number& number) requires std::is_arithmetic_v<Number> {
        sum_.add(std::as_bytes(std::span(&number, 1)));
    }
    void add(std::string_view text) {
        add(std::uint64_t{text.size()});
        sum_.add(text);
    }
    template <class T>
    void add(const buffer<T>& memory) {
        sum_.add(std::as_bytes(memory.span()));
    }
    template <class Scalar>
    void add(const packed_matrix<Scalar>& matrix) {
        add(static_cast<std::uint32_t>(matrix.stored()));
        const auto* const panels = reinterpret_cast<const std::byte*>(matrix.view().panel(0));
        sum_.add(std::span(panels, matrix.bytes()));
    }

    std::uint64_t value() const { return sum_.value(); }

private:
    checksum sum_;
};

/// Reads all weights.
template <class Scalar>
std::uint64_t fingerprint(const basic_model<Scalar>& network) {
    const config& c = network.config();
    identity_sum sum;
    for (const std::size_t size :
         {c.vocabulary_size, c.context_length, c.width, c.layers, c.heads, c.inner_width})
        sum.add(std::uint64_t{size});
    sum.add(c.layer_norm_epsilon);
    sum.add(name(c.activation));
    sum.add(c.scale_attention);
    sum.add(c.scale_attention_by_inverse_layer);
    network.add_to(sum);
    return sum.value();
}

/// O(bytes of tokens and merges), milliseconds.
[[gnu::cold]] inline std::uint64_t fingerprint(const tokenizer& words) {
    identity_sum sum;
    for (const auto& [name, bytes] : words.definition()) {
        sum.add(name);
        sum.add(bytes);
    }
    if (!words.definition().empty()) return sum.value();
    const vocabulary all = words.parts();
    sum.add(static_cast<std::uint32_t>(all.cuts));
    sum.add(static_cast<std::uint32_t>(all.prefix));
    sum.add(std::uint64_t{all.tokens.size()});
    for (const auto& token : all.tokens) sum.add(token);
    sum.add(std::uint64_t{all.merges.size()});
    for (const auto& [left, right, result] : all.merges)
        for (const token_id id : {left, right, result}) sum.add(id);
    for (const added_token& token : all.added) {
        sum.add(token.id);
        sum.add(token.content);
        for (const bool is :
             {token.special, token.lstrip, token.rstrip, token.single_word, token.normalized})
            sum.add(is);
    }
    return sum.value();
}

/// The identity of a model and its tokenizer, found out when it is first asked for. Threads may
/// share it.
class lazy_identity {
public:
    template <class Scalar>
    const identity& of(const basic_model<Scalar>& network, const tokenizer* words) const {
        std::call_once(once_, [&] {
            known_ = {fingerprint(network), words ? fingerprint(*words) : 0};
        });
        return known_;
    }

private:
    mutable std::once_flag once_;
    mutable identity known_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
