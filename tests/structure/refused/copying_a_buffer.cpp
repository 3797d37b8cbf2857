// Memory for a whole model is never copied by accident.
#include <gpt2/tensor.hpp>

#include <utility>

gpt2::buffer<float> taken(gpt2::buffer<float>& owned) {
#ifdef REFUSED
    return owned;
#else
    return std::move(owned);
#endif
}
