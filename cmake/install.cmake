# `cmake --install`: the headers, and a package that find_package(gpt2) finds. The dependencies
# are not installed; the package looks for them with find_dependency.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder "${CMAKE_INSTALL_DATADIR}/cmake/gpt2")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/gpt2" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inl")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/gpt2")
install(TARGETS gpt2 EXPORT gpt2Targets)
install(EXPORT gpt2Targets NAMESPACE gpt2:: DESTINATION "${package_folder}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/gpt2Config.cmake.in"
    "${PROJECT_BINARY_DIR}/gpt2Config.cmake" INSTALL_DESTINATION "${package_folder}"
    NO_SET_AND_CHECK_MACRO)
# Before 1.0 every minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/gpt2ConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/gpt2Config.cmake"
              "${PROJECT_BINARY_DIR}/gpt2ConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/separate.cmake" "${CMAKE_CURRENT_LIST_DIR}/separate.cpp"
        DESTINATION "${package_folder}")
