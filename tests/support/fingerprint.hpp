// A fingerprint of numbers, for tests that compare bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace test {

/// FNV-1a over the bytes of numbers, little-endian.
class fingerprint {
public:
    template <class T>
    void add(const T& value) {
        unsigned char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        for (const unsigned char byte : bytes) hash_ = (hash_ ^ byte) * 0x100000001B3u;
    }
    template <class T>
    void add(const std::vector<T>& values) {
        for (const T& value : values) add(value);
    }
    std::uint64_t value() const { return hash_; }

private:
    std::uint64_t hash_ = 0xCBF29CE484222325u;
};

}  // namespace test
