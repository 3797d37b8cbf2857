#include <gpt2/separate.hpp>
