// What this machine can do at most, measured beside the model: how fast its threads read memory
// (what bounds decoding) and how fast they multiply and add (what bounds prefill).
//
// Reading goes through a buffer larger than any cache, as 1, 4 or 8 streams per thread that lie far
// apart, with and without prefetching: which is fastest differs from one processor to the next.
// Arithmetic runs in registers alone, in enough chains to hide every latency. 1 FMA = 2 operations.
#pragma once

#include "median.hpp"

#include <gpt2/detail/kernels/amx.hpp>
#include <gpt2/detail/kernels/dispatch.hpp>
#include <gpt2/parallel.hpp>
#include <gpt2/tensor.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(GPT2_PORTABLE_KERNELS)
#define BENCH_X86 1
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bench {

/// Where results go that nobody reads, so that no compiler leaves out what makes them.
inline std::atomic<std::uint64_t> unread{0};

/// Adds up (in some way) `bytes` bytes as `streams` streams, prefetching `ahead` bytes, 0: not.
using reader = std::uint64_t (*)(const std::byte* start, std::size_t bytes, std::size_t ahead);
/// Runs `count` turns of a loop with a fixed number of operations.
using burner = std::uint64_t (*)(std::size_t count);

/// Something that depends on every byte of the registers.
template <class T, std::size_t N>
std::uint64_t folded(const T (&registers)[N]) {
    std::uint64_t words[sizeof registers / 8], all = 0;
    std::memcpy(words, registers, sizeof words);
    for (const auto word : words) all ^= word;
    return all;
}

template <std::size_t Streams>
std::uint64_t read_portable(const std::byte* start, std::size_t bytes, std::size_t) {
    const std::size_t each = bytes / Streams / 64 * 64;
    std::uint64_t sums[Streams][8] = {};
    for (std::size_t i = 0; i < each; i += 64)
        for (std::size_t s = 0; s < Streams; ++s) {
            std::uint64_t line[8];
            std::memcpy(line, start + s * each + i, 64);
            for (std::size_t lane = 0; lane < 8; ++lane) sums[s][lane] |= line[lane];
        }
    return folded(sums);
}

inline std::uint64_t burn_portable(std::size_t count) {
    constexpr std::size_t chains = 64;
    float sums[chains] = {};
    const float x = 1.0f + static_cast<float>(count % 2), y = 0.5f;
    for (std::size_t i = 0; i < count; ++i)
        for (float& sum : sums) sum = sum * y + x;
    return folded(sums);
}

#if defined(BENCH_X86)

// One cache line of each stream in turn; the unrolled arrays live in registers.
#define BENCH_READER(name, features, vec, zero, both, load)                                      \
    template <std::size_t Streams>                                                               \
    __attribute__((target(features))) std::uint64_t name(const std::byte* start,                 \
                                                         std::size_t bytes, std::size_t ahead) { \
        const std::size_t each = bytes / Streams / 256 * 256;                                    \
        vec sums[Streams];                                                                       \
        GPT2_UNROLL                                                                              \
        for (std::size_t s = 0; s < Streams; ++s) sums[s] = zero();                              \
        for (std::size_t i = 0; i < each; i += 256) {                                            \
            GPT2_UNROLL                                                                          \
            for (std::size_t s = 0; s < Streams; ++s) {                                          \
                const std::byte* p = start + s * each + i;                                       \
                if (ahead != 0)                                                                  \
                    for (std::size_t line = 0; line < 256; line += 64)                           \
                        _mm_prefetch(reinterpret_cast<const char*>(p + ahead + line),            \
                                     _MM_HINT_T0);                                               \
                for (std::size_t at = 0; at < 256; at += sizeof(vec))                            \
                    sums[s] = both(sums[s], load(reinterpret_cast<const vec*>(p + at)));         \
            }                                                                                    \
        }                                                                                        \
        return folded(sums);                                                                     \
    }

BENCH_READER(read_avx512, "avx512f", __m512i, _mm512_setzero_si512, _mm512_or_si512,
             _mm512_loadu_si512)

BENCH_READER(read_avx2, "avx2", __m256i, _mm256_setzero_si256, _mm256_or_si256, _mm256_loadu_si256)
#undef BENCH_READER

// `chains` accumulators, each of which takes one instruction a turn. The empty assembly hides that
// all begin with the same value, or one chain would be computed for all.
#define BENCH_BURNER(name, features, vec, factor, chains, begin, step)                          \
    __attribute__((target(features))) inline std::uint64_t name(std::size_t count) {            \
        factor x, y;                                                                            \
        std::memset(&x, 0x3f + static_cast<int>(count % 2), sizeof x); /* 0.7 or 3, or bytes */ \
        std::memset(&y, 0x3f, sizeof y);                                                        \
        vec sums[chains];                                                                       \
        GPT2_UNROLL                                                                             \
        for (std::size_t c = 0; c < chains; ++c) {                                              \
            sums[c] = begin();                                                                  \
            __asm__("" : "+v"(sums[c]));                                                        \
        }                                                                                       \
        for (std::size_t i = 0; i < count; ++i) {                                               \
            GPT2_UNROLL                                                                         \
            for (std::size_t c = 0; c < chains; ++c) sums[c] = step;                            \
        }                                                                                       \
        return folded(sums);                                                                    \
    }

BENCH_BURNER(burn_f32_avx512, "avx512f", __m512, __m512, 16, _mm512_setzero_ps,
             _mm512_fmadd_ps(x, y, sums[c]))
BENCH_BURNER(burn_f32_avx2, "avx2,fma", __m256, __m256, 12, _mm256_setzero_ps,
             _mm256_fmadd_ps(x, y, sums[c]))
BENCH_BURNER(burn_bf16_avx512, "avx512f,avx512bw,avx512bf16", __m512, __m512bh, 16,
             _mm512_setzero_ps, _mm512_dpbf16_ps(sums[c], x, y))
BENCH_BURNER(burn_int8_avx512, "avx512f,avx512vnni", __m512i, __m512i, 16, _mm512_setzero_si512,
             _mm512_dpbusd_epi32(sums[c], x, y))
BENCH_BURNER(burn_int8_avx2, "avx2", __m256i, __m256i, 8, _mm256_setzero_si256,
             _mm256_add_epi32(sums[c], _mm256_madd_epi16(_mm256_maddubs_epi16(x, sums[c]), y)))
#undef BENCH_BURNER

/// Four tiles of sums, each of which takes one product a turn.
template <bool Bytes>
std::uint64_t burn_amx(std::size_t count) {
    namespace amx = gpt2::detail::kernels::avx512::amx;
    using tiles = amx::tiles<amx::unit, 2>;
    alignas(64) static const std::byte x[2 * 16 * 64] = {};
    amx::shape_tiles<amx::unit>(16, 64);
    tiles::clear();
    for (std::size_t i = 0; i < count; ++i) tiles::add({x, 64, {x, x}}, Bytes);
    amx::tile_sums<std::int32_t> sums;
    tiles::store(sums);
    amx::unit::release();
    return static_cast<std::uint64_t>(sums.of[0][0][0]);
}

#endif

/// One way to compute, and how many operations a turn of it makes.
struct arithmetic_peak {
    burner burn = nullptr;  ///< null: this machine has no such instruction
    double operations = 0;
};

/// The fastest ways of this machine.
struct fastest {
    std::vector<reader> readers = {read_portable<1>, read_portable<4>};
    arithmetic_peak f32 = {burn_portable, 64 * 2};
    arithmetic_peak bf16, int8;

    fastest() {
#if defined(BENCH_X86)
        if (__builtin_cpu_supports("avx512f")) {
            readers = {read_avx512<1>, read_avx512<4>, read_avx512<8>};
            f32 = {burn_f32_avx512, 16 * 16 * 2};
        } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
            readers = {read_avx2<1>, read_avx2<4>, read_avx2<8>};
            f32 = {burn_f32_avx2, 12 * 8 * 2};
        }
        if (__builtin_cpu_supports("avx512bf16")) bf16 = {burn_bf16_avx512, 16 * 32 * 2};
        if (__builtin_cpu_supports("avx512vnni"))
            int8 = {burn_int8_avx512, 16 * 64 * 2};
        else if (__builtin_cpu_supports("avx2"))
            int8 = {burn_int8_avx2, 8 * 32 * 2};
        if (gpt2::detail::kernels::avx512::amx::usable()) {
            bf16 = {burn_amx<false>, 4 * 16 * 16 * 32 * 2};
            int8 = {burn_amx<true>, 4 * 16 * 16 * 64 * 2};
        }
#endif
    }
};

/// The limits with a pool's threads, as medians of all probes so far; 0: not known.
struct machine_limits {
    double read_bytes_per_s = 0, f32_flops = 0, bf16_flops = 0, int8_ops = 0;
};

/// Measures the limits; each `probe` adds one measurement, to be made between those of the model,
/// because the memory of a shared machine is not equally fast from one minute to the next.
class limits_meter {
public:
    /// `bytes`: of the buffer read.
    limits_meter(gpt2::thread_pool& pool, std::size_t bytes) : pool_(pool), size_(bytes) {}

    void probe() {
        if (memory_.size() == 0) fill();
        double best = 0;
        for (const auto read : ways_.readers)
            for (const std::size_t ahead : {0u, 2048u})
                best = std::max(best, read_speed(read, ahead));
        read_.push_back(best);
        f32_.push_back(speed_of(ways_.f32));
        bf16_.push_back(speed_of(ways_.bf16));
        int8_.push_back(speed_of(ways_.int8));
    }

    machine_limits result() const {
        return {median(read_), median(f32_), median(bf16_), median(int8_)};
    }

private:
    static constexpr std::size_t margin = 4096;  // prefetches may point beyond the end
    static constexpr std::size_t parts_per_thread = 4;

    void fill() {
        memory_ = gpt2::buffer<std::byte>(size_ + margin);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        const auto page = std::size_t{1} << 21;
        const auto begin = (reinterpret_cast<std::uintptr_t>(memory_.data()) + page - 1) / page;
        const auto end = reinterpret_cast<std::uintptr_t>(memory_.data() + size_) / page;
        if (begin < end)
            ::madvise(reinterpret_cast<void*>(begin * page), (end - begin) * page, MADV_HUGEPAGE);
#endif
        std::memset(memory_.data(), 1, memory_.size());
    }

    double read_speed(reader read, std::size_t ahead) {
        const std::size_t parts = pool_.size() * parts_per_thread, each = size_ / parts;
        std::vector<double> rates;
        for (int i = 0; i < 4; ++i) {
            const double took = seconds_of([&] {
                pool_.run(parts, 1, [&](std::size_t first, std::size_t last, std::size_t) {
                    for (auto part = first; part < last; ++part)
                        unread += read(memory_.data() + part * each, each, ahead);
                });
            });
            if (i > 0) rates.push_back(static_cast<double>(each * parts) / took);
        }
        return median(rates);
    }

    double speed_of(const arithmetic_peak& peak) {
        if (!peak.burn) return 0;
        constexpr std::size_t turns = 200'000;
        const std::size_t parts = pool_.size() * parts_per_thread;
        std::vector<double> rates;
        for (int i = 0; i < 4; ++i) {
            const double took = seconds_of([&] {
                pool_.run(parts, 1, [&](std::size_t first, std::size_t last, std::size_t) {
                    for (auto part = first; part < last; ++part) unread += peak.burn(turns);
                });
            });
            if (i > 0) rates.push_back(static_cast<double>(parts * turns) * peak.operations / took);
        }
        return median(rates);
    }

    fastest ways_;
    gpt2::thread_pool& pool_;
    std::size_t size_;
    gpt2::buffer<std::byte> memory_;
    std::vector<double> read_, f32_, bf16_, int8_;
};

}  // namespace bench
