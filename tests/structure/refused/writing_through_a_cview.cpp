// A cview reads.
#include <gpt2/tensor.hpp>

void write(gpt2::view<float> numbers) {
#ifdef REFUSED
    const gpt2::cview<float> target = numbers;
#else
    const gpt2::view<float> target = numbers;
#endif
    target(0, 0) = 1.0F;
}
