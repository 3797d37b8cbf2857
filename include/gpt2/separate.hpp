// What GPT2_SEPARATE leaves out elsewhere: the kernels and the readers of files. A program of many
// translation units compiles them once:
//
//     g++ -std=c++20 -O2 -DGPT2_SEPARATE -c …                   each of its own files
//     echo '#include <gpt2/separate.hpp>' >gpt2.cpp             and this one, with the same flags
//
// With CMake it is enough to link gpt2::separate instead of gpt2::gpt2.
//
// Before: core.hpp. It is included alone, in a translation unit of its own.
#pragma once

#include "core.hpp"

#if !defined(GPT2_SEPARATE)
#error "gpt2: separate.hpp is for programs that are compiled with GPT2_SEPARATE"
#endif
#undef GPT2_SEPARATE  // here everything is defined

#include "detail/kernels/dispatch.hpp"
#include "open.hpp"
#include "tokenizer_files.hpp"
