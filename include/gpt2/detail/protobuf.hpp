// Messages in protocol buffers' wire format, field by field, from strangers.
//
// Nothing is copied and nothing is reserved: a field is a number or a part of the bytes given, and
// a length is compared with what is left before it is used. Groups, long out of use, are refused.
//
// Before: detail/byte_reader.hpp. Used by: detail/sentencepiece_model.hpp,
// detail/tensor_bundle.hpp.
#pragma once

#include "byte_reader.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The fields of one message, in the order of the bytes. Every call raises `malformed` for bytes
/// that break the format, and errc::truncated when they end within a field.
class message_reader {
public:
    message_reader(std::string_view bytes, std::string_view where, errc malformed)
        : reader_(bytes, where, malformed) {}

    /// Goes on to the next field; false at the end.
    bool next() {
        if (reader_.empty()) return false;
        const std::uint64_t tag = reader_.varint();
        field_ = tag >> 3;
        if (field_ == 0 || field_ > most_fields) reader_.refuse("a field from 1 on", field_);
        wire_ = static_cast<wire>(tag & 7);
        switch (wire_) {
            case wire::varint:
                number_ = reader_.varint();
                return true;
            case wire::fixed64:
                number_ = reader_.number<std::uint64_t>();
                return true;
            case wire::bytes:
                bytes_ = reader_.take(reader_.varint());
                return true;
            case wire::fixed32:
                number_ = reader_.number<std::uint32_t>();
                return true;
        }
        reader_.refuse("a kind of field that is known", tag & 7);
    }

    std::uint64_t field() const noexcept { return field_; }

    /// The field as a whole number, a float, a text or message within.
    std::uint64_t number() const {
        require(wire::varint, "a number");
        return number_;
    }
    float real() const {
        require(wire::fixed32, "a float");
        return std::bit_cast<float>(static_cast<std::uint32_t>(number_));
    }
    std::string_view bytes() const {
        require(wire::bytes, "bytes");
        return bytes_;
    }

private:
    enum class wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
    static constexpr std::uint64_t most_fields = (1u << 29) - 1;

    void require(wire kind, const char* what) const {
        if (wire_ != kind) reader_.refuse({what, " in field ", field_}, "something else");
    }

    byte_reader reader_;
    std::uint64_t field_ = 0, number_ = 0;
    std::string_view bytes_;
    wire wire_ = wire::varint;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
