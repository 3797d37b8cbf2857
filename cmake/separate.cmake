# gpt2::separate is gpt2::gpt2 with its heavy half, kernels and readers of files, compiled once
# instead of in every translation unit. It is built only where it is linked.
if(NOT TARGET gpt2::separate)
    add_library(gpt2_separate STATIC EXCLUDE_FROM_ALL "${CMAKE_CURRENT_LIST_DIR}/separate.cpp")
    add_library(gpt2::separate ALIAS gpt2_separate)
    target_compile_definitions(gpt2_separate PUBLIC GPT2_SEPARATE)
    target_link_libraries(gpt2_separate PUBLIC gpt2::gpt2)
endif()
